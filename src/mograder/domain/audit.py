"""The audit log: who did what to whom, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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


class AuditStore(Protocol):
    """What storage promises about the audit log."""

    def record(self, event: Event) -> None:
        """Add a line to the audit log."""
        ...

    def events(self, limit: int = 1000) -> list[Event]:
        """The last `limit` events of the audit log, newest first."""
        ...
