"""Reads a course's ledger without changing the folder, also while a server runs on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mograder.domain.errors import BadName, Unreadable
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import Submission
from mograder.store.folder.ledger import MIGRATIONS, migrate


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees the ledger as it is at one moment, whatever is written meanwhile.

    Raises FileNotFoundError, and Unreadable when SQLite fails, also inside the block.
    """
    path.stat()
    with contextlib.ExitStack() as after:
        try:
            connection = _connect(path, after)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise Unreadable(f"{path.name} was made by a newer mograder: upgrade mograder", str(path))
            if version < len(MIGRATIONS):
                connection = _up_to_date(connection, after)
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM receipts LIMIT 1").fetchone()  # the first read fixes the moment
            yield connection
        except sqlite3.Error as error:
            raise Unreadable(
                f"{path.name} cannot be read: {error}: restore it from a backup", f"{path}: {error}"
            ) from error


def _connect(path: Path, after: contextlib.ExitStack) -> sqlite3.Connection:
    if not _has_log(path):
        # No process writes: opened as immutable, so that SQLite makes no companion files.
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
        after.callback(connection.close)
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if not _has_log(path):
            return connection
    if not os.path.lexists(f"{path}-shm"):
        # A copied course that no server has open: a copy is read, so that nothing is made beside the original.
        folder = Path(after.enter_context(tempfile.TemporaryDirectory()))
        for name in (path.name, f"{path.name}-wal"):
            shutil.copyfile(path.with_name(name), folder / name)
        path = folder / path.name
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None)
    after.callback(connection.close)
    return connection


def _up_to_date(connection: sqlite3.Connection, after: contextlib.ExitStack) -> sqlite3.Connection:
    """A copy in memory with the current schema, for a ledger that no server of this version has opened yet."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    after.callback(copy.close)
    connection.backup(copy)
    migrate(copy)
    return copy


def _has_log(path: Path) -> bool:
    return os.path.lexists(f"{path}-wal")


def stays_inside(submission: Submission) -> bool:
    """Whether the names that the ledger gives a submission are valid: altered ones could lead out of the folder."""
    try:
        AssignmentName.parse(submission.assignment)
        Username.parse(submission.username)
        FileName.parse(submission.filename)
    except BadName:
        return False
    return "/" not in submission.filename
