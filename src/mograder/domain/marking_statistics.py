"""Statistics of marks: their distribution, the difficulty and discrimination of questions, and means by grader."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mograder.domain.grade_statistics import Spread, spread
from mograder.domain.marking_desk import PersonMarking
from mograder.domain.marks import in_words

FEW = 3
"""People for a correlation at least; with fewer it means nothing."""


@dataclass(frozen=True)
class QuestionNumbers:
    """One question. `mean` is in points, `share` is the mean divided by the points; None if nobody has points.

    `discrimination` is the correlation, from -1 to 1, of its points with the sum of the other questions: whether people
    who do well in the rest do well here. It is None if too few people have both, or all have the same.
    """

    key: str
    available: float
    count: int
    mean: float | None
    share: float | None
    discrimination: float | None


@dataclass(frozen=True)
class GraderNumbers:
    """The marks that one grader gave for one question: how many, and their mean in points."""

    grader: str
    key: str
    count: int
    mean: float


@dataclass(frozen=True)
class MarkNumbers:
    """Statistics of an assignment's marks. `spread` covers the complete marks, None if there are none."""

    people: int
    finished: int
    spread: Spread | None
    questions: tuple[QuestionNumbers, ...]
    graders: tuple[GraderNumbers, ...]


def numbers_of(people: Sequence[PersonMarking]) -> MarkNumbers:
    """Statistics of these people's present marks, drafts included, and so for graders only."""
    totals = [each.marks.total for each in people if each.marks.total is not None]
    available = max((each.marks.available for each in people), default=0.0)
    keys = list(dict.fromkeys(row.key for each in people for row in each.questions))
    given: dict[tuple[str, str], list[float]] = {}
    for person in people:
        for row in person.questions:
            if row.mark.given is not None:
                given.setdefault((row.by, row.key), []).append(row.mark.given)
    return MarkNumbers(
        len(people), len(totals), spread(map(in_words, totals), available),
        tuple(_question(key, people) for key in keys),
        tuple(GraderNumbers(who, key, len(points), statistics.fmean(points))
              for (who, key), points in sorted(given.items())),
    )  # fmt: skip


def _question(key: str, people: Sequence[PersonMarking]) -> QuestionNumbers:
    own, rest, available = [], [], 0.0
    for person in people:
        points = {row.key: row.mark.points for row in person.questions}
        available = max([available, *(row.mark.available for row in person.questions if row.key == key)])
        found = points.pop(key, None)
        if found is not None:
            own.append(found)
            rest.append(None if None in points.values() else math.fsum(each or 0.0 for each in points.values()))
    mean = statistics.fmean(own) if own else None
    share = mean / available if mean is not None and available else None
    pairs = [(one, other) for one, other in zip(own, rest, strict=True) if other is not None]
    return QuestionNumbers(key, available, len(own), mean, share, _correlation(pairs))


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < FEW:
        return None
    try:
        return statistics.correlation([one for one, _ in pairs], [other for _, other in pairs])
    except statistics.StatisticsError:  # all have the same
        return None
