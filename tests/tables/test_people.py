"""People are found by the data of the roster, never by guessing."""

from __future__ import annotations

import pytest

from mograder.tables.people import Key, Kind, Member, People
from tests.tables.samples import ADA, PEOPLE


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [(Kind.USERNAME, "ada", "ada"), (Kind.USERNAME, "ADA", "ada"), (Kind.EMAIL, "Ada@Example.org", "ada"),
     (Kind.USERNAME, "ada@example.org", "ada"), (Kind.EMAIL, "cleo@example.org", "cleo@example.org"),
     (Kind.STUDENT, "00123", "ada"), (Kind.ANY, "00123", "ada"), (Kind.ANY, "ada", "ada"), (Kind.CANVAS, "987", "ada"),
     (Kind.USERNAME, "00123", None), (Kind.STUDENT, "987", None), (Kind.STUDENT, "ada", None), (Kind.ANY, "987", None),
     (Kind.ANY, "Ada Lovelace", None), (Kind.USERNAME, "ada ", None)],
)  # fmt: skip
def test_a_person_is_found_by_every_known_key(kind: Kind, value: str, found: str | None) -> None:
    match = People(PEOPLE).match([Key(kind, value)])
    assert (match.member.username if match.member else None) == found
    assert bool(match.problem) == (found is None)


def test_keys_of_different_people_are_ambiguous() -> None:
    match = People(PEOPLE).match([Key(Kind.USERNAME, "ada"), Key(Kind.EMAIL, "bob@example.org")])
    assert (match.member, match.ambiguous) == (None, True)
    assert match.problem == "'ada / bob@example.org' could be any of ada, bob: give the user name"


def test_one_unknown_key_beside_a_known_one_still_identifies_the_person() -> None:
    assert People(PEOPLE).match([Key(Kind.USERNAME, "ada"), Key(Kind.STUDENT, "9")]).member is ADA


def test_an_email_address_of_two_people_is_ambiguous() -> None:
    same_address = (Member("a", email="x@example.org"), Member("b", email="X@example.org"))
    assert People(same_address).match([Key(Kind.EMAIL, "x@example.org")]).ambiguous


def test_registering_the_number_of_a_classmate_does_not_get_their_grade() -> None:
    people = People((ADA, Member("00123")))
    assert people.match([Key(Kind.STUDENT, "00123")]).member is ADA
    assert people.match([Key(Kind.ANY, "00123")]).ambiguous


def test_an_id_that_a_spreadsheet_has_changed_is_reported_and_not_repaired() -> None:
    people = People(PEOPLE)
    assert "looks like '00123', changed by a spreadsheet" in people.match([Key(Kind.STUDENT, "123")]).problem
    assert "rounded number" in people.match([Key(Kind.STUDENT, "1.23E+05")]).problem
    assert people.match([]).problem == "nobody is named"
