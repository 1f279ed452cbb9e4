"""Extensions as people ask for them and decide on them, over the store; `Course.extensions` is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mograder.domain import deadlines
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.errors import BadRequest, NotFound
from mograder.domain.extensions import Decision, Extension, parse_until
from mograder.domain.names import AssignmentName, Username, counted, one_line
from mograder.domain.store import ChangeExtension, Event, Store

MAX_REASON = 500  # characters
LONGEST = 5 * 366  # days beyond the due time


@dataclass(frozen=True)
class Change:
    """One decision. `until` is a text that `parse_until` reads, "" to grant what was asked for."""

    assignment: Assignment
    username: Username
    decision: Decision
    until: str = ""
    note: str = ""


@dataclass(frozen=True)
class Extensions:
    """The extensions of one course. `is_known` says whether a name is somebody's in the course."""

    store: Store
    clock: Callable[[], int]
    is_known: Callable[[Username], bool]

    def all(self) -> list[Extension]:
        """Of everybody, sorted by assignment and name."""
        return self.store.extensions()

    def of(self, assignment: Assignment, user: Username) -> Extension | None:
        return next(iter(self.store.extensions(assignment.name, user)), None)

    def ask(self, actor: Actor, assignment: Assignment, user: Username, until: str, reason: str) -> Extension:
        """Ask for more time; it replaces what the person has asked for before. Raises BadRequest."""
        wanted = self._parse(assignment, until)
        shown = _reason(reason)

        def change(held: Extension | None) -> Extension:
            found = held or Extension(assignment.name, user)
            return replace(found, wanted=wanted, reason=shown, declined=False)

        event = self._event(actor, "ask extension", assignment, user, wanted, shown)
        return self.store.change_extensions([(assignment.name, user, change, event)])[0]

    def decide(self, actor: Actor, changes: Sequence[Change]) -> list[Extension]:
        """Grant, decline or withdraw: all or nothing. Raises BadRequest or NotFound."""
        return self.store.change_extensions([self._decision(actor, each) for each in changes])

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
                raise BadRequest(f"{user!r} asks for another time meanwhile: look again")
            return found.after(wished.decision, until, note)

        event = self._event(actor, f"{wished.decision} extension", assignment, user, until, note)
        return assignment.name, user, change, event

    def _parse(self, assignment: Assignment, text: str, whose: str = "") -> int:
        zone, schedule = self.store.plan().zone, assignment.rules.schedule
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
        raise BadRequest(f"the reason has {counted(len(shown), 'character')}: at most {MAX_REASON} are taken")
    return shown
