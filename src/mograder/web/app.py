"""The ASGI application: the protocol's endpoints, at the root or wherever it is mounted."""

from __future__ import annotations

from mograder.domain.course import Course
from mograder.web.api import Api
from mograder.web.body import Receive, Scope, Send


class App:
    """An ASGI application over one course. It does not open or close the course: who made it does."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._api(scope, receive, send)
        elif scope["type"] == "lifespan":
            await live(receive, send)
        else:  # a websocket: refused before it is accepted
            await send({"type": "websocket.close", "code": 1000})


def create_app(course: Course, *, check_tokens: bool = True) -> App:
    """The application to serve or mount. `check_tokens=False` lets everybody do everything (--no-auth)."""
    return App(Api(course, check_tokens=check_tokens))


async def live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
