"""An instructor's pages about one assignment: submissions, a person's versions, the source, grades."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from msgspec import field
from msgspec.structs import replace

from mograder.bundle import is_zip
from mograder.domain import board as boards
from mograder.domain import grade_statistics
from mograder.domain.access import Allow
from mograder.domain.assignments import Assignment
from mograder.domain.board import BoardFilter, Row, Show
from mograder.domain.deadlines import Penalties
from mograder.domain.errors import BadRequest, MograderError, NotFound, Unreadable
from mograder.domain.extensions import Change, Decision
from mograder.domain.files import StoredFile
from mograder.domain.grade_statistics import Spread
from mograder.domain.grades import GradeEntry, of_person
from mograder.domain.grading_jobs import Readiness
from mograder.domain.grading_results import Brief, Progress, Queue
from mograder.domain.names import FileName, Username, counted, some_of
from mograder.domain.receipts import USUAL_ENDING, latest_filename, version_ending
from mograder.domain.standings import Standing
from mograder.tables.export import ExportFormat
from mograder.tables.formats import read_grades
from mograder.tables.grades import GradeChanges, GradeRules, check_grades
from mograder.tables.sheet import read_sheet
from mograder.web import multipart
from mograder.web.endpoints import feedback_pages
from mograder.web.multipart import FilledForm
from mograder.web.pages.board import PEOPLE_A_PAGE, Part, part_of, section_of, small_number
from mograder.web.pages.gradebook import is_checked, labels_of, members_of
from mograder.web.pages.inline import kind_of
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import (
    Answer,
    PageRequest,
    PageRoute,
    feedback_response,
    file_response,
    html,
    parse_form,
    shown_response,
)
from mograder.web.pages.source import Contents, look_into
from mograder.web.uploads import MULTIPART_EXTRA
from mograder.web.zips import ZipResponse
from mograder.wire.codec import decode_json
from mograder.wire.endpoints import BY_NAME


class OnAssignment(Page, frozen=True):
    """A page about one assignment."""

    heading = "Assignment"
    assignment: Assignment

    def within(self, *segments: str) -> str:
        """The link to a page of this assignment."""
        return self.frame.at("/board", self.assignment.name, *segments)


class AssignmentPage(OnAssignment, frozen=True):
    """Everybody's work on it. `rows` are one page of the people that `show` selects, each with one cell.

    `counts` is the number of people for each value of `show`; `kept` says what was just stored, "" for nothing.
    `section` is the one that is shown, "" for all `sections`; `drafts` is how many grades students do not see yet.
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
    sections: tuple[str, ...] = ()
    section: str = ""
    drafts: int = 0
    results: Mapping[Username, Brief] = field(default_factory=dict)
    queue: Queue = field(default_factory=Queue)
    readiness: Readiness | None = None
    """What the last worker said about grading the assignment; None where no worker has tried yet."""
    shows = tuple(Show)
    formats = (
        (ExportFormat.CANVAS, "Canvas"), (ExportFormat.MOODLE, "Moodle gradebook"),
        (ExportFormat.MOODLE_WORKSHEET, "Moodle grading worksheet"), (ExportFormat.GRADESCOPE, "Gradescope"),
        (ExportFormat.CSV, "our own CSV"), (ExportFormat.XLSX, "Excel (.xlsx)"), (ExportFormat.JSON, "JSON"),
    )  # fmt: skip

    def at_page(self, page: int) -> str:
        return self._with(show=self.show, section=self.section, page=str(page))

    def showing(self, show: Show) -> str:
        return self._with(show=show, section=self.section)

    def in_section(self, section: str) -> str:
        return self._with(show=self.show, section=section)

    def _with(self, *segments: str, **query: str) -> str:
        asked = {name: value for name, value in query.items() if name != "section" or value}
        return f"{self.within(*segments)}?{urlencode(asked)}"

    @property
    def has_submissions(self) -> bool:
        """Whether the selected people have submissions to download."""
        return self.show is not Show.MISSING and dict(self.counts)[Show.SUBMITTED] > 0

    @property
    def zip(self) -> str:
        return self._with("submissions.zip", show=self.show, section=self.section)


class GradesPage(OnAssignment, frozen=True):
    """What a table of grades would change, to be confirmed; `version` is that of the stored grades."""

    template = "grades.html"
    heading = "Upload grades"
    preview: GradeChanges
    version: str
    problem: str = ""

    @property
    def document(self) -> str:
        return json.dumps([dict(each.fields) for each in self.preview.entries])


class PersonPage(OnAssignment, frozen=True):
    """One person's work on an assignment: every submission, time, grade and feedback.

    `grade` may be one that the person does not see yet. `by_hand` names a file that was put into the course by hand.
    """

    template = "person.html"
    heading = "Submissions"
    user: Username
    name: str
    standing: Standing
    grade: GradeEntry | None
    zone: str
    by_hand: str = ""
    problem: str = ""
    grading: Progress = field(default_factory=Progress)

    def of(self, *segments: str) -> str:
        return self.within("people", self.user, *segments)

    @property
    def again(self) -> bool:
        """Whether the submission that counts is newer than the grade, even one that the person does not see yet."""
        counts = self.standing.counting
        return self.grade is not None and counts is not None and boards.is_newer(counts.submission.attempt, self.grade)


class SourcePage(OnAssignment, frozen=True):
    """One submission, shown as text or as a list of files."""

    template = "source.html"
    heading = "Submission"
    user: Username
    file: str
    size: int
    contents: Contents
    ran: bool = False
    """Whether the output of its cells was kept."""

    def of(self, *segments: str) -> str:
        return self.within("people", self.user, *segments)


CONFIRM_LIMIT = 3 * (BY_NAME["upload_grades"].limit or 0)
"""Bytes of the form that confirms grades: it holds the table, with at most three bytes for each byte of it."""


def assignment(request: PageRequest) -> AssignmentPage:
    """Everybody's work on an assignment."""
    task, everybody = request.assignment(), request.api.board()
    show, section = _show(request), section_of(request.query, everybody)
    cells = [row.cells[0] for row in boards.find(everybody, BoardFilter(assignment=task.name, section=section)).rows]
    rows, part = part_of(_found(request, task, show), request.query, PEOPLE_A_PAGE)
    counts = tuple((each, sum(map(each.fits, cells))) for each in Show)
    spread = grade_statistics.spread((each.grade for each in cells if each.grade is not None), task.rules.points)
    grades, pages = small_number(request.query.get("grades", "")), small_number(request.query.get("pages", ""))
    kept = "" if grades is None else f"the grades are stored: {grades} in all"
    kept = kept if pages is None else f"{counted(pages, 'feedback page')} {'is' if pages == 1 else 'are'} stored"
    penalties = request.course.plan.late_policy(task.name).penalties
    return AssignmentPage(
        request.frame, task, tuple(rows), part, show, counts, spread, penalties, kept=kept,
        sections=everybody.sections, section=section, drafts=_drafts(request, task),
        results=request.course.results.newest(task.name, {row.username for row in rows}),
        queue=request.course.results.queue(task.name), readiness=request.course.results.readiness(task.name),
    )  # fmt: skip


def _drafts(request: PageRequest, task: Assignment) -> int:
    try:
        return sum(each.says_something and not each.visible for each in request.course.grades.of(task))
    except Unreadable:  # every page says so
        return 0


def _show(request: PageRequest) -> Show:
    try:
        return Show(request.query.get("show", ""))
    except ValueError:
        raise BadRequest("this address has a filter that the page does not know") from None


def _found(request: PageRequest, task: Assignment, show: Show) -> tuple[boards.Row, ...]:
    everybody = request.api.board()
    section = section_of(request.query, everybody)
    return boards.find(everybody, BoardFilter(assignment=task.name, show=show, section=section)).rows


def all_submissions(request: PageRequest) -> Answer:
    """The submissions that count, of the selected people, as a zip."""
    course, task = request.course, request.assignment()
    wanted = {row.username for row in _found(request, task, _show(request))}
    listed = [each for each in course.submissions.collect(task, None) if each.file.username in wanted]

    def files() -> Iterator[tuple[str, StoredFile]]:
        for each in listed:
            try:
                file = course.submissions.file(task, each.file.filename).fetched_file()
                ending = version_ending(each.file.filename)
                with file.open() as opened:  # a zip that was sent without a name has the usual ending
                    zipped = ending == USUAL_ENDING and is_zip(opened.read(4))
            except (NotFound, OSError):  # removed by hand in the meantime
                continue
            yield f"{task.name}/{each.file.username}{'.zip' if zipped else ending}", file

    return ZipResponse(files(), f"{task.name}-submissions.zip")


# grades and feedback


async def preview_grades(request: PageRequest) -> Answer:
    """A preview of what a table of grades would change. Nothing is written."""
    task = await request.api.threads.run(request.assignment)
    try:
        limit = BY_NAME["upload_grades"].limit or 0
        form = await multipart.read_form(request.headers, request.body.chunks(limit + MULTIPART_EXTRA))
        if len(form.files) != 1:
            raise BadRequest("choose one file: a table with the columns 'username' and 'grade', or another system's")
        return await request.api.renderings.run(lambda: _preview(request, task, form))
    except MograderError as error:
        problem = error
    return await request.api.threads.run(lambda: _failed(request, problem))


def _preview(request: PageRequest, task: Assignment, form: FilledForm) -> GradesPage:
    (filename, content), fields = form.files[0], form.fields
    table = read_grades(
        read_sheet(content, filename, fields.get("encoding", "")), labels_of(task), fields.get("column", "")
    )
    allowed = [is_checked(fields, name) for name in ("allow_above", "allow_text", "clear_empty")]
    version = request.course.grades.version(task)  # read first, so that a change after this is noticed at storing
    found = check_grades(
        table, members_of(request), request.course.grades.of(task), GradeRules(task.rules.points, *allowed)
    )
    return GradesPage(request.frame, task, found, version)


def _failed(request: PageRequest, error: MograderError) -> Answer:
    """The page with the error."""
    return html(replace(assignment(request), problem=error.message), error.status)


async def keep_grades(request: PageRequest) -> Answer:
    """Store the previewed grades, unless the stored ones have changed since."""
    form = parse_form(await request.body.whole(CONFIRM_LIMIT))
    return await request.api.threads.run(lambda: _keep(request, form))


def _keep(request: PageRequest, form: dict[str, str]) -> Answer:
    task = request.assignment()
    try:
        document = decode_json(form.get("document", "").encode())
        count = request.course.grades.upload(request.actor, task, document, form.get("version", "")).stored
    except MograderError as error:
        return _failed(request, error)
    return request.to("/board", task.name, query=f"grades={count}")


async def upload_feedback(request: PageRequest) -> Answer:
    """Store feedback pages, one <user>.html a person: all or none."""
    task = await request.api.threads.run(request.assignment)
    try:
        limit = BY_NAME["upload_feedback"].limit or 0
        files = await multipart.read_files(request.headers, request.body.chunks(limit))
        return await request.api.threads.run(lambda: _keep_feedback(request, task, files))
    except MograderError as error:
        problem = error
    return await request.api.threads.run(lambda: _failed(request, problem))


def _keep_feedback(request: PageRequest, task: Assignment, files: list[tuple[str, bytes]]) -> Answer:
    pages = feedback_pages(files)
    people = {row.username for row in request.api.board().rows}
    strangers = sorted(user for user in pages if user not in people)
    if strangers:
        raise BadRequest(f"nobody called {some_of(strangers)} is in the course: nothing was stored")
    request.course.grades.upload_feedback(request.actor, task, pages)
    return request.to("/board", task.name, query=f"pages={len(pages)}")


# one person


def person(request: PageRequest) -> PersonPage:
    """One person's work on an assignment."""
    course, task, user = request.course, request.assignment(), request.user()
    row = request.api.board().row_of(user)
    if row is None:
        raise NotFound(f"nobody called {user!r} is in the course")
    standing = course.standings.of(task, user)
    by_hand = latest_filename(user) if standing.submitted and not standing.kept else ""
    grade = of_person(course.grades.of(task), user)
    return PersonPage(
        request.frame, task, user, row.name, standing, grade, str(course.plan.zone), by_hand,
        grading=course.results.of(request.actor, task, user),
    )  # fmt: skip


async def submit_for(request: PageRequest) -> Answer:
    """Submit for a student: it is never late, and the receipt says who did it."""
    task, user = await request.api.threads.run(request.assignment), request.user()
    await request.api.threads.run(lambda: person(request))
    try:
        await request.take_submission(task, user)
    except MograderError as error:
        problem = error
        return await request.api.threads.run(
            lambda: html(replace(person(request), problem=problem.message), problem.status)
        )
    return request.to("/board", task.name, "people", user)


def extend(request: PageRequest) -> Answer:
    """Grant, decline or take back more time."""
    task, user = request.assignment(), request.user()
    try:
        try:
            decision = Decision(request.form.get("decision", ""))
        except ValueError:
            raise BadRequest("choose to grant, decline or withdraw") from None
        until, note = request.form.get("until", ""), request.form.get("note", "")
        request.course.extensions.decide(request.actor, [Change(task, user, decision, until, note)])
    except MograderError as error:
        return html(replace(person(request), problem=error.message), error.status)
    return (
        request.to("/more-time")
        if request.form.get("from") == "list"
        else request.to("/board", task.name, "people", user)
    )


async def source(request: PageRequest) -> Answer:
    """A submission, shown as text or as a list of files; the browser itself shows a PDF or a picture."""

    def find() -> tuple[Assignment, Username, str, StoredFile]:
        task, user, name = request.assignment(), request.user(), request.values["file"]
        found = request.course.submissions.own_file(task, user, FileName.parse(name))
        return task, user, name, found.fetched_file()

    task, user, name, found = await request.api.threads.run(find)
    if await request.api.threads.run(lambda: kind_of(found)):
        return await request.api.threads.run(lambda: shown_response(found))
    contents = await request.api.renderings.run(lambda: look_into(found))
    ran = await request.api.threads.run(lambda: bool(request.course.results.notebook(task.name, user, name)))
    return SourcePage(request.frame, task, user, name, found.size, contents, ran)


def download(request: PageRequest) -> Answer:
    return file_response(
        request.course.submissions.own_file(
            request.assignment(), request.user(), FileName.parse(request.values["file"])
        )
    )


def confirm_grade(request: PageRequest) -> Answer:
    """Confirm that a grade also holds for the newer submission."""
    task, user = request.assignment(), request.user()
    request.course.grades.confirm(request.actor, task, user)
    return request.to("/board", task.name, "people", user)


def feedback(request: PageRequest) -> Answer:
    return feedback_response(request.course.grades.feedback(request.assignment(), request.user()))


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/board/{assignment}", Allow.INSTRUCTOR, assignment),
    PageRoute("GET", "/board/{assignment}/submissions.zip", Allow.INSTRUCTOR, all_submissions),
    PageRoute("POST", "/board/{assignment}/grades", Allow.INSTRUCTOR, preview_grades),
    PageRoute("POST", "/board/{assignment}/grades/keep", Allow.INSTRUCTOR, keep_grades),
    PageRoute("POST", "/board/{assignment}/feedback", Allow.INSTRUCTOR, upload_feedback),
    PageRoute("GET", "/board/{assignment}/feedback/{user}", Allow.INSTRUCTOR, feedback),
    PageRoute("GET", "/board/{assignment}/people/{user}", Allow.INSTRUCTOR, person),
    PageRoute("POST", "/board/{assignment}/people/{user}/grade-holds", Allow.INSTRUCTOR, confirm_grade),
    PageRoute("POST", "/board/{assignment}/people/{user}", Allow.INSTRUCTOR, submit_for),
    PageRoute("POST", "/board/{assignment}/people/{user}/extension", Allow.INSTRUCTOR, extend),
    PageRoute("GET", "/board/{assignment}/people/{user}/{file}", Allow.INSTRUCTOR, source),
    PageRoute("GET", "/board/{assignment}/people/{user}/{file}/download", Allow.INSTRUCTOR, download),
)
