"""How much one person may submit: limits that no ordinary work reaches, and that stop a flood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo

from mograder.domain import deadlines
from mograder.domain.errors import TooManySubmissions
from mograder.domain.names import counted

HOUR = 60 * deadlines.MINUTE
MIB = 1024 * 1024

MAX_PER_HOUR, MAX_ATTEMPTS, MAX_PERSON_BYTES = 240, 2000, 2048 * MIB
"""The bounds of a course whose mograder.toml sets none."""


@dataclass(frozen=True)
class Usage:
    """What a person has submitted in a course: `size` bytes in all, and `recent` submissions within an hour.

    `oldest` is the moment of the oldest recent one, in Unix microseconds. Submissions that an instructor made for the
    person are not counted.
    """

    recent: int = 0
    oldest: int = 0
    size: int = 0

    def plus(self, received: int, size: int) -> Usage:
        """With one more recent submission."""
        oldest = min(self.oldest, received) if self.recent else received
        return replace(self, recent=self.recent + 1, oldest=oldest, size=self.size + size)


@dataclass(frozen=True)
class HourlyBound:
    """The `attempts` at one assignment that a person has within an hour.

    `ends` is the moment after which submissions are late or refused, None for never. If the next attempt would be
    allowed only after it, the person has one more, so that the limit prevents no last submission.
    """

    attempts: int
    ends: int | None = None

    def left(self, moments: Sequence[int], now: int) -> int:
        """How many attempts are left at `now`, after attempts at `moments`."""
        recent = _recent(moments, now)
        left = self.attempts - len(recent)
        if left > 0 or self.ends is None or self.ends < now:
            return max(0, left)
        return max(0, left + 1) if self._free(recent) > self.ends else 0

    def free(self, moments: Sequence[int], now: int) -> int:
        """The moment of the next possible attempt: `now` if any are left."""
        return now if self.left(moments, now) else self._free(_recent(moments, now))

    def _free(self, recent: Sequence[int]) -> int:
        return recent[-self.attempts] + HOUR

    def check(self, moments: Sequence[int], now: int, zone: tzinfo) -> None:
        """Raises TooManySubmissions."""
        free = self.free(moments, now)
        if free > now:
            wait = -(-(free - now) // deadlines.SECOND)
            times = counted(len(_recent(moments, now)), "time")
            raise TooManySubmissions(
                f"you have submitted {times} within an hour, which is the limit: your submissions are safe; "
                f"the next is taken at {deadlines.readable(free, zone)}, in {counted(-(-wait // 60), 'minute')}",
                retry_after=wait,
            )


def _recent(moments: Sequence[int], now: int) -> list[int]:
    return sorted(each for each in moments if now - HOUR < each < now + HOUR)


@dataclass(frozen=True)
class AttemptsLeft:
    """How many of the `attempts` an hour a person has left, and the moment of the next possible attempt."""

    attempts: int
    left: int
    free: int


@dataclass(frozen=True)
class Allowance:
    """The limits of one person: submissions within an hour, attempts at one assignment, bytes in the course.

    `here` limits the attempts at the assignment within an hour, None for no such limit. `zone` is used in messages.
    """

    per_hour: int = MAX_PER_HOUR
    attempts: int = MAX_ATTEMPTS
    size: int = MAX_PERSON_BYTES
    here: HourlyBound | None = None
    zone: tzinfo = UTC

    def check(
        self, usage: Usage, attempt: int, size: int, now: int, moments: Callable[[], Sequence[int]] = tuple
    ) -> None:
        """Raises TooManySubmissions when a file of `size` bytes at `now`, as attempt number `attempt`, is too much.

        `moments` gives the moments of the person's submissions for the assignment within the last hour.
        """
        if self.here is not None:
            self.here.check(moments(), now, self.zone)
        if attempt > self.attempts:
            raise TooManySubmissions(
                f"you have submitted {counted(self.attempts, 'time')}, which is the limit for one assignment: the last "
                "submission stays. Your instructor can raise max_attempts in mograder.toml",
                retry_after=3600,
            )
        if usage.size + size > self.size:
            raise TooManySubmissions(
                f"your submissions have {usage.size / MIB:.1f} MiB and this file {size / MIB:.1f} MiB; the limit for a "
                f"person is {self.size // MIB} MiB. Your instructor can raise max_person_mb in mograder.toml",
                retry_after=3600,
            )
        if usage.recent >= self.per_hour:
            wait = max(1, -(-(usage.oldest + HOUR - now) // deadlines.SECOND))
            raise TooManySubmissions(
                f"you have submitted {counted(self.per_hour, 'time')} within an hour, which is the limit: "
                f"your submissions are safe; the next is taken in {counted(-(-wait // 60), 'minute')}",
                retry_after=wait,
            )
