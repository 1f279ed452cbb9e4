"""What students download: assignments found in the course folder, or listed by its manifest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from mograder.config import manifest_rules
from mograder.domain.assignments import Assignment, HandOut, Plan, Rules, find_assignment
from mograder.domain.errors import BadName, BadRequest, Unreadable
from mograder.domain.names import AssignmentName, FileName
from mograder.domain.store import StoredFile
from mograder.store import files
from mograder.store.files import Cached
from mograder.store.layout import FEEDBACK, GRADES, MANIFEST, Folders, existing, load_json, stored_file

HASHED_UP_TO = 64 * 1024 * 1024
"""Bytes; a larger hand-out is listed without a checksum rather than make the first listing wait."""


class HandOuts:
    """The hand-outs of one course folder, read afresh: an edit by hand shows at once."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._manifests: tuple[tzinfo, Cached[tuple[Assignment, ...]]] = (UTC, Cached(partial(_load_manifest, UTC)))
        self._sha256 = Cached(files.sha256_of)

    def assignments(self, plan: Plan) -> tuple[Assignment, ...]:
        """Every assignment with the plan's rules, sorted by name; a manifest replaces discovery."""
        try:
            return self._listed(plan)
        except FileNotFoundError:
            pass
        found = [
            Assignment(name, str(name), self._hand_outs(folder), plan.rules.get(name, Rules()))
            for name, folder in self._assignment_folders()
        ]
        return tuple(sorted(found, key=lambda each: each.name))

    def _listed(self, plan: Plan) -> tuple[Assignment, ...]:
        """The manifest's assignments; what the plan says of one goes before. Raises FileNotFoundError."""
        zone, manifest = self._manifests
        if zone is not plan.zone:
            manifest = Cached(partial(_load_manifest, plan.zone))
            self._manifests = (plan.zone, manifest)
        listed = manifest.get(self._folders.root / MANIFEST)
        return tuple(
            replace(each, rules=plan.rules[each.name].over(each.rules)) if each.name in plan.rules else each
            for each in listed
        )

    def _assignment_folders(self) -> Iterator[tuple[AssignmentName, Path]]:
        """Each assignment with the folder that holds its hand-outs."""
        flat = self._folders.release
        for entry in os.scandir(flat or self._folders.root):
            try:
                name = AssignmentName.parse(entry.name)
            except BadName:
                continue
            folder = Path(entry.path) if flat else Path(entry.path) / "files"
            if self._is_assignment(folder):
                yield name, folder

    def _is_assignment(self, folder: Path) -> bool:
        if not folder.is_dir() or Path(os.path.realpath(folder)).is_relative_to(self._folders.submitted):
            return False
        return self._folders.release is None or any(True for _ in self._files_below(folder))

    def find(self, text: str, plan: Plan) -> Assignment | None:
        """The assignment of this name or id, its files left out: quick, as every request asks."""
        try:
            return find_assignment(self._listed(plan), text)
        except FileNotFoundError:
            pass
        try:
            name = AssignmentName.parse(text)
        except BadName:
            return None
        folder = self._folder(name)
        if folder is None or not self._is_assignment(folder):
            return None
        name = AssignmentName(folder.name if self._folders.release else folder.parent.name)  # as the disk spells it
        return Assignment(name, str(name), rules=plan.rules.get(name, Rules()))

    def _folder(self, name: AssignmentName) -> Path | None:
        """The folder that holds an assignment's hand-outs, as the disk spells it."""
        flat = self._folders.release
        folder = existing(flat or self._folders.root, name)
        return folder / "files" if folder is not None and flat is None else folder

    def _files_below(self, folder: Path) -> Iterator[tuple[str, os.stat_result]]:
        """Every file that may be served, by its name relative to `folder`; links that lead out are left out."""
        for parent, folders, names in os.walk(folder):
            relative = os.path.relpath(parent, folder)
            prefix = "" if relative == os.curdir else relative.replace(os.sep, "/") + "/"
            folders[:] = [name for name in folders if not self._kept_back(folder, prefix + name)]
            for name in names:
                path = Path(parent, name)
                if self._kept_back(folder, prefix + name) or (path.is_symlink() and not files.is_inside(path, folder)):
                    continue
                with contextlib.suppress(OSError):  # gone meanwhile, or not ours to read
                    found = path.stat()
                    if files.is_regular(found):
                        yield prefix + name, found

    def _kept_back(self, folder: Path, relative: str) -> bool:
        """Hidden or otherwise not a name to serve; hand-ins, grades and feedback, however the folders are nested."""
        try:
            FileName.parse(relative)
        except BadName:
            return True
        path = Path(os.path.realpath(folder / relative))
        if "/." in path.as_posix() and "/." in f"/{os.path.relpath(path, os.path.realpath(folder))}":
            return True  # a link to a hidden file, or out
        if path.is_relative_to(self._folders.submitted):
            return True
        below = path.relative_to(self._folders.grades).parts if path.is_relative_to(self._folders.grades) else ()
        return len(below) > 1 and below[1] in (GRADES, FEEDBACK)

    def _hand_outs(self, folder: Path) -> tuple[HandOut, ...]:
        found = sorted(self._files_below(folder))
        zips = [each for each in found if each[0].lower().endswith(".zip")]
        return tuple(
            HandOut(
                FileName.parse(name),
                status.st_size,
                self._checksum(folder / name, status),
            )
            for name, status in zips or found
        )

    def _checksum(self, path: Path, status: os.stat_result) -> str | None:
        if status.st_size > HASHED_UP_TO:
            return None
        try:
            return self._sha256.get(path, status)
        except OSError:  # one file that cannot be read must not hide the whole course
            return None

    def hand_out(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        """A file that may be served, None otherwise."""
        folder = self._folder(assignment)
        if folder is None:
            return None
        path: Path | None = folder
        for part in name.split("/"):
            path = existing(path, part) if path is not None else None
        if (
            path is None
            or os.path.realpath(folder) == str(self._folders.submitted)
            or self._kept_back(folder, path.relative_to(folder).as_posix())
            or not files.is_inside(path, folder)
        ):
            return None
        return stored_file(path, name)


def _load_manifest(zone: tzinfo, path: Path) -> tuple[Assignment, ...]:
    document = load_json(path)
    if not isinstance(document, list):
        raise Unreadable(f"{path.name} cannot be understood", f"{path}: expected a JSON list")
    found = []
    for index, entry in enumerate(document, 1):
        try:
            if not isinstance(entry, dict):
                raise BadRequest("expected an object")
            found.append(_manifest_entry(entry, zone))
        except (BadRequest, ValueError) as error:
            raise Unreadable(f"{path.name} cannot be understood", f"{path}: entry {index}: {error}") from error
    return tuple(found)


def _manifest_entry(entry: dict[str, Any], zone: tzinfo) -> Assignment:
    name = AssignmentName.parse(str(entry.get("name") or entry.get("id") or ""))
    hand_outs = []
    listed = entry.get("files") or []
    if not isinstance(listed, list):
        raise BadRequest("'files' must be a list")
    for file in listed:
        if not isinstance(file, dict) or not isinstance(file.get("filename"), str):
            raise BadRequest("a file needs a 'filename'")
        url = file.get("url")
        hand_outs.append(HandOut(FileName.parse(file["filename"]), url=url if isinstance(url, str) else None))
    return Assignment(name, str(entry.get("id", name)), tuple(hand_outs), manifest_rules(entry, zone), entry)
