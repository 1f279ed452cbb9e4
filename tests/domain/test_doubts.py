"""Questions that a person is asked before submitting."""

from __future__ import annotations

import pytest

from mograder.domain.doubts import is_one_for_several, missing_and_extra, replaces_in_time


@pytest.mark.parametrize(
    ("expected", "names", "said"),
    [
        ([], ["a.py"], ""),
        (["a.py"], [], ""),
        (["a.py", "b.py"], ["b.py", "a.py"], ""),
        (["\u00e4.py"], ["a\u0308.py"], ""),
        (["a.py", "b.py", "c.py"], ["a.py"], "b.py and c.py are missing"),
        (["a.py"], ["b.py", "a.py"], "b.py is not asked for"),
        (["a.py"], ["\u202ea.py"], "a.py is missing; ?a.py is not asked for"),
    ],
)
def test_missing_and_unexpected_files_are_named(expected: list[str], names: list[str], said: str) -> None:
    assert missing_and_extra(expected, names) == said


def test_only_a_file_that_is_not_a_zip_raises_the_question_of_replacing_several_files() -> None:
    assert is_one_for_several("alice_20260310T200800.zip", "a.py")
    assert not is_one_for_several("alice_20260310T200800.zip", "a.ZIP")
    assert not is_one_for_several("alice_20260310T200800.py", "b.py")


def test_the_question_of_a_late_submission_says_once_what_it_replaces_and_costs() -> None:
    said = "this takes the place of submission 1 of noon, which is on time; the new one is 2 days late"
    assert replaces_in_time("submission 1 of noon", 2, 0) == said
    assert replaces_in_time("submission 1 of noon", 2, 20) == f"{said} and costs 20 percentage points"
