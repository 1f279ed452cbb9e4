"""The tables of grading: in the published columns, accepted by upload-grades unchanged, and filled in by hand."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from mograder.coursework.rendering.tables import (
    Grade,
    checks_table,
    grades_table,
    marks_table,
    read_marks,
    results_table,
)
from mograder.domain.deadlines import Lateness
from mograder.domain.errors import BadRequest
from mograder.domain.marks import WHOLE, Given, Question, mark, whole
from mograder.domain.results import CellFailure
from mograder.tables.formats import read_grades
from mograder.tables.headers import Labels
from mograder.tables.sheet import read_sheet
from tests.grading_samples import BROKEN, FAILED, HALF_RIGHT, LOOPING, QUESTIONS, check, record


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_results_are_written_in_the_published_columns_one_per_question() -> None:
    passed = tuple(check(each.label, each.total_weight, each.total_weight) for each in HALF_RIGHT.checks)
    records = [
        record(replace(HALF_RIGHT, checks=passed)), record(HALF_RIGHT, username="bob"),
        record(FAILED, username="carol"), record(LOOPING, username="dave"), record(BROKEN, username="erin"),
    ]  # fmt: skip
    assert results_table(records).splitlines() == [
        "notebook,Q1,Q2,cell_errors,export_error,auto_mark,tampered",
        "alice,PASS,PASS,0,,30,",
        "bob,PARTIAL,PARTIAL,0,,15.8,",
        "carol,---,PASS,1,answer: ZeroDivisionError: division by zero,20,check(Q1)",
        'dave,PASS,---,0,"Q2, line 40, took longer than 10 s",10,',
        "erin,EXPORT_FAILED,EXPORT_FAILED,0,no sandbox,,",
    ]


def test_an_assignment_without_marks_has_check_results_and_no_column_of_marks() -> None:
    assert results_table([record(questions=(whole(),))]).splitlines() == [
        "notebook,Q1,Q2,cell_errors,export_error,tampered", "alice,PARTIAL,PARTIAL,0,,",
    ]  # fmt: skip


def test_every_check_has_its_own_row() -> None:
    found = rows(checks_table([record()]))
    assert [each["check"] for each in found] == ["Q1: value", "Q1: parity", "Q2: doubling", "Q2: more"]
    assert found[3] == {
        "student": "alice", "question": "Q2", "check": "Q2: more", "hidden": "true", "status": "partial", "earned": "1",
        "total": "2", "messages": "f(7) must be 14", "unprotected": "false",
    }  # fmt: skip


def test_no_text_of_a_student_becomes_a_formula_in_a_spreadsheet() -> None:
    """A student chooses the text of an exception."""
    failed = replace(FAILED, failures=(CellFailure("", None, "x"),), limits=())
    evil = replace(failed, failures=(replace(failed.failures[0], cell="=HYPERLINK(1)", error="x"),))
    assert rows(results_table([record(evil)]))[0]["export_error"].startswith("'=")
    table = checks_table([record(replace(HALF_RIGHT, checks=(check("Q1: value", 0, 1, "=1+1"),)))])
    assert rows(table)[0]["messages"] == "'=1+1"
    marked = mark(record().questions, record().report, Given({}, "＝1+1"))
    assert rows(grades_table([Grade("alice", marked)]))[0]["feedback"] == "'＝1+1"


def test_the_table_of_grades_is_accepted_by_upload_grades_with_incomplete_marks_empty() -> None:
    made = record()
    grades = [
        Grade("alice", mark(made.questions, made.report, Given({"Q3": 4.25}, 'said "well, done"\nand more'))),
        Grade("bob", mark(made.questions, made.report)),
        Grade("carol", mark(made.questions, BROKEN)),
    ]
    text = grades_table(grades)
    assert text.splitlines()[0] == "student,mark,auto_mark,feedback"
    entries = read_grades(read_sheet(text.encode(), "grades.csv"), Labels("hw1")).rows
    assert [each.grade for each in entries] == ["20.05", "", ""]
    assert [each["auto_mark"] for each in rows(text)] == ["15.8", "15.8", ""]
    assert entries[0].feedback == 'said "well, done"\nand more'


def test_penalties_have_columns_of_their_own_and_do_not_change_the_mark() -> None:
    made = record(questions=QUESTIONS[:2])
    late = Lateness(2, 10, "2 days late")
    text = grades_table([Grade("alice", made.marks, late, 14.22), Grade("bob", made.marks)])
    assert text.splitlines() == [
        "student,mark,auto_mark,feedback,penalty_pct,penalised_mark",
        "alice,15.8,15.8,,10,14.22",
        "bob,15.8,15.8,,0,15.8",
    ]


POINTS = st.floats(-1e6, 1e6).map(lambda points: round(points, 4))


@example(given={"alice": Given({}, "=1+1", None), "bob": Given({}, "'- no", None)})
@given(
    given=st.dictionaries(
        st.sampled_from(["alice", "bob", "carol"]),
        st.builds(
            Given, st.dictionaries(st.sampled_from(["Q1", "Q3", WHOLE]), POINTS),
            st.text(st.characters(exclude_categories=["Cs", "Cc"])).map(str.strip), st.none() | POINTS,
        ),
    )
)  # fmt: skip
def test_manual_marks_are_read_from_their_table(given: dict[str, Given]) -> None:
    assert read_marks(marks_table(QUESTIONS, given), QUESTIONS) == given


def test_the_table_to_fill_in_has_a_column_for_every_manual_question() -> None:
    assert marks_table(QUESTIONS, {"alice": Given()}).splitlines() == ["student,Q3,feedback", "alice,,"]
    assert marks_table([whole()], {"alice": Given()}).splitlines() == ["student,mark,feedback", "alice,,"]


def test_a_table_with_semicolons_and_decimal_commas_is_read() -> None:
    assert read_marks("\ufeffStudent;Q3;Feedback\nalice;4,5;fine\n", QUESTIONS) == {"alice": Given({"Q3": 4.5}, "fine")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,Q3\nalice,1\n", "no column 'student', found name, Q3"),
        ("student,Q9\nalice,1\n", "a column 'Q9': no question has this name"),
        ("student,Q3\nalice,many\n", "line 2: 'many' in the column 'Q3' is no number"),
        ("student,Q3\nalice,nan\n", "line 2: 'nan' in the column 'Q3' is no number"),
        ("student,Q3\nalice,1\nalice,2\n", "line 3: 'alice' is in the table twice"),
    ],
)
def test_a_mistake_in_a_table_is_reported_with_its_line(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as found:
        read_marks(text, QUESTIONS)
    assert message in found.value.message


def test_a_question_named_like_a_column_is_refused() -> None:
    with pytest.raises(BadRequest, match="'Feedback' has the name of a column"):
        marks_table([Question("Feedback", 5, manual=True)], {})
