"""An ASGI application that answers the endpoints of the wire table for one course; endpoints.py has their functions.

Invariant: a request is routed, authenticated, its names parsed, and authorised, in this order, before its body is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import ssl
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from mograder.domain import tokens
from mograder.domain.access import ANONYMOUS, UNCHECKED, Actor, Allow, authorise
from mograder.domain.errors import (
    BadName,
    BadRequest,
    MethodNotAllowed,
    MograderError,
    NotFound,
    Temporary,
    Unauthenticated,
    Unreadable,
)
from mograder.domain.files import StoredFile
from mograder.domain.names import Username, parse_exact_owner, printable
from mograder.web.body import PATIENT, Body, ClientDisconnected, Receive, Scope, Send, Timeouts
from mograder.web.broadcast import NOTHING, Broadcaster, Changed
from mograder.web.caching import Memo, SingleFlight
from mograder.web.downloads import DownloadRecorder
from mograder.web.endpoints import (
    HANDLERS,
    SAME_FOR_ALL,
    Caches,
    Handler,
    Request,
    asked_about,
    upload_feedback,
)
from mograder.web.prefix import path_of
from mograder.web.replies import (
    FEEDBACK_POLICY,
    INTERNAL_ERROR,
    Reply,
    attachment,
    is_whole,
    problem,
    send_file,
    send_reply,
    whole_file,
)
from mograder.web.representations import submitted
from mograder.web.threads import RenderingQueue, StoreThreads
from mograder.web.throttle import Failures, address_key, name_key
from mograder.web.uploads import IncomingSubmission, take_submission
from mograder.wire.endpoints import TROUBLE, Content, Endpoint
from mograder.wire.paths import Routes

if TYPE_CHECKING:
    from mograder.domain.assignments import Assignment
    from mograder.domain.board import Board
    from mograder.domain.course import Course
    from mograder.domain.extensions import Extension
    from mograder.domain.grading_results import SeenQueue
    from mograder.domain.standings import Seen
    from mograder.domain.submissions import Accepted

log = logging.getLogger(__name__)

LONGEST_TROUBLE = 500
"""The most characters of an error in a header field: proxies accept a few KiB."""

USUAL_HEADER = 400
"""Characters. A longer Authorization header is not cached, so that nobody can fill the memory with them."""

LAST_ERRORS = 20
"""How many refused or failed requests are kept for the board."""


class Failure(Struct, frozen=True):
    """A request that this server refused or failed to answer, and when (Unix microseconds)."""

    moment: int
    path: str
    message: str


class Api:
    """The ASGI application of the protocol. With `check_tokens` off everything is allowed (--no-auth).

    `authority` is the certificate (PEM) that vouches for this server, "" if there is none.
    """

    def __init__(
        self,
        course: Course,
        *,
        check_tokens: bool = True,
        timeouts: Timeouts = PATIENT,
        authority: str = "",
    ) -> None:
        self.course = course
        self.timeouts = timeouts
        self.check_tokens = check_tokens
        self._authority = authority
        self._routes = Routes()
        self.threads = StoreThreads(course)
        self.renderings = RenderingQueue()
        self._single_flight: SingleFlight[Reply | StoredFile] = SingleFlight(self.threads.run)
        self._caches = Caches()
        self.live = Broadcaster(lambda: self.threads.run(self._changed))
        self.live_marking = Broadcaster(lambda: self.threads.run(self._marked))
        self._seen: Seen | None = None
        self._seen_marking: object = None
        self.results = Broadcaster(lambda: self.threads.run(self._graded))
        self._seen_queue: SeenQueue | None = None
        self.regrades = Broadcaster(lambda: self.threads.run(self._regraded))
        self._seen_regrades: object = None
        self.errors: deque[Failure] = deque(maxlen=LAST_ERRORS)
        self._actors: Memo[Actor] = Memo()
        self._claims: Memo[str] = Memo()
        self._extensions: Memo[tuple[Extension, ...]] = Memo()
        self.fetches = DownloadRecorder(course, self.threads.run)
        # Counted apart, so that clients that keep sending a revoked token do not block registrations.
        self.bad_tokens, self.wrong_codes = Failures(course, "token"), Failures(course, "code")

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the authority's certificate, "" if the server has no authority of its own."""
        if not self._authority:
            return ""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self._authority)).hexdigest()

    def note_error(self, moment: int, path: str, message: str) -> None:
        """Remember that a request was refused or failed. The board shows instructors the last of these."""
        self.errors.append(Failure(moment, printable(path), printable(message, 300)))

    def _changed(self) -> Changed:
        """The people with new submissions since the last call; None when more than that may have changed."""
        self._seen, changed = self.course.standings.changed_since(self._seen)
        return changed

    def _marked(self) -> Changed:
        """NOTHING if no mark has changed since the last call, else None."""
        before, self._seen_marking = self._seen_marking, self.course.marking.version()
        return NOTHING if before == self._seen_marking else None

    def _regraded(self) -> Changed:
        """NOTHING if no regrade has changed since the last call, else None."""
        before, self._seen_regrades = self._seen_regrades, self.course.regrades.version()
        return NOTHING if before == self._seen_regrades else None

    def _graded(self) -> Changed:
        """The people who got a result since the last call; None when they are unknown."""
        self._seen_queue, changed = self.course.results.graded_since(self._seen_queue)
        return changed

    def board(self) -> Board:
        """The course's current board."""
        return self.course.standings.board()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = self.course.clock()
        if not self.course.is_remote:  # waiting for `refresh` does the same
            await asyncio.sleep(0)  # starts a new turn of the event loop, also for many requests that come in one
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = Body(headers, receive, self.timeouts)
        actor = None
        try:
            if scope["method"] == "OPTIONS":
                await send_reply(Reply(204), scope, headers, body, send)
                return
            row, values = self._row(scope)
            actor = await self._authenticate(row, headers, scope)
            request = self._request(row, actor, values, headers, scope, received)
            reply = await self._answer(request, body)
        except MograderError as error:
            reply = problem(error, actor)
            if scope["method"] == "POST" or error.status >= 500:
                self.note_error(received, scope["path"], error.message)
        except ClientDisconnected:
            return
        except Exception:
            log.exception("internal error at %s", printable(scope["path"]))
            self.note_error(received, scope["path"], "internal error")
            reply = INTERNAL_ERROR
        if isinstance(reply, StoredFile):
            await self._send_file(request, reply, body, receive, send)
        else:
            if actor is not None and actor.is_instructor:
                config_errors = partial(self.course.config_errors, actor)
                reply = with_config_errors(
                    reply, await self.threads.recall(lambda: self._caches.tick.get("troubles", config_errors))
                )
            await send_reply(reply, scope, headers, body, send)

    async def _send_file(self, request: Request, file: StoredFile, body: Body, receive: Receive, send: Send) -> None:
        row, values, scope, headers = request.row, request.values, request.scope, request.headers
        if row.name == "release_file" and scope["method"] == "GET":
            self.fetches.note(request.actor, values["assignment"], values["file"], request.received)
        kind = row.reply.value if isinstance(row.reply, Content) else ""

        def extra() -> tuple[tuple[str, str], ...]:
            is_page = row.reply is Content.HTML
            return (("Content-Security-Policy", FEEDBACK_POLICY),) if is_page else tuple(attachment(file.name).items())

        try:
            reply = None
            if is_whole(file, headers):
                key = (row.name, *values.values(), file.tag)
                reply = self._caches.tick.get(key, lambda: whole_file(file, kind, extra()))
            if reply is not None:
                await send_reply(reply, scope, headers, body, send)
            else:
                await send_file(file, kind, extra(), scope, headers, body, receive, send)
        except OSError as error:  # somebody removed the file after it was found, or it is not readable
            log.error("cannot send %s: %s", file.name, error)
            gone = isinstance(error, FileNotFoundError)
            failure = NotFound("the file is gone") if gone else Temporary("the file cannot be read")
            await send_reply(problem(failure), scope, headers, body, send)
        except MograderError as error:
            await send_reply(problem(error, request.actor), scope, headers, body, send)

    def knows(self, path: bytes) -> bool:
        """Whether there is an endpoint at this path."""
        try:
            return self._routes.find(path) is not None
        except BadRequest:
            return True

    def _row(self, scope: Scope) -> tuple[Endpoint, Mapping[str, str]]:
        methods = self._routes.find(path_of(scope))
        if methods is None:
            raise NotFound("there is nothing at this address")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method not in methods:
            allowed = {*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])}
            raise MethodNotAllowed(f"{scope['method']} is not possible here", ", ".join(sorted(allowed)))
        return methods[method]

    async def _authenticate(self, row: Endpoint, headers: Mapping[str, str], scope: Scope) -> Actor:
        if row.allow is Allow.ANYONE:
            return ANONYMOUS
        given = headers.get("authorization")
        if self.course.is_remote:
            await self.threads.refresh(self._claimed(given))
        if not self.check_tokens:
            return UNCHECKED
        try:
            return await self.threads.recall(lambda: self._who(given))
        except Unauthenticated:
            if given is not None:
                whose = [address_key(scope)]
                with contextlib.suppress(Unauthenticated):
                    whose.append(name_key(tokens.from_header(given).username))
                await self.threads.run(lambda: self.bad_tokens.note(*whose))
            raise

    def _claimed(self, given: str | None) -> str:
        """The user name in an Authorization header, genuine or not; "" if it has none."""

        def claim() -> str:
            with contextlib.suppress(Unauthenticated):
                return tokens.from_header(given).username
            return ""

        return self._claims.get(given, None, claim) if given and len(given) <= USUAL_HEADER else ""

    def _who(self, given: str | None) -> Actor:
        """The actor of this header. Cached as long as neither accounts nor secrets change."""
        try:
            version, secrets = self._version(), self._caches.tick.get("secrets", self.course.keys.secrets)
        except Unreadable:  # the course's own token needs no ledger, and the instructor must be told what is wrong
            return self.course.accounts.authenticate(tokens.from_header(given))
        who = partial(self.course.accounts.authenticate, secrets=secrets)
        if given and len(given) > USUAL_HEADER:
            return who(tokens.from_header(given))
        return self._actors.get(given, (version, secrets), lambda: who(tokens.from_header(given)))

    def _request(
        self, row: Endpoint, actor: Actor, values: Mapping[str, str], headers: Mapping[str, str], scope: Scope,
        received: int,
    ) -> Request:  # fmt: skip
        about = None
        if row.about_query:
            about = asked_about(scope["query_string"], row.about_query)
        elif row.about_path:
            try:
                about = parse_exact_owner(values[row.about_path])
            except BadName as error:
                raise NotFound(error.message) from None
        authorise(actor, row.allow, about)
        return Request(
            row, self.course, actor, values, about, headers, received, scope, self.wrong_codes, self._caches,
            self._authority,
        )  # fmt: skip

    async def _answer(self, request: Request, body: Body) -> Reply | StoredFile:
        row = request.row
        if row.request is Content.UPLOAD:
            return await self._submit(request, body)
        if row.request is Content.PAGES:
            await self.threads.recall(request.assignment)
            from mograder.web import multipart

            pages = await multipart.read_files(request.headers, body.chunks(row.limit or 0))
            return await self.threads.run(lambda: upload_feedback(request, pages))
        handler = HANDLERS[row.name]
        if row.name in SAME_FOR_ALL:
            return await self._for_all(request, handler)
        if row.allow is Allow.ANYONE and row.method == "GET":
            return await self.threads.read(lambda: handler(request))
        if row.method == "GET" and not row.many:
            return await self.threads.recall(lambda: handler(request))
        full = request._replace(body=await body.whole(row.limit or 0)) if row.method == "POST" else request
        return await self.threads.run(lambda: handler(full))

    async def _for_all(self, request: Request, handler: Handler) -> Reply | StoredFile:
        """One response for all equal requests at the same moment; the event loop reads nothing but versions."""
        row, actor = request.row, request.actor
        place = (row.name, *request.values.values())

        def key(own: tuple[Extension, ...]) -> tuple[object, ...]:
            return (place, request.query, actor.is_instructor, own)

        def from_memory() -> tuple[tuple[Extension, ...], Reply | StoredFile | None]:
            own = self._own_extensions(actor)
            listed = self._caches.tick.get(place, lambda: SAME_FOR_ALL[row.name](request))
            if listed is None:
                return own, None
            return own, self._caches.tick.get(key(own), lambda: handler(request._replace(own=own, listed=listed)))

        own, reply = await self.threads.recall(from_memory)
        if reply is None:
            read = partial(self.course.recalled, lambda: handler(request._replace(own=own)), wait=True)
            reply = await self._single_flight.get(key(own), read)
        return reply

    def _own_extensions(self, actor: Actor) -> tuple[Extension, ...]:
        """The actor's extensions, cached as long as the ledger does not change. Instructors have none."""
        if actor.is_instructor:
            return ()
        return self._extensions.get(actor.username, self._version(), lambda: self.course.extensions.own(actor))

    def _version(self) -> object:
        """A value that equals an earlier one only if accounts and extensions have not changed."""
        return self._caches.tick.get("version", self.course.version)

    async def take_submission(
        self, actor: Actor, assignment: Assignment, user: Username, body: Body, received: int, from_page: bool = False
    ) -> Accepted:
        """Receive and keep the submission in `body`; see `uploads.take_submission`."""
        await self.threads.refresh(user)
        return await self._take(actor, assignment, user, body, received, from_page)

    async def _take(
        self, actor: Actor, assignment: Assignment, user: Username, body: Body, received: int, from_page: bool = False
    ) -> Accepted:
        return await take_submission(
            self.course, self.threads, IncomingSubmission(actor, assignment, user, body, received, from_page)
        )

    async def _submit(self, request: Request, body: Body) -> Reply:
        assignment = await self.threads.recall(request.assignment)
        accepted = await self._take(request.actor, assignment, request.person(), body, request.received)
        return await self.threads.recall(lambda: submitted(self.course, accepted))


def with_config_errors(reply: Reply, config_errors: tuple[Unreadable, ...]) -> Reply:
    """Add header fields that tell an instructor which files of the course cannot be parsed."""
    said = tuple((TROUBLE, quote(f"{each.message} ({each.place})"[:LONGEST_TROUBLE])) for each in config_errors)
    return replace(reply, headers=reply.headers + said) if said else reply
