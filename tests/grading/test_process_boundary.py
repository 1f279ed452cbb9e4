"""What a submission can do across the process boundary: to objects and cells of the tests, and to its report."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mograder.domain.disclosure import guarded
from mograder.domain.results import CheckStatus, Outcome
from mograder.grading.environment import Environment
from mograder.grading.limits import Tests
from mograder.grading.runner import Grader
from mograder.grading.sandbox import Sandbox
from tests.grading.conftest import LIMITS, Grade
from tests.grading.notebooks import check_of, earned, hidden, notebook, solution, submission

MARKS = '_marks = {"move": 5, "norm": 5, "graph": 5, "curve": 5, "next": 5}\ngrader = Grader(_marks)'
POINT = """
class Point:
    def __init__(self, x):
        self.x = x
        self.label = None
    def norm(self):
        return abs(self.x)
"""
ANSWERS = {
    "move": "def move(point):\n    point.x = point.x + 1",
    "norm": "def norm(point):\n    return point.norm()",
    "graph": "def graph(point):\n    return point.x",
    "curve": "def curve(x):\n    return x + 1",
    "next": "def following(x):\n    return x + 1",
}
CHECKS = (
    '_p = Point(3)\nmove(_p)\ngrader.check("move: one", [(_p.x == 4, "moved")])',
    '_p = Point(-3)\ngrader.check("norm: of a point", [(norm(_p) == _p.norm(), "the norm")])',
    '_p = Point(-3)\ngrader.check("graph: of a point", [(graph(_p) == _p.x, "its place")])',
    "points = [curve(each) for each in range(5)]",
    'grader.check("curve: points", [(points[1] == 2, "one point")])',
    hidden('grader.check("next: hidden", [(following(1) == 2, "next")])'),
)
SOURCE = notebook(MARKS, POINT, *map(solution, ANSWERS.values()), *CHECKS)


@pytest.fixture(scope="module")
def grade_answers(sandbox: Sandbox, environment: Environment) -> Iterator[Grade]:
    with Grader(Tests(SOURCE, "hw1", limits=LIMITS), environment, sandbox, 1) as grader:
        yield lambda text: grader.grade(text.encode(), "hw1.py")


def answers(**replaced: str) -> str:
    return notebook(MARKS, POINT, *(ANSWERS | replaced).values())


FORGED = {
    "a method of its class": ("norm", "def norm(point):\n    point.__class__.norm = _seven\n    return 7\ndef _seven(*all):\n    return 7"),
    "a method": ("norm", "def norm(point):\n    point.norm = _seven\n    return 7\ndef _seven(*all):\n    return 7"),
    "what the model leaves alone": ("norm", "def norm(point):\n    point.x = 0\n    return 0"),
    "what the answer is compared with": ("graph", "def graph(point):\n    point.x = 0\n    return 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_an_answer_cannot_change_objects_of_the_tests_to_pass(grade_answers: Grade, name: str) -> None:
    question, code = FORGED[name]
    assert earned(grade_answers(answers(**{question: code}))) == dict.fromkeys(ANSWERS, 1.0) | {question: 0.0}


def test_an_answer_may_set_attributes_of_objects_that_it_is_given(grade_answers: Grade) -> None:
    code = (
        "def graph(point):\n    point.seen = False\n    point.seen = True\n    return point.x if point.seen else None"
    )
    assert earned(grade_answers(answers(graph=code))) == dict.fromkeys(ANSWERS, 1.0)


IN_AN_INSTRUCTORS_CELL = {
    "ends its process": "os._exit(0)",
    "ends all processes": "os.kill(-1, 9)\n    os._exit(0)",
    "closes the connection": "os.closerange(3, 99)",
    "writes on the connection": "[os.write(each, b'x' * 64) for each in range(3, 9) if os.path.exists(f'/proc/self/fd/{each}')]",
    "does not return": "[None for _ in iter(int, 1)]",
    "blocks": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n    time.sleep(60)",
}  # fmt: skip


@pytest.mark.parametrize("name", IN_AN_INSTRUCTORS_CELL)
def test_an_answer_that_breaks_a_cell_of_the_instructor_loses_the_checks_that_need_the_cell(
    grade_answers: Grade, name: str
) -> None:
    code = f"import os, signal, time\ndef curve(x):\n    {IN_AN_INSTRUCTORS_CELL[name]}\n    return x + 1"
    report = grade_answers(answers(curve=code))
    assert report.outcome is not Outcome.OUR_FAILURE, report.error
    assert earned(report) == dict.fromkeys(ANSWERS, 1.0) | {"curve": 0.0}
    assert check_of(report, "curve").status is CheckStatus.NOT_RUN
    assert check_of(report, "curve").messages[0].startswith("`points` is not there: your code")


SEEN = """
def mean(values):
    import builtins
    builtins.seen = [*values, *getattr(builtins, "seen", [])]
    return sum(values) / len(values)
"""
TELL = """
def is_even(number):
    import builtins, sys
    said = {said}
    sys.modules["inside.peer"].Peer._described = lambda *all: said
    raise ValueError
"""
SAID = {
    "of a size": '{"limit": "size", "text": f"secret {builtins.seen}"}',
    "of a time": '{"limit": "time", "text": f"secret {builtins.seen}"}',
    "of an error": '{"kinds": [["builtins", "ValueError"]], "text": f"secret {builtins.seen}"}',
    "of memory": '{"kinds": [["builtins", "MemoryError"]], "text": f"secret {builtins.seen}", "line": 8525}',
    "of a line": '{"kinds": [["builtins", "ValueError"]], "text": "", "line": int(8525)}',
}


@pytest.mark.parametrize("name", SAID)
def test_an_answer_that_saw_a_hidden_test_cannot_tell_its_student_about_it(grade: Grade, name: str) -> None:
    report = guarded(grade(submission({"mean": SEEN, "even": TELL.format(said=SAID[name])})), ())
    shown = [*report.limits, *report.failures, check_of(report, "even").told]
    assert check_of(report, "even").status is CheckStatus.DANGER
    assert "secret" not in str(shown)
    assert "8525" not in str(shown)
