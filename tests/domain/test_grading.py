"""What an upload of grades would change, and grades in numbers."""

from __future__ import annotations

import pytest

from mograder.domain.errors import BadRequest
from mograder.domain.grades import GradeEntry
from mograder.domain.grading import Change, preview, spread

PEOPLE = ["alice", "bob", "carol"]
STORED = (
    GradeEntry({"username": "alice", "grade": "8"}),
    GradeEntry({"userid": "17", "username": "bob", "grade": "5", "workflow_state": "marking"}),
)


def test_a_preview_says_what_changes_for_whom() -> None:
    found = preview("username,grade\nalice,8\ncarol,3\n", STORED, PEOPLE, 10)
    assert (found.changes, found.same) == ((Change("carol", None, "3", False, True),), 1)
    found = preview("Username;Grade;Feedback\nalice;9,5;good\n", STORED, PEOPLE, 10)
    assert found.changes == (Change("alice", "8", "9,5", True, True),)


def test_a_person_known_by_number_is_the_one_who_is_stored_under_it_and_a_grade_that_is_released_changes() -> None:
    found = preview("userid,grade\n17,5\n", STORED, PEOPLE, 10)
    assert found.changes == (Change("bob", "5", "5", False, True),)


def test_rows_that_are_not_understood_are_named_and_left_out() -> None:
    found = preview("username,grade\nalice,9\ndora,3\n,4\nalice,7\n", STORED, PEOPLE, 10)
    assert [entry.person for entry in found.entries] == ["alice"]
    assert [problem.partition(":")[0] for problem in found.problems] == ["line 3", "line 4", "line 5"]
    assert "nobody called 'dora'" in found.problems[0]
    assert "alice' is in line 2 already" in found.problems[2]


@pytest.mark.parametrize(
    ("cell", "doubt"),
    [("ten", "not a number"), ("-1", "less than 0"), ("11", "more than 10 points"), ("", "no grade"), ("10", "")],
)
def test_a_grade_that_is_odd_is_remarked_upon(cell: str, doubt: str) -> None:
    (change,) = preview(f"username,grade,feedback\nalice,{cell},x\n", STORED, PEOPLE, 10).changes
    assert change.doubt == doubt


@pytest.mark.parametrize("table", ["", "grade\n3\n", "username,points\nalice,3\n", 'username,grade\n"alice,3\n'])
def test_a_table_that_is_none_of_grades_is_refused(table: str) -> None:
    with pytest.raises(BadRequest):
        preview(table, STORED, PEOPLE, 10)


def test_grades_are_counted_in_bins_up_to_the_points_and_summed_up() -> None:
    found = spread(["0", "5", "9,5", "10", "pass"], 10)
    assert found is not None
    assert (found.count, found.others, found.mean, found.median) == (4, 1, 6.125, 7.25)
    assert (found.lower, found.upper) == (3.75, 9.625)
    assert [each.count for each in found.bins] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert (found.bins[0].low, found.bins[-1].high) == (0, 10)


@pytest.mark.parametrize("given", [["0"], ["7", "7"], ["-3", "2"], ["1e300"], ["12"]])
def test_every_grade_is_in_a_bin(given: list[str]) -> None:
    found = spread(given, None)
    assert found is not None
    assert sum(each.count for each in found.bins) == len(given)
    assert all(each.low < each.high for each in found.bins)


@pytest.mark.parametrize("given", [[], ["pass"], ["nan", "inf", "-inf"]])
def test_without_a_number_there_is_nothing_to_sum_up(given: list[str]) -> None:
    assert spread(given, 10) is None
