"""The ASGI application: the protocol's endpoints, at the root or wherever it is mounted."""

from __future__ import annotations

from mograder.domain.course import Course
from mograder.web.api import Api
from mograder.web.body import Receive, Scope, Send
from mograder.web.proxies import Proxies

NO_PROXIES = Proxies()


class App:
    """An ASGI application over one course. It does not open or close the course: who made it does."""

    def __init__(self, api: Api, proxies: Proxies = NO_PROXIES) -> None:
        self._api = api
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._api(self._proxies.seen_through(scope), receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:  # a websocket: refused before it is accepted
            await send({"type": "websocket.close", "code": 1000})


def create_app(
    course: Course, *, check_tokens: bool = True, proxies: Proxies = NO_PROXIES, authority: str = "", workers: int = 1
) -> App:
    """The application to serve or mount. `check_tokens=False` lets everybody do everything (--no-auth).

    `proxies` are believed about who asks; `authority` is the certificate (PEM) that vouches for this server, if it has
    one of its own; `workers` is how many processes serve, of which this is one.
    """
    return App(Api(course, check_tokens=check_tokens, authority=authority, workers=workers), proxies)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
