"""An instructor's board, and an assignment's rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar
from urllib.parse import urlencode

from sse_starlette.sse import EventSourceResponse
from starlette.responses import RedirectResponse

from mograder.domain import board as boards
from mograder.domain.access import Allow
from mograder.domain.assignments import Assignment, CountingRule, LatePolicy, title_of
from mograder.domain.board import Board, BoardFilter, Order, Show
from mograder.domain.contents import LeftOut
from mograder.domain.errors import BadRequest, ChangedMeanwhile, MograderError
from mograder.domain.grading_results import Queue
from mograder.domain.names import AssignmentName, Username
from mograder.domain.rule_editor import RulesAsText
from mograder.domain.rules import RuleTexts
from mograder.web.api import Failure
from mograder.web.broadcast import Changed, stream
from mograder.web.pages.page import Page, render
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute, html


@dataclass(frozen=True)
class Part:
    """The part of a long list that is shown: `page` (from 1) of `pages`, of `total` entries in all."""

    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class Rush:
    """The current load: submissions in each of the last 60 minutes, failures on this server, free bytes if known.

    `joined` is how many people registered in the last hour; `full` says that the enrollment code lets nobody else in.
    """

    minutes: tuple[int, ...] = (0,) * 60
    joined: int = 0
    full: bool = False
    errors: tuple[Failure, ...] = ()
    free: int | None = None

    @property
    def most(self) -> int:
        return max(1, *self.minutes)

    @property
    def tens(self) -> tuple[int, ...]:
        """The submissions in steps of ten minutes, oldest first."""
        return tuple(sum(self.minutes[at : at + 10]) for at in range(0, 60, 10))


@dataclass(frozen=True)
class BoardPage(Page):
    """People by assignments, filtered by `wanted`; `found` holds the rows of one page.

    `assignments` are all assignments, `people` is the number of people in the course, `sections` are all sections,
    `missing` are the people without a submission for the chosen assignment.
    """

    template = "board.html"
    heading = "Board"
    assignments: tuple[Assignment, ...]
    people: int
    wanted: BoardFilter
    found: Board
    part: Part
    rush: Rush
    sections: tuple[str, ...] = ()
    missing: tuple[Username, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    queue: Queue = field(default_factory=Queue)
    everybody = BoardFilter()
    shows = tuple(Show)
    orders = tuple(Order)

    def at_page(self, page: int) -> str:
        """The link to another page of what was found."""
        wanted = self.wanted
        asked = {
            "q": wanted.text, "assignment": wanted.assignment or "", "show": wanted.show, "order": wanted.order,
            "section": wanted.section,
        }  # fmt: skip
        return f"{self.frame.at('/board')}?{urlencode({**asked, 'page': page})}"

    def title_of(self, name: AssignmentName) -> str:
        return title_of(self.assignments, name)

    @property
    def here(self) -> str:
        return self.at_page(self.part.page)


@dataclass(frozen=True)
class BoardRows(BoardPage):
    """What a stream sends of the board: the rows of `found`, the queue and the rush."""

    template = "board_rows.html"


@dataclass(frozen=True)
class RulesPage(Page):
    """The form to change an assignment's title, times and limits. `limit` is the server's own limit, in bytes.

    `problem` says why the last attempt failed, "" if none did; `saved` says that it succeeded. `course_policy`
    applies where the assignment has no late policy of its own.
    """

    template = "rules.html"
    planned: RulesAsText
    limit: int
    problem: str = ""
    saved: bool = False
    course_policy: LatePolicy = field(default_factory=LatePolicy)

    @property
    def on_time(self) -> bool:
        """Whether the last submission in time counts in the course."""
        return self.course_policy.counts is CountingRule.ON_TIME


T = TypeVar("T")

PEOPLE_A_PAGE = 100


def board(request: PageRequest) -> BoardPage:
    """People by assignments, filtered by the query."""
    everybody = request.api.board()
    wanted = wanted_of(request.query, everybody)
    found = boards.find(everybody, wanted)
    rows, part = part_of(found.rows, request.query, PEOPLE_A_PAGE)
    section = boards.find(everybody, BoardFilter(section=wanted.section))
    missing = boards.missing(section, wanted.assignment) if wanted.assignment else ()
    shown = Board(found.assignments, tuple(rows))
    course = request.course
    left_out = tuple(each for each in course.contents().left_out if not each.expected)
    return BoardPage(
        request.frame,
        everybody.assignments,
        len(everybody.rows),
        wanted,
        shown,
        part,
        _rush(request),
        everybody.sections,
        missing,
        left_out,
        course.results.queue(),
    )


def _rush(request: PageRequest) -> Rush:
    course, failures = request.course, tuple(reversed(request.api.errors))
    return Rush(
        course.submissions.rush(), course.accounts.recent_registrations(), not course.accounts.has_room, failures,
        course.submissions.free_space(),
    )  # fmt: skip


def _news(request: PageRequest, changed: Collection[Username]) -> tuple[int, str]:
    everybody = request.api.board()
    return len(everybody.rows), _rows(request, everybody, changed)


def _rows(request: PageRequest, everybody: Board, changed: Collection[Username]) -> str:
    """The rows of these people, as HTML."""
    rows = tuple(each for each in everybody.rows if each.username in changed)
    found, part = Board(everybody.assignments, rows), Part(1, 1, len(rows))
    people, queue = len(everybody.rows), request.course.results.queue()
    return render(
        BoardRows(request.frame, everybody.assignments, people, BoardFilter(), found, part, _rush(request), queue=queue)
    )


async def live(request: PageRequest) -> Answer:
    """The event stream: `rows` carries the rows that have changed; after `changed`, the page must be read again."""
    request.api.live.check(request.actor.username)

    def news(changed: Changed) -> tuple[int, str]:
        """How many people are on the board, and the rows that have changed."""
        if changed is None:
            return len(request.api.board().rows), ""
        return request.api.live.shared((request.root, changed), lambda: _news(request, changed))

    async def events() -> AsyncIterator[dict[str, str]]:
        api, known = request.api, 0  # how many people the last whole board had
        async for changed in stream(api.live, request.actor.username, request.still_holds):
            people, rows = await api.threads.run(lambda changed=changed: news(changed))  # type: ignore[misc]
            if changed is None or people != known:  # somebody new has no row yet
                known = people
                yield {"event": "changed", "data": ""}
            else:
                yield {"event": "rows", "data": rows}

    return EventSourceResponse(events(), send_timeout=request.api.timeouts.taking)


def wanted_of(query: Mapping[str, str], board: Board) -> BoardFilter:
    """The filter in the query. An unknown assignment or section counts as none. Raises BadRequest."""
    assignment = query.get("assignment", "")
    named = assignment if any(each.name == assignment for each in board.assignments) else ""
    try:
        show, order = Show(query.get("show", "")), Order(query.get("order", Order.USER))
    except ValueError:
        raise BadRequest("this address has a filter that the board does not know") from None
    text, name = query.get("q", "")[:200], AssignmentName(named) if named else None
    return BoardFilter(text, name, show, order, section_of(query, board))


def section_of(query: Mapping[str, str], board: Board) -> str:
    """The section in the query, "" if it names none, or one that nobody is in."""
    section = query.get("section", "")
    return section if section in board.sections else ""


def part_of(found: Sequence[T], query: Mapping[str, str], size: int) -> tuple[Sequence[T], Part]:
    """The page of a list that the query names, or the nearest existing one."""
    pages = max(1, -(-len(found) // size))
    page = min(max(small_number(query.get("page", "")) or 1, 1), pages)
    return found[(page - 1) * size : page * size], Part(page, pages, len(found))


def small_number(text: str) -> int | None:
    """`text` as a number if it has at most eight digits, else None."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None


def rules(request: PageRequest) -> Answer:
    """An assignment's title, times and limits."""
    course = request.course
    planned = course.rules.of(request.assignment().name)
    saved = "saved" in request.query
    return RulesPage(request.frame, planned, course.max_upload, saved=saved, course_policy=course.plan.course_policy)


def change_rules(request: PageRequest) -> Answer:
    course, name = request.course, request.assignment().name
    wanted = RuleTexts(**{each.name: request.form.get(each.name, "") for each in fields(RuleTexts)})
    tag = request.form.get("tag", "")
    try:
        course.rules.change(request.actor, name, wanted, tag)
    except MograderError as error:
        planned = course.rules.of(name)
        if not isinstance(error, ChangedMeanwhile):  # otherwise the page shows what is stored now
            planned = replace(planned, texts=wanted, tag=tag)
        page = RulesPage(
            request.frame, planned, course.max_upload, error.message, course_policy=course.plan.course_policy
        )
        return html(page, error.status)
    return RedirectResponse(f"{request.frame.at('/board', name, 'rules')}?saved", 303)


def change_counting(request: PageRequest) -> Answer:
    """Set which submission counts in the whole course."""
    try:
        rule = CountingRule(request.form.get("counts", ""))
    except ValueError:
        raise BadRequest("choose whether the last submission counts, or the last on time") from None
    request.course.rules.count(request.actor, rule)
    return RedirectResponse(f"{request.frame.at('/board', request.assignment().name, 'rules')}?saved", 303)


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/board", Allow.INSTRUCTOR, board),
    PageRoute("GET", "/board/{assignment}/rules", Allow.INSTRUCTOR, rules),
    PageRoute("POST", "/board/{assignment}/rules", Allow.INSTRUCTOR, change_rules),
    PageRoute("POST", "/board/{assignment}/counting", Allow.INSTRUCTOR, change_counting),
    PageRoute("GET", "/live", Allow.INSTRUCTOR, live),
)
