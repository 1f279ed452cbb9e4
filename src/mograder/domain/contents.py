"""What a course contains and what it does not, and why: one report, which `serve`, the pages and `doctor` show.

Invariant: whatever stands where a part of the course could stand, and is not in force, is in the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mograder.domain.assignments import Assignment, Plan
from mograder.domain.names import AssignmentName, printable

FEW = 5
"""How many names a line lists at most."""


@dataclass(frozen=True)
class LeftOut:
    """Something that is not in force: `what` it is, `why`, and what to do about it. `where` is a place on the disk.

    `expected` is set for what an instructor may well have meant so, such as rules written before the files are there;
    `itemised` where doctor names every single one by the ledger.
    """

    what: str
    why: str
    mend: str
    where: str = ""
    expected: bool = False
    itemised: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True)
class Survey:
    """What a store finds besides assignments: whose `work` stands under which name, and what it left out by itself.

    `work` pairs the name of an assignment with the number of people; `settings` is the file in force, "" for none,
    and `place` the one that would be.
    """

    work: tuple[tuple[AssignmentName, int], ...] = ()
    settings: str = ""
    place: str = ""
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Contents:
    """The report. `settings` is the file of settings in force, "" for none, and `place` the one that would be."""

    assignments: tuple[AssignmentName, ...]
    settings: str
    place: str
    left_out: tuple[LeftOut, ...]


def few(names: list[str]) -> str:
    """The first names of a list, and how many there are more."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(printable(each) for each in names[:FEW]) + more


def contents(listed: Iterable[Assignment], plan: Plan, survey: Survey) -> Contents:
    """The report of a course that lists these assignments, goes by this plan, and where a store found `survey`."""
    names = tuple(each.name for each in listed)
    keys = {each.key for each in names}
    orphans = [
        LeftOut(
            f"the work of {people} {'person' if people == 1 else 'people'} for {printable(name)!r}",
            "there is no assignment of this name",
            f"give the assignment its name {printable(name)!r} back, or make a new one of that name",
        )
        for name, people in survey.work
        if name.key not in keys
    ]
    idle = [
        LeftOut(
            f"rules for {printable(name)!r}", "there is no assignment of this name, or it has no files yet",
            "make its folder, or correct the name", expected=True,
        )
        for name in plan.rules
        if name.key not in keys
    ]  # fmt: skip
    return Contents(names, survey.settings, survey.place, (*orphans, *survey.left_out, *idle))
