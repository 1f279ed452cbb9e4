"""Sends many requests at once, each over a connection of its own as a student's client does, and times the answers.

It takes a few dozen microseconds a request, so that the server is measured and not the load generator.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Ask:
    """One request. `kind` and `user` are for the code that counts the answers."""

    method: str
    path: str
    token: str = ""
    body: bytes = b""
    headers: Mapping[str, str] | None = None
    kind: str = ""
    user: str = ""

    def wire(self, host: str) -> bytes:
        """The bytes of the request, which asks the server to close the connection after its answer."""
        fields = {"Host": host, "Connection": "close", **(self.headers or {})}
        if self.token:
            fields["Authorization"] = f"Bearer {self.token}"
        if self.method == "POST":
            fields["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join(lines).encode() + _END + self.body


@dataclass(frozen=True)
class Answer:
    """The answer to a request, with the `seconds` from connecting to the last byte.

    `status` 0 means that there was none, and `fault` says why.
    """

    ask: Ask
    began: float  # time.perf_counter()
    seconds: float
    status: int
    body: bytes
    fault: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200


class _Exchange(asyncio.Protocol):
    """One connection, which sends the request and sets `done` to the answer."""

    def __init__(self, request: bytes, done: asyncio.Future[tuple[int, bytes]]) -> None:
        self._request = request
        self._done = done
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_END)
        length = _LENGTH.search(head) if end else None
        if length is not None and len(body) >= int(length[1]) and not self._done.done():
            self._done.set_result((int(head[9:12]), body))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the connection was closed before the answer was whole"))


async def send(address: tuple[str, int], ask: Ask, patience: float = 60.0) -> Answer:
    """Send one request and wait `patience` seconds at most; never raises for what the server or network does."""
    loop = asyncio.get_running_loop()
    request = ask.wire(f"{address[0]}:{address[1]}")
    done: asyncio.Future[tuple[int, bytes]] = loop.create_future()
    began = time.perf_counter()
    transport = None
    try:
        async with asyncio.timeout(patience):
            transport, _ = await loop.create_connection(lambda: _Exchange(request, done), *address)
            status, body = await done
    except (OSError, TimeoutError) as error:
        if transport is not None:
            transport.abort()
        return Answer(ask, began, time.perf_counter() - began, 0, b"", str(error) or type(error).__name__)
    return Answer(ask, began, time.perf_counter() - began, status, body)


async def send_all(
    address: tuple[str, int], asks: Iterable[Ask], at_once: int, *, patience: float = 60.0,
    heard: Callable[[Answer], None] | None = None,
) -> list[Answer]:  # fmt: skip
    """Send every request, `at_once` at a time; their answers in the order in which they came."""
    waiting = iter(asks)
    answers: list[Answer] = []

    async def work() -> None:
        for ask in waiting:
            answer = await send(address, ask, patience)
            answers.append(answer)
            if heard:
                heard(answer)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return answers


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the quickest event loop that there is."""
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop

    return uvloop.run(work)


def quantile(answers: Iterable[Answer], part: float) -> float:
    """The time in seconds within which `part` of the answers came; 0 when there are none."""
    times = sorted(each.seconds for each in answers)
    return times[min(len(times) - 1, int(len(times) * part))] if times else 0.0


def rate(answers: list[Answer]) -> float:
    """Answers a second, from the first request to the last answer."""
    if not answers:
        return 0.0
    ended = max(each.began + each.seconds for each in answers)
    return len(answers) / max(1e-9, ended - min(each.began for each in answers))
