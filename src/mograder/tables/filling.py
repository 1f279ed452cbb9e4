"""Fills an instructor's own export: only our columns change. Invariant: cells that are excused or read-only stay."""

from __future__ import annotations

import re

from msgspec import Struct, field

from mograder.domain.errors import BadRequest
from mograder.domain.names import counted, some_of
from mograder.tables.cells import EXCUSED, neutralise, normal, parse_grade, restore
from mograder.tables.export import (
    CSV_TYPE,
    Choices,
    Exported,
    ExportFormat,
    GradeSheet,
    StudentGrade,
    draft_notes,
    numeric_only,
    two_decimals,
)
from mograder.tables.formats import format_of, read_grades
from mograder.tables.grades import GradeRow, GradeTable, same_grade
from mograder.tables.people import People
from mograder.tables.sheet import Sheet
from mograder.tables.template import Template

_SYSTEMS = {
    ExportFormat.CANVAS: ("a Canvas gradebook",),
    ExportFormat.MOODLE: ("a Moodle gradebook", "a table of grades"),
    ExportFormat.MOODLE_WORKSHEET: ("a Moodle assignment worksheet",),
    ExportFormat.GRADESCOPE: ("a Gradescope assignment", "a Gradescope course"),
    ExportFormat.CSV: ("a table of grades",),
}
_TWO_DECIMALS = frozenset({ExportFormat.CANVAS, ExportFormat.MOODLE, ExportFormat.MOODLE_WORKSHEET})
_NUMBERS_ONLY = frozenset({ExportFormat.MOODLE, ExportFormat.MOODLE_WORKSHEET})
_NUMBER, _POINTS = re.compile(r"^\d+(?:\.\d+)*: "), re.compile(r" \(\d+(?:\.\d+)? pts\)$")
"""What Gradescope writes before and after the name of a question."""


class _Filling(Struct):
    """The cells to write, and the notes."""

    sheet: Sheet
    form: ExportFormat
    choices: Choices
    comma: bool
    values: dict[tuple[str, int], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, row: GradeRow, at: int | None, text: str) -> None:
        if at is not None and text:
            self.values[row.place, at] = neutralise(text)

    def number(self, mark: str) -> str:
        """A mark as this table writes numbers."""
        written = two_decimals(mark) if self.form in _TWO_DECIMALS else mark
        return written.replace(".", ",") if self.comma and parse_grade(mark, None).value is not None else written


def fill_template(
    sheet: GradeSheet, form: ExportFormat, choices: Choices, template: bytes, column: str = "", encoding: str = ""
) -> Exported:
    """The template with our grades, feedback and points in it, every other byte as it was.

    People without a grade keep the cell that is there. `column` is the column of the grades and `encoding` that of the
    template, if a person names them. Raises BadRequest when the template is of another system, or has no column.
    """
    read = Template.read(template, encoding)
    _check_system(read.sheet, form)
    table = read_grades(read.sheet, sheet.labels, column)
    filling = _Filling(read.sheet, form, choices, _has_decimal_comma(read.sheet, table))
    filling.notes += [*draft_notes(sheet, choices), *table.notes]
    grades = {each.member.username: each for each in sheet.grades}
    questions = _question_columns(read.sheet, sheet, {table.grade_column, table.feedback_column})
    people, met = People(each.member for each in sheet.grades), set[str]()
    for row in table.rows:
        match = people.match(row.keys)
        if match.ambiguous:
            filling.notes.append(f"{row.place}: {match.problem}: left as it was")
        if match.member is not None and not row.problem:
            met.add(match.member.username)
            _fill_row(filling, row, table, grades[match.member.username], questions)
    _note_absent(filling, sheet, choices, met)
    name = form.filename(sheet.labels.name)
    return Exported(read.fill(filling.values), name, CSV_TYPE, tuple(filling.notes))


def _check_system(sheet: Sheet, form: ExportFormat) -> None:
    if form not in _SYSTEMS:
        raise BadRequest(f"the format {form.value} takes no template")
    found = format_of(sheet).system
    if found not in _SYSTEMS[form]:
        raise BadRequest(f"the template is {found}, not {_SYSTEMS[form][0]}: choose the format that fits it")


def _has_decimal_comma(sheet: Sheet, table: GradeTable) -> bool:
    """Whether the table has decimal commas: a grade has one, or semicolons separate cells and no grade has a point."""
    at = table.grade_column
    cells = [row.cells[at] for row in sheet.rows] if at is not None else []
    with_comma = any("," in cell and parse_grade(cell, None).value is not None for cell in cells)
    with_point = any("." in cell and parse_grade(cell, None).value is not None for cell in cells)
    return with_comma or (sheet.delimiter == ";" and not with_point)


def _question_columns(sheet: Sheet, grades: GradeSheet, taken: set[int | None]) -> dict[str, int]:
    """The columns named after questions: "Q1", or as Gradescope writes it, "1: Q1 (5.0 pts)"."""
    keys, found = {normal(each.key): each.key for each in grades.questions}, dict[str, int]()
    for at, column in enumerate(sheet.columns):
        bare = _POINTS.sub("", column)
        key = next(
            (keys[each] for name in (column, bare, _NUMBER.sub("", bare)) if (each := normal(name)) in keys), None
        )
        if key is not None and at not in taken:
            found.setdefault(key, at)
    return found


def _fill_row(
    filling: _Filling, row: GradeRow, table: GradeTable, grade: StudentGrade, questions: dict[str, int]
) -> None:
    user = grade.member.username
    mark = filling.choices.mark(grade)
    if filling.form in _NUMBERS_ONLY:
        mark = numeric_only(mark, grade.member, filling.notes)
    there = parse_grade(row.grade, None)
    if mark and there.text == EXCUSED and mark != EXCUSED:
        filling.notes.append(f"{row.place}: {user} is excused there and has {mark} here: left excused")
    elif mark and normal(row.grade) == "(read only)":
        filling.notes.append(f"{row.place}: the grade of {user} is read-only there: left as it was")
    elif mark and not same_grade(there.text or None, filling.number(mark)):
        filling.put(row, table.grade_column, filling.number(mark))
    if not filling.choices.shows(grade):
        return
    if grade.feedback.strip() and grade.feedback != restore(row.feedback):
        filling.put(row, table.feedback_column, grade.feedback)
    for key, at in questions.items():
        filling.put(row, at, filling.number(grade.points(key)))


def _note_absent(filling: _Filling, sheet: GradeSheet, choices: Choices, met: set[str]) -> None:
    absent = [each.member.username for each in sheet.grades if choices.mark(each) and each.member.username not in met]
    if absent:
        people = f"{counted(len(absent), 'grade')} of people"
        filling.notes.append(f"{people} who are not in the template: {some_of(absent)}")
