"""Caches what a server has read of one course, while the course's version stays the same.

Invariant: rows are kept under a version that was read before them, so they are never older than it. A recalled value
was right at some moment after the last completed `refresh` began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from enum import Enum, auto
from typing import Any, TypeVar

from mograder.domain.store import NotCached, Versions
from mograder.store.postgres.database import Row

T = TypeVar("T")

MOST = 20_000
"""Values that are kept of a course; beyond that all are dropped."""


class Reading(Enum):
    """Where a thread reads: in the database, in memory first, or in memory alone."""

    DATABASE = auto()
    MEMORY_FIRST = auto()
    MEMORY = auto()


_reading: ContextVar[Reading] = ContextVar("reading", default=Reading.DATABASE)


def read_from(how: Reading, work: Callable[[], T]) -> T:
    """Call `work`; all its reads are done this way."""
    before = _reading.set(how)
    try:
        return work()
    finally:
        _reading.reset(before)


def check_may_wait() -> None:
    """Raises NotCached where only memory may be read."""
    if _reading.get() is Reading.MEMORY:
        raise NotCached


class Recall:
    """The memory of one course. Methods may be called from many threads; `set_versions` by one at a time."""

    def __init__(self) -> None:
        self._versions: Versions | None = None
        self._kept: dict[object, Any] = {}

    @property
    def versions(self) -> Versions | None:
        """The versions of the last refresh, None where the database is to be read."""
        return None if _reading.get() is Reading.DATABASE else self._versions

    def lacks(self, key: object) -> bool:
        return key not in self._kept

    def set_versions(self, versions: Versions) -> bool:
        """Set the course's current versions. Returns whether the kept values are still right; else they are dropped."""
        same = self._versions is not None and self._versions.people == versions.people
        if not same or len(self._kept) > MOST:
            self._kept = {}
        self._versions = versions
        return same

    def keep_each(self, sql: str, names: Sequence[str], rows: Sequence[Row]) -> None:
        """Keep the rows that `sql` gives for each name: those of `rows` behind it, read after `set_versions`."""
        found: dict[str, list[Row]] = {name: [] for name in names}
        for name, *row in rows:
            found[name].append(tuple(row))
        self._kept.update({(sql, (name,)): own for name, own in found.items()})

    def get(self, key: object, read: Callable[[], T]) -> T:
        """The kept value of `key`, else `read()`, which is kept. It depends on the course's people, rules and release
        alone.
        """
        if _reading.get() is Reading.DATABASE:
            return read()
        kept = self._kept  # another refresh may replace it while this reads
        if key not in kept:
            kept[key] = read()
        found: T = kept[key]
        return found
