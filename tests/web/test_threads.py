"""The threads of an application: requests share questions to the store, and none affects another."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from mograder.domain.errors import Temporary
from mograder.web.caching import SingleFlight
from mograder.web.threads import RenderingQueue, StoreThreads
from tests.parts import ALICE, HW1, PATIENCE

Start = Callable[[Callable[[], None]], Awaitable[None]]


@dataclass
class RemoteCourse:
    """A course of which each `refresh` waits until the test lets it go, and then answers or fails."""

    is_remote = True
    asked: list[set[str]] = field(default_factory=list)
    fails: bool = False
    begun: int = 0
    goes_on: int = 0
    """How many questions may be answered."""

    async def refresh(self, users: Collection[str], announced: Collection[Any]) -> dict[Any, Any]:
        self.asked.append(set(users))
        self.begun += 1
        while not self.goes_on:
            await asyncio.sleep(0)
        self.goes_on -= 1
        if self.fails:
            raise Temporary("the course's database is away: try again")
        return dict.fromkeys(announced, ())

    async def has_begun(self) -> None:
        while not self.begun:
            await asyncio.sleep(0)


def test_requests_during_a_question_share_the_next_one_and_a_cancelled_one_affects_no_other() -> None:
    async def ask() -> list[object]:
        first = asyncio.create_task(threads.refresh("a"))
        await course.has_begun()
        cancelled = [first, *(asyncio.create_task(threads.refresh("b")) for _ in range(2))]
        others = [asyncio.create_task(threads.refresh("c")), asyncio.create_task(threads.announced(HW1, ALICE))]
        await asyncio.sleep(0)
        for each in cancelled:
            each.cancel()
        course.goes_on += 2
        return await asyncio.gather(*others)

    course = RemoteCourse()
    threads = StoreThreads(course)  # type: ignore[arg-type]
    assert asyncio.run(asyncio.wait_for(ask(), PATIENCE)) == [None, ()]
    assert course.asked == [{"a"}, {"b", "c", "alice"}]


def test_a_failed_question_is_answered_to_all_who_waited_and_the_next_request_asks_anew() -> None:
    async def ask() -> None:
        first = asyncio.create_task(threads.refresh("a"))
        await course.has_begun()
        later = [asyncio.create_task(threads.refresh("b")) for _ in range(3)]
        await asyncio.sleep(0)
        course.goes_on += 2
        found = await asyncio.gather(first, *later, return_exceptions=True)
        assert [type(each) for each in found] == [Temporary] * 4
        course.fails = False
        course.goes_on += 1
        await threads.refresh("c")

    course = RemoteCourse(fails=True)
    threads = StoreThreads(course)  # type: ignore[arg-type]
    asyncio.run(asyncio.wait_for(ask(), PATIENCE))
    assert course.asked == [{"a"}, {"b"}, {"c"}]


def test_a_question_that_its_event_loop_left_open_does_not_stop_those_of_the_next_one() -> None:
    async def leave() -> None:
        tasks = [asyncio.create_task(threads.refresh("a"))]
        await course.has_begun()
        tasks.append(asyncio.create_task(threads.refresh("b")))
        await asyncio.sleep(0)

    course = RemoteCourse()
    threads = StoreThreads(course)  # type: ignore[arg-type]
    asyncio.run(leave())  # cancels the tasks
    course.goes_on += 2
    asyncio.run(asyncio.wait_for(threads.refresh("c"), PATIENCE))
    assert course.asked == [{"a"}, {"b", "c"}]


@pytest.mark.parametrize("kind", ["thread", "rendering", "shared read"])
def test_the_error_of_a_cancelled_request_is_not_logged_as_one_that_nobody_handles(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mograder.web.threads.MOST_THREADS", 1)  # work is finished in the order in which it is given
    unhandled: list[dict[str, Any]] = []
    begun, goes_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert goes_on.wait(PATIENCE)
        raise Temporary("the course's database is away: try again")

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
        threads, renderings = StoreThreads(RemoteCourse()), RenderingQueue()  # type: ignore[arg-type]
        shared: SingleFlight[None] = SingleFlight(threads.run)
        starts: dict[str, Start] = {
            "thread": threads.run, "rendering": renderings.run, "shared read": lambda read: shared.get("key", read),
        }  # fmt: skip
        others = asyncio.all_tasks()
        asking = asyncio.ensure_future(starts[kind](work))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        asking.cancel()
        await asyncio.wait({asking})
        goes_on.set()
        await asyncio.gather(threads.run(lambda: None), renderings.run(lambda: None))
        while asyncio.all_tasks() != others:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(ask(), PATIENCE))
    gc.collect()
    assert unhandled == []
