"""Recognises a system's table by its headers, and reads the grades of one assignment. No column is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePath

from msgspec import Struct
from msgspec.structs import replace

from mograder.domain.errors import BadRequest
from mograder.domain.grades import AGAIN, GRADE_KEYS
from mograder.domain.names import counted, printable
from mograder.tables import headers
from mograder.tables.cells import as_number, normal, restore
from mograder.tables.grades import GradeRow, GradeTable
from mograder.tables.headers import KeyColumns, Labels, Part, columns_of, named_column, one_column
from mograder.tables.people import Key, Kind
from mograder.tables.sheet import Row, Sheet

_CANVAS_KEYS = (
    (Kind.USERNAME, ("SIS Login ID",)),
    (Kind.STUDENT, ("SIS User ID",)),
    (Kind.CANVAS, ("ID",)),
    (Kind.INTEGRATION, ("Integration ID",)),
)
_GRADESCOPE_KEYS = ((Kind.EMAIL, ("Email",)), (Kind.STUDENT, ("SID",)))
_NBGRADER_KEYS = ((Kind.ANY, ("student_id",)), (Kind.EMAIL, ("email",)))
_WORKSHEET_KEYS = (
    (Kind.USERNAME, ("username", "anmeldename")),
    (Kind.EMAIL, ("email address", "e-mail-adresse")),
    (Kind.STUDENT, ("id number", "id-nummer", "matrikelnummer")),
)
_CANVAS_TITLE = re.compile(r".+\(\d+\)", re.DOTALL)
_CANVAS_TEST_STUDENT = "student, test"
_PARTICIPANT = re.compile(r"\D+(\d+)")


class Columns(Struct, frozen=True):
    """Where in a sheet the grades of the assignment are."""

    keys: KeyColumns
    grade: int | None = None
    feedback: int | None = None

    def row(self, row: Row) -> GradeRow:
        grade = row.cells[self.grade].strip() if self.grade is not None else ""
        feedback = restore(row.cells[self.feedback]) if self.feedback is not None else ""
        return GradeRow(row.place, self.keys.read(row), grade, feedback, problem=surplus_problem(row))

    def table(self, rows: Iterable[GradeRow], maximum: float | None = None, notes: tuple[str, ...] = ()) -> GradeTable:
        return GradeTable("", tuple(rows), maximum, notes, self.grade, self.feedback)


def surplus_problem(row: Row) -> str:
    """What is wrong with a row that has more cells than there are columns, "" if it has not."""
    if not row.surplus:
        return ""
    many = counted(len(row.surplus), "cell")
    return f"{many} behind the last column: is there a comma in a cell that is not in quotes?"


class Format(Struct, frozen=True):
    """A system's table of grades. `fits` recognises its columns; `read` takes the column a person named, or ""."""

    system: str
    fits: Callable[[Sheet], bool]
    read: Callable[[Sheet, Labels, str], GradeTable]


def format_of(sheet: Sheet) -> Format:
    """The first of FORMATS that fits; the last fits every table."""
    return next(each for each in FORMATS if each.fits(sheet))


def read_grades(sheet: Sheet, labels: Labels, column: str = "") -> GradeTable:
    """The grades of the assignment called `labels` in a table of any known system.

    `column` is the one that holds the grades, if a person names it. Raises BadRequest when no column says who the rows
    are about, or when it is unclear which column holds the grades.
    """
    found = format_of(sheet)
    table = found.read(sheet, labels, column)
    notes = table.notes
    if sheet.assumed:
        notes = (f"the file does not say its encoding: {sheet.assumed} was assumed, check the letters", *notes)
    return replace(table, system=found.system, notes=notes)


# Canvas


def _is_canvas(sheet: Sheet) -> bool:
    named = sheet.has("Student") or sheet.has("LastName", "FirstName")
    other = sheet.has("SIS Login ID") or sheet.has("SIS User ID") or any(map(_CANVAS_TITLE.fullmatch, sheet.columns))
    return named and other and sheet.has("ID", "Section")


def _read_canvas(sheet: Sheet, labels: Labels, column: str) -> GradeTable:
    keys = KeyColumns.of(sheet, _CANVAS_KEYS)
    grade = _assignment_column(sheet, labels, column)
    columns = Columns(keys, grade)
    rows: list[GradeRow] = []
    maximum, test = None, 0
    for row in sheet.rows:
        if not keys.read(row) and not rows:  # "Manual Posting", "Points Possible"
            maximum = _points(row.cells[grade]) if maximum is None else maximum
        elif normal(row.cells[0]) == _CANVAS_TEST_STUDENT and len(keys.read(row)) < 3:
            test += 1
        else:
            rows.append(columns.row(row))
    notes = ("Canvas' test student was passed over",) if test else ()
    return columns.table(rows, maximum, notes)


def _points(cell: str) -> float | None:
    value = as_number(cell)
    return float(value) if value else None


def _assignment_column(sheet: Sheet, labels: Labels, column: str) -> int:
    """The column with the assignment's title. Raises BadRequest naming the columns when there is none, or several."""
    if column:
        return named_column(sheet, column)
    found = one_column(sheet, columns_of(sheet, labels, Part.GRADE), f"the grades of {labels.shown!r}")
    if found is None:
        raise BadRequest(
            f"the table has no column for {printable(labels.shown)!r}: name the column that holds the grades; "
            f"there are {headers.column_names(sheet)}"
        )
    return found


# Moodle


def _is_worksheet(sheet: Sheet) -> bool:
    if sheet.find(*headers.IDENTIFIER) is None or sheet.find(*headers.GRADE) is None:
        return False
    return any(sheet.has(name) for name in (*headers.GRADE_MODIFIED, *headers.MAXIMUM))


def participant(cell: str) -> str:
    """The number in "Participant 123", "" when the cell is not of that form."""
    found = _PARTICIPANT.fullmatch(cell.strip())
    return found[1] if found else ""


def _read_worksheet(sheet: Sheet, _labels: Labels, column: str) -> GradeTable:
    grade = named_column(sheet, column) if column else sheet.find(*headers.GRADE)
    columns = Columns(KeyColumns.of(sheet, _WORKSHEET_KEYS), grade, sheet.find(*headers.COMMENTS))
    identifier = sheet.find(*headers.IDENTIFIER) or 0
    rows = []
    for row in sheet.rows:
        read = columns.row(row)
        if not read.keys:  # nothing else says who it is: the course knows the number if it knows the worksheet
            read = replace(read, keys=(Key(Kind.MOODLE, participant(row.cells[identifier])),))
        rows.append(read)
    return columns.table(rows, _common_points(sheet, sheet.find(*headers.MAXIMUM)))


def _common_points(sheet: Sheet, at: int | None) -> float | None:
    """The points that all rows agree on, None when they do not or there is no such column."""
    found = {points for row in sheet.rows if (points := _points(row.cells[at]))} if at is not None else set()
    return found.pop() if len(found) == 1 else None


def _is_gradebook(sheet: Sheet) -> bool:
    if sheet.has("Last downloaded from this course"):
        return True
    who = sheet.has("ID number", "Email address") or sheet.has("ID-Nummer", "E-Mail-Adresse")
    return who and not any(sheet.has(name) for name in GRADE_KEYS)


# Gradescope


def _is_gradescope(sheet: Sheet) -> bool:
    return sheet.has("SID", "Email", "Total Score", "Max Points")


def _read_gradescope(sheet: Sheet, _labels: Labels, column: str) -> GradeTable:
    grade = named_column(sheet, column or "Total Score")
    columns = Columns(KeyColumns.of(sheet, _GRADESCOPE_KEYS), grade)
    rows, status = tuple(columns.row(row) for row in sheet.rows), sheet.find("Status")
    if status is not None:  # a person without a submission has no grade, whatever the cell says
        missing = [normal(row.cells[status]) == "missing" for row in sheet.rows]
        rows = tuple(replace(row, grade="") if gone else row for row, gone in zip(rows, missing, strict=True))
    return columns.table(rows, _common_points(sheet, sheet.find("Max Points")))


def _is_gradescope_course(sheet: Sheet) -> bool:
    return sheet.has("SID", "Email") and any(name.endswith(" - Max Points") for name in sheet.columns)


def _read_gradescope_course(sheet: Sheet, labels: Labels, column: str) -> GradeTable:
    grade = _assignment_column(sheet, labels, column)
    columns = Columns(KeyColumns.of(sheet, _GRADESCOPE_KEYS), grade)
    maximum = _common_points(sheet, sheet.find(f"{sheet.columns[grade]} - Max Points"))
    return columns.table((columns.row(row) for row in sheet.rows), maximum)


# nbgrader


def _is_nbgrader(sheet: Sheet) -> bool:
    return sheet.has("assignment", "student_id", "raw_score", "score", "max_score")


def _read_nbgrader(sheet: Sheet, labels: Labels, column: str) -> GradeTable:
    keys = KeyColumns.of(sheet, _NBGRADER_KEYS)
    columns = Columns(keys, named_column(sheet, column or "score"))
    which, stamp = named_column(sheet, "assignment"), sheet.find("timestamp")
    mine = [_mended(sheet, row) for row in sheet.rows if labels.fits(row.cells[which])]
    if not mine:
        names = sorted({row.cells[which] for row in sheet.rows})
        raise BadRequest(f"the table has nothing about {labels.name!r}: it is about {', '.join(map(repr, names[:10]))}")
    rows = []
    for row in mine:
        read = columns.row(row)
        # nbgrader writes 0 for people without a submission.
        if stamp is not None and normal(row.cells[stamp]) in ("", "none") and as_number(read.grade) == 0:
            read = replace(read, grade="")
        rows.append(read)
    maximum = _common_points(replace(sheet, rows=tuple(mine)), sheet.find("max_score"))
    return columns.table(rows, maximum)


_NBGRADER = (
    "assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
    "late_submission_penalty", "score", "max_score",
)  # fmt: skip
_BEFORE_NAMES, _AFTER_NAMES = 4, 5


def _mended(sheet: Sheet, row: Row) -> Row:
    """A row of nbgrader's export, repaired: nbgrader quotes nothing, so commas in a name shift the cells after it.

    Both ends of the row are kept if the scores at the end are numbers; else the row is returned unchanged.
    """
    if not row.surplus or tuple(sheet.columns) != _NBGRADER:
        return row
    cells = (*row.cells, *row.surplus)
    after = cells[-_AFTER_NAMES:]
    if any(as_number(cell) is None for cell in after[1:]):
        return row
    return Row(row.place, (*cells[:_BEFORE_NAMES], "", "", *after))


# the published mograder's, and ours


def _is_autograde(sheet: Sheet) -> bool:
    return sheet.has("notebook", "auto_mark")


def _read_autograde(sheet: Sheet, _labels: Labels, column: str) -> GradeTable:
    notebook = named_column(sheet, "notebook")
    columns = Columns(KeyColumns(()), named_column(sheet, column or "auto_mark"))
    rows = []
    for row in sheet.rows:
        user = PurePath(row.cells[notebook].strip()).name.removesuffix(".py")
        rows.append(replace(columns.row(row), keys=(Key(Kind.USERNAME, user),)))
    return columns.table(rows)


def _read_any(sheet: Sheet, labels: Labels, column: str) -> GradeTable:
    """A table of no particular system: somebody's own, or one whose columns are named after assignments."""
    keys = _person_columns(sheet)
    own = [at for at, name in enumerate(sheet.columns) if normal(name) in GRADE_KEYS]
    titled = columns_of(sheet, labels, Part.GRADE)
    what = f"the grades of {labels.shown!r}"
    grade = named_column(sheet, column) if column else one_column(sheet, sorted({*own, *titled}), what)
    feedback = one_column(sheet, columns_of(sheet, labels, Part.FEEDBACK), f"the feedback to {labels.shown!r}")
    if feedback is None and (grade is None or grade in own or column):
        feedback = sheet.find("feedback")
    if grade is None and feedback is None:
        raise BadRequest(
            f"the table has no column 'grade' or {printable(labels.shown)!r}: name the column that holds the grades; "
            f"there are {headers.column_names(sheet)}"
        )
    columns = Columns(keys, grade, feedback)
    if grade is not None and grade not in own:  # a table of many assignments: nothing else of it is touched
        return columns.table(columns.row(row) for row in sheet.rows)
    sheet.refuse_duplicate_columns()
    others = _others(sheet, columns)
    return columns.table(replace(columns.row(row), others=_cells(sheet, row, others)) for row in sheet.rows)


def _person_columns(sheet: Sheet) -> KeyColumns:
    """The columns that say who a row is about. Raises BadRequest when there is none."""
    keys = KeyColumns.of(sheet)
    if not keys.columns:
        raise BadRequest(
            f"the table has no column for the person: expected one of username, email, student_id, "
            f"found {headers.column_names(sheet)}"
        )
    userid = sheet.find("userid")
    if sheet.has("student") or any(kind is Kind.USERNAME for kind, _ in keys.columns):
        # Another system's number beside a user name is kept, but does not identify the person.
        return KeyColumns(tuple((kind, at) for kind, at in keys.columns if at != userid))
    return keys


_ABOUT_PEOPLE = frozenset(
    {*headers.FULL_NAMES, *headers.FIRST_NAMES, *headers.LAST_NAMES, *headers.SECTIONS}
)  # details of people, which the roster knows


def _others(sheet: Sheet, columns: Columns) -> tuple[int, ...]:
    """The columns that are kept with the grade, unchanged: those that are neither read nor about the person."""
    userid = sheet.find("userid")
    read = {columns.grade, columns.feedback, *(at for at in columns.keys.places if at != userid)}
    left_out = _ABOUT_PEOPLE | {normal(AGAIN)}
    return tuple(
        at for at, name in enumerate(sheet.columns) if name and at not in read and normal(name) not in left_out
    )


def _cells(sheet: Sheet, row: Row, kept: Iterable[int]) -> tuple[tuple[str, str], ...]:
    return tuple((sheet.columns[at], restore(row.cells[at])) for at in kept)


FORMATS: tuple[Format, ...] = (
    Format("a Canvas gradebook", _is_canvas, _read_canvas),
    Format("a Moodle assignment worksheet", _is_worksheet, _read_worksheet),
    Format("a Gradescope assignment", _is_gradescope, _read_gradescope),
    Format("a Gradescope course", _is_gradescope_course, _read_gradescope_course),
    Format("nbgrader's export", _is_nbgrader, _read_nbgrader),
    Format("a table of autograde", _is_autograde, _read_autograde),
    Format("a Moodle gradebook", _is_gradebook, _read_any),
    Format("a table of grades", lambda _sheet: True, _read_any),
)
