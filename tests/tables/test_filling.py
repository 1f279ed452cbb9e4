"""Filling an instructor's own export: its grade columns are filled, and the rest is not changed."""

from __future__ import annotations

import pytest

from mograder.domain.errors import BadRequest
from mograder.tables.export import Choices, Exported, ExportFormat, GradeSheet, Question, StudentGrade
from mograder.tables.filling import fill_template
from mograder.tables.headers import Labels
from mograder.tables.people import Member
from tests.tables import samples
from tests.tables.samples import ADA, BOB, CLEO, HW1


def sheet(*grades: StudentGrade) -> GradeSheet:
    return GradeSheet(HW1, 10, grades, tuple(Question(key, 5) for each in grades for key, _ in each.questions))


def fill(form: ExportFormat, text: str, *grades: StudentGrade, **choices: bool) -> Exported:
    return fill_template(sheet(*grades), form, Choices(**choices), text.encode())


def changed(text: str, found: Exported) -> list[tuple[str, str]]:
    """The lines that differ."""
    before, after = (
        text.split("\r\n" if "\r\n" in text else "\n"),
        found.content.decode().split("\r\n" if "\r\n" in text else "\n"),
    )
    return [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]


def test_a_canvas_template_gets_one_column_with_two_decimals() -> None:
    found = fill(ExportFormat.CANVAS, samples.CANVAS, StudentGrade(ADA, "8.125"), StudentGrade(CLEO, "0"))
    assert changed(samples.CANVAS, found) == [
        ('"Lovelace, Ada",987,00123,ada,Sec 1,9.50,1,95.0,', '"Lovelace, Ada",987,00123,ada,Sec 1,8.13,1,95.0,'),
        ('"Ng, Cleo",989,00789,cleo@example.org,Sec 2,,,,', '"Ng, Cleo",989,00789,cleo@example.org,Sec 2,0.00,,,'),
    ]


def test_a_person_without_a_grade_keeps_the_cell_and_an_excused_person_stays_excused() -> None:
    found = fill(
        ExportFormat.CANVAS, samples.CANVAS, StudentGrade(ADA, None), StudentGrade(BOB, "5"), StudentGrade(CLEO, None)
    )
    assert changed(samples.CANVAS, found) == []
    assert "line 5: bob is excused there and has 5 here: left excused" in found.notes


def test_an_excused_grade_is_written_for_canvas_but_not_for_moodle() -> None:
    assert (
        ",Sec 2,EX,,,"
        in changed(samples.CANVAS, fill(ExportFormat.CANVAS, samples.CANVAS, StudentGrade(CLEO, "EX")))[0][1]
    )
    found = fill(ExportFormat.MOODLE_WORKSHEET, samples.WORKSHEET, StudentGrade(BOB, "EX"))
    assert changed(samples.WORKSHEET, found) == []
    assert found.notes == ("bob is excused: the cell is left empty, as Moodle takes numbers only",)


def test_a_read_only_cell_is_not_changed() -> None:
    text = samples.CANVAS.replace("9.50", "(read only)")
    found = fill(ExportFormat.CANVAS, text, StudentGrade(ADA, "5"))
    assert changed(text, found) == []
    assert "line 4: the grade of ada is read-only there: left as it was" in found.notes


def test_a_moodle_worksheet_gets_only_grade_and_comments() -> None:
    found = fill(
        ExportFormat.MOODLE_WORKSHEET, samples.WORKSHEET, StudentGrade(ADA, "9.5", feedback="Well done,\nAda"),
        StudentGrade(BOB, "7", feedback='=1+1 "so", you\nsay'),
    )  # fmt: skip
    assert changed(samples.WORKSHEET, found) == [
        (
            'Participant 42,"Bob Noyce",bob@example.org,"No submission - ",,10.00,Yes,-,-,',
            'Participant 42,"Bob Noyce",bob@example.org,"No submission - ",7.00,10.00,Yes,-,-,'
            '"\'=1+1 ""so"", you\nsay"',
        )
    ]


def test_a_template_with_decimal_commas_gets_decimal_commas() -> None:
    found = fill(
        ExportFormat.MOODLE_WORKSHEET, samples.WORKSHEET_GERMAN, StudentGrade(ADA, "8.5"), StudentGrade(BOB, "7")
    )
    after = [line for _, line in changed(samples.WORKSHEET_GERMAN, found)]
    assert [line.split(",", 4)[4] for line in after] == ['"8,50","10,00",Ja,-,-,Prima', '"7,00","10,00",Ja,-,-,']


def test_a_moodle_gradebook_gets_grade_and_feedback() -> None:
    found = fill(ExportFormat.MOODLE, samples.GRADEBOOK, StudentGrade(BOB, "7", feedback="ok"))
    assert changed(samples.GRADEBOOK, found) == [
        (
            "Bob,Noyce,00456,,,bob@example.org,-,-,,-,-,1773144000",
            "Bob,Noyce,00456,,,bob@example.org,7.00,-,ok,-,-,1773144000",
        )
    ]


def test_a_gradescope_template_gets_the_points_of_each_question() -> None:
    for key in ("1: Mean", "Mean"):
        grade = StudentGrade(ADA, "8", questions=((key, "3.5"),))
        after = changed(samples.GRADESCOPE, fill(ExportFormat.GRADESCOPE, samples.GRADESCOPE, grade))[0][1]
        assert after == (
            "Ada,Lovelace,00123,ada@example.org,Sec 1,8,10.0,Graded,31,2026-03-10 20:08:00 +0000,00:00:00,1,1,3.5,4.5"
        )


def test_our_own_table_of_assignments_gets_one_column() -> None:
    text = "username;hw1;hw2\nada;;3,5\nbob;1\n"
    assert fill(ExportFormat.CSV, text, StudentGrade(ADA, "9.5"), StudentGrade(BOB, "2")).content.decode() == (
        "username;hw1;hw2\nada;9,5;3,5\nbob;2\n"
    )


def test_the_mark_after_the_penalty_is_written_on_request() -> None:
    text = "username,hw1\nada,\n"
    assert (
        fill(ExportFormat.CSV, text, StudentGrade(ADA, "9.5", "9.03"), penalised=True).content
        == b"username,hw1\nada,9.03\n"
    )


def test_people_missing_from_the_template_are_named() -> None:
    found = fill(
        ExportFormat.CANVAS, samples.CANVAS, StudentGrade(Member("zoe"), "5"), StudentGrade(Member("yan"), None)
    )
    assert "1 grade of people who are not in the template: zoe" in found.notes


def test_drafts_are_not_written_into_a_template() -> None:
    found = fill(
        ExportFormat.MOODLE_WORKSHEET, samples.WORKSHEET, StudentGrade(BOB, "7", feedback="secret", draft=True)
    )
    assert changed(samples.WORKSHEET, found) == []
    assert found.notes == ("1 grade that students do not see yet: left out",)


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [(ExportFormat.CANVAS, samples.WORKSHEET, "the template is a Moodle assignment worksheet, not a Canvas gradebook"),
     (ExportFormat.XLSX, samples.CANVAS, "the format xlsx takes no template"),
     (ExportFormat.CANVAS, samples.CANVAS.replace("Homework 1", "Other"), "no column for 'Homework 1'")],
)  # fmt: skip
def test_a_template_of_another_kind_is_refused(form: ExportFormat, text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        fill(form, text, StudentGrade(ADA, "5"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "windows-1252"])
def test_the_encoding_of_the_template_is_kept(encoding: str) -> None:
    text = "username,name,hw1\r\nada,Adé,\r\n"
    found = fill_template(
        GradeSheet(Labels("hw1"), 10, (StudentGrade(ADA, "5"),)), ExportFormat.CSV, Choices(), text.encode(encoding)
    )
    assert found.content == text.replace("Adé,", "Adé,5").encode(encoding)


def test_two_thousand_rows_can_be_filled() -> None:
    rows = "".join(f'"Last, First",{at},{at:05},s{at},Sec,\r\n' for at in range(2000))
    text = "Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (1)\r\n    Points Possible,,,,,10\r\n" + rows
    found = fill(ExportFormat.CANVAS, text, *(StudentGrade(Member(f"s{at}"), "5") for at in range(2000)))
    assert found.content.decode() == text.replace("Sec,\r\n", "Sec,5.00\r\n")
