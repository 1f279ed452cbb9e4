"""Marks given by people: points of rubric items, pseudonyms, and entries."""

from __future__ import annotations

import tracemalloc

import pytest

from mograder.domain.errors import BadRequest
from mograder.domain.marking import (
    MAX_TEXT,
    Entry,
    GivenMark,
    Kind,
    Message,
    Names,
    Request,
    RubricItem,
    checked_text,
    points_of,
)
from tests.parts import ALICE, BOB, HW1

ITEMS = {
    "idea": RubricItem("Q3", "the idea is right", 3),
    "proof": RubricItem("Q3", "proved", 2),
    "unit": RubricItem("Q3", "a unit is missing", -1),
    "all": RubricItem("Q3", "nothing fits", -9),
}


@pytest.mark.parametrize(
    ("points", "items", "automatic", "expected"),
    [
        (None, (), None, None),
        (0.0, (), None, 0.0),
        (1.5, ("idea",), 4.0, 1.5),  # typed points count
        (None, ("idea", "proof"), None, 5.0),
        (None, ("idea", "unit"), 4.0, 2.0),  # with a positive item, up from 0
        (None, ("unit",), None, 4.0),  # only deductions: from the maximum points
        (None, ("unit",), 2.5, 1.5),  # or from the points of the checks
        (None, ("all",), None, 0.0),
        (None, ("gone",), None, None),
    ],
)
def test_rubric_items_and_typed_points_give_one_number(
    points: float | None, items: tuple[str, ...], automatic: float | None, expected: float | None
) -> None:
    assert points_of(GivenMark(points, items), ITEMS, 5, automatic) == expected


def test_a_pseudonym_is_stable_differs_by_person_and_salt_and_leads_to_its_person() -> None:
    names, others = Names("salt"), Names("another")
    shown = names.shown(ALICE)
    assert shown == names.shown(ALICE) != others.shown(ALICE)
    assert len({names.shown(f"student{number}") for number in range(2000)}) == 2000
    assert names.find(shown, [BOB, ALICE]) == ALICE
    assert names.find(ALICE, [BOB, ALICE]) is None
    assert (Names().shown(ALICE), Names().find(ALICE, [ALICE])) == (ALICE, ALICE)


def test_a_comment_has_uniform_line_ends_and_a_maximum_length() -> None:
    assert checked_text(" a\r\nb\rc\0 ", "note") == "a\nb\nc"
    with pytest.raises(BadRequest, match="at most"):
        checked_text("x" * (MAX_TEXT + 1), "note")


def test_long_regrade_requests_do_not_fill_the_memory() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(200):
            said = Message("alice", number, "x" * MAX_TEXT, student=True)
            entry = Entry(HW1, Kind.REQUEST, "alice", "", 1, 0, "alice", Request().with_message(said, True).text_form)
            assert Request.read(entry).thread == (said,)
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        tracemalloc.stop()
