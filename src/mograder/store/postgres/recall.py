"""What a server has read of one course, kept in memory while the course's version stays the same.

Invariant: rows are kept under a version that was asked for before they were read, so they are never older than it; what
is recalled held after the last `refresh` that has returned began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from typing import Any, TypeVar

from mograder.domain.store import NotAtHand, Versions
from mograder.store.postgres.database import Row

T = TypeVar("T")

MOST = 20_000
"""Rows and values that are kept of a course; beyond that all are forgotten."""


class Reading(Enum):
    """Where the work of this thread reads: the database, memory first, or memory alone."""

    DATABASE = auto()
    MEMORY_FIRST = auto()
    MEMORY = auto()


_reading: ContextVar[Reading] = ContextVar("reading", default=Reading.DATABASE)


@contextmanager
def reading(how: Reading) -> Iterator[None]:
    """The work inside reads so."""
    before = _reading.set(how)
    try:
        yield
    finally:
        _reading.reset(before)


def check_may_wait() -> None:
    """Raises NotAtHand where work may read memory alone."""
    if _reading.get() is Reading.MEMORY:
        raise NotAtHand


class Recall:
    """The memory of one course. Methods may be called from many threads; `hold` by one at a time."""

    def __init__(self) -> None:
        self._versions: Versions | None = None
        self._kept: dict[object, Any] = {}

    @property
    def versions(self) -> Versions | None:
        """The versions of the last refresh, None where the work is to read the database."""
        return None if _reading.get() is Reading.DATABASE else self._versions

    def lacks(self, key: object) -> bool:
        return key not in self._kept

    def hold(self, versions: Versions) -> bool:
        """From now on these versions hold; whether what was kept is still right."""
        same = self._versions is not None and self._versions.people == versions.people
        if not same or len(self._kept) > MOST:
            self._kept = {}
        self._versions = versions
        return same

    def keep_each(self, sql: str, names: Sequence[str], rows: Sequence[Row]) -> None:
        """Keep what `sql` gives for each name: those of `rows` behind it. They were read after these versions."""
        found: dict[str, list[Row]] = {name: [] for name in names}
        for name, *row in rows:
            found[name].append(tuple(row))
        self._kept.update({(sql, (name,)): own for name, own in found.items()})

    def get(self, key: object, read: Callable[[], T]) -> T:
        """What `read` returned while the version was the same; it depends on the course's people, rules and release
        alone.
        """
        if _reading.get() is Reading.DATABASE:
            return read()
        kept = self._kept  # another refresh may replace it while this reads
        if key not in kept:
            kept[key] = read()
        found: T = kept[key]
        return found
