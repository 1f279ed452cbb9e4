"""The page on which one person's work is marked, and what it saves while somebody types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from mograder.bundle import is_zip
from mograder.domain import marking
from mograder.domain.access import Allow
from mograder.domain.assignments import Assignment
from mograder.domain.deadlines import iso
from mograder.domain.disclosure import ShownResult, for_instructor
from mograder.domain.errors import BadRequest, MograderError, NotFound
from mograder.domain.files import StoredFile
from mograder.domain.marking import Entry, GivenMark, Kind, MarkingConflict, Request, RubricItem, Sheet, Text
from mograder.domain.marking_desk import MarkedQuestion, MarkingDesk, PersonMarking
from mograder.domain.marks import in_words
from mograder.domain.names import INSTRUCTOR, FileName, Username, printable
from mograder.domain.receipts import latest_filename
from mograder.tables.cells import parse_grade
from mograder.web.pages.board import small_number
from mograder.web.pages.inline import VIEWABLE, media_of
from mograder.web.pages.marking import OnMarking, find_person, names_of
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute, html, parse_form
from mograder.web.pages.source import Contents, look_into
from mograder.web.replies import attachment

SAVED_LIMIT = 256 * 1024
"""Bytes of a form that is saved: the longest comment takes twelve bytes for each character."""

MEDIA_LIMIT = 50 * 1024 * 1024
"""Bytes of an image or a PDF that is shown; a larger one is downloaded."""

FRAMED = "sandbox; default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""The policy of an image: nothing in it runs, whatever it contains."""

FRAMED_PDF = "default-src 'none'; object-src 'self'; plugin-types application/pdf; frame-ancestors 'self'"
"""The policy of a PDF. It has no sandbox, in which browsers show none: they show a PDF in a separate process, without
our page's scripts."""


class MarkPage(OnMarking, frozen=True):
    """One person's work beside its questions. `mine` are the keys of the questions that the reader may mark.

    `shown` is the name or the pseudonym; `focus` is the key of the question to begin with, None for the first to do.
    """

    template = "marking_person.html"
    user: Username
    shown: str
    found: PersonMarking
    sheet: Sheet
    mine: frozenset[str]
    contents: Contents | None
    result: ShownResult | None
    filename: str
    size: int
    comments: dict[str, tuple[str, ...]]
    history: tuple[Entry, ...]
    penalty: float
    applied: bool
    focus: str | None = None

    def of(self, *segments: str) -> str:
        return self.person(self.user, *segments)

    def step(self, way: str) -> str:
        """The link to the next ("after") or previous ("before") person with work left to mark."""
        asked = {way: self.shown} | ({"question": self.focus} if self.focus is not None else {})
        return f"{self.at('next')}?{urlencode(asked)}"

    @property
    def first(self) -> str | None:
        """The key of the question that gets the cursor."""
        if self.focus is not None:
            return self.focus
        own = [each for each in self.found.questions if each.key in self.mine]
        return next((each.key for each in own if each.to_do), own[0].key if own else None)

    def checks_of(self, key: str) -> tuple[Any, ...]:
        rows = self.result.questions if self.result else ()
        return next((each.checks for each in rows if each.key == key), ())

    def remark(self, place: str) -> tuple[str, int]:
        """The remark at a place of the submission, and its version."""
        return next(((text, version) for key, text, version in self.found.remarks if key == place), ("", 0))

    def named(self, actor: str) -> str:
        """The name to show for `actor`, who did something. The person who is marked keeps the name that is shown."""
        if actor == self.user:
            return self.shown
        return "Instructor" if actor == INSTRUCTOR else actor

    def told(self, entry: Entry) -> str:
        """An entry of the history in words."""
        return told(entry, self.sheet)


def told(entry: Entry, sheet: Sheet) -> str:
    """An entry of the history in words."""
    if not entry.content:
        return "nothing"
    if entry.kind is Kind.MARK:
        given = GivenMark.read(entry)
        said = [] if given.points is None else [in_words(given.points)]
        said += [sheet.items[key].text if key in sheet.items else "a removed item" for key in given.items]
        return "; ".join([*said, *([given.comment] if given.comment else [])])
    if entry.kind in (Kind.NOTE, Kind.REMARK):
        return Text.read(entry).text
    if entry.kind is Kind.REQUEST:
        return Request.read(entry).thread[-1].text
    value = entry.value()
    return str(value.get("grader") or ("withdrawn" if value.get("withdrawn") else in_words(value.get("total", 0))))


async def show(request: PageRequest) -> Answer:
    """The work of one person, and its questions."""

    def find() -> tuple[Assignment, Username, PersonMarking, StoredFile | None]:
        task = request.assignment()
        user = find_person(request, task, request.values["person"])
        found = request.course.marking.of(task, user)
        return task, user, found, _file(request, task, user, found)

    task, user, found, file = await request.api.threads.run(find)
    contents = await request.api.renderings.run(lambda: look_into(file)) if file else None
    return await request.api.threads.run(lambda: _page(request, task, user, found, file, contents))


def _page(
    request: PageRequest, task: Assignment, user: Username, found: PersonMarking, file: StoredFile | None,
    contents: Contents | None,
) -> MarkPage:  # fmt: skip
    desk, penalties = request.course.marking, request.course.plan.late_policy(task.name).penalties
    sheet, names = desk.sheet(task), names_of(request, task)
    mine = frozenset(each.key for each in found.questions if desk.may_mark(request.actor, sheet, user, each.key))
    penalty = found.counting.lateness.penalty if found.counting and penalties.enabled else 0.0
    return MarkPage(
        request.frame, task, names, user, names.shown(user), found, sheet, mine, contents,
        for_instructor(found.record, found.marks) if found.record else None, _shown_name(file, names.shown(user)),
        file.size if file else 0, desk.comments(task), tuple(reversed(desk.history(task, user))), penalty,
        penalties.apply, request.query.get("question"),
    )  # fmt: skip


def _file(request: PageRequest, task: Assignment, user: Username, found: PersonMarking) -> StoredFile | None:
    """The submission that counts; without any receipt, the file that was put there by hand; None without either."""
    name = found.counting.submission.filename if found.counting else latest_filename(user)
    try:
        return request.course.submissions.file(task, FileName(name)).fetched_file()
    except NotFound:
        return None


def _shown_name(file: StoredFile | None, shown: str) -> str:
    """The file name for the grader: the person's name as it is shown, with an ending that fits the content."""
    if file is None:
        return ""
    with file.open() as opened:
        start = opened.read(16)
    if is_zip(start):
        return f"{shown}.zip"
    ending = next((ending for ending, kind in VIEWABLE.items() if kind.media_type == media_of(start)), ".py")
    return f"{shown}{ending}"


def _work_file(request: PageRequest) -> tuple[StoredFile, str]:
    task = request.assignment()
    user = find_person(request, task, request.values["person"])
    file = _file(request, task, user, request.course.marking.of(task, user))
    if file is None:
        raise NotFound("nothing was submitted")
    return file, _shown_name(file, names_of(request, task).shown(user))


def media(request: PageRequest) -> Answer:
    """An image or a PDF, to be shown beside the questions. Its first bytes decide its type."""
    file, _ = _work_file(request)
    content = file.read() if file.size <= MEDIA_LIMIT else b""
    kind = media_of(content)
    if not kind:
        raise NotFound("this cannot be shown: download it")
    policy = FRAMED_PDF if kind == "application/pdf" else FRAMED
    headers = {"Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN", "Content-Disposition": "inline"}
    return Response(content, media_type=kind, headers=headers)


def download(request: PageRequest) -> Answer:
    file, name = _work_file(request)
    return Response(file.read(), media_type="application/octet-stream", headers=attachment(name))


# saving


Save = Callable[[PageRequest, MarkingDesk, Assignment, Username, Mapping[str, str]], Entry]


def saving(save: Save) -> Callable[[PageRequest], Any]:
    """A view that saves something about a person. It answers a script in JSON, and a form with the page."""

    async def view(request: PageRequest) -> Answer:
        form = parse_form(await request.body.whole(SAVED_LIMIT))
        return await request.api.threads.run(lambda: _saved(request, form, save))

    return view


def _saved(request: PageRequest, form: Mapping[str, str], save: Save) -> Answer:
    by_script = "application/json" in request.headers.get("accept", "")
    try:
        task = request.assignment()
        user = find_person(request, task, request.values["person"])
        entry = save(request, request.course.marking, task, user, form)
    except MograderError as error:
        if not by_script:
            raise
        theirs = error.current[0] if isinstance(error, MarkingConflict) else None
        told = {"error": error.message, "theirs": _as_json(theirs) if theirs else None}
        return JSONResponse(told, error.status, headers=dict(error.headers))
    if by_script:
        return JSONResponse({"saved": _as_json(entry), **_state(request, task, user)})
    return request.to("/marking", task.name, "people", request.values["person"])


def _as_json(entry: Entry) -> dict[str, Any]:
    said = {} if entry.kind is Kind.REQUEST else entry.value()  # a request names its student, who may be hidden
    return {"version": entry.version, "by": entry.by, "moment": iso(entry.moment), **said}


def _state(request: PageRequest, task: Assignment, user: Username) -> dict[str, Any]:
    """The current state of a person's marks, for an open page."""
    found = request.course.marking.of(task, user)
    marks = found.marks
    return {
        "total": f"{in_words(marks.so_far if marks.total is None else marks.total)} of {in_words(marks.available)}",
        "complete": marks.total is not None,
        "questions": {each.key: _question_state(each) for each in found.questions},
    }


def _question_state(row: MarkedQuestion) -> dict[str, Any]:
    given = row.given
    return {
        "version": row.version,
        "by": "Instructor" if row.by == INSTRUCTOR else row.by,
        "moment": iso(row.moment) if row.moment is not None else "",
        "points": "" if given.points is None else in_words(given.points),
        "items": list(given.items),
        "comment": given.comment,
        "result": "" if row.mark.points is None else in_words(row.mark.points),
    }


def state(request: PageRequest) -> Answer:
    task = request.assignment()
    return JSONResponse(_state(request, task, find_person(request, task, request.values["person"])))


def presence(request: PageRequest) -> Answer:
    """Notes that the reader looks at a person's work, and answers with the others who look at it now."""
    task, desk = request.assignment(), request.course.marking
    user = find_person(request, task, request.values["person"])
    others = request.course.presence.meet(request.actor.username, f"{task.name} {user}", (INSTRUCTOR, *desk.graders()))
    return JSONResponse({"others": ["Instructor" if each == INSTRUCTOR else each for each in others]})


def _give(request: PageRequest, desk: MarkingDesk, task: Assignment, user: Username, form: Mapping[str, str]) -> Entry:
    items = tuple(name.removeprefix("item:") for name in form if name.startswith("item:"))
    given = GivenMark(_points(form.get("points", "")), items, form.get("comment", ""))
    return desk.give(request.actor, task, user, form.get("question", ""), given, _version(form), form.get("why", ""))


def _points(text: str) -> float | None:
    """Points as people type them, with a comma or a point; None for nothing. Raises BadRequest."""
    grade = parse_grade(text, None)
    if grade.problem or (grade.text and grade.value is None):
        raise BadRequest(f"{printable(text.strip(), 40)!r} is no number of points")
    return None if grade.value is None else float(grade.value)


def _version(form: Mapping[str, str]) -> int:
    found = small_number(form.get("version", ""))
    if found is None:
        raise BadRequest("the form has no version: reload the page")
    return found


def _note(request: PageRequest, desk: MarkingDesk, task: Assignment, user: Username, form: Mapping[str, str]) -> Entry:
    return desk.write_text(request.actor, task, user, Kind.NOTE, "", form.get("text", ""), _version(form))


def _remark(
    request: PageRequest, desk: MarkingDesk, task: Assignment, user: Username, form: Mapping[str, str]
) -> Entry:
    place = form.get("place", "")[:200]
    return desk.write_text(request.actor, task, user, Kind.REMARK, place, form.get("text", ""), _version(form))


def _answer(
    request: PageRequest, desk: MarkingDesk, task: Assignment, user: Username, form: Mapping[str, str]
) -> Entry:
    return desk.answer(request.actor, task, user, form.get("question", ""), form.get("text", ""), _version(form))


# rubric items


class ItemPage(OnMarking, frozen=True):
    """A preview of changing a rubric item: the points of everybody who has it, before anything is stored.

    `rows` are (who, points now, points then). `back` is the page to go to afterwards.
    """

    template = "marking_item.html"
    heading = "Change a rubric item"
    key: str
    item: RubricItem
    wanted: RubricItem | None
    version: int
    rows: tuple[tuple[str, float | None, float | None], ...]
    back: str


def put_item(request: PageRequest) -> Answer:
    """Add a rubric item and give it to the person who is marked, or change an item after the preview of its effects."""
    task, desk, form = request.assignment(), request.course.marking, request.form
    key, back = form.get("key", ""), form.get("person", "")
    away = form.get("how") == "remove"
    item = None if away else RubricItem(form.get("question", ""), form.get("text", ""), _points_of_item(form))
    if key and form.get("confirmed") != "yes":
        return html(_preview(request, task, key, item, back))
    entry = desk.put_item(request.actor, task, key, item, _version(form) if key else 0)
    if not key and back and item is not None:
        user = find_person(request, task, back)
        row = next(each for each in desk.of(task, user).questions if each.key == item.question)
        given = GivenMark(row.given.points, (*row.given.items, entry.key), row.given.comment)
        desk.give(request.actor, task, user, item.question, given, row.version)
    if not back:
        return request.to("/marking", task.name)
    return request.to("/marking", task.name, "people", back, query=urlencode({"question": form.get("question", "")}))


def _points_of_item(form: Mapping[str, str]) -> float:
    text = form.get("points", "").strip().replace("−", "-")
    found = _points(text.removeprefix("-").removeprefix("+"))
    if found is None:
        raise BadRequest("give the points of the rubric item, such as 2 or -1")
    return -found if text.startswith("-") else found


def _preview(request: PageRequest, task: Assignment, key: str, wanted: RubricItem | None, back: str) -> ItemPage:
    desk = request.course.marking
    sheet, names = desk.sheet(task), names_of(request, task)
    item = sheet.items.get(key)
    if item is None:
        raise NotFound("there is no such rubric item any more")
    then = {name: each for name, each in {**sheet.items, key: wanted}.items() if each is not None}
    rows = []
    for user in names.in_order(desk.who_has(task, key), str):
        found = desk.of(task, Username(user))
        row = next((each for each in found.questions if each.key == item.question), None)
        if row is not None:
            after = marking.points_of(row.given, then, row.question.points, row.mark.automatic)
            rows.append((names.shown(user), row.mark.points, row.mark.automatic if after is None else after))
    return ItemPage(request.frame, task, names, key, item, wanted, sheet.versions[key], tuple(rows), back)


def reveal(request: PageRequest) -> Answer:
    """Tell an instructor whose pseudonym this is; the audit log records it."""
    task, shown = request.assignment(), request.values["person"]
    user = find_person(request, task, shown)
    request.course.marking.reveal(request.actor, task, user, shown)
    return request.to("/board", task.name, "people", user)


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/marking/{assignment}/people/{person}", Allow.GRADER, show),
    PageRoute("GET", "/marking/{assignment}/people/{person}/state", Allow.GRADER, state),
    PageRoute("POST", "/marking/{assignment}/people/{person}/presence", Allow.GRADER, presence),
    PageRoute("GET", "/marking/{assignment}/people/{person}/file", Allow.GRADER, media),
    PageRoute("GET", "/marking/{assignment}/people/{person}/download", Allow.GRADER, download),
    PageRoute("POST", "/marking/{assignment}/people/{person}/mark", Allow.GRADER, saving(_give)),
    PageRoute("POST", "/marking/{assignment}/people/{person}/note", Allow.GRADER, saving(_note)),
    PageRoute("POST", "/marking/{assignment}/people/{person}/remark", Allow.GRADER, saving(_remark)),
    PageRoute("POST", "/marking/{assignment}/people/{person}/answer", Allow.GRADER, saving(_answer)),
    PageRoute("POST", "/marking/{assignment}/people/{person}/reveal", Allow.INSTRUCTOR, reveal),
    PageRoute("POST", "/marking/{assignment}/items", Allow.GRADER, put_item),
)
