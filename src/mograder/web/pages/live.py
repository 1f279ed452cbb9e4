"""Tells open boards that a submission has arrived, at this or another server of the course.

Invariant: a stream says only that something has changed, never what. It ends when its reader disconnects, logs out or
is reset, and when the server stops.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from mograder.domain.errors import MograderError, Temporary

MOST_STREAMS = 100
"""Streams at the same time; more are refused."""

LOOK_SECONDS = 1.0
"""The interval between checks for changes while there are streams."""

MARKING_SECONDS = 0.4
"""The same for those who mark: who marks the same sees it within a second."""

CHECK_SECONDS = 2.0
"""The interval at which a stream's session is checked."""


@dataclass(eq=False)
class Watcher:
    """One stream, of `user`."""

    user: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


class Live:
    """The streams of one course. `look` returns a value that is equal as long as nothing has changed."""

    def __init__(self, look: Callable[[], Awaitable[object]], seconds: float = LOOK_SECONDS) -> None:
        self._look = look
        self._seconds = seconds
        self._watchers: set[Watcher] = set()
        self._looking: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises Temporary when there are too many streams."""
        if len(self._watchers) >= MOST_STREAMS:
            raise Temporary("too many people watch the board live: reload it to see what is new", retry_after=60)

    @contextlib.asynccontextmanager
    async def watch(self, user: str) -> AsyncIterator[Watcher]:
        self.check()
        watcher = Watcher(user)
        self._watchers.add(watcher)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def end(self, user: str) -> None:
        """End a person's streams within CHECK_SECONDS. Browsers that are still logged in reconnect."""
        for each in tuple(self._watchers):
            if each.user == user:
                each.ended = True

    async def _look_on(self) -> None:
        seen: object = None
        while self._watchers:
            with contextlib.suppress(MograderError):  # the store is unavailable for a while; the page says so
                now = await self._look()
                if now != seen:
                    seen = now
                    for each in self._watchers:
                        each.changed.set()
            await asyncio.sleep(self._seconds)


async def events(live: Live, user: str, still_may: Callable[[], Awaitable[bool]]) -> AsyncIterator[dict[str, str]]:
    """The events of a stream: `changed` at its start, and whenever a submission has arrived since."""
    with contextlib.suppress(Temporary):
        async with live.watch(user) as watcher:
            yield {"event": "changed", "data": ""}
            while await still_may() and not watcher.ended:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await watcher.changed.wait()
                if watcher.changed.is_set() and not watcher.ended:
                    watcher.changed.clear()
                    yield {"event": "changed", "data": ""}
