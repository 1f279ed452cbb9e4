"""Runs work that waits for the store in threads, so that the event loop does not.

Invariant: work that a thread has begun is finished, also when the request that wanted it is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MOST_THREADS = 64
"""Requests that may wait for the store at once; submissions that wait together are committed together."""


class StoreThreads:
    """The threads of one application. `is_remote` says whether every access to the store crosses a network."""

    def __init__(self, is_remote: bool) -> None:
        self.is_remote = is_remote
        self._executor = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="store")

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, run in a thread."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._executor, work))

    async def read(self, work: Callable[[], T]) -> T:
        """What a short read returns: run at once where the disk is local, which takes less than a thread does."""
        return await self.run(work) if self.is_remote else work()


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
