"""The end of a course's chain of receipts in a database, locked by an open transaction."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import ChainPosition, Issue, NewSubmission, Receipt, free_filename
from mograder.domain.store import Accepted
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


class ChainAppender:
    """What `submissions` need to know to be appended, read under the lock; `write` puts what was appended."""

    def __init__(self, connection: Connection, course: str, submissions: Sequence[NewSubmission]) -> None:
        self._connection = connection
        self._course = course
        self._new: list[tuple[str, Receipt]] = []
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
        self._number, self._head = row
        receipts = [receipt_of(row) for row in latest]
        self._latest = {(each.submission.assignment, each.submission.username): each for each in receipts}
        self._taken: set[tuple[str, str]] = {(assignment, filename) for assignment, filename in taken}

    def append(self, submission: NewSubmission, issue: Issue, body: str) -> Accepted:
        """Give a submission the next place; its bytes are those of `body`. What `issue` raises leaves the chain
        alone.
        """
        key = (submission.assignment, submission.username)
        latest = self._latest.get(key)

        def is_taken(filename: str) -> bool:
            return (submission.assignment, filename) in self._taken

        filename = free_filename(submission.username, submission.received, is_taken)
        receipt = issue(ChainPosition(self._number + 1, self._head, latest, filename))
        if receipt is latest:
            return Accepted(receipt, repeated=True)
        self._number, self._head, self._latest[key] = receipt.number, receipt.hash, receipt
        self._taken.add((submission.assignment, filename))
        self._new.append((body, receipt))
        return Accepted(receipt, repeated=False)

    def write(self) -> None:
        if not self._new:
            return
        with self._connection.pipeline(), self._connection.cursor() as cursor:
            rows = [(self._course, body, *receipt_values(receipt)) for body, receipt in self._new]
            cursor.executemany(APPEND, rows)
            cursor.execute(
                "UPDATE chains SET number = %s, head = %s WHERE course = %s", (self._number, self._head, self._course)
            )
