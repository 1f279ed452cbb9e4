"""A PostgreSQL database for courses: connections, transactions that happen exactly once, the schema.

Invariant: when `write` returns, its transaction is committed. If the connection breaks during a commit, the client
cannot know whether it happened; so each transaction writes a mark, and a retry that finds the mark does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import resources
from typing import Any, TypeVar

import psycopg
import stamina
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolTimeout

from mograder.domain.errors import StorageFull, Temporary, Unreadable
from mograder.domain.names import one_line
from mograder.store.postgres.loop_connections import CLIENT, LoopConnections, Queries

log = logging.getLogger(__name__)

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]
Row = tuple[Any, ...]

MIGRATIONS = tuple(f"postgres_{number:03}.sql" for number in range(1, 14))
"""The steps of the schema, in their order; the version of a database is how many it has been through."""

READ_PATIENCE, WRITE_PATIENCE = 3.0, 10.0
"""Seconds for which a request waits for a database that is away, before it is answered 503."""

CONNECTIONS = 16
"""Connections in the pool of one server at most."""

_SESSION = {
    "lock_timeout": "10s",  # a server whose machine has died may still hold a lock
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "20s",
}

_TO_RETRY = (errors.SerializationFailure, errors.DeadlockDetected)
"""Errors after which the transaction is to be retried: it was rolled back."""


class Database:
    """The open database at `url`. Methods may be called from many threads."""

    def __init__(self, url: str) -> None:
        """Raises Temporary when the database is away, Unreadable when its schema is newer or older than needed."""
        _check_schema(url)
        logging.getLogger("psycopg.pool").addFilter(_is_news)
        logging.getLogger("stamina").addFilter(_is_news)
        # `reconnect_timeout`: give up early and start again at the next request, instead of ever longer pauses.
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url, min_size=1, max_size=CONNECTIONS, reconnect_timeout=2, open=True, configure=_configure,
            kwargs={"autocommit": True, **CLIENT},
        )  # fmt: skip
        self._loops = LoopConnections(url, _SESSION)
        self._away = False
        self._finished: list[tuple[str, str]] = []
        self._finished_lock = threading.Lock()

    def close(self) -> None:
        with contextlib.suppress(psycopg.Error), self._pool.connection(timeout=1) as connection:
            self._forget_finished(connection)
        self._loops.close()
        self._pool.close()

    # reading

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query on committed data."""

        def work(connection: Connection) -> list[Row]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(sql, values).fetchall()

        return self._attempt(work, READ_PATIENCE)

    async def read_together(self, queries: Queries) -> list[list[Row]]:
        """All rows of each query, in one round trip; a query may see later commits than the one before it.

        The event loop reads on a connection of its own. While that fails, a thread waits for one of the pool.
        """
        if not self._away:
            with contextlib.suppress(psycopg.Error):
                return await self._loops.read(queries)
        return await asyncio.to_thread(self._attempt, partial(_read_together, queries), READ_PATIENCE)

    # writing

    def write(self, course: str, work: Callable[[Connection], T], *, together: bool = False) -> T:
        """Run `work` in a transaction that is committed exactly once, and return its value after the commit.

        `work` may run several times; if it raises, nothing of it stays. With `together` all statements and the commit
        are sent without waiting for results; then `work` must not look at `rowcount`.
        """
        mark = secrets.token_hex(12)
        values: list[T] = []

        def transact(connection: Connection) -> T:
            again = bool(values)  # the previous attempt may have been committed
            with (
                connection.pipeline() if together and not again else contextlib.nullcontext(),
                connection.transaction(),
            ):
                moment = int(time.time() * 1_000_000)
                # Waits for a previous attempt that may still be committing, and then finds its mark.
                made = connection.execute(
                    "INSERT INTO marks (course, mark, moment) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    (course, mark, moment),
                )
                if again and made.rowcount == 0:
                    return values[-1]
                self._forget_finished(connection)
                values.append(work(connection))
            return values[-1]

        try:
            return self._attempt(transact, WRITE_PATIENCE)
        finally:
            with self._finished_lock:
                self._finished.append((course, mark))

    def _forget_finished(self, connection: Connection) -> None:
        with self._finished_lock:
            finished, self._finished = self._finished, []
        if finished:
            with connection.cursor() as cursor:
                cursor.executemany("DELETE FROM marks WHERE course = %s AND mark = %s", finished)

    def _attempt(self, work: Callable[[Connection], T], patience: float) -> T:
        """Run `work` on a connection, and again on another while connections are lost, for `patience` seconds."""
        ends = time.monotonic() + patience
        once = patience <= 0  # stamina refuses a timeout of 0
        attempts = stamina.retry_context(
            on=(_Lost, _Retry), attempts=1 if once else None, timeout=None if once else patience, wait_initial=0.01,
            wait_max=0.1, wait_jitter=0.01,
        )  # fmt: skip
        try:
            for attempt in attempts:
                with attempt:
                    return self._once(work, ends)
        except _Lost as lost:
            raise Temporary("the course's database is away: try again", retry_after=5) from lost.__cause__
        except _Retry as retry:
            raise Temporary("the course's database is busy: try again", retry_after=5) from retry.__cause__
        raise AssertionError("the last attempt returns or raises")

    def _once(self, work: Callable[[Connection], T], ends: float) -> T:
        # Once one request has waited in vain, the others wait no longer: answers of 503 must not queue up.
        timeout = 0.1 if self._away else max(ends - time.monotonic(), 0.1)
        try:
            with translated(), self._connection(timeout) as connection:
                return work(connection)
        except _Lost as lost:
            log.warning("a connection to the database was lost: %s", lost.__cause__)
            self._pool.check()
            self._loops.renew()
            raise

    @contextlib.contextmanager
    def _connection(self, timeout: float) -> Iterator[Connection]:
        try:
            with self._pool.connection(timeout=timeout) as connection:
                if self._away:
                    self._away = False
                    log.warning("the database is back")
                try:
                    yield connection
                except errors.ReadOnlySqlTransaction:
                    connection.close()  # its server has become a replica
                    raise
        except PoolTimeout:
            if not self._away:
                self._away = True
                log.error("the database is away: until it is back, requests are answered 503")
            raise


def _read_together(queries: Queries, connection: Connection) -> list[list[Row]]:
    return [connection.cursor(binary=True).execute(sql, values).fetchall() for sql, values in queries]


def _is_news(record: logging.LogRecord) -> bool:
    """Whether to log a message: repeated attempts are not logged, as this module logs a lost connection once."""
    return not str(record.msg).startswith(("error connecting", "reconnection attempt", "stamina.retry_scheduled"))


class _Lost(Exception):
    """The connection was lost; it is unknown whether the transaction was committed."""


class _Retry(Exception):
    """The transaction was rolled back, and a retry may succeed."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Translates psycopg's exceptions to domain errors, _Lost and _Retry."""
    try:
        yield
    except _TO_RETRY as error:
        raise _Retry from error
    except errors.DiskFull as error:
        raise StorageFull("the database's disk is full", retry_after=60) from error
    except PoolTimeout as error:
        raise Temporary("the course's database is away: try again", retry_after=5) from error
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.OutOfMemory) as error:
        raise Temporary("the course's database is busy: try again", retry_after=5) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction) as error:
        raise _Lost from error
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        raise Unreadable(f"the database's schema is not the one that is known: {error}", "the database") from error


def _configure(connection: Connection) -> None:
    """Limit how long a session waits, and make commits durable even where the database's default is laxer."""
    for name, value in _SESSION.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    row = connection.execute("SELECT current_setting('synchronous_commit')").fetchone()
    if row is not None and row[0] in ("off", "local"):
        connection.execute("SELECT set_config('synchronous_commit', 'on', false)")


def _check_schema(url: str) -> None:
    """Raises Temporary, Unreadable."""
    try:
        with translated(), psycopg.connect(url, autocommit=True, **CLIENT) as connection:
            version = _version(connection)
    except (_Lost, _Retry) as error:
        raise Temporary(f"the database is away: {one_line(str(error.__cause__))}") from error
    _refuse_newer(version)
    if version < len(MIGRATIONS):
        raise Unreadable(
            f"the database has schema {version} and this mograder needs {len(MIGRATIONS)}: run "
            "'mograder store upgrade' with its URL",
            "the table schema_version",
        )


def _version(connection: Connection) -> int:
    try:
        row = connection.execute("SELECT version FROM schema_version").fetchone()
    except errors.UndefinedTable:
        return 0
    return int(row[0]) if row else 0


def _refuse_newer(version: int) -> None:
    if version > len(MIGRATIONS):
        raise Unreadable(
            f"the database was upgraded by a newer mograder (schema {version}, this one knows {len(MIGRATIONS)}): "
            "upgrade mograder",
            "the table schema_version",
        )


def upgrade(url: str) -> tuple[int, int]:
    """Bring the schema up to date; returns its version before and after. Several processes may do so at once.

    Each migration is a transaction that waits for a lock for 5 seconds at most, so that submissions do not queue up
    behind it. Raises Temporary, Unreadable.
    """
    try:
        with translated(), psycopg.connect(url, autocommit=True, **CLIENT) as connection:
            connection.execute("SELECT set_config('lock_timeout', '5s', false)")
            before = version = _version(connection)
            _refuse_newer(version)
            while version < len(MIGRATIONS):
                try:
                    version = _migrate(connection, version)
                except (errors.UniqueViolation, errors.DuplicateTable):  # another process has made the first table
                    version = _version(connection)
            return before, version
    except (_Lost, _Retry) as error:
        raise Temporary(f"the database is away or busy: {one_line(str(error.__cause__))}: run it again") from error


def _migrate(connection: Connection, version: int) -> int:
    script = resources.files(__package__).joinpath(MIGRATIONS[version]).read_bytes()
    with connection.transaction():
        if version == 0:
            connection.execute("CREATE TABLE IF NOT EXISTS schema_version (one bigint PRIMARY KEY, version bigint)")
            connection.execute("INSERT INTO schema_version VALUES (1, 0) ON CONFLICT DO NOTHING")
        # The process that updates this row first does the migration; others wait here, and then have nothing to do.
        is_first = connection.execute("UPDATE schema_version SET version = version + 1 WHERE version = %s", (version,))
        if is_first.rowcount:
            connection.execute(script)
    return version + 1
