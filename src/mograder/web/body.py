"""Reads a request's body under limits of size and time; a body that is cut short is never mistaken for a complete one.

Invariant: a body has a Content-Length, no byte beyond the limit is kept in memory, and every wait ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from mograder.domain.errors import BadRequest, LengthRequired, RequestTimeout, TooLarge, WrongType
from mograder.domain.names import counted

Message = MutableMapping[str, Any]
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Timeouts:
    """How slow a client may be before its connection is given up. Times are in seconds.

    `idle`: the longest pause between two pieces of a body. `slowest`: the lowest average rate of an upload in bytes a
    second, after a grace of `idle`. `linger`: the longest pause while the rest of a refused body is read and discarded,
    for `idle` in all, so that no reset overtakes the response. `taking`: how long the client may take to accept one
    piece of a large file.
    """

    idle: float = 20.0
    slowest: float = 8 * 1024
    linger: float = 5.0
    taking: float = 60.0


PATIENT = Timeouts()


def is_multipart(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


class ClientDisconnected(Exception):
    """The client disconnected before the body was complete. No response can be sent."""


class Body:
    """One request's body."""

    def __init__(self, headers: Mapping[str, str], receive: Receive, timeouts: Timeouts) -> None:
        self.headers = headers
        self.timeouts = timeouts
        self._receive = receive
        self._encoding = headers.get("content-encoding", "identity")
        self._chunked = "transfer-encoding" in headers
        self._length_text = headers.get("content-length", "0")
        self._over = False
        self._awaited = headers.get("expect", "").lower() == "100-continue"
        """The client sends nothing until it is asked to."""

    def _length(self, limit: int) -> int:
        if self._chunked:
            raise LengthRequired("send a Content-Length; chunked uploads are not accepted")
        if self._encoding.strip().lower() != "identity":
            raise WrongType("send the body as it is: Content-Encoding is not accepted")
        if not self._length_text.isascii() or not self._length_text.isdecimal():
            raise BadRequest("Content-Length is not a number")
        length = int(self._length_text[:20])
        if length > limit:
            raise TooLarge(f"the request has {counted(length, 'byte')}; at most {limit} are accepted", limit=limit)
        return length

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body piece by piece, `limit` bytes at most.

        Raises LengthRequired, WrongType or TooLarge before anything is read, RequestTimeout, and
        ClientDisconnected.
        """
        length = self._length(limit)
        count = 0
        ends = time.monotonic() + self.timeouts.idle + length / self.timeouts.slowest
        while not self._over and count < length:
            message = await self._next(min(self.timeouts.idle, ends - time.monotonic()))
            chunk: bytes = message.get("body", b"")
            count += len(chunk)
            if count > length:
                raise BadRequest("the body is longer than its Content-Length")
            if count == length:
                self._over = True  # nothing more can come, whether or not the server has noticed
            if chunk:
                yield chunk
        if count < length:
            raise ClientDisconnected

    async def _next(self, seconds: float) -> Message:
        self._awaited = False
        try:
            async with asyncio.timeout(max(seconds, 0)):
                message = await self._receive()
        except TimeoutError:
            self._over = True
            raise RequestTimeout("the request's body came too slowly") from None
        if message["type"] == "http.disconnect":
            self._over = True
            raise ClientDisconnected
        self._over = not message.get("more_body", False)
        return message

    async def whole(self, limit: int) -> bytes:
        """The whole body; see `chunks`."""
        return b"".join([chunk async for chunk in self.chunks(limit)])

    @property
    def unread(self) -> bool:
        """Whether the client may still be sending."""
        return not self._over and (self._chunked or self._length_text != "0")

    async def send_last(self, content: bytes, send: Send) -> None:
        """Send the last `content` of a response to a client that may still be sending: its last byte when that is over.

        The server ends a connection once the response is whole, and whatever arrives later is answered with a reset.
        """
        await send({"type": "http.response.body", "body": content[:-1], "more_body": True})
        if not self._awaited:
            await self._drain()
        await send({"type": "http.response.body", "body": content[-1:], "more_body": False})

    async def _drain(self) -> None:
        """Read and discard what still arrives, for a short time."""
        with contextlib.suppress(TimeoutError, RequestTimeout, ClientDisconnected):
            async with asyncio.timeout(self.timeouts.idle):
                while not self._over:
                    await self._next(self.timeouts.linger)
