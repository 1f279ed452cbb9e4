"""Submissions in a course folder, taken, shown and settled: the part of `FolderStore` that crashes must not hurt.

The law of a submission: its receipt and bytes are committed in the ledger before anything else is visible; file and
link are in place before `accept` returns; they are synced behind it, and only then do the bytes leave the ledger.
`recover` finishes what a crash left between any two of these steps.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from mograder.domain.chain import Link, Tombstone
from mograder.domain.errors import MograderError, Temporary
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import (
    ChainPosition,
    Head,
    Issue,
    NewSubmission,
    Receipt,
    Submission,
    free_filename,
    latest_filename,
    owner,
)
from mograder.domain.store import Accepted, LatestFile, StoredFile, Upload
from mograder.store.folder.batch import ChainAppender, PendingSubmission
from mograder.store.folder.layout import Folders, Place, stored
from mograder.store.folder.ledger import TOGETHER, Ledger
from mograder.store.shared import files
from mograder.store.shared.files import (
    Cached,
    MemoryBudget,
    Spool,
    StatCache,
    StatSnapshot,
    spool_name,
    storage_errors,
    write_spool,
)
from mograder.store.shared.rows import (
    HEAD,
    RECEIPT_COLUMNS,
    SINCE,
    head_of,
    latest_receipt,
    receipt_of,
    receipt_values,
    where_asked,
)

log = logging.getLogger(__name__)

SETTLE_AFTER = 1.0
"""Seconds without a submission after which one sync covers all that were placed."""
SETTLE_WITHIN = 10.0
"""Seconds after which they are synced although others go on coming: the ledger holds their bytes until then."""

RETRY_AFTER = 60.0
"""The longest time, in seconds, until what could not be put in its place is tried again."""


class FolderSubmissions:
    """Takes submissions, and reads them. Open from the start; `stop_settling` before the ledger is closed."""

    def __init__(self, folders: Folders, ledger: Ledger) -> None:
        """Finishes what a crash left, and settles from now on what is handed in."""
        self.folders, self.ledger = folders, ledger
        self._submitted = str(folders.submitted)
        self._room = MemoryBudget()
        self._gathering = threading.Lock()
        self._batch: list[PendingSubmission] | None = None
        self._sha256 = Cached(files.sha256_of)
        self._latest_names = Cached(_latest_names)
        # Receipts only ever come behind the others, or are erased: what was read of them stays so.
        self._latest: dict[tuple[AssignmentName, Username], Submission] = {}
        self._latest_number = 0
        self._latest_erased: object = None
        self._latest_lock = threading.Lock()
        self._same_files: StatCache[tuple[LatestFile, ...]] = StatCache()
        self._stopping = threading.Event()
        self._unsettled = threading.Event()
        with storage_errors("recover the course"):
            self.recover()
        self._settler = threading.Thread(target=self._settle_in_background, name="settle", daemon=True)
        self._settler.start()

    def stop_settling(self) -> None:
        self._stopping.set()
        self._unsettled.set()
        self._settler.join()
        with contextlib.suppress(MograderError):
            self.settle()

    def upload(self) -> Upload:
        with storage_errors("receive the file"):
            self._make_in_use(self.folders.submitted)
        return Spool(self.folders.submitted, self._room)

    def accept(self, submission: NewSubmission, issue: Issue) -> Future[Accepted]:
        waiting = PendingSubmission(submission, issue)
        with self._gathering:
            if self._batch is None or len(self._batch) >= TOGETHER:
                batch = [waiting]
                taken = self.ledger.begin(partial(self._take, batch), self._place)
                taken.add_done_callback(partial(self._answer, batch))
                self._batch = batch
            else:
                self._batch.append(waiting)
        return waiting.promise

    def _close(self, batch: list[PendingSubmission]) -> None:
        """Nobody joins this batch any more."""
        with self._gathering:
            if self._batch is batch:
                self._batch = None

    def _take(self, batch: list[PendingSubmission], connection: sqlite3.Connection) -> list[PendingSubmission]:
        """Write receipts and bytes of everybody who waits into the open transaction; those that were accepted."""
        self._close(batch)
        chain = ChainAppender(connection)
        for each in batch:
            try:
                with storage_errors("keep the submission"):
                    each.accepted = self._append(chain, each)
            except sqlite3.Error:
                raise  # the database itself: nothing of this batch is kept
            except Exception as error:  # noqa: BLE001 (raised again by whoever waits for the promise)
                each.error = error
        connection.executemany(
            f"INSERT INTO receipts ({RECEIPT_COLUMNS}) VALUES ({', '.join('?' * 14)})", map(receipt_values, chain.new)
        )
        connection.executemany(
            "INSERT OR IGNORE INTO pending (number, body, spool) VALUES (?, ?, ?)",
            (each.pending() for each in batch if each.source),  # one after the other: they may be large together
        )
        return batch

    def _append(self, chain: ChainAppender, waiting: PendingSubmission) -> Accepted:
        """Give a submission the next place, once its bytes are in a file beside where they belong, its `source`."""
        submission, body = waiting.submission, waiting.body
        folder = f"{self._submitted}{os.sep}{submission.assignment}"
        if folder not in chain.folders:
            self._make_in_use(self.folders.submitted, submission.assignment)
            chain.folders.add(folder)
        latest = chain.latest(submission.assignment, submission.username)
        named: set[str] | None = None

        def taken(filename: str) -> bool:
            nonlocal named
            named = chain.names(latest, filename) if named is None else named
            return filename in named or os.path.lexists(f"{folder}{os.sep}{filename}")

        filename = free_filename(submission.username, submission.received, taken)
        receipt = waiting.issue(ChainPosition(chain.head.number + 1, chain.head.hash, latest, filename))
        accepted = Accepted(receipt, repeated=receipt is latest)
        # A version that was removed by hand comes back: these are its bytes.
        if not accepted.repeated or not os.path.exists(self._version(receipt.submission)):
            if body.path is None:
                scratch = f"{folder}{os.sep}{spool_name()}"
                write_spool(scratch, body.data)
                waiting.source = scratch
            elif os.access(folder, os.W_OK):  # the file moves there only once it is accepted
                waiting.source = str(body.path)
            else:
                raise PermissionError(errno.EACCES, "not writable")
        if not accepted.repeated:
            chain.grow(receipt)
        return accepted

    def _place(self, batch: list[PendingSubmission]) -> None:
        """Show committed submissions under their names. What fails here is made good by `settle`: nothing is lost."""
        for each in batch:
            if each.accepted is None or each.source is None:
                continue
            if each.accepted.repeated and os.path.exists(self._version(each.accepted.receipt.submission)):
                continue  # the first of two that came together has it there by now
            each.body.path = None  # ours now: the uploader must not discard it
            try:
                self._show(each.accepted.receipt.submission, each.source)
                each.source = None
            except (
                Exception
            ):  # whatever it is, the submission is committed, and the others of the batch wait their turn
                log.exception("submission %s is kept in the ledger; its file follows", each.accepted.receipt.number)
        self._unsettled.set()

    def _answer(self, batch: list[PendingSubmission], taken: Future[list[PendingSubmission]]) -> None:
        """Keep the promises of a batch, whose transaction is over."""
        self._close(batch)
        failed = taken.exception()
        for each in batch:
            each.keep_promise(failed)

    def _version(self, submission: Submission) -> str:
        return f"{self._submitted}{os.sep}{submission.assignment}{os.sep}{submission.filename}"

    def _latest_path(self, submission: Submission) -> str:
        return f"{self._submitted}{os.sep}{submission.assignment}{os.sep}{latest_filename(submission.username)}"

    def _show(self, submission: Submission, source: str) -> None:
        version = self._version(submission)
        files.put(source, version)
        self._point_latest(submission, version)

    def _point_latest(self, submission: Submission, version: str) -> None:
        latest = self._latest_path(submission)
        self._keep_by_hand(latest, submission)
        files.point_latest(latest, version)

    def _keep_by_hand(self, latest: str, submission: Submission) -> None:
        """A latest file that somebody put there by hand becomes a version of its own instead of being replaced."""
        try:
            found = os.lstat(latest)
        except FileNotFoundError:
            return
        if files.is_link(found):
            return
        digest = files.sha256_of(Path(latest))
        known = self.ledger.read(
            "SELECT 1 FROM receipts WHERE assignment = ? AND username = ? AND sha256 = ?",
            (submission.assignment, submission.username, digest),
        )
        if not known:
            folder = os.path.dirname(latest)

            def taken(filename: str) -> bool:  # in the ledger too: a version's name is taken before its file is there
                sql = "SELECT 1 FROM receipts WHERE assignment = ? AND filename = ?"
                return os.path.lexists(f"{folder}{os.sep}{filename}") or bool(
                    self.ledger.read(sql, (submission.assignment, filename))
                )

            kept = free_filename(submission.username, int(found.st_mtime * 1_000_000), taken)
            os.replace(latest, f"{folder}{os.sep}{kept}")

    def _make_in_use(self, base: Path, *names: str) -> Path:
        """A folder below `base`, made if it is missing. Raises Temporary when `base` was in use and is gone.

        It is away (a disk that is not mounted, a slip of the hand), and in a new one nobody looks for the old work.
        """
        folder = base.joinpath(*names)
        if not folder.is_dir():
            self._check_there(base)
            files.make_folder(folder)
        return folder

    def _check_there(self, base: Path) -> None:
        """Raises Temporary when `base`, the folder of submissions or of grades, was in use and is gone."""
        kind = "receipts" if base == self.folders.submitted else "events WHERE action IN ('grades', 'feedback')"
        in_use = f"SELECT 1 FROM {kind} LIMIT 1"
        # Asked again at the end: another submission, the first of the course, may have made it meanwhile.
        if not base.is_dir() and self.ledger.read(in_use) and not base.is_dir():
            log.error("%s is gone: bring it back, or make an empty one to begin anew", base)
            raise Temporary("a folder of the course is gone: the server's log says which", retry_after=30)

    # what a crash leaves

    def recover(self) -> None:
        """Finish every submission that is committed but not known to be on the disk, by checksum."""
        pending = self.ledger.read("SELECT number FROM pending ORDER BY number")
        for (number,) in pending:
            self.ledger.write(partial(self._finish, number=number, check=True))
        if pending:
            try:
                self.settle()
            except MograderError:  # no room, say: the course is served all the same, and it is tried again
                log.exception("submissions stay in the ledger for now")
                self._unsettled.set()
        self._drop_leftovers()

    def _finish(self, connection: sqlite3.Connection, number: int, check: bool) -> None:
        """Make sure that the file of a pending receipt is whole and that the person's link is right.

        What cannot be done now is logged and stays pending: one submission must not stop all others.
        """
        try:
            self._finish_one(connection, number, check)
        except (OSError, MograderError):
            log.exception("submission %s is kept in the ledger; its file cannot be written now", number)

    def _finish_one(self, connection: sqlite3.Connection, number: int, check: bool) -> None:
        row = connection.execute(
            f"SELECT {RECEIPT_COLUMNS}, body, spool FROM pending JOIN receipts USING (number) WHERE number = ?",
            (number,),
        ).fetchone()
        if row is None:
            return  # another process has finished it
        submission, body, spool = receipt_of(row[:-2]).submission, row[-2], row[-1]
        version = self._version(submission)
        if not os.path.exists(version) or (check and files.sha256_of(Path(version)) != submission.sha256):
            folder = self._make_in_use(self.folders.submitted, submission.assignment)
            source = str(self.folders.submitted / spool if spool else folder / spool_name())
            if not spool:
                write_spool(source, body)
            try:
                files.put(source, version)
            except FileNotFoundError:
                # The spool was synced before it became the version, so no crash did this: a person did.
                log.error("the file of submission %s is missing or differs: %s", number, version)
        last = latest_receipt(connection, submission.assignment, submission.username)
        if last is not None and last.number == number and os.path.exists(version):
            self._point_latest(submission, version)

    def _finish_all(self, connection: sqlite3.Connection, numbers: list[int]) -> None:
        for number in numbers:
            self._finish(connection, number, check=False)

    def _release(self, connection: sqlite3.Connection, rows: list[tuple[int, Submission]]) -> int:
        """Let the bytes leave the ledger, of submissions that are on the disk under all their names; how many."""
        released = 0
        for number, submission in rows:
            last = latest_receipt(connection, submission.assignment, submission.username)
            superseded = last is not None and last.number != number and os.path.exists(self._version(submission))
            if superseded or self._is_shown(submission):
                connection.execute("DELETE FROM pending WHERE number = ?", (number,))
                released += 1
        return released

    def _is_shown(self, submission: Submission) -> bool:
        """Whether the version is there and is the latest by link, or by copy where there are no links."""
        latest = self._latest_path(submission)
        try:
            if not os.path.exists(self._version(submission)):
                return False
            if os.path.islink(latest):
                return os.readlink(latest) == submission.filename
            return files.sha256_of(Path(latest)) == submission.sha256
        except OSError:
            return False

    def _drop_leftovers(self) -> None:
        """Files and links that were cut off long ago; a younger one may belong to another server on this folder."""
        needed = {name for (name,) in self.ledger.read("SELECT spool FROM pending")}
        for path in self.folders.submitted.glob("**/.*"):
            if files.is_on_its_way(path.name) and path.name not in needed:
                with contextlib.suppress(OSError):
                    if time.time() - path.lstat().st_mtime > files.CUT_OFF_AFTER:
                        path.unlink()

    def _settle_in_background(self) -> None:
        again = 0.0  # seconds until the next try; 0 when nothing is left over
        while not self._stopping.is_set():
            self._unsettled.wait(again or None)
            self._await_quiet()
            try:
                done = self.settle()
            except Exception:  # this thread must outlive every fault: submissions stay in the ledger meanwhile
                log.exception("submissions stay in the ledger for now")
                done = False
            again = 0.0 if done else min(2 * again + SETTLE_AFTER, RETRY_AFTER)

    def _await_quiet(self) -> None:
        """Wait until nothing has been placed for `SETTLE_AFTER`: a rush has the disk to itself, but not for ever."""
        ends = time.monotonic() + SETTLE_WITHIN
        quiet = False
        while not quiet and time.monotonic() < ends:
            self._unsettled.clear()
            quiet = self._stopping.wait(SETTLE_AFTER) or not self._unsettled.is_set()
        self._unsettled.clear()

    def settle(self) -> bool:
        """Sync files and links of pending submissions, then let their bytes leave the ledger; whether all of them
        did.
        """
        sql = f"SELECT {RECEIPT_COLUMNS} FROM pending JOIN receipts USING (number) ORDER BY number"
        # As a writer: whoever has the turn has placed file and link of what it committed before it passes the turn on.
        rows = self.ledger.write(lambda connection: connection.execute(sql).fetchall())
        if not rows:
            return True
        with storage_errors("sync the submissions"):
            pending = [(row[0], receipt_of(row).submission) for row in rows]
            behind = [number for number, submission in pending if not self._is_shown(submission)]
            if behind:
                self.ledger.write(partial(self._finish_all, numbers=behind))
            versions = [self._version(submission) for _, submission in pending]
            _sync_all(self.folders.submitted, list(filter(os.path.exists, versions)))
        released = self.ledger.write(partial(self._release, rows=pending))
        self.ledger.checkpoint()
        return released == len(rows)

    # reading submissions

    def latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...]:
        with storage_errors("list the submissions"):
            return self._same_files.get(assignment, partial(self._find_latest, assignment))

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        return self._same_files.cached(assignment)

    def _find_latest(self, assignment: AssignmentName, marks: StatSnapshot) -> tuple[LatestFile, ...]:
        folder = f"{self._submitted}{os.sep}{assignment}"
        marks.look(self._submitted)
        marks.look(folder)
        try:
            names = self._latest_names.get(folder)
        except (FileNotFoundError, NotADirectoryError):
            self._check_there(self.folders.submitted)
            return ()
        found = []
        for username, name, target in names:
            path = f"{folder}{os.sep}{target}"
            status = marks.look(path)
            if status is not None and files.is_regular(status):
                digest = self._digest(path, status, marks)
                found.append(LatestFile(username, name, status.st_size, status.st_mtime, digest))
        return tuple(found)

    def _digest(self, path: str, status: os.stat_result, marks: StatSnapshot) -> str:
        try:
            return self._sha256.get(path, status)
        except OSError as error:  # one that cannot be read must not hide the others
            marks.failed(error)
            return ""

    def submitted_file(self, assignment: AssignmentName, filename: FileName) -> StoredFile | None:
        if "/" in filename:
            return None
        with storage_errors("read the submission"):
            found = stored(filename, partial(_version_of, f"{self._submitted}{os.sep}{assignment}", filename))
            if found is None:
                self._check_there(self.folders.submitted)
            return found

    def head(self) -> Head:
        return head_of(next(iter(self.ledger.read(HEAD)), None))

    def receipts(self, assignment: AssignmentName | None = None, username: Username | None = None) -> Iterator[Receipt]:
        where, values = where_asked(assignment=assignment, username=username)
        rows = self.ledger.read(f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE {where} ORDER BY number", values)
        return map(receipt_of, rows)

    def latest(self) -> list[Submission]:
        with self._latest_lock:
            erased = self.ledger.read("SELECT count(*) FROM erased")
            if erased != self._latest_erased:
                self._latest, self._latest_number, self._latest_erased = {}, 0, erased
            rows = self.ledger.read(SINCE, (self._latest_number,))
            for row in rows:
                kept = receipt_of(row).submission
                self._latest[kept.assignment, kept.username] = kept
                self._latest_number = row[0]
            return list(self._latest.values())

    def received_since(self, moment: int) -> list[int]:
        return [row[0] for row in self.ledger.read("SELECT received FROM receipts WHERE received >= ?", (moment,))]

    def free_space(self) -> int | None:
        folder = self.folders.submitted if self.folders.submitted.exists() else self.folders.root
        with storage_errors("look at the disk"):
            return shutil.disk_usage(folder).free

    def handed_in(self, assignment: AssignmentName) -> list[Username]:
        with storage_errors("list the submissions"):
            try:
                return [username for username, _, _ in self._latest_names.get(str(self.folders.submitted / assignment))]
            except (FileNotFoundError, NotADirectoryError):
                self._check_there(self.folders.submitted)
                return []

    def chain(self) -> Iterator[Link]:
        columns = "number, previous, hash, statement"
        # As a writer: a receipt that is being erased is in one of the two, not in both or none.
        receipts, erased = self.ledger.write(lambda connection: (
            connection.execute(f"SELECT {RECEIPT_COLUMNS} FROM receipts").fetchall(),
            connection.execute(f"SELECT {columns} FROM erased").fetchall(),
        ))  # fmt: skip
        links: list[Link] = [*map(receipt_of, receipts), *(Tombstone(*row) for row in erased)]
        return iter(sorted(links, key=lambda link: link.number))


def _sync_all(folder: Path, paths: list[str]) -> None:
    """Make files, links and names durable: one call for the whole file system where there is one."""
    if _LIBC is not None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if _LIBC.syncfs(descriptor) != 0:
                raise OSError(ctypes.get_errno(), "not synced")
        finally:
            os.close(descriptor)
        return
    for path in paths:
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
    for parent in {os.path.dirname(path) for path in paths}:
        files.sync_folder(Path(parent))


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


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
    found = target and files.look(folder, target)
    return (folder, target, found) if target and found else None


def _latest_names(folder: Path) -> tuple[tuple[Username, str, str], ...]:
    """Whose latest submissions stand in a folder, sorted: the person, the name, and the file that it stands for."""
    found = [(owner(name), name) for name in os.listdir(folder)]
    named = [(username, name, _neighbour(str(folder), name)) for username, name in found if username]
    return tuple(sorted((username, name, target) for username, name, target in named if target))
