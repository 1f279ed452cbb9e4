"""Correct answers in every style earn full points; wrong answers do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mograder.domain.results import Outcome, RunReport
from mograder.grading.environment import Environment
from mograder.grading.limits import Limits, Tests
from mograder.grading.runner import Grader
from mograder.grading.sandbox import Sandbox
from tests.grading.conftest import Grade
from tests.grading.honest import QUESTIONS, SOURCE, Question, answered
from tests.grading.notebooks import check_of, earned

ROUNDS = max(len(question.right) for question in QUESTIONS)
RIGHT = [(question, place) for question in QUESTIONS for place in range(len(question.right))]


@pytest.fixture(scope="module")
def grade(sandbox: Sandbox, environment: Environment) -> Iterator[Grade]:
    limits = Limits(cell_seconds=10, total_seconds=60)
    with Grader(Tests(SOURCE, "hw1", limits=limits), environment, sandbox, 1) as grader:
        yield lambda text: grader.grade(text.encode(), "hw1.py")


def test_the_model_answers_get_full_points(grade: Grade) -> None:
    report = grade(SOURCE)
    assert {check.key: check.messages for check in report.checks if check.earned_weight < check.total_weight} == {}
    assert len(report.checks) == len(QUESTIONS)
    assert report.outcome is Outcome.GRADED, report


def test_only_comparisons_of_classes_defined_by_the_student_are_unprotected(grade: Grade) -> None:
    report = grade(answered({}))
    assert {c.key for c in report.checks if c.unprotected} == {q.key for q in QUESTIONS if q.unprotected}


def test_the_order_of_cells_does_not_matter(grade: Grade) -> None:
    report = grade(answered({}, backwards=True))
    assert set(earned(report).values()) == {1.0}, report


@pytest.fixture(scope="module")
def other_styles(grade: Grade) -> list[RunReport]:
    """Submissions with the first, second, … other correct answer to every question that has one."""
    return [
        grade(answered({each.key: each.right[place] for each in QUESTIONS if place < len(each.right)}))
        for place in range(ROUNDS)
    ]


@pytest.fixture(scope="module")
def half_wrong(grade: Grade) -> list[RunReport]:
    """Two submissions in which every second answer is wrong: those at even positions, and those at odd ones."""
    return [grade(answered({each.key: each.wrong[0] for each in QUESTIONS[half::2]})) for half in (0, 1)]


@pytest.mark.parametrize(("question", "place"), RIGHT, ids=lambda value: getattr(value, "key", value))
def test_other_correct_answers_get_full_points(other_styles: list[RunReport], question: Question, place: int) -> None:
    check = check_of(other_styles[place], question.key)
    assert check.earned_weight == check.total_weight, (check, other_styles[place].failures)


@pytest.mark.parametrize("half", [0, 1])
def test_wrong_answers_earn_less_and_do_not_affect_other_questions(half_wrong: list[RunReport], half: int) -> None:
    report = half_wrong[half]
    assert report.outcome is not Outcome.OUR_FAILURE
    right = {key for key, share in earned(report).items() if share == 1}
    assert right == {each.key for each in QUESTIONS[1 - half :: 2]}, report
