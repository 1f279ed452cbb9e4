"""Which of a person's submissions counts, and how late each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mograder.domain.assignments import CountingRule, LatePolicy
from mograder.domain.deadlines import IN_TIME, SECOND, Lateness
from mograder.domain.receipts import LatestFile, Receipt, Submission, latest_filename


@dataclass(frozen=True)
class AssessedSubmission:
    """An accepted submission, and how late it is by the present rules and extensions."""

    receipt: Receipt
    lateness: Lateness

    @property
    def submission(self) -> Submission:
        return self.receipt.submission


@dataclass(frozen=True)
class ListedSubmission:
    """A person's submission as an instructor collects it. `assessed` is None for a file that was put there by hand.

    `counts` is the file name of the version that counts, which may be another one.
    """

    file: LatestFile
    assessed: AssessedSubmission | None
    counts: str


def assess(kept: Iterable[Receipt], due: int | None, policy: LatePolicy) -> tuple[AssessedSubmission, ...]:
    """How late each of a person's submissions is. `due` is the person's due time in Unix microseconds, or None."""

    def of(found: Submission) -> Lateness:
        if found.by != found.username:  # submitted by an instructor for the student: never late
            return IN_TIME
        return policy.lateness(due, found.received)

    return tuple(AssessedSubmission(each, of(each.submission)) for each in kept)


def last_in_time(kept: Sequence[AssessedSubmission]) -> AssessedSubmission | None:
    """The last submission that is not late."""
    return next((each for each in reversed(kept) if not each.lateness.late), None)


def counting(kept: Sequence[AssessedSubmission], rule: CountingRule) -> AssessedSubmission | None:
    """The one of a person's submissions (oldest first) that counts; None without submissions."""
    in_time = last_in_time(kept) if rule is CountingRule.ON_TIME else None
    return in_time or (kept[-1] if kept else None)


def listed(
    file: LatestFile, kept: Sequence[AssessedSubmission], rule: CountingRule, which: CountingRule | None
) -> ListedSubmission | None:
    """The person's submission to list: the latest, the last on time, or (`which` is None) the one that counts.

    Returns None if none is on time. `file` is the latest file; a file that is not the last of `kept` was put there by
    hand, and is listed as it is.
    """
    if not kept or kept[-1].submission.sha256 != file.sha256:
        return ListedSubmission(file, None, file.filename)  # put there by hand: it counts as it stands
    counts = counting(kept, rule)
    wanted = {CountingRule.LATEST: kept[-1], CountingRule.ON_TIME: last_in_time(kept), None: counts}[which]
    if wanted is None or counts is None:
        return None
    found = wanted.submission
    if wanted is kept[-1]:
        file = replace(file, filename=latest_filename(file.username, found.ending))
    else:
        file = LatestFile(file.username, found.filename, found.size, found.received / SECOND, found.sha256)
    return ListedSubmission(file, wanted, counts.submission.filename)
