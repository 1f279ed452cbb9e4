"""Marks: points of questions, totals, and manual marks."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mograder.domain.errors import BadRequest
from mograder.domain.marks import WHOLE, Given, Question, in_words, mark, penalised, whole
from mograder.domain.results import CheckResult, CheckStatus, Outcome, RunReport

WEIGHTS = st.floats(0, 1000, allow_nan=False)
SUCCESS, PARTIAL, DANGER, WARN, NOT_RUN = CheckStatus


def check(label: str, earned: float, total: float, *, hidden: bool = False) -> CheckResult:
    status = SUCCESS if earned == total else PARTIAL if earned else DANGER
    return CheckResult(label, label.partition(":")[0].strip(), hidden, status, (), earned, total)


def graded(*checks: CheckResult) -> RunReport:
    return RunReport(Outcome.GRADED, checks)


@st.composite
def results(draw: st.DrawFn, keys: tuple[str, ...] = ("Q1", "Q2", "Q3")) -> tuple[list[Question], RunReport]:
    questions, checks = [], []
    for key in keys:
        labels = [f"{key}: {at}" for at in range(draw(st.integers(1, 4)))]
        for label in labels:
            total = draw(WEIGHTS)
            checks.append(check(label, total * draw(st.floats(0, 1)), total, hidden=draw(st.booleans())))
        questions.append(Question(key, draw(st.integers(1, 100)) / 2, tuple(labels)))
    return questions, graded(*checks)


def test_points_are_the_earned_share_of_all_checks_of_the_question_rounded_to_one_decimal() -> None:
    questions = [Question("Q1", 10, ("Q1: value", "Q1: parity")), Question("Q2", 20, ("Q2: doubling", "Q2: more"))]
    marks = mark(questions, graded(
        check("Q1: value", 2, 3), check("Q1: parity", 0, 1), check("Q2: doubling", 1, 1),
        check("Q2: more", 1, 2, hidden=True),
    ))  # fmt: skip
    assert [each.points for each in marks.questions] == [5.0, 13.3]
    assert [each.status for each in marks.questions] == [PARTIAL, PARTIAL]
    assert (marks.automatic, marks.total, marks.available, marks.waiting) == (18.3, 18.3, 30, ())


@given(found=results(), seed=st.integers())
def test_the_order_of_the_checks_changes_nothing(found: tuple[list[Question], RunReport], seed: int) -> None:
    questions, report = found
    shuffled = list(report.checks)
    random.Random(seed).shuffle(shuffled)
    assert mark(questions, replace(report, checks=tuple(shuffled))) == mark(questions, report)


@given(found=results())
def test_points_are_between_zero_and_the_maximum_and_the_total_is_their_sum(
    found: tuple[list[Question], RunReport],
) -> None:
    questions, report = found
    marks = mark(questions, report)
    assert all(0 <= (each.points or 0) <= each.available for each in marks.questions)
    assert marks.total == marks.automatic == marks.so_far
    assert math.isclose(marks.total or 0, sum(each.points or 0 for each in marks.questions), abs_tol=1e-6)
    assert (marks.total or 0) <= marks.available == sum(each.points for each in questions)


@given(found=results(), place=st.integers(0, 100), more=st.floats(0, 1))
def test_a_check_that_earns_more_never_lowers_a_mark(
    found: tuple[list[Question], RunReport], place: int, more: float
) -> None:
    questions, report = found
    checks = list(report.checks)
    at = place % len(checks)
    better = min(checks[at].total_weight, checks[at].earned_weight + more * checks[at].total_weight)
    checks[at] = replace(checks[at], earned_weight=better)
    assert (mark(questions, graded(*checks)).total or 0) >= (mark(questions, report).total or 0)


@given(found=results())
def test_hidden_and_visible_checks_count_the_same(found: tuple[list[Question], RunReport]) -> None:
    questions, report = found
    seen = tuple(replace(each, hidden=not each.hidden) for each in report.checks)
    assert mark(questions, replace(report, checks=seen)) == mark(questions, report)


@given(points=st.floats(0.01, 1000), weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=5))
def test_passing_all_checks_gives_full_points(points: float, weights: list[float]) -> None:
    labels = tuple(f"Q1: {at}" for at in range(len(weights)))
    report = graded(*(check(label, weight, weight) for label, weight in zip(labels, weights, strict=True)))
    assert mark([Question("Q1", points, labels)], report).questions[0].points == points


def test_points_are_rounded_like_in_the_published_mograder() -> None:
    marks = mark(
        [Question("Q1", 5, ("Q1",)), Question("Q2", 0.5, ("Q2",))], graded(check("Q1", 1, 3), check("Q2", 1, 2))
    )
    assert [each.points for each in marks.questions] == [round(5 / 3, 1), round(0.25, 1)] == [1.7, 0.2]


def test_adding_tenths_gives_an_exact_total() -> None:
    keys = [str(at) for at in range(10)]
    marks = mark([Question(key, 0.1, (key,)) for key in keys], graded(*(check(key, 1, 1) for key in keys)))
    assert marks.total == marks.available == 1


def test_a_check_that_did_not_run_earns_nothing_and_has_its_own_weight_or_that_of_one_condition() -> None:
    question = Question("Q1", 10, ("Q1: a", "Q1: b"))
    ran = check("Q1: a", 3, 3)
    assert mark([question], graded(ran)).total == 7.5
    assert mark([question], graded(ran, CheckResult("Q1: b", "Q1", False, NOT_RUN))).total == 7.5
    assert mark([question], graded(ran, CheckResult("Q1: b", "Q1", True, NOT_RUN, (), 0, 2))).total == 6
    assert mark([question], graded(ran)).questions[0].status is PARTIAL


def test_a_waiting_check_is_ignored_once_it_has_run() -> None:
    """`mo.stop(x is None, check("Q1", []))` before `check("Q1", [...])`: both are called when nothing is missing."""
    waiting = CheckResult("Q1", "Q1", False, WARN)
    question = Question("Q1", 10, ("Q1",))
    assert mark([question], graded(waiting, check("Q1", 2, 2))).total == 10
    assert mark([question], graded(waiting)).total == 0
    assert mark([question], graded(waiting)).questions[0].status is WARN


def test_a_label_that_is_checked_twice_counts_twice() -> None:
    assert mark([Question("Q1", 10, ("Q1",))], graded(check("Q1", 1, 1), check("Q1", 0, 1))).total == 5


def test_without_a_mark_for_every_manual_question_there_is_no_total() -> None:
    questions = [Question("Q1", 10, ("Q1",)), Question("Q3", 5, manual=True)]
    report = graded(check("Q1", 1, 1))
    marks = mark(questions, report)
    assert (marks.total, marks.automatic, marks.so_far, marks.waiting) == (None, 10, 10, ("Q3",))
    assert (marks.available, marks.possible_automatic) == (15, 10)
    marks = mark(questions, report, Given({"Q3": 4.25}, "well done"))
    assert (marks.total, marks.automatic, marks.waiting, marks.comment) == (14.25, 10, (), "well done")


def test_points_given_by_a_person_replace_those_of_the_checks() -> None:
    questions = [Question("Q1", 10, ("Q1",)), Question("Q2", 10, ("Q2",))]
    marks = mark(questions, graded(check("Q1", 0, 1), check("Q2", 1, 1)), Given({"Q1": 7}))
    assert (marks.total, marks.automatic) == (17, 10)
    assert mark(questions, graded(), Given({WHOLE: 3})).total == 3


def test_one_mark_for_all_manual_questions_is_enough() -> None:
    questions = [Question("Q1", 10, ("Q1",)), Question("Q3", 5, manual=True), Question("Q4", 5, manual=True)]
    marks = mark(questions, graded(check("Q1", 1, 1)), Given(manual=6))
    assert (marks.total, marks.waiting) == (16, ())


def test_a_failure_of_the_grader_is_never_zero_and_can_be_marked_by_hand() -> None:
    questions = [Question("Q1", 10, ("Q1",)), Question("Q3", 5, manual=True)]
    failed = RunReport(Outcome.OUR_FAILURE, error="no sandbox")
    marks = mark(questions, failed, Given({"Q3": 5}))
    assert (marks.total, marks.automatic, marks.waiting) == (None, None, ("Q1",))
    assert mark(questions, failed, Given({"Q1": 8, "Q3": 5})).total == 13


@pytest.mark.parametrize("outcome", [Outcome.CODE_FAILED, Outcome.LIMIT])
def test_code_that_cannot_run_earns_zero_points(outcome: Outcome) -> None:
    assert mark([Question("Q1", 10, ("Q1",))], RunReport(outcome)).total == 0


def test_an_assignment_without_marks_is_marked_as_a_whole_out_of_its_points_or_100() -> None:
    assert (whole().points, whole(20).points) == (100, 20)
    report = graded(check("Q1", 1, 1))
    marks = mark([whole()], report)
    assert (marks.automatic, marks.total, marks.waiting) == (None, None, (WHOLE,))
    assert mark([whole()], report, Given({WHOLE: 77.5})).total == 77.5


def test_points_for_an_unknown_question_and_invalid_numbers_are_refused() -> None:
    questions = [Question("Q1", 10, ("Q1",))]
    with pytest.raises(BadRequest, match="no question 'Q9': known are Q1"):
        mark(questions, graded(), Given({"Q9": 1}))
    for bad in (Given({"Q1": math.nan}), Given(manual=math.inf)):
        with pytest.raises(BadRequest, match="is no mark"):
            mark(questions, graded(), bad)


@given(total=st.floats(0, 1000), one=st.floats(0, 100), other=st.floats(0, 100))
def test_a_larger_penalty_never_gives_more_points(total: float, one: float, other: float) -> None:
    assert penalised(total, max(one, other)) <= penalised(total, min(one, other))
    assert penalised(total, 100) == 0
    assert penalised(20, 15) == 17


def test_points_are_written_without_trailing_zeros() -> None:
    assert [in_words(each) for each in (7, 7.5, 7.25, 0, 100, 13.3)] == ["7", "7.5", "7.25", "0", "100", "13.3"]
