"""Grading jobs and results of a course in a database.

Invariant: the transaction that claims a job locks its row; others skip that row (SKIP LOCKED).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import astuple

from mograder.domain.grading_jobs import RECENT, TRIES, Announced, Job, Readiness, Result
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import AssignmentName, Username
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import count_change, places, settings, where_asked
from mograder.store.postgres.tables import Adapter
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

_TURNS = """waiting AS MATERIALIZED (
    SELECT course, receipt, assignment, username,
    row_number() OVER (PARTITION BY assignment, username ORDER BY receipt DESC) - 1 AS newer
    FROM grading_jobs WHERE course = %%s AND finished = 0 AND assignment %s
), people AS MATERIALIZED (
    SELECT assignment, username, (SELECT count(*) FROM grading_jobs AS other WHERE other.course = one.course
    AND other.assignment = one.assignment AND other.username = one.username AND other.finished > 0
    AND other.finished > %%s) AS results
    FROM (SELECT DISTINCT course, assignment, username FROM waiting) AS one
), turns AS (
    SELECT course, receipt, results + newer AS turn FROM waiting JOIN people USING (assignment, username)
)"""
"""The order of the queue: people with fewer recent results first, and a person's newest job first. Window functions
sort once instead of counting for each job, so that a person who fills the queue does not slow it."""

_JOB_COLUMNS = ", ".join(f"job.{name}" for name in JOB_COLUMNS.split(", "))

_CLAIM = f"""WITH {_TURNS % "= ANY(%s)"}, next AS (
    SELECT job.course, job.receipt FROM grading_jobs AS job JOIN turns USING (course, receipt)
    WHERE finished = 0 AND tries < {TRIES} AND lease <= %s AND not_before <= %s
    ORDER BY turn, receipt LIMIT 1 FOR UPDATE OF job SKIP LOCKED
)
UPDATE grading_jobs AS job SET claim = %s, lease = %s, tries = tries + 1 FROM next
WHERE job.course = next.course AND job.receipt = next.receipt RETURNING {_JOB_COLUMNS}"""

_GRADED = """IN (SELECT assignment FROM grading_tests AS announced WHERE announced.course = grading_jobs.course
    UNION SELECT assignment FROM grading_readiness AS ready
    WHERE ready.course = grading_jobs.course AND state = 'building')"""

_WAITING = f"""WITH {_TURNS % _GRADED} SELECT {_JOB_COLUMNS} FROM grading_jobs AS job
JOIN turns USING (course, receipt) ORDER BY turn, receipt"""


IN_FORCE = """(tests = (SELECT announced.tests FROM grading_tests AS announced
WHERE announced.course = result.course AND announced.assignment = result.assignment))"""
"""Whether a result was made with the announced tests."""


def enqueue(connection: Connection, course: str, first: int) -> None:
    """Make jobs for the receipts from number `first` on, in the transaction that adds those."""
    connection.execute(
        "INSERT INTO grading_jobs (course, receipt, assignment, username, attempt, received) "
        "SELECT course, number, assignment, username, attempt, received FROM receipts "
        "WHERE course = %s AND number >= %s",
        (course, first),
    )


def announce(connection: Connection, course: str, assignment: AssignmentName, announced: Announced) -> None:
    connection.execute(
        "INSERT INTO grading_tests (course, assignment, tests, hidden) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (course, assignment) DO UPDATE SET tests = excluded.tests, hidden = excluded.hidden",
        (course, assignment, announced.tests, announced.hidden.value),
    )


def keep_result(connection: Connection, course: str, result: Result, notebook: bytes = b"") -> bool:
    """Store a result and end its job. Returns False when there is a result with these tests, or the submission was
    erased.

    Without a `notebook`, the one that a regrade with these tests has made is stored, if there is one.
    """
    ended = connection.execute(
        "UPDATE grading_jobs SET finished = CASE finished WHEN 0 THEN %s ELSE finished END, claim = '', lease = 0, "
        "error = '' WHERE course = %s AND receipt = %s",
        (result.graded, course, result.receipt),
    )
    if not ended.rowcount:
        return False
    kept = connection.execute(
        f"INSERT INTO grading_results (course, {RESULT_COLUMNS}, notebook) "
        f"VALUES (%s, {places(RESULT_COLUMNS)}, coalesce(nullif(%s, ''::bytea), (SELECT notebook FROM regrade_jobs "
        "WHERE course = %s AND receipt = %s AND tests = %s), ''::bytea)) ON CONFLICT DO NOTHING",
        (course, *astuple(result), notebook, course, result.receipt, result.tests),
    )
    return kept.rowcount == 1


class PostgresJobs(Adapter, Claims[Job]):
    """A `JobsStore`."""

    def announce(self, assignment: AssignmentName, announced: Announced) -> None:
        self._tables.write(lambda connection: announce(connection, self._course, assignment, announced))

    def announced(self) -> dict[AssignmentName, Announced]:
        rows = self._tables.read("SELECT assignment, tests, hidden FROM grading_tests WHERE course = %s")
        return {AssignmentName(name): Announced(tests, Hidden(hidden)) for name, tests, hidden in rows}

    def report(self, readiness: Readiness) -> None:
        sql = (
            f"INSERT INTO grading_readiness (course, {READINESS_COLUMNS}) VALUES (%s, {places(READINESS_COLUMNS)}) "
            f"ON CONFLICT (course, assignment) DO UPDATE SET {KEEP_LOCK}"
        )
        values = (self._course, *readiness_values(readiness))
        self._tables.write(lambda connection: connection.execute(sql, values))

    def readiness(self) -> dict[AssignmentName, Readiness]:
        rows = self._tables.read(f"SELECT {READINESS_COLUMNS} FROM grading_readiness WHERE course = %s")
        return {each.assignment: each for each in map(readiness_of, rows)}

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> Job | None:
        values = (self._course, list(assignments), now - RECENT, now, now, claim, lease)
        row = self._tables.write(lambda connection: connection.execute(_CLAIM, values).fetchone())
        return None if row is None else job_of(row)

    def _change(self, job: Job, **values: object) -> bool:
        changes = settings(values)
        sql = f"UPDATE grading_jobs SET {changes} WHERE course = %s AND receipt = %s AND claim = %s AND finished = 0"
        asked = (*values.values(), self._course, job.receipt, job.claim)
        return self._tables.write(lambda connection: connection.execute(sql, asked).rowcount == 1)

    def finish(self, job: Job, result: Result, notebook: bytes = b"") -> bool:
        def work(connection: Connection) -> bool:
            kept = keep_result(connection, self._course, result, notebook)
            count_change(connection, self._course, "results")
            return kept

        return self._tables.write(work)

    def retry(self, assignment: AssignmentName) -> int:
        sql = (
            "UPDATE grading_jobs SET tries = 0, not_before = 0 "
            f"WHERE course = %s AND assignment = %s AND finished = 0 AND tries >= {TRIES}"
        )
        return self._tables.write(lambda connection: connection.execute(sql, (self._course, assignment)).rowcount)

    def waiting(self, now: int) -> list[Job]:
        return list(map(job_of, self._tables.read(_WAITING, now - RECENT)))

    def results(self, assignment: AssignmentName, username: Username | None = None) -> list[Result]:
        where, values = where_asked(assignment=assignment, username=username)
        sql = (
            f"SELECT {RESULT_COLUMNS} FROM grading_results AS result WHERE course = %s{where} "
            f"ORDER BY receipt, {IN_FORCE}, graded"
        )
        return list(map(result_of, self._tables.read(sql, *values)))

    def last_graded(self) -> int | None:
        sql = "SELECT max(graded) FROM grading_results WHERE course = %s"
        return next((row[0] for row in self._tables.read(sql)), None)

    def notebook(self, receipt: int) -> bytes:
        sql = (
            "SELECT notebook FROM grading_results AS result WHERE course = %s AND receipt = %s "
            f"ORDER BY length(notebook) > 0 DESC, {IN_FORCE} IS TRUE DESC, graded DESC LIMIT 1"
        )
        return next((bytes(row[0]) for row in self._tables.read(sql, receipt)), b"")
