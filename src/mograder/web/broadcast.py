"""Tells open pages what has changed in the course, on this or another server. One query of the store serves them all.

Invariant: nobody is told more often than once in LOOK_SECONDS, and nothing that changes while somebody watches is left
out. A stream ends when its watcher is ended or its reader disconnects.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mograder.domain.errors import MograderError, Temporary
from mograder.domain.names import INSTRUCTOR, Username

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""The interval between looks while anybody watches."""

MOST_STREAMS, MOST_PERSONAL = 100, 1000
"""Streams about everybody, and about one person each, at the same time; more are refused."""

MOST_OF_ONE = 20
"""Streams of one person at the same time, so that nobody can use up the streams of all others. The course's own
instructor account has no such limit, because many people may share it."""

CHECK_SECONDS = 2.0
"""The interval at which a watcher's session is checked."""

Changed = frozenset[Username] | None
"""The people for whom something has changed; None when anything may have changed and all must be read again."""

NOTHING: frozenset[Username] = frozenset()


@dataclass(eq=False)
class Watcher:
    """An open page of `user` that is told of changes to one person, or to everybody (`about` is None).

    Its first news is None: anything may have changed before it was opened.
    """

    user: str
    about: Username | None = None
    ended: bool = False
    _changed: Changed = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._news.set()

    def tell(self, changed: Changed) -> None:
        if changed is not None and self.about is not None:
            changed &= {self.about}
        if changed is None or changed:
            self._changed = None if changed is None or self._changed is None else self._changed | changed
            self._news.set()

    async def news(self, seconds: float) -> Changed:
        """What has changed since the last call; an empty set when nothing changes within `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        changed = self._changed if self._news.is_set() else NOTHING
        self._changed = NOTHING
        self._news.clear()
        return changed


class Broadcaster:
    """The watchers of one course. Use it from the event loop only.

    `look` returns what has changed since it was last called.
    """

    def __init__(self, look: Callable[[], Awaitable[Changed]]) -> None:
        self._look = look
        self._watchers: set[Watcher] = set()
        self._looking: asyncio.Task[None] | None = None
        self._making = threading.Lock()
        self._made: dict[Hashable, Any] = {}

    def check(self, user: str, about: Username | None = None) -> None:
        """Raises Temporary when there are too many streams of this kind, or of this user."""
        alike = sum((each.about is None) == (about is None) for each in self._watchers)
        own = sum(each.user == user for each in self._watchers)
        if own >= MOST_OF_ONE and user != INSTRUCTOR:
            raise Temporary(f"you have {own} live pages open: close some, and reload this one", retry_after=60)
        if alike >= (MOST_STREAMS if about is None else MOST_PERSONAL):
            raise Temporary("too many people have a live page open: reload it to see what is new", retry_after=60)

    @contextlib.asynccontextmanager
    async def watch(self, user: str, about: Username | None = None) -> AsyncIterator[Watcher]:
        """A watcher that is told of changes within the block. Raises Temporary, as `check` does."""
        self.check(user, about)
        watcher = Watcher(user, about)
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

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of `make`, called once for all watchers that ask with an equal key between two looks.

        Any thread may call this.
        """
        with self._making:
            made = self._made  # the look replaces it: a result begun before a look must not be sent after it
            if key not in made:
                made[key] = make()
            found: T = made[key]
            return found

    async def _look_on(self) -> None:
        while self._watchers:
            with contextlib.suppress(MograderError):  # the store is unavailable for a while; the page says so
                changed = await self._look()
                self._made = {}
                for each in self._watchers:
                    each.tell(changed)
            await asyncio.sleep(LOOK_SECONDS)


async def stream(
    broadcaster: Broadcaster, user: str, still_may: Callable[[], Awaitable[bool]], about: Username | None = None
) -> AsyncIterator[Changed]:
    """The changes, beginning with None, until `still_may` returns False or the watcher is ended.

    `still_may` is called every CHECK_SECONDS. The stream is empty when there are too many streams already.
    """
    with contextlib.suppress(Temporary):
        async with broadcaster.watch(user, about) as watcher:
            while await still_may() and not watcher.ended:
                changed = await watcher.news(CHECK_SECONDS)
                if (changed is None or changed) and not watcher.ended:
                    yield changed
