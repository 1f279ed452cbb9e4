"""The end of a course's chain of receipts in a database, locked by an open transaction."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.allowance import HOUR, Usage
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Head, NewSubmission, Receipt, stem_of, version_filename
from mograder.store.postgres.database import Connection
from mograder.store.shared.rows import RECEIPT_COLUMNS, receipt_of, receipt_values

_LATEST = f"""
SELECT {RECEIPT_COLUMNS} FROM unnest(%s::text[], %s::text[]) AS wanted (a, u) CROSS JOIN LATERAL (
    SELECT * FROM receipts WHERE course = %s AND assignment = a AND username = u ORDER BY attempt DESC LIMIT 1
) AS latest"""

_TAKEN = """
SELECT a, stem FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted (a, u, stem)
JOIN receipts ON course = %s AND username = u AND assignment = a AND starts_with(filename, stem || '.')"""

_LAST = """
SELECT a, u, filename FROM unnest(%s::text[], %s::text[]) AS wanted (a, u) CROSS JOIN LATERAL (
    SELECT filename FROM receipts WHERE course = %s AND username = u AND assignment = a ORDER BY filename DESC LIMIT 1
) AS last"""

_USAGE = """
SELECT username, count(*) FILTER (WHERE received > m - %s AND received < m + %s),
    coalesce(min(received) FILTER (WHERE received > m - %s AND received < m + %s), 0), sum(size)::bigint
FROM unnest(%s::text[], %s::bigint[]) AS wanted (u, m)
JOIN receipts ON course = %s AND username = u AND by = u GROUP BY username"""

_MOMENTS = """
SELECT coalesce(arrived, received) FROM receipts WHERE course = %s AND username = %s AND assignment = %s
AND by = username AND coalesce(arrived, received) > %s AND coalesce(arrived, received) < %s"""

APPEND = (
    f"INSERT INTO receipts (course, body, {RECEIPT_COLUMNS}) "
    f"VALUES (%s, %s, {', '.join(['%s'] * len(RECEIPT_COLUMNS.split(', ')))})"
)
"""Adds a receipt; `body` names its bytes."""


class LockedEnd:
    """The `ChainEnd` of a course, locked by the open transaction and read as far as `submissions` need it."""

    def __init__(self, connection: Connection, course: str, submissions: Sequence[NewSubmission]) -> None:
        keys = list({(each.assignment, each.username) for each in submissions})
        assignments, users = [key[0] for key in keys], [key[1] for key in keys]
        stems = [
            (each.assignment, each.username, stem_of(version_filename(each.username, each.received)))
            for each in submissions
        ]
        came: dict[Username, int] = {}
        for each in submissions:
            came[each.username] = max(each.came, came.get(each.username, each.came))
        # Sent together and run in this order: all that follow the lock see what was committed before it was taken.
        with connection.pipeline():
            end = connection.execute("SELECT number, head FROM chains WHERE course = %s FOR UPDATE", (course,))
            latest = connection.execute(_LATEST, (assignments, users, course))
            taken = connection.execute(_TAKEN, (*map(list, zip(*stems, strict=True)), course))
            last = connection.execute(_LAST, (assignments, users, course))
            usage = connection.execute(_USAGE, (*[HOUR] * 4, list(came), list(came.values()), course))
        row = end.fetchone()
        assert row is not None, "a course has a chain from its start"
        self.head = Head(*row)
        self._connection, self._course = connection, course
        receipts = [receipt_of(row) for row in latest]
        self._latest = {(each.submission.assignment, each.submission.username): each for each in receipts}
        self._taken = {(assignment, stem) for assignment, stem in taken}
        self._last = {(assignment, username): filename for assignment, username, filename in last}
        self._usage = {username: Usage(*found) for username, *found in usage}

    def latest(self, assignment: AssignmentName, username: Username) -> Receipt | None:
        return self._latest.get((assignment, username))

    def is_taken(self, assignment: AssignmentName, filename: str) -> bool:
        # Callers ask only for the submissions' own names and for names after `last_filename`, which are free.
        return (assignment, stem_of(filename)) in self._taken

    def last_filename(self, assignment: AssignmentName, username: Username) -> str:
        return str(self._last.get((assignment, username), ""))

    def usage(self, submission: NewSubmission) -> Usage:
        return self._usage.get(submission.username, Usage())

    def moments(self, submission: NewSubmission) -> list[int]:
        # Read on demand: only an assignment that limits attempts needs this further round trip.
        now, asked = submission.came, (self._course, submission.username, submission.assignment)
        rows = self._connection.execute(_MOMENTS, (*asked, now - HOUR, now + HOUR)).fetchall()
        return [moment for (moment,) in rows]


def write_receipts(connection: Connection, course: str, head: Head, new: Sequence[tuple[str, Receipt]]) -> None:
    """Append new receipts, each with the name of its bytes. `head` is the new end of the chain."""
    if not new:
        return
    with connection.pipeline(), connection.cursor() as cursor:
        cursor.executemany(APPEND, [(course, body, *receipt_values(receipt)) for body, receipt in new])
        cursor.execute("UPDATE chains SET number = %s, head = %s WHERE course = %s", (head.number, head.hash, course))
