"""What an instructor's pages show."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from mograder.domain.assignments import Assignment
from mograder.domain.board import Board, Order, Show, Wanted
from mograder.domain.names import Username
from mograder.domain.rule_editor import Planned
from mograder.web.api import Failure
from mograder.web.pages.page import Page


@dataclass(frozen=True)
class Part:
    """Which part of a long list is shown: `page` of `pages`, from 1, of `total` in all."""

    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class Rush:
    """What happens now: hand-ins in each of the last 60 minutes, what failed on this server, free bytes if known."""

    minutes: tuple[int, ...] = (0,) * 60
    errors: tuple[Failure, ...] = ()
    free: int | None = None

    @property
    def most(self) -> int:
        return max(1, *self.minutes)

    @property
    def tens(self) -> tuple[int, ...]:
        """The same in steps of ten minutes, the oldest first."""
        return tuple(sum(self.minutes[at : at + 10]) for at in range(0, 60, 10))


@dataclass(frozen=True)
class BoardPage(Page):
    """Everybody by everything, or those who are `wanted`, `found` as far as they fit on one page.

    `assignments` are all that there are; `people` is how many take part; `missing` are all who have handed in nothing
    for the assignment that is chosen.
    """

    template = "board.html"
    heading = "Board"
    assignments: tuple[Assignment, ...]
    people: int
    wanted: Wanted
    found: Board
    part: Part
    rush: Rush
    missing: tuple[Username, ...] = ()
    shows = tuple(Show)
    orders = tuple(Order)

    def at_page(self, page: int) -> str:
        """The link to another page of what was found."""
        wanted = self.wanted
        asked = {"q": wanted.text, "assignment": wanted.assignment or "", "show": wanted.show, "order": wanted.order}
        return f"{self.frame.at('/board')}?{urlencode({**asked, 'page': page})}"

    @property
    def here(self) -> str:
        return self.at_page(self.part.page)


@dataclass(frozen=True)
class RulesPage(Page):
    """An assignment's title, times and limits, to change. `limit` is what the server takes, in bytes.

    `problem` says why the last try failed, "" without any; `saved` that it did not.
    """

    template = "rules.html"
    planned: Planned
    limit: int
    problem: str = ""
    saved: bool = False
