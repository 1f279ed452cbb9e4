"""One short function for each endpoint of the wire table: from an authorised request to its response."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from msgspec import Struct, field
from msgspec.structs import replace

from mograder.domain import deadlines
from mograder.domain.access import Actor
from mograder.domain.accounts import Accounts
from mograder.domain.assignments import Assignment, CountingRule
from mograder.domain.audit import without_repeats
from mograder.domain.course import Course
from mograder.domain.errors import BadRequest, NotFound, Throttled, WrongCode
from mograder.domain.extensions import Change, Extension
from mograder.domain.files import StoredFile
from mograder.domain.grades import is_page
from mograder.domain.names import Username, counted, parse_exact_owner, parse_owner
from mograder.domain.receipts import LatestFile
from mograder.web.body import Scope
from mograder.web.caching import Memo, TickCache
from mograder.web.replies import Reply, json_reply, tagged_json
from mograder.web.representations import (
    assignment_info,
    configured_assignment,
    grade_info,
    gradebook_info,
    grading_info,
    queue_info,
    receipt_info,
    status_reply,
    submission_info,
)
from mograder.web.throttle import Failures, address_key, name_key, wide_key
from mograder.wire import messages
from mograder.wire.codec import client_configuration, decode_json, encode_json
from mograder.wire.endpoints import Content, Endpoint

EVENTS_A_PAGE = 1000
BASE = "https://base.invalid"
"""A placeholder for the server's address in the cached configuration."""


USUAL_QUERY = 200
"""Bytes. Longer queries are not cached, so that nobody can fill the memory with them."""


Lines = dict[str, tuple[tuple[LatestFile, int], bytes]]
"""The encoded entries of a list of submissions, by the latest file's name. Each has the version that it was made from;
b"" means that the file has no entry."""


class Caches(Struct, frozen=True):
    """What all requests of one server share: encoded replies and list entries, versions, and `tick` for reads at the
    same moment.
    """

    replies: Memo[Reply] = field(default_factory=Memo)
    lists: Memo[Lines] = field(default_factory=Memo)
    versions: Memo[object] = field(default_factory=Memo)
    tick: TickCache = field(default_factory=TickCache)


class Request(NamedTuple):
    """One request, as far as it has been read. `about` is the person whom it concerns; `received` is Unix microseconds.

    For a row of SAME_FOR_ALL, `own` are the sender's extensions, and `listed` is what it lists, if that is in memory.
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
    caches: Caches
    authority: str = ""
    body: bytes = b""
    own: tuple[Extension, ...] = ()
    listed: Any = None

    def assignment(self) -> Assignment:
        course, actor, text = self.course, self.actor, self.values["assignment"]
        key = ("assignment", text, actor.is_instructor)
        return self.caches.tick.get(key, lambda: course.release.assignment(actor, text))

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


def asked_about(query: bytes, name: str) -> Username:
    """The person named in a query. Raises BadRequest and BadName."""
    return (_asked_about if len(query) <= USUAL_QUERY else _asked_about.__wrapped__)(query, name)


@lru_cache(2048)
def _asked_about(query: bytes, name: str) -> Username:
    return parse_exact_owner(_query(query, name))


def health(request: Request) -> Reply:
    return json_reply(messages.Health())


def register(request: Request) -> Reply:
    request.course.accounts.check_registration()
    wanted = decode_json(request.body, messages.Register)
    username, token = join(request.course, request.wrong_codes, request.address, wanted)
    return uncached_reply(messages.Registered(token, username))


def join(course: Course, wrong_codes: Failures, address: str, wanted: messages.Register) -> tuple[Username, str]:
    """Register somebody from the network `address`; returns the user name and a token.

    A right code is accepted, whatever others on that network have tried, with one exception: a course code that can be
    guessed is not checked while the network has to wait. A personal code always is. Raises what `Accounts.register`
    raises, and Throttled instead of WrongCode after too many wrong codes.
    """
    accounts, code, key = course.accounts, wanted.enrollment_code or "", wanted.claim_key or ""
    accounts.check_registration()
    if accounts.code_can_be_guessed:
        return _join_by_weak_code(accounts, wrong_codes, address, wanted)
    whose = (address, f"{name_key(wanted.user)} from {address}")
    joined = wrong_codes.guard(WrongCode, whose, lambda: accounts.register(wanted.user, code, key))
    wrong_codes.forget(address)  # the typing errors of a class do not add up
    return joined


def _join_by_weak_code(
    accounts: Accounts, wrong_codes: Failures, address: str, wanted: messages.Register
) -> tuple[Username, str]:
    """As `join`, where the course's code can be guessed."""
    code, key, wide = wanted.enrollment_code or "", wanted.claim_key or "", wide_key(address)
    whose = (wide, f"{name_key(wanted.user)} from {wide}")
    pause = next(filter(None, map(wrong_codes.pause, whose)), 0)
    try:
        joined = accounts.register(wanted.user, code, key, shared=not pause)
    except WrongCode:
        if not pause:
            wrong_codes.count(*whose)
            raise
        raise Throttled(
            f"too many wrong codes came from your network: try the course's code again in {counted(pause, 'second')}. "
            "a personal code from your instructor is accepted at once",
            retry_after=pause,
        ) from None
    if accounts.is_shared_code(code):
        wrong_codes.forget(wide)  # the typing errors of a class do not add up
    return joined


def uncached_reply(value: object) -> Reply:
    """A response that no cache may keep."""
    reply = json_reply(value)
    return Reply(200, reply.body, reply.content_type, (("Cache-Control", "no-store"),))


def assignments(request: Request) -> Reply:
    course, now = request.course, request.received
    listed = course.release.assignments(request.actor, request.own, request.listed)
    late = [
        course.submissions.late_policy(each.name).lateness(each.rules.schedule.due, now)
        for each in listed
        if each.rules.schedule.due is not None
    ]

    def write() -> Reply:
        return json_reply([assignment_info(each, course, now) for each in listed], tagged=True)

    key = ("assignments", request.actor.is_instructor, request.own)
    return request.caches.replies.get(key, (listed, course.plan, late), write)


def release_file(request: Request) -> StoredFile:
    course, actor, place = request.course, request.actor, (request.values["assignment"], request.values["file"])
    return request.caches.tick.get((place, actor.is_instructor), lambda: course.release.file(actor, *place))


def rules(request: Request) -> Reply:
    return json_reply(messages.rules_info(request.course.rules.of(request.assignment().name)), tagged=True)


def change_rules(request: Request) -> Reply:
    planning, name = request.course.rules, request.assignment().name
    wanted = decode_json(request.body, messages.NewRules)
    changed = planning.change(request.actor, name, messages.new_texts(planning.of(name).texts, wanted), wanted.tag)
    return json_reply(messages.rules_info(changed))


def commit(request: Request) -> Reply:
    course, assignment, user = request.course, request.assignment(), request.person()
    wanted = decode_json(request.body, messages.Announcement)
    due = course.extensions.schedule(assignment, user).due
    made = course.commitments.announce(request.actor, assignment, user, wanted.sha256, wanted.size, request.received)
    late = course.submissions.late_policy(assignment.name).lateness(due, made.moment).late
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

    key = ("submissions", assignment.name, wanted)
    seen = course.standings.listing_version(assignment, request.listed)

    def write() -> Reply:
        lines = request.caches.lists.get(key, seen[0], dict)
        return listed_reply(course, assignment, WHICH[wanted], seen[1], lines)

    return request.caches.replies.get(key, seen, write)


def listed_reply(
    course: Course, assignment: Assignment, which: CountingRule | None, files: Sequence[LatestFile], lines: Lines
) -> Reply:
    """The list of submissions, joined from `lines`; missing and outdated entries are encoded and stored there."""
    # Versions are read before the data: a change between the two shows as a change at the next request.
    seen = {each.filename: (each, course.standings.number(assignment, each.username)) for each in files}
    # Other threads change `lines` meanwhile, perhaps to older entries, so this list is joined from its own.
    own = {name: line for name in seen if (line := lines.get(name)) and line[0] == seen[name]}
    new = [each for each in files if each.filename not in own]
    found = {each.file.username: each for each in course.submissions.collect(assignment, which, new)} if new else {}
    for file in new:
        one = found.get(file.username)
        own[file.filename] = (seen[file.filename], encode_json(submission_info(assignment, one)) if one else b"")
    lines.update(own)
    for gone in set(lines) - own.keys():
        lines.pop(gone, None)
    return tagged_json(b"[" + b",".join(filter(None, (own[each.filename][1] for each in files))) + b"]")


def submitted_file(request: Request) -> StoredFile:
    return request.course.submissions.file(request.assignment(), request.values["file"])


def receipts(request: Request) -> Reply:
    history = request.course.submissions.history(request.assignment(), request.person())
    return json_reply([receipt_info(each) for each in history], tagged=True)


def all_receipts(request: Request) -> Reply:
    return json_reply(
        [receipt_info(each) for each in request.course.submissions.receipts(request.person())], tagged=True
    )


def version(request: Request) -> StoredFile:
    return request.course.submissions.own_file(request.assignment(), request.person(), request.values["file"])


def chain_head(request: Request) -> Reply:
    head = request.course.submissions.head()
    return json_reply(messages.ChainHead(head.number, head.hash), tagged=True)


def signing_keys(request: Request) -> Reply:
    return json_reply(messages.KeySet([dict(each) for each in request.course.keys.public()]), tagged=True)


def grades(request: Request) -> Reply:
    return json_reply([grade_info(each) for each in request.course.grades.of(request.assignment())], tagged=True)


def gradebook(request: Request) -> Reply:
    return json_reply(gradebook_info(request.course.gradebooks.of(request.assignment())), tagged=True)


def upload_grades(request: Request) -> Reply:
    document = decode_json(request.body)
    uploaded = request.course.grades.upload(request.actor, request.assignment(), document)
    return json_reply(messages.GradesStored(uploaded.stored, uploaded.received, list(uploaded.unknown)))


def status(request: Request) -> Reply:
    course, assignment, user = request.course, request.assignment(), request.person()

    attempts = course.submissions.attempts_left(assignment, user)

    def write() -> Reply:
        return status_reply(course.standings.of(assignment, user), attempts)

    key = ("standings", assignment.name)

    def look() -> object:
        seen = course.standings.version(assignment)
        return request.caches.versions.get(key, seen, lambda: seen)  # one object compares fast

    seen = (request.caches.tick.get(key, look), course.standings.number(assignment, user), attempts and attempts.left)
    return request.caches.replies.get((key, user), seen, write)


def result(request: Request) -> Reply:
    found = request.course.results.of(request.actor, request.assignment(), request.person())
    return json_reply(grading_info(found), tagged=True)


def grading_queue(request: Request) -> Reply:
    results = request.course.results
    return json_reply(queue_info(results.queue(), results.last_graded()))


def upload_feedback(request: Request, pages: list[tuple[str, bytes]]) -> Reply:
    named = feedback_pages(pages)
    request.course.grades.upload_feedback(request.actor, request.assignment(), named)
    return json_reply(messages.FeedbackStored([f"{username}.html" for username in named]))


def feedback_pages(pages: list[tuple[str, bytes]]) -> dict[Username, bytes]:
    """The feedback pages by person. Raises BadRequest and BadName."""
    if not pages:
        raise BadRequest("no files: send them as multipart/form-data in the field 'files'")
    named: dict[Username, bytes] = {}
    for filename, content in pages:
        stem = filename.rpartition(".")[0]
        if not is_page(filename):
            raise BadRequest(f"{filename[:100]!r} is not a <user>.html")
        user = parse_exact_owner(stem)
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
    people, dropped = messages.parse_people(wanted.people), [parse_owner(each) for each in wanted.remove]
    added = request.course.roster.add(request.actor, people, wanted.update, dropped)
    return uncached_reply([messages.roster_entry(account, code) for account, code in added])


def reset(request: Request) -> Reply:
    return uncached_reply(messages.roster_entry(*request.course.roster.reset(request.actor, request.person())))


def set_role(request: Request) -> Reply:
    wanted = decode_json(request.body, messages.NewRole)
    return json_reply(
        messages.roster_entry(request.course.roster.set_role(request.actor, request.person(), wanted.role))
    )


def rename(request: Request) -> Reply:
    wanted = decode_json(request.body, messages.NewName)
    return json_reply(messages.roster_entry(request.course.roster.rename(request.actor, request.person(), wanted.name)))


def reset_everybody(request: Request) -> Reply:
    if not decode_json(request.body, messages.NewCodes).everybody:
        raise BadRequest("everybody is false: nothing was changed")
    renewed = request.course.roster.reset_everybody(request.actor)
    return uncached_reply([messages.roster_entry(account, code) for account, code in renewed])


def remove(request: Request) -> Reply:
    return json_reply(messages.roster_entry(request.course.roster.remove(request.actor, request.person())))


def login_link(request: Request) -> Reply:
    from mograder.web.pages.sessions import link_with, new_ticket  # here, so that a server starts without the pages

    ticket, until = new_ticket(request.course, request.actor.username)
    link = link_with(request.course.url or request.base_url, ticket)
    return uncached_reply(messages.LoginLink(link, until / deadlines.SECOND))


def events(request: Request) -> Reply:
    """One page of the audit log. Pages count from 1; the first empty page marks the end."""
    text = _query(request.query, "page") or "1"
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and int(text) > 0):
        raise BadRequest(f"page={text[:100]!r}: give a number from 1 on")
    found = request.course.audit.events(EVENTS_A_PAGE, EVENTS_A_PAGE * (int(text) - 1))
    return json_reply([messages.event_info(each) for each in without_repeats(found)], tagged=True)


def configuration(request: Request) -> Reply:
    """The configuration of a student's client. Anybody may ask for it, so it is encoded once; each request only fills
    in the address of the server.
    """
    course, plan = request.course, request.course.plan
    listed = course.release.for_students()

    def write() -> Reply:
        document = client_configuration(plan.title, BASE, [configured_assignment(each) for each in listed])
        return Reply(200, document.encode(), Content.TOML.value)

    reply = request.caches.replies.get("configuration", (listed, plan.title), write)
    base = json.dumps(plan.url or request.base_url, ensure_ascii=False).replace("\x7f", "\\u007f")[1:-1]  # as in TOML
    return replace(reply, body=reply.body.replace(BASE.encode(), base.encode()))


def authority(request: Request) -> Reply:
    if not request.authority:
        raise NotFound("this server has no certificate authority of its own")
    return Reply(200, request.authority.encode(), Content.PEM.value)


Handler = Callable[[Request], Reply | StoredFile]

HANDLERS: Mapping[str, Handler] = {
    handler.__name__: handler
    for handler in (
        health, register, assignments, release_file, rules, change_rules, commit, submissions, submitted_file, receipts,
        all_receipts, version, chain_head, signing_keys, grades, gradebook, upload_grades, status, result, feedback,
        ask_extension, extensions, change_extensions, roster, add_people, reset, set_role, rename, reset_everybody,
        remove, login_link, events, configuration, authority, grading_queue,
    )
}  # fmt: skip

SAME_FOR_ALL: Mapping[str, Callable[[Request], object]] = {
    "assignments": lambda request: request.course.cached_assignments(),
    "submissions": lambda request: request.course.cached_latest_files(request.assignment().name),
}
"""Rows whose response depends on path, query, whether an instructor asks, and the student's extensions (`own`), and on
nothing else of the request; each with what it lists, or None if that is not in memory."""
