"""How long a request may take in all, so that a server that is never silent and never done holds nobody up.

Invariant: a request has a fixed time, and gets more only while bytes of its bodies come or go.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2

SLOWEST = 4 * 1024
"""Bytes a second that a body has at least, sent or received, after the time for everything."""
PIECE = 16 * 1024  # bytes that are sent at once


class _Current(threading.local):
    ends = 0.0


class Pace:
    """The time that is left for the request of each thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._of_thread = _Current()

    def begin(self) -> None:
        """The request of this thread begins now."""
        self._of_thread.ends = time.monotonic() + self._seconds

    def moved(self, size: int) -> None:
        """`size` bytes of a body have come or gone: more time, but never more than a request has at its begin."""
        self._of_thread.ends = min(self._of_thread.ends + size / SLOWEST, time.monotonic() + self._seconds)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._of_thread.ends

    def left(self, timeout: float | None) -> float:
        """How long to wait: `timeout` seconds, or what is left if that is less."""
        left = max(self._of_thread.ends - time.monotonic(), 0.001)  # 0 would be: do not wait at all
        return left if timeout is None else min(timeout, left)

    def keep(self, client: httpx2.Client) -> None:
        """Let all connections of `client` keep this pace, those by way of a proxy as well."""
        for transport in (client._transport, *client._mounts.values()):  # there is no public way
            if isinstance(transport, httpx2.HTTPTransport):
                transport._pool._network_backend = _Backend(transport._pool._network_backend, self)


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, plain: httpcore2.NetworkBackend, pace: Pace) -> None:
        self._plain = plain
        self._pace = pace

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:  # fmt: skip
        stream = self._plain.connect_tcp(host, port, self._pace.left(timeout), local_address, socket_options)
        return _Stream(stream, self._pace)

    def sleep(self, seconds: float) -> None:
        self._plain.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, plain: httpcore2.NetworkStream, pace: Pace) -> None:
        self._plain = plain
        self._pace = pace

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._pace.is_over:
            raise httpcore2.ReadTimeout
        return self._plain.read(max_bytes, self._pace.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), PIECE):
            piece = buffer[begin : begin + PIECE]
            self._plain.write(piece, self._pace.left(timeout))
            self._pace.moved(len(piece))

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._plain.start_tls(ssl_context, server_hostname, self._pace.left(timeout)), self._pace)

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)
