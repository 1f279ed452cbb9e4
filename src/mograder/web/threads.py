"""Runs work that waits for the store in threads, so that the event loop never waits.

Invariant: work that a thread has begun is finished, even if its request is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from msgspec import Struct, field

from mograder.domain.commitments import Commitment
from mograder.domain.course import Course
from mograder.domain.errors import Temporary
from mograder.domain.names import AssignmentName, Username
from mograder.domain.store import NotCached

T = TypeVar("T")
Key = tuple[AssignmentName, Username]
Announced = Mapping[Key, tuple[Commitment, ...]]

MOST_THREADS = 64
"""Requests that may wait for the store at once; submissions that wait together are committed together."""

MOST_RENDERINGS = 16
"""Files that wait to be rendered, including the one that is being rendered."""


class _Question(Struct):
    """One `refresh` of the store, for all requests that came before it began: each waits for a future of its own."""

    users: set[str] = field(default_factory=set)
    announced: set[Key] = field(default_factory=set)
    waiting: list[asyncio.Future[Announced]] = field(default_factory=list)


class StoreThreads:
    """The threads of one course's application.

    A request first awaits `refresh`, which all waiting requests share, and then reads by `recall`. `read` and `run`
    need no refresh: they ask the store itself.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._is_remote = course.is_remote
        self._executor = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="store")
        self._next: _Question | None = None
        self._asking: asyncio.Task[None] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, run in a thread."""
        return await unaffected(asyncio.get_running_loop().run_in_executor(self._executor, work))

    async def read(self, work: Callable[[], T]) -> T:
        """What a short read returns. With a local disk it runs at once: that takes less time than a thread."""
        return await self.run(work) if self._is_remote else work()

    async def refresh(self, user: str = "") -> None:
        """Return once `recall` reads data as new as this call. `user` is who asks, "" if that is unknown."""
        if self._is_remote:
            await self._ask(user, None)

    async def announced(self, assignment: AssignmentName, user: Username) -> tuple[Commitment, ...]:
        """A person's commitments for an assignment. Also does what `refresh` does."""
        key = (assignment, user)
        return (await (self._ask(user, key) if self._is_remote else self._course.refresh((), (key,))))[key]

    async def recall(self, work: Callable[[], T]) -> T:
        """What `work` reads: from memory if that is as new as the caller's last `refresh`, else in a thread."""
        if not self._is_remote:
            return work()
        try:
            return self._course.recalled(work, wait=False)
        except NotCached:
            return await self.run(lambda: self._course.recalled(work, wait=True))

    async def _ask(self, user: str, key: Key | None) -> Announced:
        question = self._next = self._next or _Question()
        if user:
            question.users.add(user)
        if key is not None:
            question.announced.add(key)
        answer: asyncio.Future[Announced] = asyncio.get_running_loop().create_future()
        question.waiting.append(answer)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_the_store())
        return await answer

    async def _ask_the_store(self) -> None:
        """Ask one question after the other, as long as requests wait."""
        while question := self._next:
            self._next = None
            try:
                found = await self._course.refresh(question.users, question.announced)
            except Exception as error:  # noqa: BLE001 (raised again by the requests that wait for it)
                for each in question.waiting:
                    if not each.done():
                        each.set_exception(error)
            else:
                for each in question.waiting:
                    if not each.done():  # a request may have been cancelled
                        each.set_result(found)


class RenderingQueue:
    """Renders files that people have sent: one at a time, in a thread of its own.

    Invariant: a waiting file occupies neither a thread of the store nor the event loop, so that other requests are
    answered meanwhile.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="rendering")
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises Temporary when MOST_RENDERINGS are waiting."""
        if self._waiting >= MOST_RENDERINGS:
            raise Temporary("too many large files are being rendered: try again, or download the file")
        self._waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._executor, work)
        done.add_done_callback(self._over)
        return await unaffected(done)

    def _over(self, _: asyncio.Future[T]) -> None:
        self._waiting -= 1


async def unaffected(future: asyncio.Future[T]) -> T:
    """The result of a future that goes on even if the caller is cancelled. Its error is then dropped: nobody waits."""
    future.add_done_callback(_note_error)
    return await asyncio.shield(future)


def _note_error(future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        future.exception()  # else asyncio logs that nobody has asked for it


async def result_of(future: Future[T]) -> T:
    """The result of a future that another thread completes; cancelling the caller leaves the future alone."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
    return future.result()
