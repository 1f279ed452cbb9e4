"""Formats: the table of each system is recognised by its columns and read for one assignment without guessing."""

from __future__ import annotations

import pytest

from mograder.domain.errors import BadRequest
from mograder.tables.formats import read_grades
from mograder.tables.grades import GradeRules, GradeTable, check_grades
from mograder.tables.headers import Labels
from mograder.tables.people import Key, Kind
from mograder.tables.sheet import read_sheet
from mograder.tables.workbook import write_workbook
from tests.tables import samples
from tests.tables.samples import HW1, PEOPLE


def read(text: str, labels: Labels = HW1, column: str = "") -> GradeTable:
    return read_grades(read_sheet(text.encode(), "grades.csv"), labels, column)


def stored(text: str, labels: Labels = HW1, column: str = "") -> dict[str, tuple[str | None, str]]:
    """Grade and feedback of each person in the table."""
    found = check_grades(read(text, labels, column), PEOPLE, (), GradeRules(10))
    assert not found.problems
    return {each.username: (each.grade, each.feedback) for each in found.entries}


@pytest.mark.parametrize(
    ("text", "system", "expected"),
    [
        (samples.CANVAS, "a Canvas gradebook", {"ada": ("9.5", ""), "bob": ("EX", "")}),
        (samples.WORKSHEET, "a Moodle assignment worksheet", {"ada": ("9.5", "Well done,\nAda")}),
        (samples.WORKSHEET_GERMAN, "a Moodle assignment worksheet", {"ada": ("9.5", "Prima")}),
        (samples.GRADEBOOK, "a Moodle gradebook", {"ada": ("9.5", "Good")}),
        (samples.GRADESCOPE, "a Gradescope assignment", {"ada": ("9.5", "")}),
        (samples.GRADESCOPE_COURSE, "a Gradescope course", {"ada": ("9.5", "")}),
        (samples.NBGRADER, "nbgrader's export", {"ada": ("9.5", "")}),
        (samples.FEEDBACK_CSV, "a table of grades", {"ada": ("9.5", "Good")}),
        (samples.AUTOGRADE_CSV, "a table of autograde", {"ada": ("9.5", "")}),
        (samples.OURS, "a table of grades", {"ada": ("9.5", "Good")}),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_each_system_s_export_is_recognised_and_read(
    text: str, system: str, expected: dict[str, tuple[str, str]]
) -> None:
    assert read(text).system == system
    assert stored(text) == expected
    as_workbook = write_workbook("x", [list(row) for row in _rows(text)], frozenset())
    again = read_grades(read_sheet(as_workbook, "g.xlsx"), HW1)
    assert (again.system, [row.grade for row in again.rows]) == (system, [row.grade for row in read(text).rows])


def _rows(text: str) -> list[tuple[str, ...]]:
    sheet = read_sheet(text.encode())
    return [sheet.columns, *((*row.cells, *row.surplus) for row in sheet.rows)]


@pytest.mark.parametrize("text", [samples.CANVAS, samples.GRADEBOOK, samples.GRADESCOPE_COURSE])
def test_a_table_of_several_assignments_is_read_for_one_by_name_or_title(text: str) -> None:
    assert stored(text, Labels("x", "HOMEWORK  1"))["ada"][0] == "9.5"
    assert stored(text, Labels("Homework 1"))["ada"][0] == "9.5"
    with pytest.raises(BadRequest, match=r"no column (for|'grade' or) 'hw3': name the column .*Homework 1"):
        read(text, Labels("hw3"))


def test_a_column_named_by_the_user_is_used() -> None:
    assert stored(samples.CANVAS, Labels("other"), "homework 1 (12345)")["ada"] == ("9.5", "")
    with pytest.raises(BadRequest, match="there is no column 'HW9'"):
        read(samples.CANVAS, HW1, "HW9")


@pytest.mark.parametrize(
    "header",
    ["username,Homework 1,hw1", "username,grade,hw1", "username,grade,mark", "username,Homework 1 (1),Homework 1 (2)",
     "username,Quiz: hw1 (Real),Assignment: hw1 (Real)"],
)  # fmt: skip
def test_two_columns_that_could_hold_the_grades_are_refused_with_both_named(header: str) -> None:
    with pytest.raises(BadRequest, match=r"columns 2 .* and 3 .* could both hold the grades of 'Homework 1'"):
        read(f"{header}\nada,1,2\n")


@pytest.mark.parametrize("column", ["hw10", "Resubmission: hw1", "hw1 (bonus)", "my hw1", "hw1 - Max Points"])
def test_a_column_with_only_a_similar_name_is_not_used(column: str) -> None:
    with pytest.raises(BadRequest, match="no column"):
        read(f"username,{column}\nada,1\n")


def test_duplicate_column_names_in_reports_about_users_are_refused() -> None:
    with pytest.raises(BadRequest, match=r"columns 2 \('grade'\) and 3 \('Grade'\)"):
        read("username,grade,Grade\r\nalice,5,1\r\n")
    with pytest.raises(BadRequest, match="have the same name"):
        read("username,grade,note,Note\nada,5,1,2\n")


def test_duplicate_columns_that_are_not_read_are_ignored() -> None:
    assert stored("username,hw1,quiz,quiz\nada,5,1,2\n") == {"ada": ("5", "")}


def test_a_table_without_a_column_of_people_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"no column for the person: .* found 'wer', 'grade'"):
        read("wer,grade\nada,5\n")


def test_a_row_with_too_many_cells_is_reported_and_not_misread() -> None:
    found = read("username,feedback,grade\nada,well done, ada,5\nbob,x,4\n")
    assert found.rows[0].problem.startswith("1 cell behind the last column")
    assert found.rows[1].problem == ""


def test_the_points_stated_in_a_table_are_kept() -> None:
    texts = (samples.CANVAS, samples.WORKSHEET, samples.WORKSHEET_GERMAN, samples.GRADESCOPE,
             samples.GRADESCOPE_COURSE, samples.NBGRADER)  # fmt: skip
    assert [read(text).maximum for text in texts] == [10.0] * 6


def test_the_test_student_and_the_points_row_of_canvas_are_no_people() -> None:
    found = read(samples.CANVAS)
    assert len(found.rows) == 3
    assert found.notes == ("Canvas' test student was passed over",)


def test_canvas_variants_are_recognised() -> None:
    text = (
        "LastName,FirstName,ID,SIS User ID,SIS Login ID,Integration ID,Root Account,Section,Notes,Homework 1 (7)\n"
        "    Points Possible,,,,,,,,,10\nLovelace,Ada,987,00123,ada,,canvas.example.org,Sec 1,,8\n"
    )
    assert stored(text) == {"ada": ("8", "")}
    assert stored("Student,ID,Section,Homework 1 (7)\n    Points Possible,,,10\nAda,987,Sec 1,8\n") == {
        "ada": ("8", "")
    }


def test_a_worksheet_without_email_addresses_is_matched_by_participant_number() -> None:
    row = read("Identifier,Status,Grade,Maximum Grade,Last modified (grade)\nParticipant 41,x,5,10,-\n").rows[0]
    assert row.keys == (Key(Kind.MOODLE, "41"),)


def test_unquoted_names_in_nbgrader_tables_do_not_shift_the_score() -> None:
    assert read(samples.NBGRADER).rows[0].grade == "9.5"
    broken = read(samples.NBGRADER.replace("10.0\nhw1,,,bob", "ten\nhw1,,,bob"))
    assert broken.rows[0].problem.startswith("1 cell behind")
    with pytest.raises(BadRequest, match="nothing about 'hw7': it is about 'hw1', 'hw2'"):
        read(samples.NBGRADER, Labels("hw7"))


def test_unknown_columns_of_our_own_tables_are_kept_unless_they_are_about_people() -> None:
    others = dict(
        read("userid,username,name,section,grade,tutor,workflow_state\n7,ada,Ada,A,5,'=1+1,draft\n").rows[0].others
    )
    assert others == {"userid": "7", "tutor": "=1+1", "workflow_state": "draft"}


def test_an_assumed_encoding_is_reported() -> None:
    found = read_grades(read_sheet("username,grade,feedback\nada,5,na\xefve\n".encode("latin-1")), HW1)
    assert found.notes == ("the file does not say its encoding: windows-1252 was assumed, check the letters",)
    assert found.rows[0].feedback == "naïve"
