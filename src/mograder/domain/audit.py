"""The audit log: who did what to whom, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mograder.domain.deadlines import MINUTE

PIECE = 1000
"""Events that are read at once."""

ERASED_NAME = "(erased)"
"""What the audit log calls a person who was erased."""


@dataclass(frozen=True)
class Event:
    """One line of the audit log: who did what to whom or what, and when (Unix microseconds)."""

    moment: int
    actor: str
    action: str
    subject: str
    detail: str = ""


@dataclass(frozen=True)
class AuditLine:
    """Events that say the same, one after another. `event` is the newest, `first` the moment of the oldest."""

    event: Event
    count: int
    first: int


def without_repeats(events: Iterable[Event]) -> list[AuditLine]:
    """The events, newest first, where one line stands for all that repeat it within an hour.

    Nothing is lost but when exactly each repeat was, and what a student wrote into an earlier request for more time.
    """
    lines: list[AuditLine] = []
    latest: dict[tuple[str, ...], int] = {}
    for event in events:
        key = (event.actor, event.action, event.subject, _said(event))
        at = latest.get(key)
        if at is not None and lines[at].event.moment - event.moment <= 60 * MINUTE:
            lines[at] = AuditLine(lines[at].event, lines[at].count + 1, event.moment)
        else:
            latest[key] = len(lines)
            lines.append(AuditLine(event, 1, event.moment))
    return lines


def _said(event: Event) -> str:
    """What must be equal of the details. A request for more time replaces the one before: the assignment counts.

    Of a browser that is remembered its name counts, not the id of the session.
    """
    first, _, rest = event.detail.partition(" ")
    return {"ask extension": first, "remember browser": rest}.get(event.action, event.detail)


def all_events(store: AuditStore) -> Iterator[Event]:
    """The whole audit log, newest first, read in pieces. What is recorded meanwhile may come twice."""
    skip = 0
    while piece := store.events(PIECE, skip):
        yield from piece
        skip += len(piece)


class AuditStore(Protocol):
    """What storage promises about the audit log."""

    def record(self, event: Event) -> None:
        """Add a line to the audit log."""
        ...

    def events(self, limit: int = 1000, skip: int = 0) -> list[Event]:
        """The last `limit` events of the audit log, newest first, without the `skip` newest."""
        ...

    def last(self, actor: str, action: str, limit: int) -> list[Event]:
        """The last `limit` events in which `actor` did `action`, newest first."""
        ...
