"""Rows of a course's SQLite ledger as values, and values as rows of an open transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mograder.domain.access import Account
from mograder.domain.accounts import ChangeAccount
from mograder.domain.audit import Event
from mograder.domain.commitments import Commitment
from mograder.domain.extensions import ChangeExtension, Extension
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Head, Receipt, chain_hash, stem_of
from mograder.store.shared.erased import erased_account
from mograder.store.shared.rows import (
    ACCOUNT_COLUMNS,
    EXTENSION_COLUMNS,
    RECEIPT_COLUMNS,
    Row,
    account_of,
    account_values,
    extension_of,
    extension_values,
    receipt_of,
)

ERASED_NAMES = "SELECT salt, digest, generation FROM erased_names ORDER BY generation DESC"

COMMITS = (
    "SELECT assignment, username, sha256, size, moment FROM commits WHERE assignment = ? AND username = ? "
    "ORDER BY moment, sha256"
)

LATEST_SINCE = f"""SELECT {RECEIPT_COLUMNS.replace("text", repr(""))} FROM receipts WHERE number IN
(SELECT max(number) FROM receipts WHERE number > ? GROUP BY +assignment, +username) ORDER BY number"""
"""The pluses keep SQLite from reading all receipts in the order of an index: it finds new ones by their number."""

VERSIONS = """SELECT noun, number FROM versions
UNION ALL SELECT 'receipts', coalesce((SELECT max(number) FROM receipts), 0)"""

HEAD = (
    "SELECT number, text, '' FROM receipts UNION ALL SELECT number, '', hash FROM erased ORDER BY number DESC LIMIT 1"
)

VERSION = "SELECT 1 FROM receipts WHERE assignment = ? AND filename > ? AND filename < ?"

LAST_VERSION = "SELECT max(filename) FROM receipts WHERE assignment = ? AND username = ?"


def version_values(assignment: str, filename: str) -> tuple[str, str, str]:
    """The values of VERSION, which finds a version of this name, whatever its ending."""
    stem = stem_of(filename)
    return assignment, f"{stem}.", f"{stem}/"  # "/" comes after "."


def places(columns: str) -> str:
    """A question mark for each of the columns."""
    return ", ".join("?" for _ in columns.split(", "))


def settings(columns: Iterable[str]) -> str:
    """The SET clause of these columns, with a question mark for each value."""
    return ", ".join(f"{each} = ?" for each in columns)


def change_account(connection: sqlite3.Connection, username: Username, change: ChangeAccount, event: Event) -> Account:
    row = connection.execute(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE key = ?", (username.key,)).fetchone()
    held = account_of(row) if row else erased_account(connection.execute(ERASED_NAMES).fetchall(), username)
    account = change(held)
    if account == held:
        return account
    connection.execute(
        f"INSERT OR REPLACE INTO accounts (key, {ACCOUNT_COLUMNS}) VALUES (?, {places(ACCOUNT_COLUMNS)})",
        (account.username.key, *account_values(account)),
    )
    record(connection, event)
    return account


def change_extension(
    connection: sqlite3.Connection, assignment: AssignmentName, username: Username, change: ChangeExtension,
    event: Event,
) -> Extension:  # fmt: skip
    row = connection.execute(
        f"SELECT {EXTENSION_COLUMNS} FROM extensions WHERE assignment = ? AND username = ?", (assignment, username)
    ).fetchone()
    extension = change(extension_of(row) if row else None)
    connection.execute(
        f"INSERT OR REPLACE INTO extensions ({EXTENSION_COLUMNS}) VALUES ({places(EXTENSION_COLUMNS)})",
        extension_values(extension),
    )
    record(connection, event)
    return extension


def commitment_of(row: Row) -> Commitment:
    return Commitment(AssignmentName(row[0]), Username(row[1]), *row[2:])


def where_asked(**asked: str | None) -> tuple[str, tuple[str, ...]]:
    """A condition on those columns that are not None, so that an index can be used, and its values."""
    wanted = {column: value for column, value in asked.items() if value is not None}
    return " AND ".join(f"{column} = ?" for column in wanted) or "TRUE", tuple(wanted.values())


def head_of(row: Row | None) -> Head:
    return Head(row[0], row[2] or chain_hash(row[1])) if row else Head()


def latest_receipt(connection: sqlite3.Connection, assignment: AssignmentName, username: Username) -> Receipt | None:
    row = connection.execute(
        f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE assignment = ? AND username = ? ORDER BY attempt DESC LIMIT 1",
        (assignment, username),
    ).fetchone()
    return receipt_of(row) if row else None


def record(connection: sqlite3.Connection, event: Event) -> None:
    connection.execute(
        "INSERT INTO events (moment, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
        (event.moment, event.actor, event.action, event.subject, event.detail),
    )
