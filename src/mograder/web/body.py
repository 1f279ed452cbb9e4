"""Reads a request's body under a limit of size and time; what is cut short is never taken for whole.

Invariant: no body without Content-Length, no byte beyond the limit in memory, no waiting without end.
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
    """How slow the other side may be, in seconds: a connection that does nothing is not kept for ever.

    `idle`: the longest pause between two pieces of a body. `slowest`: bytes a second below which an upload is given
    up, once it has had `idle` to start. `linger`: the longest pause while the rest of a refused body is read and thrown
    away, for `idle` at most, so that no reset overtakes the answer. `taking`: how long one piece of a large file may
    wait to be taken.
    """

    idle: float = 20.0
    slowest: float = 8 * 1024
    linger: float = 2.0
    taking: float = 60.0


PATIENT = Timeouts()


def is_multipart(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


class ClientDisconnected(Exception):
    """The sender went away before the body was whole; there is nobody to answer."""


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

    def _length(self, limit: int) -> int:
        if self._chunked:
            raise LengthRequired("send a Content-Length; chunked uploads are not taken")
        if self._encoding.strip().lower() != "identity":
            raise WrongType("send the body as it is: Content-Encoding is not taken")
        if not self._length_text.isascii() or not self._length_text.isdecimal():
            raise BadRequest("Content-Length is not a number")
        length = int(self._length_text[:20])
        if length > limit:
            raise TooLarge(f"the request has {counted(length, 'byte')}; at most {limit} are taken", limit=limit)
        return length

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body piece by piece, `limit` bytes at most.

        Raises LengthRequired, WrongType or TooLarge before anything is read, RequestTimeout, and Gone.
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
                self._over = True  # whether or not the server has noticed: nothing more can come
            if chunk:
                yield chunk
        if count < length:
            raise ClientDisconnected

    async def _next(self, seconds: float) -> Message:
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
        """All of the body."""
        return b"".join([chunk async for chunk in self.chunks(limit)])

    @property
    def unread(self) -> bool:
        """Whether the sender may still be sending."""
        return not self._over and (self._chunked or self._length_text != "0")

    async def drain(self) -> None:
        """Read on for a moment and throw away."""
        with contextlib.suppress(TimeoutError, RequestTimeout, ClientDisconnected):
            async with asyncio.timeout(self.timeouts.idle):
                while not self._over:
                    await self._next(self.timeouts.linger)
