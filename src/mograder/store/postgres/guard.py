"""Spent tickets and failed attempts of a course in a database."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.store.postgres.database import Connection
from mograder.store.postgres.tables import Adapter


class PostgresGuard(Adapter):
    """A `GuardStore`."""

    def spend(self, ticket: str, now: int, until: int) -> bool:
        def work(connection: Connection) -> bool:
            connection.execute("DELETE FROM spent WHERE course = %s AND until < %s", (self._course, now))
            spent = connection.execute(
                "INSERT INTO spent (course, ticket, until) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (self._course, ticket, until),
            )
            return spent.rowcount == 1

        return self._tables.write(work)

    def is_spent(self, ticket: str) -> bool:
        return bool(self._tables.read("SELECT 1 FROM spent WHERE course = %s AND ticket = %s", ticket))

    def spent(self, tickets: Sequence[str]) -> frozenset[str]:
        sql = "SELECT ticket FROM spent WHERE course = %s AND ticket = ANY(%s)"
        return frozenset(row[0] for row in self._tables.read(sql, list(tickets)))

    def note_failure(self, keys: Sequence[str], moment: int, keep: int) -> None:
        def work(connection: Connection) -> None:
            old = "DELETE FROM failures WHERE course = %s AND (moment < %s OR moment > %s)"
            connection.execute(old, (self._course, moment - keep, moment + keep))
            new = "INSERT INTO failures (course, key, moment) SELECT %s, unnest(%s::text[]), %s"
            connection.execute(new, (self._course, list(keys), moment))

        self._tables.write(work)

    def failures(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        rows = self._tables.read("SELECT key, moment FROM failures WHERE course = %s AND key = ANY(%s)", list(keys))
        return [(key, moment) for key, moment in rows]

    def forget_failures(self, keys: Sequence[str]) -> None:
        sql = "DELETE FROM failures WHERE course = %s AND key = ANY(%s)"
        self._tables.write(lambda connection: connection.execute(sql, (self._course, list(keys))))
