"""Reads from a database in an event loop, on a connection of its own; a thread would cost more than the read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

Row = tuple[Any, ...]
Queries = Sequence[tuple[str, Sequence[object]]]
"""SQL, each with its values."""

CLIENT: dict[str, Any] = {
    "connect_timeout": 3,
    "fallback_application_name": "mograder",
    # A database whose machine or network has died sends no reset: else requests wait a quarter of an hour for it.
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 5_000,
}
"""Settings of each connection, for libpq: seconds, except for the last, in milliseconds."""


class LoopConnections:
    """One connection for each event loop that reads. `session` are settings of each connection."""

    def __init__(self, url: str, session: Mapping[str, str]) -> None:
        self._url, self._session = url, session
        self._generation = 0
        self._of: dict[asyncio.AbstractEventLoop, _LoopConnection] = {}

    async def read(self, queries: Queries) -> list[list[Row]]:
        """All rows of each query, in one round trip. Raises psycopg.Error; then the next call connects anew.

        There are event loops in which psycopg cannot wait, such as that of Windows.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._of:
            for ended in [each for each in self._of if each.is_closed()]:
                self._of.pop(ended).close()
            self._of[loop] = _LoopConnection()
        mine = self._of[loop]
        async with mine.lock:
            try:
                if mine.connection is None or mine.generation != self._generation:
                    mine.close()
                    mine.generation = self._generation
                    mine.connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **CLIENT)
                    for name, value in self._session.items():
                        await mine.connection.execute("SELECT set_config(%s, %s, false)", (name, value))
                return await _read(mine.connection, queries)
            except BaseException:  # also when cancelled: the rest of an answer must not be taken for the next one
                mine.close()
                raise

    def renew(self) -> None:
        """Let the next reads connect anew: another connection was lost, perhaps in a failover."""
        self._generation += 1

    def close(self) -> None:
        """Close the connections. No event loop may be reading."""
        while self._of:
            self._of.popitem()[1].close()


class _LoopConnection:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.generation = 0
        self.connection: psycopg.AsyncConnection[Row] | None = None

    def close(self) -> None:
        """Close at once, also when the event loop has ended."""
        if self.connection is not None:
            self.connection.pgconn.finish()
            self.connection = None


async def _read(connection: psycopg.AsyncConnection[Row], queries: Queries) -> list[list[Row]]:
    # A pipeline doubles the processor time of a single query.
    async with contextlib.nullcontext() if len(queries) == 1 else connection.pipeline():
        cursors = [await connection.cursor(binary=True).execute(sql, values) for sql, values in queries]
        return [await cursor.fetchall() for cursor in cursors]
