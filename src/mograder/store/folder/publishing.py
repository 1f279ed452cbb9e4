"""Writes and removes released files in the course folder.

Invariant: nothing is written through a link, or outside the folder of the assignment's files.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest
from mograder.domain.names import AssignmentName, FileName
from mograder.domain.release import NewFile
from mograder.store.folder.layout import Folders, existing
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import record
from mograder.store.shared import files
from mograder.store.shared.manifest import MANIFEST, by_manifest


class FolderPublisher:
    """The part of a `ReleaseStore` that changes files."""

    def __init__(self, folders: Folders, ledger: Ledger) -> None:
        self._folders = folders
        self._ledger = ledger

    def put(self, assignment: AssignmentName, new: Sequence[NewFile], event: Event) -> None:
        """See `ReleaseStore.put_files`. The bytes are synced before the transaction, so that no submission waits."""
        folder = self._folder_of(assignment)
        targets = [(_target(folder, each.name), each.content) for each in new]
        parents = list(dict.fromkeys([folder.parent, folder, *(path.parent for path, _ in targets)]))
        made = [each for each in parents if not each.exists()]
        scratches: list[tuple[Path, Path]] = []
        try:
            for each in parents:
                files.make_folder(each)
            for path, content in targets:
                scratches.append((files.write_beside(path, content, mode=0o644), path))

            def work(connection: sqlite3.Connection) -> None:
                record(connection, event)
                for scratch, path in scratches:
                    scratch.replace(path)

            self._ledger.write(work)
        except BaseException:
            for scratch, _ in scratches:
                files.remove_scratch(scratch)
            for each in reversed(made):
                with contextlib.suppress(OSError):  # not made, or not empty
                    each.rmdir()
            raise
        for each in parents:
            files.sync_folder(each)

    def remove(self, assignment: AssignmentName, name: FileName, event: Event) -> bool:
        """See `ReleaseStore.remove_file`."""
        path = _target(self._folder_of(assignment), name)

        def work(connection: sqlite3.Connection) -> bool:
            if not path.is_file():
                return False
            record(connection, event)
            path.unlink()
            return True

        return self._ledger.write(work)

    def _folder_of(self, assignment: AssignmentName) -> Path:
        """The folder of an assignment's files, existing or to be made. Raises BadRequest."""
        if (self._folders.root / MANIFEST).exists():
            raise by_manifest()
        flat = self._folders.release
        top = flat or self._folders.root
        above = existing(top, assignment) or top / assignment
        folder = above if flat else above / "files"
        for each in (above, folder):
            if each.is_symlink() or (each.exists() and not each.is_dir()):
                raise BadRequest(f"{each.name!r} of {assignment!r} is no plain folder: put files there by hand")
        if files.is_inside(folder, self._folders.submitted):
            raise BadRequest(f"{assignment!r} is where submissions are kept: choose another name")
        return folder


def _target(folder: Path, name: FileName) -> Path:
    """The path to which a file is written. Raises BadRequest where a link or something else is in the way."""
    path = folder
    for part in name.split("/"):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise BadRequest(f"{path.name!r} is no plain folder: put {name!r} there by hand")
        path = existing(path, part) or path / part
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise BadRequest(f"{name!r} is no plain file there: replace it by hand")
    return path
