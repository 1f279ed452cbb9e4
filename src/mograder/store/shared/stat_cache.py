"""Cached reads of plain files, valid while size, times and inode stay the same: edits by hand show at once."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from mograder.domain.errors import Unreadable
from mograder.store.shared.files import is_link

log = logging.getLogger(__name__)

T = TypeVar("T")

Fingerprint = tuple[int, int, int, int]
_SETTLED = 50_000_000
"""Nanoseconds after a change before a fingerprint is trusted: file times advance in steps of up to 10 ms, so that
a second change right after the first may leave no trace."""


def fingerprint(found: os.stat_result) -> Fingerprint:
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def is_settled(found: Fingerprint) -> bool:
    """Whether a later change would show in the fingerprint."""
    return time.time_ns() - max(found[2], found[3]) > _SETTLED


class Cached(Generic[T]):
    """Results of `load` for at most `limit` paths, each kept while the path's fingerprint stays the same."""

    def __init__(self, load: Callable[[Path], T], limit: int = 20_000) -> None:
        self._load = load
        self._limit = limit
        self._kept: dict[str, tuple[Fingerprint, T]] = {}

    def get(self, path: Path | str, found: os.stat_result | None = None) -> T:
        """The result for a path, whose status is `found` if the caller knows it.

        Raises what `load` raises, and OSError without such a path.
        """
        found = found or os.stat(path)
        mark, key = fingerprint(found), str(path)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == mark:
            return kept[1]
        value = self._load(Path(path))
        if is_settled(mark):
            if len(self._kept) >= self._limit:
                self._forget_the_oldest()
            self._kept[key] = (mark, value)
        return value

    def _forget_the_oldest(self) -> None:
        """Drop a quarter, what was read first: most of that belongs to superseded versions."""
        for key in list(self._kept)[: max(1, self._limit // 4)]:
            self._kept.pop(key, None)


class LastGood(Generic[T]):
    """The last value that `load` read from a file that people edit; it stays in force while the file is broken.

    `error` says why the file cannot be parsed; the log says it once for each broken version. `missing` is the value
    without a file. `last` may hold a value to begin with, for a file that is broken from the start.
    """

    def __init__(self, load: Callable[[Path], T], missing: T, last: tuple[T, ...] = ()) -> None:
        self._read = Cached(load)
        self._missing = missing
        self._broken: Fingerprint | None = None
        self.last = last
        self.error: Unreadable | None = None

    def get(self, path: Path | str) -> T:
        """Raises Unreadable as long as there is no earlier value, and OSError."""
        try:
            found = os.stat(path)
            mark = fingerprint(found)
            if mark != self._broken or not self.last:
                self.last = (self._read.get(path, found),)
                self.error = self._broken = None
        except FileNotFoundError:
            self.last, self.error, self._broken = (self._missing,), None, None
        except Unreadable as problem:
            # Not remembered: a file that could not be opened, and one whose next edit may leave no trace.
            if is_settled(mark) and not isinstance(problem.__cause__, OSError):
                self._broken = mark
            if not self.last:
                self.error = problem
                raise
            if self.error is None or self.error.place != problem.place:
                self.error = Unreadable(f"{problem.message}: its earlier content stays in force", problem.place)
                log.error("%s (%s)", self.error.message, problem.place)
        return self.last[0]


class StatSnapshot:
    """The fingerprints of all paths that a value depends on, taken before they were read.

    `in_doubt`: the value may change although all fingerprints stay the same.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, Fingerprint | None]] = []
        self.in_doubt = False

    def look(self, path: str) -> os.stat_result | None:
        """Record and return the status of `path`, None if nothing can be seen there. A link puts the value in doubt."""
        found = _at(path)
        mark = found and fingerprint(found)
        self.seen.append((path, mark))
        self.in_doubt |= found is not None and (is_link(found) or not is_settled(fingerprint(found)))
        return found

    def failed(self, error: OSError) -> None:
        """Record a failed read, which puts the value in doubt unless a later success would change a fingerprint."""
        self.in_doubt |= not isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError))


def _at(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


class StatCache(Generic[T]):
    """Values made of files and folders, each kept (as the same object) while its snapshot stays the same."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[list[tuple[str, Fingerprint | None]], object, T]] = {}

    def cached(self, key: str, beside: object = None) -> T | None:
        """The kept value if it is still right, else None. `beside` is whatever else the value depends on.

        It is quick: no file is read.
        """
        kept = self._kept.get(key)
        if kept is None or kept[1] != beside:
            return None
        try:
            for path, mark in kept[0]:
                found = _at(path)
                if (found and fingerprint(found)) != mark:
                    return None
        except OSError:
            return None
        return kept[2]

    def get(self, key: str, make: Callable[[StatSnapshot], T], beside: object = None) -> T:
        """The kept value if it is still right, else `make(snapshot)`, which records in it what it looks at."""
        found = self.cached(key, beside)
        if found is not None:
            return found
        snapshot = StatSnapshot()
        value = make(snapshot)
        if not snapshot.in_doubt:
            self._kept[key] = (snapshot.seen, beside, value)
        return value
