"""People and their personal codes."""

from __future__ import annotations

import pytest

from mograder.domain.roster import Person, random_code


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
