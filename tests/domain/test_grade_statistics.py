"""Statistics of grades."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mograder.domain.grade_statistics import spread


def test_grades_are_counted_in_bins_and_summarised() -> None:
    found = spread(["0", "5", "9,5", "10", "pass"], 10)
    assert found is not None
    assert (found.count, found.others, found.mean, found.median) == (4, 1, 6.125, 7.25)
    assert (found.lower, found.upper) == (3.75, 9.625)
    assert [each.count for each in found.bins] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert (found.bins[0].low, found.bins[-1].high) == (0, 10)
    two = spread(["0", "10"], 10)
    assert two is not None
    assert (two.lower, two.upper) == (2.5, 7.5)


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [(["0"], 0, 10), (["7", "7"], 0, 7), (["-3", "2"], -3, 2), (["1e300"], 0, 1e300), (["0.5"], 0, 0.5)],
)
def test_every_grade_is_in_a_bin_between_zero_and_the_maximum(given: list[str], low: float, high: float) -> None:
    found = spread(given, None)
    assert found is not None
    assert sum(each.count for each in found.bins) == len(given)
    assert (found.bins[0].low, found.bins[-1].high) == (low, high)
    assert all(each.low < each.high == following.low for each, following in pairwise(found.bins))


@pytest.mark.parametrize("given", [[], ["pass"], ["nan", "inf", "-inf"]])
def test_without_numeric_grades_there_are_no_statistics(given: list[str]) -> None:
    assert spread(given, 10) is None
