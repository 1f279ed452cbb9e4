"""Submissions of a course in a database, and its chain of receipts.

Invariant: bytes, receipt and place in the chain are one transaction. The bytes are sent first; then the row of the
course's chain is locked, only for as long as it takes to place the submissions that this server has pending.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from msgspec import Struct, field

from mograder.domain import deadlines
from mograder.domain.chain import Link, Tombstone
from mograder.domain.files import StoredFile
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import (
    Head,
    Issue,
    LatestFile,
    NewSubmission,
    Receipt,
    Submission,
    latest_filename,
    owner,
)
from mograder.domain.submissions import Accepted, Upload
from mograder.store.postgres import blobs
from mograder.store.postgres.blobs import Incoming
from mograder.store.postgres.chain import LockedEnd, write_receipts
from mograder.store.postgres.database import Connection
from mograder.store.postgres.jobs import enqueue
from mograder.store.postgres.rows import where_asked
from mograder.store.postgres.tables import CourseTables
from mograder.store.shared.chain import ChainAppender
from mograder.store.shared.rows import ERASED_COLUMNS, RECEIPT_COLUMNS, receipt_of

COMMITTING = 2
"""Transactions of submissions that one server runs at once in a course: one sends its bytes while the other commits."""

LATEST_SINCE = f"""SELECT DISTINCT ON (assignment, username) {RECEIPT_COLUMNS.replace("text", repr(""))} FROM receipts
WHERE course = %s AND number > %s ORDER BY assignment, username, number DESC"""

LATEST_OF_ASSIGNMENT = f"""SELECT DISTINCT ON (username) {RECEIPT_COLUMNS} FROM receipts
WHERE course = %s AND assignment = %s AND number > %s ORDER BY username, attempt DESC"""

TOGETHER = 100
"""Submissions in one transaction at most."""


class _PendingSubmission(Struct):
    """A submission that waits for its position in the chain, and its result."""

    submission: NewSubmission
    upload: Incoming
    issue: Issue
    body: str = field(default_factory=blobs.new_body)
    promise: Future[Any] = field(default_factory=Future)
    accepted: Accepted | None = None
    error: BaseException | None = None


class _Listed(Struct, frozen=True):
    """The latest files of an assignment, sorted by person, with all receipts up to `number`; see `Versions`."""

    people: object
    number: int
    files: tuple[LatestFile, ...]


class PostgresSubmissions:
    """A `SubmissionsStore`. `close` it before the database."""

    def __init__(self, tables: CourseTables) -> None:
        self._tables = tables
        self._course = tables.course
        self._listed: dict[AssignmentName, _Listed] = {}
        self._queue: deque[_PendingSubmission] = deque()
        self._taking = threading.Lock()
        self._committers = ThreadPoolExecutor(COMMITTING, thread_name_prefix="commit")

    def close(self) -> None:
        """Finish pending submissions."""
        self._committers.shutdown()

    def upload(self) -> Upload:
        return Incoming()

    def accept(self, submission: NewSubmission, issue: Issue) -> Future[Accepted]:
        assert isinstance(submission.body, Incoming), "a submission comes through `upload`"
        pending = _PendingSubmission(submission, submission.body, issue)
        if submission.body.is_large:  # alone, so that no other submission waits for its bytes
            self._commit([pending])
        else:
            self._queue.append(pending)
            self._committers.submit(self._commit_pending)
        return pending.promise

    def _commit_pending(self) -> None:
        """The first of several calls commits everything in the queue; the others then find it empty."""
        with self._taking:
            together = [self._queue.popleft() for _ in range(min(len(self._queue), TOGETHER))]
        if together:
            self._commit(together)

    def _commit(self, together: list[_PendingSubmission]) -> None:
        try:
            self._tables.write(lambda connection: self._place(connection, together), together=True)
        except Exception as error:  # noqa: BLE001 (raised again by the callers that wait for the futures)
            for each in together:
                each.error = each.error or error
        for each in together:
            if each.error is not None:
                each.promise.set_exception(each.error)
            else:
                each.promise.set_result(each.accepted)

    def _place(self, connection: Connection, together: list[_PendingSubmission]) -> None:
        """Append to the chain in the open transaction. A submission that is refused leaves the others unaffected."""
        blobs.keep(connection, self._course, ((each.body, each.upload.pieces()) for each in together))
        chain = ChainAppender(LockedEnd(connection, self._course, [each.submission for each in together]))
        unused: list[str] = []
        bodies: list[str] = []
        for each in together:
            each.accepted = each.error = None
            try:
                each.accepted = chain.append(each.submission, each.issue)
            except Exception as error:  # noqa: BLE001 (raised again by the caller that waits for the future)
                each.error = error
            new = each.accepted is not None and not each.accepted.repeated
            (bodies if new else unused).append(each.body)
        write_receipts(connection, self._course, chain.head, list(zip(bodies, chain.new, strict=True)))
        if chain.new:
            enqueue(connection, self._course, chain.new[0].number)
        blobs.drop(connection, self._course, unused)

    def latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...]:
        versions, kept = self._tables.memory.versions, self._listed.get(assignment)  # versions before the rows
        if kept is None or versions is None or kept.people != versions.people:
            kept = _Listed(None, 0, ())
        elif kept.number == versions.receipts:
            return kept.files
        rows = self._tables.read(LATEST_OF_ASSIGNMENT, assignment, kept.number)
        found = kept.files
        if rows:
            files = {each.username: each for each in kept.files}
            files.update((each.username, each) for each in map(_latest_file, map(receipt_of, rows)))
            found = tuple(files[username] for username in sorted(files))
        if versions is not None:
            self._listed[assignment] = _Listed(versions.people, versions.receipts, found)
        return found

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        """As `latest_files`, but None if something would have to be read."""
        versions, kept = self._tables.memory.versions, self._listed.get(assignment)
        if kept is None or versions is None or (kept.people, kept.number) != (versions.people, versions.receipts):
            return None
        return kept.files

    def file(self, assignment: AssignmentName, filename: FileName) -> StoredFile | None:
        username = owner(filename)
        which, value = ("username", username) if username else ("filename", filename)
        rows = self._tables.read(
            f"SELECT size, received, body FROM receipts WHERE course = %s AND assignment = %s AND {which} = %s "
            "ORDER BY attempt DESC LIMIT 1",
            assignment, value,
        )  # fmt: skip
        return self._tables.stored_file(filename, *rows[0]) if rows else None

    def pieces(self, receipt: Receipt) -> Iterator[bytes]:
        """The bytes of a submission. Raises Unreadable."""
        ((body,),) = self._tables.read("SELECT body FROM receipts WHERE course = %s AND number = %s", receipt.number)
        return self._tables.pieces(body, receipt.submission.size)

    def head(self) -> Head:
        return Head(*self._tables.read("SELECT number, head FROM chains WHERE course = %s")[0])

    def chain(self) -> Iterator[Link]:
        end, last = self.head().number, 0
        while last < end:
            # Receipts first: then a receipt that is being erased is found in one of the tables, or in both.
            upto = min(last + 1000, end)
            where = "WHERE course = %s AND number > %s AND number <= %s"
            receipts = map(receipt_of, self._tables.read(f"SELECT {RECEIPT_COLUMNS} FROM receipts {where}", last, upto))
            links: dict[int, Link] = {each.number: each for each in receipts}
            for row in self._tables.read(f"SELECT {ERASED_COLUMNS} FROM erased {where}", last, upto):
                links[row[0]] = Tombstone(*row)
            yield from sorted(links.values(), key=lambda link: link.number)
            last = upto

    def receipts(self, assignment: AssignmentName | None = None, username: Username | None = None) -> Iterator[Receipt]:
        where, values = where_asked(assignment=assignment, username=username)
        sql = f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE course = %s{where} AND number > %s ORDER BY number"
        last, more = 0, True
        while more:
            rows = self._tables.read(f"{sql} LIMIT 1000", *values, last)
            yield from map(receipt_of, rows)
            more = len(rows) == 1000
            last = rows[-1][0] if rows else last

    def latest(self, since: int = 0) -> list[tuple[int, Submission]]:
        rows = self._tables.read(LATEST_SINCE, since)
        return sorted(((row[0], receipt_of(row).submission) for row in rows), key=lambda each: each[0])

    def received_since(self, moment: int) -> list[int]:
        sql = "SELECT received FROM receipts WHERE course = %s AND received >= %s"
        return [row[0] for row in self._tables.read(sql, moment)]

    def free_space(self) -> int | None:
        return None

    def users(self, assignment: AssignmentName) -> list[Username]:
        sql = "SELECT DISTINCT username FROM receipts WHERE course = %s AND assignment = %s"
        return [Username(username) for (username,) in self._tables.read(sql, assignment)]


def _latest_file(receipt: Receipt) -> LatestFile:
    kept = receipt.submission
    name = latest_filename(kept.username)
    return LatestFile(kept.username, name, kept.size, kept.received / deadlines.SECOND, kept.sha256)
