"""Limits of a submission: its size, and the time at which the assignment closes for the person."""

from __future__ import annotations

from dataclasses import dataclass

from mograder.domain import deadlines
from mograder.domain.assignments import Assignment
from mograder.domain.deadlines import Schedule
from mograder.domain.errors import Closed, TooLarge
from mograder.domain.names import counted
from mograder.domain.rules import ConfigStore


@dataclass(frozen=True)
class Admission:
    """The limits of one course's submissions. `max_upload` is in bytes."""

    config: ConfigStore
    max_upload: int

    def limit_for(self, assignment: Assignment) -> int:
        """The size of the largest submission, in bytes."""
        return min(assignment.rules.max_size or self.max_upload, self.max_upload)

    def check_size(self, assignment: Assignment, size: int) -> None:
        """Raises TooLarge."""
        if size > self.limit_for(assignment):
            raise TooLarge(f"the file has {counted(size, 'byte')}; at most {self.limit_for(assignment)} are allowed")

    def check_not_closed(self, assignment: Assignment, schedule: Schedule, received: int) -> None:
        """Raises Closed when `received` is after the end of a person's `schedule`."""
        closes = schedule.closes
        if closes is not None and deadlines.is_over(closes, received):
            zone = self.config.plan().zone
            raise Closed(
                f"{assignment.name!r} closed at {deadlines.readable(closes, zone)}; "
                f"this arrived at {deadlines.readable(received, zone)}",
                closes=closes / deadlines.SECOND,
            )
