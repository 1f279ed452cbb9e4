"""The page that tells students how to install the client, and the wheel that this server hands out for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse

from mograder import __version__
from mograder.domain.access import Allow
from mograder.domain.errors import NotFound
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute
from mograder.web.replies import attachment
from mograder.wheel import Wheel, own_wheel
from mograder.wire.join_link import JoinLink

PIECE = 256 * 1024
"""Bytes that are sent at once: a slow reader holds no more than this."""


@dataclass(frozen=True)
class Install(Page):
    """How to install the client that `address` serves; `wheel` is None on a server that was never installed itself.

    `fingerprint` is that of the authority of a self-signed server, "" for one with a public certificate.
    """

    template = "install.html"
    heading = "Install the command line"
    address: str
    wheel: tuple[str, str] | None
    fingerprint: str = ""

    @property
    def version(self) -> str:
        return __version__

    @property
    def source(self) -> str:
        """What the install command names: the address of the wheel or, on a self-signed server, the file that the
        browser has downloaded, so that no installer must be told to trust any certificate.
        """
        name = self.wheel[0] if self.wheel else ""
        return f"./{name}" if self.fingerprint else f"{self.address}/client/{name}"

    @property
    def login(self) -> str:
        """The command that logs in, without the enrollment code, which students learn in class."""
        place = JoinLink(self.address, fingerprint=self.fingerprint).text if self.fingerprint else self.address
        return f'mograder https login --url "{place}"'


def install(request: PageRequest) -> Answer:
    made = own_wheel()
    wheel = (made.name, made.sha256) if made else None
    return Install(request.frame, request.address, wheel, request.api.fingerprint)


async def client(request: PageRequest) -> Answer:
    """The wheel. It is no endpoint of the protocol, because installers fetch it and not clients of a course."""
    wheel = await request.api.threads.run(own_wheel)
    if wheel is None or request.values["file"] != wheel.name:
        raise NotFound(f"this server hands out no such file: see {request.address}/install")
    headers = {
        "ETag": f'"{wheel.sha256}"',
        "Cache-Control": "public, no-cache",
        "X-Checksum-SHA256": wheel.sha256,
        # Notebooks in a browser come from other origins.
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if f'"{wheel.sha256}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    headers |= {"Content-Length": str(len(wheel.content)), **attachment(wheel.name)}
    return StreamingResponse(_pieces(wheel), 200, headers, "application/zip")


async def _pieces(wheel: Wheel) -> AsyncIterator[bytes]:
    for start in range(0, len(wheel.content), PIECE):
        yield wheel.content[start : start + PIECE]


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/install", Allow.ANYONE, install),
    PageRoute("GET", "/client/{file}", Allow.ANYONE, client),
)
