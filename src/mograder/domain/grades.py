"""Grades and feedback: entries that keep unknown keys, merging entries, and uploads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, ChangedMeanwhile, NotFound, Temporary
from mograder.domain.files import StoredFile
from mograder.domain.names import AssignmentName, Username, counted, some_of

PERSON_KEYS = ("userid", "username", "student")
GRADE_KEYS = ("grade", "mark")
VISIBLE_STATES = ("", "released")
"""The workflow states in which students see a grade; in any other they do not."""

ATTEMPT_KEY = "graded_attempt"
"""The key under which the server notes the attempt that was the latest when the grade was uploaded."""

RAW, PENALTY, PENALISED = "raw_grade", "penalty_pct", "penalised_grade"
"""The keys of a grade with a penalty: the grade before the penalty, the penalty in per cent, the grade after it."""

BASED_ON = "based_on"
"""The column of an exported table with the version of the person's entry from which the row was made."""

AGAIN = "to_grade_again"
"""The column of an exported table that says that the submission that counts is newer than the grade."""

NO_ENTRY = "none"
"""The version of a missing entry."""

DEEPEST = 32
"""Levels of a grade's JSON at most; deeper JSON can be written but may not be readable."""


def is_page(filename: str) -> bool:
    """Whether a file has the ending of a feedback page, <user>.html, in any spelling."""
    return filename.lower().endswith((".html", ".htm"))


class GradeEntry(Struct, frozen=True):
    """One row of a grade table; `fields` keeps every key, known or not."""

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
        """The person whose grade it is: `userid`, else `username`, else `student`; "" if there is none."""
        return next((text for key in PERSON_KEYS if (text := _text(self.fields.get(key)))), "")

    @property
    def username(self) -> str:
        """The user name of the person who may see the grade; the `userid` only if no column has a user name.

        Otherwise a person who registers another's number as a user name would see that person's grade.
        """
        return _text(self.fields.get("username")) or _text(self.fields.get("student")) or self.person

    @property
    def has_userid(self) -> bool:
        return bool(_text(self.fields.get("userid")))

    @property
    def grade(self) -> str | None:
        """The grade as text, None for none. An empty cell means no grade, never 0."""
        return next((text for key in GRADE_KEYS if (text := _text(self.fields.get(key)))), None)

    @property
    def graded_attempt(self) -> int | None:
        """The attempt that was the latest when the grade was uploaded; None if unknown."""
        found = self.fields.get(ATTEMPT_KEY)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    @property
    def feedback(self) -> str:
        return _text(self.fields.get("feedback"))

    @property
    def says_something(self) -> bool:
        return self.grade is not None or bool(self.feedback)

    @property
    def version(self) -> str:
        """The version of the entry, which changes with any of its fields."""
        document = json.dumps({**self.fields, BASED_ON: None}, sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()[:12]

    @property
    def based_on(self) -> str:
        """The version of the entry from which this one was made, "" if unknown."""
        return _text(self.fields.get(BASED_ON))

    def is_stale(self, held: GradeEntry | None) -> bool:
        """Whether it is based on another version than that of `held`, and would change the grade or feedback."""
        if self.based_on in ("", NO_ENTRY if held is None else held.version):
            return False
        return held is None or any(
            said != being for said, being in ((self.grade, held.grade), (self.feedback or held.feedback, held.feedback))
        )

    @property
    def visible(self) -> bool:
        """Whether the student may see it now."""
        return _text(self.fields.get("workflow_state")) in VISIBLE_STATES


class Uploaded(Struct, frozen=True):
    """The outcome of an upload of grades: how many are `stored` in all now, and how many were `received`.

    `unknown` names people who have neither registered nor submitted: these names may be misspelt.
    """

    stored: int
    received: int
    unknown: tuple[str, ...] = ()


def number(grade: str | None) -> float:
    """A grade as a number (decimal point or comma); minus infinity for one that is not a number."""
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
    """`stored`, updated by each uploaded entry of the same person; entries of other people are appended.

    Keys that an upload lacks are kept, except `workflow_state`: an upload without it releases the grade. Raises
    ChangedMeanwhile with the people whose entry has changed since the row about them was made (see BASED_ON).
    """
    stale: list[str] = []
    merged: dict[str, GradeEntry] = {}
    for index, entry in enumerate(stored):
        merged[_place(entry, merged) or f"\0{index}"] = entry
    for entry in uploaded:
        place = _place(entry, merged)
        before = merged.get(place)
        if entry.is_stale(before):
            stale.append(entry.username)
        kept = {key: value for key, value in before.fields.items() if key != "workflow_state"} if before else {}
        fields = {key: value for key, value in {**kept, **entry.fields}.items() if key != BASED_ON}
        merged[place] = GradeEntry(fields)
    if stale:
        raise ChangedMeanwhile(
            f"grades have changed since this table was made: {some_of(stale)}: export it again", people=stale
        )
    return tuple(merged.values())


def _place(entry: GradeEntry, merged: Mapping[str, GradeEntry]) -> str:
    """The key in `merged` of the person's entry. A user name that is another person's `userid` gets its own key."""
    held = merged.get(entry.person)
    same = held is None or held.username == entry.username or (held.has_userid and entry.has_userid)
    return entry.person if same else f"\0{entry.username}"


def of_person(entries: Iterable[GradeEntry], username: Username) -> GradeEntry | None:
    """The entry of `username` (see `GradeEntry.username`), the last if there are several, None if there is none."""
    found = None
    for entry in entries:
        if entry.username == username:
            found = entry
    return found


class GradesStore(Protocol):
    """What storage promises about grades and feedback."""

    def of(self, assignment: AssignmentName) -> tuple[GradeEntry, ...]:
        """The stored entries in their order; empty if there are none. Raises Unreadable."""
        ...

    def version(self, assignment: AssignmentName) -> str:
        """The version of the stored grades. Raises Unreadable."""
        ...

    def merge(
        self, assignment: AssignmentName, entries: tuple[GradeEntry, ...], event: Event, version: str | None = None
    ) -> int:
        """Merge entries (see `merge`) and record `event` in one transaction; returns how many are stored afterwards.

        Raises ChangedMeanwhile, and changes nothing, if a `version` is given and the stored grades have another.
        """
        ...

    def feedback(self, assignment: AssignmentName, username: Username) -> StoredFile | None:
        """The feedback page of a person, None without one."""
        ...

    def put_feedback(self, assignment: AssignmentName, pages: dict[Username, bytes], event: Event) -> None:
        """Store feedback pages, which replace earlier ones of the same people, and record `event`."""
        ...


class Grades(Struct, frozen=True):
    """The grades and feedback of one course. `everybody` returns the names of all people of the course, `attempts` the
    number of submissions of each person for an assignment.
    """

    store: GradesStore
    clock: Callable[[], int]
    everybody: Callable[[], set[str]]
    attempts: Callable[[AssignmentName], Mapping[str, int]]

    def upload(self, actor: Actor, assignment: Assignment, document: object, version: str | None = None) -> Uploaded:
        """Merge grades. Raises BadRequest, and ChangedMeanwhile if the stored grades do not have the given `version`;
        then nothing is changed.
        """
        entries = parse_upload(document)
        said = counted(sum(each.says_something for each in entries), "grade")
        event = Event(self.clock(), actor.username, "grades", assignment.name, said)
        stored = self.store.merge(assignment.name, self._with_attempts(assignment.name, entries), event, version)
        unknown: set[str] = set()
        with contextlib.suppress(Temporary):  # the grades are stored; only the list of submissions cannot be read now
            unknown = {each.username for each in entries} - self.everybody()
        return Uploaded(stored, len(entries), tuple(sorted(unknown)))

    def confirm(self, actor: Actor, assignment: Assignment, user: Username) -> None:
        """Confirm that a person's grade is also for the latest submission. Raises NotFound without a grade."""
        entry = of_person(self.store.of(assignment.name), user)
        if entry is None or entry.grade is None:
            raise NotFound(f"{user!r} has no grade in {assignment.name!r}")
        attempt = self.attempts(assignment.name).get(user, 0)
        event = Event(
            self.clock(), actor.username, "grades", assignment.name, f"{user}: holds for submission {attempt}"
        )
        self.store.merge(assignment.name, (GradeEntry({**entry.fields, ATTEMPT_KEY: attempt}),), event)

    def _with_attempts(self, assignment: AssignmentName, entries: tuple[GradeEntry, ...]) -> tuple[GradeEntry, ...]:
        """The entries with the attempt that each grades. An entry that changes nothing keeps the attempt of before."""
        attempts: Mapping[str, int] = {}
        with contextlib.suppress(Temporary):  # the list of submissions cannot be read now
            attempts = self.attempts(assignment)
        held = {each.username: each for each in self.store.of(assignment)} if attempts else {}

        def noted(entry: GradeEntry) -> GradeEntry:
            before, attempt = held.get(entry.username), attempts.get(entry.username)
            same = before is not None and (before.grade, before.feedback) == (entry.grade, entry.feedback)
            if entry.grade is None or attempt is None or (same and before and before.graded_attempt is not None):
                return GradeEntry({key: value for key, value in entry.fields.items() if key != ATTEMPT_KEY})
            return GradeEntry({**entry.fields, ATTEMPT_KEY: attempt})

        return tuple(map(noted, entries))

    def of(self, assignment: Assignment) -> tuple[GradeEntry, ...]:
        """Everybody's stored grades, including those that students do not see yet."""
        return self.store.of(assignment.name)

    def version(self, assignment: Assignment) -> str:
        """The version of the stored grades."""
        return self.store.version(assignment.name)

    def upload_feedback(self, actor: Actor, assignment: Assignment, pages: dict[Username, bytes]) -> None:
        event = Event(self.clock(), actor.username, "feedback", assignment.name, counted(len(pages), "page"))
        self.store.put_feedback(assignment.name, pages, event)

    def feedback(self, assignment: Assignment, user: Username) -> StoredFile:
        """Raises NotFound."""
        found = self.store.feedback(assignment.name, user)
        if found is None:
            raise NotFound(f"there is no feedback for {user!r} in {assignment.name!r}")
        return found
