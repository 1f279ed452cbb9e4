"""Rosters: the list of every system is read, all ids are kept, and changes are listed first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mograder.domain.errors import BadRequest
from mograder.domain.roster import MAX_NAME
from mograder.tables.export import Choices, ExportFormat, GradeSheet, StudentGrade, export_grades
from mograder.tables.people import Key, Kind, Member
from mograder.tables.rosters import Renamed, RosterTable, compare_rosters, read_roster, write_roster
from mograder.tables.sheet import read_sheet
from tests.tables import samples
from tests.tables.samples import ADA, BOB, HW1, PEOPLE


def read(text: str) -> RosterTable:
    return read_roster(read_sheet(text.encode()))


ADA_BY_MAIL = "ada@example.org"


@pytest.mark.parametrize(
    ("text", "system", "first"),
    [
        (samples.CANVAS, "a Canvas gradebook", replace(ADA, email="")),
        (samples.WORKSHEET, "a Moodle assignment worksheet", Member(ADA_BY_MAIL, "Ada Lovelace", ADA_BY_MAIL)),
        (samples.WORKSHEET_GERMAN, "a Moodle assignment worksheet", Member(ADA_BY_MAIL, "Ada Lovelace", ADA_BY_MAIL)),
        (samples.GRADEBOOK, "a Moodle gradebook",
         Member(ADA_BY_MAIL, "Ada Lovelace", ADA_BY_MAIL, (), (Key(Kind.STUDENT, "00123"),))),
        (samples.MOODLE_PARTICIPANTS, "a Moodle list",
         Member(ADA_BY_MAIL, "Ada Lovelace", ADA_BY_MAIL, ("Sec 1", "Sec 2"))),
        (samples.GRADESCOPE, "a Gradescope roster",
         Member(ADA_BY_MAIL, "Ada Lovelace", ADA_BY_MAIL, ("Sec 1",), (Key(Kind.STUDENT, "00123"),))),
        (samples.NGSHARE, "an nbgrader roster", Member("ada", "Ada Lovelace", ADA_BY_MAIL)),
        (samples.AUTOLAB, "an Autolab roster", Member(ADA_BY_MAIL, "Ada Lovelace", ADA_BY_MAIL, ("A",))),
        (samples.CLASSROOM50, "a Classroom 50 roster",
         Member("ada", "Ada Lovelace", ADA_BY_MAIL, ("A",), (Key(Kind.GITHUB, "77"),))),
        (samples.GITHUB_CLASSROOM, "a GitHub Classroom roster",
         Member("alice@example.org", "", "alice@example.org", (),
                (Key(Kind.GITHUB, "123"), Key(Kind.GITHUB_NAME, "aliceg")))),
        (samples.OURS, "a list of people",
         Member("ada", "Ada Lovelace", ADA_BY_MAIL, ("Sec 1",), (Key(Kind.STUDENT, "00123"),))),
        ("username\nada\n", "a list of people", Member("ada")),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)  # fmt: skip
def test_the_list_of_every_system_is_read_with_every_id(text: str, system: str, first: Member) -> None:
    found = read(text)
    assert (found.system, found.members[0], found.problems) == (system, first, ())


def test_points_row_and_test_student_of_canvas_are_no_people_and_known_sections_are_split() -> None:
    found = read(samples.CANVAS)
    assert [(each.username, each.sections) for each in found.members] == [
        ("ada", ("Sec 1",)), ("bob", ("Sec 2", "Sec 1")), ("cleo@example.org", ("Sec 2",)),
    ]  # fmt: skip
    one = samples.CANVAS.replace("Sec 2 and Sec 1", "Salt and Pepper")
    assert read(one).members[1].sections == ("Salt and Pepper",)


def test_a_github_classroom_identifier_that_is_no_user_name_becomes_the_display_name() -> None:
    bo = read(samples.GITHUB_CLASSROOM).members[1]
    assert (bo.username, bo.name, bo.id(Kind.GITHUB)) == ("boz", "Bo Z", "124")


def test_staff_is_skipped_with_a_note() -> None:
    found = read(samples.CLASSROOM50)
    assert [each.username for each in found.members] == ["ada"]
    assert found.notes == ("line 3: passed over, as instructor is no student: see 'mograder roster add --role'",)


def test_duplicate_column_names_are_refused_with_both_named() -> None:
    with pytest.raises(BadRequest, match=r"columns 1 \('Username'\) and 2 \('username'\)"):
        read("Username,username,name\nalice,bob,X\n")


def test_every_row_without_a_person_is_reported_and_the_others_are_read() -> None:
    found = read(
        "username,student_id,name\nada,1,A\n,2,B\nx y,3,C\n1.23E+05,4,D\nbob,1.2E+07,E\nADA,9,F\ncleo,5,G,H\nzoe,6,Z\n"
    )
    assert [each.username for each in found.members] == ["ada", "2", "zoe"]
    assert [each.place for each in found.problems] == [f"line {number}" for number in (4, 5, 6, 7, 8)]
    said = [each.reason for each in found.problems]
    assert "'x y' cannot be a user name" in said[0]
    assert "rounded number" in said[1]
    assert "rounded number" in said[2]
    assert said[3] == "'ADA' is in line 2 already, with other details"
    assert "1 cell behind the last column" in said[4]


def test_a_person_listed_once_for_each_section_is_one_person_in_both() -> None:
    found = read("username,section\nada,A\nada,B\nada,A\n")
    assert (found.members, found.problems) == ((Member("ada", sections=("A", "B")),), ())


def test_a_list_without_people_or_columns_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"no column for the person: .* found 'name'"):
        read("name\nAda\n")
    with pytest.raises(BadRequest, match="the list names nobody"):
        read("username\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffEmail address;First name;Last name\r\nada@u.de;Ada;Lovelace\r\n;;\r\n", [("ada@u.de", "Ada Lovelace")]),
        ("Username\tName\n ada \t Ada   Lovelace \n\nbob\t\n", [("ada", "Ada Lovelace"), ("bob", "")]),
        ('name,username\n"Lovelace, Ada",ada\n', [("ada", "Lovelace, Ada")]),
        ("username\nada", [("ada", "")]),
        ("student_id,name\n007,Bond\n", [("007", "Bond")]),
        (f"username,name\nada,{'x' * MAX_NAME}", [("ada", "x" * MAX_NAME)]),
    ],
)
def test_our_own_lists_are_read_in_every_form(text: str, expected: list[tuple[str, str]]) -> None:
    people = read(text).accepted()
    assert [(each.username, each.name) for each in people] == expected
    assert {each.role for each in people} == {"student"}  # an import makes nobody an instructor


@pytest.mark.parametrize(
    ("text", "said"),
    [("username\nada\nal ice\n", "line 3"), ("username,name\nada,A\n,B\n", "line 3: no user name given"),
     ("username\n__instructor__\n", "line 2"), ("username\na.py\n", "line 2"),
     (f"username,name\nada,{'x' * (MAX_NAME + 1)}\n", "line 2: the name of 'ada' is longer than 200 characters")],
)  # fmt: skip
def test_a_list_with_a_mistake_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=f"nobody was added, because of 1 row: {said}"):
        read(text).accepted()


def test_changes_are_listed_before_anything_is_done() -> None:
    old = (ADA, BOB, Member("gone"), Member("dee", "Dee", "dee@example.org"), Member("out"))
    text = (
        "username,name,email,section,student_id\n"
        "ada,Ada Lovelace,,Sec 1,00123\n"  # the same; missing values are kept
        "bob,Robert Noyce,,Sec 3,\n"  # other name and section
        "dee.d,Dee,DEE@example.org,,\n"  # renamed, by address
        "out,,,,\n"  # back
        "eve,Eve,,,\n"
    )
    found = compare_rosters(read(text), old, frozenset({"out"}))
    assert found.same == 1
    assert [each.username for each in found.new] == ["eve"]
    assert [each.username for each in found.back] == ["out"]
    assert [each.username for each in found.gone] == ["gone"]
    assert [(each.old.username, each.new.username) for each in found.renamed] == [("dee", "dee.d")]
    assert found.updated == (Renamed(BOB, Member("bob", "Robert Noyce", BOB.email, ("Sec 3",), BOB.ids)),)


def test_a_user_name_that_is_the_id_of_another_person_is_no_renaming() -> None:
    found = compare_rosters(read("username,student_id\nada,00456\nzed,00456\n"), (ADA, BOB))
    assert [(each.old.username, each.new.username) for each in found.renamed] == [("bob", "zed")]


def test_an_email_address_of_two_people_renames_neither() -> None:
    same_address = (Member("a", email="x@example.org"), Member("b", email="x@example.org"))
    found = compare_rosters(read("username,email\nc,x@example.org\n"), same_address)
    assert (found.renamed, found.new) == ((), ())
    assert "could be any of a, b" in found.problems[0].reason


def test_an_exported_roster_is_imported_without_changes() -> None:
    grades = tuple(StudentGrade(each, "5") for each in PEOPLE)
    for form in (ExportFormat.CSV, ExportFormat.XLSX, ExportFormat.CANVAS):
        content = export_grades(GradeSheet(HW1, 10, grades), form, Choices()).content
        found = compare_rosters(read_roster(read_sheet(content)), PEOPLE)
        assert (found.new, found.gone, found.renamed, found.problems) == ((), (), (), ())


NAMES = st.sampled_from(["ada", "ADA", "bob", "x y", "", "zoe", "ada@example.org", "1E+05"])


@given(rows=st.lists(st.tuples(NAMES, NAMES, st.sampled_from(["", "A", "B"])), min_size=1, max_size=6))
def test_every_row_is_a_person_or_reported_and_importing_twice_changes_nothing(
    rows: list[tuple[str, str, str]],
) -> None:
    text = "username,email,section\n" + "".join(f"{one},{two},{three}\n" for one, two, three in rows)
    try:
        table = read(text)
    except BadRequest:
        return
    assert len({each.username.casefold() for each in table.members}) == len(table.members)
    again = compare_rosters(table, table.members)
    assert (again.new, again.gone, again.renamed, again.updated, again.same) == ((), (), (), (), len(table.members))


def test_two_thousand_people_can_be_compared() -> None:
    text = "username,name,email,section,student_id\n" + "".join(
        f"s{at},N {at},s{at}@x.org,A,{at:08}\n" for at in range(2000)
    )
    members = read(text).members
    assert compare_rosters(read(text), members).same == 2000


def test_a_section_is_read_back_whatever_its_name_contains() -> None:
    names = ("Mon, 9:00", 'the "late" one', "A; B", "plain")
    member = Member.known("alice", "Alice", sections=names)
    (found,) = read_roster(read_sheet(write_roster([member]))).accepted()
    assert found.sections == names
