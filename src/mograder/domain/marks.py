"""Marks: the one place where checks and what people give become points and totals.

Invariant: every mark that is shown or written anywhere was made by `mark`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mograder.domain.errors import BadRequest
from mograder.domain.results import CheckResult, CheckStatus, Outcome, RunReport

WHOLE = ""
"""The key of the one question of an assignment without `_marks`; a mark that is given under it replaces the total."""

WHOLE_POINTS = 100.0
"""What an assignment without `_marks` is out of, unless its `points` say otherwise."""

UNKNOWN_WEIGHT = 1.0
"""The weight of a check that did not run and does not say how much it weighs: that of one condition."""

DECIMALS = 6
"""Sums are rounded to these, so that ten times 0.1 is 1."""


@dataclass(frozen=True)
class Question:
    """A question and its points. `labels` are those of its checks; one without checks is marked by hand (`manual`)."""

    key: str
    points: float
    labels: tuple[str, ...] = ()
    manual: bool = False


@dataclass(frozen=True)
class Given:
    """What a person has given: points by the question's key (see WHOLE), and a comment.

    `manual` is one mark for all questions together that are marked by hand, where it is not known which got how much.
    """

    points: Mapping[str, float] = field(default_factory=dict)
    comment: str = ""
    manual: float | None = None


@dataclass(frozen=True)
class QuestionMark:
    """The mark of one question. `automatic` is what its checks earn, None where there is nothing to go by.

    `given` is what a person gave, which counts instead. `status` sums its checks up; None where it has none.
    """

    key: str
    available: float
    automatic: float | None = None
    given: float | None = None
    status: CheckStatus | None = None

    @property
    def points(self) -> float | None:
        """What counts; None where it is not known yet."""
        return self.automatic if self.given is None else self.given

    @property
    def by_checks(self) -> bool:
        """Whether checks mark it, and not a person alone."""
        return self.status is not None


@dataclass(frozen=True)
class Marks:
    """The marks of one submission.

    `automatic` is the sum of what checks earn, None where nothing is marked by checks, or grading failed for a reason
    of ours. `manual` is what was given for all questions together that are marked by hand, if it was. `total` is the
    mark, None as long as a part of it is missing. `waiting` are the keys of questions that have no points yet.
    """

    questions: tuple[QuestionMark, ...]
    available: float
    automatic: float | None
    total: float | None
    waiting: tuple[str, ...] = ()
    comment: str = ""
    manual: float | None = None

    @property
    def so_far(self) -> float:
        """The sum of the points that are known."""
        known = [each.points for each in self.questions if each.points is not None]
        return _sum(known if self.manual is None else [*known, self.manual])

    @property
    def possible_automatic(self) -> float:
        """What checks alone could earn."""
        return _sum(each.available for each in self.questions if each.by_checks)


NOTHING_GIVEN = Given()


def mark(questions: Sequence[Question], report: RunReport, given: Given = NOTHING_GIVEN) -> Marks:
    """The marks of a submission. Points of a question: available * earned weight / total weight, to one decimal.

    Weights are summed over all checks of the question, visible and hidden. A failure of ours gives no automatic points.
    Raises BadRequest for given points that no question takes.
    """
    _check_given(questions, given)
    marks = tuple(_question_mark(each, report, given) for each in questions)
    available = _sum(each.available for each in marks)
    by_checks = [each.automatic for each in marks if each.automatic is not None]
    waiting = tuple(each.key for each in marks if each.points is None and (each.by_checks or given.manual is None))
    marked = Marks(marks, available, _sum(by_checks) if by_checks else None, None, waiting, given.comment, given.manual)
    total = given.points.get(WHOLE)
    if total is not None:
        return replace(marked, total=total, waiting=())
    return marked if waiting else replace(marked, total=marked.so_far)


def whole(points: float | None = None) -> Question:
    """The one question of an assignment without `_marks`: a person marks it, out of `points`."""
    return Question(WHOLE, WHOLE_POINTS if points is None else points, manual=True)


def penalised(total: float, penalty: float) -> float:
    """`total` less a penalty in per cent of it, to two decimals, never below 0."""
    return max(0.0, round(total * (1 - penalty / 100), 2))


def in_words(points: float) -> str:
    """Points as people write them: 7, 7.5, 7.25."""
    return f"{points:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _question_mark(question: Question, report: RunReport, given: Given) -> QuestionMark:
    hand = given.points.get(question.key)
    if question.manual:
        return QuestionMark(question.key, question.points, given=hand)
    checks = _checks_of(question, report.checks)
    status = _status(checks)
    if report.outcome is Outcome.OUR_FAILURE:
        return QuestionMark(question.key, question.points, given=hand, status=CheckStatus.NOT_RUN)
    total = math.fsum(_weight(each) for each in checks)
    earned = min(total, math.fsum(max(0.0, each.earned_weight) for each in checks))
    return QuestionMark(question.key, question.points, _points(question.points, earned, total), hand, status)


def _points(available: float, earned: float, total: float) -> float:
    if earned <= 0 or total <= 0:
        return 0.0
    return available if earned == total else min(available, round(available * earned / total, 1))


def _checks_of(question: Question, checks: Iterable[CheckResult]) -> list[CheckResult]:
    """What came of the question's checks. One that is said to wait, and has run after all, does not wait.

    A check that the report does not know did not run.
    """
    found: dict[str, list[CheckResult]] = {label: [] for label in question.labels}
    for each in checks:
        if each.key == question.key or each.label in found:
            found.setdefault(each.label, []).append(each)
    kept = []
    for label, results in found.items():
        have_run = [each for each in results if each.total_weight > 0]
        missing = CheckResult(label, question.key, False, CheckStatus.NOT_RUN)
        kept += have_run or results[:1] or [missing]
    return kept


def _weight(check: CheckResult) -> float:
    return check.total_weight if check.total_weight > 0 else UNKNOWN_WEIGHT


def _status(checks: Sequence[CheckResult]) -> CheckStatus:
    kinds = {each.status for each in checks}
    if len(kinds) == 1:
        return kinds.pop()
    if kinds & {CheckStatus.SUCCESS, CheckStatus.PARTIAL}:
        return CheckStatus.PARTIAL
    return CheckStatus.DANGER if CheckStatus.DANGER in kinds else CheckStatus.NOT_RUN


def _check_given(questions: Sequence[Question], given: Given) -> None:
    known = {each.key for each in questions} | {WHOLE}
    given_points = dict(given.points) if given.manual is None else {**given.points, WHOLE: given.manual}
    for key, points in given_points.items():
        if key not in known:
            raise BadRequest(f"there is no question {key!r}: known are {', '.join(each.key for each in questions)}")
        if not math.isfinite(points):
            raise BadRequest(f"{points} is no mark: give a number of points for {key or 'the whole'}")


def _sum(points: Iterable[float]) -> float:
    return round(math.fsum(points), DECIMALS)
