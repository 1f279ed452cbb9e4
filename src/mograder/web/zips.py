"""Many files as one zip that is written while it is sent, without a copy in memory or on the disk."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Generator, Iterable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mograder.domain.files import StoredFile
from mograder.web.replies import attachment

PIECE = 256 * 1024  # bytes

EARLIEST, LATEST = 315532800, 4354819198  # Unix seconds: a zip knows the years from 1980 to 2107


def zipped(files: Iterable[tuple[str, StoredFile]]) -> Generator[bytes, None, None]:
    """The pieces of a zip with each file under its name in it, which is relative and safe.

    A file that cannot be read ends the zip in the middle, so that it is not mistaken for a complete one.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files:
            member = zipfile.ZipInfo(name, time.gmtime(min(max(file.modified, EARLIEST), LATEST))[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            with archive.open(member, "w", force_zip64=True) as target, file.open() as source:
                while piece := source.read(PIECE):
                    target.write(piece)
                    yield sink.take()
    yield sink.take()


class ZipResponse(StreamingResponse):
    """`zipped` files as a response, saved under `name`. The open file is also closed when the client stops reading."""

    def __init__(self, files: Iterable[tuple[str, StoredFile]], name: str) -> None:
        self._pieces = zipped(files)
        super().__init__(self._pieces, headers=attachment(name), media_type="application/zip")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()


class _Sink(io.RawIOBase):
    """Keeps written bytes until `take` returns them. It cannot seek, and zipfile does not need it to."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        content = bytes(piece)  # type: ignore[call-overload]
        self._pieces.append(content)
        return len(content)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken
