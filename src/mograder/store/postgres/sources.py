"""Writes the sources of a course in a database (notebooks with solutions and tests) to files, for workers.

Invariant: sources are listed in a document of their own, from which no download of a student is served.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import tomlkit

from mograder import course_file
from mograder.domain.errors import Unreadable
from mograder.store.postgres.rows import PLAN, SOURCES, StoredReleaseFile, read_listing
from mograder.store.postgres.tables import CourseTables
from mograder.store.shared import files
from mograder.store.shared.files import storage_errors

FOLDER = "source"
"""The subfolder into which the sources are written."""


class PublishedSources:
    """Writes a course's published sources into `folder`, as source/ASSIGNMENT/… beside its mograder.toml."""

    def __init__(self, tables: CourseTables, folder: Path) -> None:
        self._tables, self.folder = tables, folder
        self._written: tuple[str | None, str | None] | None = None

    def refresh(self) -> bool:
        """Bring the folder up to date; returns whether there are sources. Unchanged files are not touched.

        Raises Temporary, and Unreadable when the course was published again meanwhile: then try again.
        """
        found = (self._tables.document(PLAN), self._tables.document(SOURCES))
        if found != self._written:
            self._written = None
            with storage_errors("write the sources"):
                files.make_folder(self.folder / FOLDER)
                files.write_file(self.folder / course_file.CONFIG_NAME, _without_dirs(found[0] or "").encode())
                self._write(dict(_places(found[1])))
            self._written = found
        return bool(found[1]) and found[1] != "{}"

    def _write(self, wanted: dict[Path, StoredReleaseFile]) -> None:
        top = self.folder / FOLDER
        for path in [each for each in top.rglob("*") if each.is_file()]:
            if path.relative_to(top) not in wanted:
                path.unlink()
        for path in sorted((each for each in top.rglob("*") if each.is_dir()), reverse=True):
            if not any(path.iterdir()):
                path.rmdir()
        for below, each in wanted.items():
            path = top / below
            if not (path.is_file() and files.sha256_of(path) == each.sha256):
                self._fetch(path, each)

    def _fetch(self, path: Path, wanted: StoredReleaseFile) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, scratch = hashlib.sha256(), self.folder / "coming"
        with scratch.open("wb") as file:
            for piece in self._tables.pieces(wanted.body, wanted.size):
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != wanted.sha256:
            raise Unreadable("a published source is not what was published", f"{wanted.name}: publish it again")
        os.replace(scratch, path)  # noqa: PTH105


def _places(listing: str | None) -> Iterator[tuple[Path, StoredReleaseFile]]:
    for assignment, listed in read_listing(listing or "{}").items():
        for each in listed:
            yield Path(assignment, each.name), each


def _without_dirs(text: str) -> str:
    """A mograder.toml without [dirs]: here all folders have their usual names."""
    document = tomlkit.parse(text)
    document.pop("dirs", None)
    return tomlkit.dumps(document)
