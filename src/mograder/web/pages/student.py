"""A student's pages: home, one assignment, receipts; each page's value and what fills it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import unquote

from starlette.responses import Response

from mograder.domain import deadlines
from mograder.domain.access import Allow
from mograder.domain.assignments import USUALLY_ACCEPTED, Assignment, HandOut, Which
from mograder.domain.counting import Judged
from mograder.domain.course import Standing
from mograder.domain.deadlines import IN_TIME, Lateness, Penalties
from mograder.domain.errors import BadRequest, Forbidden, MograderError, NotFound, WrongType
from mograder.domain.extensions import Extension, State
from mograder.domain.names import printable
from mograder.domain.receipts import Receipt
from mograder.domain.store import Accepted
from mograder.web import multipart
from mograder.web.api import MULTIPART_EXTRA
from mograder.web.body import is_multipart
from mograder.web.pages.editors import editor_links
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, View, Visit, file_response, html
from mograder.web.replies import FEEDBACK_POLICY, attachment
from mograder.web.zips import ZipResponse


@dataclass(frozen=True)
class Mine:
    """An assignment, and how the student stands in it."""

    assignment: Assignment
    standing: Standing

    @property
    def title(self) -> str:
        return self.assignment.rules.title or self.assignment.name

    @property
    def due(self) -> int | None:
        """The student's own due time."""
        return self.standing.schedule.due

    @property
    def closes(self) -> int | None:
        return self.standing.schedule.closes

    @property
    def extension(self) -> Extension | None:
        return self.standing.extension

    @property
    def extended(self) -> bool:
        return self.extension is not None and self.extension.until is not None

    @property
    def grade(self) -> str | None:
        return self.standing.grade.grade if self.standing.grade else None


@dataclass(frozen=True)
class Home(Page):
    """A student's course at a glance."""

    template = "home.html"
    heading = "Your assignments"
    works: tuple[Mine, ...]


@dataclass(frozen=True)
class WorkFile:
    """A file to work on, with the links that open it in an editor: (the editor's name, the address).

    `place` is the folder of the course that has it, and its name there; None when it lives elsewhere.
    """

    file: HandOut
    place: tuple[str, str] | None
    editors: tuple[tuple[str, str], ...] = ()

    @property
    def elsewhere(self) -> bool:
        return self.place is None and str(self.file.url).startswith(("https://", "http://"))


@dataclass(frozen=True)
class MyAssignment(Page):
    """One assignment: its files, handing in, what was handed in, grade and feedback.

    `limit` is the most bytes and `accepts` are the endings that a hand-in may have; `now_late` is what a hand-in of
    this moment would be. `received` is the hand-in that has just been taken, `repeated` when it was there already.
    `problem` says why the last try of handing in failed, `ask_problem` that of asking for more time, "" without any.
    """

    template = "my_assignment.html"
    mine: Mine
    files: tuple[WorkFile, ...]
    limit: int
    accepts: tuple[str, ...]
    penalties: Penalties
    zone: str
    now_late: Lateness = IN_TIME
    received: Judged | None = None
    repeated: bool = False
    problem: str = ""
    ask_problem: str = ""

    @property
    def title(self) -> str:
        return self.mine.title

    @property
    def closed(self) -> bool:
        return deadlines.is_over(self.mine.closes, self.frame.now)

    @property
    def late_after(self) -> int | None:
        """From when on a hand-in is late."""
        return None if self.mine.due is None else self.mine.due + self.penalties.grace

    @property
    def checksums(self) -> tuple[str, ...]:
        """Of what was handed out, so that it can be told from work."""
        return tuple(each.file.sha256 for each in self.files if each.file.sha256)

    @property
    def is_hand_out(self) -> bool:
        """Whether what was received is unchanged from what was handed out."""
        return self.received is not None and self.received.submission.sha256 in self.checksums

    @property
    def last_in_time_counts(self) -> bool:
        return self.mine.standing.rule is Which.ON_TIME

    @property
    def own_files(self) -> tuple[WorkFile, ...]:
        """Those that this server has, not another."""
        return tuple(each for each in self.files if each.place)

    @property
    def asked(self) -> bool:
        return self.mine.extension is not None and self.mine.extension.state is State.ASKED

    @property
    def declined(self) -> bool:
        return self.mine.extension is not None and self.mine.extension.state is State.DECLINED


@dataclass(frozen=True)
class MyReceipts(Page):
    """Every receipt of a student, the last first. `fingerprint` is that of the key that signs now."""

    template = "my_receipts.html"
    heading = "Your receipts"
    receipts: tuple[Receipt, ...]
    fingerprint: str


def home(visit: Visit) -> Answer:
    """The course at a glance."""
    return Home(visit.frame, tuple(_mine(visit, each) for each in visit.course.assignments(visit.actor)))


def _mine(visit: Visit, assignment: Assignment) -> Mine:
    return Mine(assignment, visit.course.standing(assignment, visit.actor.username))


def assignment(visit: Visit) -> MyAssignment:
    """One assignment. After a hand-in, `received` in the query is its attempt."""
    course, task = visit.course, _own_assignment(visit)
    mine = _mine(visit, task)
    attempt = visit.query.get("received", "")
    received = next((each for each in mine.standing.kept if str(each.submission.attempt) == attempt), None)
    plan = course.plan
    return MyAssignment(
        visit.frame, mine, _files(visit, task), course.limit_for(task), _accepts(task), plan.penalties, str(plan.zone),
        course.lateness(mine.due, course.clock()), received, "repeated" in visit.query,
    )  # fmt: skip


def _own_assignment(visit: Visit) -> Assignment:
    """With its files. Raises NotFound, and Forbidden for the course's instructor, who has no work of their own."""
    if visit.actor.username.reserved:
        raise Forbidden("this page is for a student's own work: the board shows everybody's")
    name = visit.assignment().name
    return next(each for each in visit.course.assignments(visit.actor) if each.name == name)


def _accepts(assignment: Assignment) -> tuple[str, ...]:
    return assignment.rules.accepts or USUALLY_ACCEPTED


def _files(visit: Visit, assignment: Assignment) -> tuple[WorkFile, ...]:
    templates = visit.course.plan.edit_links

    def with_editors(file: HandOut) -> WorkFile:
        place = _place(assignment, file)
        url = visit.address + visit.frame.at("/my", place[0], "files", place[1]) if place else str(file.url)
        read = partial(visit.course.hand_out, visit.actor, *place) if place else None
        return WorkFile(file, place, editor_links(templates, assignment.name, file, url, read))

    return tuple(map(with_editors, assignment.files))


def _place(assignment: Assignment, file: HandOut) -> tuple[str, str] | None:
    """The folder of the course that has a file, and its name there; None for a file that lives elsewhere."""
    if file.url is None:
        return assignment.name, file.name
    local = re.fullmatch(r"/assignments/([^/]+)/files/(.+)", file.url)
    return (unquote(local[1]), unquote(local[2])) if local else None


# handing in


async def hand_in(visit: Visit) -> Answer:
    """Take a file. What is not taken is said on the page, whose field is there to try again."""
    page = await visit.api.write(lambda: assignment(visit))
    try:
        accepted = await _take(visit, page)
    except MograderError as error:
        fresh = await visit.api.write(lambda: assignment(visit))
        answer = html(replace(fresh, problem=error.message), error.status)
        answer.headers.update(dict(error.headers))
        return answer
    attempt = accepted.receipt.submission.attempt
    on = visit.to("/my", page.mine.assignment.name)
    on.headers["Location"] += f"?received={attempt}" + ("&repeated" if accepted.repeated else "")
    return on


async def _take(visit: Visit, page: MyAssignment) -> Accepted:
    course, task, user = visit.course, page.mine.assignment, visit.actor.username
    await visit.api.write(lambda: course.check_open(visit.actor, task, user, visit.received))
    upload = course.upload()
    try:
        if not is_multipart(visit.headers):
            raise BadRequest("choose a file first")
        chunks = visit.body.chunks(page.limit + MULTIPART_EXTRA)
        filename = await multipart.read_first_file(visit.headers, chunks, upload)
        if not filename.lower().endswith(page.accepts):
            raise WrongType(f"{printable(filename)!r}: {task.name!r} takes {', '.join(page.accepts)}")

        def keep() -> Accepted:
            upload.finish()
            return course.submit(visit.actor, task, user, upload, visit.received, filename)

        return await visit.api.write(keep)
    finally:
        upload.discard()


def ask(visit: Visit) -> Answer:
    """Ask for more time."""
    task = _own_assignment(visit)
    until, reason = visit.form.get("until", ""), visit.form.get("reason", "")
    try:
        visit.course.extensions.ask(visit.actor, task, visit.actor.username, until, reason)
    except BadRequest as error:
        return html(replace(assignment(visit), ask_problem=error.message), error.status)
    return visit.to("/my", task.name)


# files


async def hand_out(visit: Visit) -> Answer:
    folder, name = visit.values["assignment"], visit.values["file"]
    answer = await visit.api.write(lambda: file_response(visit.course.hand_out(visit.actor, folder, name)))
    visit.api.fetches.note(visit.actor, folder, name, visit.received)
    return answer


async def all_files(visit: Visit) -> Answer:
    """Every file of an assignment that this server has, as a zip."""
    task = await visit.api.write(lambda: _own_assignment(visit))
    places = [(each.name, place) for each in task.files if (place := _place(task, each))]
    if not places:
        raise NotFound(f"{task.name!r} has no files here")
    hand_out = partial(visit.course.hand_out, visit.actor)
    found = await visit.api.write(lambda: [(name, hand_out(*place)) for name, place in places])
    visit.api.fetches.note(visit.actor, *places[0][1], visit.received)
    return ZipResponse(found, f"{task.name}.zip")


def version(visit: Visit) -> Answer:
    """One of the student's own hand-ins."""
    task, name = visit.assignment(), visit.values["file"]
    return file_response(visit.course.version(task, visit.actor.username, name))


def receipt(visit: Visit) -> Answer:
    """A receipt, as `mograder https verify` reads it."""
    task, name = visit.assignment(), visit.values["file"]
    for each in visit.course.history(task, visit.actor.username):
        stem = each.submission.filename.removesuffix(".py")
        if name == f"{stem}.jws":
            return Response(each.text, media_type="application/jose", headers=attachment(f"{task.name}_{name}"))
    raise NotFound(f"there is no receipt {printable(name)!r}")


def feedback(visit: Visit) -> Answer:
    """The feedback page, to be framed: somebody else's code, in an origin of its own."""
    found = visit.course.feedback(visit.assignment(), visit.actor.username)
    headers = {"Content-Security-Policy": FEEDBACK_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return Response(found.read(), media_type="text/html; charset=utf-8", headers=headers)


def receipts(visit: Visit) -> Answer:
    found = tuple(visit.course.receipts(visit.actor.username))[::-1]
    return MyReceipts(visit.frame, found, visit.course.signing_keys()[0]["kid"])


VIEWS: tuple[View, ...] = (
    View("GET", "/my/{assignment}", Allow.MEMBER, assignment),
    View("POST", "/my/{assignment}", Allow.MEMBER, hand_in),
    View("POST", "/my/{assignment}/extension", Allow.MEMBER, ask),
    View("GET", "/my/{assignment}/files/{file:path}", Allow.MEMBER, hand_out),
    View("GET", "/my/{assignment}/all.zip", Allow.MEMBER, all_files),
    View("GET", "/my/{assignment}/hand-ins/{file}", Allow.MEMBER, version),
    View("GET", "/my/{assignment}/receipts/{file}", Allow.MEMBER, receipt),
    View("GET", "/my/{assignment}/feedback", Allow.MEMBER, feedback),
    View("GET", "/my-receipts", Allow.MEMBER, receipts),
)
