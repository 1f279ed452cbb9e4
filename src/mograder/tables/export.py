"""Grades as the tables that other systems read. Invariant: a missing grade is an empty cell, never 0."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from typing import Self

from msgspec import Struct

from mograder.domain.errors import BadRequest
from mograder.domain.grades import AGAIN, BASED_ON
from mograder.domain.marks import in_words
from mograder.domain.names import counted
from mograder.tables.cells import EXCUSED, as_number, neutralise
from mograder.tables.headers import Labels
from mograder.tables.people import Kind, Member
from mograder.tables.workbook import write_workbook


class ExportFormat(StrEnum):
    """The system whose table is written."""

    CANVAS = "canvas"
    MOODLE = "moodle"
    MOODLE_WORKSHEET = "moodle-worksheet"
    GRADESCOPE = "gradescope"
    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"

    def filename(self, assignment: str) -> str:
        own = self in (ExportFormat.CSV, ExportFormat.JSON, ExportFormat.XLSX)
        return f"{assignment}-grades.{self.value}" if own else f"{assignment}-{self.value}.csv"


class Question(Struct, frozen=True):
    """A part of an assignment that has points of its own."""

    key: str
    points: float


class StudentGrade(Struct, frozen=True):
    """One person's result. `grade` is the raw one as it is stored, `penalised` the one after late penalties.

    `questions` are (key, points) of what is graded by question; `draft` says that the student does not see it yet.
    `received` is the time of the submission, ISO 8601, "" for none; `late` is by how many seconds it was late.
    `version` is that of the stored grade, so that an upload of the table can detect later changes ("" for unknown).
    `again` says that the submission that counts came after the grade.
    """

    member: Member
    grade: str | None = None
    penalised: str | None = None
    feedback: str = ""
    questions: tuple[tuple[str, str], ...] = ()
    draft: bool = False
    received: str = ""
    late: int = 0
    version: str = ""
    again: bool = False

    @classmethod
    def of(
        cls, member: Member, grade: str | None, penalised: str | None, feedback: str, points: Mapping[str, float],
        draft: bool, received: float | None, late: int, version: str = "",
        again: bool = False,
    ) -> Self:  # fmt: skip
        """As the class: points are numbers, `received` is in Unix seconds. A time beyond the calendar is unknown."""
        try:
            moment = "" if received is None else datetime.fromtimestamp(received, UTC).isoformat(timespec="seconds")
        except (ValueError, OverflowError, OSError):
            moment = ""
        questions = tuple((key, in_words(each)) for key, each in points.items())
        return cls(member, grade, penalised, feedback, questions, draft, moment, late, version, again)

    def points(self, key: str) -> str:
        return next((points for each, points in self.questions if each == key), "")


class GradeSheet(Struct, frozen=True):
    """All results of one assignment, in the order in which they are written."""

    labels: Labels
    maximum: float | None
    grades: tuple[StudentGrade, ...]
    questions: tuple[Question, ...] = ()


class Choices(Struct, frozen=True):
    """What is written: marks after late penalties or raw ones, drafts as well or only what students see."""

    penalised: bool = False
    drafts: bool = False

    def shows(self, grade: StudentGrade) -> bool:
        return self.drafts or not grade.draft

    def mark(self, grade: StudentGrade) -> str:
        """The grade to write, EX for excused, "" for none."""
        if not self.shows(grade) or not grade.grade:
            return ""
        return grade.penalised if self.penalised and grade.penalised is not None else grade.grade


class Exported(Struct, frozen=True):
    """A file, and notes for the person who asked for it."""

    content: bytes
    filename: str
    media_type: str
    notes: tuple[str, ...] = ()


_Rows = list[Sequence[str]]


def export_grades(sheet: GradeSheet, form: ExportFormat, choices: Choices) -> Exported:
    """A new table in this format. Raises BadRequest if the format needs the system's own export as template."""
    notes = [*draft_notes(sheet, choices)]
    if form is ExportFormat.MOODLE_WORKSHEET:
        raise BadRequest(
            "only Moodle knows the participants' numbers: download the grading worksheet there and give it as template"
        )
    name = sheet.labels.name
    if form is ExportFormat.JSON:
        return Exported(_json(sheet, choices), form.filename(name), "application/json", tuple(notes))
    if form is ExportFormat.XLSX:
        rows = _own(sheet, choices, notes)
        numbers = frozenset(at for at, column in enumerate(rows[0]) if column in _number_columns(sheet))
        return Exported(write_workbook(name, rows, numbers), form.filename(name), XLSX_TYPE, tuple(notes))
    rows = _WRITERS[form](sheet, choices, notes)
    return Exported(to_csv(rows), form.filename(name), CSV_TYPE, tuple(notes))


CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def to_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV in which no spreadsheet runs a formula, in UTF-8 with the line ends of RFC 4180."""
    target = io.StringIO(newline="")
    csv.writer(target).writerows([neutralise(cell) for cell in row] for row in rows)
    return target.getvalue().encode("utf-8", "replace")


def draft_notes(sheet: GradeSheet, choices: Choices) -> list[str]:
    """Notes on grades that students do not see yet."""
    drafts = sum(bool(each.draft and each.grade) for each in sheet.grades)
    if not drafts:
        return []
    said = counted(drafts, "grade")
    if choices.drafts:
        return [f"{said} that students do not see yet: do not publish them by accident"]
    return [f"{said} that students do not see yet: left out"]


def two_decimals(mark: str) -> str:
    """A number with two decimals, as Canvas and Moodle write it; anything else as it is."""
    value = as_number(mark)
    return mark if value is None else f"{value.quantize(Decimal('0.01'), ROUND_HALF_UP, Context(prec=99)):f}"


def numeric_only(mark: str, member: Member, notes: list[str]) -> str:
    """The mark if it is a number, else "" with a note: Moodle rejects a whole import because of one word."""
    if mark and as_number(mark) is None:
        why = "excused" if mark == EXCUSED else f"{mark!r}, which is no number"
        notes.append(f"{member.username} is {why}: the cell is left empty, as Moodle takes numbers only")
        return ""
    return mark


def _last_first(member: Member) -> str:
    first, last = member.first_and_last
    return f"{last}, {first}" if first else last or member.username


def _canvas(sheet: GradeSheet, choices: Choices, notes: list[str]) -> _Rows:
    notes.append("Canvas makes a new assignment of an unknown title: give its own export as template to fill that")
    points = f"{sheet.maximum:g}" if sheet.maximum is not None else ""
    header = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section", sheet.labels.shown)
    rows: _Rows = [header, ("    Points Possible", "", "", "", "", points)]
    for each in sheet.grades:
        who = each.member
        mark = two_decimals(choices.mark(each))
        section = " and ".join(who.sections)
        rows.append((_last_first(who), who.id(Kind.CANVAS), who.id(Kind.STUDENT), who.username, section, mark))
    return rows


def _moodle(sheet: GradeSheet, choices: Choices, notes: list[str]) -> _Rows:
    title = sheet.labels.shown
    questions = [each.key for each in sheet.questions]
    names = [f"{title} {key}" for key in questions]
    rows: _Rows = [("username", "ID number", "Email address", title, *names, f"{title} feedback")]
    for each in sheet.grades:
        who, shows = each.member, choices.shows(each)
        mark = two_decimals(numeric_only(choices.mark(each), who, notes))
        parts = [two_decimals(each.points(key)) if shows else "" for key in questions]
        said = each.feedback if shows else ""
        rows.append((who.username, who.id(Kind.STUDENT), who.email or _address(who), mark, *parts, said))
    return rows


def _address(member: Member) -> str:
    return member.username if "@" in member.username else ""


def _gradescope(sheet: GradeSheet, choices: Choices, _notes: list[str]) -> _Rows:
    questions = [f"{at}: {each.key} ({each.points:.1f} pts)" for at, each in enumerate(sheet.questions, 1)]
    rows: _Rows = [(*_GRADESCOPE, *questions)]
    points = f"{sheet.maximum:g}" if sheet.maximum is not None else ""
    for each in sheet.grades:
        who, mark = each.member, choices.mark(each)
        first, last = who.first_and_last
        parts = [each.points(one.key) if mark else "" for one in sheet.questions]
        status = "Graded" if mark else "Ungraded" if each.received else "Missing"
        late = f"{each.late // 3600}:{each.late // 60 % 60:02}:{each.late % 60:02}" if each.received else ""
        sections, email = ", ".join(who.sections), who.email or _address(who)
        rows.append(
            (first, last, who.id(Kind.STUDENT), email, sections, mark, points, status, "", each.received, late, "", "",
             *parts)
        )  # fmt: skip
    return rows


_GRADESCOPE = (
    "First Name", "Last Name", "SID", "Email", "Sections", "Total Score", "Max Points", "Status", "Submission ID",
    "Submission Time", "Lateness (H:M:S)", "View Count", "Submission Count",
)  # fmt: skip


def _number_columns(sheet: GradeSheet) -> frozenset[str]:
    return frozenset({"grade", "penalised_mark", *(each.key for each in sheet.questions)})


def _own(sheet: GradeSheet, choices: Choices, _notes: list[str]) -> _Rows:
    """Our own table, which can be uploaded again: `grade` is always the raw one, so that no penalty is taken twice."""
    questions = [each.key for each in sheet.questions]
    columns = ["username", "name", "section", "email", "student_id", "grade"]
    columns += ["penalised_mark"] * choices.penalised + questions + ["feedback"] + ["workflow_state"] * choices.drafts
    versions = any(each.version for each in sheet.grades)
    again = any(each.again for each in sheet.grades)
    columns += [AGAIN] * again + [BASED_ON] * versions
    rows: _Rows = [columns]
    for each in sheet.grades:
        who, shows = each.member, choices.shows(each)
        row = [who.username, who.name, ", ".join(who.sections), who.email, who.id(Kind.STUDENT)]
        row.append(each.grade or "" if shows else "")
        if choices.penalised:
            row.append(choices.mark(each))
        row += [each.points(key) if shows else "" for key in questions]
        row.append(each.feedback if shows else "")
        if choices.drafts:
            row.append("draft" if each.draft else "")
        row += ["yes" if each.again else ""] * again
        rows.append([*row, each.version] if versions else row)
    return rows


def _json(sheet: GradeSheet, choices: Choices) -> bytes:
    """A document that `POST /assignments/<a>/grades` takes; people without a grade have null."""
    entries = []
    for each in sheet.grades:
        shows = choices.shows(each)
        entry: dict[str, object] = {"username": each.member.username, "grade": (each.grade or None) if shows else None}
        if choices.penalised:
            entry["penalised_mark"] = choices.mark(each) or None
        entry["feedback"] = each.feedback if shows else ""
        entry["questions"] = dict(each.questions) if shows else {}
        if choices.drafts and each.draft:
            entry["workflow_state"] = "draft"
        if each.again:
            entry[AGAIN] = True
        entries.append(entry)
    document = {
        "assignment": sheet.labels.name,
        "title": sheet.labels.title,
        "maximum": sheet.maximum,
        "questions": {each.key: each.points for each in sheet.questions},
        "grades": entries,
    }
    return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n"


_WRITERS: dict[ExportFormat, Callable[[GradeSheet, Choices, list[str]], _Rows]] = {
    ExportFormat.CANVAS: _canvas,
    ExportFormat.MOODLE: _moodle,
    ExportFormat.GRADESCOPE: _gradescope,
    ExportFormat.CSV: _own,
}
