"""The bytes of files in a database: received, stored in pieces, and fetched.

Invariant: a file larger than IN_MEMORY is never in memory as a whole.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mograder.domain.errors import Unreadable
from mograder.store.postgres.database import Connection, Database
from mograder.store.shared.files import IN_MEMORY, storage_errors

PIECE = 512 * 1024
"""Bytes in one row at most."""

CACHE_SIZE = 1024 * 1024 * 1024
"""Bytes of large files that a server caches on its own disk, so that a whole class needs one read of the database."""


def new_body() -> str:
    """A new unique name for the bytes of a file."""
    return secrets.token_hex(12)


class Incoming:
    """An `Upload` (domain/submissions.py): in memory while small, then a nameless file; counted and hashed."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (closed by `discard`)
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def is_large(self) -> bool:
        return self.size > IN_MEMORY

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._hash.update(chunk)
        with storage_errors("receive the file"):
            self._file.write(chunk)

    def finish(self) -> None:
        """Nothing to do: the bytes become durable in `accept`, with their receipt."""

    def pieces(self) -> Iterator[bytes]:
        """The bytes from the start; may be called repeatedly."""
        self._file.seek(0)
        return pieces_of(self._file)

    def discard(self) -> None:
        self._file.close()


def pieces_of(file: BinaryIO | tempfile.SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    with storage_errors("read the file"):
        while piece := file.read(PIECE):
            yield piece


def split(content: bytes) -> Iterator[bytes]:
    return pieces_of(BytesIO(content))


class Blobs:
    """The bytes in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cached = tempfile.TemporaryDirectory(prefix="mograder-")
        self._fetching = threading.Lock()

    def close(self) -> None:
        self._cached.cleanup()

    def fetch(self, course: str, body: str, size: int) -> bytes | Path:
        """The bytes of a small file, or the path of a local copy of a large one. Raises Unreadable without them."""
        if size <= IN_MEMORY:
            return b"".join(self.pieces(course, body, size))
        path = Path(self._cached.name, body)
        with storage_errors("fetch the file"):
            if _is_cached(path):  # without the lock, so that no request waits for another's download
                return path
            with self._fetching:
                return path if _is_cached(path) else self._download(path, course, body, size)

    def _download(self, path: Path, course: str, body: str, size: int) -> Path:
        self._make_room(size)
        scratch = path.with_name("coming")
        with scratch.open("wb") as file:
            file.writelines(self.pieces(course, body, size))
        return scratch.replace(path)

    def pieces(self, course: str, body: str, size: int) -> Iterator[bytes]:
        """The bytes in their order, `size` in all. Raises Unreadable when they are not there."""
        count = piece = 0
        while count < size:
            rows = self._database.read(
                "SELECT bytes FROM pieces WHERE course = %s AND body = %s AND piece = %s", (course, body, piece)
            )
            if not rows:
                raise Unreadable("the file's bytes are not in the database", f"{course}: pieces of {body}")
            content = bytes(rows[0][0])
            yield content
            count, piece = count + len(content), piece + 1

    def _make_room(self, size: int) -> None:
        found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in Path(self._cached.name).iterdir())
        held = sum(each[1] for each in found) + size
        for _, length, path in found:
            if held <= CACHE_SIZE:
                return
            path.unlink()
            held -= length


def _is_cached(path: Path) -> bool:
    """Whether the file is cached. If so, it counts as just used, so it is not the next to be removed."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def keep(connection: Connection, course: str, bodies: Iterable[tuple[str, Iterable[bytes]]]) -> None:
    """Store the pieces of each named body, in the open transaction."""
    rows = ((course, body, number, piece) for body, pieces in bodies for number, piece in enumerate(pieces))
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO pieces (course, body, piece, bytes) VALUES (%s, %s, %s, %s)", rows)


def drop(connection: Connection, course: str, bodies: list[str]) -> None:
    if bodies:
        connection.execute("DELETE FROM pieces WHERE course = %s AND body = ANY(%s)", (course, bodies))
