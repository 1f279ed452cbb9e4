"""Submissions in a course folder: accepting them, and reading what stands there.

Invariant: a submission's receipt and bytes are committed in the ledger before anything else is visible; file and link
are in place before the future of `accept` is done; they are synced behind it (settling.py), and only then do the bytes
leave the ledger.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

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
    version_owner,
)
from mograder.domain.submissions import Accepted, Upload
from mograder.store.folder.batch import LedgerEnd, PendingSubmission
from mograder.store.folder.in_use import FoldersInUse
from mograder.store.folder.layout import Folders, Place, is_version_of, named_version, stored
from mograder.store.folder.ledger import TOGETHER, Ledger
from mograder.store.folder.placement import Placement
from mograder.store.folder.rows import HEAD, LATEST_SINCE, head_of, places, where_asked
from mograder.store.folder.settling import Settler
from mograder.store.shared import files
from mograder.store.shared.chain import ChainAppender
from mograder.store.shared.files import MemoryBudget, Spool, spool_name, storage_errors, write_spool
from mograder.store.shared.rows import ERASED_COLUMNS, RECEIPT_COLUMNS, receipt_of, receipt_values
from mograder.store.shared.stat_cache import Cached, StatCache, StatSnapshot

log = logging.getLogger(__name__)

STAMP = len("_20260310T200800.py")
_STAMPED = re.compile(r"_\d{8}T\d{6}\.py", re.ASCII)
"""What the name of a dated version ends with (`names.HISTORY_STEM`)."""


class FolderSubmissions:
    """A `SubmissionsStore`."""

    def __init__(
        self, folders: Folders, ledger: Ledger, in_use: FoldersInUse, placement: Placement, settler: Settler
    ) -> None:
        self._folders, self._ledger = folders, ledger
        self._in_use, self._placement, self._settler = in_use, placement, settler
        self._submitted = str(folders.submitted)
        self._room = MemoryBudget()
        self._gathering = threading.Lock()
        self._batch: list[PendingSubmission] | None = None
        self._sha256 = Cached(files.sha256_of)
        self._latest_names = Cached(_latest_names)
        self._latest_files: StatCache[tuple[LatestFile, ...]] = StatCache()

    def upload(self) -> Upload:
        with storage_errors("receive the file"):
            self._in_use.make(self._folders.submitted)
        return Spool(self._folders.submitted, self._room)

    def accept(self, submission: NewSubmission, issue: Issue) -> Future[Accepted]:
        waiting = PendingSubmission(submission, issue)
        with self._gathering:
            if self._batch is not None and len(self._batch) < TOGETHER:
                self._batch.append(waiting)
                return waiting.promise
            batch = [waiting]
            taken = self._ledger.begin(partial(self._take, batch), self._place)
            self._batch = batch
        taken.add_done_callback(partial(self._answer, batch))  # a batch that has failed by now is closed by this thread
        return waiting.promise

    def _close(self, batch: list[PendingSubmission]) -> None:
        """Nobody joins this batch any more."""
        with self._gathering:
            if self._batch is batch:
                self._batch = None

    def _take(self, batch: list[PendingSubmission], connection: sqlite3.Connection) -> list[PendingSubmission]:
        """Write the receipts and bytes of a batch into the open transaction."""
        from mograder.store.folder.jobs import enqueue  # a server starts without it

        self._close(batch)
        chain = ChainAppender(LedgerEnd(connection, self._submitted, [each.submission for each in batch]))
        present: set[str] = set()
        for each in batch:
            try:
                with storage_errors("keep the submission"):
                    assignment = each.submission.assignment
                    if assignment not in present:
                        self._in_use.make(self._folders.submitted, assignment)
                        present.add(assignment)
                    each.accepted = chain.append(each.submission, each.issue, partial(self._keep_bytes, each))
            except sqlite3.Error:
                raise  # the database itself: nothing of this batch is kept
            except Exception as error:  # noqa: BLE001 (raised again by the caller that waits for the future)
                each.error = error
        connection.executemany(
            f"INSERT INTO receipts ({RECEIPT_COLUMNS}) VALUES ({places(RECEIPT_COLUMNS)})",
            map(receipt_values, chain.new),
        )
        if chain.new:
            enqueue(connection, chain.new[0].number)
        connection.executemany(
            "INSERT OR IGNORE INTO pending (number, body, spool) VALUES (?, ?, ?)",
            (each.pending() for each in batch if each.source),  # one after the other: they may be large together
        )
        return batch

    def _keep_bytes(self, pending: PendingSubmission, accepted: Accepted) -> None:
        """Make sure that the bytes are in a file beside where they belong, the submission's `source`."""
        submission, body = pending.submission, pending.body
        # A version that was removed by hand comes back: these are its bytes.
        if accepted.repeated and os.path.exists(self._placement.version(accepted.receipt.submission)):
            return
        folder = f"{self._submitted}{os.sep}{submission.assignment}"
        if body.path is None:
            scratch = f"{folder}{os.sep}{spool_name()}"
            write_spool(scratch, body.data)
            pending.source = scratch
        elif os.access(folder, os.W_OK):  # the file moves there only once it is accepted
            pending.source = str(body.path)
        else:
            raise PermissionError(errno.EACCES, "not writable")

    def _place(self, batch: list[PendingSubmission]) -> None:
        """Put committed submissions under their names. The settler places those that cannot be placed now."""
        for each in batch:
            if each.accepted is None or each.source is None:
                continue
            if each.accepted.repeated and os.path.exists(self._placement.version(each.accepted.receipt.submission)):
                continue  # the first of two that came together has it there by now
            each.body.path = None  # ours now: the uploader must not discard it
            try:
                self._placement.show(each.accepted.receipt.submission, each.source)
                each.source = None
            except (
                Exception
            ):  # whatever it is, the submission is committed, and the others of the batch wait their turn
                log.exception("submission %s is kept in the ledger; its file follows", each.accepted.receipt.number)
        self._settler.notify()

    def _answer(self, batch: list[PendingSubmission], taken: Future[list[PendingSubmission]]) -> None:
        """Keep the promises of a batch, whose transaction is over."""
        self._close(batch)
        failed = taken.exception()
        for each in batch:
            each.keep_promise(failed)

    # reading submissions

    def latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...]:
        with storage_errors("list the submissions"):
            return self._latest_files.get(assignment, partial(self._find_latest, assignment))

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        """See `CachedReads`."""
        return self._latest_files.cached(assignment)

    def _find_latest(self, assignment: AssignmentName, snapshot: StatSnapshot) -> tuple[LatestFile, ...]:
        folder = f"{self._submitted}{os.sep}{assignment}"
        snapshot.look(self._submitted)
        snapshot.look(folder)
        try:
            names = self._latest_names.get(folder)
        except (FileNotFoundError, NotADirectoryError):
            self._in_use.check(self._folders.submitted)
            return ()
        found = []
        for username, name, target in names:
            path = f"{folder}{os.sep}{target}"
            status = snapshot.look(path)
            if target == name and status is not None and (named := named_version(path, status.st_size)):
                path = f"{folder}{os.sep}{named}"
                status = snapshot.look(path)
            if status is not None and files.is_regular(status):
                digest = self._digest(path, status, snapshot)
                found.append(LatestFile(username, name, status.st_size, status.st_mtime, digest))
        return tuple(found)

    def _digest(self, path: str, status: os.stat_result, snapshot: StatSnapshot) -> str:
        try:
            return self._sha256.get(path, status)
        except OSError as error:  # one that cannot be read must not hide the others
            snapshot.failed(error)
            return ""

    def file(self, assignment: AssignmentName, filename: FileName) -> StoredFile | None:
        if "/" in filename:
            return None
        with storage_errors("read the submission"):
            found = stored(filename, partial(_version_of, f"{self._submitted}{os.sep}{assignment}", filename))
            if found is None:
                self._in_use.check(self._folders.submitted)
            return found

    def head(self) -> Head:
        return head_of(next(iter(self._ledger.read(HEAD)), None))

    def receipts(self, assignment: AssignmentName | None = None, username: Username | None = None) -> Iterator[Receipt]:
        where, values = where_asked(assignment=assignment, username=username)
        rows = self._ledger.read(f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE {where} ORDER BY number", values)
        return map(receipt_of, rows)

    def latest(self, since: int = 0) -> list[tuple[int, Submission]]:
        rows = self._ledger.read(LATEST_SINCE, (since,))
        return [(row[0], receipt_of(row).submission) for row in rows]

    def received_since(self, moment: int) -> list[int]:
        return [row[0] for row in self._ledger.read("SELECT received FROM receipts WHERE received >= ?", (moment,))]

    def free_space(self) -> int | None:
        folder = self._folders.submitted if self._folders.submitted.exists() else self._folders.root
        with storage_errors("look at the disk"):
            return shutil.disk_usage(folder).free

    def users(self, assignment: AssignmentName) -> list[Username]:
        with storage_errors("list the submissions"):
            try:
                return [
                    username for username, _, _ in self._latest_names.get(str(self._folders.submitted / assignment))
                ]
            except (FileNotFoundError, NotADirectoryError):
                self._in_use.check(self._folders.submitted)
                return []

    def chain(self) -> Iterator[Link]:
        # As a writer: a receipt that is being erased is in one of the two, not in both or none.
        receipts, erased = self._ledger.write(lambda connection: (
            connection.execute(f"SELECT {RECEIPT_COLUMNS} FROM receipts").fetchall(),
            connection.execute(f"SELECT {ERASED_COLUMNS} FROM erased").fetchall(),
        ))  # fmt: skip
        links: list[Link] = [*map(receipt_of, receipts), *(Tombstone(*row) for row in erased)]
        return iter(sorted(links, key=lambda link: link.number))


def _neighbour(folder: str, name: str) -> str | None:
    """The file of `folder` that `name` stands for: itself, or where its link leads; None unless that is beside it."""
    path = f"{folder}{os.sep}{name}"
    try:
        target = os.readlink(path)
        outside = (
            os.sep in target
            or "/" in target
            or target.startswith(".")
            or files.is_link(os.lstat(f"{folder}{os.sep}{target}"))
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # no link
            return name
        raise
    return None if outside else target


def _version_of(folder: str, name: str) -> Place | None:
    """Where the bytes are of a submission by its name, dated or the latest."""
    target = _neighbour(folder, name)
    if target is None and owner(name):
        target = _last_version(folder, name)
    elif target == name and owner(name):
        target = named_version(f"{folder}{os.sep}{name}") or name
    found = target and files.look(folder, target)
    return (folder, target, found) if target and found else None


def _latest_names(folder: Path) -> tuple[tuple[Username, str, str], ...]:
    """Whose latest submissions stand in a folder, sorted: the person, the name, and the file that it stands for.

    Where the link is missing (some copies leave links out), the last version by its name is the latest.
    """
    names = os.listdir(folder)
    # Nearly all are dated versions, which are told by their end alone: there are more of them with every submission.
    dated = {
        name for name in names
        if (_STAMPED.fullmatch(name, max(0, len(name) - STAMP)) if name.endswith(".py") else version_owner(name))
    }  # fmt: skip
    found = [(owner(name), name) for name in names if name not in dated]
    named = [(username, name, _neighbour(str(folder), name)) for username, name in found if username]
    there = {username for username, _ in found}
    last: dict[Username, str] = {}
    for name in sorted(name for name in dated if name.rpartition("_")[0] not in there):
        username = owner(f"{version_owner(name)}.py")
        if username and username not in there:
            last[username] = name
    named += [(username, latest_filename(username), target) for username, target in last.items()]
    return tuple(sorted((username, name, target) for username, name, target in named if target))


def _last_version(folder: str, name: str) -> str | None:
    """The last dated version of a latest file that is missing itself."""
    if os.path.lexists(f"{folder}{os.sep}{name}"):
        return None
    try:
        found = [each for each in os.listdir(folder) if each.startswith(f"{name[:-3]}_")]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return max((each for each in found if is_version_of(name, each)), default=None)
