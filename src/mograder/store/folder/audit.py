"""The audit log in the ledger of a course folder."""

from __future__ import annotations

from mograder.domain.audit import Event
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import record
from mograder.store.shared.rows import EVENT_COLUMNS


class FolderAudit:
    """An `AuditStore`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def record(self, event: Event) -> None:
        self._ledger.write(lambda connection: record(connection, event))

    def events(self, limit: int = 1000, skip: int = 0) -> list[Event]:
        sql = f"SELECT {EVENT_COLUMNS} FROM events ORDER BY number DESC LIMIT ? OFFSET ?"
        rows = self._ledger.read(sql, (limit, skip))
        return [Event(*row) for row in rows]

    def last(self, actor: str, action: str, limit: int) -> list[Event]:
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE actor = ? AND action = ? ORDER BY number DESC LIMIT ?"
        return [Event(*row) for row in self._ledger.read(sql, (actor, action, limit))]
