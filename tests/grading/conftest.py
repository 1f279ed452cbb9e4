"""One warm grader for all tests of a module: starting one costs seconds, grading with it milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mograder.domain.results import RunReport
from mograder.grading.environment import Environment, current_environment
from mograder.grading.limits import Limits, Tests
from mograder.grading.runner import Grader
from mograder.grading.sandbox import Sandbox, find_sandbox
from tests.grading.notebooks import SOURCE

Grade = Callable[[str], RunReport]
LIMITS = Limits(cell_seconds=1.5, total_seconds=20, memory_mb=512, calls=20_000)


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return find_sandbox()


@pytest.fixture(scope="session")
def environment() -> Environment:
    return current_environment()


@pytest.fixture(scope="module")
def grade(sandbox: Sandbox, environment: Environment) -> Iterator[Grade]:
    """Grades the text of a notebook against the source in notebooks.py."""
    with Grader(Tests(SOURCE, "hw1", limits=LIMITS), environment, sandbox, 1) as grader:
        yield lambda text: grader.grade(text.encode(), "hw1.py")
