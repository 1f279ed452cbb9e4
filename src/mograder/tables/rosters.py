"""Lists of people as other systems export them, and what they would change. Every id is kept, no match is guessed."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mograder.domain.errors import BadName, BadRequest
from mograder.domain.names import Username, parse_new_username, printable
from mograder.domain.roster import Person, merged_ids
from mograder.tables import formats, headers
from mograder.tables.cells import mangled, normal, restore
from mograder.tables.export import to_csv
from mograder.tables.formats import surplus_problem
from mograder.tables.grades import Problem, Trouble, listed_problems
from mograder.tables.headers import NameColumns, turned
from mograder.tables.people import Key, Kind, Member, People
from mograder.tables.sheet import Row, Sheet

_USERNAMES = (
    "username", "user name", "user", "sis login id", "login id", "login", "anmeldename", "student_id", "student id",
    *headers.EMAILS, "student",
)  # fmt: skip
"""Columns of the user name. In each row the first one that is not empty counts: login names first, then e-mail."""

_GITHUB_USERNAMES = ("identifier", "github_username")
"""As _USERNAMES. An instructor types anything as GitHub Classroom's identifier; it counts if it can be a user name."""

_IDS = (
    (Kind.STUDENT, ("sis user id", "id number", "sid", "idnumber", "student number", "student_id", "student id",
                    "id-nummer", "matrikelnummer")),
    (Kind.CANVAS, ("canvas_id", "canvas id")),
    (Kind.GITHUB, ("github_id",)),
    (Kind.GITHUB_NAME, ("github_username",)),
    (Kind.INTEGRATION, ("integration id", "integration_id")),
)  # fmt: skip
_STAFF = frozenset({
    "instructor", "teacher", "ta", "teaching assistant", "grader", "reader", "designer", "observer", "admin", "owner",
    "tutor", "non-editing teacher", "manager", "staff", "dozent", "trainer", "trainer/in",
})  # fmt: skip
_TEST_STUDENT = "student, test"
_COMMAS = re.compile(r"\s*[,;]\s*")
_SENTENCE = re.compile(r",? and |, ")


class RosterTable(Struct, frozen=True):
    """The people of a list. `system` says whose it is, `problems` which rows name nobody, `notes` what else to know."""

    system: str
    members: tuple[Member, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def accepted(self) -> tuple[Person, ...]:
        """The people to put on the roster. Raises BadRequest naming the rows when there are problems."""
        if self.problems:
            raise BadRequest(f"nobody was added, because of {listed_problems(self.problems)}")
        return tuple(each.person for each in self.members)


class Renamed(Struct, frozen=True):
    """Somebody who is in the course under another user name: the e-mail address or an id is the same."""

    old: Member
    new: Member


class RosterChanges(Struct, frozen=True):
    """What a list would change, before anything is done.

    `updated` are people whose name, e-mail address, sections or ids would change. `back` were removed and are in the
    list again; `gone` are in the course and not in the list.
    """

    new: tuple[Member, ...] = ()
    back: tuple[Member, ...] = ()
    updated: tuple[Renamed, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    gone: tuple[Member, ...] = ()
    same: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def people(self) -> tuple[Person, ...]:
        """The people to put on the roster as the list has them; renamed ones keep their user name and their work.

        Raises BadRequest naming the rows when there are problems.
        """
        if self.problems:
            raise BadRequest(f"nobody was added, because of {listed_problems(self.problems)}")
        renamed = [_merged(each.old, each.new) for each in self.renamed]
        return tuple(each.person for each in (*self.new, *(each.new for each in self.updated), *renamed))


def read_roster(sheet: Sheet) -> RosterTable:
    """The people of a list of any known system, all of them students; staff is passed over, with a note.

    Raises BadRequest when no column says who people are, or two columns have one name.
    """
    columns = _Columns.of(sheet)
    members: dict[str, tuple[str, Member]] = {}
    problems, notes = [], []
    for row in columns.people(sheet):
        if staff := columns.staff(row):
            notes.append(f"{row.place}: passed over, as {staff} is no student: see 'mograder roster add --role'")
            continue
        try:
            member = columns.member(row)
        except (BadName, BadRequest) as error:
            problems.append(Problem(row.place, Trouble.ROW, error.message))
            continue
        place, before = members.setdefault(Username(member.username).key, (row.place, member))
        if replace(before, sections=()) != replace(member, sections=()):
            reason = f"{printable(member.username)!r} is in {place} already, with other details"
            problems.append(Problem(row.place, Trouble.DUPLICATE, reason))
        else:  # once for each section, as some systems list people
            sections = tuple(dict.fromkeys((*before.sections, *member.sections)))
            members[Username(member.username).key] = (place, replace(before, sections=sections))
    if not members and not problems:
        raise BadRequest("the list names nobody")
    if sheet.assumed:
        notes.insert(0, f"the file does not say its encoding: {sheet.assumed} was assumed, check the names")
    found = tuple(member for _, member in members.values())
    return RosterTable(columns.system, found, tuple(problems), tuple(notes))


class _Columns(Struct, frozen=True):
    """Where in a list people's details are."""

    system: str
    usernames: tuple[int, ...]
    emails: tuple[int, ...]
    ids: tuple[tuple[Kind, int], ...]
    names: NameColumns
    student: int | None  # Canvas' name of a person
    sections: int | None
    alone: frozenset[str]  # sections that are alone in some row
    role: int | None

    @classmethod
    def of(cls, sheet: Sheet) -> _Columns:
        canvas = formats.format_of(sheet).system == _CANVAS
        github = sheet.has(*_GITHUB_USERNAMES)
        # Canvas has people's names under "Student".
        names = ("sis login id",) if canvas else _GITHUB_USERNAMES if github else _USERNAMES
        usernames = _present(sheet, names)
        if not usernames:
            raise BadRequest(
                "the list has no column for the person: expected one of username, student_id, email, "
                f"found {headers.column_names(sheet)}"
            )
        ids = [(kind, at) for kind, names in _IDS for at in _present(sheet, names)]
        if canvas and (own := sheet.find("ID")) is not None:
            ids.append((Kind.CANVAS, own))
        sections = sheet.find(*headers.SECTIONS)
        cells = {row.cells[sections].strip() for row in sheet.rows} if sections is not None else set()
        return cls(
            _system(sheet), usernames, _present(sheet, headers.EMAILS), tuple(ids), NameColumns.of(sheet),
            sheet.find("Student") if canvas else None, sections, frozenset(cells), sheet.find("role", "roles"),
        )  # fmt: skip

    def people(self, sheet: Sheet) -> Iterable[Row]:
        """The rows about people: not Canvas' points and test student."""
        for row in sheet.rows:
            if self.system == _CANVAS:
                known = [_cell(row, at) for at in (*self.usernames, *(at for _, at in self.ids))]
                if not any(known) or normal(row.cells[0]) == _TEST_STUDENT:
                    continue
            yield row

    def staff(self, row: Row) -> str:
        """What kind of staff the person is, "" for a student."""
        role = _cell(row, self.role)
        return role if normal(role) in _STAFF else ""

    def member(self, row: Row) -> Member:
        """The person in a row. Raises BadName or BadRequest."""
        if problem := surplus_problem(row):
            raise BadRequest(problem)
        candidates = [text for at in self.usernames if (text := _cell(row, at))]
        username = next(iter(candidates), "")
        if self.system == _GITHUB_CLASSROOM:
            username = next(filter(_can_be_username, candidates), username)
        ids = [Key(kind, text) for kind, at in self.ids if (text := _cell(row, at)) and text != username]
        for text in (username, *(each.value for each in ids)):
            if problem := mangled(text, frozenset()):
                raise BadRequest(f"{printable(text)!r}: {problem}")
        name = turned(_cell(row, self.student)) or self.names.read(row)
        if not name and candidates and candidates[0] != username:
            name = candidates[0]
        person = Person.parse(username, name)
        email = next((text for at in self.emails if (text := _cell(row, at))), "")
        if not email and "@" in person.username:
            email = str(person.username)
        return Member(str(person.username), person.name, email, self._sections(row), tuple(dict.fromkeys(ids)))

    def _sections(self, row: Row) -> tuple[str, ...]:
        text = _cell(row, self.sections)
        if self.system != _CANVAS:
            listed = next(csv.reader([text], skipinitialspace=True), []) if '"' in text else _COMMAS.split(text)
            return tuple(part.strip() for part in listed if part.strip())
        # A section's own name may have "and" in it: a text is split only into names that are alone in some row.
        parts = tuple(part.strip() for part in _SENTENCE.split(text))
        return parts if len(parts) > 1 and self.alone.issuperset(parts) else (text,) if text else ()


_CANVAS = "a Canvas gradebook"
_GITHUB_CLASSROOM = "a GitHub Classroom roster"


def _can_be_username(text: str) -> bool:
    try:
        parse_new_username(text)
    except BadName:
        return False
    return True


def _system(sheet: Sheet) -> str:
    """The system that wrote the list, for messages. Only those of Canvas and GitHub Classroom have own rules."""
    known = (
        (_GITHUB_USERNAMES, _GITHUB_CLASSROOM),
        (("semester", "courselecture"), "an Autolab roster"),
        (("username", "github_id", "role"), "a Classroom 50 roster"),
        (("sid", "email"), "a Gradescope roster"),
        (("student_id", "first_name", "last_name"), "an nbgrader roster"),
    )
    found = formats.format_of(sheet).system
    by_columns = next((system for columns, system in known if sheet.has(*columns)), "")
    if found.startswith(("a Canvas", "a Moodle")) and not by_columns:
        return found
    return by_columns or ("a Moodle list" if sheet.has("email address") else "a list of people")


def write_roster(members: Iterable[Member]) -> bytes:
    """People as a table that `read_roster` reads, in UTF-8 CSV: with names, e-mail addresses, sections and ids."""
    kinds = (Kind.STUDENT, Kind.CANVAS, Kind.INTEGRATION, Kind.GITHUB, Kind.GITHUB_NAME)
    rows: list[Sequence[str]] = [("username", "name", "email", "sections", *(kind.value for kind in kinds))]
    rows += (
        (each.username, each.name, each.email, _listed(each.sections), *(each.id(kind) for kind in kinds))
        for each in members
    )
    return to_csv(rows)


def _listed(sections: Iterable[str]) -> str:
    """Names with commas between them; one that has a comma, a semicolon or a quote in it is quoted."""
    return ", ".join('"' + each.replace('"', '""') + '"' if re.search('[,;"]', each) else each for each in sections)


def _present(sheet: Sheet, names: Iterable[str]) -> tuple[int, ...]:
    return tuple(at for name in names if (at := sheet.find(name)) is not None)


def _cell(row: Row, at: int | None) -> str:
    return restore(row.cells[at].strip()) if at is not None else ""


def compare_rosters(
    table: RosterTable, members: Sequence[Member], removed: frozenset[str] = frozenset(),
    staff: frozenset[str] = frozenset(),
) -> RosterChanges:  # fmt: skip
    """What the list would change in a course of these `members`. `removed` are user names of people who were removed,
    `staff` those of people who are not gone, although no list of students has them.

    Somebody whose user name is new and whose e-mail address or id is known counts as renamed, not as new.
    """
    by_name = {Username(each.username).key: each for each in members}
    listed = {Username(each.username).key for each in table.members}
    # Members who are in the list under their own name cannot have been renamed.
    others = People(each for each in members if Username(each.username).key not in listed)
    new, back, updated, renamed, same = [], [], [], list[Renamed](), 0
    problems, out = [], {Username(each).key for each in removed}
    for each in table.members:
        key = Username(each.username).key
        old = by_name.get(key)
        if key in out:
            back.append(each)
        elif old is not None:
            merged = _merged(old, each)
            same += merged == old
            if merged != old:
                updated.append(Renamed(old, merged))
        else:
            match = others.match(_identity(each))
            if match.ambiguous:
                problems.append(Problem(each.username, Trouble.AMBIGUOUS, match.problem))
            elif match.member is not None:
                renamed.append(Renamed(match.member, each))
            else:
                new.append(each)
    kept = {*listed, *(Username(each.old.username).key for each in renamed), *out}
    gone = tuple(each for key, each in by_name.items() if key not in kept and each.username not in staff)
    return RosterChanges(
        tuple(new), tuple(back), tuple(updated), tuple(renamed), gone, same, (*table.problems, *problems)
    )


def _identity(member: Member) -> tuple[Key, ...]:
    """The keys that stay when a user name changes; a GitHub name is chosen freely and does not count."""
    ids = [each for each in member.ids if each.kind in (Kind.STUDENT, Kind.CANVAS, Kind.GITHUB, Kind.INTEGRATION)]
    return (Key(Kind.EMAIL, member.email), *ids)


def _merged(old: Member, new: Member) -> Member:
    """The member with the details of the list; details that it does not have stay, also ids of other systems."""
    ids = merged_ids(old.ids, new.ids)
    return Member(old.username, new.name or old.name, new.email or old.email, new.sections or old.sections, ids)
