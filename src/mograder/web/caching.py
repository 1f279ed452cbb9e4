"""Lists that a whole course asks for at one moment: read once for all who wait, and written as JSON once.

Invariant: what is answered was read after it was asked for, so an edit by hand shows at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Run = Callable[[Callable[[], T]], Awaitable[T]]


class SingleFlight(Generic[T]):
    """One reading for all who ask for the same while the one before is under way. `run` runs it in a thread."""

    def __init__(self, run: Run[T]) -> None:
        self._run = run
        self._waiting: dict[Hashable, asyncio.Task[T]] = {}
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """What `read` gives, begun after this was called. `key` says what it reads."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.create_task(self._take_turn(key, read))
        return await asyncio.shield(waiting)  # one that goes away must not take the others' answer along

    async def _take_turn(self, key: Hashable, read: Callable[[], T]) -> T:
        if key in self._running:
            await asyncio.wait({self._running[key]})
        self._running[key] = self._waiting.pop(key)
        try:
            return await self._run(read)
        finally:
            del self._running[key]


class TickCache:
    """What was read in one turn of the event loop, for all whose turn it is: they had all asked before it was read."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """What `read` gives; in a thread without an event loop always anew. `key` says what it reads."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return read()
        if self._loop is not loop:
            self._loop, self._kept = loop, {}
            loop.call_soon(self._end)  # before anything is read: who asks from now on comes behind it
        if key not in self._kept:
            self._kept[key] = read()
        found: T = self._kept[key]
        return found

    def _end(self) -> None:
        self._loop = None


class Memo(Generic[T]):
    """What was made of a value, kept as long as the value stays the same."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._kept: dict[Hashable, tuple[object, T]] = {}

    def get(self, key: Hashable, value: object, write: Callable[[], T]) -> T:
        kept = self._kept.get(key)
        if kept is None or kept[0] != value:
            if len(self._kept) >= self._most:
                self._kept.clear()
            kept = self._kept[key] = (value, write())
        return kept[1]
