"""Devices: the browsers that a person has let the course remember.

Invariant: the audit log is what says which browsers are remembered, and the guard which of them were ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mograder.domain.access import Actor
from mograder.domain.audit import AuditStore, Event
from mograder.domain.deadlines import MINUTE
from mograder.domain.errors import NotFound
from mograder.domain.guard import Guard
from mograder.domain.names import Username, one_line, printable

REMEMBERED = 180 * 24 * 60 * MINUTE
"""How long after its last use a remembered browser stays logged in (microseconds)."""

LISTED = 2 * REMEMBERED
"""How long ago a browser may have been remembered that is listed; as long it is known which were ended."""

MOST_DEVICES = 20
"""Browsers that are remembered of one person; another one ends the oldest."""

ACTION = "remember browser"


@dataclass(frozen=True)
class Device:
    """A remembered browser: the id of its session, what it calls itself, since when (Unix microseconds)."""

    session: str
    name: str
    since: int


@dataclass(frozen=True)
class Devices:
    """The remembered browsers of one course's people."""

    audit: AuditStore
    guard: Guard
    clock: Callable[[], int]

    def remember(self, username: Username, session: str, name: str) -> None:
        """Note that the browser of `session` is remembered; of too many, the one that was remembered first is not."""
        shown = printable(one_line(name), 80)
        for event in self.audit.last(username, ACTION, 2 * MOST_DEVICES)[MOST_DEVICES - 1 :]:
            self.guard.end_session(event.detail.partition(" ")[0], self.clock() + LISTED)
        self.audit.record(Event(self.clock(), username, ACTION, username, f"{session} {shown}"))

    def of(self, actor: Actor) -> tuple[Device, ...]:
        """The remembered browsers of a person that were not ended, newest first."""
        since, found = self.clock() - LISTED, []
        for event in self.audit.last(actor.username, ACTION, MOST_DEVICES):
            session, _, name = event.detail.partition(" ")
            if event.moment >= since and not self.guard.has_ended(session):
                found.append(Device(session, name, event.moment))
        return tuple(found)

    def end(self, actor: Actor, session: str) -> None:
        """Log one of the person's own browsers out, everywhere. Raises NotFound."""
        if all(each.session != session for each in self.of(actor)):
            raise NotFound("this browser is not remembered any more")
        self.guard.end_session(session, self.clock() + LISTED)
        self.audit.record(Event(self.clock(), actor.username, "forget browser", actor.username))
