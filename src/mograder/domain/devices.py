"""Devices: browsers that stay logged in because a person has let the course remember them.

Invariant: the audit log says which browsers were remembered, and the guard which of their sessions were ended.
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
"""How long remembered browsers are listed, and ended sessions kept (microseconds)."""

MOST_DEVICES = 20
"""Remembered browsers of one person at most; one more ends the oldest session."""

ACTION = "remember browser"


@dataclass(frozen=True)
class Device:
    """A remembered browser: the id of its session, its name, and since when (Unix microseconds)."""

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
        """Remember the browser of `session`. If there are too many, the oldest session ends."""
        shown = printable(one_line(name), 80)
        for event in self.audit.last(username, ACTION, 2 * MOST_DEVICES)[MOST_DEVICES - 1 :]:
            self.guard.end_session(event.detail.partition(" ")[0], self.clock() + LISTED)
        self.audit.record(Event(self.clock(), username, ACTION, username, f"{session} {shown}"))

    def of(self, actor: Actor) -> tuple[Device, ...]:
        """A person's remembered browsers whose sessions were not ended, newest first."""
        since, found = self.clock() - LISTED, []
        for event in self.audit.last(actor.username, ACTION, MOST_DEVICES):
            session, _, name = event.detail.partition(" ")
            if event.moment >= since and not self.guard.has_ended(session):
                found.append(Device(session, name, event.moment))
        return tuple(found)

    def end(self, actor: Actor, session: str) -> None:
        """Log out one of the person's own browsers, in every server. Raises NotFound."""
        if all(each.session != session for each in self.of(actor)):
            raise NotFound("this browser is not remembered any more")
        self.guard.end_session(session, self.clock() + LISTED)
        self.audit.record(Event(self.clock(), actor.username, "forget browser", actor.username))
