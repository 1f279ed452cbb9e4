"""Grades: entries that keep keys we do not know, and merging."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mograder.domain.errors import BadRequest
from mograder.domain.names import Username

PERSON_KEYS = ("userid", "username", "student")
GRADE_KEYS = ("grade", "mark")
VISIBLE_STATES = ("", "released")
"""The workflow states in which students see a grade; any other holds it back."""

DEEPEST = 32
"""Levels of a grade's JSON; more could be written and not read again."""


@dataclass(frozen=True)
class GradeEntry:
    """One row of a grade table as it came: `fields` keeps every key, known or not."""

    fields: Mapping[str, object]

    @classmethod
    def parse(cls, fields: object, place: str) -> GradeEntry:
        """Raises BadRequest naming `place` unless `fields` is an object that names a person."""
        if not isinstance(fields, Mapping):
            raise BadRequest(f"{place}: a grade must be an object, not {type(fields).__name__}")
        if _is_deeper(fields, DEEPEST):
            raise BadRequest(f"{place}: nested too deeply: more than {DEEPEST} levels")
        entry = cls(dict(fields))
        if not entry.person:
            raise BadRequest(f"{place}: a grade without a person: give 'username' (or 'userid' or 'student')")
        return entry

    @property
    def person(self) -> str:
        """Who the grade is for: `userid`, else `username`, else `student`; "" when nobody is named."""
        return next((text for key in PERSON_KEYS if (text := _text(self.fields.get(key)))), "")

    @property
    def username(self) -> str:
        """Whose grade it is to see: the user name, where no column has one the `userid`.

        Never both: else whoever registers with somebody's number for a user name would see that one's grade.
        """
        return _text(self.fields.get("username")) or _text(self.fields.get("student")) or self.person

    @property
    def has_userid(self) -> bool:
        return bool(_text(self.fields.get("userid")))

    @property
    def grade(self) -> str | None:
        """The grade as text, None when there is none: an empty cell is no grade, never 0."""
        return next((text for key in GRADE_KEYS if (text := _text(self.fields.get(key)))), None)

    @property
    def feedback(self) -> str:
        return _text(self.fields.get("feedback"))

    @property
    def says_something(self) -> bool:
        return self.grade is not None or bool(self.feedback)

    @property
    def visible(self) -> bool:
        """Whether the student may see it now."""
        return _text(self.fields.get("workflow_state")) in VISIBLE_STATES


@dataclass(frozen=True)
class Uploaded:
    """What became of an upload of grades: how many are `stored` in all now, and how many were `received`.

    `unknown` are the people in it who have neither registered nor handed in: a misspelt name is nobody's grade.
    """

    stored: int
    received: int
    unknown: tuple[str, ...] = ()


def number(grade: str | None) -> float:
    """A grade as a number to sort and count by; minus infinity for one that is none."""
    try:
        value = float((grade or "").replace(",", "."))
    except ValueError:
        return -math.inf
    return value if math.isfinite(value) else -math.inf


def _is_deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _text(value: object) -> str:
    if value is None or isinstance(value, bool | list | dict):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def parse_upload(document: object) -> tuple[GradeEntry, ...]:
    """The entries of a grade upload: `{"grades": [...], "workflow_state": ""}` or a bare list.

    A workflow state other than "" is written into every entry. Raises BadRequest naming the entry at fault.
    """
    state = ""
    if isinstance(document, Mapping):
        state = _text(document.get("workflow_state"))
        document = document.get("grades")
    if not isinstance(document, list):
        raise BadRequest('expected {"grades": [...]} or a list of grades')
    entries = tuple(GradeEntry.parse(fields, f"grade {index}") for index, fields in enumerate(document, 1))
    if not state:
        return entries
    return tuple(GradeEntry({**entry.fields, "workflow_state": state}) for entry in entries)


def merge(stored: Iterable[GradeEntry], uploaded: Iterable[GradeEntry]) -> tuple[GradeEntry, ...]:
    """`stored` with each uploaded entry laid over the one of the same person, or appended.

    Keys that an upload does not name are kept, except a `workflow_state`: an upload without one releases.
    """
    merged: dict[str, GradeEntry] = {}
    for index, entry in enumerate(stored):
        merged[_place(entry, merged) or f"\0{index}"] = entry
    for entry in uploaded:
        place = _place(entry, merged)
        before = merged.get(place)
        kept = {key: value for key, value in before.fields.items() if key != "workflow_state"} if before else {}
        merged[place] = GradeEntry({**kept, **entry.fields})
    return tuple(merged.values())


def _place(entry: GradeEntry, merged: Mapping[str, GradeEntry]) -> str:
    """Where the person's entry is or will be. A user name that is another person's `userid` gets a place of its own."""
    held = merged.get(entry.person)
    same = held is None or held.username == entry.username or (held.has_userid and entry.has_userid)
    return entry.person if same else f"\0{entry.username}"


def of_person(entries: Iterable[GradeEntry], username: Username) -> GradeEntry | None:
    """The entry of `username` (see `GradeEntry.username`); the last one when there are several."""
    found = None
    for entry in entries:
        if entry.username == username:
            found = entry
    return found
