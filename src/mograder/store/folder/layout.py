"""The layout of a course on the disk, and how single files of it are found and opened."""

from __future__ import annotations

import contextlib
import errno
import os
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from mograder import config, course_file
from mograder.domain.errors import Unreadable, Usage
from mograder.domain.files import OpenedFile, StoredFile, is_left_behind
from mograder.domain.receipts import version_owner
from mograder.domain.tokens import SECRET_NAME
from mograder.store.shared import files
from mograder.store.shared.stat_cache import fingerprint

LEDGER = ".mograder.db"
LOCK = ".mograder.lock"
SIGNING_KEY = ".mograder-signing-key.pem"
BEGIN_ANEW = f"restore it from a backup, or remove {SIGNING_KEY} to begin anew, without accounts and receipts"
NEW_KEY = "restore it from a backup, or sign with a new one from now on: mograder secret rotate-key"
GRADES = "grades.json"
FEEDBACK = "feedback"


class Folders(Struct, frozen=True):
    """Where one course lives. See docs/reference/folder.md."""

    root: Path
    course: Path
    submitted: Path
    grades: Path
    release: Path | None = None
    """The flat released file folder; None where released files stand in <root>/<assignment>/files/."""

    @property
    def outside(self) -> Path | None:
        """The folder of released files if it lies outside the course: all that it holds is served to students."""
        if self.release is None or self.release.is_relative_to(self.course):
            return None
        return self.release

    @classmethod
    def of(
        cls,
        root: Path,
        *,
        release: Path | None = None,
        submitted: Path | None = None,
        grades: Path | None = None,
    ) -> Folders:
        """The folders of the course served from `root`; those not given are where the layout puts them."""
        course = config.course_folder(root)
        root = root.resolve()
        if release is None and (root / "release").is_dir():
            release = root / "release"
        return cls(
            root=root,
            course=course,
            submitted=(submitted or course / "submitted").resolve(),
            grades=(grades or root).resolve(),
            release=release.resolve() if release else None,
        )


def find_folders(root: Path, settings: config.ServeSettings) -> Folders:
    """The folders of the course served from `root`, by its settings. Raises Usage."""
    flat = settings.release_dir
    if "release_dir" not in settings.given and flat is not None and flat.resolve() == root.resolve():
        flat = None  # [dirs] release names the served folder itself: the usual layout
    if flat is not None and not flat.is_dir():
        raise Usage(f"{flat} is not a folder: give an existing one as release folder")
    found = Folders.of(root, release=flat, submitted=settings.submitted_dir, grades=settings.grades_dir)
    for folder in (found.submitted, found.grades):
        if folder.exists() and not folder.is_dir():
            raise Usage(f"{folder} is not a folder: submissions and grades are kept in folders")
    return found


GRADING = ("source", "autograded", "feedback", "marks")
"""Folders beside the submissions: notebooks with solutions, results, pages for students, and marks by hand."""


def grading_folders(course: Path) -> dict[str, Path]:
    """The folders of GRADING by name; `[dirs]` of the course's mograder.toml may rename each.

    A mograder.toml that cannot be parsed renames none.
    """
    try:
        dirs = course_file.read_course_file(course / course_file.CONFIG_NAME).dirs
    except Unreadable:
        dirs = course_file.CourseFile().dirs
    return {name: course / (getattr(dirs, name) or name) for name in GRADING}


def served_folders(folder: Path) -> Folders:
    """The folders of the course that `serve` would serve from `folder`, by its mograder.toml.

    Raises Usage and Unreadable.
    """
    root = folder.absolute()
    home = config.course_folder(root)
    settings = config.resolve({}, course_file.read_course_file(home / course_file.CONFIG_NAME), home)
    return find_folders(root, settings)


def served_root(folder: Path) -> Path:
    """The folder to serve of the course in `folder`: its release/ if that was served or has the layout for it."""
    inner = folder / "release"
    if not (folder / SECRET_NAME).exists() and ((inner / SECRET_NAME).exists() or _has_files_folders(inner)):
        return inner
    return folder


def _has_files_folders(root: Path) -> bool:
    """Whether the assignments below `root` have their released files in files/, and none beside it."""
    return any(
        not any(
            each.is_file() and each.name != GRADES and not is_left_behind(each.name) for each in files.parent.iterdir()
        )
        for files in root.glob("*/files/")
    )


def existing(folder: Path, name: str) -> Path | None:
    """The existing path of `name` in `folder`, perhaps in another Unicode form (macOS decomposes letters)."""
    path = folder / name
    if os.path.lexists(path):
        return path
    if name.isascii():
        return None
    wanted = unicodedata.normalize("NFC", name)
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            if unicodedata.normalize("NFC", entry) == wanted:
                return folder / entry
    return None


LONGEST_NAME = 300
"""Bytes of a file that may be the name of a version; a longer file is not."""


def is_version_of(latest: str, name: str) -> bool:
    """Whether `name` is a dated version (alice_20260310T200800.py) of the person whose latest file is `latest`."""
    return f"{version_owner(name)}.py" == latest


def named_version(path: str, size: int | None = None) -> str | None:
    """The version that a latest file names, if it is a text in place of a link; None if it is a submission itself.

    Git without links, some synchronisers and some zips leave such a text in place of a link.
    """
    folder, latest = os.path.split(path)
    try:
        found = os.lstat(path)
        if files.is_link(found) or not files.is_regular(found) or (size or found.st_size) > LONGEST_NAME:
            return None
        with open(path, "rb") as file:
            name = file.read(LONGEST_NAME).decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        return None
    name = name.removeprefix("./")
    there = is_version_of(latest, name) and Path(folder, name).is_file()
    return name if there else None


Place = tuple[str, str, os.stat_result]
"""Where a file is: a folder, the path below it, which has no links, and the file's status."""

LOOKS = 3
"""How often to look for a file that cannot be opened where it was found."""


def real_place(path: str) -> Place | None:
    """The place of a file if no part of it is a link, else None."""
    top, below = os.path.splitdrive(path)
    below = below[1:]
    found = files.look(top, below)
    return None if found is None else (top, below, found)


def stored(name: str, find: Callable[[], Place | None]) -> StoredFile | None:
    """The file of this name that `find` finds; None unless it is a regular file."""
    place = find()
    if place is None or not files.is_regular(place[2]):
        return None
    return _stored(name, place[2], partial(_hold, name, find, place))


def _stored(name: str, found: os.stat_result, hold: Callable[[], OpenedFile]) -> StoredFile:
    tag = "{:x}-{:x}-{:x}-{:x}".format(*fingerprint(found))
    return StoredFile(name, found.st_size, found.st_mtime, tag, opener=hold)


def _hold(name: str, find: Callable[[], Place | None], place: Place) -> OpenedFile:
    """Open a file at `place`, or where `find` finds it if it has moved."""
    for looks_left in reversed(range(LOOKS)):
        try:
            held, found = files.open_below(place[0], place[1])
            return _stored(name, found, partial(_hold, name, find, place)), held
        except OSError:
            if not looks_left:
                raise
            found_again = find()
            if found_again is None:
                raise FileNotFoundError(errno.ENOENT, "the file is gone", name) from None
            place = found_again
    raise AssertionError("looked for at least once")
