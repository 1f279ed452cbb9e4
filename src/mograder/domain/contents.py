"""Reports what a course contains, and what was left out and why. `serve`, the pages and `doctor` show it.

Invariant: the report names everything that is not in force and looks like a part of the course.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from mograder.domain.assignments import Assignment, Plan
from mograder.domain.names import AssignmentName, counted, printable


class LeftOut(Struct, frozen=True):
    """Something that is not in force: `what` it is, `why`, and what to do about it. `where` is a path on the disk.

    `expected` is set where an instructor may well intend it, such as rules that are written before the files are there.
    `itemised` is set where `doctor` also reports each single case from the ledger.
    """

    what: str
    why: str
    mend: str
    where: str = ""
    expected: bool = False
    itemised: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


class Survey(Struct, frozen=True):
    """What a store finds besides assignments.

    `work` pairs names under which there are submissions with the number of people; `left_out` is what the store left
    out. `settings` is the settings file in force, "" for none; `place` is the path at which one is looked for.
    """

    work: tuple[tuple[AssignmentName, int], ...] = ()
    settings: str = ""
    place: str = ""
    left_out: tuple[LeftOut, ...] = ()


class Contents(Struct, frozen=True):
    """The report. `settings` is the settings file in force, "" for none; `place` is where one is looked for."""

    assignments: tuple[AssignmentName, ...]
    settings: str
    place: str
    left_out: tuple[LeftOut, ...]


def contents(listed: Iterable[Assignment], plan: Plan, survey: Survey) -> Contents:
    """The report of a course with these assignments, this plan, and what its store found."""
    names = tuple(each.name for each in listed)
    keys = {each.key for each in names}
    orphans = [
        LeftOut(
            f"the work of {counted(people, 'person', 'people')} for {printable(name)!r}",
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
