"""Syncs the files of accepted submissions in the background, and finishes submissions after a crash.

Invariant: the bytes of a submission are deleted from the ledger only after its file and link are synced.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sqlite3
import sys
import threading
import time
from functools import partial
from pathlib import Path

from mograder.domain.errors import MograderError
from mograder.domain.receipts import Submission
from mograder.permissions import private_mode
from mograder.store.folder.in_use import FoldersInUse
from mograder.store.folder.layout import Folders
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.placement import Placement
from mograder.store.folder.rows import latest_receipt
from mograder.store.shared import files
from mograder.store.shared.files import spool_name, storage_errors, write_spool
from mograder.store.shared.rows import RECEIPT_COLUMNS, receipt_of

log = logging.getLogger(__name__)

SETTLE_AFTER = 1.0
"""Seconds without a submission after which one sync covers all that were placed."""
SETTLE_WITHIN = 10.0
"""Seconds after which placed submissions are synced even if more keep coming."""

RETRY_AFTER = 60.0
"""Seconds, at most, before a failed attempt is repeated."""


class Settler:
    """Settles the submissions of one course in a thread of its own. `stop` it before the ledger is closed."""

    def __init__(self, folders: Folders, ledger: Ledger, in_use: FoldersInUse, placement: Placement) -> None:
        """Finishes submissions after a crash, then settles new ones in the background."""
        self._folders = folders
        self._ledger = ledger
        self._in_use = in_use
        self._placement = placement
        self._stopping = threading.Event()
        self._unsettled = threading.Event()
        with storage_errors("recover the course"):
            self.recover()
        self._thread = threading.Thread(target=self._settle_in_background, name="settle", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Tell the settler that submissions were placed, so that it settles them soon."""
        self._unsettled.set()

    def stop(self) -> None:
        """Settle the submissions that are left, as far as possible, and end the thread."""
        self._stopping.set()
        self._unsettled.set()
        self._thread.join()
        with contextlib.suppress(MograderError):
            self.settle()

    def recover(self) -> None:
        """Finish every submission that is committed but not known to be on the disk; checksums tell which files are
        whole.
        """
        pending = self._ledger.read("SELECT number FROM pending ORDER BY number")
        for (number,) in pending:
            self._ledger.write(partial(self._finish, number=number, check=True))
        if pending:
            try:
                self.settle()
            except MograderError:  # a full disk, for example: the course is served nevertheless, and this is repeated
                log.exception("submissions stay in the ledger for now")
                self._unsettled.set()
        self._drop_leftovers()

    def _finish(self, connection: sqlite3.Connection, number: int, check: bool) -> None:
        """Make sure that the file of a pending receipt is whole and that the person's link is right.

        A failure is logged and the submission stays pending: one submission must not stop all others.
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
        version = self._placement.version(submission)
        if not os.path.exists(version) or (check and files.sha256_of(Path(version)) != submission.sha256):
            folder = self._in_use.make(self._folders.submitted, submission.assignment)
            source = str(self._folders.submitted / spool if spool else folder / spool_name())
            if not spool:
                write_spool(source, body, private_mode(folder))
            try:
                files.put(source, version)
            except FileNotFoundError:
                # The hidden file was synced before it was renamed, so a person has removed it, not a crash.
                log.error("the file of submission %s is missing or differs: %s", number, version)
        last = latest_receipt(connection, submission.assignment, submission.username)
        if last is not None and last.number == number and os.path.exists(version):
            self._placement.point_latest(submission)

    def _finish_all(self, connection: sqlite3.Connection, numbers: list[int]) -> None:
        for number in numbers:
            self._finish(connection, number, check=False)

    def _release(self, connection: sqlite3.Connection, rows: list[tuple[int, Submission]]) -> int:
        """Delete from the ledger the bytes of submissions whose file and link are on the disk; returns how many."""
        released = 0
        for number, submission in rows:
            last = latest_receipt(connection, submission.assignment, submission.username)
            superseded = (
                last is not None and last.number != number and os.path.exists(self._placement.version(submission))
            )
            if superseded or self._placement.is_shown(submission):
                connection.execute("DELETE FROM pending WHERE number = ?", (number,))
                released += 1
        return released

    def _drop_leftovers(self) -> None:
        """Remove abandoned scratch files; a younger one may belong to another server on this folder."""
        needed = {name for (name,) in self._ledger.read("SELECT spool FROM pending")}
        for path in self._folders.submitted.glob("**/.*"):
            if files.is_scratch(path.name) and path.name not in needed:
                with contextlib.suppress(OSError):
                    if time.time() - path.lstat().st_mtime > files.CUT_OFF_AFTER:
                        path.unlink()

    def _settle_in_background(self) -> None:
        again = 0.0  # seconds until the next attempt; 0 when nothing is left
        while not self._stopping.is_set():
            self._unsettled.wait(again or None)
            self._await_quiet()
            try:
                done = self.settle()
            except Exception:  # this thread must survive every fault; the submissions stay in the ledger
                log.exception("submissions stay in the ledger for now")
                done = False
            again = 0.0 if done else min(2 * again + SETTLE_AFTER, RETRY_AFTER)

    def _await_quiet(self) -> None:
        """Wait until nothing was placed for `SETTLE_AFTER`, `SETTLE_WITHIN` at most: a rush needs the disk itself."""
        ends = time.monotonic() + SETTLE_WITHIN
        quiet = False
        while not quiet and time.monotonic() < ends:
            self._unsettled.clear()
            quiet = self._stopping.wait(SETTLE_AFTER) or not self._unsettled.is_set()
        self._unsettled.clear()

    def settle(self) -> bool:
        """Sync files and links of pending submissions, then delete their bytes from the ledger.

        Returns whether all bytes were deleted.
        """
        sql = f"SELECT {RECEIPT_COLUMNS} FROM pending JOIN receipts USING (number) ORDER BY number"
        # In a write: each process places its committed files and links before it releases the process lock.
        rows = self._ledger.write(lambda connection: connection.execute(sql).fetchall())
        if not rows:
            return True
        with storage_errors("sync the submissions"):
            pending = [(row[0], receipt_of(row).submission) for row in rows]
            behind = [number for number, submission in pending if not self._placement.is_shown(submission)]
            if behind:
                self._ledger.write(partial(self._finish_all, numbers=behind))
            versions = [self._placement.version(submission) for _, submission in pending]
            _sync_all(self._folders.submitted, list(filter(os.path.exists, versions)))
        released = self._ledger.write(partial(self._release, rows=pending))
        self._ledger.checkpoint()
        return released == len(rows)


def _sync_all(folder: Path, paths: list[str]) -> None:
    """Make files, links and names durable, where possible by one call for the whole file system."""
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
