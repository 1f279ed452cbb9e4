"""Marks: computes points and totals from the results of checks and from what people gave.

Invariant: every mark that is shown or written anywhere comes from `mark`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mograder.domain.errors import BadRequest
from mograder.domain.results import CheckResult, CheckStatus, Outcome, RunReport

WHOLE = ""
"""The key of the only question of an assignment without `_marks`; points given under it replace the total."""

WHOLE_POINTS = 100.0
"""The points of an assignment without `_marks`, unless its rules give `points`."""

UNKNOWN_WEIGHT = 1.0
"""The weight of a check that did not run and whose weight is unknown: that of one condition."""

DECIMALS = 6
"""Decimals to which sums are rounded, so that ten times 0.1 is 1."""


@dataclass(frozen=True)
class Question:
    """A question and its points. `labels` are those of its checks; people mark a question without checks (`manual`)."""

    key: str
    points: float
    labels: tuple[str, ...] = ()
    manual: bool = False


@dataclass(frozen=True)
class Given:
    """What a person gave: points by the question's key (see WHOLE), and a comment.

    `manual` is the sum of all manual questions, if their single points are not known.
    """

    points: Mapping[str, float] = field(default_factory=dict)
    comment: str = ""
    manual: float | None = None


@dataclass(frozen=True)
class QuestionMark:
    """The mark of one question. `automatic` are the points from its checks, None if there is no result.

    `given` are points from a person, which count instead. `status` summarises its checks, None without checks.
    """

    key: str
    available: float
    automatic: float | None = None
    given: float | None = None
    status: CheckStatus | None = None

    @property
    def points(self) -> float | None:
        """The points that count, None if not known yet."""
        return self.automatic if self.given is None else self.given

    @property
    def by_checks(self) -> bool:
        """Whether it has checks."""
        return self.status is not None


@dataclass(frozen=True)
class Marks:
    """The marks of one submission.

    `automatic` is the sum of points from checks, None if there are no checks or the grader itself failed. `manual` is
    the sum that a person gave for all manual questions, if so. `total` is the mark, None while a part of it is missing.
    `waiting` are the keys of questions without points.
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
        """The sum of the known points."""
        known = [each.points for each in self.questions if each.points is not None]
        return _sum(known if self.manual is None else [*known, self.manual])

    @property
    def possible_automatic(self) -> float:
        """The points that checks can give at most."""
        return _sum(each.available for each in self.questions if each.by_checks)


NOTHING_GIVEN = Given()


def mark(questions: Sequence[Question], report: RunReport, given: Given = NOTHING_GIVEN) -> Marks:
    """The marks of a submission. Points of a question: available * earned weight / total weight, to one decimal.

    Weights are summed over all checks of the question, visible and hidden. There are no automatic points if the grader
    itself failed. Raises BadRequest for points given to an unknown question.
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
    """The only question of an assignment without `_marks`, which a person marks out of `points`."""
    return Question(WHOLE, WHOLE_POINTS if points is None else points, manual=True)


def penalised(total: float, penalty: float) -> float:
    """`total` minus `penalty` per cent of it, to two decimals, and never below 0."""
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
    """The results of the question's checks. Of several results of one check, those of runs count.

    A check that is not in the report did not run.
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
