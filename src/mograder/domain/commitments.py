"""Checksums that are announced before their files: in the last minute the moment of the announcement counts.

Invariant: a commit is worth no more than a submission of the same bytes at the same moment. It names the exact bytes,
it is good for one submission and for an hour, and few can be open at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mograder.domain.deadlines import MINUTE
from mograder.domain.errors import BadRequest, Throttled
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Body

LIFE = 60 * MINUTE
MOST = 5
"""Commits of one person and assignment that may be open at once."""


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
        """Until when the file can come."""
        return self.moment + LIFE

    def is_open(self, now: int) -> bool:
        # Both ways: a clock that is set back a little must not void what was promised.
        return abs(now - self.moment) <= LIFE

    def covers(self, body: Body, arrived: int) -> bool:
        return self.is_open(arrived) and (self.sha256, self.size) == (body.sha256, body.size)


def check_announcement(sha256: str, size: int) -> None:
    """Raises BadRequest."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise BadRequest("sha256 must be the file's SHA-256 in 64 lower-case hex digits")
    if size < 1:
        raise BadRequest(f"the file has {size} bytes: hand in one that is not empty")


def announced(held: Sequence[Commitment], new: Commitment) -> tuple[Commitment, ...]:
    """The open commits with `new` among them; one of the same bytes stays as it was. Raises Throttled."""
    kept = tuple(each for each in held if each.is_open(new.moment))
    if any((each.sha256, each.size) == (new.sha256, new.size) for each in kept):
        return kept
    kept = tuple(each for each in kept if each.sha256 != new.sha256)
    if len(kept) >= MOST:
        raise Throttled(
            f"{MOST} files of yours are announced and have not come: send one of them, or hand in without announcing",
            retry_after=60,
        )
    return (*kept, new)
