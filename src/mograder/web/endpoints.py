"""One short function an endpoint of the wire table, from a request that was authorised and read to its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from msgspec import UNSET

from mograder.domain import deadlines
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment, CountingRule
from mograder.domain.audit import AuditLine, without_repeats
from mograder.domain.counting import ListedSubmission
from mograder.domain.course import Course
from mograder.domain.deadlines import Lateness
from mograder.domain.errors import BadRequest, NotFound, Throttled, WrongCode
from mograder.domain.extensions import Change, Extension
from mograder.domain.files import StoredFile
from mograder.domain.names import Username, parse_owner
from mograder.domain.receipts import Receipt, latest_filename
from mograder.domain.roster import Person
from mograder.domain.standings import Standing
from mograder.domain.submissions import Accepted
from mograder.web.body import Scope
from mograder.web.caching import Memo, TickCache
from mograder.web.pages.sessions import link_with, new_ticket
from mograder.web.replies import Reply, json_reply
from mograder.web.throttle import Failures, address_key, name_key
from mograder.wire import messages
from mograder.wire.codec import client_configuration, decode_json
from mograder.wire.endpoints import BY_NAME, Content, Endpoint
from mograder.wire.paths import build_path

EVENTS_A_PAGE = 1000


class Request(NamedTuple):
    """One request, as far as it has been read. `about` is whose affair it is; `received` Unix microseconds.

    For a row of SAME_FOR_ALL `own` are the sender's extensions, and `listed` is what it lists, if that is at hand.
    """

    row: Endpoint
    course: Course
    actor: Actor
    values: Mapping[str, str]
    about: Username | None
    headers: Mapping[str, str]
    received: int
    scope: Scope
    wrong_codes: Failures
    written: Memo[Reply]
    seen: Memo[object]
    at_once: TickCache
    authority: str = ""
    body: bytes = b""
    own: tuple[Extension, ...] = ()
    listed: Any = None

    def assignment(self) -> Assignment:
        course, actor, text = self.course, self.actor, self.values["assignment"]
        key = ("assignment", text, actor.is_instructor)
        return self.at_once.get(key, lambda: course.release.assignment(actor, text))

    @property
    def query(self) -> bytes:
        query: bytes = self.scope["query_string"]
        return query

    @property
    def address(self) -> str:
        return address_key(self.scope)

    @property
    def base_url(self) -> str:
        scope = self.scope
        host = self.headers.get("host", "localhost")
        return f"{scope.get('scheme', 'http')}://{host}{scope.get('root_path', '')}"

    def person(self) -> Username:
        assert self.about is not None, "rows for one person name a query or path parameter"
        return self.about


def _query(query: bytes, name: str) -> str:
    """The one value of a query parameter, "" when it is missing. Raises BadRequest."""
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict", max_num_fields=50)
    except ValueError:
        raise BadRequest("the query is malformed") from None
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise BadRequest(f"the query names {name!r} more than once")
    return values[0] if values else ""


@lru_cache(4096)
def asked_about(query: bytes, name: str) -> Username:
    """The person whom a query names: the same for a query for ever. Raises BadRequest and BadName."""
    return parse_owner(_query(query, name))


def health(request: Request) -> Reply:
    return json_reply(messages.Health())


def register(request: Request) -> Reply:
    request.course.accounts.check_registration()
    wanted = decode_json(request.body, messages.Register)
    username, token = join(request.course, request.wrong_codes, request.address, wanted)
    return secret_reply(messages.Registered(token, username))


def join(course: Course, wrong_codes: Failures, address: str, wanted: messages.Register) -> tuple[Username, str]:
    """Register somebody from a network `address`.

    Raises what `Accounts.register` does, and Throttled, then without looking at the course's code.
    """
    course.accounts.check_registration()
    whose = (address, f"{name_key(wanted.user)} from {address}")  # what others try elsewhere keeps nobody out
    try:
        failed = wrong_codes.check(*whose)
    except Throttled:
        if not course.accounts.is_personal_code(
            wanted.user, wanted.enrollment_code or ""
        ):  # 59 bits: nobody guesses it
            raise
        failed = False
    try:
        joined = course.accounts.register(wanted.user, wanted.enrollment_code or "", wanted.claim_key or "")
    except WrongCode:
        wrong_codes.count(*whose)
        raise
    if failed:
        wrong_codes.forget(address)
    return joined


def secret_reply(value: object) -> Reply:
    """An answer that nobody on the way may keep."""
    reply = json_reply(value)
    return Reply(200, reply.body, reply.content_type, (("Cache-Control", "no-store"),))


def assignments(request: Request) -> Reply:
    course, now = request.course, request.received
    listed = course.release.assignments(request.actor, request.own, request.listed)
    late = [
        course.submissions.lateness(each.rules.schedule.due, now)
        for each in listed
        if each.rules.schedule.due is not None
    ]

    def write() -> Reply:
        return json_reply([assignment_info(each, course, now) for each in listed], tagged=True)

    key = ("assignments", request.actor.is_instructor, request.own)
    return request.written.get(key, (listed, course.plan, late), write)


def assignment_info(assignment: Assignment, course: Course, now: int) -> object:
    """How an assignment is listed: a manifest's own entry is passed on whole, with the times that are in force."""
    rules, schedule = assignment.rules, assignment.rules.schedule
    opens, due, closes = map(seconds, (schedule.opens, schedule.due, schedule.closes))
    grace: messages.Maybe[int] = UNSET
    now_late: dict[str, Any] = {}
    if schedule.due is not None:
        grace = course.plan.penalties.grace // deadlines.SECOND
        found = course.submissions.lateness(schedule.due, now)
        now_late = {"late": found.late, "days_late": found.days, "penalty": found.penalty}
    if assignment.entry is not None:
        times = {"opens": opens, "duedate": due, "closes": closes, "grace": grace, **now_late}
        return {**assignment.entry, **{key: value for key, value in times.items() if value is not UNSET}}
    listed = [
        messages.ReleaseFileInfo(
            each.name,
            each.url or build_path(BY_NAME["release_file"], {"assignment": assignment.name, "file": each.name}),
            messages.given(each.size),
            messages.given(each.sha256),
        )
        for each in assignment.files
    ]
    return messages.AssignmentInfo(
        assignment.name, assignment.id, listed, messages.given(rules.title or None), opens, due, closes,
        messages.given(rules.max_size), messages.given(list(rules.accepts) or None), messages.given(rules.points),
        grace, **now_late,
    )  # fmt: skip


def release_file(request: Request) -> StoredFile:
    course, actor, place = request.course, request.actor, (request.values["assignment"], request.values["file"])
    return request.at_once.get((place, actor.is_instructor), lambda: course.release.file(actor, *place))


def rules(request: Request) -> Reply:
    return json_reply(messages.rules_info(request.course.rules.of(request.assignment().name)), tagged=True)


def change_rules(request: Request) -> Reply:
    planning, name = request.course.rules, request.assignment().name
    wanted = decode_json(request.body, messages.NewRules)
    changed = planning.change(request.actor, name, messages.new_texts(planning.of(name).texts, wanted), wanted.tag)
    return json_reply(messages.rules_info(changed))


def submitted(course: Course, accepted: Accepted) -> Reply:
    kept = accepted.receipt.submission
    assessed, counts, rule = course.submissions.assessed(accepted.receipt)
    return json_reply(
        messages.Submitted(
            filename=latest_filename(kept.username),
            version=kept.filename,
            user=kept.username,
            assignment=kept.assignment,
            attempt=kept.attempt,
            size=kept.size,
            sha256=kept.sha256,
            received=kept.received / deadlines.SECOND,
            receipt=accepted.receipt.text,
            repeated=accepted.repeated,
            duedate=seconds(kept.due),
            arrived=messages.given(kept.arrived / deadlines.SECOND if kept.arrived else None),
            counts=counts,
            rule=rule.value,
            by=kept.by,
            **said_of(assessed.lateness),
        )
    )


def seconds(moment: int | None) -> messages.Maybe[int]:
    return messages.given(None if moment is None else moment // deadlines.SECOND)


def said_of(lateness: Lateness) -> dict[str, Any]:
    """The keys of a reply that say how late a submission is."""
    return {
        "late": lateness.late, "days_late": lateness.days, "penalty": lateness.penalty,
        "explanation": messages.given(lateness.explanation or None),
    }  # fmt: skip


def commit(request: Request) -> Reply:
    course, assignment, user = request.course, request.assignment(), request.person()
    wanted = decode_json(request.body, messages.Announcement)
    made = course.commitments.announce(request.actor, assignment, user, wanted.sha256, wanted.size, request.received)
    late = course.submissions.lateness(course.extensions.schedule(assignment, user).due, made.moment).late
    moments = (made.moment / deadlines.SECOND, made.ends / deadlines.SECOND)
    return json_reply(messages.Committed(made.username, made.assignment, made.sha256, made.size, *moments, late))


def ask_extension(request: Request) -> Reply:
    assignment = request.assignment()
    wanted = decode_json(request.body, messages.ExtensionRequest)
    asked = request.course.extensions.ask(request.actor, assignment, request.person(), wanted.until, wanted.reason)
    return json_reply(messages.extension_info(asked))


def extensions(request: Request) -> Reply:
    return json_reply([messages.extension_info(each) for each in request.course.extensions.all()], tagged=True)


def change_extensions(request: Request) -> Reply:
    wanted = decode_json(request.body, messages.ExtensionChanges)
    changes = [
        Change(
            request.course.release.assignment(request.actor, each.assignment), parse_owner(each.user), each.decision,
            each.until, each.note,
        )
        for each in wanted.changes
    ]  # fmt: skip
    changed = request.course.extensions.decide(request.actor, changes)
    return json_reply([messages.extension_info(each) for each in changed])


WHICH = {"": CountingRule.LATEST, "latest": CountingRule.LATEST, "on-time": CountingRule.ON_TIME, "counts": None}


def submissions(request: Request) -> Reply:
    wanted = _query(request.query, "which")
    if wanted not in WHICH:
        raise BadRequest(f"which={wanted[:100]!r}: give latest, on-time or counts")
    course, assignment = request.course, request.assignment()

    def write() -> Reply:
        found = course.submissions.collect(assignment, WHICH[wanted])
        return json_reply([submission_info(assignment, each) for each in found], tagged=True)

    seen = course.standings.submissions_version(assignment, request.listed)
    return request.written.get(("submissions", assignment.name, wanted), seen, write)


def submission_info(assignment: Assignment, listed: ListedSubmission) -> messages.SubmissionInfo:
    file, assessed = listed.file, listed.assessed
    place = {"assignment": assignment.name, "file": file.filename}
    known: dict[str, Any] = {}
    if assessed is not None:
        kept = assessed.submission
        moment = kept.received / deadlines.SECOND
        known = {"version": kept.filename, "received": moment, "by": kept.by, **said_of(assessed.lateness)}
    url = build_path(BY_NAME["submitted_file"], place)
    return messages.SubmissionInfo(
        file.username, file.filename, url, int(file.modified), file.size, file.sha256, listed.counts, **known
    )


def submitted_file(request: Request) -> StoredFile:
    return request.course.submissions.file(request.assignment(), request.values["file"])


def receipts(request: Request) -> Reply:
    history = request.course.submissions.history(request.assignment(), request.person())
    return json_reply([receipt_info(each) for each in history], tagged=True)


def all_receipts(request: Request) -> Reply:
    return json_reply(
        [receipt_info(each) for each in request.course.submissions.receipts(request.person())], tagged=True
    )


def receipt_info(receipt: Receipt) -> messages.ReceiptInfo:
    kept = receipt.submission
    place = {"assignment": kept.assignment, "user": kept.username, "file": kept.filename}
    return messages.ReceiptInfo(
        number=receipt.number,
        hash=receipt.hash,
        user=kept.username,
        assignment=kept.assignment,
        attempt=kept.attempt,
        version=kept.filename,
        size=kept.size,
        sha256=kept.sha256,
        received=kept.received / deadlines.SECOND,
        by=kept.by,
        url=build_path(BY_NAME["version"], place),
        receipt=receipt.text,
        late=messages.given(kept.late if kept.due is not None else None),
        duedate=seconds(kept.due),
    )


def version(request: Request) -> StoredFile:
    return request.course.submissions.own_file(request.assignment(), request.person(), request.values["file"])


def chain_head(request: Request) -> Reply:
    head = request.course.submissions.head()
    return json_reply(messages.ChainHead(head.number, head.hash), tagged=True)


def signing_keys(request: Request) -> Reply:
    return json_reply(messages.KeySet([dict(each) for each in request.course.keys.public()]), tagged=True)


def upload_grades(request: Request) -> Reply:
    document = decode_json(request.body)
    uploaded = request.course.grades.upload(request.actor, request.assignment(), document)
    return json_reply(messages.GradesStored(uploaded.stored, uploaded.received, list(uploaded.unknown)))


def status(request: Request) -> Reply:
    course, assignment, user = request.course, request.assignment(), request.person()

    def write() -> Reply:
        return status_reply(course.standings.of(assignment, user))

    key = ("standings", assignment.name)

    def look() -> object:
        seen = course.standings.version(assignment)
        return request.seen.get(key, seen, lambda: seen)  # the same object as long as it is equal: quick to compare

    return request.written.get((key, user), request.at_once.get(key, look), write)


def status_reply(standing: Standing) -> Reply:
    grade = standing.grade.grade if standing.grade else None
    return json_reply(
        messages.Status(
            status="submitted" if standing.submitted else "new",
            graded=grade is not None,
            grade=grade,
            feedback=standing.grade.feedback if standing.grade else "",
            feedback_available=standing.feedback_available,
            duedate=seconds(standing.schedule.due),
            closes=seconds(standing.schedule.closes),
            attempts=len(standing.kept),
            rule=standing.rule.value,
            extension=messages.given(messages.extension_info(standing.extension) if standing.extension else None),
            **_counting(standing),
        ),
        tagged=True,
    )


def _counting(standing: Standing) -> dict[str, Any]:
    assessed = standing.counting
    if assessed is None:
        return {}
    kept = assessed.submission
    moment = kept.received / deadlines.SECOND
    return {"counts": kept.filename, "received": moment, "by": kept.by, **said_of(assessed.lateness)}


def upload_feedback(request: Request, pages: list[tuple[str, bytes]]) -> Reply:
    named = feedback_pages(pages)
    request.course.grades.upload_feedback(request.actor, request.assignment(), named)
    return json_reply(messages.FeedbackStored([f"{username}.html" for username in named]))


def feedback_pages(pages: list[tuple[str, bytes]]) -> dict[Username, bytes]:
    """The files by whose they are. Raises BadRequest and BadName."""
    if not pages:
        raise BadRequest("no files: send them as multipart/form-data in the field 'files'")
    named: dict[Username, bytes] = {}
    for filename, content in pages:
        stem, dot, ending = filename.rpartition(".")
        if not dot or ending.lower() != "html":
            raise BadRequest(f"{filename[:100]!r} is not a <user>.html")
        user = parse_owner(stem)
        if user in named:
            raise BadRequest(f"{filename[:100]!r} comes twice: send one page a person")
        named[user] = content
    return named


def feedback(request: Request) -> StoredFile:
    return request.course.grades.feedback(request.assignment(), request.person())


def roster(request: Request) -> Reply:
    return json_reply([messages.roster_entry(each) for each in request.course.roster.all()], tagged=True)


def add_people(request: Request) -> Reply:
    wanted = decode_json(request.body, messages.NewPeople)
    people = [Person.parse(each.user, each.name, each.role) for each in wanted.people]
    added = request.course.roster.add(request.actor, people)
    return secret_reply([messages.roster_entry(account, code) for account, code in added])


def reset(request: Request) -> Reply:
    return secret_reply(messages.roster_entry(*request.course.roster.reset(request.actor, request.person())))


def set_role(request: Request) -> Reply:
    wanted = decode_json(request.body, messages.NewRole)
    return json_reply(
        messages.roster_entry(request.course.roster.set_role(request.actor, request.person(), wanted.role))
    )


def remove(request: Request) -> Reply:
    return json_reply(messages.roster_entry(request.course.roster.remove(request.actor, request.person())))


def login_link(request: Request) -> Reply:
    ticket, until = new_ticket(request.course, request.actor.username)
    link = link_with(request.course.url or request.base_url, ticket)
    return secret_reply(messages.LoginLink(link, until / deadlines.SECOND))


def events(request: Request) -> Reply:
    """A page of the audit log: a request names one, from 1 on, and the first empty one says that there is no more."""
    text = _query(request.query, "page") or "1"
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and int(text) > 0):
        raise BadRequest(f"page={text[:100]!r}: give a number from 1 on")
    found = request.course.audit.events(EVENTS_A_PAGE, EVENTS_A_PAGE * (int(text) - 1))
    return json_reply([event_info(each) for each in without_repeats(found)], tagged=True)


def event_info(line: AuditLine) -> messages.EventInfo:
    event, repeated = line.event, line.count > 1
    return messages.EventInfo(
        event.moment / deadlines.SECOND, event.actor, event.action, event.subject, event.detail,
        messages.given(line.count if repeated else None),
        messages.given(line.first / deadlines.SECOND if repeated else None),
    )  # fmt: skip


def configuration(request: Request) -> Reply:
    course = request.course
    listed = [assignment_info(each, course, request.received) for each in course.release.for_students()]
    document = client_configuration(request.course.title, request.course.url or request.base_url, listed)
    return Reply(200, document.encode(), Content.TOML.value)


def authority(request: Request) -> Reply:
    if not request.authority:
        raise NotFound("this server has no certificate authority of its own")
    return Reply(200, request.authority.encode(), Content.PEM.value)


Handler = Callable[[Request], Reply | StoredFile]

HANDLERS: Mapping[str, Handler] = {
    handler.__name__: handler
    for handler in (
        health, register, assignments, release_file, rules, change_rules, commit, submissions, submitted_file, receipts,
        all_receipts, version, chain_head, signing_keys, upload_grades, status, feedback, ask_extension, extensions,
        change_extensions, roster, add_people, reset, set_role, remove, login_link, events, configuration, authority,
    )
}  # fmt: skip

SAME_FOR_ALL: Mapping[str, Callable[[Request], object]] = {
    "assignments": lambda request: request.course.cached_assignments(),
    "submissions": lambda request: request.course.cached_latest_files(request.assignment().name),
}
"""Rows whose answer depends on path, query, whether an instructor asks, and the student's extensions (`own`), and on
nothing else of the request; each with what it lists, if that is at hand."""
