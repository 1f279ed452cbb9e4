"""Assignments and released files, found in the course folder or listed by its manifest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import TypeVar

from mograder.domain.assignments import Assignment, Plan, ReleaseFile, find_assignment
from mograder.domain.audit import Event
from mograder.domain.errors import BadName, BadRequest, Unreadable
from mograder.domain.files import StoredFile, is_left_behind
from mograder.domain.names import MAX_FILE_NAME, AssignmentName, FileName, Username
from mograder.domain.release import Fetched, NewFile
from mograder.store.folder.layout import (
    FEEDBACK,
    GRADES,
    Folders,
    Place,
    existing,
    real_place,
    stored,
)
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.publishing import FolderPublisher
from mograder.store.folder.rows import where_asked
from mograder.store.shared import files
from mograder.store.shared.files import storage_errors
from mograder.store.shared.manifest import MANIFEST, Manifest, load_json, parse_manifest, shown, with_rules
from mograder.store.shared.stat_cache import Cached, LastGood, StatCache, StatSnapshot

T = TypeVar("T")

HASHED_UP_TO = 64 * 1024 * 1024
"""Bytes; a larger released file is listed without a checksum, so that the first listing is quick."""


class ReleaseFolder:
    """The released files of one course folder. Edits by hand show at once."""

    def __init__(self, folders: Folders) -> None:
        self.folders = self._folders = folders
        self._top = str(folders.release or folders.root)  # resolved: no link leads here
        self._below = "" if folders.release else f"{os.sep}files"
        self._submitted, self._grades = f"{folders.submitted}{os.sep}", f"{folders.grades}{os.sep}"
        self._manifest_path = str(folders.root / MANIFEST)
        self._manifests: tuple[tzinfo, Manifest] = (UTC, _manifest(UTC))
        self._sha256 = Cached(files.sha256_of)
        self._entries = Cached(_entries)
        self._same: StatCache[tuple[Assignment, ...]] = StatCache()

    def assignments(self, plan: Plan) -> tuple[Assignment, ...]:
        """Every assignment with the plan's rules: those of the manifest, else those found, sorted by name.

        The result is the same object as before as long as nothing has changed.
        """
        listed = self._listed(plan)
        return listed if listed is not None else self._same.get("folders", partial(self._discover, plan), plan)

    def cached(self, plan: Plan) -> tuple[Assignment, ...] | None:
        """As `assignments`, but None if a folder would have to be read or a file hashed."""
        listed = self._listed(plan)
        return listed if listed is not None else self._same.cached("folders", plan)

    def _discover(self, plan: Plan, marks: StatSnapshot) -> tuple[Assignment, ...]:
        found = [
            (name, folder, list(self._files_below(folder, plain, marks)))
            for name, folder, plain in self._assignment_folders(marks)
        ]
        return tuple(
            Assignment(name, str(name), self._release_files(folder, below, marks), plan.rules_of(name))
            for name, folder, below in sorted(found)
        )

    def _listed(self, plan: Plan) -> tuple[Assignment, ...] | None:
        """The manifest's assignments with the plan's rules, None without a manifest."""
        zone, manifest = self._manifests
        if zone is not plan.zone:
            manifest = _manifest(plan.zone, manifest.last)
            self._manifests = (plan.zone, manifest)
        listed = manifest.get(self._manifest_path)
        if listed is None:
            return None
        return self._same.get("manifest", lambda _: with_rules(listed, plan), (listed, plan))

    def error(self, plan: Plan) -> Unreadable | None:
        """What is wrong with the current manifest, None if nothing is."""
        with contextlib.suppress(Unreadable):
            self._listed(plan)
        return self._manifests[1].error

    def _assignment_folders(self, marks: StatSnapshot) -> Iterator[tuple[AssignmentName, str, bool]]:
        """Each assignment, the folder of its released files, and whether that path has no links."""
        for entry, is_link, _ in self._entries_of(self._top, marks):
            above = f"{self._top}{os.sep}{entry}"
            folder = f"{above}{self._below}"
            plain = not is_link and not os.path.islink(folder)
            if self._is_assignment(folder, plain, marks):
                yield AssignmentName(entry), folder, plain
            else:
                marks.look(above)  # changes when its folder of files is made
                marks.in_doubt |= not plain

    def everything(self) -> dict[AssignmentName, list[tuple[FileName, Path]]]:
        """Every file of every assignment that may be served, listed or not."""
        return {
            name: [
                (FileName(each), Path(folder, each))
                for each, _ in sorted(self._files_below(folder, plain, StatSnapshot()))
            ]
            for name, folder, plain in self._assignment_folders(StatSnapshot())
        }

    def _is_assignment(self, folder: str, plain: bool, marks: StatSnapshot) -> bool:
        real = folder if plain else os.path.realpath(folder)
        if not os.path.isdir(folder) or f"{real}{os.sep}".startswith(self._submitted):
            return False
        return self._folders.release is None or any(True for _ in self._files_below(folder, plain, marks))

    def find(self, text: str, plan: Plan) -> Assignment | None:
        """The assignment of this name or id, without its files: every request asks, so it must be quick."""
        listed = self._listed(plan)
        if listed is not None:
            return find_assignment(listed, text)
        try:
            name = AssignmentName.parse(text)
        except BadName:
            return None
        found = files.look(self._top, f"{name}{self._below}")
        if found is not None and not files.is_link(found):
            if not self._is_assignment(f"{self._top}{os.sep}{name}{self._below}", True, StatSnapshot()):
                return None
        else:
            folder = self._folder(name)
            if folder is None or not self._is_assignment(str(folder), False, StatSnapshot()):
                return None
            name = AssignmentName(folder.name if self._folders.release else folder.parent.name)  # as the disk spells it
        return Assignment(name, str(name), rules=plan.rules_of(name))

    def _folder(self, name: AssignmentName) -> Path | None:
        """The folder of an assignment's released files, as the disk spells it; None without one."""
        flat = self._folders.release
        folder = existing(flat or self._folders.root, name)
        return folder / "files" if folder is not None and flat is None else folder

    def _files_below(
        self, folder: str, plain: bool, marks: StatSnapshot, prefix: str = ""
    ) -> Iterator[tuple[str, os.stat_result]]:
        """The name relative to `folder`, and the status, of every file that may be served; not links that lead out.

        `plain` says that the path of `folder` has no links, so that files in it need no check.
        """
        here = f"{folder}{os.sep}{prefix}"
        try:
            entries = self._entries_of(here[:-1], marks)
        except OSError as error:  # removed meanwhile, or not readable
            marks.failed(error)
            return
        for name, is_link, is_folder in entries:
            relative, path = prefix + name, here + name
            if len(relative) > MAX_FILE_NAME:
                continue
            real = path if plain and not is_link else files.real_path(folder, path)
            if real is None or self._holds_back(real):
                marks.in_doubt |= is_link
                continue
            if is_folder:
                yield from self._files_below(folder, plain, marks, f"{relative}/")
                continue
            with contextlib.suppress(OSError):
                found = marks.look(path)
                if is_link:
                    found = os.lstat(real)
                if found is not None and files.is_regular(found):
                    yield relative, found

    def _entries_of(self, folder: str, marks: StatSnapshot) -> Entries:
        """The entries of a folder that may be served, cached until the folder changes."""
        found = marks.look(folder)
        return self._entries.get(folder, None if found is None or files.is_link(found) else found)

    def _holds_back(self, path: str) -> bool:
        """Whether `path`, which has no links, is a submission, grades or feedback."""
        if f"{path}{os.sep}".startswith(self._submitted):
            return True
        below = path[len(self._grades) :].split(os.sep) if path.startswith(self._grades) else ()
        return len(below) > 1 and below[1] in (GRADES, FEEDBACK)

    def _release_files(
        self, folder: str, found: list[tuple[str, os.stat_result]], marks: StatSnapshot
    ) -> tuple[ReleaseFile, ...]:
        return tuple(
            ReleaseFile(FileName(name), status.st_size, self._checksum(Path(folder, name), status, marks))
            for name, status in sorted(shown(found, lambda each: each[0]))
        )

    def _checksum(self, path: Path, status: os.stat_result, marks: StatSnapshot) -> str | None:
        if status.st_size > HASHED_UP_TO:
            return None
        try:
            return self._sha256.get(path, status)
        except OSError as error:  # one file that cannot be read must not hide the whole course
            marks.failed(error)
            return None

    def release_file(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        """The released file of this name; None without one, or if it may not be served."""
        return stored(name, partial(self._place, assignment, name))

    def _place(self, assignment: AssignmentName, name: FileName) -> Place | None:
        try:
            below = f"{AssignmentName.parse(assignment)}{self._below}/{FileName.parse(name)}"
            if any(map(is_left_behind, name.split("/"))):
                return None
        except BadName:
            return None
        found = files.look(self._top, below)
        if found is not None and not files.is_link(found):
            return None if self._holds_back(f"{self._top}{os.sep}{below}") else (self._top, below, found)
        folder = self._folder(assignment)
        path = folder
        for part in name.split("/"):
            path = existing(path, part) if path is not None else None
        real = None if folder is None or path is None else files.real_path(str(folder), str(path))
        return None if real is None or self._holds_back(real) else real_place(real)


Entries = tuple[tuple[str, bool, bool], ...]


def _entries(folder: Path) -> Entries:
    """What may be served in a folder, sorted: the name, whether it is a link, and whether it is a folder."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_left_behind(entry.name):
                continue
            with contextlib.suppress(BadName):
                is_link = entry.is_symlink()
                found.append((FileName.parse(entry.name), is_link, not is_link and entry.is_dir()))
    return tuple(sorted(found))


def _manifest(zone: tzinfo, last: tuple[tuple[Assignment, ...] | None, ...] = ()) -> Manifest:
    return LastGood(partial(_load_manifest, zone), None, last)


def _load_manifest(zone: tzinfo, path: Path) -> tuple[Assignment, ...]:
    try:
        return parse_manifest(load_json(path), zone)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read", f"{path}: {error}") from error
    except BadRequest as error:
        raise Unreadable(f"{path.name} cannot be understood", f"{path}: {error}") from error


class FolderRelease:
    """A `ReleaseStore` that can also answer from memory."""

    def __init__(self, ledger: Ledger, release: ReleaseFolder, plan: Callable[[], Plan]) -> None:
        self._ledger = ledger
        self._folder = release
        self._plan = plan
        self._publisher = FolderPublisher(release.folders, ledger)

    def assignments(self) -> tuple[Assignment, ...]:
        plan = self._plan()
        with storage_errors("list the assignments"):
            return self._folder.assignments(plan)

    def cached_assignments(self) -> tuple[Assignment, ...] | None:
        """See `CachedReads`."""
        plan = self._plan()
        with storage_errors("list the assignments"):
            return self._folder.cached(plan)

    def find(self, text: str) -> Assignment | None:
        plan = self._plan()
        with storage_errors("find the assignment"):
            return self._folder.find(text, plan)

    def file(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        with storage_errors("read the file"):
            return self._folder.release_file(assignment, name)

    def put_files(self, assignment: AssignmentName, files: Sequence[NewFile], event: Event) -> None:
        with storage_errors("store the files"):
            self._publisher.put(assignment, files, event)

    def remove_file(self, assignment: AssignmentName, name: FileName, event: Event) -> bool:
        with storage_errors("remove the file"):
            return self.file(assignment, name) is not None and self._publisher.remove(assignment, name, event)

    def note_fetched(self, notes: Sequence[Fetched]) -> None:
        rows = [astuple(each) for each in notes]
        self._ledger.write(
            lambda connection: connection.executemany("INSERT OR IGNORE INTO fetched VALUES (?, ?, ?)", rows)
        )

    def fetched(self, username: Username | None = None) -> list[Fetched]:
        where, values = where_asked(username=username)
        rows = self._ledger.read(f"SELECT * FROM fetched WHERE {where} ORDER BY assignment, username", values)
        return [Fetched(AssignmentName(assignment), Username(name), moment) for assignment, name, moment in rows]
