"""How much one person may submit: bounds that nobody meets who works on an assignment, and that end a flood."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mograder.domain import deadlines
from mograder.domain.errors import TooManySubmissions
from mograder.domain.names import counted

HOUR = 60 * deadlines.MINUTE
MIB = 1024 * 1024


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
class Allowance:
    """The bounds of one person: submissions within an hour, attempts at one assignment, bytes in the course."""

    per_hour: int = 240
    attempts: int = 2000
    size: int = 2048 * MIB

    def check(self, usage: Usage, attempt: int, size: int, now: int) -> None:
        """Raises TooManySubmissions when a file of `size` bytes is too much at `now`, as this `attempt`."""
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
