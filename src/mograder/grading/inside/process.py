"""What a child may take of the machine: resource limits of the kernel, and how much it may print."""

from __future__ import annotations

import io
import os
import resource
import time
from pathlib import Path
from typing import Any

from . import errors


class Output(io.TextIOBase):
    """Standard output: counted, and dropped. A cell that writes more than `limit` characters is interrupted."""

    def __init__(self, limit: int) -> None:
        self._left = self._limit = limit

    def renew(self) -> None:
        self._left = self._limit

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._left -= len(text)
        if self._left < 0:
            raise errors.TooMuchOutput("more output than is allowed")
        return len(text)


def limit_resources(limits: dict[str, Any]) -> None:
    """Memory counts from what is taken now: address space of libraries is not the student's."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _limit(resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + (limits["memory_mb"] << 20))
    _limit(resource.RLIMIT_FSIZE, limits["file_mb"] << 20)
    _limit(resource.RLIMIT_NOFILE, 256)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, int(time.process_time() + limits["total_seconds"]) + 5)
    if limits["processes"]:  # 0 where the count would be of all that the user runs
        _limit(resource.RLIMIT_NPROC, limits["processes"])


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))
