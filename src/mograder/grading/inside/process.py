"""What a child may use of the machine: resource limits of the kernel, how much it may print; and its random seeds."""

from __future__ import annotations

import io
import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

from . import errors


class Output(io.TextIOBase):
    """Standard output: counted, and dropped but for the first `kept` characters of a cell.

    A cell that writes more than `limit` characters is interrupted.
    """

    def __init__(self, limit: int, kept: int = 0) -> None:
        self._left = self._limit = limit
        self._kept = kept
        self._pieces: list[str] = []
        self._room = kept

    def renew(self) -> None:
        self._left, self._room = self._limit, self._kept
        self._pieces.clear()

    @property
    def text(self) -> str:
        """The output that was kept."""
        return "".join(self._pieces)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._left -= len(text)
        if self._left < 0:
            raise errors.TooMuchOutput("more output than is allowed")
        if self._room > 0 and text:
            self._pieces.append(str(text[: self._room]))
            self._room -= len(text)
        return len(text)


def set_seeds() -> None:
    """Every submission sees the same random numbers."""
    random.seed(0)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        numpy.random.seed(0)


def limit_resources(limits: dict[str, Any]) -> None:
    """Set the limits of this process. Memory counts from what is used now, so that libraries do not count."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _limit(resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + (limits["memory_mb"] << 20))
    _limit(resource.RLIMIT_FSIZE, limits["file_mb"] << 20)
    _limit(resource.RLIMIT_NOFILE, 256)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, int(time.process_time() + limits["total_seconds"]) + 5)
    if limits["processes"]:  # 0 where all processes of the user would count
        _limit(resource.RLIMIT_NPROC, limits["processes"])


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))
