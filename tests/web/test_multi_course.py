"""Many courses on one server, in a database and in a folder: each has the whole protocol and its own people."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.errors import NotFound, Temporary
from mograder.domain.names import INSTRUCTOR, CourseName, Username
from mograder.domain.store import Courses
from mograder.domain.tokens import sign
from mograder.factory import ManyCourses, open_courses
from mograder.store.folder.layout import served_folders
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.publication import read_publication
from mograder.web import multi_course
from mograder.web.app import App
from mograder.web.multi_course import ManyApps
from mograder.web.pages.sessions import new_ticket
from tests.parts import NOON, PATIENCE, make_course_folder, serving, sha256
from tests.postgres import Server, fresh_database, new_course

ALGEBRA, LOGIC = CourseName("algebra"), CourseName("logic")
NOTE = Event(NOON, "test", "test", "course")


@dataclass(frozen=True)
class Many:
    """A server with the courses algebra and logic. `make` adds another course."""

    client: httpx2.Client
    courses: Courses
    make: Callable[[CourseName], None]

    def bearer(self, course: CourseName, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {sign(self.courses.open(course).keys.secrets()[0], Username(name))}"}


@pytest.fixture(params=["folder", "postgres"])
def many(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Many]:
    if request.param == "folder":
        place = tmp_path / "courses"
        place.mkdir()
        words = ["--courses", str(place)]
        parents = {name: place / name for name in ("algebra", "logic", "sets")}
        courses: Courses = open_courses(place)
    else:
        server: Server = request.getfixturevalue("postgres_server")
        url = fresh_database(server)
        words = ["--store", url]
        parents = {name: tmp_path / name for name in ("algebra", "logic", "sets")}
        courses = PostgresCourses(url)

    def make(name: CourseName) -> None:
        courses.create(name, NOTE)
        home = parents[name]
        files = home / "release" / "hw1" / "files"
        files.mkdir(parents=True)
        (files / "hw1.py").write_text(f"# {name}\n")
        (home / "mograder.toml").write_text(f'title = "{name}"\n[server]\nenrollment_code = "code of {name}"\n')
        if isinstance(courses, PostgresCourses):
            courses.publish(name, read_publication(served_folders(home / "release")), NOTE)

    make(ALGEBRA)
    make(LOGIC)
    with (
        serving(*words) as (_, port, _),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        yield Many(client, courses, make)
    courses.close()


def register(many: Many, course: str, user: str = "alice", code: str = "") -> httpx2.Response:
    body = {"user": user, "enrollment_code": code or f"code of {course}"}
    return many.client.post(f"/c/{course}/register", json=body)


def test_a_course_below_its_path_serves_the_whole_protocol(many: Many) -> None:
    get, post, base = many.client.get, many.client.post, "/c/algebra"
    assert get(base).json() == get(f"{base}/").json() == get("/").json() == {"status": "ok"}
    alice = {"Authorization": f"Bearer {register(many, 'algebra').json()['token']}"}
    teacher = many.bearer(ALGEBRA, "__instructor__")
    (listed,) = get(f"{base}/assignments", headers=alice).json()
    assert get(base + listed["files"][0]["url"], headers=alice).content == b"# algebra\n"
    large = b"x" * 3_000_000
    for content in (b"one", large):
        sent = post(f"{base}/assignments/hw1/submit", params={"user": "alice"}, content=content, headers=alice)
        assert sent.json()["sha256"] == sha256(content)
    (listed,) = get(f"{base}/assignments/hw1/submissions", headers=teacher).json()
    assert get(base + listed["url"], headers=teacher).content == large
    part = get(base + listed["url"], headers={**teacher, "Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, b"xxxxx")
    grades = [{"username": "alice", "grade": "1.3"}]
    assert post(f"{base}/assignments/hw1/grades", json=grades, headers=teacher).json()["count"] == 1
    page = {"files": ("alice.html", b"<p>good</p>")}
    assert post(f"{base}/assignments/hw1/feedback", files=page, headers=teacher).status_code == 200
    status = get(f"{base}/assignments/hw1/status", params={"user": "alice"}, headers=alice).json()
    assert (status["grade"], status["feedback_available"]) == ("1.3", True)
    assert get(f"{base}/assignments/hw1/feedback/alice", headers=alice).content == b"<p>good</p>"
    assert f"{base}" in get(f"{base}/mograder.toml").text


def test_people_codes_and_tokens_belong_to_one_course(many: Many) -> None:
    token = register(many, "algebra").json()["token"]
    assert register(many, "algebra").status_code == 409
    assert register(many, "logic", code="code of algebra").status_code == 403
    assert register(many, "logic").json()["token"] != token
    answer = many.client.get("/c/logic/assignments", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    teacher = many.bearer(ALGEBRA, "__instructor__")
    assert many.client.get("/c/logic/roster", headers=teacher).status_code == 401
    assert many.client.get("/c/algebra/roster", headers=teacher).status_code == 200


def test_addresses_outside_the_courses_are_404(many: Many) -> None:
    for path in (
        "/assignments",
        "/c",
        "/c/",
        "/c/none/",
        "/c/none/assignments",
        "/c/%2e%2e/x",
        "/c/.x/",
        "/d/algebra/",
        "//x",
        "//c/algebra/",
    ):
        answer = many.client.get(many.client.base_url.copy_with(raw_path=path.encode()))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/", 200, "There are several courses"),
        ("/c/", 404, "a course is at /c/&lt;course&gt;/"),
        ("/c/none/", 404, "no course"),
    ],
)
def test_a_browser_outside_the_courses_is_told_where_they_are(many: Many, path: str, status: int, said: str) -> None:
    reply = many.client.get(path, headers={"Accept": "text/html"})
    assert (reply.status_code, reply.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in reply.text
    assert "<code>/c/algebra/</code>" in reply.text
    assert reply.headers["content-security-policy"] == "default-src 'none'"


def test_a_new_course_is_served_at_once_and_an_archived_one_is_404_until_it_is_reopened(
    many: Many,
) -> None:
    assert many.client.get("/c/sets/").status_code == 404
    many.make(CourseName("sets"))
    assert many.client.get("/c/sets/").status_code == 200
    token = register(many, "sets").json()["token"]

    def status() -> int:
        return many.client.get("/c/sets/assignments", headers={"Authorization": f"Bearer {token}"}).status_code

    assert status() == 200
    many.courses.archive(CourseName("sets"), NOON, NOTE)
    while status() != 404:  # a server looks for courses every two seconds
        pass
    assert [each.archived for each in many.courses.entries()] == [None, None, NOON]
    many.courses.archive(CourseName("sets"), None, NOTE)
    assert status() == 200


def test_the_root_allows_only_the_methods_of_the_health_endpoint(many: Many) -> None:
    assert many.client.options("/anything").status_code == 204
    refused = many.client.post("/")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_a_session_is_valid_at_all_servers_and_a_login_link_logs_in_once_in_total(
    postgres_server: Server, tmp_path: Path
) -> None:
    url = fresh_database(postgres_server)
    courses = PostgresCourses(url)
    name = new_course(courses, served_folders(make_course_folder(tmp_path)))
    course = ManyCourses(courses).course(name)
    token = sign(course.store.keys.secrets()[0], Username("__instructor__"))
    ticket, _ = new_ticket(course, INSTRUCTOR)
    with serving("--store", url) as (_, one, _), serving("--store", url) as (_, other, _):
        first, second = (
            httpx2.Client(base_url=f"http://127.0.0.1:{port}/c/{name}", timeout=PATIENCE) for port in (one, other)
        )
        with first, second:
            origin = {"Origin": f"http://127.0.0.1:{one}"}
            answer = first.post("/login", data={"token": token}, headers=origin)
            assert answer.status_code == 303
            cookie = answer.headers["set-cookie"].partition(";")[0]
            assert f"path=/c/{name}" in answer.headers["set-cookie"].lower()
            page = second.get("/", headers={"Cookie": cookie, "Accept": "text/html"})
            assert page.status_code == 200
            assert "/logout" in page.text
            spent = [
                client.post(
                    "/once", data={"ticket": ticket}, headers={"Origin": f"http://127.0.0.1:{port}"}
                ).status_code
                for client, port in ((first, one), (second, other))
            ]
            assert spent[0] == 303
            assert spent[1] >= 400
    courses.close()


def test_requests_that_wait_for_a_course_share_lookups_and_get_one_application(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups: list[CourseName] = []
    made: list[Course] = []
    begun, goes_on = threading.Event(), threading.Event()
    create = multi_course.create_app

    def noted(course: Course, **options: Any) -> App:
        made.append(course)
        return create(course, **options)

    monkeypatch.setattr(multi_course, "create_app", noted)

    def find(name: CourseName) -> Course:
        lookups.append(name)
        begun.set()
        assert goes_on.wait(PATIENCE)
        return course

    async def ask() -> set[int]:
        transport = httpx2.ASGITransport(ManyApps(find))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test", trust_env=False) as client:
            asking = [asyncio.create_task(client.get("/c/algebra/"))]
            assert await asyncio.to_thread(begun.wait, PATIENCE)
            asking += [asyncio.create_task(client.get("/c/algebra/")) for _ in range(20)]
            for _ in range(20):  # until all wait
                await asyncio.sleep(0)
            goes_on.set()
            return {(await each).status_code for each in asking}

    assert asyncio.run(ask()) == {200}
    assert (lookups, made) == ([ALGEBRA, ALGEBRA], [course])


def test_a_course_is_served_while_it_cannot_be_looked_up_and_not_after_it_was_archived(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multi_course, "LOOKUP_SECONDS", 0.0)
    found: Course | Exception = Temporary("the course's database is away: try again", retry_after=5)

    def find(name: CourseName) -> Course:
        if isinstance(found, Exception):
            raise found
        return found

    async def ask() -> tuple[int, str]:
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://test", trust_env=False
        ) as client:
            answer = await client.get("/c/algebra/")
            return answer.status_code, answer.headers.get("retry-after", "")

    app = ManyApps(find)
    assert asyncio.run(ask()) == (503, "5")
    found = course
    assert asyncio.run(ask()) == (200, "")
    found = Temporary("the course's database is away: try again", retry_after=5)
    assert asyncio.run(ask()) == (200, "")
    found = NotFound("there is no course 'algebra'")
    assert asyncio.run(ask()) == (404, "")
    found = Temporary("the course's database is away: try again", retry_after=5)
    assert asyncio.run(ask()) == (503, "5")
