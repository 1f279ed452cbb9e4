"""Submissions are rendered one at a time, and other requests are answered meanwhile."""

from __future__ import annotations

import asyncio
import threading

import httpx2
import pytest

from mograder.domain.course import Course
from mograder.domain.errors import Temporary
from mograder.domain.names import INSTRUCTOR
from mograder.web.api import Api
from mograder.web.app import App
from mograder.web.threads import MOST_RENDERINGS, MOST_THREADS, RenderingQueue
from tests.parts import token_of
from tests.web.pages.test_sessions import BROWSER, Visitor


def test_one_rendering_runs_at_a_time_and_a_limited_number_waits() -> None:
    running: list[int] = []
    most: list[int] = []
    release = threading.Event()

    def work() -> None:
        running.append(1)
        most.append(len(running))
        release.wait()
        running.pop()

    async def crowd() -> list[object]:
        queue = RenderingQueue()
        waiting = [asyncio.create_task(queue.run(work)) for _ in range(MOST_RENDERINGS)]
        await asyncio.sleep(0)
        with pytest.raises(Temporary, match="download the file"):
            await queue.run(work)
        gone = waiting.pop()
        gone.cancel()  # its client has disconnected; the work stays in the queue until it is done
        with pytest.raises(asyncio.CancelledError):
            await gone
        with pytest.raises(Temporary):
            await queue.run(work)
        release.set()
        await asyncio.gather(*waiting)
        await queue.run(work)
        return list(most)

    assert set(asyncio.run(crowd())) == {1}


def test_other_requests_are_answered_while_renderings_of_hostile_submissions_wait(course: Course) -> None:
    api, teacher = Api(course), Visitor(course)
    teacher.app = App(api)
    teacher.post("/login", token=token_of(course, INSTRUCTOR))
    cookie = "; ".join(f"{name}={value}" for name, value in teacher.cookies.items())
    alice = {"Authorization": f"Bearer {token_of(course, 'alice')}"}
    release = threading.Event()

    async def rush() -> tuple[list[int], list[int], list[int]]:
        transport = httpx2.ASGITransport(teacher.app)
        async with httpx2.AsyncClient(transport=transport, base_url=teacher.base) as client:

            async def submit(content: bytes) -> int:
                where = "/assignments/hw1/submit?user=alice"
                return (await client.post(where, content=content, headers=alice)).status_code

            async def look() -> int:
                headers = {**BROWSER, "Cookie": cookie}
                return (await client.get("/board/hw1/people/alice/alice.py", headers=headers)).status_code

            others = [await submit(b" " * 240_000)]
            held = asyncio.create_task(api.renderings.run(release.wait))
            looking = [asyncio.create_task(look()) for _ in range(MOST_THREADS + 9)]
            turned_away = zip(range(len(looking) - (MOST_RENDERINGS - 1)), asyncio.as_completed(looking), strict=False)
            refused = [await answered for _, answered in turned_away]
            others += [await submit(b"%d" % number) for number in range(20)]
            others += [(await client.get("/assignments", headers=alice)).status_code for _ in range(20)]
            waiting = [each for each in looking if not each.done()]
            release.set()
            await held
            return others, refused, [await each for each in waiting]

    others, refused, shown = asyncio.run(rush())
    assert set(others) == {200}
    assert set(refused) == {503}
    assert shown == [200] * (MOST_RENDERINGS - 1)
