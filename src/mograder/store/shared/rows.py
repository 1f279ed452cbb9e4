"""The columns that both stores keep of receipts, accounts, extensions and events, and the values in them."""

from __future__ import annotations

import json
from dataclasses import astuple, fields
from typing import Any

from mograder.domain.access import Account, ExternalId, Role
from mograder.domain.audit import Event
from mograder.domain.extensions import Extension
from mograder.domain.grading_jobs import Job, Readiness, ReadyState, Result
from mograder.domain.marking import Entry, Kind
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Receipt, Submission
from mograder.domain.regrade_jobs import HeldRegrade, RegradeJob

Row = tuple[Any, ...]

RECEIPT_COLUMNS = (
    "number, previous, assignment, username, attempt, filename, sha256, size, received, by, late, due, arrived, "
    "name, text"
)

ACCOUNT_COLUMNS = ", ".join(each.name for each in fields(Account))

EXTENSION_COLUMNS = ", ".join(each.name for each in fields(Extension))

EVENT_COLUMNS = ", ".join(each.name for each in fields(Event))

ERASED_COLUMNS = "number, previous, hash, statement"

JOB_COLUMNS = ", ".join(each.name for each in fields(Job))

READINESS_COLUMNS = ", ".join(each.name for each in fields(Readiness))

KEEP_LOCK = """state = excluded.state, moment = excluded.moment, machine = excluded.machine, error = excluded.error,
lock = CASE WHEN excluded.wanted IN ('', grading_readiness.wanted) AND grading_readiness.lock <> ''
    THEN grading_readiness.lock ELSE excluded.lock END,
wanted = CASE WHEN excluded.wanted = '' THEN grading_readiness.wanted ELSE excluded.wanted END"""
"""What a newer row of `grading_readiness` changes: the first lock of what is wanted stays."""

RESULT_COLUMNS = ", ".join(each.name for each in fields(Result))

REGRADE_COLUMNS = ", ".join(each.name for each in fields(RegradeJob))

MARKING_COLUMNS = ", ".join(each.name for each in fields(Entry))


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


def job_of(row: Row) -> Job:
    receipt, assignment, username, *rest = row
    return Job(receipt, AssignmentName(assignment), Username(username), *rest)


def readiness_of(row: Row) -> Readiness:
    assignment, state, *rest = row
    return Readiness(AssignmentName(assignment), ReadyState(state), *rest)


def readiness_values(readiness: Readiness) -> Row:
    """The values of READINESS_COLUMNS."""
    assignment, state, *rest = astuple(readiness)
    return (assignment, state.value, *rest)


def result_of(row: Row) -> Result:
    receipt, tests, assignment, username, graded, signed = row
    return Result(receipt, tests, AssignmentName(assignment), Username(username), graded, signed)


def regrade_job_of(row: Row) -> RegradeJob:
    receipt, assignment, username, regrade, started, twice, *rest = row
    return RegradeJob(receipt, AssignmentName(assignment), Username(username), regrade, started, bool(twice), *rest)


def regrade_job_values(job: RegradeJob) -> Row:
    """The values of REGRADE_COLUMNS."""
    return tuple(int(each) if isinstance(each, bool) else each for each in astuple(job))


def held_regrade(jobs: list[Row], tests: list[Row], results: list[Row]) -> HeldRegrade | None:
    """None when there are no jobs. Of `results` the last one of each receipt is in force."""
    in_force = {each.receipt: each for each in map(result_of, results)}
    if not jobs:
        return None
    return HeldRegrade(
        tests[0][0] if tests else "",
        tuple(sorted(map(regrade_job_of, jobs), key=lambda each: each.username)),
        tuple(in_force.values()),
    )


def entry_of(row: Row) -> Entry:
    assignment, kind, *rest = row
    return Entry(AssignmentName(assignment), Kind(kind), *rest)


def entry_values(entry: Entry) -> Row:
    """The values of MARKING_COLUMNS."""
    assignment, kind, *rest = astuple(entry)
    return (assignment, kind.value, *rest)


def place_values(entry: Entry) -> Row:
    """The values of assignment, kind, username and key."""
    return (entry.assignment, entry.kind.value, entry.username, entry.key)
