"""Reads the gradebook.db of a course of the published mograder, recomputes its marks, and says which differ and why.

It does not change the gradebook.
"""

from __future__ import annotations

import ast
import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from mograder.domain.errors import Unreadable, Usage
from mograder.domain.grading_record import GradingRecord
from mograder.domain.marks import WHOLE, Given, Marks, Question, in_words, mark, whole
from mograder.domain.results import CheckResult, CheckStatus, Outcome, RunReport
from mograder.notebook.marks import key_of

NAME = "gradebook.db"
CLOSE = 0.005
"""Marks that differ by no more points than this are taken as equal."""

_STATUS = {
    "success": CheckStatus.SUCCESS, "partial": CheckStatus.PARTIAL, "danger": CheckStatus.DANGER,
    "warn": CheckStatus.WARN, "PASS": CheckStatus.SUCCESS, "PARTIAL": CheckStatus.PARTIAL, "FAIL": CheckStatus.DANGER,
}  # fmt: skip


class Row(Struct, frozen=True):
    """A submission's row in the gradebook; None for an empty cell. Marks are in points, the penalty in per cent."""

    assignment: str
    student: str
    auto: float | None
    manual: float | None
    total: float | None
    feedback: str
    checks: tuple[CheckResult, ...]
    penalty: float | None
    penalised: float | None


class Gradebook(Struct, frozen=True):
    """A gradebook: the questions of each assignment (one question if it is marked as a whole), and all submissions."""

    questions: Mapping[str, tuple[Question, ...]]
    rows: tuple[Row, ...]


class Difference(Struct, frozen=True):
    """A wrong mark. `ours` is the right one, None if it cannot be computed; `why` is the reason."""

    assignment: str
    student: str
    what: str
    theirs: float | None
    ours: float | None
    why: str


def read_gradebook(path: Path) -> Gradebook:
    """The gradebook at `path`. Raises Usage if there is no such file, and Unreadable if it is no gradebook."""
    if not path.is_file():
        raise Usage(f"there is no {path.name} in {path.parent}: name the folder of a course of the published mograder")
    try:
        # Read-only: it may be in use, and in a folder that cannot be written.
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            assignments = connection.execute("SELECT * FROM assignments").fetchall()
            rows = connection.execute("SELECT * FROM submissions ORDER BY assignment, student").fetchall()
        questions = {str(each["name"]): _questions(dict(each)) for each in assignments}
        found = tuple(_row(dict(each)) for each in rows)
    except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{path.name} cannot be understood", f"{path}: {error}") from None
    return Gradebook(questions, found)


def _questions(row: dict[str, Any]) -> tuple[Question, ...]:
    marks = json.loads(row["marks_metadata"]) if row["marks_metadata"] else None
    if not marks:
        return (whole(float(row["max_mark"])),)
    by_checks = set(json.loads(row["auto_check_keys"] or "[]"))
    return tuple(Question(str(key), float(points), (), key not in by_checks) for key, points in marks.items())


def _row(row: dict[str, Any]) -> Row:
    checks = tuple(
        _check(str(each["label"]), str(each["status"]), None, bool(each.get("hidden")))
        for each in json.loads(row["check_results"] or "[]")
    )
    numbers = (_number(row.get(name)) for name in ("auto_mark", "manual_mark", "total_mark"))
    auto, manual, total = numbers
    return Row(
        str(row["assignment"]), str(row["student"]), auto, manual, total, str(row["feedback"] or ""), checks,
        _number(row.get("penalty_pct")), _number(row.get("penalised_mark")),
    )  # fmt: skip


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _check(label: str, status: str, weights: tuple[float, float] | None, hidden: bool = False) -> CheckResult:
    """A check. Without weights it has weight 1 and earns all of it or nothing, by its status."""
    found = _STATUS.get(status, CheckStatus.NOT_RUN)
    passed = (1.0 if found is CheckStatus.SUCCESS else 0.0, 0.0 if found is CheckStatus.WARN else 1.0)
    earned, total = weights or passed
    return CheckResult(label, key_of(label), hidden, found, (), earned, total)


# recomputing


def given_of(row: Row, questions: Sequence[Question]) -> Given:
    """The mark by hand in the gradebook, which has one for all questions together."""
    by_hand = [each for each in questions if each.manual]
    if row.manual is None:
        return Given(comment=row.feedback)
    if len(by_hand) == 1:
        return Given({by_hand[0].key: row.manual}, row.feedback)
    return Given({}, row.feedback, row.manual)


def compare(
    book: Gradebook,
    course: Path,
    records: Mapping[tuple[str, str], GradingRecord],
    labels: Mapping[str, frozenset[str]],
) -> Iterator[Difference]:
    """Every mark of the gradebook that differs from the one computed from its checks and manual marks, and why.

    `records` are gradings of ours, by assignment and user; a record replaces the gradebook's checks. `labels` are the
    labels of the checks in each assignment's source, if it is there. `course` is searched for grading copies that the
    published mograder wrote.
    """
    for row in book.rows:
        questions = book.questions.get(row.assignment, (whole(),))
        record = records.get((row.assignment, row.student))
        if record is not None:
            marks = mark(record.questions, record.report, _fitting(given_of(row, questions), record.questions))
            yield from _compared(row, marks, record.report.checks, "graded anew, ")
            continue
        checks = _copied_checks(course / "autograded" / row.assignment / f"{row.student}.py") or row.checks
        questions = tuple(
            replace(each, labels=tuple(check.label for check in checks if check.key == each.key)) for each in questions
        )
        marks = mark(questions, RunReport(Outcome.GRADED, checks), given_of(row, questions))
        lost = labels.get(row.assignment, frozenset()) - {each.label for each in checks}
        if lost and any(not each.manual for each in questions):
            names = ", ".join(sorted(lost))
            why = f"the published program kept no result of {names}: run mograder autograde {row.assignment}, then this"
            yield Difference(row.assignment, row.student, "auto_mark", row.auto, None, why)
            marks = replace(marks, automatic=None, total=None)
        yield from _compared(row, marks, checks, "")


def _fitting(given: Given, questions: Sequence[Question]) -> Given:
    """`given` with the points of questions that the newer source does not have moved to `manual`."""
    known = {each.key for each in questions} | {WHOLE}
    lost = sum(points for key, points in given.points.items() if key not in known)
    if not lost:
        return given
    return replace(given, points={key: each for key, each in given.points.items() if key in known}, manual=lost)


def _compared(row: Row, marks: Marks, checks: Sequence[CheckResult], how: str) -> Iterator[Difference]:
    here = (row.assignment, row.student)
    if marks.automatic is not None and _differ(row.auto, marks.automatic):
        yield Difference(*here, "auto_mark", row.auto, marks.automatic, how + _points_in_words(marks, checks))
    known_auto = marks.automatic if marks.automatic is not None else row.auto
    total = marks.total
    if total is None and row.manual is not None:
        total = (known_auto or 0.0) + row.manual
    if row.total is not None and _differ(row.total, total):
        stated = (row.auto or 0.0) + (row.manual or 0.0)
        why = "it is not auto_mark + manual_mark" if _differ(row.total, stated) else "its auto_mark differs"
        yield Difference(*here, "total_mark", row.total, total, why)
    if row.penalised is not None and row.total is not None:
        due = max(0.0, row.total * (1 - (row.penalty or 0.0) / 100))
        if _differ(row.penalised, due, 0.051):
            why = f"{in_words(row.penalty or 0.0)} % of {in_words(row.total)} taken off"
            yield Difference(*here, "penalised_mark", row.penalised, round(due, 2), why)


def _differ(theirs: float | None, ours: float | None, close: float = CLOSE) -> bool:
    if theirs is None or ours is None:
        return theirs is not ours
    return abs(theirs - ours) > close


def _points_in_words(marks: Marks, checks: Sequence[CheckResult]) -> str:
    """The points of each question and the weights of its checks: Q1 2.5 of 10 (Q1: value 1/3, Q1: parity 0/1)."""
    parts = []
    for each in marks.questions:
        if each.automatic is not None:
            own = [check for check in checks if check.key == each.key]
            weights = ", ".join(f"{check.label} {check.earned_weight:g}/{check.total_weight:g}" for check in own)
            points = f"{in_words(each.automatic)} of {in_words(each.available)}"
            parts.append(f"{each.key} {points} ({weights or 'did not run'})")
    return "; ".join(parts)


def _copied_checks(path: Path) -> tuple[CheckResult, ...]:
    """The results and weights of checks in a grading copy that the published mograder wrote; empty without a copy."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "_mograder_checks" for target in node.targets
        ):
            with contextlib.suppress(ValueError, TypeError, IndexError):
                rows = ast.literal_eval(node.value)
                return tuple(
                    _check(str(each[0]), str(each[1]), (float(each[2]), float(each[3]))) for each in rows
                )  # fmt: skip
    return ()
