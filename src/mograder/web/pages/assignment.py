"""An instructor's pages about one assignment: submissions, a person's versions, the source, grades."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from mograder import wire
from mograder.domain import board as boards
from mograder.domain import grade_changes
from mograder.domain.access import Allow
from mograder.domain.assignments import Assignment
from mograder.domain.board import Row, Show, Wanted
from mograder.domain.course import Standing
from mograder.domain.deadlines import Penalties
from mograder.domain.errors import BadRequest, MograderError, NotFound
from mograder.domain.extending import Change
from mograder.domain.extensions import Decision, State
from mograder.domain.grade_changes import Preview, Spread
from mograder.domain.grades import GradeEntry, of_person
from mograder.domain.names import FileName, Username, counted, parse_owner
from mograder.domain.receipts import latest_filename
from mograder.domain.store import StoredFile
from mograder.web import multipart
from mograder.web.api import MULTIPART_EXTRA
from mograder.web.body import is_multipart
from mograder.web.endpoints import feedback_pages
from mograder.web.pages.board import PEOPLE_A_PAGE, Part, part_of
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, View, Visit, file_response, html, parse_form
from mograder.web.pages.source import Contents, look_into
from mograder.web.replies import FEEDBACK_POLICY, attachment
from mograder.web.zips import zipped


@dataclass(frozen=True)
class OnAssignment(Page):
    """A page about one assignment."""

    heading = "Assignment"
    assignment: Assignment

    @property
    def title(self) -> str:
        return self.assignment.rules.title or self.assignment.name

    def within(self, *segments: str) -> str:
        """The link to what belongs to the assignment."""
        return self.frame.at("/board", self.assignment.name, *segments)


@dataclass(frozen=True)
class AssignmentPage(OnAssignment):
    """Everybody's work on it. `rows` are a page of the people who stand as `show` says, each with one cell.

    `counts` says how many stand how; `kept` what was stored just now, "" when nothing was.
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
    shows = tuple(Show)

    def at_page(self, page: int) -> str:
        return f"{self.within()}?{urlencode({'show': self.show, 'page': page})}"

    def showing(self, show: Show) -> str:
        return f"{self.within()}?{urlencode({'show': show})}"

    @property
    def has_hand_ins(self) -> bool:
        """Whether those who are shown have handed in anything to download."""
        return self.show is not Show.MISSING and dict(self.counts)[Show.HANDED_IN] > 0

    @property
    def zip(self) -> str:
        return f"{self.within('hand-ins.zip')}?{urlencode({'show': self.show})}"

    @property
    def highest(self) -> int:
        """The largest count of a bin, by which the plot is scaled."""
        return max((each.count for each in self.spread.bins), default=1) if self.spread else 1


@dataclass(frozen=True)
class GradesPage(OnAssignment):
    """What a table of grades would change, to be confirmed; `seen` marks what is stored now."""

    template = "grades.html"
    heading = "Upload grades"
    preview: Preview
    seen: str
    problem: str = ""

    @property
    def document(self) -> str:
        return json.dumps([dict(each.fields) for each in self.preview.entries])


@dataclass(frozen=True)
class PersonPage(OnAssignment):
    """One person's work on an assignment: every hand-in, time, grade, feedback.

    `grade` is also one that the person does not see yet. `by_hand` is the file that was put there without us.
    """

    template = "person.html"
    heading = "Hand-ins"
    user: Username
    name: str
    standing: Standing
    grade: GradeEntry | None
    zone: str
    by_hand: str = ""
    problem: str = ""

    def of(self, *segments: str) -> str:
        return self.within("people", self.user, *segments)

    @property
    def asked(self) -> bool:
        return self.standing.extension is not None and self.standing.extension.state is State.ASKED


@dataclass(frozen=True)
class SourcePage(OnAssignment):
    """One hand-in, to be read."""

    template = "source.html"
    heading = "Hand-in"
    user: Username
    file: str
    size: int
    contents: Contents

    def of(self, *segments: str) -> str:
        return self.within("people", self.user, *segments)


CONFIRM_LIMIT = 3 * (wire.BY_NAME["upload_grades"].limit or 0)
"""Bytes of the form that confirms grades: the table again, each byte written as three at most."""


def assignment(visit: Visit) -> AssignmentPage:
    """Everybody's work on an assignment."""
    task, everybody = visit.assignment(), visit.api.board()
    show = _show(visit)
    cells = [row.cells[0] for row in boards.find(everybody, Wanted(assignment=task.name)).rows]
    rows, part = part_of(_found(visit, task, show), visit.query, PEOPLE_A_PAGE)
    counts = tuple((each, sum(map(each.fits, cells))) for each in Show)
    spread = grade_changes.spread((each.grade for each in cells if each.grade is not None), task.rules.points)
    grades, pages = (text if (text := visit.query.get(name, "")).isdecimal() else "" for name in ("grades", "pages"))
    kept = f"the grades are stored: {grades} in all" if grades else _stored_in_words(pages) if pages else ""
    penalties = visit.course.plan.penalties
    return AssignmentPage(visit.frame, task, tuple(rows), part, show, counts, spread, penalties, kept=kept)


def _stored_in_words(pages: str) -> str:
    return f"{counted(int(pages), 'feedback page')} {'is' if int(pages) == 1 else 'are'} stored"


def _show(visit: Visit) -> Show:
    try:
        return Show(visit.query.get("show", ""))
    except ValueError:
        raise BadRequest("this address asks for something that the page does not know") from None


def _found(visit: Visit, task: Assignment, show: Show) -> tuple[boards.Row, ...]:
    return boards.find(visit.api.board(), Wanted(assignment=task.name, show=show)).rows


def all_hand_ins(visit: Visit) -> Answer:
    """The hand-ins that count, of everybody or of those who are asked for, as a zip."""
    course, task = visit.course, visit.assignment()
    wanted = {row.username for row in _found(visit, task, _show(visit))}
    listed = [each for each in course.hand_ins(task, None) if each.file.username in wanted]

    def files() -> Iterator[tuple[str, StoredFile]]:
        for each in listed:
            try:
                file = course.submitted_file(task, each.file.filename).brought()
                with file.open() as opened:
                    ending = ".zip" if opened.read(4) == b"PK\x03\x04" else ".py"
            except (NotFound, OSError):  # taken away by hand meanwhile
                continue
            yield f"{task.name}/{each.file.username}{ending}", file

    headers = attachment(f"{task.name}-hand-ins.zip")
    return StreamingResponse(zipped(files()), headers=headers, media_type="application/zip")


# grades and feedback


async def preview_grades(visit: Visit) -> Answer:
    """What a table would change: nothing is written yet."""
    task = await visit.api.write(visit.assignment)
    try:
        limit = wire.BY_NAME["upload_grades"].limit or 0
        files = await multipart.read_files(visit.headers, visit.body.chunks(limit + MULTIPART_EXTRA))
        if len(files) != 1:
            raise BadRequest("choose one file: a CSV table with the columns 'username' and 'grade'")
        return await visit.api.write(lambda: _preview(visit, task, files[0][1]))
    except MograderError as error:
        return await visit.api.write(_failed(visit, error))


def _preview(visit: Visit, task: Assignment, content: bytes) -> GradesPage:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest("the table is not UTF-8 text: save it as CSV UTF-8") from None
    stored = visit.course.grades(task)
    people = {row.username for row in visit.api.board().rows}
    found = grade_changes.preview(text, stored, people, task.rules.points)
    return GradesPage(visit.frame, task, found, _mark(visit, task))


def _mark(visit: Visit, task: Assignment) -> str:
    stored = json.dumps([dict(each.fields) for each in visit.course.grades(task)], sort_keys=True)
    return hashlib.sha256(stored.encode()).hexdigest()


def _failed(visit: Visit, error: MograderError):  # type: ignore[no-untyped-def]
    """The page again, with what went wrong."""
    return lambda: html(replace(assignment(visit), problem=error.message), error.status)


async def keep_grades(visit: Visit) -> Answer:
    """Write the grades that were previewed, unless what is stored has changed since."""
    form = parse_form(await visit.body.whole(CONFIRM_LIMIT))
    return await visit.api.write(lambda: _keep(visit, form))


def _keep(visit: Visit, form: dict[str, str]) -> Answer:
    task = visit.assignment()
    try:
        if form.get("seen") != _mark(visit, task):
            raise BadRequest("the grades have changed since you looked: upload the table again")
        document = wire.decode_json(form.get("document", "").encode())
        count = visit.course.upload_grades(visit.actor, task, document).stored
    except MograderError as error:
        return _failed(visit, error)()  # type: ignore[no-any-return]
    return _stored(visit, task, f"grades={count}")


def _stored(visit: Visit, task: Assignment, query: str) -> Response:
    on = visit.to("/board", task.name)
    on.headers["Location"] += f"?{query}"
    return on


async def upload_feedback(visit: Visit) -> Answer:
    """Keep feedback pages, one <user>.html a person, all or none."""
    task = await visit.api.write(visit.assignment)
    try:
        limit = wire.BY_NAME["upload_feedback"].limit or 0
        files = await multipart.read_files(visit.headers, visit.body.chunks(limit))
        return await visit.api.write(lambda: _keep_feedback(visit, task, files))
    except MograderError as error:
        return await visit.api.write(_failed(visit, error))


def _keep_feedback(visit: Visit, task: Assignment, files: list[tuple[str, bytes]]) -> Answer:
    pages = feedback_pages(files)
    people = {row.username for row in visit.api.board().rows}
    strangers = sorted(user for user in pages if user not in people)
    if strangers:
        raise BadRequest(f"nobody called {', '.join(strangers[:5])} is in the course: nothing was stored")
    visit.course.upload_feedback(visit.actor, task, pages)
    return _stored(visit, task, f"pages={len(pages)}")


# one person


def person(visit: Visit) -> PersonPage:
    """One person's work."""
    course, task, user = visit.course, visit.assignment(), _user(visit)
    row = next((each for each in visit.api.board().rows if each.username == user), None)
    if row is None:
        raise NotFound(f"nobody called {user!r} is in the course")
    standing = course.standing(task, user)
    by_hand = latest_filename(user) if standing.submitted and not standing.kept else ""
    grade = of_person(course.grades(task), user)
    return PersonPage(visit.frame, task, user, row.name, standing, grade, str(course.plan.zone), by_hand)


def _user(visit: Visit) -> Username:
    return parse_owner(visit.values["user"])


async def hand_in_for(visit: Visit) -> Answer:
    """Hand in for a student: never late, and the receipt says who did it."""
    course, task, user = visit.course, await visit.api.write(visit.assignment), _user(visit)
    await visit.api.write(lambda: person(visit))
    upload = course.upload()
    try:
        if not is_multipart(visit.headers):
            raise BadRequest("choose a file first")
        chunks = visit.body.chunks(course.limit_for(task) + MULTIPART_EXTRA)
        filename = await multipart.read_first_file(visit.headers, chunks, upload)

        def keep() -> None:
            upload.finish()
            course.submit(visit.actor, task, user, upload, visit.received, filename)

        await visit.api.write(keep)
    except MograderError as error:
        problem = error
        return await visit.api.write(lambda: html(replace(person(visit), problem=problem.message), problem.status))
    finally:
        upload.discard()
    return visit.to("/board", task.name, "people", user)


def extend(visit: Visit) -> Answer:
    """Grant, decline or take back more time."""
    task, user = visit.assignment(), _user(visit)
    try:
        try:
            decision = Decision(visit.form.get("decision", ""))
        except ValueError:
            raise BadRequest("choose to grant, decline or withdraw") from None
        until, note = visit.form.get("until", ""), visit.form.get("note", "")
        visit.course.extensions.decide(visit.actor, [Change(task, user, decision, until, note)])
    except MograderError as error:
        return html(replace(person(visit), problem=error.message), error.status)
    return visit.to("/more-time") if visit.form.get("from") == "list" else visit.to("/board", task.name, "people", user)


def source(visit: Visit) -> Answer:
    """A hand-in, to be read."""
    task, user, name = visit.assignment(), _user(visit), visit.values["file"]
    found = visit.course.version(task, user, FileName.parse(name))
    return SourcePage(visit.frame, task, user, name, found.size, look_into(found))


def download(visit: Visit) -> Answer:
    return file_response(visit.course.version(visit.assignment(), _user(visit), FileName.parse(visit.values["file"])))


def feedback(visit: Visit) -> Answer:
    """A feedback page, to be framed: somebody else's code, in an origin of its own."""
    found = visit.course.feedback(visit.assignment(), _user(visit))
    headers = {"Content-Security-Policy": FEEDBACK_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return Response(found.read(), media_type="text/html; charset=utf-8", headers=headers)


VIEWS: tuple[View, ...] = (
    View("GET", "/board/{assignment}", Allow.INSTRUCTOR, assignment),
    View("GET", "/board/{assignment}/hand-ins.zip", Allow.INSTRUCTOR, all_hand_ins),
    View("POST", "/board/{assignment}/grades", Allow.INSTRUCTOR, preview_grades),
    View("POST", "/board/{assignment}/grades/keep", Allow.INSTRUCTOR, keep_grades),
    View("POST", "/board/{assignment}/feedback", Allow.INSTRUCTOR, upload_feedback),
    View("GET", "/board/{assignment}/feedback/{user}", Allow.INSTRUCTOR, feedback),
    View("GET", "/board/{assignment}/people/{user}", Allow.INSTRUCTOR, person),
    View("POST", "/board/{assignment}/people/{user}", Allow.INSTRUCTOR, hand_in_for),
    View("POST", "/board/{assignment}/people/{user}/extension", Allow.INSTRUCTOR, extend),
    View("GET", "/board/{assignment}/people/{user}/{file}", Allow.INSTRUCTOR, source),
    View("GET", "/board/{assignment}/people/{user}/{file}/download", Allow.INSTRUCTOR, download),
)
