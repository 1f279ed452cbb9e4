"""Clients that disconnect and broken files of a course: nothing is lost, and only instructors see details."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mograder.domain.course import Course
from mograder.store.folder.submissions import FolderSubmissions
from mograder.web import create_app
from mograder.web.body import PATIENT, Body, Message
from tests.parts import token_of

CONTENT = b"x" * 3_000_000


def test_a_client_that_disconnects_during_the_write_does_not_damage_the_submission(
    course: Course, course_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    accept = FolderSubmissions.accept

    def slowly(*words: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return accept(*words)

    monkeypatch.setattr(FolderSubmissions, "accept", slowly)

    async def submit() -> None:
        transport = httpx2.ASGITransport(create_app(course))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            headers = {"Authorization": f"Bearer {token_of(course, 'alice')}"}
            await client.post("/assignments/hw1/submit?user=alice", content=CONTENT, headers=headers)

    async def give_up() -> None:
        sending = asyncio.create_task(submit())
        await asyncio.to_thread(begun.wait, 30)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        go_on.set()
        while not list(course.store.submissions.receipts()):
            await asyncio.sleep(0)

    asyncio.run(give_up())
    course.close()
    assert (course_folder.parent / "submitted" / "hw1" / "alice.py").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("expect", "wanted"), [({}, ["refuse", "read", "read", "d"]), ({"expect": "100-continue"}, ["refuse", "d"])]
)
def test_the_answer_to_a_refused_upload_is_completed_after_its_body_was_received(
    expect: dict[str, str], wanted: list[str]
) -> None:
    """The server closes the connection after a complete answer; a client that still sends would not receive it."""
    happened = []
    pieces = iter([True, False])

    async def receive() -> Message:
        happened.append("read")
        return {"type": "http.request", "body": b"x", "more_body": next(pieces)}

    async def send(message: Message) -> None:
        happened.append(message["body"].decode())
        assert message["more_body"] is (happened[-1] != "d")

    body = Body({"content-length": "2", **expect}, receive, PATIENT)
    assert body.unread
    asyncio.run(body.send_last(b"refused", send))
    assert happened == wanted


def test_only_instructors_learn_which_file_of_the_course_is_broken(course: Course, course_folder: Path) -> None:
    (course_folder.parent / "mograder.toml").write_text("title = \n")

    async def ask(path: str, user: str | None) -> httpx2.Response:
        transport = httpx2.ASGITransport(create_app(course))
        headers = {"Authorization": f"Bearer {token_of(course, user)}"} if user else {}
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers=headers)

    for path, user in (("/mograder.toml", None), ("/assignments", "alice")):
        reply = asyncio.run(ask(path, user))
        assert reply.status_code == 503
        assert str(course_folder.parent) not in reply.text
    assert (
        str(course_folder.parent / "mograder.toml")
        in asyncio.run(ask("/assignments", "__instructor__")).json()["place"]
    )


def test_a_broken_table_of_grades_stops_only_the_requests_that_need_it(course: Course, course_folder: Path) -> None:
    table = course_folder / "hw1" / "grades.json"
    table.write_bytes(b'[{"username": "alice", "grade": 1},')
    (course_folder / "hw2" / "files").mkdir(parents=True)
    grades = [{"username": "bob", "grade": "2"}]

    async def ask(method: str, path: str, user: str, **given: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(create_app(course))
        headers = {"Authorization": f"Bearer {token_of(course, user)}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers, **given)

    def status(*words: str, **given: Any) -> int:
        return asyncio.run(ask(*words, **given)).status_code

    refused = asyncio.run(ask("POST", "/assignments/hw1/grades", "__instructor__", json=grades))
    assert (refused.status_code, refused.json()["code"]) == (503, "unreadable")
    assert refused.json()["place"].startswith(f"{table}: ")
    assert "line 1 column" in refused.json()["place"]
    theirs = asyncio.run(ask("GET", "/assignments/hw1/status?user=alice", "alice"))
    assert theirs.status_code == 503
    assert "place" not in theirs.json()
    assert status("POST", "/assignments/hw1/submit?user=alice", "alice", content=b"work") == 200
    assert status("GET", "/assignments", "alice") == 200
    assert status("POST", "/assignments/hw2/grades", "__instructor__", json=grades) == 200
    assert table.read_bytes() == b'[{"username": "alice", "grade": 1},'
    table.write_text("[]")
    assert status("POST", "/assignments/hw1/grades", "__instructor__", json=grades) == 200
