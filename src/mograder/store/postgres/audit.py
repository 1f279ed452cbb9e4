"""The audit log of a course in a database."""

from __future__ import annotations

from mograder.domain.audit import Event
from mograder.store.postgres.rows import record
from mograder.store.postgres.tables import Adapter
from mograder.store.shared.rows import EVENT_COLUMNS


class PostgresAudit(Adapter):
    """An `AuditStore`."""

    def record(self, event: Event) -> None:
        self._tables.write(lambda connection: record(connection, self._course, [event]))

    def events(self, limit: int = 1000, skip: int = 0) -> list[Event]:
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE course = %s ORDER BY number DESC LIMIT %s OFFSET %s"
        return [Event(*row) for row in self._tables.read(sql, limit, skip)]

    def last(self, actor: str, action: str, limit: int) -> list[Event]:
        sql = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE course = %s AND actor = %s AND action = %s "
            "ORDER BY number DESC LIMIT %s"
        )
        return [Event(*row) for row in self._tables.read(sql, actor, action, limit)]
