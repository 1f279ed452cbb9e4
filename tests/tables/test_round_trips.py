"""Round trips through files exactly as each system writes and reads them: rosters, then grades."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.tables.export import Choices, ExportFormat, GradeSheet, Question, StudentGrade
from mograder.tables.filling import fill_template
from mograder.tables.formats import read_grades
from mograder.tables.grades import GradeChanges, GradeRules, check_grades
from mograder.tables.people import Key, Kind, Member
from mograder.tables.rosters import compare_rosters, read_roster, write_roster
from mograder.tables.sheet import Sheet, read_sheet
from tests.tables.samples import HW1

HOSTILE = (
    "=cmd|' /C calc'!A0",
    "\u202eevil",
    "two\nlines",
    "<script>alert(1)</script>",
    'a "b", c',
    "+1",
    "עברית",
    "Ö",
)
LETTERS = st.text(st.characters(codec="utf-8", categories=["L", "Nd", "P", "S"]), min_size=1, max_size=6)
WORDS = st.sampled_from(HOSTILE) | LETTERS


@dataclass(frozen=True)
class Someone:
    """A person as the other system knows them."""

    number: int
    first: str
    last: str
    section: str

    @property
    def username(self) -> str:
        return f"user{self.number}"

    @property
    def email(self) -> str:
        return f"User{self.number}@example.org"

    @property
    def student_id(self) -> str:
        return f"00{self.number}7"


@st.composite
def classes(draw: st.DrawFn) -> list[Someone]:
    drawn = draw(st.lists(st.tuples(WORDS, WORDS, st.sampled_from(["", "Sec 1", "Sec 2"])), min_size=1, max_size=4))
    return [Someone(number, *each) for number, each in enumerate(drawn)]


def written(rows: Sequence[Sequence[str]], bom: bool = False, ends: str = "\r\n") -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator=ends).writerows(rows)
    return target.getvalue().encode("utf-8-sig" if bom else "utf-8")


def canvas(people: Sequence[Someone]) -> bytes:
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 1 (12345)", "HW2 (9)", "Final Score"]
    rows = [header, ["    Points Possible", "", "", "", "", "10", "20", "(read only)"]]
    rows += [
        [f"{each.last.replace(',', ' ')}, {each.first}", f"9{each.number}", each.student_id, each.username,
         each.section, "", "3", "50"]
        for each in people
    ]  # fmt: skip
    return written(rows, bom=True)


def moodle(people: Sequence[Someone]) -> bytes:
    header = [
        "First name", "Last name", "ID number", "Email address", "Groups", "Assignment: Homework 1 (Real)", "Q1",
        "Assignment: Homework 1 (Feedback)", "Course total (Real)", "Last downloaded from this course",
    ]  # fmt: skip
    rows = [
        [each.first, each.last, each.student_id, each.email, each.section, "-", "", "", "-", "1773144000"]
        for each in people
    ]
    return written([header, *rows], ends="\n")


def worksheet(people: Sequence[Someone]) -> bytes:
    header = [
        "Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Grade can be changed",
        "Last modified (submission)", "Last modified (grade)", "Feedback comments",
    ]  # fmt: skip
    rows = [
        [f"Participant {70 + each.number}", f"{each.first} {each.last}", each.email, "No submission - ", "", "10.00",
         "Yes", "-", "-", ""]
        for each in people
    ]  # fmt: skip
    return written([header, *rows], bom=True)


def gradescope(people: Sequence[Someone]) -> bytes:
    header = [
        "First Name", "Last Name", "SID", "Email", "Sections", "Total Score", "Max Points", "Status", "Submission ID",
        "Submission Time", "Lateness (H:M:S)", "View Count", "Submission Count", "1: Q1 (5.0 pts)",
    ]  # fmt: skip
    rows = [
        [each.first, each.last, each.student_id, each.email, each.section, "", "10.0", "Ungraded", "", "", "", "", "",
         ""]
        for each in people
    ]  # fmt: skip
    return written([header, *rows], ends="\n")


SYSTEMS = {
    ExportFormat.CANVAS: canvas, ExportFormat.MOODLE: moodle, ExportFormat.MOODLE_WORKSHEET: worksheet,
    ExportFormat.GRADESCOPE: gradescope,
}  # fmt: skip
Writer = Callable[[Sequence[Someone]], bytes]


@pytest.mark.parametrize(("form", "write"), SYSTEMS.items(), ids=[each.value for each in SYSTEMS])
@given(people=classes(), data=st.data())
def test_a_roster_is_imported_from_a_system_and_its_grades_are_exported_back(
    form: ExportFormat, write: Writer, people: list[Someone], data: st.DataObject
) -> None:
    content = write(people)
    found = read_roster(read_sheet(content))
    assert found.problems == ()
    members = [Member.known(each.username, each.name, each.email, each.sections, each.ids) for each in found.accepted()]
    for each, member in zip(people, members, strict=True):
        assert member.username == (each.username if form is ExportFormat.CANVAS else each.email)
        assert form is ExportFormat.MOODLE_WORKSHEET or member.id(Kind.STUDENT) == each.student_id
        assert form is ExportFormat.MOODLE_WORKSHEET or member.sections == ((each.section,) if each.section else ())
        assert form is not ExportFormat.CANVAS or member.id(Kind.CANVAS) == f"9{each.number}"

    # Our export of the roster is the same roster; so is a second export of the other system.
    for again in (write_roster(members), content):
        changes = compare_rosters(read_roster(read_sheet(again)), members)
        assert (changes.same, changes.problems) == (len(members), ())

    marks = data.draw(st.lists(st.none() | st.integers(0, 40), min_size=len(members), max_size=len(members)))
    grades = [StudentGrade(member) if mark is None else _graded(member, mark)
              for member, mark in zip(members, marks, strict=True)]  # fmt: skip
    sheet = GradeSheet(HW1, 10, tuple(grades), (Question("Q1", 5),))
    filled = fill_template(sheet, form, Choices(), content).content
    _only_ours_changed(read_sheet(content), read_sheet(filled), form)
    taken = check_grades(read_grades(read_sheet(filled), HW1), members, (), GradeRules(10))
    assert taken.problems == ()
    back = {entry.username: entry for entry in taken.entries}
    assert set(back) == {each.member.username for each in grades if each.grade is not None}
    for each in grades:
        if each.member.username in back:
            entry = back[each.member.username]
            assert float(entry.grade or "-1") == float(each.grade or "-2")
            assert form in (ExportFormat.CANVAS, ExportFormat.GRADESCOPE) or entry.feedback == each.feedback


def _graded(member: Member, quarters: int) -> StudentGrade:
    """A grade with quarters of a point, hostile feedback for some, and half the points in one question."""
    return StudentGrade(
        member, f"{quarters / 4:g}", feedback=HOSTILE[quarters % 8], questions=(("Q1", f"{quarters / 8:g}"),)
    )


OURS = ("Homework 1", "Grade", "Feedback comments", "Total Score", "Q1")


def _only_ours_changed(before: Sheet, after: Sheet, form: ExportFormat) -> None:
    assert before.columns == after.columns
    for old, new in zip(before.rows, after.rows, strict=True):
        for column, left, right in zip(before.columns, old.cells, new.cells, strict=True):
            assert left == right or any(name in column for name in OURS), (form, column)


def test_a_table_of_two_thousand_people_with_hostile_names_is_exported_and_imported_unchanged() -> None:
    people = [Someone(at, HOSTILE[at % 8], HOSTILE[at // 8 % 8], f"Sec {at % 3}") for at in range(2000)]
    for form, write in ((ExportFormat.CANVAS, canvas), (ExportFormat.MOODLE_WORKSHEET, worksheet)):
        members = read_roster(read_sheet(write(people))).members
        assert len(members) == 2000
        sheet = GradeSheet(HW1, 10, tuple(StudentGrade(each, "7.5") for each in members))
        filled = fill_template(sheet, form, Choices(), write(people))
        taken = check_grades(read_grades(read_sheet(filled.content), HW1), members, (), GradeRules(10))
        assert (len(taken.entries), taken.problems) == (2000, ())


def test_ids_of_every_kind_find_the_person_and_a_damaged_one_is_reported() -> None:
    ids = (Key(Kind.STUDENT, "001234567890123456"), Key(Kind.CANVAS, "987"), Key(Kind.GITHUB, "4711"))
    members = [Member("ada", ids=ids), Member("bob", ids=(Key(Kind.STUDENT, "0042"),))]

    def check(table: str) -> GradeChanges:
        return check_grades(read_grades(read_sheet(table.encode()), HW1), members, (), GradeRules(10))

    for column, value, who in (
        ("SIS User ID", "001234567890123456", "ada"), ("canvas_id", "987", "ada"), ("github_id", "4711", "ada"),
        ("id number", "0042", "bob"),
    ):  # fmt: skip
        found = check_grades(
            read_grades(read_sheet(f"{column},grade\n{value},5\n".encode()), HW1), members, (), GradeRules(10)
        )
        assert [each.username for each in found.entries] == [who]
    for mangled in ("1.23457E+15", "42", "1234567890123450"):
        found = check_grades(
            read_grades(read_sheet(f"id number,grade\n{mangled},5\n".encode()), HW1), members, (), GradeRules(10)
        )
        assert found.entries == ()
        assert found.problems[0].place == "line 2"
