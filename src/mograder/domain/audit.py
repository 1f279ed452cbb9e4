"""The audit log: who did what to whom, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mograder.domain.deadlines import MINUTE

PIECE = 1000
"""Events in one read of `all_events`."""

ERASED_NAME = "(erased)"
"""Stands in the audit log for the name of an erased person."""


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
    """Repeated events. `event` is the newest, `first` the moment of the oldest (Unix microseconds)."""

    event: Event
    count: int
    first: int


def without_repeats(events: Iterable[Event]) -> list[AuditLine]:
    """The events, newest first, with one line for an event and its repeats in the hour before.

    This leaves out only the exact times of repeats, and the reasons in earlier requests for the same extension.
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
    """The part of the detail that must be equal in repeats.

    Of a request for an extension that is the assignment, of a remembered browser its name without the session's id.
    """
    first, _, rest = event.detail.partition(" ")
    return {"ask extension": first, "remember browser": rest}.get(event.action, event.detail)


def all_events(store: AuditStore) -> Iterator[Event]:
    """The whole audit log, newest first, read in pieces. Events that are recorded meanwhile shift it: some repeat."""
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
