"""Receipts, accounts, extensions and events as rows, which both stores share: their columns, and their values."""

from __future__ import annotations

import json
from dataclasses import astuple, fields
from typing import Any

from mograder.domain.access import Account, ExternalId, Role
from mograder.domain.audit import Event
from mograder.domain.extensions import Extension
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Receipt, Submission

Row = tuple[Any, ...]

RECEIPT_COLUMNS = (
    "number, previous, assignment, username, attempt, filename, sha256, size, received, by, late, due, arrived, "
    "name, text"
)

ACCOUNT_COLUMNS = ", ".join(each.name for each in fields(Account))

EXTENSION_COLUMNS = ", ".join(each.name for each in fields(Extension))

EVENT_COLUMNS = ", ".join(each.name for each in fields(Event))

ERASED_COLUMNS = "number, previous, hash, statement"


def account_of(row: Row) -> Account:
    (
        username, role, name, generation, bound, code_hash, created, removed, claim_hash, claimed, email, sections, ids,
    ) = row  # fmt: skip
    return Account(
        Username(username), Role(role), name, generation, bool(bound), code_hash, created, bool(removed), claim_hash,
        claimed, email, tuple(json.loads(sections)), tuple(ExternalId(*each) for each in json.loads(ids)),
    )  # fmt: skip


def account_values(account: Account) -> Row:
    """The values of ACCOUNT_COLUMNS; sections and ids are JSON."""
    *values, sections, ids = astuple(account)
    return (*values, json.dumps(sections, ensure_ascii=False), json.dumps(ids, ensure_ascii=False))


def extension_of(row: Row) -> Extension:
    assignment, username, until, note, wanted, reason, declined = row
    return Extension(AssignmentName(assignment), Username(username), until, note, wanted, reason, bool(declined))


def extension_values(extension: Extension) -> Row:
    """The values of EXTENSION_COLUMNS."""
    return astuple(extension)


def receipt_of(row: Row) -> Receipt:
    (
        number, previous, assignment, username, attempt, filename, sha256, size, received, by, late, due, arrived, name,
        text,
    ) = row  # fmt: skip
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
        name,
    )
    return Receipt(number, previous, submission, text)


def receipt_values(receipt: Receipt) -> Row:
    """The values of RECEIPT_COLUMNS."""
    kept = receipt.submission
    return (
        receipt.number, receipt.previous, kept.assignment, kept.username, kept.attempt, kept.filename,
        kept.sha256, kept.size, kept.received, kept.by, kept.late, kept.due, kept.arrived, kept.name,
        receipt.text,
    )  # fmt: skip
