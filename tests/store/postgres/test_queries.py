"""The queries of a course: by index, however large the course is, and shared by simultaneous requests."""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.domain.release import Fetched
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.database import Database, Row
from mograder.store.postgres.submissions import PostgresSubmissions
from mograder.web.pages.routes import VIEWS
from mograder.wire.endpoints import ENDPOINTS, Endpoint
from mograder.wire.paths import build_path
from tests.parts import ALICE, CODE, HW1, NOON, Clock, make_course_folder, token_of
from tests.postgres import new_course
from tests.web.in_process import Web
from tests.web.pages.test_sessions import Visitor

Query = tuple[str, Sequence[object]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Query]]:
    """Every round trip that reads: its queries with their values."""
    found: list[list[Query]] = []
    read, read_together = Database.read, Database.read_together

    def noted(self: Database, sql: str, values: Sequence[object] = ()) -> list[Row]:
        found.append([(sql, values)])
        return read(self, sql, values)

    async def noted_together(self: Database, queries: Sequence[Query]) -> list[list[Row]]:
        found.append(list(queries))
        return await read_together(self, queries)

    monkeypatch.setattr(Database, "read", noted)
    monkeypatch.setattr(Database, "read_together", noted_together)
    return found


@pytest.fixture
def web(courses: PostgresCourses, tmp_path: Path) -> Web:
    store = courses.open(new_course(courses, Folders.of(make_course_folder(tmp_path))))
    course = Course(store, Ed25519Signer(store.keys.signing_key(new_private_key)), Clock(NOON), CODE)
    course.accounts.register("alice", CODE)
    return Web(course)


PATHS = (
    "/assignments", "/assignments/hw1/status?user=alice", "/assignments/hw1/submissions",
    "/assignments/hw1/receipts?user=alice", "/assignments/hw1/result?user=alice", "/assignments/hw1/files/hw1.py",
)  # fmt: skip


def test_every_query_of_a_request_uses_an_index(web: Web, asked: list[list[Query]], postgres_url: str) -> None:
    web.submit().raise_for_status()
    for path in PATHS:
        web("GET", path).raise_for_status()
    web("GET", "/assignments", "alice").raise_for_status()
    course = web.course
    course.store.release.note_fetched([Fetched(HW1, ALICE, NOON)])
    course.standings.board()
    course.submissions.rush()
    course.marking.overview(COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"))
    queries = [query for sent in asked for query in sent]
    assert len({sql for sql, _ in queries}) > 12
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")  # small tables would be read whole although there is an index
        for sql, values in dict(queries).items():
            plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {sql}", values).fetchall())
            assert "Seq Scan" not in plan, f"{sql}\n{plan}"


@pytest.fixture
def asked_in_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the event loop of a server waited for the database: the code that did so."""
    found: list[str] = []
    attempt = Database._attempt

    def noted(self: Database, work: Callable[[Any], Any], patience: float) -> Any:
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            found.append("".join(traceback.format_stack(limit=12)))
        return attempt(self, work, patience)

    monkeypatch.setattr(Database, "_attempt", noted)
    return found


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)
def test_no_request_waits_for_the_database_in_the_event_loop(
    web: Web, asked_in_the_event_loop: list[str], row: Endpoint
) -> None:
    web.submit().raise_for_status()
    path = build_path(row, {"assignment": "hw1", "user": "alice", "file": "hw1.py"})
    for user in (INSTRUCTOR, "alice", None):
        for query in ("?user=alice", "?user=alice&which=counts"):
            reply = web(row.method, path + query, user, content=b"" if row.method == "GET" else b"{}")
            assert reply.status_code < 500
    assert asked_in_the_event_loop == []


@pytest.mark.parametrize("user", [INSTRUCTOR, "alice"])
def test_no_page_waits_for_the_database_in_the_event_loop(
    web: Web, asked_in_the_event_loop: list[str], user: str
) -> None:
    web.submit().raise_for_status()
    visitor = Visitor(web.course)
    values = {"assignment": "hw1", "user": "alice", "person": "alice", "file": "alice.py", "tag": "x", "name": "x"}
    for view in VIEWS:
        path = re.sub(r"{(\w+)[^}]*}", lambda match: values[match[1]], view.path)
        if path.endswith(("/live", "/live/marking")) or path == "/logout":  # a stream has no end
            continue
        visitor.cookies.clear()  # also of those by which an instructor views the pages as a student
        visitor.post("/login", token=token_of(web.course, user))
        answer = visitor.get(path) if view.method == "GET" else visitor.post(path)
        assert answer.status_code < 500
    assert asked_in_the_event_loop == []


def test_all_versions_are_read_with_one_query(web: Web, asked: list[list[Query]]) -> None:
    web.course.store.versions()
    assert len(asked) == 1


def test_a_submission_makes_two_round_trips(web: Web, asked: list[list[Query]]) -> None:
    """When its head arrives and when its bytes are there: versions and rows of the sender, finally also commitments."""
    headers = web.bearer("alice")
    web.submit(content=b"one").raise_for_status()
    asked.clear()
    web("POST", "/assignments/hw1/submit?user=alice", None, content=b"two", headers=headers).raise_for_status()
    assert len(asked) == 2, asked


def test_simultaneous_submissions_share_their_queries(
    web: Web, asked: list[list[Query]], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [f"s{number:02}" for number in range(40)]
    headers = {name: web.bearer(name) for name in people}
    web.submit(content=b"one").raise_for_status()
    sent: list[int] = []
    commit = PostgresSubmissions._commit

    def counted(self: PostgresSubmissions, together: list[Any]) -> None:
        sent.append(len(together))
        commit(self, together)

    monkeypatch.setattr(PostgresSubmissions, "_commit", counted)
    asked.clear()

    async def all_at_once() -> list[int]:
        transport = httpx2.ASGITransport(web.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            asks = [
                client.post(f"/assignments/hw1/submit?user={name}", content=name.encode(), headers=headers[name])
                for name in people
            ]
            return [reply.status_code for reply in await asyncio.gather(*asks)]

    assert asyncio.run(all_at_once()) == [200] * len(people)
    assert sum(sent) == len(people)
    assert len(asked) <= len(people) / 4, f"{len(asked)} round trips, and {len(sent)} transactions"
