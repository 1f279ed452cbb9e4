"""How codes are generated, and which codes are easy to guess."""

from __future__ import annotations

import random

import pytest

from mograder.domain.codes import is_hard_to_guess, looks_personal, new_course_code


def test_generated_codes_are_hard_to_guess_and_all_different() -> None:
    choose = random.Random(7).choice
    made = {new_course_code(choose) for _ in range(2000)}
    assert len(made) == 2000
    assert all(is_hard_to_guess(each) and looks_personal(each) for each in made)


@pytest.mark.parametrize(
    "code", ["", " ", "swordfish", "math2026", "analysis2026ws", "mathematics", "2026-2027-2028", "a" * 24,
             "1a1a1a1a1a1a1a", "analysis-1-2026", "tea-3f9a1c", "introduction2026", "a b c d e f g h",
             "no no no no no no no"]
)  # fmt: skip
def test_words_with_years_and_short_codes_are_easy_to_guess(code: str) -> None:
    assert not is_hard_to_guess(code)


@pytest.mark.parametrize(
    "code", ["wq7k-m3xt-9hpd", "WQ7K M3XT 9HPD", "nine swings or ten", "Nine-Swings_or.Ten", "3f9a1c7e20bd44aa9b"]
)
def test_random_codes_and_long_phrases_are_hard_to_guess_in_any_spelling(code: str) -> None:
    assert is_hard_to_guess(code)
