"""Grades and feedback as other systems' tables, to download from an assignment's page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from mograder.domain.access import Account, Allow
from mograder.domain.assignments import Assignment
from mograder.domain.errors import BadRequest, NotFound
from mograder.domain.gradebook import GradebookRow
from mograder.domain.names import Username
from mograder.tables.export import (
    Choices,
    Exported,
    ExportFormat,
    GradeSheet,
    Question,
    StudentGrade,
    export_grades,
)
from mograder.tables.filling import fill_template
from mograder.tables.headers import Labels
from mograder.tables.moodle_zip import FeedbackPage, feedback_zip
from mograder.tables.people import Member
from mograder.web import multipart
from mograder.web.multipart import FilledForm
from mograder.web.pages.board import section_of
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute
from mograder.web.replies import attachment
from mograder.web.uploads import MULTIPART_EXTRA
from mograder.wire.endpoints import BY_NAME


@dataclass(frozen=True)
class ExportPage(Page):
    """A file to download, and notes to read first."""

    template = "export.html"
    heading = "Export"
    assignment: Assignment
    exported: Exported

    @property
    def back(self) -> str:
        return self.frame.at("/board", self.assignment.name)

    @property
    def file(self) -> str:
        """The file itself, as the address of a link."""
        kind = self.exported.media_type.replace(" ", "")
        return f"data:{kind};base64,{base64.b64encode(self.exported.content).decode()}"


def members_of(request: PageRequest) -> list[Member]:
    """Everybody on the roster and everybody who has submitted, without the people who were removed."""
    accounts = {each.username: each for each in request.course.roster.all()}
    names = {row.username for row in request.api.board().rows}
    names |= {each.username for each in accounts.values() if not each.removed}
    return [member_of(accounts.get(name) or Account(name)) for name in sorted(names)]


def member_of(account: Account) -> Member:
    """A person with everything that the roster says about them."""
    return Member.known(account.username, account.name, account.email, account.sections, account.ids)


def is_checked(fields: Mapping[str, str], name: str) -> bool:
    """Whether a box of a form was ticked."""
    return bool(fields.get(name))


async def _read(request: PageRequest) -> FilledForm:
    limit = BY_NAME["upload_grades"].limit or 0
    return await multipart.read_form(request.headers, request.body.chunks(limit + MULTIPART_EXTRA))


async def export(request: PageRequest) -> Answer:
    """Everybody's grades in the format that was chosen, or the instructor's own export with them filled in."""
    task = await request.api.threads.run(request.assignment)
    form = await _read(request)
    if len(form.files) > 1:
        raise BadRequest("choose one file as template")
    return await request.api.renderings.run(lambda: _answer(request, task, _export(request, task, form)))


def _export(request: PageRequest, task: Assignment, form: FilledForm) -> Exported:
    fields = form.fields
    try:
        wanted = ExportFormat(fields.get("format", ""))
    except ValueError:
        raise BadRequest("choose a format for the export") from None
    choices = Choices(is_checked(fields, "penalised"), is_checked(fields, "drafts"))
    sheet = _sheet(request, task, section_of(fields, request.api.board()))
    if not form.files:
        return export_grades(sheet, wanted, choices)
    return fill_template(sheet, wanted, choices, form.files[0][1], fields.get("column", ""), fields.get("encoding", ""))


def _sheet(request: PageRequest, task: Assignment, section: str) -> GradeSheet:
    book = request.course.gradebooks.of(task)
    grades = [_student_grade(each) for each in book.rows if not section or section in each.person.sections]
    questions = [Question(each.key, each.available) for each in book.questions]
    return GradeSheet(labels_of(task), task.rules.points, tuple(grades), tuple(questions))


def labels_of(task: Assignment) -> Labels:
    return Labels(task.name, task.rules.title)


def _student_grade(row: GradebookRow) -> StudentGrade:
    received = None if row.received is None else row.received / 1_000_000
    return StudentGrade.of(
        member_of(row.person),
        row.grade,
        row.penalised,
        row.entry.feedback,
        row.points,
        row.draft,
        received,
        row.late,
        row.version,
        row.again,
    )


def _answer(request: PageRequest, task: Assignment, exported: Exported) -> Answer:
    """The file at once, or a page if there are notes to read first."""
    if exported.notes:
        return ExportPage(request.frame, task, exported)
    return Response(exported.content, media_type=exported.media_type, headers=attachment(exported.filename))


async def export_feedback(request: PageRequest) -> Answer:
    """Everybody's feedback page as the zip that Moodle's offline grading takes."""
    task = await request.api.threads.run(request.assignment)
    form = await _read(request)
    if len(form.files) != 1:
        raise BadRequest("choose one file: Moodle's grading worksheet of this assignment")
    worksheet, encoding = form.files[0][1], form.fields.get("encoding", "")

    def write() -> Answer:
        return _answer(request, task, feedback_zip(worksheet, _pages(request, task), labels_of(task), encoding))

    return await request.api.renderings.run(write)


def _pages(request: PageRequest, task: Assignment) -> list[FeedbackPage]:
    """Everybody's feedback page. Raises BadRequest when there are none."""
    found = []
    for member in members_of(request):
        try:
            page = request.course.grades.feedback(task, Username(member.username)).read()
        except NotFound:
            continue
        found.append(FeedbackPage(member, page))
    if not found:
        raise BadRequest("there are no feedback pages yet")
    return found


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("POST", "/board/{assignment}/export", Allow.INSTRUCTOR, export),
    PageRoute("POST", "/board/{assignment}/export-feedback", Allow.INSTRUCTOR, export_feedback),
)
