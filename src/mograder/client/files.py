"""Checksums and atomic writes of this person's files, and a limit of the disk space that downloads take."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mograder.domain.allowance import MIB
from mograder.domain.errors import MograderError
from mograder.permissions import private_mode

LEFT_FREE = 1024 * MIB
"""Bytes that downloads leave free on a disk, or a twentieth of a smaller disk."""
ALWAYS_TAKEN = 64 * MIB
"""Bytes that are always allowed, so that a notebook can be downloaded to a nearly full disk."""


MAX_FOREIGN = 64 * MIB
"""Bytes of a file that is read whole, whoever made it."""


def read_foreign(path: Path, limit: int = MAX_FOREIGN, named: bool = False) -> bytes:
    """The bytes of a file that anybody may have put there.

    Raises OSError, also for a pipe or a device, which may never end, and for more than `limit` bytes. A file that was
    `named` on the command line may be a pipe: the shell makes one of `<(…)`.
    """
    with open(path, "rb", opener=None if named else _at_once) as file:
        if not named and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit // MIB} MiB", str(path))
    return content


def _at_once(name: str, flags: int) -> int:
    """Opens a file as usual, but waits for nobody at the other end of a pipe."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def read_foreign_json(path: Path) -> Any:
    """What a file of JSON holds. Raises OSError as `read_foreign` does, and ValueError for what is no sound JSON."""
    from mograder.wire.codec import MAX_VALUES, decode_json  # most commands read none

    try:
        return decode_json(read_foreign(path), max_values=MAX_VALUES)
    except MograderError as error:
        raise ValueError(error.message) from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def create(path: Path, mode: int = 0o666) -> BinaryIO:
    """A new file, opened for writing and reading, which never has more permissions than `mode`."""
    return open(path, "w+b", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, mode))


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o666, private: bool = False) -> Iterator[BinaryIO]:
    """A new file that replaces `path` when the block ends, or is deleted if the block raises.

    It never has more permissions than `mode`; with `private`, than a file about one person has in its folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with create(part, private_mode(path.parent) if private else mode) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_file(path: Path, content: bytes, mode: int = 0o666, private: bool = False) -> None:
    """Replace a file by this content; `mode` and `private` are as for `replacing`."""
    with replacing(path, mode, private) as file:
        file.write(content)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file that only this person may read. Its folder, if it is new, is this person's alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(path, content, mode=0o600)


class DiskBudget:
    """The disk space for the downloads of one command, so that no server can fill a disk. Thread-safe."""

    def __init__(self) -> None:
        self._taken = 0
        self._turn = threading.Lock()

    def take(self, size: int, file: BinaryIO) -> None:
        """Take `size` bytes, to be written to `file`. Raises OSError (ENOSPC) if too little would be left free."""
        with self._turn:
            self._taken += size
        name = getattr(file, "name", None)
        if self._taken <= ALWAYS_TAKEN or name is None:
            return
        disk = shutil.disk_usage(name)
        least = min(LEFT_FREE, disk.total // 20)
        if disk.free - size < least:
            raise OSError(
                errno.ENOSPC,
                f"stopped after {self._taken // MIB} MiB: less than {least // MIB} MiB would be left free on this disk",
                str(Path(name).parent),
            )
