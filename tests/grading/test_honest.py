"""Honest work of every kind earns what it should, whatever its style; wrong work does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mograder.domain.results import Outcome
from mograder.grading.environment import Environment
from mograder.grading.runner import Grader, Limits, Tests
from mograder.grading.sandbox import Sandbox
from tests.grading.conftest import Grade
from tests.grading.honest import QUESTIONS, SOURCE, Question, answered
from tests.grading.notebooks import check_of, earned

RIGHT = [(question, answer) for question in QUESTIONS for answer in question.right]
WRONG = [(question, answer) for question in QUESTIONS for answer in question.wrong]


@pytest.fixture(scope="module")
def grade(sandbox: Sandbox, environment: Environment) -> Iterator[Grade]:
    limits = Limits(cell_seconds=10, total_seconds=60)
    with Grader(Tests(SOURCE, "hw1", limits=limits), environment, sandbox, 1) as grader:
        yield lambda text: grader.grade(text.encode(), "hw1.py")


def test_the_model_earns_everything(grade: Grade) -> None:
    report = grade(SOURCE)
    assert {check.key: check.messages for check in report.checks if check.earned_weight < check.total_weight} == {}
    assert len(report.checks) == len(QUESTIONS)
    assert report.outcome is Outcome.GRADED, report


def test_only_comparisons_of_a_class_of_the_students_are_unprotected(grade: Grade) -> None:
    report = grade(answered({}))
    assert {c.key for c in report.checks if c.unprotected} == {q.key for q in QUESTIONS if q.unprotected}


def test_the_order_of_cells_does_not_matter(grade: Grade) -> None:
    report = grade(answered({}, backwards=True))
    assert set(earned(report).values()) == {1.0}, report


@pytest.mark.parametrize(("question", "answer"), RIGHT, ids=lambda value: getattr(value, "key", "answer"))
def test_another_right_answer_earns_everything(grade: Grade, question: Question, answer: str) -> None:
    report = grade(answered({question.key: answer}))
    check = check_of(report, question.key)
    assert check.earned_weight == check.total_weight, (check, report.failures)
    assert set(earned(report).values()) == {1.0}


@pytest.mark.parametrize(("question", "answer"), WRONG, ids=lambda value: getattr(value, "key", "answer"))
def test_a_wrong_answer_earns_less_and_costs_no_other_question(grade: Grade, question: Question, answer: str) -> None:
    report = grade(answered({question.key: answer}))
    check = check_of(report, question.key)
    assert check.earned_weight < check.total_weight
    assert {key for key, share in earned(report).items() if share < 1} == {question.key}, report
