"""Cells: numbers are read unambiguously, an empty cell is not zero, and no cell is executed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.tables.cells import is_formula, mangled, neutralise, parse_grade, restore

POINTS = st.decimals(0, 1000, places=2)


@pytest.mark.parametrize(
    ("cell", "stored"),
    [("9.5", "9.5"), ("9,5", "9.5"), (" 9.50 ", "9.5"), ("0", "0"), ("0.0", "0"), ("-0", "0"), ("10", "10"),
     ("100", "100"),
     (".5", "0.5"), ("0,125", "0.125"), ("5.", "5"), ("+3", "3"), ("-3", "-3"), ("\u22123", "-3"), ("85%", "17"),
     ("85,5 %", "17.1"),
     ("1,125", "1.125"), ("1.234,5", "1234.5"), ("1,234.5", "1234.5"), ("EX", "EX"), ("excused", "EX")],
)  # fmt: skip
def test_grades_are_understood_in_usual_notations(cell: str, stored: str) -> None:
    assert parse_grade(cell, 20).text == stored


@pytest.mark.parametrize("cell", ["", " ", "-", "–", "\u00a0", "(read only)", "N/A"])
def test_an_empty_cell_is_no_grade_and_not_zero(cell: str) -> None:
    found = parse_grade(cell, 20)
    assert (found.text, found.value, found.problem) == ("", None, "")


@pytest.mark.parametrize(
    "cell", ["twelve", "A", "1e3", "nan", "inf", "0x1", "5/10", "1 2", "=5+3", "٣", "9.5.1", "#DIV/0!", "%", "9" * 50]
)
def test_a_cell_that_is_not_a_number_is_reported(cell: str) -> None:
    found = parse_grade(cell, 20)
    assert (found.text, found.problem) == ("", "not a number")


def test_words_are_grades_if_the_course_allows_them_but_formulas_never() -> None:
    assert parse_grade("A", 20, allow_text=True).text == "A"
    assert parse_grade("=1+1", 20, allow_text=True).problem


def test_a_number_with_an_ambiguous_separator_is_reported_unless_the_points_decide() -> None:
    assert parse_grade("1,234", None).problem == "could be 1234 or 1.234: write it with a decimal point"
    assert parse_grade("1,234", 2000).problem
    assert parse_grade("1,234", 20).value == Decimal("1.234")


def test_a_percentage_requires_the_points_of_the_assignment() -> None:
    assert "does not say out of how many points" in parse_grade("85%", None).problem


@given(points=POINTS, comma=st.booleans())
def test_every_notation_of_points_is_read_back(points: Decimal, comma: bool) -> None:
    text = f"{points:f}".replace(".", ",") if comma else f"{points:f}"
    assert parse_grade(text, 1000).value == points


@given(cell=st.text())
def test_any_cell_is_a_grade_or_empty_or_a_problem(cell: str) -> None:
    found = parse_grade(cell, 20)
    assert not (found.text and found.problem)


@given(cell=st.text() | st.text(alphabet="'=+-@\t1a"))
def test_a_cell_is_read_back_unchanged_and_never_executed(cell: str) -> None:
    safe = neutralise(cell)
    assert not is_formula(safe)
    assert restore(safe) == cell


@pytest.mark.parametrize(
    "cell", ["＝1+1", "＠SUM(A1)", "=1+1", "+SUM(A1)", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")']
)
def test_text_that_a_spreadsheet_would_execute_gets_an_apostrophe(cell: str) -> None:
    assert neutralise(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-3", "+3,5", "-", "'quoted'", "a=b", ""])
def test_numbers_and_words_are_written_unchanged(cell: str) -> None:
    assert (neutralise(cell), restore(cell)) == (cell, cell)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("1.23E+05", "rounded number"), ("1,23e+05", "rounded number"), ("123", "looks like '00123'"),
     ("123.0", "looks like '00123'"), ("12345678901234500000", "looks like '12345678901234567890'"),
     ("00123", ""), ("124", ""), ("ada", ""), ("0", ""), ("3e10", "")],
)  # fmt: skip
def test_an_id_that_a_spreadsheet_has_changed_is_reported(cell: str, said: str) -> None:
    found = mangled(cell, frozenset({"00123", "12345678901234567890", "ada", "000"}))
    assert said in found
    assert bool(said) == bool(found)
