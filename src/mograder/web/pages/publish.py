"""Pages on which an instructor creates an assignment, puts up its files and writes its instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import field
from msgspec.structs import replace
from starlette.responses import RedirectResponse

from mograder.domain.access import Allow
from mograder.domain.allowance import MIB
from mograder.domain.assignments import Assignment
from mograder.domain.errors import BadRequest, ChangedMeanwhile, MograderError
from mograder.domain.names import FileName
from mograder.domain.publishing import INSTRUCTIONS, tag_of
from mograder.domain.release import NewFile
from mograder.domain.rules import RuleTexts
from mograder.web import multipart
from mograder.web.pages.assignment import OnAssignment
from mograder.web.pages.markdown import Instructions, rendered
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute, html
from mograder.web.uploads import MULTIPART_EXTRA

MOST = 64 * MIB
"""The most bytes of all files in one form. Larger files are copied into the course's folder, or published."""


class NewAssignmentPage(Page, frozen=True):
    """The form to create an assignment. `problem` says why the last attempt failed, "" if none did."""

    template = "new_assignment.html"
    heading = "New assignment"
    zone: str
    limit: int = MOST
    name: str = ""
    texts: RuleTexts = field(default_factory=RuleTexts)
    problem: str = ""


class FilesPage(OnAssignment, frozen=True):
    """The files of an assignment and its instructions, `text`, `shown` as students see them.

    `tag` is that of the instructions that the person has seen; `done` says what was just stored, "" for nothing.
    """

    template = "files.html"
    heading = "Files and instructions"
    names: tuple[str, ...]
    text: str
    tag: str
    shown: Instructions
    limit: int = MOST
    problem: str = ""
    done: str = ""


def new_assignment(request: PageRequest) -> NewAssignmentPage:
    return NewAssignmentPage(request.frame, str(request.course.plan.zone))


async def create(request: PageRequest) -> Answer:
    """Create an assignment. If it is refused, the form is shown again; files must be chosen again."""
    said: Mapping[str, str] = {}

    def make(files: Sequence[NewFile]) -> Answer:
        wanted = _texts(said)
        name = request.course.publishing.create(request.actor, said.get("name", ""), wanted, files)
        return RedirectResponse(f"{request.frame.at('/board', name, 'files')}?done=made", 303)

    try:
        said, files = await _form(request)
        return await request.api.threads.run(lambda: make(files))
    except MograderError as error:
        message, status = error.message, error.status
    page = await request.api.threads.run(lambda: new_assignment(request))
    return html(replace(page, name=said.get("name", ""), texts=_texts(said), problem=message), status)


def _texts(said: Mapping[str, str]) -> RuleTexts:
    return RuleTexts(**{name: said.get(name, "") for name in RuleTexts.__struct_fields__})


async def _form(request: PageRequest) -> tuple[Mapping[str, str], list[NewFile]]:
    """The fields of the form, and its files by the last part of their names. Raises BadRequest and BadName."""
    form = await multipart.read_form(request.headers, request.body.chunks(MOST + MULTIPART_EXTRA))
    named = ((PurePosixPath(name.replace("\\", "/")).name, content) for name, content in form.files)
    return form.fields, [NewFile(FileName.parse(name), content) for name, content in named]


DONE = {
    "made": "The assignment is created. Students see it from its opening time on",
    "files": "The files are stored, and students can download them",
    "gone": "The file is taken back. Students who have downloaded it keep it",
    "text": "The instructions are stored",
}
"""What was just stored, by its word in the address."""


def files_page(request: PageRequest) -> FilesPage:
    course, task = request.course, _assignment(request)
    try:
        text, problem = course.publishing.instructions(task.name), ""
    except BadRequest as error:
        text, problem = "", error.message
    names = tuple(each.name for each in task.files if each.name != INSTRUCTIONS)
    done = DONE.get(request.query.get("done", ""), "")
    return FilesPage(request.frame, task, names, text, tag_of(text), rendered(text), problem=problem, done=done)


def _assignment(request: PageRequest) -> Assignment:
    """The assignment, with its files. Raises NotFound."""
    name = request.assignment().name
    return next(each for each in request.course.release.assignments(request.actor) if each.name == name)


async def put_files(request: PageRequest) -> Answer:
    try:
        _, files = await _form(request)
        name = (await request.api.threads.run(request.assignment)).name
        await request.api.threads.run(lambda: request.course.publishing.put(request.actor, name, files))
    except MograderError as error:
        message, status = error.message, error.status
        page = await request.api.threads.run(lambda: files_page(request))
        return html(replace(page, problem=message), status)
    return request.to("/board", name, "files", query="done=files")


def remove_file(request: PageRequest) -> Answer:
    name = request.assignment().name
    try:
        request.course.publishing.remove(request.actor, name, request.form.get("file", ""))
    except BadRequest as error:
        return html(replace(files_page(request), problem=error.message), error.status)
    return request.to("/board", name, "files", query="done=gone")


async def write_instructions(request: PageRequest) -> Answer:
    """Store the instructions. If that is refused, the form shows what was written."""
    said = (await multipart.read_form(request.headers, request.body.chunks(MIB))).fields

    def work() -> Answer:
        name, text = request.assignment().name, said.get("text", "")
        try:
            request.course.publishing.write_instructions(request.actor, name, text, said.get("tag", ""))
        except MograderError as error:
            page = replace(files_page(request), problem=error.message)
            if not isinstance(error, ChangedMeanwhile):  # otherwise the page shows what is stored now
                page = replace(page, text=text, tag=said.get("tag", ""), shown=rendered(text))
            return html(page, error.status)
        return request.to("/board", name, "files", query="done=text")

    return await request.api.threads.run(work)


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/new-assignment", Allow.INSTRUCTOR, new_assignment),
    PageRoute("POST", "/new-assignment", Allow.INSTRUCTOR, create),
    PageRoute("GET", "/board/{assignment}/files", Allow.INSTRUCTOR, files_page),
    PageRoute("POST", "/board/{assignment}/files", Allow.INSTRUCTOR, put_files),
    PageRoute("POST", "/board/{assignment}/files/remove", Allow.INSTRUCTOR, remove_file),
    PageRoute("POST", "/board/{assignment}/instructions", Allow.INSTRUCTOR, write_instructions),
)
