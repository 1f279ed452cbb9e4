"""Atomic and durable writes of plain files, and safe reads.

Invariant: a name never shows half a file; when `write_file` returns, the file is on stable storage.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import secrets
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mograder.domain.errors import MograderError, StorageFull, Temporary
from mograder.permissions import private_mode

SPOOL_PREFIX = ".incoming-"
"""The names of uploads under way begin so. They are hidden, so they are never listed or served."""

_SCRATCH = re.compile(rf"{re.escape(SPOOL_PREFIX)}.*|\..+\.[0-9a-f]{{12}}\.tmp")

CUT_OFF_AFTER = 24 * 3600
"""Seconds after which a scratch file counts as abandoned; another process may still write a younger one."""

IN_MEMORY = 1024 * 1024
"""Bytes of a submission that are kept in memory (and travel through the ledger); larger ones go straight to disk."""

ALL_IN_MEMORY = 64 * 1024 * 1024
"""Bytes that all uploads under way may keep in memory together; beyond that even a small one goes to disk."""


def _flag(name: str) -> int:
    """The flag of this name for `os.open`, 0 on a system without it."""
    return getattr(os, name, 0)


_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flag("O_BINARY")
_TO_READ = os.O_RDONLY | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK") | _flag("O_BINARY")  # opening a pipe never blocks
_FOLDER = _flag("O_PATH") | _flag("O_DIRECTORY") | _flag("O_NOFOLLOW")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class storage_errors:  # noqa: N801 (used as `with storage_errors("keep the submission"):`, several times a request)
    """Turns an OSError into StorageFull or Temporary. `doing` completes the message "cannot …"."""

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError) or isinstance(error, MograderError):
            return
        if error.errno in _FULL:
            raise StorageFull(f"cannot {self._doing}: the server's disk is full", retry_after=60) from error
        reason = os.strerror(error.errno).lower() if error.errno else "storage error"
        raise Temporary(
            f"cannot {self._doing}: the server's storage is not usable ({reason})", retry_after=30
        ) from error


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable. Windows has no such call and journals names itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and its missing parents, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    sync_folder(folder.parent)


def remove_scratch(path: Path | str) -> None:
    """Remove a scratch file if it is there. One that cannot be removed now is removed at a later start."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def write_beside(path: Path, content: bytes, mode: int = 0o644) -> Path:
    """Write `content` to a hidden file beside `path` and sync it; returns that file, ready to be renamed to `path`."""
    scratch = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        with open(os.open(scratch, _NEW_FILE, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        remove_scratch(scratch)
        raise
    return scratch


def write_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `content`, atomically and durably."""
    scratch = write_beside(path, content, mode)
    try:
        scratch.replace(path)
    except BaseException:
        remove_scratch(scratch)
        raise
    sync_folder(path.parent)


def rewrite_file(path: Path, content: bytes) -> None:
    """As `write_file`, for a file that people made: a link to it, its mode and its group stay where possible.

    Raises PermissionError when the file is not writable.
    """
    path = path.resolve()
    try:
        found = path.stat()
    except FileNotFoundError:
        write_file(path, content)
        return
    if not os.access(path, os.W_OK):  # a rename does not need this permission
        raise PermissionError(errno.EACCES, "not writable")
    scratch = write_beside(path, content, mode=0o600)
    try:
        if sys.platform != "win32":
            with contextlib.suppress(PermissionError):
                os.chown(scratch, -1, found.st_gid)
        scratch.chmod(stat.S_IMODE(found.st_mode))
        scratch.replace(path)
    except BaseException:
        remove_scratch(scratch)
        raise
    sync_folder(path.parent)


def make_once(path: Path, make: Callable[[], bytes]) -> None:
    """Create `path` with mode 0600 and the content `make()`, unless it exists; of two processes one wins."""
    if path.exists():
        return
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")
    write_file(scratch, make(), mode=0o600)
    with contextlib.suppress(FileExistsError):
        if sys.platform == "win32":
            scratch.rename(path)
        else:
            os.link(scratch, path)
    scratch.unlink(missing_ok=True)
    sync_folder(path.parent)


def point_latest(link: Path | str, target: Path | str) -> None:
    """Make `link` a relative link to its neighbour `target`; where links cannot be made, a copy of it. Atomic."""
    with contextlib.suppress(OSError, NotImplementedError):  # the second attempt below reports the error
        os.symlink(os.path.basename(target), link)
        return
    folder, name = os.path.split(link)
    scratch = f"{folder}{os.sep}.{name}.{secrets.token_hex(6)}.tmp"
    try:
        try:
            os.symlink(os.path.basename(target), scratch)
        except (OSError, NotImplementedError) as error:
            # Windows without the privilege, FAT, some network shares: everything but a full disk means "no links".
            if isinstance(error, OSError) and error.errno in _FULL:
                raise
            write_spool(scratch, Path(target).read_bytes(), stat.S_IMODE(os.stat(target).st_mode))
        os.replace(scratch, link)
    except BaseException:
        remove_scratch(scratch)
        raise


def put(source: str, target: str) -> None:
    """Move a file atomically. Across file systems it is copied and synced first."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        write_file(Path(target), Path(source).read_bytes(), stat.S_IMODE(os.stat(source).st_mode))
        os.unlink(source)


def open_below(top: str, below: str) -> tuple[BinaryIO, os.stat_result]:
    """Open the file at the path `below` in the folder `top` for reading; returns it with its status. Raises OSError.

    No link on the way is followed, so that nobody can exchange a folder for a link between a check and this call.
    """

    def opener(path: str, _: int) -> int:
        if os.open not in os.supports_dir_fd:  # Windows, where few can make links
            return os.open(path, _TO_READ)
        folder = None
        step, *rest = below.split("/")
        step = f"{top}{os.sep}{step}"
        try:
            for part in rest:
                above, folder = folder, os.open(step, _FOLDER, dir_fd=folder)
                if above is not None:
                    os.close(above)
                step = part
            return os.open(step, _TO_READ, dir_fd=folder)
        finally:
            if folder is not None:
                os.close(folder)

    held = io.FileIO(f"{top}{os.sep}{below}", opener=opener)
    found = os.fstat(held.fileno())
    if is_regular(found):
        return held, found
    held.close()
    raise FileNotFoundError(errno.ENOENT, "there is no file here any more", held.name)


def sha256_of(path: Path) -> str:
    """Lower-case hex of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class MemoryBudget:
    """Bytes of memory that all uploads share, so that memory does not grow with their number. Thread-safe."""

    def __init__(self, limit: int = ALL_IN_MEMORY) -> None:
        self._left = limit
        self._turn = threading.Lock()

    def take(self, size: int) -> bool:
        """Take `size` bytes. Returns False and takes nothing when fewer are left."""
        with self._turn:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        with self._turn:
            self._left += size


class Spool:
    """An `Upload` (domain/submissions.py): in memory while small, then in a hidden file in `folder`, which exists."""

    def __init__(self, folder: Path, room: MemoryBudget | None = None) -> None:
        self._folder = folder
        self._room = room or MemoryBudget()
        self._taken = 0
        self._hash = hashlib.sha256()
        self._chunks: list[bytes] = []
        self._descriptor: int | None = None
        self.path: Path | None = None
        """The file that holds the bytes; None while they are in memory."""
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def is_large(self) -> bool:
        return self.path is not None

    @property
    def data(self) -> bytes:
        """The bytes, if they are in memory."""
        return b"".join(self._chunks)

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._hash.update(chunk)
        if self._descriptor is None:
            self._chunks.append(bytes(chunk))
            if self.size <= IN_MEMORY and self._room.take(len(chunk)):
                self._taken += len(chunk)
            else:
                with storage_errors("receive the file"):
                    self._spill()
        else:
            with storage_errors("receive the file"):
                _write_all(self._descriptor, chunk)

    def _spill(self) -> None:
        path = self._folder / spool_name()
        self._descriptor = os.open(path, _NEW_FILE, private_mode(self._folder))
        self.path = path
        _write_all(self._descriptor, b"".join(self._chunks))
        self._forget()

    def _forget(self) -> None:
        self._chunks.clear()
        self._room.give_back(self._taken)
        self._taken = 0

    def finish(self) -> None:
        """Make a large upload durable under its hidden name; a small one stays in memory."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with storage_errors("receive the file"):
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                sync_folder(self._folder)

    def discard(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self.path is not None:
            remove_scratch(self.path)
            self.path = None
        self._forget()


def is_scratch(name: str) -> bool:
    """Whether this is the name of a scratch file, which is renamed once it is complete."""
    return _SCRATCH.fullmatch(name) is not None


def spool_name() -> str:
    return f"{SPOOL_PREFIX}{secrets.token_hex(12)}"


def write_spool(path: str, content: bytes, mode: int) -> None:
    """Write `content` to a new file without a sync: the ledger keeps the bytes until the file is synced."""
    descriptor = os.open(path, _NEW_FILE, mode)
    try:
        try:
            _write_all(descriptor, content)
        finally:
            os.close(descriptor)
    except BaseException:
        remove_scratch(path)
        raise


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def look(top: str, below: str) -> os.stat_result | None:
    """The status of the path `below` in the folder `top`, or of the first link on the way; None without a file."""
    path, found = top, None
    try:
        for part in below.replace(os.sep, "/").split("/"):
            path = f"{path}{os.sep}{part}"
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                break
    except (OSError, ValueError):
        return None
    return found


def is_link(found: os.stat_result) -> bool:
    return stat.S_ISLNK(found.st_mode)


def real_path(folder: str, path: str) -> str | None:
    """`path` with all links followed; None if that is hidden or outside `folder`."""
    real, base = os.path.realpath(path), f"{os.path.realpath(folder)}{os.sep}"
    return real if real.startswith(base) and f"{os.sep}." not in real[len(base) - 1 :] else None


def is_inside(path: Path, folder: Path) -> bool:
    """Whether `path`, links followed, is `folder` or inside it; False for links that go round in circles."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def is_regular(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode)
