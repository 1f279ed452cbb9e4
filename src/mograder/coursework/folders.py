"""A course folder for grading: sources, submissions, results, marks, and the key that signs records."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from mograder import course_file
from mograder.client.files import read_foreign_json, sha256_of
from mograder.course_file import CONFIG_NAME, CourseFile
from mograder.domain import deadlines
from mograder.domain.assignments import LatePolicy, Rules
from mograder.domain.course import Course
from mograder.domain.deadlines import IN_TIME, Lateness
from mograder.domain.errors import BadName, MograderError, NotFound, Unreadable, Usage
from mograder.domain.marking import GivenMark, Kind
from mograder.domain.names import AssignmentName, Username, is_history, parse_owner
from mograder.domain.receipts import owner
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.keys import read_secret
from mograder.store.folder.layout import LEDGER, SIGNING_KEY, grading_folders
from mograder.store.shared.files import make_once


class ToGrade(Struct, frozen=True):
    """A submission to grade. `received` is in Unix microseconds and `receipt` a number; None if unknown."""

    user: Username
    path: Path
    received: int | None = None
    receipt: int | None = None
    lateness: Lateness = IN_TIME


class GradingFolders(Struct, frozen=True):
    """The folders of a course; `[dirs]` of its mograder.toml may rename each."""

    course: Path
    source: Path
    submitted: Path
    autograded: Path
    feedback: Path
    marks: Path
    file: CourseFile

    @classmethod
    def of(cls, course: Path) -> GradingFolders:
        """The folders of the course in `course`. Raises Unreadable if its mograder.toml cannot be read."""
        file = course_file.read_course_file(course / CONFIG_NAME)
        submitted = course / (file.dirs.submitted or "submitted")
        return cls(course=course, file=file, submitted=submitted, **grading_folders(course))

    def rules(self, assignment: str) -> Rules:
        """The assignment's settings in mograder.toml."""
        return self.file.plan().rules_of(AssignmentName(assignment))

    def late_policy(self, assignment: str) -> LatePolicy:
        """The rules for late submissions of the assignment."""
        return self.file.plan().late_policy(AssignmentName(assignment))

    def find_source(self, assignment: str) -> Path:
        """The notebook with solutions: source/<a>/<a>.py, else the only .py there. Raises NotFound."""
        folder = self.source / assignment
        usual = folder / f"{assignment}.py"
        if usual.is_file():
            return usual
        found = sorted(folder.glob("*.py"))
        if len(found) == 1:
            return found[0]
        raise NotFound(f"there is no source of {assignment!r}: put it at {usual}, or name it with --source")

    def record(self, assignment: str, user: str) -> Path:
        return self.autograded / assignment / f"{user}.json"

    def assignments(self) -> list[str]:
        """Names of the assignments that have a source and submissions, sorted."""
        with contextlib.suppress(OSError):
            return sorted(
                each.name for each in self.source.iterdir()
                if each.is_dir() and not each.name.startswith(".") and (self.submitted / each.name).is_dir()
            )  # fmt: skip
        return []

    # submissions

    def submissions(self, assignment: str) -> list[ToGrade]:
        """One submission of each student, sorted by user name: the one that counts if there is a ledger, else USER.py.

        Raises MograderError.
        """
        folder = self.submitted / assignment
        if not folder.is_dir():
            raise NotFound(f"nobody has submitted {assignment!r}: there is no folder {folder}")
        if self.ledger is not None:
            return list(self._by_ledger(assignment, folder))
        collected = _collected(folder)
        found = []
        for path in sorted(folder.glob("*.py")):
            user = owner(path.name)
            if user is not None and path.is_file():
                found.append(self._by_hand(user, path, assignment, collected.get(user, {})))
        others = _other_kinds(folder, collected)
        found += [self._by_hand(user, path, assignment, collected[user]) for user, path in others]
        return sorted(found, key=lambda each: each.user)

    def last_due(self, assignment: str) -> int | None:
        """The latest deadline of any student, in Unix microseconds, with extensions; None without a deadline."""
        due = self.rules(assignment).schedule.due
        if due is None or self.ledger is None:
            return due
        with self._opened() as course:
            given = course.store.extensions.find(AssignmentName(assignment))
        return max([due, *(each.until for each in given if each.until is not None)])

    def marked_in_browser(self, assignment: str) -> int:
        """How many people have marks that were given on the course's pages, which no table in marks/ has."""
        if self.ledger is None:
            return 0
        with self._opened() as course:
            given = course.store.marking.current(AssignmentName(assignment), (Kind.MARK,))
        return len({each.username for each in given if GivenMark.read(each).says_something})

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Course]:
        from mograder.factory import open_existing

        course = open_existing(self.course, submitted_dir=self.submitted)
        try:
            yield course
        finally:
            course.store.close()

    def _by_hand(self, user: Username, path: Path, assignment: str, told: dict[str, Any]) -> ToGrade:
        """`told` is what the server said when the submission was collected: only the server knows the extensions."""
        received = told.get("received", told.get("timemodified"))
        if not isinstance(received, int | float) or told.get("sha256") != sha256_of(path):
            return ToGrade(user, path)
        moment = round(received * deadlines.SECOND)
        if "received" in told:
            penalty, words = float(told.get("penalty", 0)), str(told.get("explanation", ""))
            return ToGrade(user, path, moment, lateness=Lateness(1 if words else 0, penalty, words))
        due = self.rules(assignment).schedule.due
        return ToGrade(user, path, moment, lateness=self.late_policy(assignment).lateness(due, moment))

    def _by_ledger(self, assignment: str, folder: Path) -> Iterator[ToGrade]:
        from mograder.domain.access import COURSE_INSTRUCTOR

        with self._opened() as course:
            found = course.submissions.collect(course.release.assignment(COURSE_INSTRUCTOR, assignment), None)
        for each in found:
            path = folder / each.file.filename
            if each.assessed is None:
                yield ToGrade(each.file.username, path)
            else:
                kept = each.assessed.receipt
                yield ToGrade(
                    each.file.username, path, kept.submission.received, kept.number, each.assessed.lateness
                )  # fmt: skip

    @property
    def served(self) -> Path:
        """The folder to pass to `serve`: release/ if it has a ledger, else the course."""
        return self.course / "release" if (self.course / "release" / LEDGER).exists() else self.course

    @property
    def ledger(self) -> Path | None:
        found = self.served / LEDGER
        return found if found.exists() else None

    # the key

    def signer(self) -> tuple[Ed25519Signer, bool]:
        """The signer of records, and whether its key is the course's and not this machine's. Raises Unreadable.

        Makes a key for this machine if the course and the machine have none.
        """
        own = self.served / SIGNING_KEY
        if own.exists():
            return _read_key(own), True
        path = Path(click.get_app_dir("mograder"), "grading-key.pem")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_once(path, new_private_key)
        return _read_key(path), False


def _read_key(path: Path) -> Ed25519Signer:
    try:
        return Ed25519Signer(read_secret(path).encode() + b"\n")
    except ValueError as error:
        raise Unreadable("the key that signs records cannot be read", f"{path}: {error}") from None


def _collected(folder: Path) -> dict[str, dict[str, Any]]:
    """What `fetch-submissions` noted about the submissions in a folder, by user."""
    with contextlib.suppress(OSError, ValueError):
        noted = read_foreign_json(folder / ".mograder" / "collected.json")
        if isinstance(noted, dict):
            return {user: each for user, each in noted.items() if isinstance(each, dict)}
    return {}


def _other_kinds(folder: Path, collected: Iterable[str]) -> Iterator[tuple[Username, Path]]:
    """Collected submissions that are no .py files. They cannot run; they are listed so that their students are told."""
    for name in collected:
        with contextlib.suppress(BadName):
            user = parse_owner(name)
            paths = [path for path in folder.glob(f"{glob.escape(user)}.*") if path.stem == user and path.is_file()]
            if len(paths) == 1 and paths[0].suffix != ".py":
                yield user, paths[0]


def course_around(path: Path) -> Path:
    """The course folder of a file or folder: the nearest parent with a source/ or mograder.toml, else the working
    folder.
    """
    for each in path.resolve().parents:
        if (each / CONFIG_NAME).is_file() or (each / "source").is_dir():
            return each
    return Path.cwd()


class Chosen(Struct, frozen=True):
    """An assignment and those of its submissions that a command names."""

    folders: GradingFolders
    assignment: str
    submissions: tuple[ToGrade, ...]


def choose(words: tuple[str, ...], working: Path) -> list[Chosen]:
    """The submissions that the words of a command name: assignments, or paths of submissions. No words: all of them.

    Raises Usage and MograderError.
    """
    folders = GradingFolders.of(working)
    if not words:
        words = tuple(folders.assignments())
        if not words:
            raise Usage(f"there is nothing to grade: no assignment with a source in {folders.source} and submissions")
    chosen: dict[tuple[Path, str], Chosen] = {}
    for word in words:
        if "/" not in word and "\\" not in word and not word.endswith(".py"):
            name = _assignment(word)
            new = Chosen(folders, name, tuple(folders.submissions(name)))
        else:
            new = _of_path(Path(word))
        key = (new.folders.course, new.assignment)
        held = chosen.get(key)
        more = tuple(each for each in new.submissions if held is None or each not in held.submissions)
        chosen[key] = Chosen(new.folders, new.assignment, (held.submissions if held else ()) + more)
    return list(chosen.values())


def _assignment(word: str) -> AssignmentName:
    try:
        return AssignmentName.parse(word)
    except BadName as error:
        raise Usage(error.message) from None


def _of_path(path: Path) -> Chosen:
    """A submission by its path (submitted/<assignment>/<user>.py, or a dated version), or by its record's path."""
    if not path.is_file():
        raise Usage(f"{path} is no file: name submissions, or assignments without '/' and '.py'")
    folders = GradingFolders.of(course_around(path))
    assignment = path.resolve().parent.name
    stem = path.stem.rpartition("_")[0] if is_history(path.stem) else path.stem
    try:
        user = Username.parse(stem)
    except BadName as error:
        raise Usage(f"{path}: {error.message}") from None
    with contextlib.suppress(MograderError):
        for each in folders.submissions(assignment):
            if each.path.resolve() == path.resolve() or (path.suffix == ".json" and each.user == user):
                return Chosen(folders, assignment, (each,))
    return Chosen(folders, assignment, (ToGrade(user, path),))
