"""Which of a person's hand-ins counts, and how late each is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mograder.domain.assignments import Plan, Which
from mograder.domain.deadlines import IN_TIME, SECOND, Lateness, lateness
from mograder.domain.receipts import Receipt, Submission
from mograder.domain.store import LatestFile


@dataclass(frozen=True)
class Judged:
    """A hand-in that was kept, and how late it is by the rules and extensions of today."""

    receipt: Receipt
    lateness: Lateness

    @property
    def submission(self) -> Submission:
        return self.receipt.submission


@dataclass(frozen=True)
class Listed:
    """A person's hand-in as an instructor collects it. `judged` is None for a file that was put there by hand.

    `counts` is the file name of the version that counts.
    """

    file: LatestFile
    judged: Judged | None
    counts: str


def judge(kept: Iterable[Receipt], due: int | None, plan: Plan) -> tuple[Judged, ...]:
    """Hand-ins of one person, each against the person's own due time."""

    def of(found: Submission) -> Lateness:
        if found.by != found.username:  # an instructor has handed it in for the student
            return IN_TIME
        return lateness(due, found.received, plan.penalties, plan.zone)

    return tuple(Judged(each, of(each.submission)) for each in kept)


def last_in_time(kept: Sequence[Judged]) -> Judged | None:
    return next((each for each in reversed(kept) if not each.lateness.late), None)


def counting(kept: Sequence[Judged], rule: Which) -> Judged | None:
    """The hand-in that counts, of all that a person made, in the order of acceptance; None if there is none."""
    in_time = last_in_time(kept) if rule is Which.ON_TIME else None
    return in_time or (kept[-1] if kept else None)


def listed(file: LatestFile, kept: Sequence[Judged], rule: Which, which: Which | None) -> Listed | None:
    """The person's hand-in: the latest, the last in time (None if there is none), or the one that counts (`None`)."""
    if not kept or kept[-1].submission.sha256 != file.sha256:
        return Listed(file, None, file.filename)  # put there by hand: it counts as it stands
    counts = counting(kept, rule)
    wanted = {Which.LATEST: kept[-1], Which.ON_TIME: last_in_time(kept), None: counts}[which]
    if wanted is None or counts is None:
        return None
    if wanted is not kept[-1]:
        found = wanted.submission
        file = LatestFile(file.username, found.filename, found.size, found.received / SECOND, found.sha256)
    return Listed(file, wanted, counts.submission.filename)
