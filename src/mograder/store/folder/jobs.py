"""Grading jobs and results, in the ledger of a course folder.

Invariant: jobs are claimed, renewed, finished and given back in transactions of the ledger, which has one writer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple

from mograder.domain.grading_jobs import RECENT, TRIES, Announced, Job, Readiness, Result
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import AssignmentName, Username
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import places, settings, where_asked
from mograder.store.shared.claims import Claims
from mograder.store.shared.grading_rows import (
    JOB_COLUMNS,
    KEEP_LOCK,
    READINESS_COLUMNS,
    RESULT_COLUMNS,
    job_of,
    readiness_of,
    readiness_values,
    result_of,
)

_IN_TURN = f"""WITH waiting AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY assignment, username ORDER BY receipt DESC) - 1 AS newer
    FROM grading_jobs WHERE finished = 0 AND assignment IN (%s)
), people AS MATERIALIZED (
    SELECT assignment, username, (SELECT count(*) FROM grading_jobs AS other WHERE other.assignment = one.assignment
    AND other.username = one.username AND other.finished > 0 AND other.finished > ?) AS results
    FROM (SELECT DISTINCT assignment, username FROM waiting) AS one
)
SELECT {JOB_COLUMNS} FROM waiting JOIN people USING (assignment, username) WHERE %s
ORDER BY results + newer, receipt"""
"""The order of the queue: people with fewer recent results first, and a person's newest job first. Window functions
sort once instead of counting for each job, so that a person who fills the queue does not slow it."""

_NEXT = _IN_TURN % ("SELECT value FROM json_each(?)", f"tries < {TRIES} AND lease <= ? AND not_before <= ?")

GRADED = """SELECT assignment FROM grading_tests
UNION SELECT assignment FROM grading_readiness WHERE state = 'building'"""

_WAITING = _IN_TURN % (GRADED, "true")


IN_FORCE = """tests = (SELECT announced.tests FROM grading_tests AS announced
WHERE announced.assignment = result.assignment)"""
"""Whether a result was made with the announced tests."""


def enqueue(connection: sqlite3.Connection, first: int) -> None:
    """Make jobs for the receipts from number `first` on, in the transaction that adds those."""
    connection.execute(
        # Replaces, since a ledger that somebody cut short may hold the job of an earlier receipt of this number.
        "INSERT OR REPLACE INTO grading_jobs (receipt, assignment, username, attempt, received) "
        "SELECT number, assignment, username, attempt, received FROM receipts WHERE number >= ?",
        (first,),
    )


def announce(connection: sqlite3.Connection, assignment: AssignmentName, announced: Announced) -> None:
    sql = "INSERT OR REPLACE INTO grading_tests (assignment, tests, hidden) VALUES (?, ?, ?)"
    connection.execute(sql, (assignment, announced.tests, announced.hidden.value))


def keep_result(connection: sqlite3.Connection, result: Result, notebook: bytes = b"") -> bool:
    """Store a result and end its job. Returns False when there is a result with these tests, or the submission was
    erased.

    Without a `notebook`, the one that a regrade with these tests has made is stored, if there is one.
    """
    ended = connection.execute(
        "UPDATE grading_jobs SET finished = CASE finished WHEN 0 THEN ? ELSE finished END, claim = '', lease = 0, "
        "error = '' WHERE receipt = ?",
        (result.graded, result.receipt),
    )
    if not ended.rowcount:
        return False
    kept = connection.execute(
        f"INSERT OR IGNORE INTO grading_results ({RESULT_COLUMNS}, notebook) VALUES ({places(RESULT_COLUMNS)}, "
        "coalesce(nullif(?, x''), (SELECT notebook FROM regrade_jobs WHERE receipt = ? AND tests = ?), x''))",
        (*astuple(result), notebook, result.receipt, result.tests),
    )
    return kept.rowcount == 1


class FolderJobs(Claims[Job]):
    """A `JobsStore`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def announce(self, assignment: AssignmentName, announced: Announced) -> None:
        self._ledger.write(lambda connection: announce(connection, assignment, announced))

    def announced(self) -> dict[AssignmentName, Announced]:
        rows = self._ledger.read("SELECT assignment, tests, hidden FROM grading_tests ORDER BY assignment")
        return {AssignmentName(name): Announced(tests, Hidden(hidden)) for name, tests, hidden in rows}

    def report(self, readiness: Readiness) -> None:
        sql = (
            f"INSERT INTO grading_readiness ({READINESS_COLUMNS}) VALUES ({places(READINESS_COLUMNS)}) "
            f"ON CONFLICT (assignment) DO UPDATE SET {KEEP_LOCK}"
        )
        self._ledger.write(lambda connection: connection.execute(sql, readiness_values(readiness)))

    def readiness(self) -> dict[AssignmentName, Readiness]:
        rows = self._ledger.read(f"SELECT {READINESS_COLUMNS} FROM grading_readiness")
        return {each.assignment: each for each in map(readiness_of, rows)}

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> Job | None:
        asked = (_json(assignments), now - RECENT, now, now)
        if not self._ledger.read(f"{_NEXT} LIMIT 1", asked):  # so that idle workers never wait for the process lock
            return None

        def work(connection: sqlite3.Connection) -> Job | None:
            row = connection.execute(f"{_NEXT} LIMIT 1", asked).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE grading_jobs SET claim = ?, lease = ?, tries = tries + 1 WHERE receipt = ?",
                (claim, lease, row[0]),
            )
            return job_of(connection.execute(f"SELECT {JOB_COLUMNS} FROM grading_jobs WHERE receipt = ?", row[:1])
                          .fetchone())  # fmt: skip

        return self._ledger.write(work)

    def _change(self, job: Job, **values: object) -> bool:
        sql = f"UPDATE grading_jobs SET {settings(values)} WHERE receipt = ? AND claim = ? AND finished = 0"
        asked = (*values.values(), job.receipt, job.claim)
        return self._ledger.write(lambda held: held.execute(sql, asked).rowcount == 1)

    def finish(self, job: Job, result: Result, notebook: bytes = b"") -> bool:
        return self._ledger.write(lambda connection: keep_result(connection, result, notebook))

    def retry(self, assignment: AssignmentName) -> int:
        sql = f"""UPDATE grading_jobs SET tries = 0, not_before = 0
        WHERE assignment = ? AND finished = 0 AND tries >= {TRIES}"""
        return self._ledger.write(lambda connection: connection.execute(sql, (assignment,)).rowcount)

    def waiting(self, now: int) -> list[Job]:
        return list(map(job_of, self._ledger.read(_WAITING, (now - RECENT,))))

    def results(self, assignment: AssignmentName, username: Username | None = None) -> list[Result]:
        where, values = where_asked(assignment=assignment, username=username)
        sql = (
            f"SELECT {RESULT_COLUMNS} FROM grading_results AS result WHERE {where} ORDER BY receipt, {IN_FORCE}, graded"
        )
        return list(map(result_of, self._ledger.read(sql, values)))

    def last_graded(self) -> int | None:
        return next((row[0] for row in self._ledger.read("SELECT max(graded) FROM grading_results")), None)

    def notebook(self, receipt: int) -> bytes:
        sql = f"""SELECT notebook FROM grading_results AS result WHERE receipt = ?
        ORDER BY length(notebook) > 0 DESC, {IN_FORCE} DESC, graded DESC LIMIT 1"""
        return next((bytes(row[0]) for row in self._ledger.read(sql, (receipt,))), b"")


def _json(assignments: Sequence[AssignmentName]) -> str:
    # Without the json module: names of assignments have no character that JSON escapes.
    return "[" + ",".join(f'"{each}"' for each in assignments) + "]"
