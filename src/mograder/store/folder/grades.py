"""Grades and feedback as files of a course folder: `grades.json` and `feedback/<user>.html` of each assignment."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mograder.domain import grades as grading
from mograder.domain.audit import Event
from mograder.domain.errors import Unreadable
from mograder.domain.files import StoredFile
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, Username
from mograder.permissions import private_mode
from mograder.store.folder.in_use import FoldersInUse
from mograder.store.folder.layout import FEEDBACK, GRADES, Folders, Place, real_place, stored
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import record
from mograder.store.shared import files
from mograder.store.shared.files import storage_errors
from mograder.store.shared.grades import check_version, version_of
from mograder.store.shared.manifest import load_json
from mograder.store.shared.stat_cache import Cached, StatCache, StatSnapshot

log = logging.getLogger(__name__)


class FolderGrades:
    """A `GradesStore`."""

    def __init__(self, folders: Folders, ledger: Ledger, in_use: FoldersInUse) -> None:
        self._folder = folders.grades
        self._top = str(folders.grades)
        self._ledger = ledger
        self._in_use = in_use
        self._tables = Cached(load_grades)
        self._broken: StatCache[list[Unreadable]] = StatCache()
        self._has_links = Cached(_has_links)
        self._logged: dict[AssignmentName, str] = {}  # the last logged fault of each table

    def of(self, assignment: AssignmentName) -> tuple[GradeEntry, ...]:
        with storage_errors("read the grades"):
            try:
                return self._tables.get(f"{self._top}{os.sep}{assignment}{os.sep}{GRADES}")
            except (FileNotFoundError, NotADirectoryError):
                self._in_use.check(self._folder)
                return ()
            except Unreadable as problem:
                if self._logged.get(assignment) != problem.place:
                    self._logged[assignment] = problem.place
                    log.error("%s (%s)", problem.message, problem.place)
                raise

    def version(self, assignment: AssignmentName) -> str:
        return version_of(self.of(assignment))

    def merge(
        self, assignment: AssignmentName, entries: tuple[GradeEntry, ...], event: Event, version: str | None = None
    ) -> int:
        def work(connection: sqlite3.Connection) -> int:
            record(connection, event)
            return self.merge_within(assignment, entries, version)

        return self._ledger.write(work)

    def merge_within(self, assignment: AssignmentName, entries: tuple[GradeEntry, ...], version: str | None) -> int:
        """As `merge`, inside a transaction of the ledger and without an event."""
        path = self._folder / assignment / GRADES
        with storage_errors("keep the grades"):
            self._in_use.make(self._folder, assignment)
            held = load_grades(path) if path.exists() else ()
            check_version(assignment, held, version)
            merged = grading.merge(held, entries)
            write_grades(path, merged)
        return len(merged)

    def feedback(self, assignment: AssignmentName, username: Username) -> StoredFile | None:
        name = f"{username}.html"
        with storage_errors("read the feedback"):
            found = stored(name, partial(self._page, assignment, name))
            if found is None:
                self._in_use.check(self._folder)
            return found

    def _page(self, assignment: AssignmentName, name: str) -> Place | None:
        below = f"{assignment}/{FEEDBACK}/{name}"
        found = files.look(self._top, below)
        if found is None:
            return None
        if not files.is_link(found):
            return self._top, below, found
        folder = f"{self._top}{os.sep}{assignment}{os.sep}{FEEDBACK}"
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
            # Before the transaction: submissions must not wait while a thousand pages are synced.
            with storage_errors("keep the feedback"):
                folder = self._in_use.make(self._folder, assignment, FEEDBACK)
                mode = private_mode(folder)
                for username, page in pages.items():
                    path = folder / f"{username}.html"
                    ready[path] = files.write_beside(path, page, mode)
            self._ledger.write(work)
        finally:
            for scratch in ready.values():
                files.remove_scratch(scratch)

    def broken_tables(self) -> list[Unreadable]:
        """The tables of grades that cannot be parsed now. Raises OSError."""
        return self._broken.get("grades", self._find_broken)

    def _find_broken(self, snapshot: StatSnapshot) -> list[Unreadable]:
        found = []
        snapshot.look(self._top)
        for name in sorted(os.listdir(self._top)):
            path = f"{self._top}{os.sep}{name}{os.sep}{GRADES}"
            if name.startswith(".") or snapshot.look(path) is None:
                continue
            try:
                self._tables.get(path)
            except Unreadable as problem:
                found.append(problem)
            except OSError as error:
                snapshot.in_doubt = True
                found.append(Unreadable(f"{GRADES} cannot be read", f"{path}: {error}"))
        return found

    def look(self, assignment: AssignmentName, snapshot: StatSnapshot) -> tuple[GradeEntry, ...]:
        """The grades of an assignment. The snapshot changes when feedback pages come or go. Raises OSError."""
        entries = self.of(assignment)
        feedback = f"{self._top}{os.sep}{assignment}{os.sep}{FEEDBACK}"
        snapshot.look(self._top)
        if snapshot.look(feedback) is not None and self._has_links.get(feedback):
            snapshot.in_doubt = True
        return entries

    def erase(self, username: Username) -> None:
        """Remove a person's entries from every table. Raises OSError and Unreadable."""
        for path in self._folder.glob(f"*/{GRADES}"):
            held = load_grades(path)
            others = [entry for entry in held if entry.username != username]
            if len(others) < len(held):
                write_grades(path, others)


def _has_links(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.is_symlink() for entry in entries)


def write_grades(path: Path, entries: Sequence[GradeEntry]) -> None:
    document = json.dumps([dict(entry.fields) for entry in entries], ensure_ascii=False, indent=2)
    files.write_file(path, document.encode() + b"\n", private_mode(path.parent))


def load_grades(path: Path) -> tuple[GradeEntry, ...]:
    document = load_json(path)
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise Unreadable(f"{path.name} cannot be understood", f"{path}: expected a JSON list of objects")
    return tuple(GradeEntry(entry) for entry in document)
