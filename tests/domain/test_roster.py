"""People and their personal codes."""

from __future__ import annotations

import pytest

from mograder.domain.access import ExternalId
from mograder.domain.codes import random_code
from mograder.domain.errors import BadRequest
from mograder.domain.roster import Person


def test_a_personal_code_is_easy_to_read_out_and_different_each_time() -> None:
    codes = {random_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(len(code) == 14 and not set(code) & set("01ilo") and code == code.lower() for code in codes)


def test_a_display_name_is_one_line_without_control_characters() -> None:
    assert Person.parse(" ada ", " Ada\n\t\0\x1b L ") == Person.parse("ada", "Ada L")


def test_details_are_short_lines_without_duplicates() -> None:
    number = ExternalId("student_id", "007")
    found = Person.parse(
        "ada", email=" a@u.de\n", sections=["1", " 1 ", ""], ids=[number, number, ExternalId("x", " ")]
    )
    assert (found.email, found.sections, found.ids) == ("a@u.de", ("1",), (number,))
    for kwargs in ({"email": "e" * 201}, {"sections": ["s" * 201]}, {"sections": ["s"] * 51}):
        with pytest.raises(BadRequest, match=r"'ada'.*(longer than 200 characters|more than 50 sections)"):
            Person.parse("ada", **kwargs)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="id of 'ada' is longer"):
        Person.parse("ada", ids=[ExternalId("x", "v" * 201)])


def test_every_letter_of_a_personal_code_is_random() -> None:
    letters = iter("abcdefghjkmn")
    assert random_code(lambda _: next(letters)) == "abcd-efgh-jkmn"
