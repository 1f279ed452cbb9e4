"""A submission as it ran: its cells with their output, for instructors and graders.

Invariant: nothing of it runs. It is shown in a sandboxed frame without scripts, forms and links, under a policy that
fetches nothing, and its HTML is made inert first.
"""

from __future__ import annotations

import re

from markupsafe import Markup
from msgspec import Struct
from starlette.responses import Response

from mograder.domain.access import Allow
from mograder.domain.assignments import Assignment
from mograder.domain.errors import NotFound
from mograder.domain.names import FileName, Username
from mograder.domain.rendered import RenderedCell
from mograder.web.pages.highlight import highlight_python
from mograder.web.pages.inert import inert
from mograder.web.pages.marimo_elements import without_scripts
from mograder.web.pages.marking import find_person, names_of
from mograder.web.pages.page import Page, render
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute
from mograder.wire.rendered import unpack

POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
"""The policy of the frame's content, also when somebody opens its address alone. Pictures are data in the page."""

_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")


class ShownCell(Struct, frozen=True):
    """A cell on the page: `code` and `html` are safe, `picture` is base64 of a PNG, all else is text."""

    title: str
    code: Markup
    cell: RenderedCell

    @property
    def html(self) -> Markup | None:
        return inert(without_scripts(self.cell.value)) if self.cell.kind == "text/html" else None

    @property
    def picture(self) -> str:
        return self.cell.value if self.cell.kind == "image/png" and _BASE64.fullmatch(self.cell.value) else ""

    @property
    def text(self) -> str:
        return self.cell.value if self.cell.kind == "text/plain" else ""


class RenderedCells(Page, frozen=True):
    """The content of the frame of a RenderedPage."""

    template = "rendered_cells.html"
    heading = "As it ran"
    cells: tuple[ShownCell, ...]


class RenderedPage(Page, frozen=True):
    """The page around the frame. `back` is the page that it was opened from, `shown` the person's name or pseudonym."""

    template = "rendered.html"
    heading = "As it ran"
    shown: str
    back: str
    content: str


def _content(request: PageRequest, packed: bytes) -> Response:
    if not packed:
        raise NotFound("no output of this submission is kept: it has not been graded yet, or it is no notebook")
    cells = tuple(
        ShownCell(f"cell {number}" + (f" ({each.name})" if each.name else ""), highlight_python(each.code), each)
        for number, each in enumerate(unpack(packed).cells, 1)
    )
    headers = {"Content-Security-Policy": POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return Response(render(RenderedCells(request.frame, cells)), media_type="text/html; charset=utf-8", headers=headers)


# where submissions are listed


def of_submission(request: PageRequest) -> Answer:
    task, user, file = _named(request)
    steps = ("/board", task.name, "people", user, file)
    return RenderedPage(
        request.frame, user, request.frame.at(*steps), request.frame.at(*steps, "notebook", "content")
    )  # fmt: skip


async def content_of_submission(request: PageRequest) -> Answer:
    def find() -> bytes:
        task, user, file = _named(request)
        return request.course.results.notebook(task.name, user, file)

    packed = await request.api.threads.run(find)
    return await request.api.renderings.run(lambda: _content(request, packed))


def _named(request: PageRequest) -> tuple[Assignment, Username, FileName]:
    return request.assignment(), Username.parse(request.values["user"]), FileName.parse(request.values["file"])


# where it is marked


def of_person(request: PageRequest) -> Answer:
    task, user = request.assignment(), request.values["person"]
    shown = names_of(request, task).shown(find_person(request, task, user))
    steps = ("/marking", task.name, "people", user)
    return RenderedPage(
        request.frame, shown, request.frame.at(*steps), request.frame.at(*steps, "notebook", "content")
    )  # fmt: skip


async def content_of_person(request: PageRequest) -> Answer:
    def find() -> bytes:
        task = request.assignment()
        user = find_person(request, task, request.values["person"])
        counting = request.course.marking.of(task, user).counting
        return request.course.results.notebook(task.name, user, counting.submission.filename) if counting else b""

    packed = await request.api.threads.run(find)
    return await request.api.renderings.run(lambda: _content(request, packed))


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/board/{assignment}/people/{user}/{file}/notebook", Allow.INSTRUCTOR, of_submission),
    PageRoute(
        "GET", "/board/{assignment}/people/{user}/{file}/notebook/content", Allow.INSTRUCTOR, content_of_submission
    ),
    PageRoute("GET", "/marking/{assignment}/people/{person}/notebook", Allow.GRADER, of_person),
    PageRoute("GET", "/marking/{assignment}/people/{person}/notebook/content", Allow.GRADER, content_of_person),
)
