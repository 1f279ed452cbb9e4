"""Tells those who watch the board that something has been handed in, here or through another server on the course.

Invariant: a stream says only that something has changed, never what; it ends when whoever watches goes, logs out or is
reset, and when the server stops.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from mograder.domain.errors import MograderError, Temporary

MOST_STREAMS = 100
"""Streams at once; more are refused."""

LOOK_SECONDS = 1.0
"""How often it is looked whether something has changed, while somebody watches."""

CHECK_SECONDS = 2.0
"""How often it is looked whether who watches still may."""


@dataclass(eq=False)
class Watcher:
    """One stream. `user` is whose it is."""

    user: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


class Live:
    """The streams of one course. `look` gives something that is equal as long as nothing was handed in."""

    def __init__(self, look: Callable[[], Awaitable[object]]) -> None:
        self._look = look
        self._watchers: set[Watcher] = set()
        self._looking: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises Temporary when too many watch."""
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
        """End this person's streams within CHECK_SECONDS; browsers that are still logged in open theirs again."""
        for each in tuple(self._watchers):
            if each.user == user:
                each.ended = True

    async def _look_on(self) -> None:
        seen: object = None
        while self._watchers:
            with contextlib.suppress(MograderError):  # it is away for a while: who looks at the page is told
                now = await self._look()
                if now != seen:
                    seen = now
                    for each in self._watchers:
                        each.changed.set()
            await asyncio.sleep(LOOK_SECONDS)


async def events(live: Live, user: str, still_may: Callable[[], Awaitable[bool]]) -> AsyncIterator[dict[str, str]]:
    """What a stream says: `changed` at its begin, and whenever something was handed in since."""
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
