"""Limits the whole time of a request, so that a server that sends a byte now and then cannot keep a client waiting.

Invariant: a request has a fixed time, and gets more only while bytes of its bodies are transferred.
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
"""The least rate of a body, sent or received, in bytes a second: each `SLOWEST` bytes add a second."""
PIECE = 16 * 1024  # bytes of one write


class _Current(threading.local):
    ends = 0.0


class Pace:
    """The time left for the request of each thread. A request has `seconds`, plus time for its bodies."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._of_thread = _Current()

    def begin(self) -> None:
        """Start the time of this thread's request."""
        self._of_thread.ends = time.monotonic() + self._seconds

    def moved(self, size: int) -> None:
        """Add time for `size` transferred bytes of a body, up to the time that a request has at its start."""
        self._of_thread.ends = min(self._of_thread.ends + size / SLOWEST, time.monotonic() + self._seconds)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._of_thread.ends

    def left(self, timeout: float | None) -> float:
        """`timeout` seconds, or the time left if that is less."""
        left = max(self._of_thread.ends - time.monotonic(), 0.001)  # 0 would mean a non-blocking call
        return left if timeout is None else min(timeout, left)

    def keep(self, client: httpx2.Client) -> None:
        """Apply this limit to all connections of `client`, also through a proxy."""
        for transport in (client._transport, *client._mounts.values()):  # httpx2 has no public interface for it
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
