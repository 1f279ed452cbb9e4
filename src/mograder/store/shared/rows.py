"""Rows of a course's ledger as values, and values as rows of an open transaction; of receipts, in a database too."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple
from typing import Any

from mograder.domain.access import Account, Role
from mograder.domain.commitments import Commitment
from mograder.domain.extensions import Extension
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Head, Receipt, Submission, chain_hash
from mograder.domain.store import ChangeAccount, ChangeExtension, Event
from mograder.store.folder.erase import ERASED_NAMES, erased_account

RECEIPT_COLUMNS = (
    "number, previous, assignment, username, attempt, filename, sha256, size, received, by, late, due, arrived, text"
)

ACCOUNT_COLUMNS = "username, role, name, generation, bound, code_hash, created, removed, claim_hash, claimed"


def account_of(row: tuple[Any, ...]) -> Account:
    username, role, name, generation, bound, code_hash, created, removed, claim_hash, claimed = row
    return Account(
        Username(username), Role(role), name, generation, bool(bound), code_hash, created, bool(removed), claim_hash,
        claimed,
    )  # fmt: skip


def change_account(connection: sqlite3.Connection, username: Username, change: ChangeAccount, event: Event) -> Account:
    row = connection.execute(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE key = ?", (username.key,)).fetchone()
    held = account_of(row) if row else erased_account(connection.execute(ERASED_NAMES).fetchall(), username)
    account = change(held)
    if account == held:
        return account
    connection.execute(
        f"INSERT OR REPLACE INTO accounts ({ACCOUNT_COLUMNS}, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account.username, account.role.value, account.name, account.generation, account.bound,
            account.code_hash, account.created, account.removed, account.claim_hash, account.claimed,
            account.username.key,
        ),
    )  # fmt: skip
    record(connection, event)
    return account


EXTENSION_COLUMNS = "assignment, username, until, note, wanted, reason, declined"


def extension_of(row: tuple[Any, ...]) -> Extension:
    assignment, username, until, note, wanted, reason, declined = row
    return Extension(AssignmentName(assignment), Username(username), until, note, wanted, reason, bool(declined))


def change_extension(
    connection: sqlite3.Connection, assignment: AssignmentName, username: Username, change: ChangeExtension,
    event: Event,
) -> Extension:  # fmt: skip
    row = connection.execute(
        f"SELECT {EXTENSION_COLUMNS} FROM extensions WHERE assignment = ? AND username = ?", (assignment, username)
    ).fetchone()
    extension = change(extension_of(row) if row else None)
    connection.execute(
        f"INSERT OR REPLACE INTO extensions ({EXTENSION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(extension)
    )
    record(connection, event)
    return extension


COMMITS = (
    "SELECT assignment, username, sha256, size, moment FROM commits WHERE assignment = ? AND username = ? "
    "ORDER BY moment, sha256"
)


def commit_of(row: tuple[Any, ...]) -> Commitment:
    return Commitment(AssignmentName(row[0]), Username(row[1]), *row[2:])


def where_asked(**asked: str | None) -> tuple[str, tuple[str, ...]]:
    """A condition on the columns that are asked for and no others, so that an index is used; and its values."""
    wanted = {column: value for column, value in asked.items() if value is not None}
    return " AND ".join(f"{column} = ?" for column in wanted) or "TRUE", tuple(wanted.values())


def receipt_of(row: tuple[Any, ...]) -> Receipt:
    number, previous, assignment, username, attempt, filename, sha256, size, received, by, late, due, arrived, text = (
        row
    )
    submission = Submission(
        Username(username),
        AssignmentName(assignment),
        attempt,
        filename,
        sha256,
        size,
        received,
        Username(by),
        None if late is None else bool(late),
        due,
        arrived,
    )
    return Receipt(number, previous, submission, text)


def receipt_values(receipt: Receipt) -> tuple[Any, ...]:
    """The values of RECEIPT_COLUMNS."""
    kept = receipt.submission
    return (
        receipt.number, receipt.previous, kept.assignment, kept.username, kept.attempt, kept.filename,
        kept.sha256, kept.size, kept.received, kept.by, kept.late, kept.due, kept.arrived, receipt.text,
    )  # fmt: skip


SINCE = f"SELECT {RECEIPT_COLUMNS.replace('text', repr(''))} FROM receipts WHERE number > ? ORDER BY number"

HEAD = (
    "SELECT number, text, '' FROM receipts UNION ALL SELECT number, '', hash FROM erased ORDER BY number DESC LIMIT 1"
)


def head_of(row: tuple[Any, ...] | None) -> Head:
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
