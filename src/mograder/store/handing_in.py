"""Hand-ins in a course folder, taken, shown and settled: the part of `DirectoryStore` that crashes must not hurt.

The law of a hand-in: its receipt and bytes are committed in the ledger before anything else is visible; file and
link are in place before `accept` returns; they are synced behind it, and only then do the bytes leave the ledger.
`recover` finishes what a crash left between any two of these steps.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import secrets
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from mograder.domain.chain import Erased, Link
from mograder.domain.errors import MograderError, Temporary
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import (
    Body,
    HandIn,
    Head,
    Issue,
    Receipt,
    Submission,
    Turn,
    free_filename,
    latest_filename,
    owner,
)
from mograder.domain.store import Accepted, LatestFile, StoredFile, Upload
from mograder.store import files
from mograder.store.files import Cached, Marks, Room, SameAgain, Spool, storage_errors
from mograder.store.layout import Folders, stored_file
from mograder.store.ledger import Ledger
from mograder.store.ledger_rows import (
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
"""Seconds without a hand-in after which one sync covers all that were placed."""
SETTLE_WITHIN = 10.0
"""Seconds after which they are synced although others go on coming: the ledger holds their bytes until then."""

RETRY_AFTER = 60.0
"""The longest time, in seconds, until what could not be put in its place is tried again."""


class HandingIn:
    """Takes hand-ins, and reads them. Open from the start; `stop_settling` before the ledger is closed."""

    def __init__(self, folders: Folders, ledger: Ledger) -> None:
        """Finishes what a crash left, and settles from now on what is handed in."""
        self.folders, self.ledger = folders, ledger
        self._submitted = str(folders.submitted)
        self._room = Room()
        self._sha256 = Cached(files.sha256_of)
        self._latest_names = Cached(_latest_names)
        # Receipts only ever come behind the others, or are erased: what was read of them stays so.
        self._latest: dict[tuple[AssignmentName, Username], Submission] = {}
        self._latest_number = 0
        self._latest_erased: object = None
        self._latest_lock = threading.Lock()
        self._same_files: SameAgain[tuple[LatestFile, ...]] = SameAgain()
        self._stopping = threading.Event()
        self._unsettled = threading.Event()
        with storage_errors("recover the course"):
            self.recover()
        self._settler = threading.Thread(target=self._settle_behind, name="settle", daemon=True)
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

    def accept(self, hand_in: HandIn, issue: Issue) -> Future[Accepted]:
        body = hand_in.body
        assert isinstance(body, Spool), "a hand-in comes through `upload`"
        large = body.path
        folder = self.folders.submitted / hand_in.assignment
        scratch = large or folder / _spool_name()

        def work(connection: sqlite3.Connection) -> Accepted:
            with storage_errors("keep the hand-in"):
                self._make_in_use(self.folders.submitted, hand_in.assignment)
                if large is None:
                    _write_scratch(scratch, body.data)
                elif not os.access(folder, os.W_OK):  # the file moves there only once it is accepted
                    raise PermissionError(errno.EACCES, "not writable")
            return self._append(connection, hand_in, issue, large)

        accepted = self.ledger.begin(work, lambda accepted: self._place(accepted, scratch, body))
        if large is None:
            accepted.add_done_callback(lambda _: scratch.unlink(missing_ok=True))
        return accepted

    def _append(self, connection: sqlite3.Connection, hand_in: HandIn, issue: Issue, large: Path | None) -> Accepted:
        """Write receipt and bytes into the open transaction."""
        folder = self.folders.submitted / hand_in.assignment
        latest = latest_receipt(connection, hand_in.assignment, hand_in.username)
        head = head_of(connection.execute(HEAD).fetchone())

        def taken(filename: str) -> bool:
            row = connection.execute(
                "SELECT 1 FROM receipts WHERE assignment = ? AND filename = ?", (hand_in.assignment, filename)
            ).fetchone()
            return row is not None or os.path.lexists(folder / filename)

        turn = Turn(
            number=head.number + 1,
            previous=head.hash,
            latest=latest,
            filename=free_filename(hand_in.username, hand_in.received, taken),
        )
        receipt = issue(turn)
        if receipt is latest:
            if not self._version(receipt.submission).exists():  # removed by hand: these are its bytes, so it comes back
                self._keep_pending(connection, receipt, hand_in.body, large)
            return Accepted(receipt, repeated=True)
        connection.execute(
            f"INSERT INTO receipts ({RECEIPT_COLUMNS}) VALUES ({', '.join('?' * 14)})", receipt_values(receipt)
        )
        self._keep_pending(connection, receipt, hand_in.body, large)
        return Accepted(receipt, repeated=False)

    @staticmethod
    def _keep_pending(connection: sqlite3.Connection, receipt: Receipt, body: Body, large: Path | None) -> None:
        assert isinstance(body, Spool)
        connection.execute(
            "INSERT OR IGNORE INTO pending (number, body, spool) VALUES (?, ?, ?)",
            (receipt.number, None if large else body.data, large.name if large else None),
        )

    def _place(self, accepted: Accepted, scratch: Path, body: Spool) -> None:
        """Show a committed hand-in under its names. What fails here is made good by `settle`: nothing is lost."""
        if accepted.repeated and self._version(accepted.receipt.submission).exists():
            self._unsettled.set()
            return
        body.path = None  # ours now: the uploader must not discard it
        try:
            self._show(accepted.receipt.submission, scratch)
        except Exception:  # whatever it is, the hand-in is committed, and the others of the batch wait their turn
            log.exception("hand-in %s is kept in the ledger; its file follows", accepted.receipt.number)
        self._unsettled.set()

    def _version(self, submission: Submission) -> Path:
        return self.folders.submitted / submission.assignment / submission.filename

    def _show(self, submission: Submission, source: Path) -> None:
        version = self._version(submission)
        latest = version.with_name(latest_filename(submission.username))
        self._keep_by_hand(latest, submission)
        files.put(source, version)
        files.point_latest(latest, version)

    def _keep_by_hand(self, latest: Path, submission: Submission) -> None:
        """A latest file that somebody put there by hand becomes a version of its own instead of being replaced."""
        if not latest.exists() or latest.is_symlink():
            return
        digest = files.sha256_of(latest)
        known = self.ledger.read(
            "SELECT 1 FROM receipts WHERE assignment = ? AND username = ? AND sha256 = ?",
            (submission.assignment, submission.username, digest),
        )
        if not known:
            moment = int(latest.stat().st_mtime * 1_000_000)

            def taken(filename: str) -> bool:  # in the ledger too: a version's name is taken before its file is there
                sql = "SELECT 1 FROM receipts WHERE assignment = ? AND filename = ?"
                return os.path.lexists(latest.with_name(filename)) or bool(
                    self.ledger.read(sql, (submission.assignment, filename))
                )

            kept = free_filename(submission.username, moment, taken)
            latest.replace(latest.with_name(kept))

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
        """Raises Temporary when `base`, the folder of hand-ins or of grades, was in use and is gone."""
        kind = "receipts" if base == self.folders.submitted else "events WHERE action IN ('grades', 'feedback')"
        in_use = f"SELECT 1 FROM {kind} LIMIT 1"
        # Asked again at the end: another hand-in, the first of the course, may have made it meanwhile.
        if not base.is_dir() and self.ledger.read(in_use) and not base.is_dir():
            log.error("%s is gone: bring it back, or make an empty one to begin anew", base)
            raise Temporary("a folder of the course is gone: the server's log says which", retry_after=30)

    # what a crash leaves

    def recover(self) -> None:
        """Finish every hand-in that is committed but not known to be on the disk, by checksum."""
        pending = self.ledger.read("SELECT number FROM pending ORDER BY number")
        for (number,) in pending:
            self.ledger.write(partial(self._finish, number=number, check=True))
        if pending:
            try:
                self.settle()
            except MograderError:  # no room, say: the course is served all the same, and it is tried again
                log.exception("hand-ins stay in the ledger for now")
                self._unsettled.set()
        self._drop_stale_spools()

    def _finish(self, connection: sqlite3.Connection, number: int, check: bool) -> None:
        """Make sure that the file of a pending receipt is whole and that the person's link is right.

        What cannot be done now is logged and stays pending: one hand-in must not stop all others.
        """
        try:
            self._finish_one(connection, number, check)
        except (OSError, MograderError):
            log.exception("hand-in %s is kept in the ledger; its file cannot be written now", number)

    def _finish_one(self, connection: sqlite3.Connection, number: int, check: bool) -> None:
        row = connection.execute(
            f"SELECT {RECEIPT_COLUMNS}, body, spool FROM pending JOIN receipts USING (number) WHERE number = ?",
            (number,),
        ).fetchone()
        if row is None:
            return  # another process has finished it
        submission, body, spool = receipt_of(row[:-2]).submission, row[-2], row[-1]
        version = self._version(submission)
        if not version.exists() or (check and files.sha256_of(version) != submission.sha256):
            self._make_in_use(self.folders.submitted, submission.assignment)
            source = self.folders.submitted / spool if spool else version.with_name(_spool_name())
            if not spool:
                _write_scratch(source, body)
            try:
                files.put(source, version)
            except FileNotFoundError:
                # The spool was synced before it became the version, so no crash did this: a person did.
                log.error("the file of hand-in %s is missing or differs: %s", number, version)
        last = latest_receipt(connection, submission.assignment, submission.username)
        if last is not None and last.number == number and version.exists():
            latest = version.with_name(latest_filename(submission.username))
            self._keep_by_hand(latest, submission)
            files.point_latest(latest, version)

    def _finish_all(self, connection: sqlite3.Connection, numbers: list[int]) -> None:
        for number in numbers:
            self._finish(connection, number, check=False)

    def _release(self, connection: sqlite3.Connection, rows: list[tuple[int, Submission]]) -> int:
        """Let the bytes leave the ledger, of hand-ins that are on the disk under all their names; how many."""
        released = 0
        for number, submission in rows:
            last = latest_receipt(connection, submission.assignment, submission.username)
            superseded = last is not None and last.number != number and self._version(submission).exists()
            if superseded or self._is_shown(submission):
                connection.execute("DELETE FROM pending WHERE number = ?", (number,))
                released += 1
        return released

    def _is_shown(self, submission: Submission) -> bool:
        """Whether the version is there and is the latest by link, or by copy where there are no links."""
        version = self._version(submission)
        latest = version.with_name(latest_filename(submission.username))
        try:
            if latest.is_symlink():
                return version.exists() and os.readlink(latest) == version.name
            return version.exists() and files.sha256_of(latest) == submission.sha256
        except OSError:
            return False

    def _drop_stale_spools(self) -> None:
        """Uploads that were cut off long ago; a younger one may belong to another server on this folder."""
        needed = {name for (name,) in self.ledger.read("SELECT spool FROM pending")}
        for path in self.folders.submitted.glob(f"**/{files.SPOOL_PREFIX}*"):
            with contextlib.suppress(OSError):
                if path.name not in needed and time.time() - path.stat().st_mtime > 24 * 3600:
                    path.unlink()

    def _settle_behind(self) -> None:
        again = 0.0  # seconds until the next try; 0 when nothing is left over
        while not self._stopping.is_set():
            self._unsettled.wait(again or None)
            self._await_quiet()
            try:
                done = self.settle()
            except Exception:  # this thread must outlive every fault: hand-ins stay in the ledger meanwhile
                log.exception("hand-ins stay in the ledger for now")
                done = False
            again = 0.0 if done else min(2 * again + SETTLE_AFTER, RETRY_AFTER)

    def _await_quiet(self) -> None:
        """Wait until nothing has been placed for `SETTLE_AFTER`: a rush has the disk to itself, but not for ever."""
        ends = time.monotonic() + SETTLE_WITHIN
        placed = True
        while placed and not self._stopping.is_set() and time.monotonic() < ends:
            self._unsettled.clear()
            self._stopping.wait(SETTLE_AFTER)
            placed = self._unsettled.is_set()
        self._unsettled.clear()

    def settle(self) -> bool:
        """Sync files and links of pending hand-ins, then let their bytes leave the ledger; whether all of them did."""
        sql = f"SELECT {RECEIPT_COLUMNS} FROM pending JOIN receipts USING (number) ORDER BY number"
        # As a writer: whoever has the turn has placed file and link of what it committed before it passes the turn on.
        rows = self.ledger.write(lambda connection: connection.execute(sql).fetchall())
        if not rows:
            return True
        with storage_errors("sync the hand-ins"):
            submissions = [receipt_of(row).submission for row in rows]
            behind = [
                row[0] for row, submission in zip(rows, submissions, strict=True) if not self._is_shown(submission)
            ]
            if behind:
                self.ledger.write(partial(self._finish_all, numbers=behind))
            _sync_all(self.folders.submitted, [path for path in map(self._version, submissions) if path.exists()])
        released = self.ledger.write(
            partial(self._release, rows=[(row[0], each) for row, each in zip(rows, submissions, strict=True)])
        )
        self.ledger.checkpoint()
        return released == len(rows)

    # reading hand-ins

    def latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...]:
        with storage_errors("list the hand-ins"):
            return self._same_files.get(assignment, partial(self._find_latest, assignment))

    def latest_files_at_hand(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        return self._same_files.at_hand(assignment)

    def _find_latest(self, assignment: AssignmentName, marks: Marks) -> tuple[LatestFile, ...]:
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
                digest = self._digest(path, status)
                found.append(LatestFile(username, name, status.st_size, status.st_mtime, digest))
        return tuple(found)

    def _digest(self, path: str, status: os.stat_result) -> str:
        try:
            return self._sha256.get(path, status)
        except OSError:  # one that cannot be read must not hide the others
            return ""

    def submitted_file(self, assignment: AssignmentName, filename: FileName) -> StoredFile | None:
        if "/" in filename:
            return None
        with storage_errors("read the hand-in"):
            folder = f"{self._submitted}{os.sep}{assignment}"
            target = _neighbour(folder, filename)
            found = stored_file(Path(folder, target), filename) if target else None
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
        with storage_errors("list the hand-ins"):
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
        links: list[Link] = [*map(receipt_of, receipts), *(Erased(*row) for row in erased)]
        return iter(sorted(links, key=lambda link: link.number))


def _spool_name() -> str:
    return f"{files.SPOOL_PREFIX}{secrets.token_hex(12)}"


def _write_scratch(path: Path, content: bytes) -> None:
    """A hidden file with `content`, not synced: the ledger holds the bytes until it is."""
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync_all(folder: Path, paths: list[Path]) -> None:
    """Make files, links and names durable: one call for the whole file system where there is one."""
    if _LIBC is not None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if _LIBC.syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)
        return
    for path in paths:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    for parent in {path.parent for path in paths}:
        files.sync_folder(parent)


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _neighbour(folder: str, name: str) -> str | None:
    """The file of `folder` that `name` stands for: itself, or where its link leads; None unless that is beside it."""
    path = f"{folder}{os.sep}{name}"
    try:
        if not files.is_link(os.lstat(path)):
            return name
        target = os.readlink(path)
        outside = (
            os.sep in target
            or "/" in target
            or target.startswith(".")
            or files.is_link(os.lstat(f"{folder}{os.sep}{target}"))
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if outside else target


def _latest_names(folder: Path) -> tuple[tuple[Username, str, str], ...]:
    """Whose latest hand-ins stand in a folder, sorted: the person, the name, and the file that it stands for."""
    found = [(owner(name), name) for name in os.listdir(folder)]
    named = [(username, name, _neighbour(str(folder), name)) for username, name in found if username]
    return tuple(sorted((username, name, target) for username, name, target in named if target))
