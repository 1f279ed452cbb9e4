"""Frames on a stream socket: a JSON document and the byte strings that it refers to, by their place.

Invariant: a reader never allocates more than its own limit, whatever the sender says.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, NoReturn

_HEAD = struct.Struct("<II")  # bytes of JSON, number of byte strings
_SIZE = struct.Struct("<Q")
_MAX_BLOBS = 100_000
_encode = json.JSONEncoder(separators=(",", ":")).encode  # not looked up again: a submission may change `json`
_decode = json.JSONDecoder().decode


class FrameError(Exception):
    """The other side sent no frame of ours, or too large a one."""


class Closed(FrameError):
    """The other side is gone."""


class Channel:
    """One end of a connection. Frames to send may have `limit` bytes, received ones `receiving` bytes."""

    def __init__(self, connection: socket.socket, limit: int, receiving: int | None = None) -> None:
        self._socket = connection
        self._socket.settimeout(None)  # an earlier reader may have set one
        self.limit = limit
        self.receiving = limit if receiving is None else receiving

    def fileno(self) -> int:
        return self._socket.fileno()

    def settimeout(self, seconds: float | None) -> None:
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._socket.close()

    def send(self, document: Any, blobs: list[bytes] | None = None) -> None:
        """Raises FrameError when it is too large (nothing is sent then), Closed when nobody reads."""
        blobs = blobs or []
        text = _encode(document).encode()
        parts = [_HEAD.pack(len(text), len(blobs)), *(_SIZE.pack(len(blob)) for blob in blobs), text, *blobs]
        if len(blobs) > _MAX_BLOBS or sum(map(len, parts)) > self.limit:
            raise FrameError(f"larger than {self.limit} bytes")
        try:
            self._socket.sendall(b"".join(parts))
        except (BrokenPipeError, ConnectionError):
            raise Closed("the other process is gone") from None

    def receive(self) -> tuple[Any, list[bytes]]:
        """Raises Closed at the end of the stream, FrameError for anything that is no frame, TimeoutError."""
        size, count = _HEAD.unpack(self._exactly(_HEAD.size))
        if size > self.receiving or count > _MAX_BLOBS:
            raise FrameError("too large a frame")
        sizes = [_SIZE.unpack(self._exactly(_SIZE.size))[0] for _ in range(count)]
        if size + sum(sizes) > self.receiving:
            raise FrameError("too large a frame")
        text = self._exactly(size)
        blobs = [self._exactly(each) for each in sizes]
        try:
            return _decode(text.decode()), blobs
        except (ValueError, RecursionError):
            raise FrameError("a frame that cannot be read") from None

    def _exactly(self, size: int) -> bytes:
        chunks: list[bytes] = []
        while size:
            try:
                chunk = self._socket.recv(min(size, 1 << 20))
            except ConnectionError:
                raise Closed("the other process is gone") from None
            if not chunk:
                raise Closed("the other process is gone")
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)


def refuse(what: str) -> NoReturn:
    raise FrameError(what)
