"""Adopts the submissions of a course that another server kept beside what students download.

Such a server keeps hw1/alice_20260310T200800.py, and the link hw1/alice.py to the latest, in the served folder. Grades
(hw1/grades.json) and feedback (hw1/feedback/) are already where this program reads them.

Invariant: each version gets its receipt and its place among the submissions before the original is moved into the
hidden folder KEPT. Files that are not understood stay where they are and are reported. Safe to repeat.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.deadlines import microseconds
from mograder.domain.errors import MograderError
from mograder.domain.names import HISTORY_STEM, INSTRUCTOR, AssignmentName, Username, printable
from mograder.domain.receipts import USUAL_ENDING, NewSubmission, issue_receipt, latest_filename, owner, version_owner
from mograder.store.folder.layout import FEEDBACK, GRADES, Folders, named_version
from mograder.store.shared import files
from mograder.store.shared.files import storage_errors

KEPT = ".adopted"
"""The subfolder of the served folder to which adopted originals are moved."""


@dataclass(frozen=True)
class Adopted:
    """How many submissions of how many people were adopted, and how many grade tables and feedback pages there are.

    `left` names each file that stays where it is, with the reason.
    """

    submissions: int
    people: int
    grades: int
    feedback: int
    left: tuple[str, ...]


@dataclass(frozen=True)
class _Version:
    path: Path
    user: Username
    moment: int
    sha256: str


def adopt(course: Course, folders: Folders, now: int, say: Callable[[str], None]) -> Adopted:
    """Adopt the submissions beside the released files. `now` is in Unix microseconds.

    A receipt says that an instructor submitted the file at `now`, and that it was received at the time in its name.
    """
    left: list[str] = []
    brought = grades = feedback = 0
    people: set[str] = set()
    for assignment in course.store.release.assignments():
        folder = folders.root / assignment.name
        if not folder.is_dir() or files.is_inside(folder, folders.submitted):
            continue
        grades += (folder / GRADES).is_file()
        feedback += len(list((folder / FEEDBACK).glob("*.html")))
        for user, versions in _understood(folder, left):
            for each in versions:
                brought += _bring(course, assignment.name, each, now)
            _move_aside(folders.root / KEPT / assignment.name, folder, user, versions)
            people.add(user)
            say(f"{assignment.name}/{user}: {len(versions)}")
    if brought:
        course.audit.record(Event(now, INSTRUCTOR, "adopt", f"{brought} submissions"))
    return Adopted(brought, len(people), grades, feedback, tuple(left))


def _understood(folder: Path, left: list[str]) -> Iterable[tuple[Username, list[_Version]]]:
    """The people whose files in a folder are understood, with their versions in order. Adds the others to `left`."""
    names = sorted(os.listdir(folder))
    dated: dict[Username, list[str]] = {}
    for name in names:
        user = owner(f"{version_owner(name)}.py")
        if user is not None:
            dated.setdefault(user, []).append(name)
        elif not name.startswith(".") and name not in ("files", FEEDBACK, GRADES) and owner(name) is None:
            left.append(f"{printable(f'{folder.name}/{name}')}: not the name of a submission")
    alone = {owner(name) for name in names} - {None, *dated}
    left += [f"{folder.name}/{user}.py: no dated version stands beside it" for user in sorted(filter(None, alone))]
    for user, found_names in sorted(dated.items()):
        try:
            versions = sorted(map(_version, [folder / each for each in found_names]), key=lambda each: each.path.name)
        except (OSError, ValueError) as error:
            left.append(f"{folder.name}/{user}: {error}")
            continue
        if why := _contradiction(folder / latest_filename(user), versions):
            left.append(f"{folder.name}/{user}: {why}")
        else:
            yield user, versions


def _version(path: Path) -> _Version:
    """Raises OSError, and ValueError for an empty file, a link or folder, and a name with an impossible time."""
    dated = HISTORY_STEM.fullmatch(path.stem)
    user = owner(f"{dated['user']}.py") if dated else None
    if dated is None or user is None or path.is_symlink() or not path.is_file():
        raise ValueError(f"{path.name} is no file of its own")
    if not path.stat().st_size:
        raise ValueError(f"{path.name} is empty")
    moment = microseconds(datetime.strptime(dated["stamp"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC))
    return _Version(path, user, moment, files.sha256_of(path))


def _contradiction(latest: Path, versions: list[_Version]) -> str:
    """How the latest file contradicts the last version; "" if they agree or there is no latest file."""
    last = versions[-1]
    if latest.is_symlink():
        target = os.readlink(latest)
        return "" if target == last.path.name else f"{latest.name} points to {target!r}, and {last.path.name} is later"
    if not latest.exists() or named_version(str(latest)) == last.path.name:
        return ""
    same = files.sha256_of(latest) == last.sha256
    return "" if same else f"{latest.name} was changed by hand, and {last.path.name} is not it"


def _bring(course: Course, assignment: AssignmentName, version: _Version, now: int) -> int:
    """Accept one version unless it has been accepted; returns how many were accepted."""
    for each in course.store.submissions.receipts(assignment, version.user):
        if (each.submission.sha256, each.submission.received) == (version.sha256, version.moment):
            return 0
    found = course.store.release.find(assignment)
    due = found.rules.schedule.due if found else None
    upload = course.submissions.upload()
    try:
        with storage_errors("read the submission"), version.path.open("rb") as source:
            while piece := source.read(1024 * 1024):
                upload.write(piece)
        upload.finish()
        if upload.sha256 != version.sha256:
            raise MograderError(f"{version.path} changes while it is read: stop what writes it, and try again")
        late = course.submissions.late_policy(assignment).lateness(due, version.moment).late
        name = "" if version.path.suffix == USUAL_ENDING else version.path.name
        new = NewSubmission(version.user, assignment, INSTRUCTOR, version.moment, upload, late, due, now, name)
        accepted = course.store.submissions.accept(new, issue_receipt(new, course.signer, course.name)).result()
    finally:
        upload.discard()
    return not accepted.repeated


def _move_aside(kept: Path, folder: Path, user: Username, versions: list[_Version]) -> None:
    with storage_errors("move the originals aside"):
        kept.mkdir(parents=True, exist_ok=True)
        for path in (*(each.path for each in versions), folder / latest_filename(user)):
            if os.path.lexists(path):
                path.replace(kept / path.name)
        files.sync_folder(folder)
        files.sync_folder(kept)
