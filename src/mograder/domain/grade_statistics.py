"""Statistics of grades."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from mograder.domain.grades import number

BINS = 10


@dataclass(frozen=True)
class Bin:
    """How many grades are at least `low` and less than `high`; the last bin has those at `high` as well."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Spread:
    """Statistics of grades. `lower` and `upper` are the quartiles; `others` counts grades that are not numbers."""

    count: int
    mean: float
    median: float
    lower: float
    upper: float
    bins: tuple[Bin, ...]
    others: int


def spread(given: Iterable[str], points: float | None) -> Spread | None:
    """Statistics of the grades that are numbers, None if none is. `points` is the end of the last bin, if no grade is
    higher.
    """
    values = [number(each) for each in given]
    found = sorted(value for value in values if value != -math.inf)
    if not found:
        return None
    low, high = min(0.0, found[0]), max(points or 0.0, found[-1])
    width = (high - low) / BINS or 1.0
    counts = [0] * BINS
    for value in found:
        counts[min(int((value - low) / width), BINS - 1)] += 1
    bins = tuple(Bin(low + at * width, low + (at + 1) * width, count) for at, count in enumerate(counts))
    lower, _, upper = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else [found[0]] * 3
    return Spread(
        len(found), statistics.fmean(found), statistics.median(found), lower, upper, bins, len(values) - len(found)
    )
