"""The workers that `serve` starts: processes of low priority that grade what comes in.

Invariant: the process that serves never runs a submission or a source, and no source is among what it serves.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from mograder.cli.output import note
from mograder.client.files import sha256_of
from mograder.config import course_folder
from mograder.course_file import CONFIG_NAME, read_course_file
from mograder.domain.course import Course
from mograder.domain.errors import Usage

PAUSE_SECONDS = 5.0
"""Before a worker that has ended is started again."""


def refuse_served_sources(root: Path, course: Course) -> None:
    """Raises Usage when a notebook with solutions is among what students download."""
    source = _source(root)
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


def _source(root: Path) -> Path:
    home = course_folder(root)
    return home / (read_course_file(home / CONFIG_NAME).dirs.source or "source")


def _has_secrets(path: Path) -> bool:
    text = path.read_text(errors="replace").upper()
    return "BEGIN SOLUTION" in text or "BEGIN HIDDEN TESTS" in text


def _wanted(root: Path, wanted: int | None) -> int:
    return (1 if any(_source(root).glob("*/*.py")) else 0) if wanted is None else wanted


def grades_here(root: Path, wanted: int | None) -> bool:
    """Whether `grading` would grade what comes in."""
    return _wanted(root, wanted) > 0


@contextlib.contextmanager
def grading(root: Path, wanted: int | None, submitted: Path | None = None) -> Iterator[None]:
    """Grade what comes in, `wanted` at once, until the block ends; None means 1 where there are tests, else none.

    `submitted` is where submissions stand, if the server was told by a flag.
    """
    wanted = _wanted(root, wanted)
    if not wanted:
        yield
        return
    if said := _missing():
        note(f"nothing is graded as it comes in: {said}")
        yield
        return
    stop = threading.Event()
    command = [sys.executable, "-m", "mograder", "worker", str(root), "--jobs", str(wanted), "--child"]
    if submitted is not None:
        command += ["--submitted-dir", str(submitted)]
    keeper = threading.Thread(target=_keep, args=(command, stop), name="grading", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _missing() -> str:
    """Why nothing can be graded here, "" when it can."""
    from mograder.coursework.exams import extra_packages
    from mograder.domain.errors import MograderError

    try:
        with extra_packages():
            from mograder.grading.sandbox import find_sandbox
        find_sandbox()
    except MograderError as error:
        return error.message
    return ""


def _keep(command: list[str], stop: threading.Event) -> None:
    """Run the worker, and start it again when it ends before `stop` is set."""
    while not stop.is_set():
        worker = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 (our own command)
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
