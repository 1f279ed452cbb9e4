"""Mistakes are made in the model solution, and the tests run against them in the real sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder.coursework.folders import GradingFolders
from mograder.coursework.mutation_testing import Unnoticed, spread, try_mistakes
from mograder.domain.errors import NotFound, Usage
from tests.graded_course import SOURCE

WEAK = (
    SOURCE.replace("    return a * 2\n", "    while a < 0:\n        a += 1\n    return a * 2\n")
    .replace("double(2) == 4", "double(0) == 0")
    .replace("double(-7) == -14", "double(-3) == 0")
)
"""`double` of negative numbers is 0, and no other is tried."""


def put(folder: Path, text: str) -> GradingFolders:
    (folder / "source" / "hw1").mkdir(parents=True)
    (folder / "source" / "hw1" / "hw1.py").write_text(text)
    return GradingFolders.of(folder)


def test_mistakes_that_the_tests_do_not_detect_are_reported_with_cell_and_line(tmp_path: Path) -> None:
    """A mistake that causes an endless loop counts as detected."""
    seen: list[tuple[int, int]] = []
    tried = try_mistakes(put(tmp_path, WEAK), "hw1", 500, 2, lambda done, total: seen.append((done, total)))
    line = WEAK[: WEAK.index("a += 1")].count("\n") + 1
    assert (tried.failed, tried.unchecked, seen[-1]) == ((), (), (tried.possible, tried.tried))
    # With this mistake double(0) is 2, which a test detects.
    assert Unnoticed("double", line - 1, "while a < 0:", "while a <= 0:") not in tried.unnoticed
    assert Unnoticed("double", line + 1, "return a * 2", "return a * 3") in tried.unnoticed
    assert {each.after for each in tried.unnoticed}.isdisjoint({"return None", "a -= 1"})
    assert {each.cell for each in tried.unnoticed} == {"double"}  # the tests of x are complete


def test_a_sample_of_mistakes_is_spread_over_the_file() -> None:
    assert (spread(range(10), 3), spread(range(2), 3)) == ([0, 3, 6], [0, 1])


def test_a_model_solution_that_fails_its_own_tests_is_an_error(tmp_path: Path) -> None:
    folders = put(tmp_path, SOURCE.replace("double(2) == 4", "double(2) == 5"))
    with pytest.raises(Usage, match="does not pass every check"):
        try_mistakes(folders, "hw1", 5, 1, lambda *_: None)
    with pytest.raises(NotFound):
        try_mistakes(folders, "hw9", 5, 1, lambda *_: None)
