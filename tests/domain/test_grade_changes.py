"""What an upload of grades would change, and grades in numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mograder.domain.errors import BadRequest
from mograder.domain.grade_changes import Change, preview, spread
from mograder.domain.grades import GradeEntry

PEOPLE = ["alice", "bob", "carol"]
STORED = (
    GradeEntry({"username": "alice", "grade": "8"}),
    GradeEntry({"userid": "17", "username": "bob", "grade": "5", "workflow_state": "marking"}),
)


def test_a_preview_says_what_changes_for_whom() -> None:
    found = preview("username,grade\nalice,8\ncarol,3\n", STORED, PEOPLE, 10)
    assert (found.changes, found.same) == ((Change("carol", None, "3", False, True),), 1)
    found = preview("Username;Grade;Feedback\nalice;9,5;good\n", STORED, PEOPLE, 10)
    assert (found.changes, found.same) == ((Change("alice", "8", "9,5", True, True),), 0)
    found = preview("username,feedback\nalice,good\n", STORED, PEOPLE, 10)
    assert found.changes == (Change("alice", "8", "8", True, True),)


def test_a_person_known_by_number_is_the_one_who_is_stored_under_it_and_a_grade_that_is_released_changes() -> None:
    found = preview("userid,grade\n17,5\n", STORED, PEOPLE, 10)
    assert found.changes == (Change("bob", "5", "5", False, True),)
    found = preview("userid,username,grade\n99,carol,5\n", STORED, PEOPLE, 10)  # a number that nobody knows yet
    assert found.changes == (Change("carol", None, "5", False, True),)


def test_a_table_by_hand_that_has_a_person_twice_is_previewed_as_it_counts() -> None:
    twice = (GradeEntry({"username": "alice", "grade": "1"}), *STORED)
    found = preview("username,grade\nalice,8\ncarol,9\n", twice, PEOPLE, 10)
    assert (found.changes, found.same) == ((Change("carol", None, "9", False, True),), 1)


def test_rows_that_are_not_understood_are_named_and_left_out() -> None:
    found = preview("username,grade\nalice,9\ndora,3\n,4\nalice,7\n", STORED, PEOPLE, 10)
    assert [entry.person for entry in found.entries] == ["alice"]
    assert [problem.partition(":")[0] for problem in found.problems] == ["line 3", "line 4", "line 5"]
    assert "nobody called 'dora'" in found.problems[0]
    assert "alice' is in line 2 already" in found.problems[2]


@pytest.mark.parametrize(
    ("cell", "doubt"),
    [
        ("ten", "not a number"),
        ("-1", "less than 0"),
        ("11", "more than 10 points"),
        ("", "no grade"),
        ("10", ""),
        ("0", ""),
    ],
)
def test_a_grade_that_is_odd_is_remarked_upon(cell: str, doubt: str) -> None:
    (change,) = preview(f"username,grade,feedback\nalice,{cell},x\n", STORED, PEOPLE, 10).changes
    assert change.doubt == doubt


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "expected one of userid, username, student, found nothing"), ("name,grade\n,3\n", "found name, grade"),
        ("username,points\nalice,3\n", "no column 'grade', found username, points"),
        ('username,grade\n"alice,3\n', "line 2"),
    ],
)  # fmt: skip
def test_a_table_that_is_none_of_grades_is_refused(table: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        preview(table, STORED, PEOPLE, 10)


def test_grades_are_counted_in_bins_up_to_the_points_and_summed_up() -> None:
    found = spread(["0", "5", "9,5", "10", "pass"], 10)
    assert found is not None
    assert (found.count, found.others, found.mean, found.median) == (4, 1, 6.125, 7.25)
    assert (found.lower, found.upper) == (3.75, 9.625)
    assert [each.count for each in found.bins] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert (found.bins[0].low, found.bins[-1].high) == (0, 10)
    two = spread(["0", "10"], 10)
    assert two is not None
    assert (two.lower, two.upper) == (2.5, 7.5)


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [(["0"], 0, 10), (["7", "7"], 0, 7), (["-3", "2"], -3, 2), (["1e300"], 0, 1e300), (["0.5"], 0, 0.5)],
)
def test_every_grade_is_in_a_bin_between_nothing_and_the_best(given: list[str], low: float, high: float) -> None:
    found = spread(given, None)
    assert found is not None
    assert sum(each.count for each in found.bins) == len(given)
    assert (found.bins[0].low, found.bins[-1].high) == (low, high)
    assert all(each.low < each.high == following.low for each, following in pairwise(found.bins))


@pytest.mark.parametrize("given", [[], ["pass"], ["nan", "inf", "-inf"]])
def test_without_a_number_there_is_nothing_to_sum_up(given: list[str]) -> None:
    assert spread(given, 10) is None
