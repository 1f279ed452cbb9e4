"""What an instructor sees of one assignment: everybody's work, grades, and single hand-ins."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlencode

from mograder.domain.assignments import Assignment
from mograder.domain.board import Row, Show
from mograder.domain.course import Standing
from mograder.domain.deadlines import Penalties
from mograder.domain.extensions import State
from mograder.domain.grades import GradeEntry
from mograder.domain.grade_changes import Preview, Spread
from mograder.domain.names import Username
from mograder.web.pages.instructor_pages import Part
from mograder.web.pages.page import Page
from mograder.web.pages.source import Contents


@dataclass(frozen=True)
class OnAssignment(Page):
    """A page about one assignment."""

    heading = "Assignment"
    assignment: Assignment

    @property
    def title(self) -> str:
        return self.assignment.rules.title or self.assignment.name

    def within(self, *segments: str) -> str:
        """The link to what belongs to the assignment."""
        return self.frame.at("/board", self.assignment.name, *segments)


@dataclass(frozen=True)
class AssignmentPage(OnAssignment):
    """Everybody's work on it. `rows` are a page of the people who stand as `show` says, each with one cell.

    `counts` says how many stand how; `kept` what was stored just now, "" when nothing was.
    """

    template = "assignment.html"
    rows: tuple[Row, ...]
    part: Part
    show: Show
    counts: tuple[tuple[Show, int], ...]
    spread: Spread | None
    penalties: Penalties
    problem: str = ""
    kept: str = ""
    shows = tuple(Show)

    def at_page(self, page: int) -> str:
        return f"{self.within()}?{urlencode({'show': self.show, 'page': page})}"

    def showing(self, show: Show) -> str:
        return f"{self.within()}?{urlencode({'show': show})}"

    @property
    def has_hand_ins(self) -> bool:
        """Whether those who are shown have handed in anything to download."""
        return self.show is not Show.MISSING and dict(self.counts)[Show.HANDED_IN] > 0

    @property
    def zip(self) -> str:
        return f"{self.within('hand-ins.zip')}?{urlencode({'show': self.show})}"

    @property
    def highest(self) -> int:
        """The largest count of a bin, by which the plot is scaled."""
        return max((each.count for each in self.spread.bins), default=1) if self.spread else 1


@dataclass(frozen=True)
class GradesPage(OnAssignment):
    """What a table of grades would change, to be confirmed; `seen` marks what is stored now."""

    template = "grades.html"
    heading = "Upload grades"
    preview: Preview
    seen: str
    problem: str = ""

    @property
    def document(self) -> str:
        return json.dumps([dict(each.fields) for each in self.preview.entries])


@dataclass(frozen=True)
class PersonPage(OnAssignment):
    """One person's work on an assignment: every hand-in, time, grade, feedback.

    `grade` is also one that the person does not see yet. `by_hand` is the file that was put there without us.
    """

    template = "person.html"
    heading = "Hand-ins"
    user: Username
    name: str
    standing: Standing
    grade: GradeEntry | None
    zone: str
    by_hand: str = ""
    problem: str = ""

    def of(self, *segments: str) -> str:
        return self.within("people", self.user, *segments)

    @property
    def asked(self) -> bool:
        return self.standing.extension is not None and self.standing.extension.state is State.ASKED


@dataclass(frozen=True)
class SourcePage(OnAssignment):
    """One hand-in, to be read."""

    template = "source.html"
    heading = "Hand-in"
    user: Username
    file: str
    size: int
    contents: Contents

    def of(self, *segments: str) -> str:
        return self.within("people", self.user, *segments)
