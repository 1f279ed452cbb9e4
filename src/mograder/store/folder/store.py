"""The course folder on disk: plain files that a person can read, grep, rsync and back up."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path

from mograder import config
from mograder.domain import grades as grading
from mograder.domain.access import Account
from mograder.domain.assignments import Assignment, Plan
from mograder.domain.commitments import Commitment
from mograder.domain.errors import Temporary, Unreadable
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.rules import RuleChange
from mograder.domain.store import (
    ChangeAccount,
    ChangeCommitments,
    ChangeExtension,
    Event,
    Fetched,
    MakeTombstone,
    StoredFile,
)
from mograder.domain.tokens import SECRET_NAME, random_secret
from mograder.signing import public_pem
from mograder.store.folder.erase import ERASED_NAMES, erase_files, erase_rows, erased_account
from mograder.store.folder.keys import Secrets
from mograder.store.folder.layout import (
    BEGIN_ANEW,
    FEEDBACK,
    GRADES,
    LEDGER,
    LOCK,
    NEW_KEY,
    SIGNING_KEY,
    Folders,
    Place,
    load_json,
    real_place,
    stored,
)
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.release import ReleaseFolder
from mograder.store.folder.submissions import FolderSubmissions
from mograder.store.shared import files
from mograder.store.shared.config_text import edited, tag_of
from mograder.store.shared.files import Cached, LastGood, StatCache, StatSnapshot, storage_errors
from mograder.store.shared.rows import (
    ACCOUNT_COLUMNS,
    COMMITS,
    EXTENSION_COLUMNS,
    RECEIPT_COLUMNS,
    account_of,
    change_account,
    change_extension,
    commit_of,
    extension_of,
    receipt_of,
    record,
    where_asked,
)

log = logging.getLogger(__name__)


def _refuse_without_ledger(folders: Folders) -> None:
    key, ledger = folders.root / SIGNING_KEY, folders.root / LEDGER
    # In this order: a server that starts beside this one makes the ledger before the key.
    if key.exists() and not ledger.exists():
        raise Unreadable(f"the course's ledger is missing: {BEGIN_ANEW}", str(ledger))


class FolderStore(FolderSubmissions):
    """A `Store` (domain/store.py) over a course folder."""

    waits = False

    def __init__(self, folders: Folders) -> None:
        """Opens the course, makes its secret and ledger on first use, and finishes what a crash left."""
        if not folders.root.is_dir():
            raise Temporary(f"{folders.root} is not a folder")
        self._plan = LastGood(lambda path: config.read_course_file(path).plan(), Plan())
        self._grades = Cached(load_grades)
        self._tables: StatCache[list[Unreadable]] = StatCache()
        self._has_links = Cached(_has_links)
        self._told: set[str] = set()
        self._secrets = Secrets(folders.root)
        self._release_files = ReleaseFolder(folders)
        self._grades_folder = str(folders.grades)
        self._course_file = str(folders.course / config.CONFIG_NAME)
        with storage_errors("open the course"):
            files.make_once(folders.root / SECRET_NAME, lambda: f"{random_secret()}\n".encode())
            self._secrets.all()
            _refuse_without_ledger(folders)
            ledger = Ledger(folders.root / LEDGER, folders.root / LOCK)
        super().__init__(folders, ledger)

    def secrets(self) -> tuple[str, ...]:
        with storage_errors("read the secret"):
            return self._secrets.all()

    def change_secret(self, secret: str, until: int, event: Event) -> None:
        def work(connection: sqlite3.Connection) -> None:
            record(connection, event)
            with storage_errors("change the secret"):
                self._secrets.change(secret, until)

        self.ledger.write(work)

    def signing_key(self, make: Callable[[], bytes]) -> bytes:
        has_signed = self.ledger.read("SELECT 1 FROM receipts LIMIT 1")  # asked first: another server may begin to sign
        path = self.folders.root / SIGNING_KEY
        if has_signed and not path.exists():
            raise Unreadable(f"the key that signed the course's receipts is missing: {NEW_KEY}", str(path))
        with storage_errors("read the signing key"):
            files.make_once(path, make)
            return path.read_bytes()

    def change_signing_key(self, key: bytes, event: Event) -> bytes:
        """Sign with the PEM `key` from the next start on; of earlier ones the public parts stay. All PEMs."""

        def work(connection: sqlite3.Connection) -> bytes:
            record(connection, event)
            path = self.folders.root / SIGNING_KEY
            with storage_errors("change the signing key"):
                keys = key + (public_pem(path.read_bytes()) if path.exists() else b"")
                files.write_file(path, keys, mode=0o600)
            return keys

        return self.ledger.write(work)

    def plan(self) -> Plan:
        return self._plan.get(self._course_file)

    def config_errors(self) -> tuple[Unreadable, ...]:
        found: list[Unreadable | None] = []
        with contextlib.suppress(Unreadable, OSError):
            found.append(self._release_files.trouble(self.plan()))
        found.append(self._plan.trouble)
        with contextlib.suppress(OSError):
            found += self._tables.get("grades", self._broken_tables)
        return tuple(each for each in found if each is not None)

    def _broken_tables(self, marks: StatSnapshot) -> list[Unreadable]:
        found = []
        marks.look(self._grades_folder)
        for name in sorted(os.listdir(self._grades_folder)):
            path = f"{self._grades_folder}{os.sep}{name}{os.sep}{GRADES}"
            if name.startswith(".") or marks.look(path) is None:
                continue
            try:
                self._grades.get(path)
            except Unreadable as problem:
                found.append(problem)
            except OSError as error:
                marks.in_doubt = True
                found.append(Unreadable(f"{GRADES} cannot be read", f"{path}: {error}"))
        return found

    def plan_version(self) -> str:
        path = Path(self._course_file)
        config.read_course_file(path)  # `plan` goes on with what it said before; whoever changes it must know
        return tag_of(config.read_text(path))

    def change_rules(
        self, assignment: AssignmentName, changes: Sequence[RuleChange], plan_version: str, event: Event
    ) -> None:
        def work(connection: sqlite3.Connection) -> None:
            record(connection, event)
            path = Path(self._course_file)
            with storage_errors(f"change {path.name}"):
                text = edited(config.read_text(path), assignment, changes, plan_version, str(path))
                files.rewrite_file(path, text.encode())

        self.ledger.write(work)

    def mark(self, assignment: AssignmentName | None = None) -> object:
        version = self.ledger.read("PRAGMA data_version")
        if assignment is None:
            return version
        marks, grades = StatSnapshot(), self.grades(assignment)
        feedback = f"{self._grades_folder}{os.sep}{assignment}{os.sep}{FEEDBACK}"
        with storage_errors("look at the course"):
            for folder in (self._submitted, f"{self._submitted}{os.sep}{assignment}", self._grades_folder):
                marks.look(folder)
            if marks.look(feedback) is not None and self._has_links.get(feedback):
                return object()
        return object() if marks.in_doubt else (version, grades, marks.seen)

    # accounts

    def account(self, username: Username) -> Account | None:
        rows = self.ledger.read(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE username = ?", (username,))
        return account_of(rows[0]) if rows else erased_account(self.ledger.read(ERASED_NAMES), username)

    def accounts(self) -> list[Account]:
        return [
            account_of(row) for row in self.ledger.read(f"SELECT {ACCOUNT_COLUMNS} FROM accounts ORDER BY username")
        ]

    def change_account(self, username: Username, change: ChangeAccount, event: Event) -> Account:
        return self.change_accounts([(username, change, event)])[0]

    def change_accounts(self, changes: Sequence[tuple[Username, ChangeAccount, Event]]) -> list[Account]:
        return self.ledger.write(lambda connection: [change_account(connection, *each) for each in changes])

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

    # released files

    def assignments(self) -> tuple[Assignment, ...]:
        plan = self.plan()
        with storage_errors("list the assignments"):
            return self._release_files.assignments(plan)

    def cached_assignments(self) -> tuple[Assignment, ...] | None:
        plan = self.plan()
        with storage_errors("list the assignments"):
            return self._release_files.cached(plan)

    def find_assignment(self, text: str) -> Assignment | None:
        plan = self.plan()
        with storage_errors("find the assignment"):
            return self._release_files.find(text, plan)

    def release_file(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        with storage_errors("read the file"):
            return self._release_files.release_file(assignment, name)

    def note_fetched(self, notes: Sequence[Fetched]) -> None:
        rows = [astuple(each) for each in notes]
        self.ledger.write(
            lambda connection: connection.executemany("INSERT OR IGNORE INTO fetched VALUES (?, ?, ?)", rows)
        )

    def fetched(self, username: Username | None = None) -> list[Fetched]:
        where, values = where_asked(username=username)
        rows = self.ledger.read(f"SELECT * FROM fetched WHERE {where} ORDER BY assignment, username", values)
        return [Fetched(AssignmentName(assignment), Username(name), moment) for assignment, name, moment in rows]

    # erasing

    def erase(self, username: Username, attest: MakeTombstone, event: Event) -> None:
        def rows(connection: sqlite3.Connection) -> list[str]:
            waiting = "SELECT spool FROM pending JOIN receipts USING (number) WHERE username = ? AND spool IS NOT NULL"
            spools = [name for (name,) in connection.execute(waiting, (username,)).fetchall()]
            own = connection.execute(f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE username = ?", (username,))
            erase_rows(connection, username, [attest(receipt_of(row)) for row in own.fetchall()])
            record(connection, event)
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
        where, values = where_asked(assignment=assignment, username=username)
        rows = self.ledger.read(
            f"SELECT {EXTENSION_COLUMNS} FROM extensions WHERE {where} ORDER BY assignment, username", values
        )
        return [extension_of(row) for row in rows]

    def change_extensions(
        self, changes: Sequence[tuple[AssignmentName, Username, ChangeExtension, Event]]
    ) -> list[Extension]:
        return self.ledger.write(lambda connection: [change_extension(connection, *each) for each in changes])

    def commits(self, assignment: AssignmentName, username: Username) -> tuple[Commitment, ...]:
        return tuple(commit_of(row) for row in self.ledger.read(COMMITS, (assignment, username)))

    def change_commitments(
        self, assignment: AssignmentName, username: Username, change: ChangeCommitments
    ) -> tuple[Commitment, ...]:
        def work(connection: sqlite3.Connection) -> tuple[Commitment, ...]:
            held = connection.execute(COMMITS, (assignment, username)).fetchall()
            kept = change(tuple(commit_of(row) for row in held))
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
            record(connection, event)
            with storage_errors("keep the grades"):
                self._make_in_use(self.folders.grades, assignment)
                merged = grading.merge(load_grades(path) if path.exists() else (), entries)
                _write_grades(path, merged)
            return len(merged)

        return self.ledger.write(work)

    def feedback(self, assignment: AssignmentName, username: Username) -> StoredFile | None:
        name = f"{username}.html"
        with storage_errors("read the feedback"):
            found = stored(name, partial(self._page, assignment, name))
            if found is None:
                self._check_there(self.folders.grades)
            return found

    def _page(self, assignment: AssignmentName, name: str) -> Place | None:
        below = f"{assignment}/{FEEDBACK}/{name}"
        found = files.look(self._grades_folder, below)
        if found is None:
            return None
        if not files.is_link(found):
            return self._grades_folder, below, found
        folder = f"{self._grades_folder}{os.sep}{assignment}{os.sep}{FEEDBACK}"
        real = files.real_path(folder, f"{folder}{os.sep}{name}")
        return None if real is None else real_place(real)

    def put_feedback(self, assignment: AssignmentName, pages: dict[Username, bytes], event: Event) -> None:
        ready: dict[Path, Path] = {}

        def work(connection: sqlite3.Connection) -> None:
            record(connection, event)
            with storage_errors("keep the feedback"):
                for path, scratch in ready.items():
                    scratch.replace(path)
                files.sync_folder(folder)

        try:
            # Before its turn at the ledger: submissions must not wait while a thousand pages are synced.
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
        self.ledger.write(lambda connection: record(connection, event))

    def events(self, limit: int = 1000) -> list[Event]:
        rows = self.ledger.read(
            "SELECT moment, actor, action, subject, detail FROM events ORDER BY number DESC LIMIT ?", (limit,)
        )
        return [Event(*row) for row in rows]

    def close(self) -> None:
        self.stop_settling()
        self.ledger.close()


def _has_links(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.is_symlink() for entry in entries)


def _write_grades(path: Path, entries: Sequence[GradeEntry]) -> None:
    document = json.dumps([dict(entry.fields) for entry in entries], ensure_ascii=False, indent=2)
    files.write_file(path, document.encode() + b"\n")


def load_grades(path: Path) -> tuple[GradeEntry, ...]:
    document = load_json(path)
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise Unreadable(f"{path.name} cannot be understood", f"{path}: expected a JSON list of objects")
    return tuple(GradeEntry(entry) for entry in document)
