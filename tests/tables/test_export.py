"""Exports: new tables for other systems; a missing grade is never 0, and no cell is executed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mograder.domain.errors import BadRequest
from mograder.domain.grades import parse_upload
from mograder.tables.cells import is_formula
from mograder.tables.export import Choices, ExportFormat, GradeSheet, Question, StudentGrade, export_grades
from mograder.tables.formats import read_grades
from mograder.tables.grades import GradeRules, check_grades
from mograder.tables.people import Key, Kind, Member
from mograder.tables.sheet import read_sheet
from tests.tables.samples import ADA, BOB, CLEO, HW1

GRADES = GradeSheet(
    HW1,
    10,
    (
        StudentGrade(
            ADA, "9.5", "9.03", "Good", (("Q1", "5"), ("Q2", "4.5")), received="2026-03-10T20:08:00Z", late=90
        ),
        StudentGrade(BOB, "EX"),
        StudentGrade(CLEO, None, feedback=""),
    ),
    (Question("Q1", 5), Question("Q2", 5)),
)
TABLES = [ExportFormat.CANVAS, ExportFormat.MOODLE, ExportFormat.GRADESCOPE, ExportFormat.CSV]


def text_of(form: ExportFormat, penalised: bool = False) -> str:
    return export_grades(GRADES, form, Choices(penalised)).content.decode()


def test_an_export_for_canvas_has_its_columns_points_and_two_decimals() -> None:
    assert text_of(ExportFormat.CANVAS).splitlines() == [
        "Student,ID,SIS User ID,SIS Login ID,Section,Homework 1",
        "    Points Possible,,,,,10",
        '"Lovelace, Ada",987,00123,ada,Sec 1,9.50',
        '"Noyce, Bob",988,00456,bob,Sec 2,EX',
        '"Ng, Cleo",,00789,cleo@example.org,,',
    ]


def test_an_export_for_moodle_has_numbers_only_and_reports_excused_people() -> None:
    found = export_grades(GRADES, ExportFormat.MOODLE, Choices())
    assert found.content.decode().splitlines() == [
        "username,ID number,Email address,Homework 1,Homework 1 Q1,Homework 1 Q2,Homework 1 feedback",
        "ada,00123,ada@example.org,9.50,5.00,4.50,Good",
        "bob,00456,bob@example.org,,,,",
        "cleo@example.org,00789,cleo@example.org,,,,",
    ]
    assert found.notes == ("bob is excused: the cell is left empty, as Moodle takes numbers only",)


def test_an_export_for_gradescope_reports_missing_people() -> None:
    lines = text_of(ExportFormat.GRADESCOPE).splitlines()
    assert lines[0].endswith("View Count,Submission Count,1: Q1 (5.0 pts),2: Q2 (5.0 pts)")
    assert lines[1] == "Ada,Lovelace,00123,ada@example.org,Sec 1,9.5,10,Graded,,2026-03-10T20:08:00Z,0:01:30,,,5,4.5"
    assert lines[3] == "Cleo,Ng,00789,cleo@example.org,,,10,Missing,,,,,,,"


def test_our_own_table_has_the_grade_before_and_after_the_penalty() -> None:
    lines = text_of(ExportFormat.CSV, penalised=True).splitlines()
    assert lines[0] == "username,name,section,email,student_id,grade,penalised_mark,Q1,Q2,feedback"
    assert lines[1] == "ada,Ada Lovelace,Sec 1,ada@example.org,00123,9.5,9.03,5,4.5,Good"
    assert lines[3] == "cleo@example.org,Cleo Ng,,,00789,,,,,"


def test_our_own_tables_show_outdated_grades_and_uploading_them_does_not_store_that_column() -> None:
    again = replace(GRADES, grades=(replace(GRADES.grades[0], again=True), *GRADES.grades[1:]))
    content = export_grades(again, ExportFormat.CSV, Choices()).content
    assert [line.rpartition(",")[2] for line in content.decode().splitlines()] == ["to_grade_again", "yes", "", ""]
    document = json.loads(export_grades(again, ExportFormat.JSON, Choices()).content)
    assert [each.get("to_grade_again") for each in document["grades"]] == [True, None, None]
    read = read_grades(read_sheet(content, "grades.csv"), HW1)
    assert {key for row in read.rows for key, _ in row.others} == {"Q1", "Q2"}


def test_other_systems_get_the_requested_mark() -> None:
    assert ",9.03\r\n" in text_of(ExportFormat.CANVAS, penalised=True)
    assert ",9.50\r\n" in text_of(ExportFormat.CANVAS)


def test_an_export_as_moodle_worksheet_requires_a_worksheet_of_moodle() -> None:
    with pytest.raises(BadRequest, match="download the grading worksheet there and give it as template"):
        export_grades(GRADES, ExportFormat.MOODLE_WORKSHEET, Choices())


def test_an_export_as_json_can_be_uploaded_as_grades() -> None:
    document = json.loads(text_of(ExportFormat.JSON))
    assert [(each.username, each.grade) for each in parse_upload(document)] == [
        ("ada", "9.5"), ("bob", "EX"), ("cleo@example.org", None),
    ]  # fmt: skip
    assert document["maximum"] == 10
    assert document["grades"][0]["questions"] == {"Q1": "5", "Q2": "4.5"}


@pytest.mark.parametrize("form", [*TABLES, ExportFormat.XLSX, ExportFormat.JSON])
def test_drafts_are_left_out_unless_requested_and_both_is_reported(form: ExportFormat) -> None:
    draft = StudentGrade(ADA, "7.25", feedback="secret", questions=(("Q1", "7.25"),), draft=True)
    sheet = GradeSheet(HW1, 10, (draft,), (Question("Q1", 10),))
    hidden, shown = (export_grades(sheet, form, Choices(drafts=drafts)) for drafts in (False, True))
    assert "1 grade that students do not see yet: left out" in hidden.notes
    assert "1 grade that students do not see yet: do not publish them by accident" in shown.notes
    for found, drafts in ((hidden, False), (shown, True)):
        if form is ExportFormat.JSON:
            cells = found.content.decode().split('"')
        else:
            cells = [cell for row in read_sheet(found.content).rows for cell in row.cells]
        assert ("7.25" in cells) is drafts
        assert ("secret" in cells) is (drafts and form not in (ExportFormat.CANVAS, ExportFormat.GRADESCOPE))


MARKS = st.none() | st.just("EX") | st.decimals(0, 10, places=2).map(lambda value: f"{value:f}")
NAME = st.text(st.characters(codec="utf-8", categories=["L", "Nd", "P", "S", "Zs"]), max_size=8).map(
    lambda text: " ".join(text.split())
)
SAID = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20)


@given(
    given_marks=st.lists(st.tuples(MARKS, NAME, SAID), min_size=1, max_size=5),
    form=st.sampled_from([*TABLES, ExportFormat.XLSX]),
)
def test_an_export_for_every_system_is_read_back_unchanged(
    given_marks: list[tuple[str | None, str, str]], form: ExportFormat
) -> None:
    members = [
        Member(f"s{at}", name, f"s{at}@example.org", (), (Key(Kind.STUDENT, f"00{at}"), Key(Kind.CANVAS, f"9{at}")))
        for at, (_, name, _) in enumerate(given_marks)
    ]
    sheet = GradeSheet(HW1, 10, tuple(
        StudentGrade(member, mark, feedback=said) for member, (mark, _, said) in zip(members, given_marks, strict=True)
    ))  # fmt: skip
    content = export_grades(sheet, form, Choices()).content
    if form is not ExportFormat.XLSX:
        assert not any(is_formula(cell) for row in read_sheet(content).rows for cell in row.cells)
    found = check_grades(read_grades(read_sheet(content), HW1), members, (), GradeRules(10))
    assert found.problems == ()
    read = {each.username: each for each in found.entries}
    for at, (mark, _, said) in enumerate(given_marks):
        entry = read.get(f"s{at}")
        expected = None if mark is None or (mark == "EX" and form is ExportFormat.MOODLE) else mark
        got = entry.grade if entry else None
        assert (got is None) == (expected is None)
        assert got == expected or float(got or -1) == float(expected or -2)
        if entry and form in (ExportFormat.MOODLE, ExportFormat.CSV) and said.strip():
            assert entry.feedback == said.strip()


def test_two_thousand_people_with_hostile_names_are_exported_to_every_system() -> None:
    names = ("=cmd|' /C calc'!A0", "\u202eevil", "a\r\nb", "<script>", '"', "@SUM(1)", "-1+1")
    said = [names[at % len(names)] for at in range(1999)] + ["x" * 40_000]
    grades = tuple(
        StudentGrade(Member(f"s{at}", names[at % len(names)], sections=("+1+1",)), "5", feedback=text)
        for at, text in enumerate(said)
    )
    for form in TABLES:
        sheet = read_sheet(export_grades(GradeSheet(HW1, 10, grades), form, Choices()).content)
        assert len(sheet.rows) - (form is ExportFormat.CANVAS) == 2000
        assert not any(is_formula(cell) for row in sheet.rows for cell in row.cells)


def test_a_workbook_holds_formulas_as_text_and_reports_what_does_not_fit() -> None:
    grades = (StudentGrade(ADA, "5", feedback="=1+1"), StudentGrade(BOB, "5", feedback="x" * 40_000))
    sheet = read_sheet(export_grades(GradeSheet(HW1, 10, grades), ExportFormat.XLSX, Choices()).content)
    assert sheet.rows[0].cells[-1] == "=1+1"
    assert sheet.rows[1].cells[-1].endswith("xxx … (cut: the cell is full)")


@pytest.mark.parametrize("form", [each for each in ExportFormat if each is not ExportFormat.MOODLE_WORKSHEET])
@pytest.mark.parametrize("received", [2.0**62, -(2.0**62), 1e300, float("inf"), float("nan")])
def test_times_and_marks_of_any_size_can_be_exported(form: ExportFormat, received: float) -> None:
    for mark in ("9" * 40, "0." + "1" * 38, "-" + "7" * 39):
        grade = StudentGrade.of(ADA, mark, mark, "", {}, False, received, 0)
        assert grade.received == ""
        content = export_grades(GradeSheet(HW1, None, (grade,)), form, Choices()).content
        assert form is ExportFormat.XLSX or mark[:4].encode() in content
