"""The page of a result: self-contained, safe for any submission, with the points of the record."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from msgspec.structs import replace

from mograder.coursework.rendering.result_page import ResultPage, coloured, render_result
from mograder.domain.deadlines import Lateness
from mograder.domain.disclosure import for_instructor, for_student
from mograder.domain.grading_record import GradingRecord
from mograder.domain.marks import Given, mark
from mograder.domain.results import CellFailure, RunReport
from tests.grading_samples import BROKEN, FAILED, HALF_RIGHT, LOOPING, QUESTIONS, check, record

EVIL = "<script>alert(1)</script>"


def student_page(made: GradingRecord, given: Given | None = None, **more: object) -> str:
    marks = mark(made.questions, made.report, given or Given())
    return render_result(ResultPage("Homework 1", for_student(made, marks, False), **more))  # type: ignore[arg-type]


def words(page: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())


def test_the_page_shows_the_mark_every_question_and_what_is_wrong() -> None:
    text = words(student_page(record(), Given({"Q3": 4}, "Look at Q1 again.")))
    assert "19.8 of 35 points" in text
    assert "Q1: 2.5 of 10 points" in text
    assert "Q3: 4 of 5 points marked by a person" in text
    assert "x must be 41" in text
    assert "Look at Q1 again." in text
    assert "A part of these points comes from tests that are not shown." in text
    assert "Q2: more" not in text
    assert "f(7)" not in text


def test_an_incomplete_mark_says_what_is_missing() -> None:
    text = words(student_page(record()))
    assert "15.8 of 30 points by checks" in text
    assert "Q3 is yet to be marked. It is out of 35 points in all." in text


def test_a_failed_cell_is_shown_with_line_error_and_traceback() -> None:
    text = words(student_page(record(FAILED)))
    assert "answer, line 12, failed: ZeroDivisionError: division by zero" in text
    assert "x = 1 / 0" in text
    assert "1 cell of the instructor's was changed; the originals were used." in text


def test_an_exceeded_limit_and_a_failure_of_the_grader_are_explained_in_words() -> None:
    assert "Q2, line 40, took longer than 10 s (the rest was graded)." in words(student_page(record(LOOPING)))
    text = words(student_page(record(BROKEN)))
    assert "could not be graded, for a reason that is not yours" in text
    assert "no sandbox" not in text
    assert "0 of 35" not in text


def test_lateness_and_penalty_are_shown_beside_the_mark() -> None:
    late = Lateness(2, 10, "2 days late: due Mon")
    text = words(student_page(record(questions=QUESTIONS[:2]), lateness=late, after_penalty=14.22))
    assert "15.8 of 30 points" in text
    assert "2 days late: due Mon. With the penalty of 10 % that is 14.22 points." in text


@pytest.mark.parametrize("report", [HALF_RIGHT, FAILED, LOOPING, BROKEN])
def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script(report: RunReport) -> None:
    page = student_page(record(report))
    assert not re.search(r"https?:|//|<script|<link|<img|url\(|@import", page)
    assert "default-src 'none'" in page


def test_the_text_of_a_submission_is_never_markup() -> None:
    report = replace(
        FAILED, checks=(check(f"Q1: {EVIL}", 0, 1, EVIL),), failures=(CellFailure(EVIL, 1, EVIL, EVIL),),
        changed_cells=(EVIL,),
    )  # fmt: skip
    made = record(report)
    shown = for_instructor(made, mark(made.questions, report, Given({}, EVIL)))
    page = render_result(ResultPage(EVIL, shown, source=coloured(f"x = '{EVIL}'")))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 6


def test_a_source_with_a_very_long_line_is_shown_without_colours() -> None:
    assert coloured("x = " + "1" * 20_000).count("<span") == 0
    assert len(coloured("x = 1\n" * 100_000)) < 5_000_000


AT_ONCE = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from mograder.coursework.rendering.result_page import coloured
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
with ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(lambda _: together.wait() >= 0 and coloured("x = 1"), range(8)))))
"""


def test_the_first_pages_of_a_process_can_be_rendered_in_several_threads() -> None:
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("1\n", "")
