"""Spent tickets and failed attempts in the ledger of a course folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mograder.store.folder.ledger import Ledger


class FolderGuard:
    """A `GuardStore`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def spend(self, ticket: str, now: int, until: int) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM spent WHERE until < ?", (now,))
            return connection.execute("INSERT OR IGNORE INTO spent VALUES (?, ?)", (ticket, until)).rowcount == 1

        return self._ledger.write(work)

    def is_spent(self, ticket: str) -> bool:
        return bool(self._ledger.read("SELECT 1 FROM spent WHERE ticket = ?", (ticket,)))

    def spent(self, tickets: Sequence[str]) -> frozenset[str]:
        wanted = ", ".join("?" for _ in tickets)
        rows = self._ledger.read(f"SELECT ticket FROM spent WHERE ticket IN ({wanted})", tuple(tickets))
        return frozenset(row[0] for row in rows)

    def note_failure(self, keys: Sequence[str], moment: int, keep: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            old = "DELETE FROM failures WHERE moment < ? OR moment > ?"
            connection.execute(old, (moment - keep, moment + keep))
            connection.executemany("INSERT INTO failures VALUES (?, ?)", [(key, moment) for key in keys])

        self._ledger.write(work)

    def failures(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        return [row for key in keys for row in self._ledger.read("SELECT * FROM failures WHERE key = ?", (key,))]

    def forget_failures(self, keys: Sequence[str]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM failures WHERE key = ?", [(key,) for key in keys])

        self._ledger.write(work)
