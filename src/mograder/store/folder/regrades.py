"""Regrades, in the ledger of a course folder.

Invariant: every change is a transaction of the ledger, which has one writer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence

from mograder.domain.audit import Event
from mograder.domain.errors import ChangedMeanwhile
from mograder.domain.grading_jobs import TRIES
from mograder.domain.names import AssignmentName
from mograder.domain.regrade_jobs import Choose, HeldRegrade, ImportedGrading, RegradeJob
from mograder.store.folder.jobs import IN_FORCE, announce, keep_result
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import places, record, settings
from mograder.store.shared.claims import RegradeClaims
from mograder.store.shared.grading_rows import (
    REGRADE_COLUMNS,
    RESULT_COLUMNS,
    held_regrade,
    regrade_job_of,
    regrade_job_values,
)
from mograder.store.shared.rows import Row

_JOBS = f"SELECT {REGRADE_COLUMNS} FROM regrade_jobs WHERE assignment = ?"
_TESTS = "SELECT tests FROM grading_tests WHERE assignment = ?"
_RESULTS = f"""SELECT {RESULT_COLUMNS} FROM grading_results AS result
WHERE receipt IN (SELECT receipt FROM regrade_jobs WHERE assignment = ?) ORDER BY receipt, {IN_FORCE}, graded"""

_NEXT = f"""SELECT receipt FROM regrade_jobs AS job WHERE tries < {TRIES} AND lease <= ? AND not_before <= ?
AND assignment IN (SELECT value FROM json_each(?))
AND tests <> (SELECT announced.tests FROM grading_tests AS announced WHERE announced.assignment = job.assignment)
ORDER BY started, username LIMIT 1"""


class FolderRegrades(RegradeClaims):
    """A `RegradesStore`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def start(self, jobs: Sequence[RegradeJob], instead_of: str, event: Event) -> None:
        def work(connection: sqlite3.Connection) -> None:
            name = jobs[0].assignment
            held = connection.execute("SELECT regrade FROM regrade_jobs WHERE assignment = ? LIMIT 1", (name,))
            if (held.fetchone() or ("",))[0] != instead_of:
                raise ChangedMeanwhile("somebody else has started another regrade: look at it first")
            connection.execute("DELETE FROM regrade_jobs WHERE assignment = ?", (name,))
            connection.executemany(
                f"INSERT INTO regrade_jobs ({REGRADE_COLUMNS}) VALUES ({places(REGRADE_COLUMNS)})",
                map(regrade_job_values, jobs),
            )
            record(connection, event)

        self._ledger.write(work)

    def find(self, assignment: AssignmentName) -> HeldRegrade | None:
        return _held(lambda sql: self._ledger.read(sql, (assignment,)))

    def version(self) -> object:
        return self._ledger.read("SELECT number FROM versions WHERE noun = 'regrades'")[0][0]

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> RegradeJob | None:
        asked = (now, now, json.dumps(list(assignments)))
        if not self._ledger.read(_NEXT, asked):  # so that idle workers never wait for the process lock
            return None

        def work(connection: sqlite3.Connection) -> RegradeJob | None:
            row = connection.execute(_NEXT, asked).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE regrade_jobs SET claim = ?, lease = ?, tries = tries + 1 WHERE receipt = ?",
                (claim, lease, row[0]),
            )
            found = connection.execute(f"SELECT {REGRADE_COLUMNS} FROM regrade_jobs WHERE receipt = ?", row).fetchone()
            return regrade_job_of(found)

        return self._ledger.write(work)

    def _change(self, job: RegradeJob, **values: object) -> bool:
        sql = f"UPDATE regrade_jobs SET {settings(values)} WHERE receipt = ? AND claim = ?"
        asked = (*values.values(), job.receipt, job.claim)
        return self._ledger.write(lambda held: held.execute(sql, asked).rowcount == 1)

    def apply(
        self, assignment: AssignmentName, choose: Choose, event: Event, imported: ImportedGrading | None = None
    ) -> int:  # fmt: skip
        notebooks = imported.notebooks if imported else {}

        def work(connection: sqlite3.Connection) -> int:
            found = _held(lambda sql: connection.execute(sql, (assignment,)).fetchall())
            if imported:
                announce(connection, assignment, imported.announced)
            kept = sum(keep_result(connection, each, notebooks.get(each.receipt, b"")) for each in choose(found))
            if not imported:
                connection.execute("DELETE FROM regrade_jobs WHERE assignment = ?", (assignment,))
            record(connection, event)
            return kept

        return self._ledger.write(work)

    def drop(self, assignment: AssignmentName, regrade: str, event: Event) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            sql = "DELETE FROM regrade_jobs WHERE assignment = ? AND regrade = ?"
            if not connection.execute(sql, (assignment, regrade)).rowcount:
                return False
            record(connection, event)
            return True

        return self._ledger.write(work)


def _held(rows: Callable[[str], list[Row]]) -> HeldRegrade | None:
    return held_regrade(rows(_JOBS), rows(_TESTS), rows(_RESULTS))
