"""A fair lock between the processes that serve one course, made of two lock files.

Invariant: a process that waits for the lock gets it before any process that has held it meanwhile. Both files have mode
0600: whoever can open a file for reading can lock it, and so stop every write.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

LOOK_AGAIN = 0.001
"""Seconds after which a waiting process tries again: the lock is usually held some ten times as long."""


def queue_of(lock: Path) -> Path:
    """The file that the process next in turn holds while it waits for `lock`."""
    return lock.with_name(f"{lock.name}-next")


@contextlib.contextmanager
def locked(lock: Path, longest: float = math.inf) -> Iterator[None]:
    """Hold the lock for the block. Raises TimeoutError when it is not free within `longest` seconds, and OSError."""
    if sys.platform == "win32":
        from filelock import FileLock

        with FileLock(lock).acquire(timeout=-1 if longest == math.inf else longest, poll_interval=LOOK_AGAIN):
            yield
        return
    ends = time.monotonic() + longest
    with _open(lock) as descriptor:
        # One process waits for the lock; all others, including the last holder, wait for the queue.
        with _open(queue_of(lock)) as queue:
            _lock(queue, ends)
            _lock(descriptor, ends)
        yield


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    """A descriptor of a file that nobody else can open; closing it at the end of the block unlocks the file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        found = os.fstat(descriptor)
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, ends: float) -> None:
    import fcntl

    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > ends:
                raise TimeoutError("the lock is not free") from None
        time.sleep(LOOK_AGAIN)
