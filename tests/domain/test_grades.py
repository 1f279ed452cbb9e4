"""Grades: no upload is lost, no grade goes to another person, and a missing grade is not zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.errors import BadRequest, ChangedMeanwhile
from mograder.domain.grades import DEEPEST, GradeEntry, merge, of_person, parse_upload
from mograder.domain.names import Username
from tests.parts import ALICE, BOB

NUMBERS = st.booleans() | st.integers() | st.floats(allow_nan=False)
CELLS = st.one_of(st.none(), NUMBERS, st.text(max_size=5), st.lists(st.integers()))
KEYS = st.sampled_from(["userid", "username", "student", "grade", "mark", "feedback", "workflow_state", "x"])
ENTRIES = (
    st.tuples(st.sampled_from("abc"), st.dictionaries(KEYS, CELLS, max_size=4))
    .map(lambda pair: GradeEntry({"userid": pair[0], **{k: v for k, v in pair[1].items() if k != "userid"}}))
)  # fmt: skip
TABLES = st.lists(ENTRIES, max_size=6).map(tuple)


def entry(**fields: object) -> GradeEntry:
    return GradeEntry(fields)


@given(stored=TABLES, uploaded=TABLES)
def test_merging_again_changes_nothing(stored: tuple[GradeEntry, ...], uploaded: tuple[GradeEntry, ...]) -> None:
    once = merge(stored, uploaded)
    last = {each.person: each for each in uploaded}
    assert merge(once, tuple(last.values())) == once


@given(stored=TABLES, uploaded=TABLES)
def test_merging_loses_and_duplicates_nobody(stored: tuple[GradeEntry, ...], uploaded: tuple[GradeEntry, ...]) -> None:
    people = [each.person for each in merge(stored, uploaded)]
    assert len(people) == len(set(people))
    assert set(people) == {each.person for each in (*stored, *uploaded)}


def test_rows_without_a_person_that_were_added_by_hand_are_kept() -> None:
    rows = (entry(note="a"), entry(note="b"))
    assert merge(rows, (entry(username="alice"),)) == (*rows, entry(username="alice"))


def test_an_upload_updates_the_entry_and_releases_the_grade() -> None:
    stored = (entry(userid="7", username="alice", grade="1", workflow_state="inreview", tutor="T"),)
    assert merge(stored, (entry(userid=7, grade="2"),)) == (entry(userid=7, username="alice", grade="2", tutor="T"),)


@pytest.mark.parametrize(
    ("fields", "person"),
    [({"userid": "u", "username": "n", "student": "s"}, "u"), ({"userid": "", "username": "n"}, "n"),
     ({"userid": None, "student": " s "}, "s"), ({"userid": 7}, "7"), ({"userid": 7.0}, "7"), ({"userid": True}, ""),
     ({"userid": ["x"]}, ""), ({}, "")],
)  # fmt: skip
def test_the_person_of_an_entry_is_its_userid_or_else_username_or_else_student(
    fields: dict[str, Any], person: str
) -> None:
    assert GradeEntry(fields).person == person


@pytest.mark.parametrize(
    ("fields", "grade"),
    [({"grade": "92"}, "92"), ({"grade": 92}, "92"), ({"grade": 92.0}, "92"), ({"grade": 92.5}, "92.5"),
     ({"grade": 0}, "0"), ({"grade": ""}, None), ({"grade": "  "}, None), ({"grade": None}, None), ({}, None),
     ({"mark": "A"}, "A"), ({"grade": "", "mark": "B"}, "B"), ({"grade": False}, None)],
)  # fmt: skip
def test_a_missing_grade_is_none_and_zero_is_a_grade(fields: dict[str, Any], grade: str | None) -> None:
    assert GradeEntry(fields).grade == grade


@given(fields=st.dictionaries(KEYS, CELLS))
def test_an_entry_with_any_cells_can_be_read(fields: dict[str, Any]) -> None:
    read = GradeEntry(fields)
    assert all(isinstance(text, str) for text in (read.person, read.grade or "", read.feedback))
    assert isinstance(read.visible, bool)


def test_a_person_is_found_under_any_key_and_the_last_row_is_in_force() -> None:
    rows = (entry(userid="alice"), entry(username="alice"), entry(userid="9", student="alice"), entry(userid="bob"))
    assert of_person(rows, ALICE) == rows[2]
    assert of_person((entry(userid="Alice"), entry(grade="1")), ALICE) is None


@pytest.mark.parametrize("name", ["username", "student"])
def test_registering_the_number_of_another_person_does_not_show_their_grade(name: str) -> None:
    bobs = entry(userid=4711, grade="1", **{name: "bob"})
    mallory = Username("4711")
    assert of_person((bobs,), mallory) is None
    assert of_person((bobs,), BOB) is bobs
    assert of_person((entry(userid="bob"),), BOB) == entry(userid="bob")
    mine = entry(username="4711", grade="6")
    for table in (merge((bobs,), (mine,)), merge((mine,), (bobs,)), merge((bobs, mine), ())):
        assert (of_person(table, mallory), of_person(table, BOB)) == (mine, bobs)


def test_a_workflow_state_withholds_the_grade() -> None:
    held = parse_upload({"grades": [{"username": "alice"}], "workflow_state": "inreview"})
    assert not held[0].visible
    assert parse_upload({"grades": [{"username": "alice"}], "workflow_state": ""})[0].visible


JSON = st.recursive(
    CELLS, lambda inner: st.lists(inner) | st.dictionaries(KEYS | st.just("grades"), inner), max_leaves=9
)


@given(document=JSON)
def test_any_uploaded_document_gives_entries_with_a_person_or_a_bad_request(document: object) -> None:
    try:
        entries = parse_upload(document)
    except BadRequest:
        return
    assert all(each.person for each in entries)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([{"username": "a"}, {"grade": 1}], "grade 2: a grade without a person"),
        ([{"username": "a"}, 7], "grade 2: a grade must be an object, not int"),
        ({"username": "a"}, r"^expected \{\"grades\": \[...\]\} or a list of grades$"),
    ],
)
def test_the_invalid_entry_is_named(document: object, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        parse_upload(document)


@pytest.mark.parametrize("around", [lambda inner: [0, inner], lambda inner: {"x": inner}], ids=["lists", "objects"])
def test_values_nested_too_deeply_to_be_read_again_are_refused(around: Callable[[object], object]) -> None:
    value: object = "deep"
    for _ in range(DEEPEST - 2):  # the entry and the innermost value are one level each
        value = around(value)
    assert parse_upload([{"username": "a", "x": value}])
    with pytest.raises(BadRequest, match="grade 1: nested too deeply: more than 32 levels"):
        parse_upload([{"username": "a", "x": around(value)}])


def test_a_row_based_on_an_outdated_entry_is_skipped_and_named() -> None:
    then, now = (
        GradeEntry({"username": "alice", "grade": 8}),
        GradeEntry({"username": "alice", "grade": 9, "note": "x"}),
    )
    stored = (now, GradeEntry({"username": "bob", "grade": 5}))

    def row(user: str, grade: object, based_on: str) -> GradeEntry:
        return GradeEntry({"username": user, "grade": grade, "based_on": based_on})

    for late in (row("alice", "8", then.version), row("alice", "8", "none"), row("carl", "1", then.version)):
        with pytest.raises(ChangedMeanwhile, match=late.username):
            merge(stored, [row("bob", "6", stored[1].version), late])
    fine = [row("alice", "9.5", now.version), row("bob", "5", then.version), row("carl", "1", "none")]
    merged = merge(stored, fine)
    assert [(each.username, each.grade) for each in merged] == [("alice", "9.5"), ("bob", "5"), ("carl", "1")]
    assert not any("based_on" in each.fields for each in merged)
    assert merge(stored, [row("alice", "7", "")])[0].grade == "7"  # a table without this column
