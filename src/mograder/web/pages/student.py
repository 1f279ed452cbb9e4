"""A student's pages: home, one assignment, receipts; each page's value and its view."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import unquote

from msgspec import Struct, field
from msgspec.structs import replace
from starlette.responses import RedirectResponse, Response

from mograder.domain import deadlines, doubts
from mograder.domain.access import Allow
from mograder.domain.allowance import AttemptsLeft
from mograder.domain.assignments import Assignment, CountingRule, ReleaseFile, title_of
from mograder.domain.board import due_order
from mograder.domain.counting import AssessedSubmission
from mograder.domain.deadlines import IN_TIME, Lateness, Penalties
from mograder.domain.errors import BadRequest, Forbidden, MograderError, NotFound, Unconfirmed
from mograder.domain.extensions import Extension, State
from mograder.domain.grading_results import Progress
from mograder.domain.mark_release import ShownMark
from mograder.domain.names import AssignmentName, printable
from mograder.domain.receipts import Receipt
from mograder.domain.release import Upcoming
from mograder.domain.standings import Standing
from mograder.web.pages.editors import editor_links
from mograder.web.pages.inline import VIEWABLE
from mograder.web.pages.markdown import Instructions, rendered
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import (
    Answer,
    PageRequest,
    PageRoute,
    feedback_response,
    file_response,
    html,
    shown_response,
)
from mograder.web.replies import attachment
from mograder.web.zips import ZipResponse


class Mine(Struct, frozen=True):
    """An assignment, and the student's standing in it."""

    assignment: Assignment
    standing: Standing

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


class Home(Page, frozen=True):
    """A student's course at a glance."""

    template = "home.html"
    heading = "Your assignments"
    works: tuple[Mine, ...]
    upcoming: tuple[Upcoming, ...] = ()


class NotOpen(Page, frozen=True):
    """An assignment before it opens."""

    template = "not_open.html"
    upcoming: Upcoming


class WorkFile(Struct, frozen=True):
    """A released file, with links that open it in an editor: (the editor's name, the address).

    `place` is (folder in the course, name in it), None for a file on another server.
    """

    file: ReleaseFile
    place: tuple[str, str] | None
    editors: tuple[tuple[str, str], ...] = ()

    @property
    def elsewhere(self) -> bool:
        return self.place is None and str(self.file.url).startswith(("https://", "http://"))


class MyAssignment(Page, frozen=True):
    """One assignment: its files, the form to submit, the submissions, grade and feedback.

    A submission may have `limit` bytes and one of the endings `accepts`; `now_late` is how late it would be now.
    `questions` are doubts that the student must confirm with the next submission.
    `received` is the submission that was just accepted; `repeated` says that the latest one had the same bytes.
    `problem` says why the last submission failed, `ask_problem` why the last request for more time failed, and
    `regrade_problem` why the last request to look at a mark again failed; "" if none did.
    """

    template = "my_assignment.html"
    mine: Mine
    files: tuple[WorkFile, ...]
    limit: int
    accepts: tuple[str, ...]
    penalties: Penalties
    zone: str
    now_late: Lateness = IN_TIME
    received: AssessedSubmission | None = None
    repeated: bool = False
    problem: str = ""
    ask_problem: str = ""
    questions: tuple[str, ...] = ()
    grading: Progress = field(default_factory=Progress)
    mark: ShownMark = field(default_factory=ShownMark)
    regrade_problem: str = ""
    attempts: AttemptsLeft | None = None
    """The submissions left in this hour; None where their number is not limited."""
    instructions: Instructions = field(default_factory=Instructions)
    viewable = tuple(VIEWABLE)

    @property
    def asks_until(self) -> int | None:
        """Until when the student may ask to look at the mark again; None when that is over."""
        until = self.mark.until
        return until if until is not None and self.frame.now <= until else None

    @property
    def expects(self) -> tuple[str, ...]:
        return self.mine.assignment.rules.expects

    @property
    def takes_several(self) -> bool:
        """Whether several files can be one submission: a zip is made of them."""
        return doubts.MANY in self.accepts

    @property
    def several(self) -> str:
        """What the last submission is called if it is one of several files, else ""."""
        last = self.mine.standing.kept[-1].submission if self.mine.standing.kept else None
        return last.shown_name if last is not None and last.ending == doubts.MANY else ""

    @property
    def closed(self) -> bool:
        return deadlines.is_over(self.mine.closes, self.frame.now)

    @property
    def late_after(self) -> int | None:
        """The moment from which on a submission is late; None if there is none, or the page says already that it is."""
        return None if self.mine.due is None or self.now_late.late else self.mine.due + self.penalties.grace

    @property
    def checksums(self) -> tuple[str, ...]:
        """The checksums of the released files, to tell them from a student's work."""
        return tuple(each.file.sha256 for each in self.files if each.file.sha256)

    @property
    def is_release_file(self) -> bool:
        """Whether the submission is an unchanged released file."""
        return self.received is not None and self.received.submission.sha256 in self.checksums

    @property
    def last_in_time_counts(self) -> bool:
        return self.mine.standing.rule is CountingRule.ON_TIME

    @property
    def own_files(self) -> tuple[WorkFile, ...]:
        """The files that this server has."""
        return tuple(each for each in self.files if each.place)

    @property
    def by_hand(self) -> bool:
        """Whether a person has yet to mark a part of the result."""
        return self.grading.shown is not None and bool(self.grading.shown.marks.waiting)

    @property
    def declined(self) -> bool:
        return self.mine.extension is not None and self.mine.extension.state is State.DECLINED


class MyReceipts(Page, frozen=True):
    """All receipts of a student, newest first. `fingerprint` is that of the current signing key."""

    template = "my_receipts.html"
    heading = "Your receipts"
    receipts: tuple[Receipt, ...]
    fingerprint: str
    assignments: tuple[Assignment, ...] = ()

    def title_of(self, name: AssignmentName) -> str:
        return title_of(self.assignments, name)


def home(request: PageRequest) -> Answer:
    """The course at a glance."""
    release, actor = request.course.release, request.actor
    listed = sorted(release.assignments(actor), key=due_order)
    upcoming = () if actor.is_instructor else release.upcoming()
    return Home(request.frame, tuple(_mine(request, each) for each in listed), upcoming)


def _mine(request: PageRequest, assignment: Assignment) -> Mine:
    return Mine(assignment, request.course.standings.of(assignment, request.actor.username))


def assignment(request: PageRequest) -> Answer:
    """One assignment, or when it opens."""
    if not request.actor.is_instructor:
        key = AssignmentName(request.values["assignment"]).key
        upcoming = next((each for each in request.course.release.upcoming() if each.name.key == key), None)
        if upcoming is not None:
            return NotOpen(request.frame, upcoming)
    return _open_assignment(request)


def _open_assignment(request: PageRequest) -> MyAssignment:
    """One assignment. After a submission, `received` in the query is its attempt."""
    course, task = request.course, _own_assignment(request)
    mine = _mine(request, task)
    attempt = request.query.get("received", "")
    policy = course.submissions.late_policy(task.name)
    now = policy.lateness(mine.due, course.clock())
    question = doubts.replaced(mine.standing.kept, mine.standing.rule, now, policy.zone)
    received = next((each for each in mine.standing.kept if str(each.submission.attempt) == attempt), None)
    return MyAssignment(
        request.frame, mine, _files(request, task), course.admission.limit_for(task), task.rules.endings,
        policy.penalties, str(policy.zone), now, received, "repeated" in request.query,
        questions=(question,) if question else (),
        grading=course.results.of(request.actor, task, request.actor.username),
        mark=course.mark_release.shown(task, request.actor.username),
        instructions=_instructions(request, task),
        attempts=course.submissions.attempts_left(task, request.actor.username),
    )  # fmt: skip


def _instructions(request: PageRequest, task: Assignment) -> Instructions:
    """The instructions as HTML; "" if they cannot be shown, for then they are listed among the files."""
    try:
        return rendered(request.course.publishing.instructions(task.name))
    except BadRequest:
        return rendered("")


def _own_assignment(request: PageRequest) -> Assignment:
    """The assignment with its files. Raises NotFound; Forbidden for the course's instructor, who submits nothing."""
    if request.actor.username.reserved and not request.viewing:
        raise Forbidden("this page is for a student's own work: the board shows everybody's")
    name = request.assignment().name
    return next(each for each in request.course.release.assignments(request.actor) if each.name == name)


def _files(request: PageRequest, assignment: Assignment) -> tuple[WorkFile, ...]:
    templates = request.course.plan.edit_links

    def with_editors(file: ReleaseFile) -> WorkFile:
        place = _place(assignment, file)
        url = request.link("/my", place[0], "files", place[1]) if place else str(file.url)
        read = partial(request.course.release.file, request.actor, *place) if place else None
        return WorkFile(file, place, editor_links(templates, assignment.name, file, url, read))

    return tuple(map(with_editors, assignment.files))


def _place(assignment: Assignment, file: ReleaseFile) -> tuple[str, str] | None:
    """(folder in the course, name in it) of a file; None for a file on another server."""
    if file.url is None:
        return assignment.name, file.name
    local = re.fullmatch(r"/assignments/([^/]+)/files/(.+)", file.url)
    return (unquote(local[1]), unquote(local[2])) if local else None


async def live(request: PageRequest) -> Answer:
    """The event stream that says when the result of the newest submission is there, and ends then."""
    task = await request.api.threads.run(lambda: _own_assignment(request))
    user = request.actor.username
    request.api.results.check(user, user)

    def waits() -> bool:
        return request.course.results.of(request.actor, task, user).is_coming

    return request.events_until_done(request.api.results, waits, about=user)


# submitting


async def submit(request: PageRequest) -> Answer:
    """Keep a submission. If it is refused, the page says why and shows the form again."""
    task = await request.api.threads.run(lambda: _own_assignment(request))
    try:
        accepted = await request.take_submission(task, request.actor.username)
    except MograderError as error:
        page = await request.api.threads.run(lambda: _open_assignment(request))
        questions = error.questions if isinstance(error, Unconfirmed) else page.questions
        answer = html(replace(page, problem=error.message, questions=questions), error.status)
        answer.headers.update(dict(error.headers))
        return answer
    attempt = accepted.receipt.submission.attempt
    return request.to("/my", task.name, query=f"received={attempt}" + ("&repeated" if accepted.repeated else ""))


def ask(request: PageRequest) -> Answer:
    """Ask for more time."""
    task = _own_assignment(request)
    until, reason = request.form.get("until", ""), request.form.get("reason", "")
    try:
        request.course.extensions.ask(request.actor, task, request.actor.username, until, reason)
    except BadRequest as error:
        return html(replace(_open_assignment(request), ask_problem=error.message), error.status)
    return request.to("/my", task.name)


def ask_regrade(request: PageRequest) -> Answer:
    """Ask to look at a question's mark again."""
    task = _own_assignment(request)
    try:
        question, reason = request.form.get("question", ""), request.form.get("reason", "")
        request.course.mark_release.ask(request.actor, task, question, reason)
    except MograderError as error:
        return html(replace(_open_assignment(request), regrade_problem=error.message), error.status)
    return request.to("/my", task.name)


# files


async def release_file(request: PageRequest) -> Answer:
    folder, name = request.values["assignment"], request.values["file"]
    answer = await request.api.threads.run(
        lambda: file_response(request.course.release.file(request.actor, folder, name))
    )
    if not request.viewing:
        request.api.fetches.note(request.actor, folder, name, request.received)
    return answer


async def all_files(request: PageRequest) -> Answer:
    """All files of an assignment that this server has, as a zip."""
    task = await request.api.threads.run(lambda: _own_assignment(request))
    places = [(each.name, place) for each in task.files if (place := _place(task, each))]
    if not places:
        raise NotFound(f"{task.name!r} has no files here")
    release_file = partial(request.course.release.file, request.actor)
    found = await request.api.threads.run(lambda: [(name, release_file(*place)) for name, place in places])
    if not request.viewing:
        request.api.fetches.note(request.actor, *places[0][1], request.received)
    return ZipResponse(found, f"{task.name}.zip")


def version(request: PageRequest) -> Answer:
    """One of the student's own submissions, under the name that the student gave it; with `?show` browsers show it."""
    task, user, name = request.assignment(), request.actor.username, request.values["file"]
    found = request.course.submissions.own_file(task, user, name)
    if "show" in request.query:
        return shown_response(found)
    kept = (each.submission for each in request.course.submissions.history(task, user))
    return file_response(found, next((each.name for each in kept if each.filename == name), ""))


def old_version(request: PageRequest) -> Answer:
    """The address that `version` had in earlier versions of mograder."""
    return RedirectResponse(
        request.frame.at("/my", request.values["assignment"], "submissions", request.values["file"]), 308
    )


def receipt(request: PageRequest) -> Answer:
    """A receipt, in the form that `mograder https verify` reads."""
    task, name = request.assignment(), request.values["file"]
    for each in request.course.submissions.history(task, request.actor.username):
        if name == f"{each.submission.stem}.jws":
            return Response(each.text, media_type="application/jose", headers=attachment(f"{task.name}_{name}"))
    raise NotFound(f"there is no receipt {printable(name)!r}")


def feedback(request: PageRequest) -> Answer:
    return feedback_response(request.course.grades.feedback(request.assignment(), request.actor.username))


def receipts(request: PageRequest) -> Answer:
    found = tuple(request.course.submissions.receipts(request.actor.username))[::-1]
    return MyReceipts(
        request.frame, found, request.course.keys.public()[0]["kid"], request.course.release.assignments(request.actor)
    )


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/my/{assignment}", Allow.MEMBER, assignment),
    PageRoute("POST", "/my/{assignment}", Allow.MEMBER, submit),
    PageRoute("GET", "/my/{assignment}/live", Allow.MEMBER, live),
    PageRoute("POST", "/my/{assignment}/extension", Allow.MEMBER, ask),
    PageRoute("POST", "/my/{assignment}/regrade", Allow.MEMBER, ask_regrade),
    PageRoute("GET", "/my/{assignment}/files/{file:path}", Allow.MEMBER, release_file),
    PageRoute("GET", "/my/{assignment}/all.zip", Allow.MEMBER, all_files),
    PageRoute("GET", "/my/{assignment}/submissions/{file}", Allow.MEMBER, version),
    PageRoute("GET", "/my/{assignment}/hand-ins/{file}", Allow.MEMBER, old_version),
    PageRoute("GET", "/my/{assignment}/receipts/{file}", Allow.MEMBER, receipt),
    PageRoute("GET", "/my/{assignment}/feedback", Allow.MEMBER, feedback),
    PageRoute("GET", "/my-receipts", Allow.MEMBER, receipts),
)
