"""Turns of processes at one course, by a lock file.

Invariant: who waits is overtaken by nobody who has had a turn meanwhile.
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
"""Seconds after which a process that waits looks again: a turn takes some ten times as long."""


@contextlib.contextmanager
def turn(lock: Path, longest: float = math.inf) -> Iterator[None]:
    """A turn, for the block. Raises TimeoutError when there is none within `longest` seconds, and OSError."""
    if sys.platform == "win32":
        from filelock import FileLock

        with FileLock(lock).acquire(timeout=-1 if longest == math.inf else longest, poll_interval=LOOK_AGAIN):
            yield
        return
    ends = time.monotonic() + longest
    with _open(lock, os.O_RDWR | os.O_CREAT) as descriptor:
        # The next one waits for the lock, all others for the folder, and so does who had the lock and wants it again.
        with _open(lock.parent, os.O_RDONLY | os.O_DIRECTORY) as first:
            try:
                _lock(first, ends)
            except TimeoutError:
                raise
            except OSError:  # a network share that locks no folders: turns without an order
                pass
            _lock(descriptor, ends)
        yield


@contextlib.contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    """A descriptor; what is locked by it is free at the end of the block."""
    descriptor = os.open(path, flags, 0o666)
    try:
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
                raise TimeoutError("no turn") from None
        time.sleep(LOOK_AGAIN)
