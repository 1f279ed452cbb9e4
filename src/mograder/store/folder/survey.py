"""Finds what is in a course folder and not in force. Nothing is changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mograder.course_file import CONFIG_NAME
from mograder.domain.contents import LeftOut, Survey
from mograder.domain.errors import BadName
from mograder.domain.files import is_left_behind
from mograder.domain.names import AssignmentName, FileName, counted, printable, some_of
from mograder.domain.receipts import owner, version_owner
from mograder.store.folder.layout import FEEDBACK, GRADES, Folders, named_version
from mograder.store.shared import files
from mograder.store.shared.manifest import MANIFEST
from mograder.store.shared.stat_cache import StatCache, StatSnapshot

HANDED_OUT = (".py", ".ipynb", ".zip")
"""Endings of files that are probably meant for students if they are in the folder of an assignment."""


class FolderSurvey:
    """The survey of one course, kept as long as its folders stay as they are.

    `has_receipts` says whether the ledger knows of a submission.
    """

    def __init__(self, folders: Folders, has_receipts: Callable[[], bool]) -> None:
        self._folders = folders
        self._has_receipts = has_receipts
        self._kept: StatCache[Survey] = StatCache()

    def look(self) -> Survey:
        return self._kept.get("course", self._look, self._has_receipts())

    def handouts(self) -> tuple[LeftOut, ...]:
        """The files of assignments that students do not get."""
        return tuple(self._handouts(StatSnapshot()))

    def _look(self, snapshot: StatSnapshot) -> Survey:
        home, root = self._folders.course / CONFIG_NAME, self._folders.root / CONFIG_NAME
        found = [*self._settings(home, root), *self._submitted(snapshot), *self._handouts(snapshot),
                 *self._beside(snapshot)]  # fmt: skip
        snapshot.look(str(home))
        snapshot.look(str(root))
        settings = str(home) if home.exists() else ""
        return Survey(tuple(self._work(snapshot)), settings, str(home), tuple(found))

    def _settings(self, home: Path, root: Path) -> Iterator[LeftOut]:
        if root != home and root.exists():
            yield LeftOut(
                f"{CONFIG_NAME} inside {root.parent.name}/", f"the settings of this course are read from {home}",
                f"move it to {home}", str(root),
            )  # fmt: skip

    # submissions

    def _work(self, snapshot: StatSnapshot) -> Iterator[tuple[AssignmentName, int]]:
        for folder in _folders_in(self._folders.submitted, snapshot):
            people = {} if folder.is_symlink() else _people(folder, snapshot)
            with contextlib.suppress(BadName):
                name = AssignmentName.parse(folder.name)
                if people:
                    yield name, len(people)

    def _submitted(self, snapshot: StatSnapshot) -> Iterator[LeftOut]:
        without, texts, dated = 0, 0, 0
        for folder in _folders_in(self._folders.submitted, snapshot):
            people = _people(folder, snapshot)
            dated += sum(versions for versions, _ in people.values())
            without += sum(not has_latest for _, has_latest in people.values())
            texts += sum(named_version(f"{folder}{os.sep}{user}.py") is not None for user in people)
        if dated and not self._has_receipts():
            yield LeftOut(
                f"receipts and accounts for {counted(dated, 'submission')}",
                "the ledger knows none of them: the hidden files of the course (.mograder*) were not copied",
                "stop the server and copy the old folder whole, hidden files too (cp -a, rsync -a); where they are "
                "lost, the work counts as put there by hand", str(self._folders.submitted),
                itemised=True,
            )  # fmt: skip
        if without:
            yield LeftOut(
                f"the links to the latest submissions of {counted(without, 'person', 'people')}",
                "they were not copied: the last version by its name counts", "mograder doctor --repair makes them",
                str(self._folders.submitted),
                itemised=True,
            )  # fmt: skip
        if texts:
            yield LeftOut(
                f"the links to the latest submissions of {counted(texts, 'person', 'people')}",
                "texts stand in their place: the version that each names counts",
                "mograder doctor --repair makes them links", str(self._folders.submitted),
                itemised=True,
            )  # fmt: skip

    # released files, grades and feedback, and other files

    def _handouts(self, snapshot: StatSnapshot) -> Iterator[LeftOut]:
        top = self._folders.release or self._folders.root
        for folder in _folders_in(top, snapshot):
            if files.is_inside(folder, self._folders.submitted):
                continue
            below = folder if self._folders.release else folder / "files"
            if below.is_dir():
                yield from _left_in(folder.name, below, snapshot)
            elif self._folders.release is None:
                yield from self._misplaced(folder, snapshot)
        if self._folders.release is None:
            yield from self._misplaced(top, snapshot)

    def _beside(self, snapshot: StatSnapshot) -> Iterator[LeftOut]:
        if (self._folders.root / MANIFEST).exists():
            snapshot.look(str(self._folders.root / MANIFEST))
        for folder in _folders_in(self._folders.grades, snapshot):
            yield from self._returned(folder, snapshot)
        if self._folders.submitted != self._folders.root:
            for folder in _folders_in(self._folders.root, snapshot):
                if folder != self._folders.submitted and (people := _people(folder, snapshot)):
                    yield LeftOut(
                        f"the work of {counted(len(people), 'person', 'people')} in {printable(folder.name)}/",
                        "it stands beside what students download, as the published server kept it",
                        f"mograder course adopt {self._folders.root} brings it over, with receipts", str(folder),
                    )  # fmt: skip

    def _misplaced(self, folder: Path, snapshot: StatSnapshot) -> Iterator[LeftOut]:
        """Files that are in an assignment's folder, but not in the subfolder from which students get files."""
        root = self._folders.root
        if (root / MANIFEST).exists():
            return
        names = [each for each in _names(folder, snapshot) if each.lower().endswith(HANDED_OUT)]
        found = [
            each for each in names
            if not each.startswith(".") and not version_owner(each)
            and (folder / each).is_file() and not (folder / each).is_symlink()
        ]  # fmt: skip
        if found and not _people(folder, snapshot):
            place = "hw1/files/" if folder == root else f"{folder.name}/files/"
            yield LeftOut(
                f"{some_of(found)} in {printable(folder.name)}/", f"students get only what is in {place}",
                f"move it into {place}", str(folder), expected=root.name != "release",
            )  # fmt: skip

    def _returned(self, folder: Path, snapshot: StatSnapshot) -> Iterator[LeftOut]:
        """Grades and feedback that nobody sees."""
        pages = folder / FEEDBACK
        odd = [name for name in _names(pages, snapshot) if not _is_page(name)]
        if odd:
            yield LeftOut(
                f"{some_of(odd)} in the feedback of {printable(folder.name)!r}", "a page is called USER.html",
                "rename it, or upload it with mograder https upload-feedback", str(pages),
            )  # fmt: skip
        if self._folders.release is None and self._folders.grades == self._folders.root:
            has_grades = (folder / GRADES).exists() or pages.is_dir()
            if has_grades and not (folder / "files").is_dir() and not (self._folders.root / MANIFEST).exists():
                yield LeftOut(
                    f"grades and feedback of {printable(folder.name)!r}", "there is no assignment of this name",
                    f"make {folder.name}/files/ again, or move them to the assignment's new folder", str(folder),
                )  # fmt: skip


def _left_in(assignment: str, folder: Path, snapshot: StatSnapshot) -> Iterator[LeftOut]:
    """What is in the folder of an assignment's files and not given to students."""
    try:
        AssignmentName.parse(assignment)
    except BadName as error:
        yield LeftOut(f"the folder {printable(assignment)!r}", error.message, "rename it", str(folder))
        return
    left, odd, listed = [], [], []
    for path in _below(folder, snapshot):
        name = path.relative_to(folder).as_posix()
        if is_left_behind(path.name) or path.name.startswith("."):
            left.append(name)
        elif _is_no_name(name) or (path.is_symlink() and files.real_path(str(folder), str(path)) is None):
            odd.append(name)
        elif path.is_file():
            listed.append(name)
    shown = printable(assignment)
    if left:
        yield LeftOut(
            f"{some_of(left)} in {shown!r}",
            "hidden files, and what editors, Python and marimo leave, are never handed out",
            "nothing to do; remove what is not needed", str(folder), expected=True,
        )  # fmt: skip
    if odd:
        yield LeftOut(
            f"{some_of(odd)} in {shown!r}", "a name that cannot be served, or a link that leads out of the folder",
            "rename it, or put the file itself there", str(folder),
        )  # fmt: skip
    zips = [name for name in listed if name.lower().endswith(".zip")]
    others = [name for name in listed if not name.lower().endswith(".zip")]
    if zips and others:
        yield LeftOut(
            f"{some_of(others)} in {shown!r}", f"where there is a zip, students are shown zips alone ({some_of(zips)})",
            "put the files into the zip, or take the zip out of the folder", str(folder),
        )  # fmt: skip


def _below(folder: Path, snapshot: StatSnapshot) -> Iterator[Path]:
    """Everything below a folder, except the contents of hidden folders and of those that tools leave."""
    for name in _names(folder, snapshot):
        path = folder / name
        yield path
        if path.is_dir() and not path.is_symlink() and not name.startswith(".") and not is_left_behind(name):
            yield from _below(path, snapshot)


def _is_no_name(name: str) -> bool:
    try:
        FileName.parse(name)
    except BadName:
        return True
    return False


def _is_page(name: str) -> bool:
    return name.startswith(".") or (name.endswith(".html") and owner(f"{name[:-5]}.py") is not None)


def _people(folder: Path, snapshot: StatSnapshot) -> dict[str, tuple[int, bool]]:
    """The people with dated versions in a folder: how many versions, and whether there is a latest file."""
    names = _names(folder, snapshot)
    there, found = set(names), dict[str, int]()
    for name in names:
        if user := owner(f"{version_owner(name)}.py"):
            found[user] = found.get(user, 0) + 1
    return {user: (versions, f"{user}.py" in there) for user, versions in found.items()}


def _folders_in(folder: Path, snapshot: StatSnapshot) -> list[Path]:
    return [
        folder / name for name in _names(folder, snapshot)
        if not name.startswith(".") and name != "files" and (folder / name).is_dir()
    ]  # fmt: skip


def _names(folder: Path, snapshot: StatSnapshot) -> list[str]:
    snapshot.look(str(folder))
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        snapshot.failed(error)
        return []
