"""Many courses in one application: /c/<course>/ is the whole protocol of that course."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from html import escape

from mograder.domain.course import Course
from mograder.domain.errors import BadName, MethodNotAllowed, MograderError, NotFound, Temporary
from mograder.domain.names import CourseName, printable
from mograder.web.app import App, answer_lifespan, create_app, is_browser
from mograder.web.body import PATIENT, Body, Receive, Scope, Send
from mograder.web.caching import SingleFlight
from mograder.web.prefix import path_of
from mograder.web.replies import INTERNAL_ERROR, Reply, json_reply, problem, send_reply
from mograder.wire import messages

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 2.0
"""Seconds for which a course that was found is not looked up again."""

PAGE_HEADERS = (("Content-Security-Policy", "default-src 'none'"), ("X-Content-Type-Options", "nosniff"))

Find = Callable[[CourseName], Course]


class ManyApps:
    """An ASGI application over the courses that `find` returns. `find` raises NotFound, and may block.

    For the other arguments see `create_app`.
    """

    def __init__(self, find: Find, *, check_tokens: bool = True, authority: str = "") -> None:
        self._find = find
        self._make = partial(create_app, check_tokens=check_tokens, authority=authority)
        self._apps: dict[CourseName, tuple[float, Course, App]] = {}
        self._lookups: SingleFlight[Course] = SingleFlight(asyncio.to_thread)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        path = path_of(scope)
        first, _, rest = path.removeprefix(b"/").partition(b"/")
        name = rest.partition(b"/")[0].decode("latin-1")
        try:
            if first != b"c" or not name:
                await _send(_outside(scope, path), scope, receive, send)
                return
            app = await self._app(name)
        except MograderError as error:
            reply = problem(error)
            if is_browser(scope):
                reply = _page(error.message, reply)
            await _send(reply, scope, receive, send)
        except Exception:
            log.exception("internal error at %s", printable(scope["path"]))
            await _send(INTERNAL_ERROR, scope, receive, send)
        else:
            await app({**scope, "root_path": f"{scope.get('root_path', '')}/c/{name}"}, receive, send)

    async def _app(self, text: str) -> App:
        """The application of the course of this name. Raises NotFound."""
        try:
            name = CourseName.parse(text)
        except BadName:
            raise NotFound("there is no course of this name") from None
        asked, held, app = self._apps.get(name, (0.0, None, None))
        if app is not None and time.monotonic() - asked < LOOKUP_SECONDS:
            return app
        try:
            course = await self._lookups.get(name, partial(self._find, name))
        except NotFound:
            self._apps.pop(name, None)
            raise
        except Temporary:
            if app is None:
                raise
            return app  # which says itself what it cannot do
        _, held, app = self._apps.get(name, (0.0, None, None))  # others may have waited for the same lookup
        if app is None or course != held:
            app = self._make(course)
        self._apps[name] = (time.monotonic(), course, app)
        return app


def _outside(scope: Scope, path: bytes) -> Reply:
    """The answer outside every course: the health check at the root. Raises NotFound elsewhere."""
    if scope["method"] == "OPTIONS":
        return Reply(204)
    if path.strip(b"/"):
        raise NotFound("there is nothing at this address: a course is at /c/<course>/")
    if scope["method"] not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{scope['method']} is not possible here", "GET, HEAD, OPTIONS")
    health = json_reply(messages.Health())
    return _page("there are several courses on this server", health) if is_browser(scope) else health


def _page(said: str, reply: Reply) -> Reply:
    """A page outside every course in the place of `reply`, for people who have left out the course's name."""
    where = (
        "<p>Each course has an address of its own, which ends in <code>/c/</code> and the course's name, as "
        "<code>/c/algebra/</code>. Your instructor tells you yours."
    )
    body = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=width=device-width>"
        f"<title>Courses</title><h1>{escape(said[:1].upper() + said[1:])}</h1>{where if reply.status < 500 else ''}"
    )
    return Reply(reply.status, body.encode(), "text/html; charset=utf-8", (*reply.headers, *PAGE_HEADERS))


async def _send(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    await send_reply(reply, scope, headers, Body(headers, receive, PATIENT), send)
