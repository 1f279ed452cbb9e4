"""The end of a course's chain of receipts in a database, locked by an open transaction."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Head, NewSubmission, Receipt, free_filename
from mograder.store.postgres.database import Connection
from mograder.store.shared.rows import RECEIPT_COLUMNS, receipt_of, receipt_values

_LATEST = f"""
SELECT {RECEIPT_COLUMNS} FROM unnest(%s::text[], %s::text[]) AS wanted (a, u) CROSS JOIN LATERAL (
    SELECT * FROM receipts WHERE course = %s AND assignment = a AND username = u ORDER BY attempt DESC LIMIT 1
) AS latest"""

_TAKEN = """
SELECT assignment, filename FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted (a, u, f)
JOIN receipts ON course = %s AND assignment = a AND username = u AND filename >= f"""

APPEND = (
    f"INSERT INTO receipts (course, body, {RECEIPT_COLUMNS}) "
    f"VALUES (%s, %s, {', '.join(['%s'] * len(RECEIPT_COLUMNS.split(', ')))})"
)
"""A receipt of a course whose bytes are those of a body."""


class LockedEnd:
    """The `ChainEnd` of a course, locked by the open transaction, as far as `submissions` need it."""

    def __init__(self, connection: Connection, course: str, submissions: Sequence[NewSubmission]) -> None:
        dated: dict[tuple[AssignmentName, Username], str] = {}
        for each in submissions:
            name = free_filename(each.username, each.received, lambda _: False)
            key = (each.assignment, each.username)
            dated[key] = min(name, dated.get(key, name))
        assignments, users = [key[0] for key in dated], [key[1] for key in dated]
        # Sent together, run one after the other: each sees what was committed before the lock was had.
        with connection.pipeline():
            end = connection.execute("SELECT number, head FROM chains WHERE course = %s FOR UPDATE", (course,))
            latest = connection.execute(_LATEST, (assignments, users, course))
            taken = connection.execute(_TAKEN, (assignments, users, list(dated.values()), course))
        row = end.fetchone()
        assert row is not None, "a course has a chain from its start"
        self.head = Head(*row)
        receipts = [receipt_of(row) for row in latest]
        self._latest = {(each.submission.assignment, each.submission.username): each for each in receipts}
        self._taken = {(assignment, filename) for assignment, filename in taken}

    def latest(self, assignment: AssignmentName, username: Username) -> Receipt | None:
        return self._latest.get((assignment, username))

    def is_taken(self, submission: NewSubmission, latest: Receipt | None, filename: str) -> bool:
        return (submission.assignment, filename) in self._taken


def write_receipts(connection: Connection, course: str, head: Head, new: Sequence[tuple[str, Receipt]]) -> None:
    """Put new receipts, each with the name of its bytes, behind the end of the chain, which is `head` then."""
    if not new:
        return
    with connection.pipeline(), connection.cursor() as cursor:
        cursor.executemany(APPEND, [(course, body, *receipt_values(receipt)) for body, receipt in new])
        cursor.execute("UPDATE chains SET number = %s, head = %s WHERE course = %s", (head.number, head.hash, course))
