"""Extensions: more time for one person and assignment, requested, granted, declined or withdrawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Protocol

from mograder.domain import deadlines
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.deadlines import MINUTE, Schedule
from mograder.domain.errors import BadRequest, NotFound
from mograder.domain.names import AssignmentName, Username, counted, one_line, printable
from mograder.domain.rules import ConfigStore

MAX_REASON = 500  # characters
LONGEST = 5 * 366  # days beyond the due time


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
    """More time for one person and assignment. Times are in Unix microseconds.

    `until` is the granted due time, or None; `note` comes with the last decision. `wanted` is the due time of an open
    request, or None; `reason` is the person's.
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
        """The extension after a decision; a grant needs `until`. Raises NotFound if there is nothing to decide."""
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
    """The moment of a text such as +3d, +12h, +90m or +1w (after the due time), a date, or a date and time.

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


ChangeExtension = Callable[[Extension | None], Extension]


class ExtensionsStore(Protocol):
    """What storage promises about extensions."""

    def find(self, assignment: AssignmentName | None = None, username: Username | None = None) -> list[Extension]:
        """All extensions, or those of an assignment, a person, or both; sorted by assignment and name."""
        ...

    def change(self, changes: Sequence[tuple[AssignmentName, Username, ChangeExtension, Event]]) -> list[Extension]:
        """Replace extensions and record the events in one transaction: all are changed or none.

        Each change gets the present extension or None, and returns the new one. If one raises, nothing changes.
        """
        ...


def personal_schedule(assignment: Assignment, extension: Extension | None) -> Schedule:
    """An assignment's times for a person with this extension."""
    return assignment.rules.schedule.extended(extension.until if extension else None)


@dataclass(frozen=True)
class Change:
    """One decision. `until` is a text for `parse_until`; "" grants the requested time."""

    assignment: Assignment
    username: Username
    decision: Decision
    until: str = ""
    note: str = ""


@dataclass(frozen=True)
class Extensions:
    """The extensions of one course. `is_known` says whether a name is known in the course."""

    store: ExtensionsStore
    config: ConfigStore
    clock: Callable[[], int]
    is_known: Callable[[Username], bool]

    def all(self) -> list[Extension]:
        """All extensions, sorted by assignment and name."""
        return self.store.find()

    def waiting(self) -> list[Extension]:
        """The requests that are not decided yet."""
        return [each for each in self.store.find() if each.state is State.ASKED]

    def of(self, assignment: Assignment, user: Username) -> Extension | None:
        return next(iter(self.store.find(assignment.name, user)), None)

    def in_assignment(self, assignment: Assignment) -> list[Extension]:
        """All extensions of one assignment, sorted by name."""
        return self.store.find(assignment.name)

    def own(self, actor: Actor) -> tuple[Extension, ...]:
        """The extensions in the actor's own list of assignments; an instructor's list has none."""
        return () if actor.is_instructor else tuple(self.store.find(username=actor.username))

    def schedule(self, assignment: Assignment, user: Username) -> Schedule:
        """When the assignment opens, is due and closes for this person."""
        return personal_schedule(assignment, self.of(assignment, user))

    def ask(self, actor: Actor, assignment: Assignment, user: Username, until: str, reason: str) -> Extension:
        """Request more time; this replaces an earlier request. Raises BadRequest."""
        wanted = self._parse(assignment, until)
        shown = _reason(reason)

        def change(held: Extension | None) -> Extension:
            found = held or Extension(assignment.name, user)
            return replace(found, wanted=wanted, reason=shown, declined=False)

        event = self._event(actor, "ask extension", assignment, user, wanted, shown)
        return self.store.change([(assignment.name, user, change, event)])[0]

    def decide(self, actor: Actor, changes: Sequence[Change]) -> list[Extension]:
        """Grant, decline or withdraw; all changes are made, or none. Raises BadRequest or NotFound."""
        return self.store.change([self._decision(actor, each) for each in changes])

    def _decision(
        self, actor: Actor, wished: Change
    ) -> tuple[AssignmentName, Username, ChangeExtension, Event]:  # fmt: skip
        assignment, user, note = wished.assignment, wished.username, _reason(wished.note)
        if not self.is_known(user):
            raise NotFound(f"nobody called {user!r} is in the course: check the name")
        before = self.of(assignment, user)
        wanted = before.wanted if before else None
        until: int | None = None
        if wished.decision is Decision.GRANT:
            until = self._parse(assignment, wished.until, f" for {user!r}") if wished.until.strip() else wanted
            if until is None:
                raise BadRequest(f"{user!r} asks for no extension of {assignment.name!r}: say until when, such as +3d")

        def change(held: Extension | None) -> Extension:
            found = held or Extension(assignment.name, user)
            if wished.decision is not Decision.WITHDRAW and not wished.until.strip() and found.wanted != wanted:
                raise BadRequest(f"{user!r} has asked for another time meanwhile: look again")
            return found.after(wished.decision, until, note)

        event = self._event(actor, f"{wished.decision} extension", assignment, user, until, note)
        return assignment.name, user, change, event

    def _parse(self, assignment: Assignment, text: str, whose: str = "") -> int:
        zone, schedule = self.config.plan().zone, assignment.rules.schedule
        until = parse_until(text, schedule, zone)
        due = schedule.due if schedule.due is not None else schedule.closes
        if due is None:
            raise BadRequest(f"{assignment.name!r} has no due time: there is nothing to extend")
        if until <= due or until > deadlines.days_later(due, LONGEST, zone):
            wrong, wanted = ("not", "later") if until <= due else ("too long", "nearer")
            raise BadRequest(
                f"{deadlines.readable(until, zone)} is {wrong} after the due time of {assignment.name!r}, "
                f"{deadlines.readable(due, zone)}: choose a {wanted} one{whose}"
            )
        return until

    def _event(
        self, actor: Actor, action: str, assignment: Assignment, user: Username, until: int | None, note: str
    ) -> Event:
        detail = assignment.name + (f" until {deadlines.iso(until)}" if until is not None else "")
        return Event(self.clock(), actor.username, action, user, detail + (f": {note}" if note else ""))


def _reason(text: str) -> str:
    shown = one_line(text)
    if len(shown) > MAX_REASON:
        raise BadRequest(f"the reason has {counted(len(shown), 'character')}: at most {MAX_REASON} are allowed")
    return shown
