"""Streams that keep open pages up to date: their events, and when they end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import httpx2
import pytest

from mograder.domain.errors import Temporary
from mograder.domain.names import INSTRUCTOR, Username
from mograder.web import broadcast
from mograder.web.broadcast import NOTHING, Broadcaster, Changed, Watcher, stream
from tests.parts import ALICE, BOB, CODE, PATIENCE, Running, running, until
from tests.postgres import CourseServer


def log_in(server: Running | CourseServer, name: str = INSTRUCTOR) -> dict[str, str]:
    """Log somebody in. Returns the header fields of their browser."""
    link = server.client.post("/login-link", headers=server.bearer(name)).json()["url"]
    ours = {"Origin": server.url.partition("/c/")[0], "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    with httpx2.Client(base_url=server.url, timeout=PATIENCE) as browser:
        cookie = browser.post("/once", data={"ticket": link.partition("#")[2]}, headers=ours).headers["set-cookie"]
    return {**ours, "Cookie": cookie.partition(";")[0]}


class Stream:
    """An open stream: its events so far, and whether it has ended."""

    def __init__(self, server: Running | CourseServer, headers: dict[str, str]) -> None:
        self.events, self.rows, self.ended, self.status = 0, "", False, 0
        self._thread = threading.Thread(target=self._read, args=(server.url, headers), daemon=True)
        self._thread.start()

    def _read(self, url: str, headers: dict[str, str]) -> None:
        try:
            with httpx2.stream("GET", f"{url}/live", headers=headers, timeout=PATIENCE) as answer:
                self.status = answer.status_code
                for line in answer.iter_lines():
                    self.events += line == "event: changed"
                    self.rows += line if line.startswith("data:") else ""
        except httpx2.TransportError:
            pass
        self.ended = True


def test_a_board_shows_a_submission_to_its_own_and_to_another_server(
    two_servers: Sequence[Running | CourseServer],
) -> None:
    server, other = two_servers
    instructor = log_in(server)
    stream = Stream(server, instructor)
    until(lambda: stream.events >= 1)
    for number, each in enumerate((server, other, server), 1):
        before = stream.events
        each.submit(f"student{number}", f"x = {number}".encode()).raise_for_status()
        until(lambda before=before: stream.events > before)  # type: ignore[misc]
        assert f"student{number}" in server.client.get("/board", headers=instructor).text


def test_a_stream_sends_the_rows_that_have_changed_and_no_others(server: Running) -> None:
    for name in ("alice", "bob"):
        server.client.post("/register", json={"user": name, "enrollment_code": CODE}).raise_for_status()
    stream = Stream(server, log_in(server))
    until(lambda: stream.events)
    for number in range(3):
        server.submit("alice", f"x = {number}".encode()).raise_for_status()
    until(lambda: "3 submissions," in stream.rows)
    assert 'id="of:alice:hw1"' in stream.rows
    assert 'id="rush"' in stream.rows
    assert ("of:bob" in stream.rows, stream.events <= 2) == (False, True), "the board is read anew"


def test_an_event_is_rendered_once_for_all_watchers_and_again_after_each_change() -> None:
    async def go() -> None:
        looks, made = asyncio.Queue[Changed](), itertools.count()
        live = Broadcaster(looks.get)
        async with live.watch("ta"), live.watch("tb") as other:
            await other.news(0)
            for number in range(2):
                looks.put_nowait(frozenset({ALICE}))
                assert await other.news(PATIENCE) == frozenset({ALICE})
                assert [live.shared("key", lambda: next(made)) for _ in range(5)] == [number] * 5

    asyncio.run(go())


def test_a_stream_ends_when_the_server_stops(server: Running) -> None:
    stream = Stream(server, log_in(server))
    until(lambda: stream.events >= 1)
    assert server.stop() == 0
    until(lambda: stream.ended)


def test_a_stream_ends_at_logout_and_when_the_reader_loses_the_instructor_role(server: Running) -> None:
    cookie = log_in(server)
    stream = Stream(server, cookie)
    until(lambda: stream.events >= 1)
    server.client.post("/logout", headers=cookie)
    until(lambda: stream.ended)
    server.client.post("/register", json={"user": "tom", "enrollment_code": CODE}).raise_for_status()
    role = {"role": "instructor"}
    server.client.post("/roster/tom/role", json=role, headers=server.bearer()).raise_for_status()
    stream = Stream(server, log_in(server, "tom"))
    until(lambda: stream.events >= 1)
    server.client.post("/roster/tom/reset", headers=server.bearer()).raise_for_status()
    until(lambda: stream.ended)


def test_the_number_of_streams_is_limited_and_they_end_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MOST_STREAMS", 2)

    async def still() -> bool:
        return True

    async def look() -> Changed:
        return NOTHING

    async def go() -> None:
        live = Broadcaster(look)
        first, second, personal = (stream(live, "alice", still, about) for about in (None, None, ALICE))
        assert [await anext(each) for each in (first, second, personal)] == [None] * 3
        with pytest.raises(Temporary):
            live.check("alice")
        live.check("bob", BOB)
        await first.aclose()  # type: ignore[attr-defined]
        live.check("alice")
        live.end("alice")
        assert [each async for each in second] == [each async for each in personal] == []
        live.check("alice")

    asyncio.run(go())


@pytest.mark.parametrize("about", [None, ALICE])
def test_one_person_cannot_use_up_the_streams_of_others(about: Username | None) -> None:
    async def look() -> Changed:
        return NOTHING

    async def go() -> None:
        live = Broadcaster(look)
        async with contextlib.AsyncExitStack() as opened:
            for _ in range(broadcast.MOST_OF_ONE):
                await opened.enter_async_context(live.watch("alice", about))
                await opened.enter_async_context(live.watch(INSTRUCTOR, about))
            with pytest.raises(Temporary, match="you have 20 live pages"):
                live.check("alice", about)
            for other in ("bob", INSTRUCTOR):
                live.check(other, about)

    asyncio.run(go())


def test_a_watcher_gets_all_changes_at_once_and_can_ask_for_one_person_only() -> None:
    async def go() -> None:
        board, page = Watcher("ta"), Watcher("alice", ALICE)
        assert (await board.news(0), await page.news(0)) == (None, None)
        for changed in ({ALICE}, {BOB}, set[Username]()):
            for each in (board, page):
                each.tell(frozenset(changed))
        assert (await board.news(0), await page.news(0)) == (frozenset({ALICE, BOB}), frozenset({ALICE}))
        page.tell(frozenset({BOB}))
        assert (await board.news(0), await page.news(0)) == (NOTHING, NOTHING)
        page.tell(frozenset({ALICE}))
        page.tell(None)
        assert await page.news(0) is None

    asyncio.run(go())


FEW = "from mograder.web import broadcast; broadcast.MOST_STREAMS = 2"


def test_a_stream_of_a_disconnected_reader_frees_its_place(course_folder: Path) -> None:
    with running(course_folder, first=FEW) as server:
        headers = log_in(server)

        def watch() -> AbstractContextManager[httpx2.Response]:
            return httpx2.stream("GET", f"{server.url}/live", headers=headers, timeout=PATIENCE)

        def opened() -> bool:
            with watch() as answer:
                return answer.status_code == 200

        with watch() as first, watch() as second:
            # Both are referenced to the end of the block, because a collected generator ends its stream.
            lines = [first.iter_lines(), second.iter_lines()]
            assert [next(each) for each in lines] == ["event: changed"] * 2
            assert not opened()
        until(opened)


def test_students_cannot_open_a_stream(server: Running, tmp_path: Path) -> None:
    server.client.post("/register", json={"user": "alice", "enrollment_code": CODE}).raise_for_status()
    assert server.client.get("/live", headers=log_in(server, "alice")).status_code == 403
    assert server.client.get("/live", headers={"Accept": "text/html"}).status_code == 303
