"""What an upload of grades would change, before anything is written; and grades in numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from mograder.domain import grades
from mograder.domain.errors import BadRequest
from mograder.domain.grades import GradeEntry, number
from mograder.domain.names import printable

BINS = 10


@dataclass(frozen=True)
class Change:
    """What an upload does to one person's grade: None is no grade. `doubt` says what is odd about it, "" if nothing.

    `feedback`: what is said to it changes; `visible`: the student sees it from then on.
    """

    person: str
    before: str | None
    after: str | None
    feedback: bool
    visible: bool
    doubt: str = ""


@dataclass(frozen=True)
class Preview:
    """What a table would change. `entries` are what is to be uploaded; `problems` says which rows are left out, why.

    `same` is how many rows change nothing.
    """

    changes: tuple[Change, ...]
    same: int
    problems: tuple[str, ...]
    entries: tuple[GradeEntry, ...]


def preview(text: str, stored: Sequence[GradeEntry], people: Collection[str], points: float | None) -> Preview:
    """What the CSV `text` would change in `stored`. Rows about nobody of `people` are left out.

    Raises BadRequest when the table as a whole cannot be understood.
    """
    entries, problems = _known_rows(text, stored, people)
    changes = []
    held = grades.merge(stored, ())  # a table by hand may have a person twice
    # Merging keeps what is held at its place and puts new people behind.
    for old, new in zip_longest(held, grades.merge(held, entries)):
        before = old or GradeEntry({})
        feedback = before.feedback != new.feedback
        if feedback or before.grade != new.grade or (old is not None and old.visible != new.visible):
            doubt = _doubt(new.grade, points)
            changes.append(Change(new.username, before.grade, new.grade, feedback, new.visible, doubt))
    return Preview(tuple(changes), max(0, len(entries) - len(changes)), tuple(problems), tuple(entries))


def _known_rows(text: str, stored: Iterable[GradeEntry], people: Collection[str]) -> tuple[list[GradeEntry], list[str]]:
    """The rows about people of the course, and what is wrong with the others."""
    columns, rows = grades.read_rows(text)
    if not any(key in columns for key in (*grades.GRADE_KEYS, "feedback")):
        raise BadRequest(f"the table has no column 'grade', found {', '.join(columns)}")
    known = {*people, *(each.person for each in stored)}
    entries, problems, places = [], [], dict[str, str]()
    for place, row in rows:
        try:
            entry = GradeEntry.parse(row, place)
        except BadRequest as error:
            problems.append(error.message)
            continue
        if entry.person not in known and entry.username not in known:
            problems.append(f"{place}: nobody called {printable(entry.username)!r} is in the course")
        elif entry.person in places:
            problems.append(f"{place}: {printable(entry.person)!r} is in {places[entry.person]} already")
        else:
            places[entry.person] = place
            entries.append(entry)
    return entries, problems


def _doubt(grade: str | None, points: float | None) -> str:
    value = number(grade)
    if grade is None:
        return "no grade"
    if value == -math.inf:
        return "not a number"
    if value < 0:
        return "less than 0"
    return f"more than {points:g} points" if points is not None and value > points else ""


@dataclass(frozen=True)
class Bin:
    """How many grades are at least `low` and less than `high`; the last bin has those at `high` as well."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Spread:
    """Grades in numbers. `lower` and `upper` are the quartiles; `others` counts grades that are no numbers."""

    count: int
    mean: float
    median: float
    lower: float
    upper: float
    bins: tuple[Bin, ...]
    others: int


def spread(given: Iterable[str], points: float | None) -> Spread | None:
    """How grades spread, None when there are none that are numbers."""
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
