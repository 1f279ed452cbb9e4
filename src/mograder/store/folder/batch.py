"""Submissions that wait for the ledger at the same moment, on their way into one transaction."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from concurrent.futures import Future

from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Head, Issue, NewSubmission, Receipt
from mograder.domain.store import Accepted
from mograder.store.shared.files import Spool
from mograder.store.shared.rows import HEAD, head_of, latest_receipt


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
            with contextlib.suppress(OSError):
                os.unlink(self.source)
        if error := failed or self.error:
            self.promise.set_exception(error)
        else:
            assert self.accepted is not None
            self.promise.set_result(self.accepted)


class ChainAppender:
    """The end of the chain of receipts while a batch of submissions is put behind it: what is `new` is not written
    yet.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.head = head_of(connection.execute(HEAD).fetchone())
        self.new: list[Receipt] = []
        self._latest: dict[tuple[AssignmentName, Username], Receipt] = {}
        self.folders: set[str] = set()
        """Those of assignments that are known to be there."""

    def latest(self, assignment: AssignmentName, username: Username) -> Receipt | None:
        key = assignment, username
        return self._latest.get(key) or latest_receipt(self._connection, assignment, username)

    def names(self, latest: Receipt | None, first: str) -> set[str]:
        """Of the versions of the person whose `latest` it is: their names, from `first` on."""
        if latest is None:
            return set()  # no other person's versions are called so
        kept = latest.submission
        (found,) = self._connection.execute(
            "SELECT group_concat(filename, '/') FROM receipts WHERE assignment = ? AND filename BETWEEN ? AND ?",
            (kept.assignment, first, f"{kept.username}_:"),  # a colon comes behind the digits
        ).fetchone()
        new = (each.submission for each in self.new)
        same = {each.filename for each in new if each.assignment == kept.assignment and each.username == kept.username}
        return same | set(found.split("/")) if found else same

    def grow(self, receipt: Receipt) -> None:
        kept = receipt.submission
        self.head = Head(receipt.number, receipt.hash)
        self.new.append(receipt)
        self._latest[kept.assignment, kept.username] = receipt
