"""A table of grades, and what it would change. Invariant: every row is a change, changes nothing, or is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from mograder.domain.errors import BadRequest
from mograder.domain.grades import PENALISED, PENALTY, RAW, GradeEntry
from mograder.domain.names import counted, printable
from mograder.tables.cells import Grade, as_number, parse_grade
from mograder.tables.people import Key, Kind, Member, People

NAMED = 10
"""The most problems that a message names."""


class GradeRow(Struct, frozen=True):
    """One row of a table, unchanged. `keys` say who it is about, `grade` is the cell, `others` are other cells to keep.
    `problem` says why the row as a whole cannot be read, "" if it can.
    """

    place: str
    keys: tuple[Key, ...]
    grade: str = ""
    feedback: str = ""
    others: tuple[tuple[str, str], ...] = ()
    problem: str = ""


class GradeTable(Struct, frozen=True):
    """The grades that a file has for one assignment. `system` says whose table it is.

    `maximum` is the points that the table is out of, None if it does not say. `notes` are what a person should know.
    `grade_column` and `feedback_column` are the places of the columns that were read, None where there is none.
    """

    system: str
    rows: tuple[GradeRow, ...]
    maximum: float | None = None
    notes: tuple[str, ...] = ()
    grade_column: int | None = None
    feedback_column: int | None = None


class GradeRules(Struct, frozen=True):
    """What an assignment allows. `maximum` is its points, None when it does not say.

    With `empty_clears` an empty cell removes a stored grade; otherwise it changes nothing.
    """

    maximum: float | None = None
    allow_above: bool = False
    allow_text: bool = False
    empty_clears: bool = False


class Trouble(StrEnum):
    """Why a row cannot be written."""

    ROW = "row"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    DUPLICATE = "duplicate"
    UNREADABLE = "unreadable"
    RANGE = "range"
    CHANGED = "changed"


class Problem(Struct, frozen=True):
    """A row that is left out, with its place and the reason."""

    place: str
    trouble: Trouble
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def listed_problems(problems: Sequence[Problem]) -> str:
    """How many there are, and the first NAMED of them, on one line."""
    more = len(problems) - NAMED
    shown = [*map(str, problems[:NAMED]), *([f"and {more} more"] if more > 0 else [])]
    return f"{counted(len(problems), 'row')}: {'; '.join(shown)}"


class GradeChange(Struct, frozen=True):
    """What a row does to one person's grade; None is no grade. `releases` says that the student then sees it."""

    place: str
    person: str
    old: str | None
    new: str | None
    old_feedback: str = ""
    new_feedback: str = ""
    releases: bool = False


class GradeChanges(Struct, frozen=True):
    """What a table would change, before anything is written.

    `entries` are to be stored: one for every row that is understood, also if it changes nothing. `same` is how many of
    them change nothing, `empty` how many rows have neither grade nor feedback.
    """

    changes: tuple[GradeChange, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    entries: tuple[GradeEntry, ...] = ()
    same: int = 0
    empty: int = 0

    def accepted(self) -> tuple[GradeEntry, ...]:
        """What to store. Raises BadRequest when there are problems."""
        if self.problems:
            raise BadRequest(f"nothing was written, because of {listed_problems(self.problems)}")
        return self.entries


class _Checking(Struct):
    """What has been found so far."""

    rules: GradeRules
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    empty: int = 0
    strangers: int = 0

    def refuse(self, row: GradeRow, trouble: Trouble, reason: str) -> None:
        self.problems.append(Problem(row.place, trouble, reason))


def check_grades(
    table: GradeTable, members: Iterable[Member], stored: Sequence[GradeEntry], rules: GradeRules
) -> GradeChanges:
    """Each change that the table makes to what is `stored`, and each row that cannot be written, with the reason.

    Rows without grade and feedback change nothing, unless `rules` say that they clear.
    """
    checking = _Checking(rules, notes=list(table.notes))
    if table.maximum is not None and rules.maximum is not None and table.maximum != rules.maximum:
        checking.notes.append(
            f"the table is out of {table.maximum:g} points, the assignment out of {rules.maximum:g}: "
            "grades are taken as they stand"
        )
    maximum = rules.maximum if rules.maximum is not None else table.maximum
    people = People([*_with_userids(members, stored)])
    found = _once(checking, _matched(checking, table, people, maximum))
    by_person = {entry.username: entry for entry in stored}
    changes, entries = [], []
    for row, member, grade in found:
        old = by_person.get(member.username, GradeEntry({}))
        new = _entry(row, member, grade, old, rules.empty_clears)
        if new.is_stale(by_person.get(member.username)):
            now = "nothing" if old.grade is None else old.grade
            checking.refuse(row, Trouble.CHANGED, f"{member.username}: {now} is stored since this table was made, and "
                            f"the row says {new.grade or 'nothing'}")  # fmt: skip
            continue
        entries.append(new)
        if change := _change(row, member, old, new):
            changes.append(change)
    if checking.strangers:
        rows = counted(checking.strangers, "row")
        checking.notes.append(f"{rows} without a grade about people who are not in the course: passed over")
    order = {row.place: at for at, row in enumerate(table.rows)}
    checking.problems.sort(key=lambda each: order[each.place])
    return GradeChanges(
        tuple(changes), tuple(checking.problems), tuple(checking.notes), tuple(entries),
        len(entries) - len(changes), checking.empty,
    )  # fmt: skip


def _with_userids(members: Iterable[Member], stored: Sequence[GradeEntry]) -> Iterator[Member]:
    """The members, with the numbers that earlier uploads had for them, and everybody else who has a grade."""
    numbers = {each.username: str(each.fields["userid"]) for each in stored if each.has_userid}
    left = {each.username: Member(each.username) for each in stored if each.username}
    for member in members:
        left.pop(member.username, None)
        yield _numbered(member, numbers)
    for member in left.values():
        yield _numbered(member, numbers)


def _numbered(member: Member, numbers: Mapping[str, str]) -> Member:
    number = numbers.get(member.username)
    return replace(member, ids=(*member.ids, Key(Kind.USERID, number))) if number else member


_Found = tuple[GradeRow, Member, Grade]


def _matched(checking: _Checking, table: GradeTable, people: People, maximum: float | None) -> list[_Found]:
    """The rows whose person is known and whose grade is understood; duplicates are still among them."""
    found = []
    for row in table.rows:
        if row.problem:
            checking.refuse(row, Trouble.ROW, row.problem)
            continue
        grade = parse_grade(row.grade, maximum, checking.rules.allow_text)
        silent = not (grade.text or grade.problem or row.feedback.strip())
        match = people.match(row.keys)
        if silent and (match.member is None or not checking.rules.empty_clears):
            checking.empty += 1
            checking.strangers += match.member is None
        elif match.member is None:
            checking.refuse(row, Trouble.AMBIGUOUS if match.ambiguous else Trouble.UNKNOWN, match.problem)
        else:
            found.append((row, match.member, grade))
    return found


def _once(checking: _Checking, found: list[_Found]) -> list[_Found]:
    """The rows of people with one row whose grade can be stored. Of two rows about a person neither is taken."""
    rows: dict[str, list[GradeRow]] = {}
    for row, member, _ in found:
        rows.setdefault(member.username, []).append(row)
    kept = []
    for row, member, grade in found:
        others = [other.place for other in rows[member.username] if other is not row]
        if others:
            checking.refuse(row, Trouble.DUPLICATE, f"{member.username!r} is in {', '.join(others[:NAMED])}, too")
        elif grade.problem:
            shown = printable(row.grade.strip(), 40)
            checking.refuse(row, Trouble.UNREADABLE, f"{member.username}: {shown!r} is no grade: {grade.problem}")
        elif reason := out_of_range(grade.value, checking.rules):
            checking.refuse(row, Trouble.RANGE, f"{member.username}: {grade.text} is {reason}")
        else:
            kept.append((row, member, grade))
    return kept


def out_of_range(value: Decimal | None, rules: GradeRules) -> str:
    """Why the assignment does not allow the points, "" when it does."""
    if value is None:
        return ""
    if value < 0:
        return "less than 0"
    if rules.maximum is not None and value > Decimal(str(rules.maximum)) and not rules.allow_above:
        return f"more than the {rules.maximum:g} points of the assignment"
    return ""


def _entry(row: GradeRow, member: Member, grade: Grade, old: GradeEntry, empty_clears: bool) -> GradeEntry:
    """The entry to store for a row: always under the user name, and in place of the same person's entry."""
    fields: dict[str, object] = dict(row.others)
    if old.has_userid:
        fields["userid"] = old.fields["userid"]
    fields["username"] = member.username
    if grade.text or empty_clears:
        given = grade.text
        raw = str(old.fields.get(RAW) or "")
        if raw and same_grade(raw, given):  # the table has the grade before the penalty
            given = old.grade or ""
        elif raw:
            fields = {**dict.fromkeys((RAW, PENALTY, PENALISED), ""), **fields}
        fields["grade"] = given
        if "mark" in old.fields:  # it would show in place of an empty grade
            fields["mark"] = given
    if row.feedback.strip() or empty_clears:
        fields["feedback"] = row.feedback
    return GradeEntry(fields)


def _change(row: GradeRow, member: Member, old: GradeEntry, new: GradeEntry) -> GradeChange | None:
    after = new.grade if "grade" in new.fields else old.grade
    feedback = new.feedback if "feedback" in new.fields else old.feedback
    releases = new.visible and not old.visible
    if same_grade(old.grade, after) and feedback == old.feedback and not releases:
        return None
    return GradeChange(row.place, member.username, old.grade, after, old.feedback, feedback, releases)


def same_grade(old: str | None, new: str | None) -> bool:
    """Whether two grades are the same: 9.50 and 9.5 are."""
    if old is None or new is None or old == new:
        return old == new
    before, after = as_number(old), as_number(new)
    return before is not None and before == after
