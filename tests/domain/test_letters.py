"""Letter grades follow the scale of the course only."""

from __future__ import annotations

import pytest

from mograder.domain.letters import LetterScale

SCALE = LetterScale((("C", 50), ("A", 90), ("B", 70.5)))


@pytest.mark.parametrize(
    ("points", "letter"),
    [(10, "A"), (9, "A"), (8.99, "B"), (7.05, "B"), (7.049, "C"), (5, "C"), (4.99, ""), (0, ""), (None, "")],
)
def test_a_mark_gets_the_letter_of_its_share_of_the_points(points: float | None, letter: str) -> None:
    assert SCALE.letter(points, 10) == letter
    assert (LetterScale().letter(points, 10), SCALE.letter(points, 0)) == ("", "")


@pytest.mark.parametrize(
    ("steps", "said"),
    [((("A", 101),), "0 to 100"), ((("A", -1),), "0 to 100"), ((("A", 50), ("B", 50)), "same percentage"),
     (((" ", 50),), "no letter"), ((("A\u202e", 50),), "no letter")],
)  # fmt: skip
def test_an_invalid_scale_is_refused_with_what_to_write(steps: tuple[tuple[str, float], ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LetterScale(steps)
