"""The columns of other systems' tables: their names, and what they mean."""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct

from mograder.domain.errors import BadRequest
from mograder.domain.names import printable, some_of
from mograder.tables.cells import normal, restore
from mograder.tables.people import Key, Kind
from mograder.tables.sheet import Row, Sheet

EMAILS = ("email", "e-mail", "email address", "email_address", "e-mail address", "e-mail-adresse")
"""Columns of e-mail addresses."""

KEY_COLUMNS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.USERNAME, ("username", "user name", "user", "login", "login id", "sis login id", "anmeldename")),
    (Kind.ANY, ("student", "student_id", "student id", "userid", "user id", "id")),
    (Kind.EMAIL, EMAILS),
    (Kind.STUDENT, ("sis user id", "id number", "sid", "idnumber", "student number", "id-nummer", "matrikelnummer")),
    (Kind.CANVAS, ("canvas_id", "canvas id")),
    (Kind.GITHUB, ("github_id",)),
    (Kind.GITHUB_NAME, ("github_username",)),
    (Kind.INTEGRATION, ("integration id",)),
)
"""Columns that say who a row is about, in a table of no particular system."""

FULL_NAMES = ("name", "full name", "full_name", "vollständiger name")
FIRST_NAMES = ("first name", "first_name", "firstname", "vorname")
LAST_NAMES = ("last name", "last_name", "lastname", "surname", "nachname")
SECTIONS = ("section", "sections", "group", "groups", "gruppe", "gruppen")

IDENTIFIER = ("identifier", "id")
GRADE = ("grade", "bewertung")
MAXIMUM = ("maximum grade", "bestwertung")
GRADE_MODIFIED = ("last modified (grade)", "zuletzt geändert (bewertung)")
COMMENTS = ("feedback comments", "feedback als kommentar")
"""Columns of Moodle's worksheet, in English and German; a site's language decides which."""

_CANVAS_ID = re.compile(r"\s*\(\d+\)$")
_MOODLE_PART = re.compile(r"(?P<title>.+) \((?P<part>[^()]+)\)", re.DOTALL)


class Part(Enum):
    """What a column of an assignment holds."""

    GRADE = "grade"
    FEEDBACK = "feedback"
    OTHER = "other"
    """The same grade in another form, which is not read."""


class Labels(Struct, frozen=True):
    """What an assignment is called: its name and, where there is one, its title."""

    name: str
    title: str = ""

    def fits(self, text: str) -> bool:
        return bool(normal(text)) and normal(text) in {normal(self.name), normal(self.title)}

    @property
    def shown(self) -> str:
        return self.title or self.name


_PARTS = {
    "real": Part.GRADE, "punkte": Part.GRADE, "feedback": Part.FEEDBACK, "percentage": Part.OTHER,
    "prozentsatz": Part.OTHER, "letter": Part.OTHER, "buchstabe": Part.OTHER,
}  # fmt: skip
"""What Moodle's gradebook writes after a title, in English and German."""


def part_of(column: str, labels: Labels) -> Part | None:
    """What the column holds of the assignment, None when it belongs to another.

    Canvas writes "HW1 (12345)", Moodle "Assignment: HW1 (Real)", we "HW1" and "HW1 feedback".
    """
    if labels.fits(column) or labels.fits(_CANVAS_ID.sub("", column)):
        return Part.GRADE
    if column.casefold().endswith(" feedback") and labels.fits(column[: -len(" feedback")]):
        return Part.FEEDBACK
    found = _MOODLE_PART.fullmatch(column)
    part = _PARTS.get(normal(found["part"])) if found else None
    if found is None or part is None:
        return None
    # The kind of activity comes before the title, in the site's language.
    title = found["title"]
    return part if labels.fits(title) or labels.fits(title.partition(":")[2]) else None


def columns_of(sheet: Sheet, labels: Labels, part: Part) -> list[int]:
    """The places of the columns that hold this part of the assignment."""
    return [at for at, column in enumerate(sheet.columns) if part_of(column, labels) is part]


def one_column(sheet: Sheet, found: list[int], what: str) -> int | None:
    """The only one of `found`, None when there is none. Raises BadRequest naming all when there are several."""
    if len(found) > 1:
        names = " and ".join(f"{at + 1} ({printable(sheet.columns[at], 60)!r})" for at in found)
        raise BadRequest(f"columns {names} could both hold {what}: name the column, or rename one of them")
    return found[0] if found else None


def named_column(sheet: Sheet, name: str) -> int:
    """The column that a person named. Raises BadRequest."""
    found = sheet.find(name)
    if found is None:
        raise BadRequest(f"there is no column {printable(name, 60)!r}: the table has {column_names(sheet)}")
    return found


def column_names(sheet: Sheet) -> str:
    """The columns, for a message."""
    return some_of([repr(printable(column, 40)) for column in sheet.columns], 20)


class KeyColumns(Struct, frozen=True):
    """The columns of a sheet that say who a row is about."""

    columns: tuple[tuple[Kind, int], ...]

    @classmethod
    def of(cls, sheet: Sheet, table: tuple[tuple[Kind, tuple[str, ...]], ...] = KEY_COLUMNS) -> KeyColumns:
        """Every column that `table` knows. Raises BadRequest when two have one name."""
        found = []
        for kind, names in table:
            for name in names:
                at = sheet.find(name)
                if at is not None:
                    found.append((kind, at))
        return cls(tuple(found))

    def read(self, row: Row) -> tuple[Key, ...]:
        return tuple(Key(kind, value) for kind, at in self.columns if (value := restore(row.cells[at].strip())))

    @property
    def places(self) -> frozenset[int]:
        return frozenset(at for _, at in self.columns)


class NameColumns(Struct, frozen=True):
    """The columns of a sheet with people's names: one for the whole name, or some for its parts."""

    full: int | None
    parts: tuple[int, ...]

    @classmethod
    def of(cls, sheet: Sheet) -> NameColumns:
        parts = (sheet.find(*FIRST_NAMES), sheet.find(*LAST_NAMES))
        return cls(sheet.find(*FULL_NAMES), tuple(at for at in parts if at is not None))

    def read(self, row: Row) -> str:
        """The name in a row, "" if it has none."""
        if self.full is not None and (text := restore(row.cells[self.full].strip())):
            return text
        return " ".join(text for at in self.parts if (text := restore(row.cells[at].strip())))


def turned(name: str) -> str:
    """A name as people say it: "Lovelace, Ada" as "Ada Lovelace"."""
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}" if comma and first.strip() and "," not in first else name
