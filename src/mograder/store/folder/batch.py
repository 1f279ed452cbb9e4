"""Submissions that wait for the ledger at the same moment, on their way into one transaction."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import Future

from mograder.domain.allowance import HOUR, Usage
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Issue, NewSubmission, Receipt
from mograder.domain.submissions import Accepted
from mograder.store.folder.rows import HEAD, LAST_VERSION, VERSION, head_of, latest_receipt, version_values
from mograder.store.shared.files import Spool, remove_scratch

USAGE = """
SELECT count(*) FILTER (WHERE received > :since AND received < :until),
    coalesce(min(received) FILTER (WHERE received > :since AND received < :until), 0), coalesce(sum(size), 0)
FROM receipts WHERE username = :user AND by = :user"""


MOMENTS = """
SELECT coalesce(arrived, received) FROM receipts WHERE username = :user AND assignment = :assignment AND by = :user
AND coalesce(arrived, received) > :since AND coalesce(arrived, received) < :until"""


class PendingSubmission:
    """A submission on its way into the ledger, and the promise of what becomes of it."""

    def __init__(self, submission: NewSubmission, issue: Issue) -> None:
        assert isinstance(submission.body, Spool), "a submission comes through `upload`"
        self.submission = submission
        self.body = submission.body
        self.issue = issue
        self.is_large = self.body.is_large
        self.source: str | None = None
        """The file whose place is to be taken; None when there is none, or it is there."""
        self.accepted: Accepted | None = None
        self.error: BaseException | None = None
        self.promise: Future[Accepted] = Future()
        self.promise.set_running_or_notify_cancel()  # nobody can take back what has begun

    def pending(self) -> tuple[int, bytes | None, str | None]:
        """The row that keeps the bytes until their file is synced."""
        assert self.accepted is not None
        assert self.source is not None
        number = self.accepted.receipt.number
        return (number, None, os.path.basename(self.source)) if self.is_large else (number, self.body.data, None)

    def keep_promise(self, failed: BaseException | None) -> None:
        """`failed` is what befell all of the batch."""
        if self.source and not self.is_large:
            remove_scratch(self.source)
        if error := failed or self.error:
            self.promise.set_exception(error)
        else:
            assert self.accepted is not None
            self.promise.set_result(self.accepted)


class LedgerEnd:
    """The `ChainEnd` of a ledger's open transaction; `submitted` is the folder of submissions."""

    def __init__(self, connection: sqlite3.Connection, submitted: str) -> None:
        self._connection = connection
        self._submitted = submitted
        self.head = head_of(connection.execute(HEAD).fetchone())

    def latest(self, assignment: AssignmentName, username: Username) -> Receipt | None:
        return latest_receipt(self._connection, assignment, username)

    def is_taken(self, assignment: AssignmentName, filename: str) -> bool:
        # On the disk, too: a version may have been laid there by hand.
        return os.path.lexists(f"{self._submitted}{os.sep}{assignment}{os.sep}{filename}") or bool(
            self._connection.execute(VERSION, version_values(assignment, filename)).fetchone()
        )

    def last_filename(self, assignment: AssignmentName, username: Username) -> str:
        (found,) = self._connection.execute(LAST_VERSION, (assignment, username)).fetchone()
        return found or ""

    def usage(self, submission: NewSubmission) -> Usage:
        now, user = submission.came, submission.username
        row = self._connection.execute(USAGE, {"user": user, "since": now - HOUR, "until": now + HOUR}).fetchone()
        return Usage(*row)

    def moments(self, submission: NewSubmission) -> list[int]:
        now, asked = submission.came, {"user": submission.username, "assignment": submission.assignment}
        rows = self._connection.execute(MOMENTS, {**asked, "since": now - HOUR, "until": now + HOUR})
        return [moment for (moment,) in rows.fetchall()]
