"""Caches for what a whole course requests at the same moment: read once, and encoded once.

Invariant: a response is read after its request arrived, so an edit by hand takes effect at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from mograder.web.threads import unaffected

T = TypeVar("T")
Run = Callable[[Callable[[], T]], Awaitable[T]]


class SingleFlight(Generic[T]):
    """One read for all callers that ask for the same key while the previous read runs. `run` runs it in a thread."""

    def __init__(self, run: Run[T]) -> None:
        self._run = run
        self._waiting: dict[Hashable, asyncio.Task[T]] = {}
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """The result of `read`, which starts after this call. Callers with equal keys share it."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.create_task(self._take_turn(key, read))
        return await unaffected(waiting)  # cancelling one caller must not cancel the others

    async def _take_turn(self, key: Hashable, read: Callable[[], T]) -> T:
        if key in self._running:
            await asyncio.wait({self._running[key]})
        self._running[key] = self._waiting.pop(key)
        try:
            return await self._run(read)
        finally:
            del self._running[key]


class TickCache:
    """Results shared by all callers in one turn of the event loop: all of them asked before anything was read."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """The result of `read`, shared by callers with equal keys. Without an event loop `read` is always called."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return read()
        if self._loop is not loop:
            self._loop, self._kept = loop, {}
            loop.call_soon(self._end)  # scheduled before the read: a later request runs after it
        if key not in self._kept:
            self._kept[key] = read()
        found: T = self._kept[key]
        return found

    def _end(self) -> None:
        self._loop = None


class Memo(Generic[T]):
    """Results derived from a value, kept as long as the value stays equal; at most `most` of them."""

    def __init__(self, most: int = 5000) -> None:
        self._most = most
        self._kept: dict[Hashable, tuple[object, T]] = {}

    def get(self, key: Hashable, value: object, write: Callable[[], T]) -> T:
        kept = self._kept.get(key)
        if kept is None or kept[0] != value:
            if len(self._kept) >= self._most:
                self._kept.clear()
            kept = self._kept[key] = (value, write())
        return kept[1]
