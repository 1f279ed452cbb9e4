"""Prepares an assignment for grading: reads its source, finds or builds its environment, and tries the sandbox."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict, replace

from mograder.client.files import read_foreign, sha256_of
from mograder.coursework.autograding import Prepared, Runs, Show
from mograder.coursework.folders import GradingFolders
from mograder.coursework.notebook_in_zip import graded_notebook
from mograder.domain.errors import MograderError, Unreadable, Usage
from mograder.domain.grading_jobs import Readiness
from mograder.domain.grading_record import Tested
from mograder.domain.grading_rules import GradingRules
from mograder.domain.marks import Question, whole
from mograder.domain.results import RunReport, better_of
from mograder.notebook.cells import read_text
from mograder.notebook.release import make_release
from mograder.notebook.source import Source

if TYPE_CHECKING:
    from mograder.grading.environment import Environment


class Wishes(Struct, frozen=True):
    """A command's options for grading, which come on top of the course's settings.

    `limits` override those of the assignment, `jobs` is how many submissions run at once. With `twice`, each submission
    runs twice, and a difference between the runs costs the student nothing. `locked` has the lock that is kept for the
    assignment, None for none. `environment` is an environment that is ready; None finds or builds one.
    """

    limits: Mapping[str, float]
    jobs: int
    sandboxed: bool = True
    twice: bool = False
    locked: Readiness | None = None
    environment: Environment | None = None


class Twice(Struct, frozen=True):
    """Runs each submission twice (see `better_of`)."""

    runs: Runs

    def grade(self, submission: bytes, filename: str, show: Show | None = None) -> RunReport:
        return better_of(self.runs.grade(submission, filename, show), self.runs.grade(submission, filename))


class NeededEnvironment:
    """The environment that the notebook `text` requires. `locked` has the lock that is kept for it, if there is one.

    Raises Usage if the packages that grading needs are missing, and BadBlock for requirements that are not understood.
    """

    def __init__(self, text: str, locked: Readiness | None) -> None:
        with extra_packages():
            from mograder.grading.environment import wanted_by
        self._wanted = wanted_by(text)
        self._lock = locked.lock if locked is not None and locked.wanted == self._wanted.key else ""

    def find(self) -> Environment | None:
        """The environment, or None if it is not built yet."""
        from mograder.grading.environment import existing_environment

        return existing_environment(self._wanted, environments(), self._lock)

    def build(self) -> Environment:
        """The environment; builds it, or waits while another process builds it. Raises EnvironmentFailed."""
        from mograder.grading.environment import environment_for

        return environment_for(self._wanted, environments(), self._lock)


@contextlib.contextmanager
def prepare_assignment(
    folders: GradingFolders, assignment: str, source: Path | None, wishes: Wishes
) -> Iterator[Prepared]:
    """The assignment, ready to be graded until the block ends. `source` is its notebook; None finds it.

    Raises Usage if packages are missing, and MograderError if the source, the environment or the sandbox fails.
    """
    with extra_packages():
        from mograder.grading.environment import wanted_by
        from mograder.grading.limits import Limits, Tests, data_files
        from mograder.grading.runner import Grader
        from mograder.grading.sandbox import find_sandbox
    path = source or folders.find_source(assignment)
    text = source_text(path)
    rules = folders.file.grading_rules(assignment)
    limits = replace(Limits(), **{**rules.limits, **wishes.limits})
    tests = Tests(text, assignment, data_files(path.parent, path.name), rules.isolate, limits)
    with _naming(path):
        questions = questions_of(tests.source, folders.rules(assignment).points)
    sandbox = find_sandbox() if wishes.sandboxed else None
    environment = wishes.environment or NeededEnvironment(text, wishes.locked).build()
    files = {each.name: sha256_of(each.path) for each in tests.files}
    expected = folders.rules(assignment).expects
    notebook = graded_notebook(expected, path.name)
    digest = _digest(sha256_of(path), files, replace(rules, limits=asdict(limits)), notebook if expected else "")
    how = "" if sandbox is None else "bubblewrap"
    tested = Tested(digest, sha256_of(path), environment.digest, asdict(limits), how)
    title = folders.rules(assignment).title or assignment
    with Grader(tests, environment, sandbox, wishes.jobs) as grader:
        runs = Twice(grader) if wishes.twice else grader
        yield Prepared(
            assignment, title, questions, tested, runs, known_texts(tests.source), notebook, bool(expected),
            wanted_by(text).key, environment.lock,
        )  # fmt: skip


def questions_of(source: Source, points: float | None) -> tuple[Question, ...]:
    """The questions that have points. A source without marks is one question with `points` points."""
    if not source.has_marks:
        return (whole(points),)
    return tuple(Question(each.key, each.points, each.labels, each.manual) for each in source.questions)


def known_texts(source: Source) -> frozenset[str]:
    """The strings in the release's code. Students have them, so they are not secret."""
    tree = ast.parse(make_release(source).text)
    found = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(each for each in found if isinstance(each, str))


def environments() -> Path:
    """The folder in the user's cache that keeps the built environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "mograder", "environments")


@contextlib.contextmanager
def extra_packages() -> Iterator[None]:
    """Turns an ImportError in the block into Usage: the packages for grading are not installed."""
    try:
        yield
    except ImportError as error:
        raise Usage(f"grading needs more packages: pip install '.[grading]' in a checkout ({error})") from None


def what_grading_lacks() -> str:
    """Why submissions cannot be graded on this machine and what to do about it; "" if they can be graded."""
    try:
        with extra_packages():
            from mograder.grading import runner  # noqa: F401 (imports every package that grading needs)
            from mograder.grading.sandbox import find_sandbox
        find_sandbox()
    except MograderError as error:
        return error.message
    return ""


def source_text(path: Path) -> str:
    """The text of a source notebook. Raises Usage with the path if it cannot be read."""
    try:
        content = read_foreign(path)
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}") from None
    with _naming(path):
        return read_text(content)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Puts the source's path in front of the message of a MograderError, and raises it as Usage."""
    try:
        yield
    except Unreadable:
        raise
    except MograderError as error:
        raise Usage(f"{path}: {error.message}") from None


def _digest(source: str, files: Mapping[str, str], rules: GradingRules, notebook: str) -> str:
    """The SHA-256 of everything that decides a result. Settings that only decide what students see are left out."""
    decisive = {"source": source, "files": files, "isolate": rules.isolate, "limits": rules.limits}
    decisive |= {"notebook": notebook} if notebook else {}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
