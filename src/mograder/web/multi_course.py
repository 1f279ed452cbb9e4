"""Many courses in one application: /c/<course>/ is the whole protocol of that course."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from mograder.domain.course import Course
from mograder.domain.errors import BadName, MethodNotAllowed, MograderError, NotFound, Temporary
from mograder.domain.names import CourseName, printable
from mograder.web.app import App, answer_lifespan, create_app
from mograder.web.body import PATIENT, Body, Receive, Scope, Send
from mograder.web.prefix import path_of
from mograder.web.replies import INTERNAL_ERROR, Reply, json_reply, problem, send_reply
from mograder.wire import messages

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 2.0
"""Seconds for which a course that was found is not looked up again."""

Find = Callable[[CourseName], Course]


class ManyApps:
    """An ASGI application over the courses that `find` returns. `find` raises NotFound, and may block.

    For the other arguments see `create_app`.
    """

    def __init__(self, find: Find, *, check_tokens: bool = True, authority: str = "") -> None:
        self._find = find
        self._make = partial(create_app, check_tokens=check_tokens, authority=authority)
        self._apps: dict[CourseName, tuple[float, Course, App]] = {}

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
            await _send(problem(error), scope, receive, send)
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
            course = await asyncio.to_thread(self._find, name)
        except NotFound:
            self._apps.pop(name, None)
            raise
        except Temporary:
            if app is None:
                raise
            return app  # which says itself what it cannot do
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
    return json_reply(messages.Health())


async def _send(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    await send_reply(reply, scope, headers, Body(headers, receive, PATIENT), send)
