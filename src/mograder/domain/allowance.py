"""How much one person may submit: bounds that nobody meets who works on an assignment, and that end a flood."""

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
    """What a person has submitted in a course: `size` is all bytes, `recent` the submissions within an hour.

    `oldest` is the moment of the oldest recent one in Unix microseconds. What an instructor submits for the person is
    in neither.
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
    """How many attempts at one assignment a person has within an hour, `attempts`.

    `ends` is the moment after which a submission is late, or is not taken, None for never: once the next attempt would
    only be allowed after it, the person has one more. So nobody loses the last word to the bound.
    """

    attempts: int
    ends: int | None = None

    def left(self, moments: Sequence[int], now: int) -> int:
        """How many attempts are left at `now`, after those that were made at `moments`."""
        recent = _recent(moments, now)
        left = self.attempts - len(recent)
        if left > 0 or self.ends is None or self.ends < now:
            return max(0, left)
        return max(0, left + 1) if self._free(recent) > self.ends else 0

    def free(self, moments: Sequence[int], now: int) -> int:
        """The moment from which on there is an attempt again: `now`, as long as there is one."""
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
                f"you have submitted {times} within an hour, which is all that is graded: your submissions are safe; "
                f"the next is taken at {deadlines.readable(free, zone)}, in {counted(-(-wait // 60), 'minute')}",
                retry_after=wait,
            )


def _recent(moments: Sequence[int], now: int) -> list[int]:
    return sorted(each for each in moments if now - HOUR < each < now + HOUR)


@dataclass(frozen=True)
class AttemptsLeft:
    """What is left to a person of `attempts` an hour; `free` is the moment from which on there is one again."""

    attempts: int
    left: int
    free: int


@dataclass(frozen=True)
class Allowance:
    """The bounds of one person: submissions within an hour, attempts at one assignment, bytes in the course.

    `here` bounds the attempts at the assignment within an hour, where the course does; `zone` is for messages.
    """

    per_hour: int = MAX_PER_HOUR
    attempts: int = MAX_ATTEMPTS
    size: int = MAX_PERSON_BYTES
    here: HourlyBound | None = None
    zone: tzinfo = UTC

    def check(
        self, usage: Usage, attempt: int, size: int, now: int, moments: Callable[[], Sequence[int]] = tuple
    ) -> None:
        """Raises TooManySubmissions when a file of `size` bytes is too much at `now`, as this `attempt`.

        `moments` gives those of the person's submissions for the assignment within the last hour.
        """
        if self.here is not None:
            self.here.check(moments(), now, self.zone)
        if attempt > self.attempts:
            raise TooManySubmissions(
                f"you have submitted {counted(self.attempts, 'time')}, which is all that one assignment takes from a "
                "person: the last one stays. Your instructor can raise max_attempts in mograder.toml",
                retry_after=3600,
            )
        if usage.size + size > self.size:
            raise TooManySubmissions(
                f"your submissions have {usage.size / MIB:.1f} MiB and this file {size / MIB:.1f} MiB; of a person the "
                f"course keeps {self.size // MIB} MiB. Your instructor can raise max_person_mb in mograder.toml",
                retry_after=3600,
            )
        if usage.recent >= self.per_hour:
            wait = max(1, -(-(usage.oldest + HOUR - now) // deadlines.SECOND))
            raise TooManySubmissions(
                f"you have submitted {counted(self.per_hour, 'time')} within an hour, which is all that is taken: "
                f"your submissions are safe; the next is taken in {counted(-(-wait // 60), 'minute')}",
                retry_after=wait,
            )
