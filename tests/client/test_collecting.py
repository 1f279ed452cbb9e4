"""Collecting submissions: named by student, only new ones, and continued after an interruption."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.client.client import Client
from mograder.client.collecting import collect
from mograder.client.connection import RetryPolicy
from mograder.domain.errors import NetworkFailure
from tests.hostile import Answer, HostileServer, as_json
from tests.parts import PATIENCE, Running, names_in, sha256

QUICK = RetryPolicy(attempts=2, total=PATIENCE, first_wait=0.001)


@pytest.fixture
def instructor(server: Running) -> Iterator[Client]:
    with Client(server.url, server.token("__instructor__")) as client:
        yield client


@pytest.fixture
def hostile_client(hostile_server: HostileServer) -> Iterator[Client]:
    with Client(hostile_server.url, patience=QUICK) as client:
        yield client


def collect_hw1(client: Client, folder: Path, force: bool = False) -> dict[str, bool]:
    """Collect hw1, without any problem. Returns for each user whether the submission was new."""
    results = list(collect(client, "hw1", folder, force))
    assert [each.problem for each in results if each.problem] == []
    return {each.user: each.new for each in results}


def zipped(members: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return memory.getvalue()


def lists(server: HostileServer, content: dict[str, bytes], **more: object) -> None:
    listing = [{"username": user, "filename": f"{user}.py", "url": f"/f/{user}", **more} for user in content]
    server.answer("GET /assignments/hw1/submissions", as_json(listing))
    for user, body in content.items():
        server.answer(f"GET /f/{user}", Answer(body))


def downloads(server: HostileServer) -> list[str]:
    return [asked.path for asked in server.requests if asked.path.startswith("/f/")]


def test_only_new_submissions_are_collected(server: Running, instructor: Client, tmp_path: Path) -> None:
    folder = tmp_path / "collected"
    assert collect_hw1(instructor, folder) == {}
    students = [f"student{number}" for number in range(20)]
    for student in students:
        server.submit(student, f"{student}\n".encode())
    assert collect_hw1(instructor, folder) == dict.fromkeys(students, True)
    assert all((folder / f"{student}.py").read_text() == f"{student}\n" for student in students)
    assert collect_hw1(instructor, folder) == dict.fromkeys(students, False)
    server.submit("student7", b"again\n")
    assert {user for user, new in collect_hw1(instructor, folder).items() if new} == {"student7"}
    assert (folder / "student7.py").read_bytes() == b"again\n"
    (folder / "student3.py").unlink()
    assert {user for user, new in collect_hw1(instructor, folder).items() if new} == {"student3"}
    assert collect_hw1(instructor, folder, force=True) == dict.fromkeys(students, True)


def test_changes_by_an_instructor_in_a_collected_file_stay_until_there_is_a_new_submission(
    server: Running, instructor: Client, tmp_path: Path
) -> None:
    server.submit("alice", b"work\n")
    collect_hw1(instructor, tmp_path)
    (tmp_path / "alice.py").write_bytes(b"work  # good\n")
    assert collect_hw1(instructor, tmp_path) == {"alice": False}
    assert (tmp_path / "alice.py").read_bytes() == b"work  # good\n"


def test_an_archive_is_unpacked_into_a_notebook_and_a_folder_of_its_student(
    server: Running, instructor: Client, tmp_path: Path
) -> None:
    folder = tmp_path / "collected"
    for student in ("alice", "bob"):
        server.submit(student, zipped({"helper.py": b"h", "hw/main.py": f"# {student}".encode(), "data.csv": b"1"}))
    collect_hw1(instructor, folder)
    assert names_in(folder) == [".mograder", "alice", "alice.py", "bob", "bob.py"]
    assert (folder / "alice.py").read_bytes() == b"# alice"
    assert names_in(folder / "bob") == ["data.csv", "helper.py", "hw"]
    assert collect_hw1(instructor, folder) == {"alice": False, "bob": False}
    server.submit("alice", zipped({"main.py": b"second"}))
    assert collect_hw1(instructor, folder) == {"alice": True, "bob": False}
    assert names_in(folder / "alice") == ["main.py"]


def test_an_earlier_submission_of_another_kind_is_removed(server: Running, instructor: Client, tmp_path: Path) -> None:
    folder = tmp_path / "collected"
    server.submit("bob", b"work")
    collect_hw1(instructor, folder)
    (folder / "alice").mkdir()  # a folder that the instructor has made
    for content, names in (
        (b"# work", ["alice", "alice.py"]),
        (zipped({"data.csv": b"1"}), ["alice"]),
        (zipped({"hw1.py": b"# work"}), ["alice", "alice.py"]),
        (zipped({"../hw1.py": b"evil"}), ["alice.zip"]),
        (b"# more work", ["alice.py"]),
    ):
        server.submit("alice", content)
        list(collect(instructor, "hw1", folder))
        assert names_in(folder) == sorted([".mograder", *names, "bob.py"])
        assert not any(each.new for each in collect(instructor, "hw1", folder))
    assert (folder / "alice.py").read_bytes() == b"# more work"


LATIN = zipped({"cafX.csv": b"x", "hw.py": b"1"}).replace(b"cafX", b"caf\xe9")
ODD = {
    "outside": zipped({"../bob.py": b"evil"}), "long": zipped({"x" * 300 + ".py": b"1"}),
    "cut": zipped({"a": b"1"})[:-9],
    "both": zipped({"a": b"1", "a/b.py": b"1"}), "latin": LATIN,
    "steers": zipped({"\x1b[2Ja.py": b"1", "b\nc.py": b"1"}),
}  # fmt: skip
"""Archives that are unusual; only the last two can be unpacked."""


def test_archives_with_unusual_names_do_not_delay_others_and_are_reported_by_student(
    server: Running, instructor: Client, tmp_path: Path
) -> None:
    for user, archive in ODD.items():
        server.submit(user, archive)
    server.submit("zoe", b"work\n")
    results = {each.user: each for each in collect(instructor, "hw1", tmp_path / "in")}
    refused = {user for user, each in results.items() if each.problem}
    assert refused == {"outside", "long", "cut", "both"}
    for user in refused:
        assert f"kept as {user}.zip" in results[user].problem
        assert str(tmp_path) not in results[user].problem
        assert re.search(rf"'{user}.zip'|'\.\./bob\.py'", results[user].problem), results[user].problem
    folders = {"latin", "latin.py", "steers", "steers.py"}
    assert set(names_in(tmp_path / "in")) == {".mograder", "zoe.py", *(f"{user}.zip" for user in refused), *folders}
    assert names_in(tmp_path / "in" / "steers") == ["_[2Ja.py", "b_c.py"]
    assert names_in(tmp_path) == ["course", "in"]
    (tmp_path / "in" / "latin" / os.fsdecode(b"caf\xe9.txt")).write_text("a grader's note in a file of another system")
    assert not any(each.new or each.failed for each in collect(instructor, "hw1", tmp_path / "in"))
    server.submit("latin", b"newer\n")
    again = {each.user: each for each in collect(instructor, "hw1", tmp_path / "in")}
    assert "what you changed is kept as" in again["latin"].problem


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize(("folder_mode", "others"), [(0o755, 0o077), (0o2755, 0o027)])
def test_other_users_cannot_open_collected_files(
    folder_mode: int, others: int, hostile_client: Client, hostile_server: HostileServer, tmp_path: Path
) -> None:
    work = {"alice": b"x = 1", "bob": zipped({"a.py": b"x = 2", "data/b.csv": b"1"}), "carol": b"%PDF-1", "dan": b"PK"}
    lists(hostile_server, work)
    folder = tmp_path / "hw1"
    folder.mkdir()
    folder.chmod(folder_mode)
    before = os.umask(0o022)
    try:
        list(collect(hostile_client, "hw1", folder))
    finally:
        os.umask(before)
    found = [*(path for path in folder.iterdir() if path.name != ".mograder"), folder / ".mograder/collected.json"]
    assert {path.name: path.stat().st_mode & 0o777 & others for path in found} == {path.name: 0 for path in found}
    assert {path.name for path in found} == {"alice.py", "bob", "bob.py", "carol.pdf", "dan.py", "collected.json"}
    if others == 0o027:  # the group may read all of it
        assert [path.name for path in found if not path.stat().st_mode & 0o040] == []


def test_without_checksums_contents_are_compared(
    hostile_server: HostileServer, hostile_client: Client, tmp_path: Path
) -> None:
    lists(hostile_server, {"alice": b"1", "bob": b"1"})
    assert collect_hw1(hostile_client, tmp_path) == {"alice": True, "bob": True}
    lists(hostile_server, {"alice": b"2", "bob": b"1"})
    assert collect_hw1(hostile_client, tmp_path) == {"alice": True, "bob": False}
    lists(hostile_server, {"alice": b"2", "bob": b"1"}, timemodified=5, size=1)
    collect_hw1(hostile_client, tmp_path)
    asked = len(downloads(hostile_server))
    assert collect_hw1(hostile_client, tmp_path) == {"alice": False, "bob": False}
    assert len(downloads(hostile_server)) == asked


def test_an_interrupted_run_continues_where_it_stopped(
    hostile_server: HostileServer, hostile_client: Client, tmp_path: Path
) -> None:
    lists(hostile_server, {f"user{number}": b"1" for number in range(20)}, sha256=sha256(b"1"), size=1)
    hostile_server.answer("GET /f/user19", Answer(hang_up=True))
    with pytest.raises(NetworkFailure):
        collect_hw1(hostile_client, tmp_path)
    arrived = {path.stem for path in tmp_path.glob("*.py")}
    assert arrived
    hostile_server.answer("GET /f/user19", Answer(b"1"))
    assert {user for user, new in collect_hw1(hostile_client, tmp_path).items() if not new} >= arrived
    assert len(list(tmp_path.glob("*.py"))) == 20
    assert names_in(tmp_path / ".mograder") == ["collected.json"]


@pytest.mark.parametrize("name", ["../evil", "/etc/x", "..", "", "a/b", "alice.py", ".hidden", "alice_20260310T200800"])
def test_a_user_name_cannot_lead_out_of_the_folder(
    name: str, hostile_server: HostileServer, hostile_client: Client, tmp_path: Path
) -> None:
    listing = [{"username": name, "filename": "x.py", "url": "/f/x"}]
    hostile_server.answer("GET /assignments/hw1/submissions", as_json(listing))
    hostile_server.answer("GET /f/x", Answer(b"evil"))
    (result,) = collect(hostile_client, "hw1", tmp_path / "in")
    assert result.problem
    assert not result.new
    assert names_in(tmp_path) == ["in"]
    assert names_in(tmp_path / "in") == [".mograder"]


def test_a_missing_file_is_a_problem_of_that_student_only(
    hostile_server: HostileServer, hostile_client: Client, tmp_path: Path
) -> None:
    lists(hostile_server, {"alice": b"1", "bob": b"1", "Alice": b"2"})
    hostile_server.answer("GET /f/bob", as_json({"error": "gone"}, 404))
    results = {each.user: (each.new, bool(each.problem)) for each in collect(hostile_client, "hw1", tmp_path)}
    assert results == {"alice": (True, False), "bob": (False, True), "Alice": (False, True)}
    assert (tmp_path / "alice.py").read_bytes() == b"1"


def test_a_changed_file_is_kept_aside_and_reported_when_a_new_submission_arrives(
    server: Running, instructor: Client, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    server.submit("alice", b"work\n")
    server.submit("bob", zipped({"hw1.py": b"# bob", "data.csv": b"1"}))
    collect_hw1(instructor, folder)
    (folder / "alice.py").write_bytes(b"work  # good\n")
    (folder / "bob/notes.txt").write_text("see exercise 3")
    server.submit("alice", b"more work\n")
    server.submit("bob", b"# more\n")
    problems = {each.user: each.problem for each in collect(instructor, "hw1", folder)}
    assert (folder / "alice.py").read_bytes() == b"more work\n"
    aside = folder / ".mograder/aside"
    assert (aside / "1-alice.py").read_bytes() == b"work  # good\n"
    assert (aside / "1-bob/notes.txt").read_text() == "see exercise 3"
    assert str(aside / "1-alice.py") in problems["alice"]
    assert str(aside / "1-bob") in problems["bob"]
    assert names_in(folder) == [".mograder", "alice.py", "bob.py"]
    (folder / "alice.py").write_bytes(b"more work  # better\n")
    list(collect(instructor, "hw1", folder, force=True))
    assert (aside / "2-alice.py").read_bytes() == b"more work  # better\n"


def test_caches_left_by_running_a_notebook_are_no_change(server: Running, instructor: Client, tmp_path: Path) -> None:
    server.submit("alice", zipped({"hw1.py": b"# alice", "tea.csv": b"1"}))
    collect_hw1(instructor, tmp_path / "in")
    for name in ("__pycache__/hw1.pyc", "__marimo__/session/hw1.json", ".ipynb_checkpoints/x"):
        (tmp_path / "in/alice" / name).parent.mkdir(parents=True)
        (tmp_path / "in/alice" / name).write_text("x")
    server.submit("alice", b"# more\n")
    assert [each.problem for each in collect(instructor, "hw1", tmp_path / "in")] == [""]
    assert not (tmp_path / "in/.mograder/aside").exists()


def test_work_of_people_no_longer_listed_is_moved_aside_and_reported(
    hostile_server: HostileServer, hostile_client: Client, tmp_path: Path
) -> None:
    def listing(*users: str) -> None:
        entries = [{"username": user, "filename": f"{user}.py", "url": f"/f/{user}.py"} for user in users]
        hostile_server.answer("GET /assignments/hw1/submissions", as_json(entries))
        for user in users:
            hostile_server.answer(f"GET /f/{user}.py", Answer(user.encode()))

    folder = tmp_path / "in"
    listing("alice", "bob")
    list(collect(hostile_client, "hw1", folder))
    (folder / "notes.txt").write_text("the grader's own")
    listing("alice")
    found = {each.user: each for each in collect(hostile_client, "hw1", folder, which="on-time")}
    assert "is not among these submissions" in found["bob"].problem
    assert not found["bob"].failed
    assert names_in(folder) == [".mograder", "alice.py", "notes.txt"]
    assert (folder / ".mograder/aside/1-bob.py").read_bytes() == b"bob"
    listing()
    list(collect(hostile_client, "hw1", folder))
    assert names_in(folder) == [".mograder", "notes.txt"]
    listing("alice", "bob")
    list(collect(hostile_client, "hw1", folder))
    assert names_in(folder) == [".mograder", "alice.py", "bob.py", "notes.txt"]


@pytest.mark.parametrize(
    ("filename", "content", "kept", "doubt"),
    [("bob.py", b"Rar!\x1a\x07\x01\x00", "bob.rar", True), ("bob.py", b"%PDF-1.7", "bob.pdf", True),
     ("bob.py", b"7z\xbc\xaf\x27\x1c", "bob.7z", True), ("bob.zip", b"Rar!\x1a\x07", "bob.zip", True),
     ("bob.zip", b"x = 1\n", "bob.zip", True), ("bob.pdf", b"%PDF-1.7", "bob.pdf", False),
     ("bob.docx", zipped({"[Content_Types].xml": b"<x/>"}), "bob.docx", False),
     ("bob.py", zipped({"[Content_Types].xml": b"<x/>"}), "bob.docx", True),
     ("bob.toml", b"[https]", "bob.bin", False), ("bob", b"x = 1\n", "bob.py", False)],
)  # fmt: skip
def test_a_submission_that_is_no_notebook_is_kept_unchanged_under_its_own_ending(
    filename: str,
    content: bytes,
    kept: str,
    doubt: bool,
    hostile_server: HostileServer,
    hostile_client: Client,
    tmp_path: Path,
) -> None:  # fmt: skip
    entry = {"username": "bob", "filename": filename, "url": "/f"}
    hostile_server.answer("GET /assignments/hw1/submissions", as_json([entry]))
    hostile_server.answer("GET /f", Answer(content))
    (found,) = collect(hostile_client, "hw1", tmp_path / "in")
    assert names_in(tmp_path / "in") == [".mograder", kept]
    assert (tmp_path / "in" / kept).read_bytes() == content
    assert (f"kept as {kept}" in found.problem) is doubt
