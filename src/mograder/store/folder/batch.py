"""Submissions that wait for the ledger at the same moment and share one transaction."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Sequence
from concurrent.futures import Future

from mograder.domain.allowance import HOUR, Usage
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Issue, NewSubmission, Receipt, stem_of, version_filename
from mograder.domain.submissions import Accepted
from mograder.store.folder.rows import HEAD, head_of
from mograder.store.shared.files import Spool, remove_scratch
from mograder.store.shared.rows import RECEIPT_COLUMNS, Row, receipt_of

_ASKED = "WITH asked (a, b) AS (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"

LATEST = f"""{_ASKED}
SELECT {", ".join(f"latest.{each}" for each in RECEIPT_COLUMNS.split(", "))}
FROM asked JOIN receipts AS latest ON latest.number = (
    SELECT number FROM receipts WHERE assignment = a AND username = b ORDER BY attempt DESC LIMIT 1
)"""
"""The last receipt of each [assignment, user name] that has one."""

TAKEN = f"""{_ASKED}
SELECT a, b FROM asked WHERE EXISTS (
    SELECT 1 FROM receipts WHERE assignment = a AND filename > b || '.' AND filename < b || '/'
)"""  # "/" comes after "."
"""Those [assignment, stem] that are the name of a version, whatever its ending."""

LAST = f"""{_ASKED}
SELECT a, b, (SELECT max(filename) FROM receipts WHERE assignment = a AND username = b) FROM asked"""
"""The greatest name among the versions of each [assignment, user name], or NULL."""

USAGE = f"""{_ASKED}
SELECT username, count(*) FILTER (WHERE received > b - {HOUR} AND received < b + {HOUR}),
    coalesce(min(received) FILTER (WHERE received > b - {HOUR} AND received < b + {HOUR}), 0), sum(size)
FROM asked JOIN receipts ON username = a AND by = a GROUP BY username"""
"""What each [user name, moment] has sent: the number of submissions within an hour, their first moment, and all bytes.
"""

MOMENTS = """
SELECT coalesce(arrived, received) FROM receipts WHERE username = :user AND assignment = :assignment AND by = :user
AND coalesce(arrived, received) > :since AND coalesce(arrived, received) < :until"""


class PendingSubmission:
    """A submission that waits for the ledger, and the promise of its outcome."""

    def __init__(self, submission: NewSubmission, issue: Issue) -> None:
        assert isinstance(submission.body, Spool), "a submission comes through `upload`"
        self.submission = submission
        self.body = submission.body
        self.issue = issue
        self.is_large = self.body.is_large
        self.source: str | None = None
        """The file that is still to be moved to its place, None if there is none."""
        self.accepted: Accepted | None = None
        self.error: BaseException | None = None
        self.promise: Future[Accepted] = Future()
        self.promise.set_running_or_notify_cancel()  # it cannot be cancelled

    def pending(self) -> tuple[int, bytes | None, str | None]:
        """The row of `pending`, which keeps the bytes until their file is synced: number, bytes, hidden file."""
        assert self.accepted is not None
        assert self.source is not None
        number = self.accepted.receipt.number
        return (number, None, os.path.basename(self.source)) if self.is_large else (number, self.body.data, None)

    def keep_promise(self, failed: BaseException | None) -> None:
        """Resolve the promise. `failed` is the exception of the whole batch, if there was one."""
        if self.source and not self.is_large:
            remove_scratch(self.source)
        if error := failed or self.error:
            self.promise.set_exception(error)
        else:
            assert self.accepted is not None
            self.promise.set_result(self.accepted)


class LedgerEnd:
    """The `ChainEnd` of a ledger's open transaction, read as far as `submissions` need it.

    Few statements read for all submissions at once, since each releases the interpreter lock and must get it back.
    `submitted` is the folder of submissions.
    """

    def __init__(self, connection: sqlite3.Connection, submitted: str, submissions: Sequence[NewSubmission]) -> None:
        self._connection = connection
        self._submitted = submitted
        self._keys = keys = {(each.assignment, each.username) for each in submissions}
        self._last: dict[tuple[AssignmentName, Username], str | None] = {}
        stems = {(each.assignment, stem_of(version_filename(each.username, each.received))) for each in submissions}
        came: dict[Username, int] = {}
        for each in submissions:
            came[each.username] = max(each.came, came.get(each.username, each.came))
        self.head = head_of(connection.execute(HEAD).fetchone())
        latest = map(receipt_of, self._read(LATEST, keys))
        self._latest = {(each.submission.assignment, each.submission.username): each for each in latest}
        self._taken = set(self._read(TAKEN, stems))
        self._usage = {user: Usage(*found) for user, *found in self._read(USAGE, came.items())}

    def _read(self, sql: str, wanted: Collection[tuple[object, ...]]) -> list[Row]:
        return self._connection.execute(sql, (json.dumps(list(wanted)),)).fetchall()

    def latest(self, assignment: AssignmentName, username: Username) -> Receipt | None:
        return self._latest.get((assignment, username))

    def is_taken(self, assignment: AssignmentName, filename: str) -> bool:
        # Callers ask only for the submissions' own names and for names after `last_filename`, which no receipt has.
        # The disk is asked too: somebody may have put a version there by hand.
        return (assignment, stem_of(filename)) in self._taken or os.path.lexists(
            f"{self._submitted}{os.sep}{assignment}{os.sep}{filename}"
        )

    def last_filename(self, assignment: AssignmentName, username: Username) -> str:
        if not self._last:  # read for all at once, and only where two versions would have one name
            self._last = {(a, b): filename for a, b, filename in self._read(LAST, self._keys)}
        return self._last[assignment, username] or ""

    def usage(self, submission: NewSubmission) -> Usage:
        return self._usage.get(submission.username, Usage())

    def moments(self, submission: NewSubmission) -> list[int]:
        now, asked = submission.came, {"user": submission.username, "assignment": submission.assignment}
        rows = self._connection.execute(MOMENTS, {**asked, "since": now - HOUR, "until": now + HOUR})
        return [moment for (moment,) in rows.fetchall()]
