"""Downloads are recorded once for each person and assignment, after the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.course import Course
from mograder.domain.errors import StorageFull
from mograder.domain.names import INSTRUCTOR, Username
from mograder.domain.release import Fetched
from mograder.web import downloads
from mograder.web.downloads import DownloadRecorder
from tests.parts import ALICE, BOB, HW1, NOON, Running, open_store, until

STUDENT = Actor(ALICE, Role.STUDENT)


def test_only_successful_downloads_of_students_are_recorded(server: Running) -> None:
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


def test_simultaneous_downloads_are_recorded_in_one_write_and_once_each(course: Course) -> None:
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


def test_a_download_that_could_not_be_recorded_is_recorded_at_the_next_download(course: Course) -> None:
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


def test_the_memory_for_recorded_downloads_is_limited(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "REMEMBERED", 3)
    written: list[int] = []

    async def write(work: Callable[[], None]) -> None:
        work()
        written.append(1)

    async def many() -> None:
        fetches = DownloadRecorder(course, write)
        for number in range(10):
            fetches.note(Actor(Username(f"s{number}"), Role.STUDENT), "hw1", "hw1.py", NOON + number)
            assert len(fetches._seen) <= 3
        fetches.note(Actor(Username("s0"), Role.STUDENT), "hw1", "hw1.py", NOON + 99)
        while len(course.store.release.fetched()) < 10:
            await asyncio.sleep(0)

    asyncio.run(many())
    assert [each.moment for each in course.store.release.fetched()] == [NOON + number for number in range(10)]
