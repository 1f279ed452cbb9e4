"""The course folder on disk: plain files that a person can read, grep, rsync and back up.

The law of a hand-in: its receipt and bytes are committed in the ledger before anything else is visible; file and
link are in place before `accept` returns; they are synced behind it, and only then do the bytes leave the ledger.
`recover` finishes what a crash left between any two of these steps.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import logging
import os
import secrets
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

from mograder import config
from mograder.domain import grades as grading
from mograder.domain.access import Account, Role
from mograder.domain.assignments import Assignment, Plan
from mograder.domain.chain import Erased, Link
from mograder.domain.commits import Commit
from mograder.domain.errors import MograderError, Temporary, Unreadable
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import (
    Body,
    HandIn,
    Head,
    Issue,
    Receipt,
    Submission,
    Turn,
    chain_hash,
    free_filename,
    latest_filename,
    owner,
)
from mograder.domain.rules import RuleChange
from mograder.domain.store import (
    Accepted,
    Attest,
    ChangeAccount,
    ChangeCommits,
    ChangeExtension,
    Event,
    Fetched,
    LatestFile,
    StoredFile,
    Upload,
)
from mograder.domain.tokens import SECRET_NAME, random_secret
from mograder.sealing import public_pem
from mograder.store import files
from mograder.store.erasing import ERASED_NAMES, erase_files, erase_rows, erased_account
from mograder.store.files import Cached, LastRead, Room, SameAgain, Spool, storage_errors
from mograder.store.hand_outs import HandOuts
from mograder.store.layout import (
    FEEDBACK,
    GRADES,
    LEDGER,
    LOCK,
    SIGNING_KEY,
    Folders,
    as_stored,
    load_json,
    stored_file,
)
from mograder.store.ledger import Ledger
from mograder.store.plan_text import edited, tag_of
from mograder.store.secret import Secrets

log = logging.getLogger(__name__)

SETTLE_AFTER = 1.0
"""Seconds without a hand-in after which one sync covers all that were placed."""
SETTLE_WITHIN = 10.0
"""Seconds after which they are synced although others go on coming: the ledger holds their bytes until then."""

RETRY_AFTER = 60.0
"""The longest time, in seconds, until what could not be put in its place is tried again."""

RECEIPT_COLUMNS = (
    "number, previous, assignment, username, attempt, filename, sha256, size, received, by, late, due, arrived, text"
)


class DirectoryStore:
    """A `Store` (domain/store.py) over a course folder."""

    waits = False

    def __init__(self, folders: Folders) -> None:
        """Opens the course, makes its secret and ledger on first use, and finishes what a crash left."""
        if not folders.root.is_dir():
            raise Temporary(f"{folders.root} is not a folder")
        self.folders = folders
        self._plan = LastRead(lambda path: config.read_course_file(path).plan(), Plan())
        self._grades = Cached(load_grades)
        self._told: set[str] = set()
        self._secrets = Secrets(folders.root)
        self._hand_outs = HandOuts(folders)
        self._sha256 = Cached(files.sha256_of)
        self._latest_names = Cached(_latest_names)
        # Receipts only ever come behind the others, or are erased: what was read of them stays so.
        self._latest: dict[tuple[AssignmentName, Username], Submission] = {}
        self._latest_number = 0
        self._latest_erased: object = None
        self._latest_lock = threading.Lock()
        self._same_files: SameAgain[tuple[LatestFile, ...]] = SameAgain()
        self._grades_folder = str(folders.grades)
        self._submitted, self._course_file = str(folders.submitted), str(folders.course / config.CONFIG_NAME)
        self._room = Room()
        with storage_errors("open the course"):
            self._made_once(SECRET_NAME, lambda: f"{random_secret()}\n".encode())
            self._secrets.all()
            self.ledger = Ledger(folders.root / LEDGER, folders.root / LOCK)
        self._stopping = threading.Event()
        self._unsettled = threading.Event()
        with storage_errors("recover the course"):
            self.recover()
        self._settler = threading.Thread(target=self._settle_behind, name="settle", daemon=True)
        self._settler.start()

    def _made_once(self, name: str, make: Callable[[], bytes]) -> Path:
        path = self.folders.root / name
        files.make_once(path, make)
        return path

    def secrets(self) -> tuple[str, ...]:
        with storage_errors("read the secret"):
            return self._secrets.all()

    def change_secret(self, secret: str, until: int, event: Event) -> None:
        def work(connection: sqlite3.Connection) -> None:
            _record(connection, event)
            with storage_errors("change the secret"):
                self._secrets.change(secret, until)

        self.ledger.write(work)

    def signing_key(self, make: Callable[[], bytes]) -> bytes:
        with storage_errors("read the signing key"):
            return self._made_once(SIGNING_KEY, make).read_bytes()

    def change_signing_key(self, key: bytes, event: Event) -> bytes:
        """Sign with the PEM `key` from the next start on; of earlier ones the public parts stay. All PEMs."""

        def work(connection: sqlite3.Connection) -> bytes:
            _record(connection, event)
            path = self.folders.root / SIGNING_KEY
            with storage_errors("change the signing key"):
                keys = key + public_pem(path.read_bytes())
                files.write_file(path, keys, mode=0o600)
            return keys

        return self.ledger.write(work)

    def plan(self) -> Plan:
        return self._plan.get(self._course_file)

    def troubles(self) -> tuple[Unreadable, ...]:
        found = []
        with contextlib.suppress(Unreadable, OSError):
            found.append(self._hand_outs.trouble(self.plan()))
        found.append(self._plan.trouble)
        for path in sorted(self.folders.grades.glob(f"*/{GRADES}")):
            try:
                self._grades.get(path)
            except Unreadable as problem:
                found.append(problem)
            except OSError as error:
                found.append(Unreadable(f"{path.name} cannot be read", f"{path}: {error}"))
        return tuple(each for each in found if each is not None)

    def plan_tag(self) -> str:
        path = Path(self._course_file)
        config.read_course_file(path)  # `plan` goes on with what it said before; whoever changes it must know
        return tag_of(config.read_text(path))

    def change_rules(
        self, assignment: AssignmentName, changes: Sequence[RuleChange], plan_tag: str, event: Event
    ) -> None:
        def work(connection: sqlite3.Connection) -> None:
            _record(connection, event)
            path = Path(self._course_file)
            with storage_errors(f"change {path.name}"):
                text = edited(config.read_text(path), assignment, changes, plan_tag, str(path))
                files.rewrite_file(path, text.encode())

        self.ledger.write(work)

    def mark(self) -> object:
        return self.ledger.read("PRAGMA data_version")

    # accounts

    def account(self, username: Username) -> Account | None:
        rows = self.ledger.read(f"SELECT {_ACCOUNT} FROM accounts WHERE username = ?", (username,))
        return _account(rows[0]) if rows else erased_account(self.ledger.read(ERASED_NAMES), username)

    def accounts(self) -> list[Account]:
        return [_account(row) for row in self.ledger.read(f"SELECT {_ACCOUNT} FROM accounts ORDER BY username")]

    def change_account(self, username: Username, change: ChangeAccount, event: Event) -> Account:
        return self.change_accounts([(username, change, event)])[0]

    def change_accounts(self, changes: Sequence[tuple[Username, ChangeAccount, Event]]) -> list[Account]:
        return self.ledger.write(lambda connection: [_change_account(connection, *each) for each in changes])

    def spend(self, ticket: str, now: int, until: int) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM spent WHERE until < ?", (now,))
            return connection.execute("INSERT OR IGNORE INTO spent VALUES (?, ?)", (ticket, until)).rowcount == 1

        return self.ledger.write(work)

    def note_failure(self, keys: Sequence[str], moment: int, keep: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            old = "DELETE FROM failures WHERE moment < ? OR moment > ?"
            connection.execute(old, (moment - keep, moment + keep))
            connection.executemany("INSERT INTO failures VALUES (?, ?)", [(key, moment) for key in keys])

        self.ledger.write(work)

    def failures(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        return [row for key in keys for row in self.ledger.read("SELECT * FROM failures WHERE key = ?", (key,))]

    def forget_failures(self, keys: Sequence[str]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM failures WHERE key = ?", [(key,) for key in keys])

        self.ledger.write(work)

    # hand-outs

    def assignments(self) -> tuple[Assignment, ...]:
        plan = self.plan()
        with storage_errors("list the assignments"):
            return self._hand_outs.assignments(plan)

    def find_assignment(self, text: str) -> Assignment | None:
        plan = self.plan()
        with storage_errors("find the assignment"):
            return self._hand_outs.find(text, plan)

    def hand_out(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        with storage_errors("read the file"):
            return self._hand_outs.hand_out(assignment, name)

    def note_fetched(self, notes: Sequence[Fetched]) -> None:
        rows = [astuple(each) for each in notes]
        self.ledger.write(
            lambda connection: connection.executemany("INSERT OR IGNORE INTO fetched VALUES (?, ?, ?)", rows)
        )

    def fetched(self, username: Username | None = None) -> list[Fetched]:
        where, values = _where(username=username)
        rows = self.ledger.read(f"SELECT * FROM fetched WHERE {where} ORDER BY assignment, username", values)
        return [Fetched(AssignmentName(assignment), Username(name), moment) for assignment, name, moment in rows]

    # hand-ins

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
        latest = _latest(connection, hand_in.assignment, hand_in.username)
        head = _head(connection.execute(_HEAD).fetchone())

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
        if not base.is_dir() and self.ledger.read(f"SELECT 1 FROM {kind} LIMIT 1"):
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
        last = _latest(connection, submission.assignment, submission.username)
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
            last = _latest(connection, submission.assignment, submission.username)
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
        folder = str(self.folders.submitted / assignment)
        with storage_errors("list the hand-ins"):
            try:
                names = self._latest_names.get(folder)
            except (FileNotFoundError, NotADirectoryError):
                self._check_there(self.folders.submitted)
                return ()
            found = []
            for username, name, target in names:
                path = f"{folder}{os.sep}{target}"
                with contextlib.suppress(FileNotFoundError):
                    status = os.stat(path)
                    if files.is_regular(status):
                        found.append((username, name, path, status))
        marks = [(path, files.fingerprint(status)) for _, _, path, status in found]
        return self._same_files.get(assignment, marks, lambda: tuple(
            LatestFile(username, name, status.st_size, status.st_mtime, self._digest(path, status))
            for username, name, path, status in found
        ), [each[1] for each in found])  # fmt: skip

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
        return _head(next(iter(self.ledger.read(_HEAD)), None))

    def receipts(self, assignment: AssignmentName | None = None, username: Username | None = None) -> Iterator[Receipt]:
        where, values = _where(assignment=assignment, username=username)
        rows = self.ledger.read(f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE {where} ORDER BY number", values)
        return map(receipt_of, rows)

    def latest(self) -> list[Submission]:
        with self._latest_lock:
            erased = self.ledger.read("SELECT count(*) FROM erased")
            if erased != self._latest_erased:
                self._latest, self._latest_number, self._latest_erased = {}, 0, erased
            rows = self.ledger.read(_SINCE, (self._latest_number,))
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

    def erase(self, username: Username, attest: Attest, event: Event) -> None:
        def rows(connection: sqlite3.Connection) -> list[str]:
            waiting = "SELECT spool FROM pending JOIN receipts USING (number) WHERE username = ? AND spool IS NOT NULL"
            spools = [name for (name,) in connection.execute(waiting, (username,)).fetchall()]
            own = connection.execute(f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE username = ?", (username,))
            erase_rows(connection, username, [attest(receipt_of(row)) for row in own.fetchall()])
            _record(connection, event)
            return spools

        def work(connection: sqlite3.Connection) -> None:
            with storage_errors("erase the files"):
                for name in spools:
                    (self.folders.submitted / name).unlink(missing_ok=True)
                erase_files(connection, self.folders, username)
                for path in self.folders.grades.glob(f"*/{GRADES}"):
                    others = [entry for entry in load_grades(path) if entry.username != username]
                    if len(others) < len(load_grades(path)):
                        _write_grades(path, others)

        # The ledger first, for good: until the files are gone, whoever is told of a failure can ask again.
        spools = self.ledger.write(rows)
        self.ledger.write(work)
        self.ledger.compact()

    # time

    def extensions(self, assignment: AssignmentName | None = None, username: Username | None = None) -> list[Extension]:
        where, values = _where(assignment=assignment, username=username)
        rows = self.ledger.read(
            f"SELECT {_EXTENSION} FROM extensions WHERE {where} ORDER BY assignment, username", values
        )
        return [_extension(row) for row in rows]

    def change_extensions(
        self, changes: Sequence[tuple[AssignmentName, Username, ChangeExtension, Event]]
    ) -> list[Extension]:
        return self.ledger.write(lambda connection: [_change_extension(connection, *each) for each in changes])

    def commits(self, assignment: AssignmentName, username: Username) -> tuple[Commit, ...]:
        return tuple(_commit(row) for row in self.ledger.read(_COMMITS, (assignment, username)))

    def change_commits(
        self, assignment: AssignmentName, username: Username, change: ChangeCommits
    ) -> tuple[Commit, ...]:
        def work(connection: sqlite3.Connection) -> tuple[Commit, ...]:
            held = connection.execute(_COMMITS, (assignment, username)).fetchall()
            kept = change(tuple(_commit(row) for row in held))
            connection.execute("DELETE FROM commits WHERE assignment = ? AND username = ?", (assignment, username))
            connection.executemany(
                "INSERT INTO commits (assignment, username, sha256, size, moment) VALUES (?, ?, ?, ?, ?)",
                [(each.assignment, each.username, each.sha256, each.size, each.moment) for each in kept],
            )
            return kept

        return self.ledger.write(work)

    # grades and feedback

    def grades(self, assignment: AssignmentName) -> tuple[GradeEntry, ...]:
        with storage_errors("read the grades"):
            try:
                return self._grades.get(f"{self._grades_folder}{os.sep}{assignment}{os.sep}{GRADES}")
            except (FileNotFoundError, NotADirectoryError):
                self._check_there(self.folders.grades)
                return ()
            except Unreadable as problem:
                if problem.place not in self._told:
                    self._told.add(problem.place)
                    log.error("%s (%s)", problem.message, problem.place)
                raise

    def merge_grades(self, assignment: AssignmentName, entries: tuple[GradeEntry, ...], event: Event) -> int:
        path = self.folders.grades / assignment / GRADES

        def work(connection: sqlite3.Connection) -> int:
            _record(connection, event)
            with storage_errors("keep the grades"):
                self._make_in_use(self.folders.grades, assignment)
                merged = grading.merge(load_grades(path) if path.exists() else (), entries)
                _write_grades(path, merged)
            return len(merged)

        return self.ledger.write(work)

    def feedback(self, assignment: AssignmentName, username: Username) -> StoredFile | None:
        with storage_errors("read the feedback"):
            found = self._feedback_page(assignment, f"{username}.html")
            if found is None:
                self._check_there(self.folders.grades)
            return found

    def _feedback_page(self, assignment: AssignmentName, name: str) -> StoredFile | None:
        found = files.look(self._grades_folder, f"{assignment}/{FEEDBACK}/{name}")
        if found is None:
            return None
        folder = self.folders.grades / assignment / FEEDBACK
        path = folder / name
        if not files.is_link(found):
            return as_stored(path, name, found)
        shown = files.is_inside(path, folder) and not path.resolve().name.startswith(".")
        return stored_file(path, name) if shown else None

    def put_feedback(self, assignment: AssignmentName, pages: dict[Username, bytes], event: Event) -> None:
        ready: dict[Path, Path] = {}

        def work(connection: sqlite3.Connection) -> None:
            _record(connection, event)
            with storage_errors("keep the feedback"):
                for path, scratch in ready.items():
                    scratch.replace(path)
                files.sync_folder(folder)

        try:
            # Before its turn at the ledger: hand-ins must not wait while a thousand pages are synced.
            with storage_errors("keep the feedback"):
                folder = self._make_in_use(self.folders.grades, assignment, FEEDBACK)
                for username, page in pages.items():
                    path = folder / f"{username}.html"
                    ready[path] = files.write_beside(path, page)
            self.ledger.write(work)
        finally:
            for scratch in ready.values():
                with contextlib.suppress(OSError):
                    scratch.unlink()

    # the trail

    def record(self, event: Event) -> None:
        self.ledger.write(lambda connection: _record(connection, event))

    def events(self, limit: int = 1000) -> list[Event]:
        rows = self.ledger.read(
            "SELECT moment, actor, action, subject, detail FROM events ORDER BY number DESC LIMIT ?", (limit,)
        )
        return [Event(*row) for row in rows]

    def close(self) -> None:
        self._stopping.set()
        self._unsettled.set()
        self._settler.join()
        with contextlib.suppress(MograderError):
            self.settle()
        self.ledger.close()


# rows and files as values

_ACCOUNT = "username, role, name, generation, bound, code_hash, created, removed, claim_hash, claimed"


def _account(row: tuple[Any, ...]) -> Account:
    username, role, name, generation, bound, code_hash, created, removed, claim_hash, claimed = row
    return Account(
        Username(username), Role(role), name, generation, bool(bound), code_hash, created, bool(removed), claim_hash,
        claimed,
    )  # fmt: skip


def _change_account(connection: sqlite3.Connection, username: Username, change: ChangeAccount, event: Event) -> Account:
    row = connection.execute(f"SELECT {_ACCOUNT} FROM accounts WHERE key = ?", (username.key,)).fetchone()
    held = _account(row) if row else erased_account(connection.execute(ERASED_NAMES).fetchall(), username)
    account = change(held)
    connection.execute(
        f"INSERT OR REPLACE INTO accounts ({_ACCOUNT}, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account.username, account.role.value, account.name, account.generation, account.bound,
            account.code_hash, account.created, account.removed, account.claim_hash, account.claimed,
            account.username.key,
        ),
    )  # fmt: skip
    _record(connection, event)
    return account


_EXTENSION = "assignment, username, until, note, wanted, reason, declined"


def _extension(row: tuple[Any, ...]) -> Extension:
    assignment, username, until, note, wanted, reason, declined = row
    return Extension(AssignmentName(assignment), Username(username), until, note, wanted, reason, bool(declined))


def _change_extension(
    connection: sqlite3.Connection, assignment: AssignmentName, username: Username, change: ChangeExtension,
    event: Event,
) -> Extension:  # fmt: skip
    row = connection.execute(
        f"SELECT {_EXTENSION} FROM extensions WHERE assignment = ? AND username = ?", (assignment, username)
    ).fetchone()
    extension = change(_extension(row) if row else None)
    connection.execute(
        f"INSERT OR REPLACE INTO extensions ({_EXTENSION}) VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(extension)
    )
    _record(connection, event)
    return extension


_COMMITS = (
    "SELECT assignment, username, sha256, size, moment FROM commits WHERE assignment = ? AND username = ? "
    "ORDER BY moment, sha256"
)


def _commit(row: tuple[Any, ...]) -> Commit:
    return Commit(AssignmentName(row[0]), Username(row[1]), *row[2:])


def _where(**asked: str | None) -> tuple[str, tuple[str, ...]]:
    """A condition on the columns that are asked for and no others, so that an index is used; and its values."""
    wanted = {column: value for column, value in asked.items() if value is not None}
    return " AND ".join(f"{column} = ?" for column in wanted) or "TRUE", tuple(wanted.values())


def receipt_of(row: tuple[Any, ...]) -> Receipt:
    number, previous, assignment, username, attempt, filename, sha256, size, received, by, late, due, arrived, text = (
        row
    )
    submission = Submission(
        Username(username),
        AssignmentName(assignment),
        attempt,
        filename,
        sha256,
        size,
        received,
        Username(by),
        None if late is None else bool(late),
        due,
        arrived,
    )
    return Receipt(number, previous, submission, text)


def receipt_values(receipt: Receipt) -> tuple[Any, ...]:
    """The values of RECEIPT_COLUMNS."""
    kept = receipt.submission
    return (
        receipt.number, receipt.previous, kept.assignment, kept.username, kept.attempt, kept.filename,
        kept.sha256, kept.size, kept.received, kept.by, kept.late, kept.due, kept.arrived, receipt.text,
    )  # fmt: skip


_SINCE = f"SELECT {RECEIPT_COLUMNS.replace('text', repr(''))} FROM receipts WHERE number > ? ORDER BY number"

_HEAD = (
    "SELECT number, text, '' FROM receipts UNION ALL SELECT number, '', hash FROM erased ORDER BY number DESC LIMIT 1"
)


def _head(row: tuple[Any, ...] | None) -> Head:
    return Head(row[0], row[2] or chain_hash(row[1])) if row else Head()


def _latest(connection: sqlite3.Connection, assignment: AssignmentName, username: Username) -> Receipt | None:
    row = connection.execute(
        f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE assignment = ? AND username = ? ORDER BY attempt DESC LIMIT 1",
        (assignment, username),
    ).fetchone()
    return receipt_of(row) if row else None


def _record(connection: sqlite3.Connection, event: Event) -> None:
    connection.execute(
        "INSERT INTO events (moment, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
        (event.moment, event.actor, event.action, event.subject, event.detail),
    )


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


def _write_grades(path: Path, entries: Sequence[GradeEntry]) -> None:
    document = json.dumps([dict(entry.fields) for entry in entries], ensure_ascii=False, indent=2)
    files.write_file(path, document.encode() + b"\n")


def load_grades(path: Path) -> tuple[GradeEntry, ...]:
    document = load_json(path)
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise Unreadable(f"{path.name} cannot be understood", f"{path}: expected a JSON list of objects")
    return tuple(GradeEntry(entry) for entry in document)
