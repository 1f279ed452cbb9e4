"""The page on which an instructor has submissions graded again, sees what would change, and applies or drops it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mograder.domain.access import Allow
from mograder.domain.errors import MograderError
from mograder.domain.names import counted
from mograder.domain.regrading import Regraded, RegradePreview
from mograder.web.pages.assignment import OnAssignment
from mograder.web.pages.board import small_number
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute, html


@dataclass(frozen=True)
class RegradePage(OnAssignment):
    """A regrade of the assignment, None where there is none. `has_letters` says that the course has letter grades.

    `done` says what was just applied or dropped, `problem` why something was refused, "" for nothing.
    """

    template = "regrade.html"
    heading = "Grade again"
    regrade: RegradePreview | None
    has_letters: bool = False
    done: str = ""
    problem: str = ""

    @property
    def id(self) -> str:
        return self.regrade.id if self.regrade else ""

    @property
    def is_running(self) -> bool:
        return self.regrade is not None and self.regrade.waiting > 0

    @property
    def has_flaky(self) -> bool:
        return self.regrade is not None and any(each.new.report.flaky for each in self.regrade.rows)

    @staticmethod
    def before(row: Regraded) -> float | None:
        return row.old.points if row.old else None


def page_of(request: PageRequest) -> RegradePage:
    task, course = request.assignment(), request.course
    applied = small_number(request.query.get("applied", ""))
    done = "" if applied is None else f"{counted(applied, 'new result')} {'is' if applied == 1 else 'are'} in force"
    done = "the regrade is dropped, and nothing has changed" if request.query.get("dropped", "") else done
    return RegradePage(request.frame, task, course.regrades.look(task), bool(course.plan.letters.steps), done)


def _refused(request: PageRequest, error: MograderError) -> Answer:
    return html(replace(page_of(request), problem=error.message), error.status)


def start(request: PageRequest) -> Answer:
    """Begin a regrade, which workers carry out. It takes the place of the regrade that was shown."""
    task, form = request.assignment(), request.form
    try:
        request.course.regrades.start(
            request.actor, task, form.get("user", ""), form.get("twice") == "yes", form.get("seen", "")
        )
    except MograderError as error:
        return _refused(request, error)
    return request.to("/board", task.name, "regrade")


def apply(request: PageRequest) -> Answer:
    """Put the results that were shown in force."""
    task = request.assignment()
    try:
        applied = request.course.regrades.apply(request.actor, task, request.form.get("seen", ""))
    except MograderError as error:
        return _refused(request, error)
    return request.to("/board", task.name, "regrade", query=f"applied={applied}")


def drop(request: PageRequest) -> Answer:
    task = request.assignment()
    try:
        request.course.regrades.drop(request.actor, task, request.form.get("seen", ""))
    except MograderError as error:
        return _refused(request, error)
    return request.to("/board", task.name, "regrade", query="dropped=yes")


async def live(request: PageRequest) -> Answer:
    """The event stream that says when the regrade has changed. It ends when no submission is left to grade."""
    task = await request.api.threads.run(request.assignment)
    request.api.regrades.check(request.actor.username)
    return request.events_until_done(request.api.regrades, lambda: request.course.regrades.is_running(task))


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/board/{assignment}/regrade", Allow.INSTRUCTOR, page_of),
    PageRoute("POST", "/board/{assignment}/regrade", Allow.INSTRUCTOR, start),
    PageRoute("POST", "/board/{assignment}/regrade/apply", Allow.INSTRUCTOR, apply),
    PageRoute("POST", "/board/{assignment}/regrade/drop", Allow.INSTRUCTOR, drop),
    PageRoute("GET", "/board/{assignment}/regrade/live", Allow.INSTRUCTOR, live),
)
