"""The ASGI application: the endpoints of the protocol and the pages, at the root or below a mount."""

from __future__ import annotations

import contextlib
from functools import cached_property
from urllib.parse import urlsplit

from mograder.domain.course import Course
from mograder.domain.errors import MograderError
from mograder.web.api import Api
from mograder.web.body import PATIENT, Receive, Scope, Send, Timeouts
from mograder.web.prefix import below, is_prefix, path_of

PAGES = frozenset(
    b"as-student audit board client devices install invite join live login logout marking more-time my my-receipts "
    b"new-assignment new-codes once people static".split()
)
"""The first path segments of the pages. The protocol uses none of them."""


class App:
    """An ASGI application over one course. The caller opens and closes the course."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._public_path = ""

    @cached_property
    def _pages(self):  # type: ignore[no-untyped-def]
        from mograder.web.pages.routes import make_router  # loaded with the first page: most servers start without one

        return make_router(self._api)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            is_page, known = self._is_page(scope)
            if is_page or not known:
                scope = await self._at_public_path(scope)
                is_page, _ = self._is_page(scope)
            await (self._pages if is_page else self._api)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
        else:  # a websocket is refused before it is accepted
            await send({"type": "websocket.close", "code": 1000})

    async def _at_public_path(self, scope: Scope) -> Scope:
        """The request, with the path of the course's public address as `root_path` if a proxy has cut that path off.

        If the address cannot be read now, it is the last one that was read.
        """
        with contextlib.suppress(MograderError):  # whoever answers says what is wrong
            url = await self._api.threads.read(lambda: self._api.course.url)
            self._public_path = urlsplit(url).path.rstrip("/")
        path, root = self._public_path, scope.get("root_path", "")
        return below(scope, path) if is_prefix(path) and path != root and path.endswith(root) else scope

    def _is_page(self, scope: Scope) -> tuple[bool, bool]:
        """Whether a page answers, and whether there is an endpoint at the address.

        A page answers at the pages' own paths and, for a browser, at the root and at unknown addresses.
        """
        path = path_of(scope)
        known, inner = self._api.knows(path), path.strip(b"/")
        if inner.partition(b"/")[0] in PAGES:
            return True, known
        return (not inner or not known) and is_browser(scope), known


def create_app(course: Course, *, check_tokens: bool = True, timeouts: Timeouts = PATIENT, authority: str = "") -> App:
    """The application to serve or mount. `check_tokens=False` lets everybody do everything (--no-auth).

    `authority` is the certificate (PEM) that vouches for this server, if it has one of its own.
    """
    return App(Api(course, check_tokens=check_tokens, timeouts=timeouts, authority=authority))


def is_browser(scope: Scope) -> bool:
    """Whether the client asks for HTML. No client of the protocol does."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Answer the lifespan messages of an ASGI server. Nothing is opened or closed here."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
