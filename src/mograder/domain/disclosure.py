"""Which parts of a result its student may see.

Invariant: of a hidden test, a student sees at most its title and result, and only when the assignment says so.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from mograder.domain.grading_record import GradingRecord
from mograder.domain.marks import Marks
from mograder.domain.names import counted
from mograder.domain.results import CellFailure, CheckResult, CheckStatus, LimitReached, Outcome, RunReport


@dataclass(frozen=True)
class ShownQuestion:
    """A question as it is shown. `concealed`: some checks are not shown; `given`: a person has given the points."""

    key: str
    available: float
    points: float | None
    given: bool
    status: CheckStatus | None
    checks: tuple[CheckResult, ...]
    concealed: bool = False


@dataclass(frozen=True)
class ShownResult:
    """A result as it is shown to a person. `other_checks` belong to no question with points.

    `changed_cells` and `flaky` are empty for students, who see only how many cells were changed. `summary` is one
    sentence.
    """

    assignment: str
    username: str
    summary: str
    outcome: Outcome
    marks: Marks
    questions: tuple[ShownQuestion, ...]
    other_checks: tuple[CheckResult, ...]
    failures: tuple[CellFailure, ...]
    limits: tuple[LimitReached, ...]
    changed: int
    changed_cells: tuple[str, ...]
    isolated: bool
    flaky: tuple[str, ...] = ()

    @property
    def is_unprotected(self) -> bool:
        """Whether a check relies on a comparison that one of the student's classes defines."""
        return any(check.unprotected for each in self.questions for check in each.checks) or any(
            check.unprotected for check in self.other_checks
        )


def for_instructor(record: GradingRecord, marks: Marks) -> ShownResult:
    """The whole result."""
    shown = _shown(record, marks, record.report, frozenset(), record.report.changed_cells)
    return replace(shown, flaky=record.report.flaky)


_OURS = (CheckStatus.NOT_RUN, CheckStatus.WARN)
"""The statuses of checks that did not run: their messages all come from the grader."""

ENDED = "your code ended the program while this check ran"
"""The grader's message for a check that ended so."""


def guarded(report: RunReport, known: Collection[str]) -> RunReport:
    """The report, with messages that are safe to show to students if there are hidden tests.

    A submission sees the inputs of a hidden test, and could reveal them in an error, or in a value that the message of
    another check shows. So a student gets only messages that are `known` (written out in the released notebook), and
    of an error only its type and line.
    """
    if not any(each.hidden for each in report.checks):
        return report
    ours = {*known, ENDED, *(each.detail for each in report.limits)}
    checks = (
        each
        if each.hidden or each.status in _OURS
        else replace(each, told=tuple(_told(text, ours) for text in each.messages))
        for each in report.checks
    )
    return replace(report, checks=tuple(checks))


def _told(message: str, known: Collection[str]) -> str:
    if message in known:
        return message
    kind, line = re.match(r"(\w+):? ?", message), re.search(r" \(your line \d{1,5}\)$", message)
    error = getattr(builtins, kind[1], None) if kind else None
    what = error.__name__ if isinstance(error, type) and issubclass(error, BaseException) else "it does not hold"
    return f"{what}{line[0] if line else ''}"


def for_student(record: GradingRecord, marks: Marks, show_hidden: bool) -> ShownResult:
    """What the student may see; of hidden tests, title and result if `show_hidden`, else nothing."""
    secret = {each.label for each in record.report.checks if each.hidden}
    checks = tuple(map(_as_told, record.report.checks))
    kept = tuple(each for each in checks if show_hidden or not each.hidden)
    keys = {each.label: each.key for each in checks if each.hidden}
    report = replace(
        record.report,
        checks=kept,
        failures=tuple(each for each in record.report.failures if each.cell not in secret),
        limits=tuple(_without_secrets(each, keys) for each in record.report.limits),
        error="",
    )
    concealed = frozenset() if show_hidden else frozenset(keys.values())
    return _shown(record, marks, report, concealed, ())


def _as_told(check: CheckResult) -> CheckResult:
    if check.hidden:
        return replace(check, messages=(), told=None)
    return check if check.told is None else replace(check, messages=check.told, told=None)


def _without_secrets(limit: LimitReached, keys: dict[str, str]) -> LimitReached:
    """The limit; one that a hidden test has reached is shown as one of its question."""
    return LimitReached(limit.what, keys[limit.where]) if limit.where in keys else limit


def _shown(
    record: GradingRecord, marks: Marks, report: RunReport, concealed: Collection[str], changed_cells: tuple[str, ...]
) -> ShownResult:
    questions = tuple(
        ShownQuestion(
            each.key, each.available, each.points, each.given is not None, each.status,
            tuple(check for check in report.checks if check.key == each.key), each.key in concealed,
        )
        for each in marks.questions
    )  # fmt: skip
    keys = {each.key for each in questions}
    return ShownResult(
        record.assignment, record.username, summary(report), report.outcome, marks, questions,
        tuple(each for each in report.checks if each.key not in keys), report.failures, report.limits,
        len(record.report.changed_cells), changed_cells, report.isolated,
    )  # fmt: skip


def summary(report: RunReport) -> str:
    """The outcome of a grading in one sentence, for students."""
    if report.outcome is Outcome.OUR_FAILURE:
        return "this could not be graded, for a reason that is not yours: your instructor is told"
    if report.outcome is Outcome.CODE_FAILED:
        return _failed(report.failures)
    if report.outcome is Outcome.LIMIT:
        first = limit_in_words(report.limits[0]) if report.limits else "a limit was reached"
        more = f" (and {len(report.limits) - 1} more)" if len(report.limits) > 1 else ""
        return f"{first}{more} (the rest was graded)"
    passed = sum(each.status is CheckStatus.SUCCESS for each in report.checks)
    return f"graded: {passed} of {counted(len(report.checks), 'check')} passed" if report.checks else "graded"


def _failed(failures: tuple[CellFailure, ...]) -> str:
    if not failures:
        return "the notebook could not be run"
    first = failures[0]
    if _is_file(first.cell):
        return f"{where_in_words(first.cell, first.line)} cannot be read: {first.error}"
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return f"{where_in_words(first.cell, first.line)} failed: {first.error}{more}; what depends on it was not graded"


def _is_file(where: str) -> bool:
    return where.endswith((".py", ".ipynb", ".zip"))


def where_in_words(where: str, line: int | None) -> str:
    """A cell (its name, or "line 12" if it has none), a file or a question in words, with the line in it."""
    found = where
    if where in ("", "_"):
        found = "a cell"
    elif where.startswith("line "):
        found = f"the cell in {where}"
    return found if line is None or where == f"line {line}" else f"{found}, line {line},"


_LIMITS = {
    "time": "took too long", "memory": "needed too much memory", "output": "printed too much",
    "processes": "started too many processes", "calls": "called too often", "size": "made a value that is too large",
}  # fmt: skip


def limit_in_words(limit: LimitReached) -> str:
    """Which cell or question reached which limit."""
    what = limit.detail or _LIMITS.get(limit.what, f"reached the limit of {limit.what}")
    return f"{where_in_words(limit.where or 'it', limit.line)} {what}"
