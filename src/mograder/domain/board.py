"""The course at a glance: how every person stands in every assignment."""

from __future__ import annotations

from dataclasses import dataclass

from mograder.domain.assignments import Assignment
from mograder.domain.errors import Unreadable
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Submission
from mograder.domain.store import Store


@dataclass(frozen=True)
class Work:
    """One person's work on one assignment. `latest` is what was last accepted, None where nothing was.

    `submitted` is also true for a file that was put into the course by hand; `fetched` says whether the person has
    downloaded something of the assignment from this server.
    """

    assignment: Assignment
    submitted: bool = False
    latest: Submission | None = None
    grade: GradeEntry | None = None
    feedback: bool = False
    fetched: bool = False

    @property
    def late(self) -> bool:
        """As the receipt says, by the time that applied to the person."""
        return self.latest is not None and bool(self.latest.late)

    @property
    def state(self) -> str:
        graded = self.grade is not None and self.grade.grade is not None
        return state(graded=graded, late=self.late, submitted=self.submitted, fetched=self.fetched)


def state(*, graded: bool, late: bool, submitted: bool, fetched: bool) -> str:
    """The one word for how somebody stands in an assignment."""
    if graded:
        return "graded"
    if late:
        return "late"
    if submitted:
        return "handed in"
    return "fetched" if fetched else "new"


@dataclass(frozen=True)
class Row:
    """One person of the board; `works` are in the order of the board's assignments."""

    username: Username
    name: str
    works: tuple[Work, ...]


@dataclass(frozen=True)
class Board:
    """Everybody who takes part, by everything there is to do."""

    assignments: tuple[Assignment, ...]
    rows: tuple[Row, ...]


def readable_grades(store: Store, assignment: AssignmentName) -> tuple[GradeEntry, ...] | None:
    """None where the table cannot be understood: nothing but the grades is missing then."""
    try:
        return store.grades(assignment)
    except Unreadable:
        return None
