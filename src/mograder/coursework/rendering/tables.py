"""The tables of grading, as CSV: results in the published columns, every check, grades to upload, marks by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mograder.domain.deadlines import IN_TIME, Lateness
from mograder.domain.disclosure import limit_in_words
from mograder.domain.errors import BadRequest
from mograder.domain.grading_record import GradingRecord
from mograder.domain.marks import WHOLE, Given, Marks, Question, in_words
from mograder.domain.results import CheckStatus, Outcome
from mograder.tables.cells import neutralise, restore
from mograder.tables.sheet import read_sheet

_PUBLISHED = {CheckStatus.SUCCESS: "PASS", CheckStatus.PARTIAL: "PARTIAL", CheckStatus.DANGER: "FAIL"}
DID_NOT_RUN = "---"
EXPORT_FAILED = "EXPORT_FAILED"


def results_table(records: Sequence[GradingRecord]) -> str:
    """One row for each submission, in the columns of the published `autograde --csv`."""
    keys = list(dict.fromkeys(key for each in records for key in _keys(each)))
    marked = any(each.marks.automatic is not None for each in records)
    rows = []
    for each in records:
        status = _statuses(each)
        failed = each.report.outcome is Outcome.OUR_FAILURE
        shown = [EXPORT_FAILED if failed else status.get(key, DID_NOT_RUN) for key in keys]
        mark = [_points(each.marks.automatic)] if marked else []
        changed = "; ".join(each.report.changed_cells)
        rows.append([each.username, *shown, str(len(each.report.failures)), _error(each), *mark, changed])
    header = ["notebook", *keys, "cell_errors", "export_error", *(["auto_mark"] if marked else []), "tampered"]
    return _table(header, rows)


def checks_table(records: Iterable[GradingRecord]) -> str:
    """One row for each check of each submission."""
    header = ["student", "question", "check", "hidden", "status", "earned", "total", "messages", "unprotected"]
    rows = [
        [
            record.username, each.key, each.label, str(each.hidden).lower(), each.status.value,
            f"{each.earned_weight:g}", f"{each.total_weight:g}", "; ".join(each.messages),
            str(each.unprotected).lower(),
        ]
        for record in records for each in record.report.checks
    ]  # fmt: skip
    return _table(header, rows)


@dataclass(frozen=True)
class Grade:
    """One student's grade. `penalised` is the mark after the penalty for late work, None if there is no penalty."""

    user: str
    marks: Marks
    lateness: Lateness = IN_TIME
    penalised: float | None = None


def grades_table(grades: Sequence[Grade]) -> str:
    """One row for each student, in the columns of the published `feedback --grades-csv`, which `upload-grades` reads.

    The mark is empty while a question has no mark.
    """
    marked = any(each.marks.automatic is not None for each in grades)
    late = any(each.penalised is not None for each in grades)
    header = ["student", "mark", *(["auto_mark"] if marked else []), "feedback"]
    rows = []
    for each in grades:
        row = [each.user, _points(each.marks.total), *([_points(each.marks.automatic)] if marked else [])]
        row.append(each.marks.comment)
        if late:
            shown = each.penalised if each.penalised is not None else each.marks.total
            row += [f"{each.lateness.penalty:g}", _points(shown)]
        rows.append(row)
    return _table([*header, *(["penalty_pct", "penalised_mark"] if late else [])], rows)


# marks by hand

STUDENT, COMMENT, MANUAL, TOTAL = "student", "feedback", "manual", "mark"


def marks_table(questions: Sequence[Question], given: Mapping[str, Given]) -> str:
    """The table to fill in: a row for each student, a column for each question marked by hand, and one for comments.

    It has columns for other questions, for `manual` (all questions by hand together) and for `mark` (the whole) if
    they have marks. Raises BadRequest for a question that has the name of one of these columns.
    """
    reserved = {STUDENT, COMMENT, MANUAL, TOTAL}
    if taken := [each.key for each in questions if each.key.lower() in reserved]:
        raise BadRequest(f"the question {taken[0]!r} has the name of a column of the marks table: rename it in _marks")
    filled = {key for each in given.values() for key in each.points}
    keys = [each.key for each in questions if each.key != WHOLE and (each.manual or each.key in filled)]
    whole = WHOLE in filled or any(each.key == WHOLE for each in questions)
    together = any(each.manual is not None for each in given.values())
    header = [STUDENT, *keys, *([MANUAL] if together else []), *([TOTAL] if whole else []), COMMENT]
    rows = []
    for user, each in given.items():
        row = [user, *(_points(each.points.get(key)) for key in keys)]
        row += [_points(each.manual)] if together else []
        row += [_points(each.points.get(WHOLE))] if whole else []
        rows.append([*row, each.comment])
    return _table(header, rows)


def read_marks(text: str, questions: Sequence[Question]) -> dict[str, Given]:
    """The marks in a table that `marks_table` wrote and a person filled in, by student.

    Raises BadRequest with the line and the column that are wrong.
    """
    sheet = read_sheet(text.encode(), "marks.csv")
    sheet.refuse_duplicate_columns()
    columns = [each.strip() for each in sheet.columns]
    by_lower = {each.lower(): each for each in columns}
    known = {each.key: each.key for each in questions if each.key != WHOLE} | {TOTAL: WHOLE}
    columns_of = {name: by_lower.get(name, "") for name in (STUDENT, COMMENT, MANUAL, TOTAL)}
    if not columns_of[STUDENT]:
        raise BadRequest(f"the table of marks has no column {STUDENT!r}, found {', '.join(columns)}")
    for column in columns:
        if column not in known and column.lower() not in columns_of:
            raise BadRequest(f"the table of marks has a column {column!r}: no question has this name")
    found: dict[str, Given] = {}
    for place, row in ((each.place, dict(zip(columns, each.cells, strict=True))) for each in sheet.rows):
        user = row[columns_of[STUDENT]].strip()
        if user in found:
            raise BadRequest(f"{place}: {user!r} is in the table twice: delete one of the rows")
        points = {}
        for column in columns:
            key = known.get(column, known.get(column.lower()) if column.lower() == TOTAL else None)
            if key is not None and row[column].strip():
                points[key] = _number(row[column], place, column)
        together = row.get(columns_of[MANUAL], "")
        manual = _number(together, place, MANUAL) if together.strip() else None
        found[user] = Given(points, restore(row.get(columns_of[COMMENT], "").strip()), manual)
    return found


def _number(text: str, place: str, column: str) -> float:
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9:
        raise BadRequest(f"{place}: {text.strip()!r} in the column {column!r} is no number of points")
    return value


# parts


def _keys(record: GradingRecord) -> list[str]:
    keys = [each.key for each in record.questions if not each.manual]
    return [*keys, *dict.fromkeys(each.key for each in record.report.checks if each.key not in keys)]


def _statuses(record: GradingRecord) -> dict[str, str]:
    """The published mograder's word for each key. A question's word is that of all its checks together."""
    of_checks: dict[str, set[str]] = {}
    for check in record.report.checks:
        of_checks.setdefault(check.key, set()).add(_PUBLISHED.get(check.status, DID_NOT_RUN))
    found = {key: words.pop() if len(words) == 1 else _mixed(words) for key, words in of_checks.items()}
    for each in record.marks.questions:
        if each.status is not None:
            found[each.key] = _PUBLISHED.get(each.status, DID_NOT_RUN)
    return found


def _mixed(words: set[str]) -> str:
    return "PARTIAL" if words & {"PASS", "PARTIAL"} else "FAIL"


def _error(record: GradingRecord) -> str:
    report = record.report
    if report.outcome is Outcome.OUR_FAILURE:
        return report.error or "grading failed"
    return "; ".join([
        *(limit_in_words(each) for each in report.limits),
        *(f"{each.cell}: {each.error}" for each in report.failures),
    ])  # fmt: skip


def _points(points: float | None) -> str:
    return "" if points is None else in_words(points)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """CSV in which no cell is a formula to a spreadsheet: some texts are students' error messages."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([cell if cell == DID_NOT_RUN else neutralise(cell) for cell in row] for row in (header, *rows))
    return out.getvalue()
