"""Accepts submissions into a course folder, and reads those that are there.

Invariant: a submission's receipt and bytes are committed in the ledger before anything else is visible. File and link
are in place before the future of `accept` is done. They are synced afterwards (settling.py), and only then are the
bytes deleted from the ledger.
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
from mograder.permissions import make_private, private_mode
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

_DATED = re.compile(r"/[^/]+_\d{8}T\d{6}\.py(?![^/])", re.ASCII)
"""A dated version (`names.HISTORY_STEM`) among names of which each has a "/" before it. The "/" comes first, so that a
search begins once a name: the time does not grow with the square of a name's length.
"""


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
        # Without the lock: a transaction that has failed already is answered here and now.
        taken.add_done_callback(partial(self._answer, batch))
        return waiting.promise

    def _close(self, batch: list[PendingSubmission]) -> None:
        """Let no more submissions join this batch."""
        with self._gathering:
            if self._batch is batch:
                self._batch = None

    def _take(self, batch: list[PendingSubmission], connection: sqlite3.Connection) -> list[PendingSubmission]:
        """Write the receipts and bytes of a batch into the open transaction."""
        from mograder.store.folder.jobs import enqueue  # here, so that a server starts without it

        self._close(batch)
        chain = ChainAppender(LedgerEnd(connection, self._submitted, [each.submission for each in batch]))
        modes: dict[str, int] = {}
        for each in batch:
            try:
                with storage_errors("keep the submission"):
                    assignment = each.submission.assignment
                    if assignment not in modes:
                        modes[assignment] = private_mode(self._in_use.make(self._folders.submitted, assignment))
                    keep = partial(self._keep_bytes, each, modes[assignment])
                    each.accepted = chain.append(each.submission, each.issue, keep)
            except sqlite3.Error:
                raise  # the database has failed: nothing of this batch is kept
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
            (each.pending() for each in batch if each.source),  # a generator: together they may be large
        )
        return batch

    def _keep_bytes(self, pending: PendingSubmission, mode: int, accepted: Accepted) -> None:
        """Write the bytes to a file from which a rename puts them in place: the submission's `source`.

        `mode` is that of a new file.
        """
        submission, body = pending.submission, pending.body
        # Repeated bytes are needed only if the version was removed by hand: they restore it.
        if accepted.repeated and os.path.exists(self._placement.version(accepted.receipt.submission)):
            return
        folder = f"{self._submitted}{os.sep}{submission.assignment}"
        if body.path is None:
            scratch = f"{folder}{os.sep}{spool_name()}"
            write_spool(scratch, body.data, mode)
            pending.source = scratch
        elif os.access(folder, os.W_OK):  # the file moves there after the commit, too late to refuse it
            make_private(body.path, Path(folder))
            pending.source = str(body.path)
        else:
            raise PermissionError(errno.EACCES, "not writable")

    def _place(self, batch: list[PendingSubmission]) -> None:
        """Put committed submissions under their names. The settler places those that cannot be placed now."""
        for each in batch:
            if each.accepted is None or each.source is None:
                continue
            if each.accepted.repeated and os.path.exists(self._placement.version(each.accepted.receipt.submission)):
                continue  # another submission of this batch with the same bytes has put it there
            each.body.path = None  # so that the uploader does not discard the file
            try:
                self._placement.show(each.accepted.receipt.submission, each.source)
                each.source = None
            except Exception:  # the submission is committed, and the rest of the batch must be placed
                log.exception("submission %s is kept in the ledger; its file follows", each.accepted.receipt.number)
        self._settler.notify()

    def _answer(self, batch: list[PendingSubmission], taken: Future[list[PendingSubmission]]) -> None:
        """Resolve the promises of a batch when its transaction has ended."""
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
        except OSError as error:  # one unreadable file must not hide the others
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
        # In a write: a receipt that is being erased is in exactly one of the tables.
        receipts, erased = self._ledger.write(lambda connection: (
            connection.execute(f"SELECT {RECEIPT_COLUMNS} FROM receipts").fetchall(),
            connection.execute(f"SELECT {ERASED_COLUMNS} FROM erased").fetchall(),
        ))  # fmt: skip
        links: list[Link] = [*map(receipt_of, receipts), *(Tombstone(*row) for row in erased)]
        return iter(sorted(links, key=lambda link: link.number))


def _neighbour(folder: str, name: str) -> str | None:
    """The name of the file in `folder` that `name` is or links to; None without one, or if it is elsewhere."""
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
        if error.errno == errno.EINVAL:  # not a link
            return name
        raise
    return None if outside else target


def _version_of(folder: str, name: str) -> Place | None:
    """The place of a submission's bytes; `name` is that of a dated version or of the latest."""
    target = _neighbour(folder, name)
    if target is None and owner(name):
        target = _last_version(folder, name)
    elif target == name and owner(name):
        target = named_version(f"{folder}{os.sep}{name}") or name
    found = target and files.look(folder, target)
    return (folder, target, found) if target and found else None


def _latest_names(folder: Path) -> tuple[tuple[Username, str, str], ...]:
    """The latest submissions in a folder, sorted: the person, the link's name, and the name of the file that it means.

    Where the link is missing (some copies leave links out), the last version by its name is the latest.
    """
    names = os.listdir(folder)
    # Most names, more with each submission, are dated versions: one expression removes those of .py files together.
    others = _DATED.sub("", "".join([f"/{name}" for name in names])).split("/")[1:]
    undated = [name for name in others if name.endswith(".py") or not version_owner(name)]
    dated = set(names).difference(undated)
    found = [(owner(name), name) for name in undated]
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
    """The last dated version for a latest file that is missing; None if it is not missing, or has no version."""
    if os.path.lexists(f"{folder}{os.sep}{name}"):
        return None
    try:
        found = [each for each in os.listdir(folder) if each.startswith(f"{name[:-3]}_")]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return max((each for each in found if is_version_of(name, each)), default=None)
