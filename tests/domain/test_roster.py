"""Rosters as other systems export them."""

from __future__ import annotations

import pytest

from mograder.domain.errors import BadRequest
from mograder.domain.roster import MAX_NAME, Person, random_code, read_roster

CLASSROOM = "username,first_name,last_name,email,section,github_id,role"
AUTOLAB = "Semester,email,last_name,first_name,school,major,year,grading_policy,courseNumber,courseLecture,section"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("student_id,first_name,last_name,email\n007,Ada,Lovelace,ada@u.de\n", [("007", "Ada Lovelace")]),
        (f"{CLASSROOM}\nada,Ada,L,a@u.de,1,x,instructor\n", [("ada", "Ada L")]),
        (f"{AUTOLAB}\nF26,ada@u.de,Lovelace,Ada,,,,,,,A\n", [("ada@u.de", "Ada Lovelace")]),
        ("\ufeffEmail address;First name;Last name\r\nada@u.de;Ada;Lovelace\r\n;;\r\n", [("ada@u.de", "Ada Lovelace")]),
        ("Username\tName\n ada \t Ada   Lovelace \n\nbob\t\n", [("ada", "Ada Lovelace"), ("bob", "")]),
        ('name,username\n"Lovelace, Ada",ada\n', [("ada", "Lovelace, Ada")]),
        ("username\nada", [("ada", "")]),
        (f"username,name\nada,{'x' * MAX_NAME}", [("ada", "x" * MAX_NAME)]),
    ],
)  # fmt: skip
def test_a_list_is_read_whoever_exported_it(text: str, expected: list[tuple[str, str]]) -> None:
    people = read_roster(text)
    assert [(each.username, each.name) for each in people] == expected
    assert {each.role for each in people} == {"student"}  # a list makes nobody an instructor


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected one of username, student_id, email, found nothing$"), ("username\n", "^the list names nobody$"),
        ("first_name,last_name\nAda,L\n", "found first_name, last_name$"),
        ("username\nada\nal ice\n", "line 3"), ("username\nada\nADA\n", "line 3"),
        ("username,name\nada,A\n,B\n", "line 3"), ("username\n__instructor__\n", "line 2"),
        ("username,name\nada,A,B\n", "line 2"), ('username\n"ada\n', "line 2"), ("username\na.py\n", "line 2"),
        (f"username,name\nada,{'x' * (MAX_NAME + 1)}\n", "line 2: the name of 'ada' is longer than 200 characters"),
    ],
)  # fmt: skip
def test_a_list_with_a_mistake_names_the_line(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_roster(text)


def test_a_personal_code_can_be_read_out_and_is_another_each_time() -> None:
    codes = {random_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(len(code) == 14 and not set(code) & set("01ilo") and code == code.lower() for code in codes)


def test_a_display_name_is_one_line_without_control_characters() -> None:
    assert Person.parse(" ada ", " Ada\n\t\0\x1b L ") == Person.parse("ada", "Ada L")


def test_every_letter_of_a_personal_code_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = iter("abcdefghjkmn")
    monkeypatch.setattr("secrets.choice", lambda _: next(letters))
    assert random_code() == "abcd-efgh-jkmn"
