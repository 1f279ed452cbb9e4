"""What goes back over HTTP: status, header fields and bytes, or a file."""

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

from mograder.domain.access import Actor
from mograder.domain.errors import MograderError, Unreadable
from mograder.domain.files import StoredFile
from mograder.domain.names import printable
from mograder.web.body import Body, Message, Receive, Scope, Send
from mograder.wire import messages
from mograder.wire.codec import encode_json
from mograder.wire.endpoints import HEADERS

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]

COMMON: Headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()] + [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]

FEEDBACK_POLICY = "sandbox allow-scripts allow-popups; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""A feedback page is somebody else's code: it runs in an origin of its own, without cookies or storage of ours."""

SMALL_FILE = 256 * 1024
"""Bytes up to which a file is read at once; larger ones are streamed."""


@dataclass(frozen=True)
class Reply:
    """An answer whose bytes are at hand. With a `tag` it can be answered by 304 to who has it already."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    tag: str | None = None
    close: bool = False

    @cached_property
    def fields(self) -> Headers:
        """The header fields but those that say what is sent: of a reply that is given often, made once."""
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
    tag = hashlib.blake2b(body, digest_size=12).hexdigest() if tagged else None
    return Reply(200, body, "application/json", tag=tag)


def problem(error: MograderError, actor: Actor | None = None) -> Reply:
    """The answer to an error. Where a file of the course is at fault, instructors are told which and where."""
    document = {"error": error.message, "code": error.code, **error.details}
    if isinstance(error, Unreadable):
        log.error("%s (%s)", error.message, error.place)
        if actor is not None and actor.is_instructor:
            document["place"] = error.place
    return Reply(error.status, encode_json(document), "application/json", error.headers)


INTERNAL_ERROR = Reply(500, encode_json({"error": "internal error", "code": "internal"}), "application/json")


async def send_reply(reply: Reply, scope: Scope, headers: Mapping[str, str], body: Body, send: Send) -> None:
    """Send `reply`; where the request's body is still coming, say so and read on for a moment."""
    status, content = reply.status, reply.body
    if reply.tag is not None and _has(headers.get("if-none-match", ""), reply.tag):
        status, content = 304, b""
    fields = reply.fields if status in (204, 304) else reply.content_fields
    linger = body.unread
    if linger or reply.close:
        fields = [*fields, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    content = b"" if scope["method"] == "HEAD" else content
    await send({"type": "http.response.body", "body": content, "more_body": linger})
    if linger:
        await body.drain()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _has(if_none_match: str, tag: str) -> bool:
    return bool(if_none_match) and (f'"{tag}"' in if_none_match or if_none_match.strip() == "*")


def attachment(name: str) -> dict[str, str]:
    """The header field with which a browser saves an answer as a file of this name."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name.rsplit('/', 1)[-1], safe='')}"}


def path_to(held: BinaryIO) -> Path:
    """Where the file that is `held` open can be opened again.

    By its name, another file may be opened than was measured: somebody uploads a new one just now.
    """
    same = Path(f"/dev/fd/{held.fileno()}")
    return same if same.exists() else Path(held.name)


def is_whole(file: StoredFile, headers: Mapping[str, str]) -> bool:
    """Whether `whole_file` is the answer, for all who ask so."""
    small = file.opener is not None and file.size <= SMALL_FILE
    return small and "range" not in headers and "if-none-match" not in headers


def whole_file(file: StoredFile, content_type: str, extra: tuple[tuple[str, str], ...]) -> Reply | None:
    """All of a file, unless a large one has come into its place. Raises OSError."""
    file, held = file.opened()
    with held:
        return _all_of(file, held, content_type, extra) if file.size <= SMALL_FILE else None


def _all_of(file: StoredFile, held: BinaryIO, content_type: str, extra: tuple[tuple[str, str], ...]) -> Reply:
    return Reply(200, held.read(file.size), content_type, extra, tag=file.tag)


async def send_file(
    file: StoredFile, content_type: str, extra: tuple[tuple[str, str], ...],
    scope: Scope, headers: Mapping[str, str], body: Body, receive: Receive, send: Send,
) -> None:  # fmt: skip
    """Send a file: whole when small, else streamed; ranges as asked for.

    Raises OSError, or MograderError where the bytes are brought from afar, before anything is sent.
    """
    if _has(headers.get("if-none-match", ""), file.tag):
        await send_reply(Reply(200, b"", content_type, extra, tag=file.tag), scope, headers, body, send)
        return
    # What cannot be read raises here, while another answer is still possible.
    file, held = await asyncio.to_thread(file.opened) if file.fetch else file.opened()
    with held:
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
    """Send all of the file that is `held` open, whatever may stand under its name by now.

    Each piece takes as long to read as a small file does; who does not take one in time is sent no more.
    """
    from email.utils import formatdate  # for few: most files are small

    left = file.size
    changed = (("Accept-Ranges", "bytes"), ("Last-Modified", formatdate(file.modified, usegmt=True)))
    reply = Reply(200, b"", content_type, (*extra, *changed), tag=file.tag)
    fields = [*reply.fields, (b"content-type", content_type.encode()), (b"content-length", str(left).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    with contextlib.suppress(TimeoutError):  # the server ends the connection of an answer that is not finished
        while left and (piece := held.read(min(left, SMALL_FILE))):
            left -= len(piece)
            async with asyncio.timeout(body.timeouts.taking):
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


async def _send_range(
    file: StoredFile, held: BinaryIO, content_type: str, extra: tuple[tuple[str, str], ...],
    scope: Scope, headers: Mapping[str, str], body: Body, receive: Receive, send: Send,
) -> None:  # fmt: skip
    """Send what is asked for of the file that is `held` open."""
    fields = {name.decode(): value.decode() for name, value in COMMON}
    fields |= {"etag": f'"{file.tag}"', "cache-control": "private, no-cache", **dict(extra)}
    from starlette.responses import FileResponse  # for few: who resumes a download

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
    # Without the server's own way of sending files, in which nobody watches whether they are taken.
    request: dict[str, Any] = {**scope, "extensions": {}}
    try:
        await response(request, receive, forward)
    except TimeoutError:
        return  # the server ends the connection of an answer that is not finished
    if refused:
        document = messages.Problem(
            f"{printable(headers['range'])!r} is no range of {found.st_size} bytes", "bad_range"
        )
        known_size = (("Content-Range", f"bytes */{found.st_size}"),)
        reply = Reply(refused, encode_json(document), "application/json", known_size)
        await send_reply(reply, scope, headers, body, send)
