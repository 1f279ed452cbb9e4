"""The workers that `serve` starts: processes of low priority that grade what comes in.

Invariant: the process that serves never runs a submission or a source, and no source is among what it serves.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field

from mograder.cli.output import note
from mograder.client.files import sha256_of
from mograder.config import has_tests, source_folder
from mograder.domain.course import Course
from mograder.domain.errors import MograderError, Usage

PAUSE_SECONDS = 5.0
"""Seconds before a worker that has ended is started again."""


def refuse_served_sources(root: Path, course: Course) -> None:
    """Raises Usage when a notebook with solutions is among what students download."""
    source = source_folder(root)
    notebooks = {sha256_of(path): path for path in source.glob("*/*.py") if path.is_file()}
    for assignment in course.release.for_students():
        for file in assignment.files:
            if file.sha256 in notebooks and _has_secrets(notebooks[file.sha256]):
                raise Usage(
                    f"{file.name} of {assignment.name} is the source with solutions and hidden tests, "
                    f"{notebooks[file.sha256]}, and students would download it: serve what 'mograder generate' makes"
                )
    for folder in root.glob("*/files"):
        if source.resolve().is_relative_to(folder.resolve()):
            raise Usage(f"{source} has solutions and hidden tests and is inside of what is served: move it")


def _has_secrets(path: Path) -> bool:
    text = path.read_text(errors="replace").upper()
    return "BEGIN SOLUTION" in text or "BEGIN HIDDEN TESTS" in text


class ToGrade(Struct, frozen=True):
    """What the workers of a server grade: the words for `mograder worker`, and whether there are tests now.

    `variables` go into its environment. A URL goes there, because it may hold a password, and others on the machine can
    read command lines.
    """

    words: tuple[str, ...]
    has_tests: Callable[[], bool]
    variables: Mapping[str, str] = field(default_factory=dict)
    look_seconds: float = 5.0
    """Seconds between two checks whether there are tests."""


def one_course(root: Path, submitted: Path | None = None) -> ToGrade:
    """The course served from `root`; `submitted` is the folder of submissions, if a flag of the server named it."""
    words = () if submitted is None else ("--submitted-dir", str(submitted))
    return ToGrade((str(root), *words), lambda: has_tests(root))


def many_courses(place: Path | str) -> ToGrade:
    """The courses of a folder, or of the database at a URL."""
    from mograder.factory import courses_have_tests, is_database

    def found() -> bool:
        return courses_have_tests(place)

    if is_database(place):
        return ToGrade((), found, {"MOGRADER_STORE": str(place)}, look_seconds=30.0)
    return ToGrade((str(place), "--courses"), found)


def grades_here(what: ToGrade, wanted: int | None) -> bool:
    """Whether `grading` would grade what comes in now."""
    return what.has_tests() if wanted is None else wanted > 0


@contextlib.contextmanager
def grading(what: ToGrade, wanted: int | None) -> Iterator[None]:
    """Grade what comes in, `wanted` at once, until the block ends; None means 1 once there are tests."""
    if wanted == 0:
        yield
        return
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(what, wanted, stop), name="grading", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _keep(what: ToGrade, wanted: int | None, stop: threading.Event) -> None:
    """Run the worker, and start it again when it ends before `stop` is set."""
    while wanted is None and not _has_tests(what):
        if stop.wait(what.look_seconds):
            return
    from mograder.coursework.preparation import what_grading_lacks

    if said := what_grading_lacks():
        note(f"nothing is graded as it comes in: {said}")
        return
    command = [sys.executable, "-m", "mograder", "worker", *what.words, "--jobs", str(wanted or 1), "--child"]
    while not stop.is_set():
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **what.variables})  # noqa: S603 (our own command)
        assert worker.stdin is not None
        while worker.poll() is None and not stop.wait(0.2):
            pass
        worker.stdin.close()  # it ends, as it does when this process dies
        try:
            code = worker.wait(30)
        except subprocess.TimeoutExpired:
            worker.kill()
            code = worker.wait()
        if not stop.is_set():
            note(f"the worker that grades has ended with {code}: it is started again")
            stop.wait(PAUSE_SECONDS)


def _has_tests(what: ToGrade) -> bool:
    """Whether there are tests now; also False while that cannot be found out, because the caller asks again."""
    with contextlib.suppress(MograderError, OSError):
        return what.has_tests()
    return False
