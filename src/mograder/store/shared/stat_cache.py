"""Cached reads of plain files, valid as long as what the disk says of them stays the same: hand edits show at once."""

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
"""Nanoseconds after a change from when a fingerprint is trusted: file times advance in steps of up to 10 ms, so
that a second change right after the first may leave no trace."""


def fingerprint(found: os.stat_result) -> Fingerprint:
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def is_settled(found: Fingerprint) -> bool:
    """Whether a later change would show in the fingerprint."""
    return time.time_ns() - max(found[2], found[3]) > _SETTLED


class Cached(Generic[T]):
    """What `load` makes of a path, kept as long as the path's fingerprint stays the same: hand edits show at once."""

    def __init__(self, load: Callable[[Path], T], limit: int = 100_000) -> None:
        self._load = load
        self._limit = limit
        self._kept: dict[str, tuple[Fingerprint, T]] = {}

    def get(self, path: Path | str, found: os.stat_result | None = None) -> T:
        """Raises what `load` raises, and OSError when the path is not there."""
        found = found or os.stat(path)
        mark, key = fingerprint(found), str(path)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == mark:
            return kept[1]
        value = self._load(Path(path))
        if is_settled(mark):
            if len(self._kept) >= self._limit:
                self._kept.clear()
            self._kept[key] = (mark, value)
        return value


class LastGood(Generic[T]):
    """A file that people edit: what `load` last made of it, which stays in force while the file cannot be parsed.

    `error` says why it cannot, and so does the log, once for each broken version. `missing` is what no file means;
    `last` holds the value to use when already the first version is broken, or nothing.
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
            # What could not be opened may well be the next time, and an edit right behind this one may leave no mark.
            if is_settled(mark) and not isinstance(problem.__cause__, OSError):
                self._broken = mark
            if not self.last:
                self.error = problem
                raise
            if self.error is None or self.error.place != problem.place:
                self.error = Unreadable(f"{problem.message}: what it said before goes on", problem.place)
                log.error("%s (%s)", self.error.message, problem.place)
        return self.last[0]


class StatSnapshot:
    """What was looked at for a value, before anything of it was read.

    `in_doubt`: the value may be another next time although all that was looked at is as it was.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, Fingerprint | None]] = []
        self.in_doubt = False

    def look(self, path: str) -> os.stat_result | None:
        """What stands at `path`, None for nothing that may be seen. What a link leads to is in doubt."""
        found = _at(path)
        mark = found and fingerprint(found)
        self.seen.append((path, mark))
        self.in_doubt |= found is not None and (is_link(found) or not is_settled(fingerprint(found)))
        return found

    def failed(self, error: OSError) -> None:
        """Something could not be read: unless that must show as a change first, it may be readable the next time."""
        self.in_doubt |= not isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError))


def _at(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


class StatCache(Generic[T]):
    """What was made of files and folders, kept as long as all that was looked at for it is as it was.

    Then it is the same object.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[list[tuple[str, Fingerprint | None]], object, T]] = {}

    def cached(self, key: str, beside: object = None) -> T | None:
        """What is kept, if it holds; quick, as nothing is read. `beside` is whatever else the value is made of."""
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
        """What is kept or, if that does not hold, what `make` gives, which notes what it looks at."""
        found = self.cached(key, beside)
        if found is not None:
            return found
        snapshot = StatSnapshot()
        value = make(snapshot)
        if not snapshot.in_doubt:
            self._kept[key] = (snapshot.seen, beside, value)
        return value
