"""Files that an instructor has broken under a running server: everything else works, and instructors are told."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import httpx2
import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.web.pages.sessions import new_ticket
from tests import prefork
from tests.parts import CODE, PATIENCE, Running, environment, free_port, running
from tests.web.in_process import Web
from tests.web.pages.test_sessions import OURS, Visitor

DUE = 1_773_147_600  # Unix seconds
PLAN = f'title = "Physics"\n[[assignments]]\nname = "hw1"\ndue = {DUE}\n'
MANIFEST = json.dumps([{"name": "hw1", "title": "Waves", "due": DUE}])

BROKEN = {
    "a typo in mograder.toml": ("mograder.toml", PLAN, PLAN.replace("due", "dew"), "did you mean 'due'?"),
    "no TOML in mograder.toml": ("mograder.toml", PLAN, PLAN.replace("due =", "due"), "line 4, column"),
    "no UTF-8 in mograder.toml": ("mograder.toml", PLAN, "title = '\udcff'", "mograder.toml"),
    "half an assignments.json": ("release/assignments.json", MANIFEST, MANIFEST[:-2], "line 1 column"),
    "another assignments.json": ("release/assignments.json", MANIFEST, '[{"name": "hw1", "due": "soon"}]', "entry 1"),
}
Breaking = tuple[Path, str, str]


@pytest.fixture(params=BROKEN.values(), ids=BROKEN)
def broken(request: pytest.FixtureRequest, course_folder: Path) -> Breaking:
    """A valid file, its broken content, and the reported place."""
    name, well, ill, place = request.param
    file = course_folder.parent / name
    file.write_text(well)
    return file, ill, place


def break_it(file: Path, ill: str) -> None:
    file.write_bytes(ill.encode(errors="surrogateescape"))


def said(reply: httpx2.Response) -> list[str]:
    return [unquote(each) for each in reply.headers.get_list("mograder-trouble")]


def page_of_instructor(course: Course) -> Visitor:
    visitor = Visitor(course)
    visitor.post("/once", ticket=new_ticket(course, INSTRUCTOR)[0])
    return visitor


def test_a_file_that_breaks_while_the_server_runs_has_no_effect_until_it_is_repaired(
    course: Course, course_folder: Path, broken: Breaking, caplog: pytest.LogCaptureFixture
) -> None:
    file, ill, place = broken
    web = Web(course)
    before = web("GET", "/assignments", "alice").json()
    break_it(file, ill)
    for number in range(3):
        reply = web.submit(content=b"%d" % number)
        assert (reply.status_code, reply.json()["duedate"]) == (200, DUE)
    assert web("GET", "/assignments", "alice").json() == before
    assert [record.message.count(f"{file}") for record in caplog.records if record.levelname == "ERROR"] == [1]
    assert place in caplog.text
    assert file.read_bytes() == ill.encode(errors="surrogateescape")
    file.write_text("[]" if file.suffix == ".json" else 'title = "Mended"\n')
    assert web("GET", "/assignments", "alice").json() != before
    assert said(web("GET", "/assignments")) == []


def test_instructors_see_what_is_broken_and_where_and_students_do_not(course: Course, broken: Breaking) -> None:
    file, ill, place = broken
    web, page, alice = Web(course), page_of_instructor(course), Visitor(course)
    alice.post("/join", user="alice", code=CODE)
    web("GET", "/assignments")
    break_it(file, ill)
    for path in ("/assignments", "/roster", "/assignments/nothing/submissions"):
        (trouble,) = said(web("GET", path))
        assert "its earlier content stays in force" in trouble
        assert str(file) in trouble
        assert place in trouble
    assert str(file) in page.get("/").text
    for theirs in (web("GET", "/assignments", "alice"), web("GET", "/", None), alice.get("/"), alice.get("/my/hw1")):
        assert theirs.status_code == 200
        assert said(theirs) == []
        assert file.name not in theirs.text


def test_a_removed_file_is_not_reported_as_broken(course: Course, course_folder: Path) -> None:
    web = Web(course)
    for name, well in (("mograder.toml", PLAN), ("release/assignments.json", MANIFEST)):
        (course_folder.parent / name).write_text(well)
        assert web("GET", "/assignments", "alice").json()[0]["duedate"] == DUE
        (course_folder.parent / name).unlink()
        reply = web("GET", "/assignments")
        assert "duedate" not in reply.json()[0]
        assert said(reply) == []


def test_a_manifest_that_is_broken_from_the_beginning_leaves_the_folders_in_force(
    course: Course, course_folder: Path
) -> None:
    web = Web(course)
    before = web("GET", "/assignments").json()
    (course_folder / "assignments.json").write_text("[")
    reply = web("GET", "/assignments")
    assert reply.json() == before
    assert "assignments.json" in said(reply)[0]


def test_a_broken_manifest_keeps_its_last_good_version_when_the_time_zone_changes(
    course: Course, course_folder: Path
) -> None:
    web = Web(course)
    (course_folder / "assignments.json").write_text(MANIFEST)
    web("GET", "/assignments")
    (course_folder / "assignments.json").write_text("[")
    (course_folder.parent / "mograder.toml").write_text('timezone = "Europe/Vienna"\n')
    assert web("GET", "/assignments", "alice").json()[0]["title"] == "Waves"


def test_with_a_broken_table_of_grades_pages_show_everything_but_the_grades(
    course: Course, course_folder: Path
) -> None:
    alice, page = Visitor(course), page_of_instructor(course)
    alice.post("/join", user="alice", code=CODE)
    course.grades.upload(
        COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"), [{"username": "a", "grade": 1}]
    )
    table = course_folder / "hw1" / "grades.json"
    table.write_text('[{"username": "alice", "grade": 7},')
    for path in ("/", "/my/hw1"):
        assert "cannot be read just now" in alice.get(path).text
    answer = alice.send("POST", "/my/hw1", OURS, files={"file": ("work.py", b"x = 1\n")})
    assert answer.status_code == 303
    assert "Received" in alice.get(answer.headers["location"]).text
    board = page.get("/")
    assert board.status_code == 200
    assert "alice" in board.text
    assert f"{table}: " in board.text
    assert table.read_text() == '[{"username": "alice", "grade": 7},'


@pytest.mark.parametrize("words", [(), ("--workers", "2")])
@pytest.mark.parametrize(("name", "text"), [("mograder.toml", "titel = 1"), ("release/assignments.json", "{")])
def test_a_server_does_not_start_with_a_broken_file(
    course_folder: Path, name: str, text: str, words: tuple[str, ...]
) -> None:
    file = course_folder.parent / name
    file.write_text(text)
    ran = prefork.run(["serve", str(course_folder), "-p", str(free_port()), *words], environment(), PATIENCE)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    (line,) = ran.stderr.splitlines()
    assert f"cannot be understood ({file}: " in line
    assert file.read_text() == text


def test_each_worker_keeps_the_last_good_configuration(course_folder: Path) -> None:
    (course_folder.parent / "mograder.toml").write_text(PLAN)
    with running(course_folder, "--workers", "2") as server:
        (course_folder.parent / "mograder.toml").write_text("title = ")
        for number in range(20):
            with httpx2.Client(
                base_url=server.url, timeout=PATIENCE
            ) as client:  # a new connection, so handled by any process
                reply = client.post(
                    "/assignments/hw1/submit?user=alice", content=b"%d" % number, headers=server.bearer("alice")
                )
            assert (reply.status_code, reply.json()["duedate"]) == (200, DUE)
        assert server.stop() == 0


def damage(root: Path) -> None:
    """Destroy the ledger after its first bytes, and its write-ahead log."""
    for path in (root / ".mograder.db", root / ".mograder.db-wal"):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(100)
            file.write(b"\xa5" * (size - 100))


def test_a_ledger_damaged_under_a_running_server_is_503_without_details_and_never_overwritten(
    server: Running,
) -> None:
    joined = server.client.post("/register", json={"user": "alice", "enrollment_code": CODE})
    assert joined.status_code == server.submit("alice", b"work").status_code == 200
    damage(server.root)
    for reply in (
        server.submit("alice", b"more"),
        server.client.get("/assignments", headers=server.bearer("alice")),
        server.client.post("/register", json={"user": "bob", "enrollment_code": CODE}),
    ):
        assert (reply.status_code, reply.json()["code"]) == (503, "unreadable"), reply.text
        assert reply.json().keys() == {"error", "code"}
    theirs = server.client.get("/roster", headers=server.bearer())
    assert theirs.status_code == 503
    assert theirs.json()["place"].startswith(f"{server.root / '.mograder.db'}: ")
    for path in ("/", "/assignments", "/assignments/hw1/files/hw1.py", "/assignments/hw1/submissions/alice.py"):
        assert server.client.get(path, headers=server.bearer()).status_code == 200, path
    assert server.stop() == 0
    left = (server.root / ".mograder.db").read_bytes()  # into which SQLite has written its damaged log
    ran = prefork.run(["serve", str(server.root)], environment(), PATIENCE)
    assert ran.returncode == 1
    assert (server.root / ".mograder.db").read_bytes() == left
    assert (server.submitted / "hw1" / "alice.py").read_bytes() == b"work"
