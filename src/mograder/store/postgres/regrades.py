"""Regrades of a course in a database.

Invariant: a transaction that begins, applies or drops a regrade holds the lock on the course's row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mograder.domain.audit import Event
from mograder.domain.errors import ChangedMeanwhile
from mograder.domain.grading_jobs import TRIES
from mograder.domain.names import AssignmentName
from mograder.domain.regrade_jobs import Choose, HeldRegrade, ImportedGrading, RegradeJob
from mograder.store.postgres.database import Connection
from mograder.store.postgres.jobs import IN_FORCE, announce, keep_result
from mograder.store.postgres.rows import count_change, places, record, settings
from mograder.store.postgres.tables import Adapter
from mograder.store.shared.claims import RegradeClaims
from mograder.store.shared.grading_rows import (
    REGRADE_COLUMNS,
    RESULT_COLUMNS,
    held_regrade,
    regrade_job_of,
    regrade_job_values,
)
from mograder.store.shared.rows import Row

_JOBS = f"SELECT {REGRADE_COLUMNS} FROM regrade_jobs WHERE course = %s AND assignment = %s"
_TESTS = "SELECT tests FROM grading_tests WHERE course = %s AND assignment = %s"
_RESULTS = f"""SELECT {RESULT_COLUMNS} FROM grading_results AS result WHERE EXISTS (SELECT 1 FROM regrade_jobs AS job
WHERE job.course = %s AND job.assignment = %s AND job.course = result.course AND job.receipt = result.receipt)
ORDER BY receipt, {IN_FORCE}, graded"""

_CLAIM = f"""WITH next AS (
    SELECT course, receipt FROM regrade_jobs AS job WHERE course = %s AND tries < {TRIES}
    AND lease <= %s AND not_before <= %s AND assignment = ANY(%s)
    AND tests <> (SELECT announced.tests FROM grading_tests AS announced
                  WHERE announced.course = job.course AND announced.assignment = job.assignment)
    ORDER BY started, username LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE regrade_jobs AS job SET claim = %s, lease = %s, tries = tries + 1 FROM next
WHERE job.course = next.course AND job.receipt = next.receipt
RETURNING {", ".join(f"job.{name}" for name in REGRADE_COLUMNS.split(", "))}"""


class PostgresRegrades(Adapter, RegradeClaims):
    """A `RegradesStore`."""

    def start(self, jobs: Sequence[RegradeJob], instead_of: str, event: Event) -> None:
        def work(connection: Connection) -> None:
            own = (self._course, jobs[0].assignment)
            count_change(connection, self._course, "regrades")
            sql = "SELECT regrade FROM regrade_jobs WHERE course = %s AND assignment = %s LIMIT 1"
            if (connection.execute(sql, own).fetchone() or ("",))[0] != instead_of:
                raise ChangedMeanwhile("somebody else has started another regrade: look at it first")
            connection.execute("DELETE FROM regrade_jobs WHERE course = %s AND assignment = %s", own)
            with connection.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO regrade_jobs (course, {REGRADE_COLUMNS}) VALUES (%s, {places(REGRADE_COLUMNS)})",
                    [(self._course, *regrade_job_values(each)) for each in jobs],
                )
            record(connection, self._course, [event])

        self._tables.write(work)

    def find(self, assignment: AssignmentName) -> HeldRegrade | None:
        return _held(lambda sql: self._tables.read(sql, assignment))

    def version(self) -> object:
        return self._tables.read("SELECT regrades FROM courses WHERE course = %s")[0][0]

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> RegradeJob | None:
        values = (self._course, now, now, list(assignments), claim, lease)

        def work(connection: Connection) -> RegradeJob | None:
            row = connection.execute(_CLAIM, values).fetchone()
            if row is None:
                return None
            count_change(connection, self._course, "regrades")
            return regrade_job_of(row)

        return self._tables.write(work)

    def _change(self, job: RegradeJob, **values: object) -> bool:
        sql = f"UPDATE regrade_jobs SET {settings(values)} WHERE course = %s AND receipt = %s AND claim = %s"
        asked = (*values.values(), self._course, job.receipt, job.claim)

        def work(connection: Connection) -> bool:
            changed = connection.execute(sql, asked).rowcount == 1
            if changed:
                count_change(connection, self._course, "regrades")
            return changed

        return self._tables.write(work)

    def apply(
        self, assignment: AssignmentName, choose: Choose, event: Event, imported: ImportedGrading | None = None
    ) -> int:  # fmt: skip
        notebooks = imported.notebooks if imported else {}

        def work(connection: Connection) -> int:
            own = (self._course, assignment)
            for noun in ("regrades", "results"):  # these locks keep new results away until the transaction ends
                count_change(connection, self._course, noun)
            found = _held(lambda sql: connection.execute(sql, own).fetchall())
            if imported:
                announce(connection, self._course, assignment, imported.announced)
            kept = sum(
                keep_result(connection, self._course, each, notebooks.get(each.receipt, b"")) for each in choose(found)
            )
            if not imported:
                connection.execute("DELETE FROM regrade_jobs WHERE course = %s AND assignment = %s", own)
            record(connection, self._course, [event])
            return kept

        return self._tables.write(work)

    def drop(self, assignment: AssignmentName, regrade: str, event: Event) -> bool:
        def work(connection: Connection) -> bool:
            sql = "DELETE FROM regrade_jobs WHERE course = %s AND assignment = %s AND regrade = %s"
            if not connection.execute(sql, (self._course, assignment, regrade)).rowcount:
                return False
            count_change(connection, self._course, "regrades")
            record(connection, self._course, [event])
            return True

        return self._tables.write(work)


def _held(rows: Callable[[str], list[Row]]) -> HeldRegrade | None:
    return held_regrade(rows(_JOBS), rows(_TESTS), rows(_RESULTS))
