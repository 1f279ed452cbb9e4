"""Answers to simultaneous requests are read once for all of them and are never older than the request."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.assignments import CountingRule
from mograder.domain.counting import ListedSubmission
from mograder.domain.course import Course
from mograder.domain.extensions import Change, Decision
from mograder.domain.names import INSTRUCTOR
from mograder.domain.submissions import Submissions
from mograder.store.shared.stat_cache import fingerprint, is_settled
from mograder.web import create_app
from mograder.web.api import Api
from mograder.web.caching import Memo, SingleFlight, TickCache
from mograder.web.endpoints import Lines, listed_reply
from tests.parts import ALICE, CODE, HW1, sha256, token_of, until
from tests.web.in_process import Web


def test_requests_during_a_read_share_the_next_one() -> None:
    async def ask() -> tuple[list[int], int]:
        begun, go_on = asyncio.Event(), asyncio.Event()
        readings = 0

        async def run(read: Callable[[], int]) -> int:
            begun.set()
            await go_on.wait()
            return read()

        def read() -> int:
            nonlocal readings
            readings += 1
            return readings

        lists: SingleFlight[int] = SingleFlight(run)
        first = asyncio.create_task(lists.get("list", read))
        await begun.wait()
        later = [asyncio.create_task(lists.get("list", read)) for _ in range(3)]
        other = asyncio.create_task(lists.get("another", lambda: -1))
        await asyncio.sleep(0)
        later[0].cancel()  # a cancelled request does not affect the others
        go_on.set()
        answers = [await first, *await asyncio.gather(*later[1:])]
        return answers, await other

    assert asyncio.run(ask()) == ([1, 2, 2], -1)


def test_a_failed_read_fails_only_the_requests_that_waited_for_it() -> None:
    async def ask() -> int:
        async def run(read: Callable[[], int]) -> int:
            return read()

        lists: SingleFlight[int] = SingleFlight(run)
        with pytest.raises(ZeroDivisionError):
            await lists.get("list", lambda: 1 // 0)
        return await lists.get("list", lambda: 5)

    assert asyncio.run(ask()) == 5


def test_a_memo_keeps_its_value_until_the_version_changes() -> None:
    written: Memo[str] = Memo(most=2)
    assert written.get("list", (1,), lambda: "one") == "one"
    assert written.get("list", (1,), lambda: "again") == "one"
    assert written.get("list", (2,), lambda: "two") == "two"
    assert [written.get(key, (), lambda key=key: key) for key in "abc"] == ["a", "b", "c"]  # type: ignore[misc]


def test_polling_shows_every_change_at_once(course: Course, course_folder: Path) -> None:
    """Submissions, grades, feedback, files and settings, changed by hand and by the server, right after a poll."""
    submitted = course_folder.parent / "submitted" / "hw1"
    feedback = course_folder / "hw1" / "feedback" / "alice.html"

    async def ask() -> None:
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(create_app(course)), base_url="http://t"
        ) as client:
            headers = {"Authorization": f"Bearer {token_of(course, INSTRUCTOR)}"}

            async def get(path: str) -> Any:
                return (await client.get(path, headers=headers)).json()

            async def submit_work(content: bytes) -> None:
                await client.post("/assignments/hw1/submit?user=alice", content=content, headers=headers)

            async def seen() -> list[Any]:
                status = await get("/assignments/hw1/status?user=alice")
                listed = await get("/assignments/hw1/submissions")
                return [status["status"], status["grade"], status["feedback_available"], [e["sha256"] for e in listed]]

            assert await seen() == ["new", None, False, []]
            await submit_work(b"one")
            assert await seen() == ["submitted", None, False, [sha256(b"one")]]
            await submit_work(b"two")
            assert await seen() == ["submitted", None, False, [sha256(b"two")]]
            (submitted / "alice.py").unlink()
            (submitted / "alice.py").write_bytes(b"by hand")
            assert (await seen())[3] == [sha256(b"by hand")]
            (course_folder / "hw1" / "grades.json").write_text('[{"username": "alice", "grade": "1"}]')
            feedback.parent.mkdir()
            feedback.write_text("well done")
            assert (await seen())[:3] == ["submitted", "1", True]
            (course_folder / "hw1" / "grades.json").write_text('[{"username": "alice", "grade": "2"}]')
            feedback.unlink()
            assert (await seen())[:3] == ["submitted", "2", False]
            for names in (["hw1"], ["hw1", "hw2"], ["hw1"]):
                (course_folder / "hw2" / "files").mkdir(parents=True, exist_ok=True)
                if "hw2" not in names:
                    shutil.rmtree(course_folder / "hw2")
                assert [each["name"] for each in await get("/assignments")] == names
            for content in (b"a", b"b"):
                (course_folder / "hw1" / "files" / "hw1.py").write_bytes(content)
                assert (await get("/assignments"))[0]["files"][0]["sha256"] == sha256(content)
            for title in ("One", "Two"):
                text = f'[[assignments]]\nname = "hw1"\ntitle = "{title}"\n'
                (course_folder.parent / "mograder.toml").write_text(text)
                assert (await get("/assignments"))[0]["title"] == title

    asyncio.run(ask())


def test_simultaneous_requests_of_several_people_get_the_times_of_each_person(
    course: Course, course_folder: Path
) -> None:
    (course_folder.parent / "mograder.toml").write_text('[[assignments]]\nname = "hw1"\nduedate = 1773144000\n')
    for name in ("alice", "bob"):
        course.accounts.register(name, CODE)
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, ALICE, Decision.GRANT, "+1h")])

    async def ask() -> list[int]:
        app = create_app(course)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://t") as client:

            async def due(who: str) -> int:
                headers = {"Authorization": f"Bearer {token_of(course, who)}"}
                return int((await client.get("/assignments", headers=headers)).json()[0]["duedate"])

            return list(await asyncio.gather(*[due(who) for who in ("alice", "bob") * 10]))

    assert asyncio.run(ask()) == [1773144000 + 3600, 1773144000] * 10


def test_a_tick_cache_keeps_its_value_for_one_iteration_of_the_event_loop() -> None:
    """A request after a value was read causes a new read."""
    reads = itertools.count()
    shared = TickCache()

    async def ask() -> int:
        return shared.get("list", lambda: next(reads))

    async def ask_twice() -> list[int]:
        together = await asyncio.gather(ask(), ask(), ask())
        return [*together, await asyncio.create_task(ask())]

    assert asyncio.run(ask_twice()) == [0, 0, 0, 1]
    assert asyncio.run(ask()) == 2
    assert asyncio.run(ask()) == 3
    assert [shared.get("list", lambda: next(reads)) for _ in range(2)] == [4, 5]  # a thread without an event loop


def test_a_failed_read_is_repeated_for_the_next_request() -> None:
    shared = TickCache()

    async def ask() -> int:
        with pytest.raises(ZeroDivisionError):
            shared.get("list", lambda: 1 // 0)
        return shared.get("list", lambda: 5)

    assert asyncio.run(ask()) == 5


def test_a_client_that_polls_sees_a_change_made_in_between(course: Course, course_folder: Path) -> None:
    grades = course_folder / "hw1" / "grades.json"

    async def ask() -> list[str]:
        transport = httpx2.ASGITransport(create_app(course))
        async with httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
            headers = {"Authorization": f"Bearer {token_of(course, INSTRUCTOR)}"}
            seen = []
            for grade in ("1", "2", "3"):
                grades.write_text(f'[{{"username": "alice", "grade": "{grade}"}}]')
                answer = await client.get("/assignments/hw1/status?user=alice", headers=headers)
                seen.append(answer.json()["grade"])
            return seen

    assert asyncio.run(ask()) == ["1", "2", "3"]


def test_an_edit_by_hand_shows_at_once_even_if_python_considers_the_values_equal(
    course: Course, course_folder: Path
) -> None:
    course.accounts.register("alice", CODE)
    web, api, shown = Web(course), Api(course), []
    for value in ("1", "true", "1.0", "1"):
        for path in (course_folder / "hw1" / "grades.json", course_folder / "assignments.json"):
            path.write_text(f'[{{"name": "hw1", "username": "alice", "grade": {value}, "more": [{{"x": {value}}}]}}]')
            until(lambda path=path: is_settled(fingerprint(path.stat())))  # type: ignore[misc]
        listed = web("GET", "/assignments").text
        grade = web("GET", "/assignments/hw1/status?user=alice").json()["grade"]
        shown.append((grade, api.board().rows[0].cells[0].grade, f'"x":{value}' in listed))
    assert shown == [("1", "1", True), (None, None, True), ("1", "1", True), ("1", "1", True)]


def test_a_list_is_not_affected_by_another_that_is_written_at_the_same_time(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = Web(course)
    for name in ("alice", "bob"):
        web.submit(name).raise_for_status()
    task = course.release.assignment(COURSE_INSTRUCTOR, HW1)
    files = course.store.submissions.latest_files(HW1)
    lines: Lines = {}
    whole = listed_reply(course, task, CountingRule.LATEST, files, lines)
    del lines["alice.py"]
    collect = Submissions.collect

    def while_another_is_written(*given: Any) -> list[ListedSubmission]:
        monkeypatch.setattr(Submissions, "collect", collect)
        listed_reply(course, task, CountingRule.LATEST, files[:1], lines)  # from before the second person submitted
        return collect(*given)

    monkeypatch.setattr(Submissions, "collect", while_another_is_written)
    assert listed_reply(course, task, CountingRule.LATEST, files, lines) == whole
