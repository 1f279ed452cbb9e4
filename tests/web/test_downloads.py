"""Who has downloaded something is noted: of each person and assignment once, behind the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.course import Course
from mograder.domain.errors import StorageFull
from mograder.domain.names import INSTRUCTOR
from mograder.domain.release import Fetched
from mograder.web.downloads import DownloadRecorder
from tests.parts import ALICE, BOB, HW1, NOON, Running, open_store, until

STUDENT = Actor(ALICE, Role.STUDENT)


def test_a_students_download_is_noted_and_nothing_else_is(server: Running) -> None:
    address = "/assignments/hw1/files/hw1.py"
    assert server.client.get(address, headers=server.bearer(INSTRUCTOR)).status_code == 200
    assert server.client.get(address + "x", headers=server.bearer("carol")).status_code == 404
    assert server.client.head(address, headers=server.bearer("dave")).status_code == 200
    assert server.client.get(address, headers=server.bearer("bob")).status_code == 200
    store = open_store(server.root)
    try:
        until(store.release.fetched)
        assert [(each.assignment, each.username) for each in store.release.fetched()] == [(HW1, BOB)]
    finally:
        store.close()


def test_downloads_at_the_same_moment_are_recorded_together_and_once_each(course: Course) -> None:
    writes: list[int] = []

    async def write(work: Callable[[], None]) -> None:
        await asyncio.sleep(0)
        work()
        writes.append(len(course.store.release.fetched()))

    async def downloads() -> None:
        fetches = DownloadRecorder(course, write)
        for moment in (NOON, NOON + 1):
            for actor in (STUDENT, Actor(BOB, Role.STUDENT), COURSE_INSTRUCTOR):
                fetches.note(actor, "hw1", "hw1.py", moment)
        while not writes:
            await asyncio.sleep(0)
        fetches.note(STUDENT, "hw1", "hw1.py", NOON + 2)
        await asyncio.sleep(0)

    asyncio.run(downloads())
    assert writes == [2]
    assert course.store.release.fetched() == [Fetched(HW1, ALICE, NOON), Fetched(HW1, BOB, NOON)]


def test_a_failed_record_is_made_at_the_next_download(course: Course) -> None:
    full = [True]

    async def write(work: Callable[[], None]) -> None:
        if full.pop() if full else False:
            raise StorageFull("the server's disk is full")
        work()

    async def downloads() -> None:
        fetches = DownloadRecorder(course, write)
        while not course.store.release.fetched():
            fetches.note(STUDENT, "hw1", "hw1.py", NOON)
            await asyncio.sleep(0)

    asyncio.run(downloads())
    assert not full
