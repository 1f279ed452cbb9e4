"""The pages for graders: what there is to mark, who marks what, and the link to the next person with work to mark.

Invariant: where names are hidden, no page, header or file name of marking contains a name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from operator import attrgetter, itemgetter
from urllib.parse import urlencode

from sse_starlette.sse import EventSourceResponse

from mograder.domain.access import Allow
from mograder.domain.assignments import Assignment
from mograder.domain.board import due_order
from mograder.domain.errors import BadRequest, Forbidden, NotFound
from mograder.domain.marking import Names
from mograder.domain.marking_desk import Candidate, Overview
from mograder.domain.names import Username, printable
from mograder.web.broadcast import stream
from mograder.web.pages.board import PEOPLE_A_PAGE, Part, part_of
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute


class MarkingIndex(Page, frozen=True):
    """Every assignment, and how many people's work is still to be marked."""

    template = "marking_index.html"
    heading = "Marking"
    works: tuple[tuple[Assignment, Overview], ...]


class OnMarking(Page, frozen=True):
    """A page about the marking of one assignment."""

    heading = "Marking"
    assignment: Assignment
    names: Names

    def at(self, *segments: str) -> str:
        """The link to a page of this assignment's marking."""
        return self.frame.at("/marking", self.assignment.name, *segments)

    def person(self, username: str, *segments: str) -> str:
        return self.at("people", self.names.shown(username), *segments)


class MarkingPage(OnMarking, frozen=True):
    """The people to mark. `rows` are one page of those that match the search `text`."""

    template = "marking_assignment.html"
    overview: Overview
    rows: tuple[Candidate, ...]
    part: Part
    text: str
    graders: tuple[str, ...]
    said: str = ""

    def at_page(self, page: int) -> str:
        return f"{self.at()}?{urlencode({'q': self.text, 'page': page})}"

    @property
    def sections(self) -> tuple[str, ...]:
        return sections_of(self.overview.candidates)

    @property
    def open_requests(self) -> list[tuple[str, str]]:
        """(user name, question) of the requests that nobody has answered."""
        return self.names.in_order(self.overview.open_requests, itemgetter(0))

    def next_of(self, question: str) -> str:
        return f"{self.at('next')}?{urlencode({'question': question})}"


def names_of(request: PageRequest, task: Assignment) -> Names:
    return Names(request.course.marking.sheet(task).settings.salt)


def index(request: PageRequest) -> Answer:
    desk = request.course.marking
    listed = sorted(request.course.release.assignments(request.actor), key=due_order)
    return MarkingIndex(request.frame, tuple((each, desk.overview(request.actor, each)) for each in listed))


def page(request: PageRequest) -> Answer:
    """The people to mark. A search that finds one person leads to that person."""
    task, desk = request.assignment(), request.course.marking
    found = desk.overview(request.actor, task)
    names, text = Names(found.sheet.settings.salt), request.query.get("q", "")[:200].strip()
    shown = _found(found.candidates, names, text)
    if text and len(shown) == 1:
        return request.to("/marking", task.name, "people", names.shown(shown[0].username))
    rows, part = part_of(shown, request.query, PEOPLE_A_PAGE)
    graders = desk.graders() if request.actor.is_instructor else ()
    said = {"handed": "it is handed out", "names": "names are shown", "hidden": "names are hidden"}.get(
        request.query.get("said", ""), ""
    )
    return MarkingPage(request.frame, task, names, found, tuple(rows), part, text, graders, said)


def _found(candidates: Sequence[Candidate], names: Names, text: str) -> list[Candidate]:
    """The candidates whose name (or pseudonym, where names are hidden) contains the text, in the order shown."""
    key = text.casefold()

    def shown(each: Candidate) -> str:
        return names.shown(each.username) if names.hidden else f"{each.username}\n{each.name}"

    exact = [each for each in candidates if names.shown(each.username).casefold() == key]
    found = exact or [each for each in candidates if key in shown(each).casefold()]
    return names.in_order(found, attrgetter("username"))


def next_person(request: PageRequest) -> Answer:
    """Leads to the next person with work left to mark, or with `before` in the query to the previous one."""
    task, query = request.assignment(), request.query
    found = request.course.marking.overview(request.actor, task)
    names, question = Names(found.sheet.settings.salt), query.get("question")
    left = sorted(names.shown(user) for user, keys in found.to_do.items() if question is None or question in keys)
    here = query.get("after", query.get("before", ""))
    if not left:
        return request.to("/marking", task.name)
    if "before" in query:
        chosen = next((each for each in reversed(left) if each < here), left[-1])
    else:
        chosen = next((each for each in left if each > here), left[0])
    asked = urlencode({"question": question}) if question is not None else ""
    return request.to("/marking", task.name, "people", chosen, query=asked)


def hand_out(request: PageRequest) -> Answer:
    """Assign questions or people to graders, one by one or everybody at random."""
    task, desk, form = request.assignment(), request.course.marking, request.form
    if form.get("how") == "random":
        desk.at_random(request.actor, task, [name for name in desk.graders() if f"grader:{name}" in form])
    elif form.get("how") == "person":
        user = find_person(request, task, form.get("person", ""))
        desk.hand_out(request.actor, task, {(user, ""): form.get("to", "")})
    elif form.get("how") == "section":
        people = people_of(desk.candidates(task), form.get("section", ""))
        desk.hand_out(request.actor, task, {(user, ""): form.get("to", "") for user in people})
    elif form.get("how") == "nobody":
        sheet = desk.sheet(task)
        desk.hand_out(request.actor, task, {(user, ""): "" for user in sheet.by_person}
                      | {("", key): "" for key in sheet.by_question})  # fmt: skip
    elif form.get("how") == "question":
        asked = [each.key for each in desk.questions(task)]
        desk.hand_out(request.actor, task, {("", key): form[f"to:{key}"] for key in asked if f"to:{key}" in form})
    else:
        raise BadRequest("choose how to hand out")
    return request.to("/marking", task.name, query="said=handed")


def hide_names(request: PageRequest) -> Answer:
    task, hide = request.assignment(), request.form.get("hide") == "yes"
    request.course.marking.set_anonymous(request.actor, task, hide)
    return request.to("/marking", task.name, query="said=hidden" if hide else "said=names")


def people_of(candidates: Sequence[Candidate], section: str) -> set[Username]:
    """The people in a section. Raises NotFound when there are none."""
    found = {each.username for each in candidates if section in each.sections}
    if not found:
        raise NotFound(f"nobody is in a section {printable(section)!r}")
    return found


def sections_of(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """All sections that somebody is in, sorted."""
    return tuple(sorted({section for each in candidates for section in each.sections}))


def find_person(request: PageRequest, task: Assignment, text: str) -> Username:
    """The person with this name, or pseudonym where names are hidden. Raises NotFound, and Forbidden for a grader who
    asks for their own work.
    """
    desk = request.course.marking
    people = [each.username for each in desk.candidates(task)]
    found = names_of(request, task).find(text, people)
    if found is None:
        raise NotFound(f"nobody called {printable(text)!r} is to be marked here")
    if found == request.actor.username and not request.actor.is_instructor:
        raise Forbidden("this is your own work: you cannot mark it, or see the draft of its mark")
    return found


async def live(request: PageRequest) -> Answer:
    """The event stream that says that a mark has changed."""
    request.api.live_marking.check(request.actor.username)

    async def events() -> AsyncIterator[dict[str, str]]:
        async for _ in stream(request.api.live_marking, request.actor.username, request.still_holds):
            yield {"event": "changed", "data": ""}

    return EventSourceResponse(events(), send_timeout=request.api.timeouts.taking)


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/marking", Allow.GRADER, index),
    PageRoute("GET", "/live/marking", Allow.GRADER, live),
    PageRoute("GET", "/marking/{assignment}", Allow.GRADER, page),
    PageRoute("GET", "/marking/{assignment}/next", Allow.GRADER, next_person),
    PageRoute("POST", "/marking/{assignment}/hand-out", Allow.INSTRUCTOR, hand_out),
    PageRoute("POST", "/marking/{assignment}/names", Allow.INSTRUCTOR, hide_names),
)
