"""Many courses in one folder: each subfolder with a release/ is a course of the subfolder's name."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path

from mograder import config
from mograder.course_file import CONFIG_NAME
from mograder.domain import deadlines
from mograder.domain.audit import Event
from mograder.domain.contents import LeftOut
from mograder.domain.errors import BadName
from mograder.domain.files import is_left_behind
from mograder.domain.names import CourseName, printable
from mograder.domain.store import CourseEntry
from mograder.domain.tokens import SECRET_NAME
from mograder.store.folder.layout import FEEDBACK, GRADES, Folders, served_folders
from mograder.store.folder.store import FolderStore
from mograder.store.shared import files
from mograder.store.shared.courses import course_taken, no_such_course
from mograder.store.shared.files import storage_errors

ARCHIVED = ".mograder-archived"
"""The file that marks an archived course; it holds the moment of archiving (Unix microseconds)."""

RELEASE = "release"


class CourseFolders:
    """The `Courses` (domain/store.py) of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: dict[CourseName, FolderStore] = {}
        self._opening = threading.Lock()

    def _is_course(self, name: CourseName) -> bool:
        return (self._folder / name / RELEASE).is_dir()

    def _archived(self, name: CourseName) -> int | None:
        try:
            return int((self._folder / name / ARCHIVED).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def entries(self) -> list[CourseEntry]:
        found = []
        with storage_errors("list the courses"):
            for path in sorted(self._folder.iterdir()):
                try:
                    name = CourseName.parse(path.name)
                except BadName:
                    continue
                if self._is_course(name):
                    created = int((path / RELEASE).stat().st_mtime * deadlines.SECOND)
                    found.append(CourseEntry(name, created, self._archived(name)))
        return found

    def left_out(self) -> list[LeftOut]:
        """The subfolders that are not served, and why."""
        found = []
        with storage_errors("list the courses"):
            for path in sorted(self._folder.iterdir()):
                if path.name.startswith(".") or not path.is_dir():
                    continue
                what = f"the folder {printable(path.name)!r}"
                try:
                    CourseName.parse(path.name)
                except BadName as error:
                    if (path / RELEASE).is_dir() or any(path.glob("*/files/")):
                        found.append(LeftOut(what, error.message, "rename it", str(path)))
                    continue
                if not (path / RELEASE).is_dir():
                    mend = f"move what is served into {path.name}/{RELEASE}/"
                    found.append(LeftOut(what, f"it has no folder {RELEASE}/", mend, str(path)))
        return found

    def with_tests(self) -> list[CourseName]:
        open_now = [each.name for each in self.entries() if each.archived is None]
        return [name for name in open_now if config.has_tests(self._folder / name / RELEASE)]

    def open(self, name: CourseName) -> FolderStore:
        if not self._is_course(name) or self._archived(name) is not None:
            raise no_such_course(name)
        with self._opening:
            if name not in self._opened:
                self._opened[name] = FolderStore(served_folders(self._folder / name / RELEASE))
            return self._opened[name]

    def create(self, name: CourseName, event: Event) -> None:
        home = self._folder / name
        with storage_errors("make the course"):
            try:
                home.mkdir()
            except FileExistsError:
                raise course_taken(name) from None
            files.make_folder(home / RELEASE)
        self.open(name).audit.record(event)

    def copy_from(self, name: CourseName, source: Folders, event: Event) -> int:
        """Copy mograder.toml, assignments.json and the released files of `source`; returns how many files.

        Nothing secret is copied: the new course has its own secret, people and submissions.
        """
        target = self._folder / name / RELEASE
        shown = {source.submitted, source.grades / FEEDBACK}

        def leave_out(folder: str, names: list[str]) -> set[str]:
            return {
                each for each in names
                if each.startswith(".") or is_left_behind(each) or each in (GRADES, FEEDBACK)
                or Path(folder, each).resolve() in shown
            }  # fmt: skip

        with storage_errors("copy the course"):
            shutil.copytree(source.root, target, ignore=leave_out, dirs_exist_ok=True)
            if source.release is not None and not source.release.is_relative_to(source.root):
                for folder in filter(Path.is_dir, source.release.iterdir()):
                    shutil.copytree(folder, target / folder.name / "files", ignore=leave_out, dirs_exist_ok=True)
            config_file = source.course / CONFIG_NAME
            if config_file.exists() and source.course != source.root:
                shutil.copyfile(config_file, self._folder / name / CONFIG_NAME)
        self.open(name).audit.record(event)
        return sum(path.is_file() for path in target.rglob("*") if not path.name.startswith("."))

    def archive(self, name: CourseName, archived: int | None, event: Event) -> None:
        if not self._is_course(name):
            raise no_such_course(name)
        mark = self._folder / name / ARCHIVED
        with storage_errors("archive the course"):
            mark.unlink(missing_ok=True)
            self.open(name).audit.record(event)
            if archived is not None:
                files.write_file(mark, f"{archived}\n".encode())

    def close(self) -> None:
        for store in self._opened.values():
            store.close()


def same_secret(root: Path) -> list[Path]:
    """The neighbouring courses that have the secret of the course served from `root`: each accepts the other's tokens.

    Copying a whole folder makes such a course.
    """
    home = config.course_folder(root)
    with contextlib.suppress(OSError):
        secret = (root / SECRET_NAME).read_bytes().strip()
        found = []
        for each in sorted(home.parent.iterdir()):
            for other in (each / RELEASE, each):
                with contextlib.suppress(OSError):
                    if (other / SECRET_NAME).read_bytes().strip() == secret and not other.samefile(root):
                        found.append(other)
        return found if secret else []
    return []
