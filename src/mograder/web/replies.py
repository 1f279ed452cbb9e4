"""HTTP responses: status, header fields and bytes, or a file."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from mograder import __version__
from mograder.domain.access import Actor
from mograder.domain.errors import MograderError, Unreadable
from mograder.domain.files import StoredFile
from mograder.domain.names import printable
from mograder.text import declared_charset
from mograder.web.body import Body, Message, Receive, Scope, Send
from mograder.wire import messages
from mograder.wire.codec import encode_json
from mograder.wire.endpoints import HEADERS, VERSION_HEADER

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]

COMMON: Headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()] + [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (VERSION_HEADER.lower().encode(), __version__.encode()),
]

FEEDBACK_POLICY = "sandbox allow-scripts allow-popups; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""The policy of feedback pages: other people's code, which runs in its own origin without our cookies."""

SMALL_FILE = 256 * 1024
"""Bytes up to which a file is read at once; larger ones are streamed."""


@dataclass(frozen=True)
class Reply:
    """A response whose bytes are in memory. With a `tag` (ETag), a client that has it already gets 304."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    tag: str | None = None
    close: bool = False

    @cached_property
    def fields(self) -> Headers:
        """The header fields without those of the content; made once for a reply that is sent often."""
        fields = list(COMMON)
        if self.tag is not None:
            fields += [(b"etag", f'"{self.tag}"'.encode()), (b"cache-control", b"private, no-cache")]
        return fields + [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers]

    @cached_property
    def content_fields(self) -> Headers:
        length = str(len(self.body)).encode()
        return [*self.fields, (b"content-type", self.content_type.encode()), (b"content-length", length)]


def json_reply(value: object, tagged: bool = False) -> Reply:
    body = encode_json(value)
    return tagged_json(body) if tagged else Reply(200, body, "application/json")


def tagged_json(body: bytes) -> Reply:
    return Reply(200, body, "application/json", tag=hashlib.blake2b(body, digest_size=12).hexdigest())


def problem(error: MograderError, actor: Actor | None = None) -> Reply:
    """The response to an error. Where a file of the course is at fault, instructors are told which one and where."""
    document = {"error": error.message, "code": error.code, **error.details}
    if isinstance(error, Unreadable):
        log.error("%s (%s)", error.message, error.place)
        if actor is not None and actor.is_instructor:
            document["place"] = error.place
    return Reply(error.status, encode_json(document), "application/json", error.headers)


INTERNAL_ERROR = Reply(500, encode_json({"error": "internal error", "code": "internal"}), "application/json")


async def send_reply(reply: Reply, scope: Scope, headers: Mapping[str, str], body: Body, send: Send) -> None:
    """Send `reply`. While the request's body is still arriving, close the connection after reading on for a moment."""
    status, content = reply.status, reply.body
    if reply.tag is not None and _has(headers.get("if-none-match", ""), reply.tag):
        status, content = 304, b""
    fields = reply.fields if status in (204, 304) else reply.content_fields
    linger = body.unread
    if linger or reply.close:
        fields = [*fields, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    content = b"" if scope["method"] == "HEAD" else content
    if linger:
        await body.send_last(content, send)
    else:
        await send({"type": "http.response.body", "body": content, "more_body": False})


def _has(if_none_match: str, tag: str) -> bool:
    return bool(if_none_match) and (f'"{tag}"' in if_none_match or if_none_match.strip() == "*")


def attachment(name: str) -> dict[str, str]:
    """The header field that makes a browser save a response as a file of this name."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name.rsplit('/', 1)[-1], safe='')}"}


def path_to(held: BinaryIO) -> Path:
    """A path at which the open file `held` can be opened again.

    Its name could lead to another file by now: a new one may have been uploaded.
    """
    same = Path(f"/dev/fd/{held.fileno()}")
    return same if same.exists() else Path(held.name)


def is_whole(file: StoredFile, headers: Mapping[str, str]) -> bool:
    """Whether `whole_file` answers the request, and every other one with the same headers."""
    small = file.opener is not None and file.size <= SMALL_FILE
    return small and "range" not in headers and "if-none-match" not in headers


def whole_file(file: StoredFile, content_type: str, extra: tuple[tuple[str, str], ...]) -> Reply | None:
    """The whole file, or None when it has been replaced by a large one. Raises OSError."""
    file, held = file.opened()
    with held:
        return _all_of(file, held, content_type, extra) if file.size <= SMALL_FILE else None


def _all_of(file: StoredFile, held: BinaryIO, content_type: str, extra: tuple[tuple[str, str], ...]) -> Reply:
    content = held.read(file.size)
    return Reply(200, content, _as_declared(content_type, content), extra, tag=file.tag)


def _as_declared(content_type: str, start: bytes) -> str:
    """The content type of a page with the charset that it declares; of all else, the content type as it is."""
    return f"text/html; charset={declared_charset(start)}" if content_type.startswith("text/html") else content_type


async def send_file(
    file: StoredFile, content_type: str, extra: tuple[tuple[str, str], ...],
    scope: Scope, headers: Mapping[str, str], body: Body, receive: Receive, send: Send,
) -> None:  # fmt: skip
    """Send a file: small ones at once, others in pieces; ranges as requested.

    Raises OSError, or MograderError where the bytes are fetched over a network, before anything is sent.
    """
    if _has(headers.get("if-none-match", ""), file.tag):
        await send_reply(Reply(200, b"", content_type, extra, tag=file.tag), scope, headers, body, send)
        return
    # A file that cannot be read raises here, while an error can still be sent.
    file, held = await asyncio.to_thread(file.opened) if file.fetch else file.opened()
    with held:
        if content_type.startswith("text/html"):
            content_type = _as_declared(content_type, held.read(1024))
            held.seek(0)
        if file.data is not None or (file.size <= SMALL_FILE and "range" not in headers):
            await send_reply(_all_of(file, held, content_type, extra), scope, headers, body, send)
        elif "range" in headers:
            await _send_range(file, held, content_type, extra, scope, headers, body, receive, send)
        else:
            await _send_pieces(file, held, content_type, extra, scope, body, send)


async def _send_pieces(
    file: StoredFile, held: BinaryIO, content_type: str, extra: tuple[tuple[str, str], ...],
    scope: Scope, body: Body, send: Send,
) -> None:  # fmt: skip
    """Send the open file `held` in pieces, even if its name leads to another file by now.

    Reading one takes no longer than reading a small file. A client that does not accept one in time is disconnected.
    """
    from email.utils import formatdate  # rarely needed: most files are small

    left = file.size
    changed = (("Accept-Ranges", "bytes"), ("Last-Modified", formatdate(file.modified, usegmt=True)))
    reply = Reply(200, b"", content_type, (*extra, *changed), tag=file.tag)
    fields = [*reply.fields, (b"content-type", content_type.encode()), (b"content-length", str(left).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    with contextlib.suppress(TimeoutError):  # the server closes the connection of an unfinished response
        while left and (piece := held.read(min(left, SMALL_FILE))):
            left -= len(piece)
            async with asyncio.timeout(body.timeouts.taking):
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


async def _send_range(
    file: StoredFile, held: BinaryIO, content_type: str, extra: tuple[tuple[str, str], ...],
    scope: Scope, headers: Mapping[str, str], body: Body, receive: Receive, send: Send,
) -> None:  # fmt: skip
    """Send the requested range of the open file `held`."""
    fields = {name.decode(): value.decode() for name, value in COMMON}
    fields |= {"etag": f'"{file.tag}"', "cache-control": "private, no-cache", **dict(extra)}
    from starlette.responses import FileResponse  # rarely needed: for resumed downloads

    found = os.fstat(held.fileno())
    response = FileResponse(path_to(held), headers=fields, media_type=content_type, stat_result=found)
    refused = 0

    async def forward(message: Message) -> None:
        nonlocal refused
        if message["type"] == "http.response.start" and message["status"] >= 400:
            refused = message["status"]
        if not refused:
            async with asyncio.timeout(body.timeouts.taking):
                await send(message)

    response.chunk_size = SMALL_FILE
    # Without the server's own file sending, which has no timeout for a client that stops reading.
    request: dict[str, Any] = {**scope, "extensions": {}}
    try:
        await response(request, receive, forward)
    except TimeoutError:
        return  # the server closes the connection of an unfinished response
    if refused:
        document = messages.Problem(
            f"{printable(headers['range'])!r} is no range of {found.st_size} bytes", "bad_range"
        )
        known_size = (("Content-Range", f"bytes */{found.st_size}"),)
        reply = Reply(refused, encode_json(document), "application/json", known_size)
        await send_reply(reply, scope, headers, body, send)
