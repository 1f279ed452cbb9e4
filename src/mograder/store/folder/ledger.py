"""The course's SQLite file: accounts, receipts, audit log, and the write-ahead copy of small submissions.

Invariant: when `write` returns, its transaction is committed and flushed. Writers of one process that wait at the same
moment share one transaction and one flush (group commit); a lock excludes other processes (process_lock.py).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from mograder.domain.errors import StorageFull, Temporary, Unreadable
from mograder.store.folder.process_lock import locked
from mograder.store.shared.files import storage_errors

T = TypeVar("T")

TOGETHER = 200
"""Writers in one transaction at most, so that the first of them does not wait too long."""

MIGRATIONS = tuple(f"ledger_{number:03}.sql" for number in range(1, 20))
"""The steps of the schema, in their order; the version of a ledger is how many it has been through."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a ledger's schema up to date, in one transaction."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if steps := [Path(__file__).with_name(name).read_text() for name in MIGRATIONS[version:]]:
        connection.executescript(
            "\n".join(("BEGIN IMMEDIATE;", *steps, f"PRAGMA user_version = {len(MIGRATIONS)};", "COMMIT;"))
        )


class _Entry(Generic[T]):
    """One writer's part of a transaction, and the promise of its value."""

    def __init__(self, work: Callable[[sqlite3.Connection], T], after: Callable[[T], None] | None) -> None:
        self._work = work
        self._after = after
        self._value: T | None = None
        self.error: BaseException | None = None
        self.promise: Future[T] = Future()
        self.promise.set_running_or_notify_cancel()  # it cannot be cancelled

    def run(self, connection: sqlite3.Connection) -> None:
        """Run the entry in a savepoint: if it fails, the other entries of the transaction stay."""
        connection.execute("SAVEPOINT entry")
        try:
            self._value = self._work(connection)
        except sqlite3.Error:
            raise  # the database has failed, and so the whole batch
        except Exception as error:  # noqa: BLE001 (raised again by the caller that waits for the future)
            self.error = error
            connection.execute("ROLLBACK TO entry")
        connection.execute("RELEASE entry")

    def follow(self) -> None:
        if self.error is None and self._after is not None:
            self._after(self._value)  # type: ignore[arg-type]

    def keep_promise(self) -> None:
        if self.error is not None:
            self.promise.set_exception(self.error)
        else:
            self.promise.set_result(self._value)  # type: ignore[arg-type]


class Ledger:
    """The open ledger of one course. Methods may be called from many threads."""

    def __init__(self, path: Path, lock_path: Path) -> None:
        """Opens or creates the file and brings its schema up to date. Raises Unreadable, StorageFull, Temporary."""
        self.path = path
        self._lock_path = lock_path
        self._queue: SimpleQueue[_Entry[Any] | None] = SimpleQueue()
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        with self.errors(), ExitStack() as on_failure:
            # Created with this mode before SQLite opens it, since the companion files (-wal, -shm) inherit the mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._writer = self._connect(on_failure)
            self._migrate()
            self._reader = self._connect(on_failure)
            on_failure.pop_all()
        self._thread = threading.Thread(target=self._write_on, name="ledger", daemon=True)
        self._thread.start()

    def _connect(self, closes: ExitStack) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        closes.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # Deleted bytes are not overwritten with zeros; an erasure uses VACUUM for that.
        connection.execute("PRAGMA secure_delete = FAST")
        # A checkpoint flushes the whole file, so `checkpoint` does that now and then, not a writer every 1000 pages.
        connection.execute("PRAGMA wal_autocheckpoint = 16000")
        return connection

    def _migrate(self) -> None:
        with locked(self._lock_path):
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise Unreadable(
                    f"{self.path.name} was made by a newer mograder (schema {version}, this one knows "
                    f"{len(MIGRATIONS)}): upgrade mograder",
                    str(self.path),
                )
            migrate(self._writer)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translates the exceptions of SQLite and of the process lock to domain errors."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise StorageFull("the server's disk is full", retry_after=60) from error
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise Unreadable(
                    "the course's ledger cannot be read", f"{self.path}: {error}: restore it from a backup"
                ) from error
            raise Temporary(f"the course's ledger is not usable: {error}", retry_after=30) from error
        except TimeoutError as error:
            raise Temporary("another process holds the course's ledger", retry_after=5) from error
        except OSError as error:
            with storage_errors("write the ledger"):
                raise error

    def read(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query on committed data."""
        try:
            with self._reading:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            with self.errors():
                raise error

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as `begin` does, wait for the commit, and return the value."""
        return self.begin(work).result()

    def begin(self, work: Callable[[sqlite3.Connection], T], after: Callable[[T], None] | None = None) -> Future[T]:
        """Run `work` in a transaction under the process lock. The future has its value once that is flushed.

        `after` gets the value after the commit, in commit order and still under the lock; it must not raise. If `work`
        raises, only its own changes are undone. Both run in the ledger's one writing thread, so they must not write to
        the ledger again.
        """
        entry: _Entry[T] = _Entry(work, after)
        with self._closing:
            if self._closed:
                raise Temporary("the course is closed")
            self._queue.put(entry)
        return entry.promise

    def _write_on(self) -> None:
        """Commit all entries that queued up during the last commit in one transaction (group commit)."""
        entries: list[_Entry[Any] | None] = []
        while None not in entries:
            entries = [self._queue.get()]
            while len(entries) < TOGETHER and not self._queue.empty():
                entries.append(self._queue.get())
            if batch := [each for each in entries if each is not None]:
                self._commit(batch)

    def _commit(self, batch: list[_Entry[Any]]) -> None:
        try:
            with self.errors(), self._writing, locked(self._lock_path, longest=30):
                self._transact(batch)
                for entry in batch:
                    entry.follow()
        except BaseException as error:  # noqa: BLE001 (raised again by the callers; this thread must live on)
            for entry in batch:
                entry.error = entry.error or error
        for entry in batch:
            entry.keep_promise()

    def _transact(self, batch: list[_Entry[Any]]) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            for entry in batch:
                entry.run(self._writer)
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def checkpoint(self) -> None:
        """Move committed pages from the write-ahead log into the file, as far as no reader prevents it."""
        with self.errors(), ExitStack() as closes:
            connection = self._connect(closes)
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def compact(self) -> None:
        """Rewrite the file, so that no deleted bytes are left in it."""
        with self.errors(), self._writing, locked(self._lock_path, longest=30):
            self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Finish all writes that have begun, and close the file."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        with self._reading:
            self._reader.close()
            self._writer.close()
