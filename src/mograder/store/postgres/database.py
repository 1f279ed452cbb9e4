"""A PostgreSQL database for courses: connections, transactions that happen exactly once, the schema.

Invariant: what `write` has returned from is committed. A connection that is cut during a commit leaves open whether it
happened, so each transaction leaves a mark, and a second try that finds the mark knows that the first one did.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolTimeout

from mograder.domain.errors import StorageFull, Temporary, Unreadable
from mograder.domain.names import one_line

log = logging.getLogger(__name__)

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]
Row = tuple[Any, ...]

MIGRATIONS = ("postgres_001.sql", "postgres_002.sql")

READ_PATIENCE, WRITE_PATIENCE = 3.0, 10.0
"""Seconds for which a request waits for a database that is away, before it is answered 503."""

CONNECTIONS = 16
"""At most so many from one server."""

_SESSION = {
    "lock_timeout": "10s",  # nobody waits for ever behind a server whose machine has died
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "20s",
}

_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)
"""The engine asks for another try: nothing of this one was kept."""


class Database:
    """The open database at `url`. Methods may be called from many threads."""

    def __init__(self, url: str) -> None:
        """Raises Temporary when it is not there, Unreadable when its schema is not the one that this program knows."""
        _check_schema(url)
        logging.getLogger("psycopg.pool").addFilter(_is_news)
        # `reconnect_timeout`: give up early and begin anew at the next request, instead of pausing longer and longer.
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url, min_size=1, max_size=CONNECTIONS, reconnect_timeout=2, open=True, configure=_configure,
            kwargs={"autocommit": True, "connect_timeout": 3, "fallback_application_name": "mograder"},
        )  # fmt: skip
        self._away = False
        self._proved: list[tuple[str, str]] = []
        self._proving = threading.Lock()

    def close(self) -> None:
        with contextlib.suppress(psycopg.Error), self._pool.connection(timeout=1) as connection:
            self._forget_proved(connection)
        self._pool.close()

    # reading

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query, on what is committed."""

        def work(connection: Connection) -> list[Row]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(sql, values).fetchall()

        return self._attempt(work, READ_PATIENCE)

    # writing

    def write(self, course: str, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; return its value once that is committed, exactly once.

        `work` may run several times; what it raises undoes all of it.
        """
        mark = secrets.token_hex(12)
        values: list[T] = []

        def transact(connection: Connection) -> T:
            with connection.transaction():
                moment = int(time.time() * 1_000_000)
                # Waits for an earlier try of ours that may still be committing, and then finds its mark.
                made = connection.execute(
                    "INSERT INTO marks (course, mark, moment) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    (course, mark, moment),
                )
                if made.rowcount == 0:
                    return values[-1]
                self._forget_proved(connection)
                values.append(work(connection))
            return values[-1]

        try:
            return self._attempt(transact, WRITE_PATIENCE)
        finally:
            with self._proving:
                self._proved.append((course, mark))

    def _forget_proved(self, connection: Connection) -> None:
        with self._proving:
            proved, self._proved = self._proved, []
        if proved:
            with connection.cursor() as cursor:
                cursor.executemany("DELETE FROM marks WHERE course = %s AND mark = %s", proved)

    def _attempt(self, work: Callable[[Connection], T], patience: float) -> T:
        """`work` on a connection, and again on another while connections are lost, for `patience` seconds."""
        ends = time.monotonic() + patience
        while True:
            # Once one has waited in vain, the others do not: answers of 503 must not queue up.
            timeout = 0.1 if self._away else max(ends - time.monotonic(), 0.1)
            try:
                with translated(), self._connection(timeout) as connection:
                    return work(connection)
            except _Lost as lost:
                if time.monotonic() >= ends:
                    raise Temporary("the course's database is away: try again", retry_after=5) from lost.__cause__
                log.warning("a connection to the database was lost: %s", lost.__cause__)
                self._pool.check()
            except _Retry as retry:
                if time.monotonic() >= ends:
                    raise Temporary("the course's database is busy: try again", retry_after=5) from retry.__cause__

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
                    connection.close()  # it leads to what is now a replica
                    raise
        except PoolTimeout:
            if not self._away:
                self._away = True
                log.error("the database is away: until it is back, requests are answered 503")
            raise


def _is_news(record: logging.LogRecord) -> bool:
    """Not each try of the pool to connect: that the database is away is said once."""
    return not str(record.msg).startswith(("error connecting", "reconnection attempt"))


class _Lost(Exception):
    """The connection went away; whether what was sent has happened is not known."""


class _Retry(Exception):
    """Nothing has happened, and another try may go well."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns what psycopg raises into our errors, and into _Lost and _Retry."""
    try:
        yield
    except _AGAIN as error:
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
    """Bound how long a session waits; commit to the disk even where the database's default says otherwise."""
    for name, value in _SESSION.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    row = connection.execute("SELECT current_setting('synchronous_commit')").fetchone()
    if row is not None and row[0] in ("off", "local"):
        connection.execute("SELECT set_config('synchronous_commit', 'on', false)")


def _check_schema(url: str) -> None:
    """Raises Temporary, Unreadable."""
    try:
        with translated(), psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
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
    """Bring the schema up to date; the version before and after. May run in several places at once.

    Each migration is a transaction that waits for a lock for 5 seconds at most, so that submissions do not queue up
    behind it. Raises Temporary, Unreadable.
    """
    try:
        with translated(), psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
            connection.execute("SELECT set_config('lock_timeout', '5s', false)")
            before = version = _version(connection)
            _refuse_newer(version)
            while version < len(MIGRATIONS):
                try:
                    version = _migrate(connection, version)
                except (errors.UniqueViolation, errors.DuplicateTable):  # somebody else has made the first table
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
        # Whoever updates this row first does the migration; the other waits here, and then has nothing to do.
        turn = connection.execute("UPDATE schema_version SET version = version + 1 WHERE version = %s", (version,))
        if turn.rowcount:
            connection.execute(script)
    return version + 1
