"""More time for one person and assignment: asked for, granted, declined, taken back."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo
from enum import StrEnum

from mograder.domain import deadlines
from mograder.domain.deadlines import MINUTE, Schedule
from mograder.domain.errors import BadRequest, NotFound
from mograder.domain.names import AssignmentName, Username, printable


class State(StrEnum):
    ASKED = "asked"
    GRANTED = "granted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class Decision(StrEnum):
    GRANT = "grant"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


@dataclass(frozen=True)
class Extension:
    """More time for one person and assignment, in Unix microseconds.

    `until` is the due time that was granted, None while none is; `note` is what was said with the last decision.
    `wanted` is the due time that the person asks for, None while nothing is open; `reason` is theirs.
    """

    assignment: AssignmentName
    username: Username
    until: int | None = None
    note: str = ""
    wanted: int | None = None
    reason: str = ""
    declined: bool = False

    @property
    def state(self) -> State:
        if self.wanted is not None:
            return State.ASKED
        if self.declined:
            return State.DECLINED
        return State.WITHDRAWN if self.until is None else State.GRANTED

    def after(self, decision: Decision, until: int | None, note: str) -> Extension:
        """As it is after a decision; a grant needs `until`. Raises NotFound when there is nothing to decide."""
        if decision is Decision.DECLINE and self.wanted is None:
            raise NotFound(f"{self.username!r} asks for no extension of {self.assignment!r}")
        if decision is Decision.WITHDRAW and self.until is None:
            raise NotFound(f"{self.username!r} has no extension of {self.assignment!r}")
        if decision is Decision.WITHDRAW:
            until = None
        elif decision is Decision.DECLINE:
            until = self.until
        return replace(self, until=until, note=note, wanted=None, declined=decision is Decision.DECLINE)


def parse_until(text: str, schedule: Schedule, zone: tzinfo) -> int:
    """The moment that a person means: +3d, +12h, +90m or +1w after the due time, or a date, or a date and time.

    Days and weeks keep the time of day in `zone`; a date means its end; a time without an offset is one of `zone`.
    Raises BadRequest.
    """
    said = text.strip()
    step = re.fullmatch(r"\+(\d{1,5})([mhdw])", said)
    due = schedule.due if schedule.due is not None else schedule.closes
    try:
        if step and due is None:
            raise BadRequest(f"there is no due time to which {said!r} could be added: give a date")
        if step and due is not None:
            number, unit = int(step[1]), step[2]
            if unit in "dw":
                return deadlines.days_later(due, number * (7 if unit == "w" else 1), zone)
            return due + number * (60 if unit == "h" else 1) * MINUTE
        a_day = re.fullmatch(r"\d{4}-\d\d-\d\d", said)
        return deadlines.moment_of(date.fromisoformat(said) if a_day else datetime.fromisoformat(said), zone)
    except (ValueError, OverflowError):
        raise BadRequest(f"{printable(said)!r} is no time: write +3d, +12h, 2030-02-08 or 2030-02-08T17:00") from None
