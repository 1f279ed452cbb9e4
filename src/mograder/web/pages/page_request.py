"""A request to a page: session, authorisation and form check; and its response, with the security headers.

Invariant: a form is accepted only from a page of this server, and a session only from its own cookie. No response has a
header that lets another site read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from msgspec import Struct
from msgspec.structs import replace
from sse_starlette.sse import EventSourceResponse
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from mograder.domain.access import ANONYMOUS, UNCHECKED, VIEWER, Actor, Allow, authorise
from mograder.domain.assignments import Assignment
from mograder.domain.course import Course
from mograder.domain.deadlines import SECOND
from mograder.domain.devices import REMEMBERED
from mograder.domain.errors import BadName, BadRequest, Forbidden, MograderError, NotFound, Unauthenticated, Unreadable
from mograder.domain.files import StoredFile
from mograder.domain.names import Username, parse_exact_owner
from mograder.domain.submissions import Accepted
from mograder.text import declared_charset
from mograder.web.api import Api
from mograder.web.body import Body, ClientDisconnected, Message, Receive, Scope, Send, is_multipart
from mograder.web.broadcast import Broadcaster, stream
from mograder.web.pages import sessions
from mograder.web.pages.inline import kind_of
from mograder.web.pages.page import Frame, Page, Problem, SessionEnded, render
from mograder.web.pages.sessions import Session
from mograder.web.prefix import path_of
from mograder.web.replies import FEEDBACK_POLICY, attachment, path_to
from mograder.web.throttle import address_key

log = logging.getLogger(__name__)

FORM_LIMIT = 16 * 1024
"""Bytes of a form without files."""

LEAVE = "/as-student"
"""The one form that an instructor can send while viewing the course as a student."""

POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
    "frame-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip

SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": then browsers say Origin: null with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Header fields of every page. A response may override them."""


class PageRequest(Struct, frozen=True):
    """One request to a page, as a view sees it. `received` is in Unix microseconds.

    `path` is what the browser asked for, with the query. `address` is where clients reach the course, `root` the path
    at which it is mounted, `sender` the network for which failures are counted. `form` is empty for a view that reads
    the `body` itself. `frame` is that of the answer's page.
    """

    api: Api
    method: str
    path: str
    actor: Actor
    session: Session | None
    values: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    received: int
    root: str
    address: str
    sender: str
    secure: bool
    frame: Frame
    form: Mapping[str, str] = {}
    viewing: bool = False
    """Whether an instructor views the pages as a student; the actor is VIEWER then."""

    @property
    def course(self) -> Course:
        return self.api.course

    def assignment(self) -> Assignment:
        """The assignment that the path names. Raises NotFound."""
        return self.course.release.assignment(self.actor, self.values["assignment"])

    def user(self) -> Username:
        """The user that the path names, who need not exist. Raises NotFound if it is no user name."""
        try:
            return parse_exact_owner(self.values["user"])
        except BadName as error:
            raise NotFound(error.message) from None

    async def take_submission(self, assignment: Assignment, user: Username) -> Accepted:
        """Keep the files of the form in `body`. Raises BadRequest, and what `uploads.take_submission` raises."""
        if not is_multipart(self.headers):
            raise BadRequest("choose a file first")
        return await self.api.take_submission(self.actor, assignment, user, self.body, self.received, from_page=True)

    def link(self, path: str, *segments: str) -> str:
        """The full URL of a page, for use outside of this page."""
        return self.address.removesuffix(self.root) + self.frame.at(path, *segments)

    async def still_holds(self) -> bool:
        """Whether this request's session is still valid, for the same person in the same role."""

        def look() -> bool:
            given = cookie_parser(self.headers.get("cookie", "")).get(sessions.cookie_name(self.course), "")
            try:
                return sessions.read_cookie(self.course, given)[1] == self.actor
            except Unauthenticated:
                return not self.api.check_tokens

        return await self.api.threads.run(look)

    def events_until_done(
        self, news: Broadcaster, goes_on: Callable[[], bool], about: Username | None = None
    ) -> EventSourceResponse:
        """An event stream that sends `changed` at each change, and ends with `done` once `goes_on` returns False.

        `about` limits it to the changes of one person; None is for everybody's.
        """

        async def events() -> AsyncIterator[dict[str, str]]:
            async for _ in stream(news, self.actor.username, self.still_holds, about):
                more = await self.api.threads.run(goes_on)
                yield {"event": "changed", "data": ""}
                if not more:
                    yield {"event": "done", "data": ""}
                    return

        return EventSourceResponse(events(), send_timeout=self.api.timeouts.taking)

    def to(self, path: str, *segments: str, query: str = "") -> Response:
        """A redirect to another page: the answer to an accepted form, so that reloading does not send it again."""
        return RedirectResponse(self.frame.at(path, *segments) + (f"?{query}" if query else ""), 303)

    def logged_in(self, answer: Response, username: Username, session: Session | None = None) -> Response:
        """`answer` with the cookie of a new session, or a renewed cookie of `session`."""
        session = session or sessions.new_session(self.course, username)
        seconds = REMEMBERED // SECOND if session.remembered else sessions.SESSION_SECONDS
        answer.set_cookie(
            sessions.cookie_name(self.course), sessions.cookie_value(self.course, session), max_age=seconds,
            path=self.root or "/", secure=self.secure, httponly=True, samesite="lax",
        )  # fmt: skip
        return answer

    def logged_out(self, answer: Response) -> Response:
        answer.delete_cookie(sessions.cookie_name(self.course), path=self.root or "/")
        return answer


Answer = Page | Response


class OpenFileResponse(FileResponse):
    """A file that stays open until it is sent, even if its name leads to another file by then."""

    def __init__(self, held: BinaryIO, headers: dict[str, str], media_type: str) -> None:
        found = os.fstat(held.fileno())
        super().__init__(path_to(held), 200, headers, media_type, stat_result=found)
        self.held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.held:
            await super().__call__(dict(scope), receive, send)


def file_response(file: StoredFile, name: str = "") -> Response:
    """A file to download, streamed, under `name` if it is given. May wait for a network. Raises NotFound when the file
    is gone.
    """
    return _opened_response(file, attachment(name or file.name), "application/octet-stream")


def shown_response(file: StoredFile) -> Response:
    """A PDF or picture for the browser to show, which runs nothing of it. Raises NotFound for any other kind."""
    kind = kind_of(file)
    if kind is None:
        raise NotFound(f"{file.name!r} cannot be shown here: download it")
    headers = {"Content-Disposition": "inline", "Content-Security-Policy": kind.policy}
    return _opened_response(file, headers, kind.media_type)


def _opened_response(file: StoredFile, headers: dict[str, str], media_type: str) -> Response:
    try:
        file, held = file.opened()
        if file.data is not None:
            return Response(file.data, headers=headers, media_type=media_type)
        return OpenFileResponse(held, headers, media_type)
    except OSError:
        raise NotFound(f"{file.name!r} cannot be read") from None


def feedback_response(file: StoredFile) -> Response:
    """A feedback page to be framed: somebody else's code, in an origin of its own."""
    headers = {"Content-Security-Policy": FEEDBACK_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    page = file.read()
    return Response(page, media_type=f"text/html; charset={declared_charset(page)}", headers=headers)


def html(page: Page, status: int = 200) -> Response:
    return HTMLResponse(render(page), status)


class PageRoute(Struct, frozen=True):
    """One row: the view for `method` at `path` (in Starlette's notation), and who may use it.

    `show` is a plain function, run in a thread, or a coroutine function that reads `PageRequest.body` itself.
    """

    method: str
    path: str
    allow: Allow
    show: Callable[[PageRequest], Any]
    is_same_for_all: bool = False
    """Whether the answer depends on the path alone: then nothing is read from the store, which may be away."""


class PageEndpoint:
    """A view as an ASGI endpoint."""

    def __init__(self, view: PageRoute, api: Api) -> None:
        self._view = view
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = Body(headers, receive, self._api.timeouts)
        request = self._page_request(scope, headers, body)
        try:
            answer = await self._answer(request)
        except ClientDisconnected:
            return
        fields = MutableHeaders(raw=answer.raw_headers)
        for name, value in SECURITY.items():
            fields.setdefault(name, value)
        if body.unread:
            fields["Connection"] = "close"

            async def linger(message: Message) -> None:
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    await body.send_last(message.get("body", b""), send)
                else:
                    await send(message)

        onwards = linger if body.unread else send

        async def taken(message: Message) -> None:
            async with asyncio.timeout(body.timeouts.taking):
                await onwards(message)

        # Without the server's own file sending, which has no timeout for a client that stops reading.
        # A suppressed error leaves the answer unfinished; then the server closes the connection.
        with contextlib.suppress(TimeoutError, ClientDisconnect):
            await answer({**scope, "extensions": {}}, receive, taken)

    def _page_request(self, scope: Scope, headers: Mapping[str, str], body: Body) -> PageRequest:
        """The request of an unknown person. This reads nothing from the store."""
        received = self._api.course.clock()
        root = scope.get("root_path", "").rstrip("/")
        scheme = scope.get("scheme", "http")
        address = f"{scheme}://{headers.get('host', 'localhost')}{root}"
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        query_text = scope["query_string"].decode("latin-1")
        path = quote(root) + path_of(scope).decode("latin-1") + (f"?{query_text}" if query_text else "")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        frame = Frame("Course", received, root, checked=self._api.check_tokens)
        return PageRequest(
            self._api, method, path, ANONYMOUS, None, scope.get("path_params", {}), query, headers, body, received,
            root, address, address_key(scope), scheme == "https", frame,
        )  # fmt: skip

    async def _answer(self, request: PageRequest) -> Response:
        try:
            if not self._view.is_same_for_all:
                request = await self._api.threads.run(lambda: self._identified(request))
            if self._view.method == "POST":
                check_origin(request.headers)
                if request.viewing and self._view.path != LEAVE:
                    raise Forbidden("you view the course as a student, so nothing is sent: go back first")
            if request.actor == ANONYMOUS and self._view.allow is not Allow.ANYONE:
                return to_login(request)
            authorise(request.actor, self._view.allow)
            if inspect.iscoroutinefunction(self._view.show):
                answer: Answer = await self._view.show(request)
                return await self._finish(request, answer)
            if self._view.method == "POST":
                request = replace(request, form=parse_form(await request.body.whole(FORM_LIMIT)))
            answer = await self._api.threads.run(lambda: self._view.show(request))
            return await self._finish(request, answer)
        except MograderError as error:
            if error.status >= 500:
                self._api.note_error(request.received, self._view.path, error.message)
            return problem(request, error)
        except ClientDisconnected:
            raise
        except Exception:
            log.exception("internal error at %s", self._view.path)
            self._api.note_error(request.received, self._view.path, "internal error")
            return html(Problem(request.frame, 500, "internal error"), 500)

    def _identified(self, request: PageRequest) -> PageRequest:
        """The request with the course's address, the session, the actor, and the frame for them."""
        course = request.course
        address = course.url or request.address
        secure = request.secure or address.startswith("https://")  # TLS may end at a proxy that we do not know of
        found = self._with_session(replace(request, address=address, secure=secure))
        actor = found.actor
        is_page = self._view.allow is not Allow.ANYONE or self._view.path == "/"  # not what a page loads
        frame = Frame(
            course.title or "Course", course.clock(), request.root, actor.username if found.session else None,
            actor.is_instructor, actor.is_staff and not actor.is_instructor, self._api.check_tokens,
            course.config_errors(actor), len(course.extensions.waiting()) if actor.is_instructor and is_page else 0,
            found.viewing, request.path.partition("?")[0].removeprefix(quote(request.root)),
        )  # fmt: skip
        return replace(found, frame=frame)

    def _with_session(self, request: PageRequest) -> PageRequest:
        """The request with its session and actor. An invalid or expired cookie counts as none."""
        cookies = cookie_parser(request.headers.get("cookie", ""))
        given = cookies.get(sessions.cookie_name(request.course))
        found = request if request.api.check_tokens else replace(request, actor=UNCHECKED)
        if given is not None:
            with contextlib.suppress(Unauthenticated):
                session, actor = sessions.read_cookie(request.course, given)
                found = replace(request, actor=actor, session=session)
        is_viewing = found.actor.is_instructor and sessions.view_cookie_name(request.course) in cookies
        return replace(found, actor=VIEWER, viewing=True) if is_viewing else found

    async def _finish(self, request: PageRequest, answer: Answer) -> Response:
        response = await self._api.threads.run(lambda: html(answer)) if isinstance(answer, Page) else answer
        session = request.session
        stale = session is not None and request.received > session.seen + sessions.RENEW_SECONDS * SECOND
        has_cookie = "set-cookie" in response.headers
        # A cache that may keep the answer would hand its cookie to others.
        is_kept = response.headers.get("cache-control", "no-store") != "no-store"
        if session and stale and not has_cookie and not is_kept:
            await self._api.threads.run(lambda: request.logged_in(response, session.username, session))
        return response


def check_origin(headers: Mapping[str, str]) -> None:
    """Raises Forbidden unless the browser says that a page of this server sent the form.

    A feedback page is sandboxed, so its origin is "null"; browsers report it so in Sec-Fetch-Site, too.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    ours = origin is not None and bool(origin) and urlsplit(origin).netloc == headers.get("host")
    if origin == "null" or not (site == "same-origin" if site is not None else ours):
        raise Forbidden("this form was not sent by a page of this course: open the page and send it from there")


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form. Raises BadRequest, also for a NUL, which not every storage takes."""
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
        if any("\0" in text for field in fields for text in field):
            raise ValueError
        return dict(fields)
    except ValueError:
        raise BadRequest("the form is malformed") from None


def to_login(request: PageRequest) -> Response:
    """The answer to a person who is not logged in: the way to the login page and back.

    A form is answered with a page that says that nothing was kept; a request for a part of a page sends the whole page
    to the login page.
    """
    login = f"{request.frame.at('/login')}?{urlencode({'next': _page_of(request)})}"
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": login})
    if request.method == "POST":
        return html(SessionEnded(request.frame, login), 401)
    return RedirectResponse(login, 303)


def _page_of(request: PageRequest) -> str:
    """The path and query of the page that is asked for, or on which the form stands."""
    if request.method == "GET":
        return request.path
    referer = urlsplit(request.headers.get("referer", ""))
    return referer.path + (f"?{referer.query}" if referer.query else "")


def problem(request: PageRequest, error: MograderError) -> Response:
    """The page of an error. Where a file of the course is at fault, instructors are told which one and where."""
    place = ""
    if isinstance(error, Unreadable):
        log.error("%s (%s)", error.message, error.place)
        place = error.place if request.actor.is_instructor else ""
    answer = html(Problem(request.frame, error.status, error.message, place), error.status)
    answer.headers.update(dict(error.headers))
    return answer
