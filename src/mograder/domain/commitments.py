"""Checksums that are announced before their files, so that the moment of the announcement counts for a slow upload.

Invariant: a commitment gives no advantage over a submission of the same bytes at the same moment. It names the exact
bytes, it holds for one submission and one hour, and few can be open at once. Of several that were announced before the
same deadlines only the last one counts, so that nobody can choose among them later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mograder.domain.access import Actor
from mograder.domain.admission import Admission
from mograder.domain.assignments import Assignment
from mograder.domain.deadlines import MINUTE
from mograder.domain.errors import BadRequest, Throttled
from mograder.domain.extensions import Extensions
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Body

LIFE = 60 * MINUTE
MOST = 5
"""Commitments of one person and assignment that may be open at once."""


@dataclass(frozen=True)
class Commitment:
    """The announcement of one file at `moment`, in Unix microseconds. `sha256` is lower-case hex, `size` in bytes."""

    assignment: AssignmentName
    username: Username
    sha256: str
    size: int
    moment: int

    @property
    def ends(self) -> int:
        """The moment until which the file may arrive (Unix microseconds)."""
        return self.moment + LIFE

    def is_open(self, now: int) -> bool:
        # Both ways: a clock that is set back a little must not void the commitment.
        return abs(now - self.moment) <= LIFE

    def covers(self, body: Body, arrived: int) -> bool:
        """Whether this announces `body`, and is open when that has arrived."""
        return self.is_open(arrived) and (self.sha256, self.size) == (body.sha256, body.size)


def commitment_for(
    announced: Sequence[Commitment], body: Body, arrived: int, passed: Callable[[int], object]
) -> Commitment | None:
    """The commitment whose moment counts for `body`; None if there is none, or a later one has replaced it.

    `passed` says which deadlines are over at a moment. A later commitment replaces an earlier one if they are the same
    for both.
    """
    found = next((each for each in announced if each.covers(body, arrived)), None)
    if found is None:
        return None
    later = [each for each in announced if each.is_open(arrived) and each.moment > found.moment]
    return None if any(passed(each.moment) == passed(found.moment) for each in later) else found


def used(held: Sequence[Commitment], body: Body, commitment: Commitment | None) -> tuple[Commitment, ...]:
    """The commitments that stay open once `body` was accepted, with the moment of `commitment` or its own (None).

    Commitments that were announced before `commitment` are void.
    """
    voided = commitment.moment if commitment else -1
    same = (body.sha256, body.size)
    return tuple(each for each in held if (each.sha256, each.size) != same and each.moment > voided)


def check_announcement(sha256: str, size: int) -> None:
    """Raises BadRequest."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise BadRequest("sha256 must be the file's SHA-256 in 64 lower-case hex digits")
    if size < 1:
        raise BadRequest(f"the file has {size} bytes: submit one that is not empty")


def announced(held: Sequence[Commitment], new: Commitment) -> tuple[Commitment, ...]:
    """The open commitments and `new`; an open one of the same bytes stays instead. Raises Throttled."""
    kept = tuple(each for each in held if each.is_open(new.moment))
    if any((each.sha256, each.size) == (new.sha256, new.size) for each in kept):
        return kept
    kept = tuple(each for each in kept if each.sha256 != new.sha256)
    if len(kept) >= MOST:
        raise Throttled(
            f"{MOST} files of yours are announced and have not come: send one of them, or submit without announcing",
            retry_after=60,
        )
    return (*kept, new)


ChangeCommitments = Callable[[tuple[Commitment, ...]], tuple[Commitment, ...]]


class CommitmentsStore(Protocol):
    """What storage promises about commitments."""

    def of(self, assignment: AssignmentName, username: Username) -> tuple[Commitment, ...]:
        """A person's commitments whose files have not arrived, oldest first; some may have expired."""
        ...

    def change(
        self, assignment: AssignmentName, username: Username, change: ChangeCommitments
    ) -> tuple[Commitment, ...]:
        """Replace a person's commitments for an assignment in one transaction; returns the new ones."""
        ...


@dataclass(frozen=True)
class Commitments:
    """The commitments of one course."""

    store: CommitmentsStore
    admission: Admission
    extensions: Extensions

    def announce(
        self, actor: Actor, assignment: Assignment, user: Username, sha256: str, size: int, received: int
    ) -> Commitment:
        """Announce the bytes of a later submission. If they arrive in time, the moment `received` counts for them.

        Safe to repeat. Raises Closed, BadRequest, TooLarge, and Throttled when too many are open.
        """
        check_announcement(sha256, size)
        self.admission.check_size(assignment, size)
        if not actor.is_instructor:
            schedule = self.extensions.schedule(assignment, user)
            self.admission.check_not_closed(assignment, schedule, received)
        new = Commitment(assignment.name, user, sha256, size, received)
        kept = self.store.change(assignment.name, user, lambda held: announced(held, new))
        return next(each for each in kept if each.sha256 == sha256)
