"""The files of a student: their work is never overwritten, and secrets are not readable by others."""

from __future__ import annotations

import io
import json
import stat
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.client.client import Client
from mograder.client.connection import RetryPolicy
from mograder.client.logins import Login, Logins
from mograder.client.settings import Settings, read_settings
from mograder.client.workspace import Fetched, Outcome, fetch, is_release_file, keep_receipt
from mograder.domain.errors import MograderError, Usage, VerificationFailed
from mograder.wire import messages
from tests.hostile import Answer, HostileServer
from tests.parts import NOTEBOOK, PATIENCE, Running, names_in, sha256

HERE, THERE = "https://course.example.org", "http://localhost:8080"


# logins


def test_logins_to_several_servers_are_kept(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "mograder")
    assert logins.last() is None
    here, there = Login(HERE, "alice", "alice:1"), Login(THERE, "bob", "bob:2")
    logins.keep(here)
    logins.keep(there)
    assert (logins.find(HERE), logins.find(THERE), logins.last()) == (here, there, there)
    logins.keep(Login(HERE, "alice", "alice:3"))
    assert Logins(tmp_path / "mograder").last() == Login(HERE, "alice", "alice:3")
    assert logins.drop(HERE)
    assert not logins.drop(HERE)
    assert logins.last() == there


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_logins_can_be_read_only_by_their_owner(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "mograder")
    logins.keep(Login(HERE, "alice", "alice:1"))
    assert stat.S_IMODE(logins.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(logins.path.parent.stat().st_mode) == 0o700


def test_the_login_of_the_published_client_is_found_and_deleted(tmp_path: Path) -> None:
    kept = tmp_path / "https_token.json"
    kept.write_text(json.dumps({"url": f"{THERE}/", "token": "alice:1", "user": "alice"}))
    logins = Logins(tmp_path)
    assert logins.find(THERE) == logins.last() == Login(THERE, "alice", "alice:1")
    logins.keep(Login(THERE, "bob", "bob:2"))
    assert logins.find(THERE) == Login(THERE, "bob", "bob:2")
    assert logins.drop(THERE)
    assert logins.find(THERE) is None
    kept.write_text("{")
    assert logins.last() is None


def test_unreadable_logins_are_reported_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "logins.json").write_text("[")
    with pytest.raises(MograderError, match=r"logins\.json"):
        Logins(tmp_path).keep(Login(HERE, "alice", "alice:1"))
    assert (tmp_path / "logins.json").read_text() == "["


# settings


def test_settings_come_from_mograder_toml(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == Settings()
    (tmp_path / "mograder.toml").write_text(
        '[https]\nurl = "x"\ntoken = "t"\n[dirs]\nsubmitted = "in"\n[other]\na = 1\n'
    )
    assert read_settings(tmp_path) == Settings("x", "t", "in", "feedback")
    for bad in ("[https", "[https]\nurl = 3\n"):
        (tmp_path / "mograder.toml").write_text(bad)
        with pytest.raises(Usage):
            read_settings(tmp_path)


# fetching


@pytest.fixture
def alice(server: Running) -> Iterator[Client]:
    with Client(server.url, server.token("alice")) as client:
        yield client


def fetch_hw1(client: Client, out: Path) -> dict[str, Outcome]:
    """Fetch hw1 into `out`. Returns the outcome of each path below it."""
    assignment = next(each for each in client.assignments() if each.name == "hw1")
    return outcomes(fetch(client, assignment, out), out)


def outcomes(fetched: Iterator[Fetched], out: Path) -> dict[str, Outcome]:
    return {each.path.relative_to(out).as_posix(): each.outcome for each in fetched}


def test_fetching_again_downloads_only_new_files(server: Running, alice: Client, tmp_path: Path) -> None:
    out, released = tmp_path / "out", server.root / "hw1" / "files"
    (released / "data").mkdir()
    (released / "data" / "größe 1.csv").write_bytes(b"a,b\n")
    assert fetch_hw1(alice, out) == {"data/größe 1.csv": Outcome.NEW, "hw1.py": Outcome.NEW}
    assert (out / ".mograder/release/hw1/hw1.py").read_bytes() == NOTEBOOK
    assert fetch_hw1(alice, out) == {"data/größe 1.csv": Outcome.UNCHANGED, "hw1.py": Outcome.UNCHANGED}
    (released / "hw1.py").write_bytes(b"second\n")
    assert fetch_hw1(alice, out)["hw1.py"] is Outcome.UPDATED
    assert (out / "hw1.py").read_bytes() == (out / ".mograder/release/hw1/hw1.py").read_bytes() == b"second\n"
    (out / "hw1.py").unlink()
    assert fetch_hw1(alice, out)["hw1.py"] is Outcome.NEW


def test_changes_of_a_student_are_never_overwritten(server: Running, alice: Client, tmp_path: Path) -> None:
    released = server.root / "hw1" / "files" / "hw1.py"
    fetch_hw1(alice, tmp_path)
    mine = tmp_path / "hw1.py"
    mine.write_bytes(b"my work\n")
    assert fetch_hw1(alice, tmp_path) == {"hw1.py": Outcome.KEPT}
    released.write_bytes(b"second\n")
    assert fetch_hw1(alice, tmp_path) == {"hw1.new.py": Outcome.BESIDE}
    assert fetch_hw1(alice, tmp_path) == {"hw1.py": Outcome.KEPT}
    released.write_bytes(b"third\n")
    assert fetch_hw1(alice, tmp_path) == {"hw1.new.py": Outcome.BESIDE}
    assert (tmp_path / "hw1.new.py").read_bytes() == b"third\n"
    (tmp_path / "hw1.new.py").write_bytes(b"my work too\n")
    released.write_bytes(b"fourth\n")
    assert fetch_hw1(alice, tmp_path) == {"hw1.new2.py": Outcome.BESIDE}
    assert mine.read_bytes() == b"my work\n"
    assert (tmp_path / "hw1.new.py").read_bytes() == b"my work too\n"


def test_an_existing_file_is_treated_as_the_work_of_the_student(alice: Client, tmp_path: Path) -> None:
    (tmp_path / "hw1.py").write_bytes(b"not from the course\n")
    assert fetch_hw1(alice, tmp_path) == {"hw1.new.py": Outcome.BESIDE}
    assert (tmp_path / "hw1.py").read_bytes() == b"not from the course\n"


@pytest.mark.parametrize("record", [None, b"", b"[]", b'{"files": 3, "archives": {}}'])
def test_a_lost_record_of_fetched_files_overwrites_nothing(
    record: bytes | None, server: Running, alice: Client, tmp_path: Path
) -> None:
    (server.root / "hw1/files/a.csv").write_bytes(b"1")
    fetch_hw1(alice, tmp_path)
    kept = tmp_path / ".mograder/release/hw1/.fetched.json"
    kept.unlink() if record is None else kept.write_bytes(record)
    (tmp_path / "a.csv").write_bytes(b"mine")
    (tmp_path / "hw1.py").write_bytes(b"mine")
    assert fetch_hw1(alice, tmp_path) == {"a.new.csv": Outcome.BESIDE, "hw1.py": Outcome.KEPT}


def test_files_fetched_by_the_published_client_are_recognised_by_its_copies(
    server: Running, alice: Client, tmp_path: Path
) -> None:
    for path in (tmp_path / "hw1.py", tmp_path / ".mograder/release/hw1/hw1.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(NOTEBOOK)
    (server.root / "hw1/files/hw1.py").write_bytes(b"second\n")
    assert fetch_hw1(alice, tmp_path) == {"hw1.py": Outcome.UPDATED}


def test_unchanged_files_are_not_downloaded(hostile_server: HostileServer, tmp_path: Path) -> None:
    listed = messages.ReleaseFileInfo("a.csv", "/a.csv", size=1, sha256=sha256(b"1"))
    hostile_server.answer("GET /a.csv", Answer(b"1"))
    with Client(hostile_server.url) as client:
        for _ in range(3):
            list(fetch(client, messages.AssignmentInfo("hw1", "hw1", [listed]), tmp_path))
    assert len(hostile_server.requests) == 1


def zipped(**members: bytes) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return memory.getvalue()


def test_an_archive_is_unpacked_and_its_files_are_treated_like_others(
    server: Running, alice: Client, tmp_path: Path
) -> None:
    released = server.root / "hw1" / "files" / "all.zip"
    released.write_bytes(zipped(a__py=b"1", b__csv=b"1"))
    assert fetch_hw1(alice, tmp_path) == {"a.py": Outcome.NEW, "b.csv": Outcome.NEW}
    assert (tmp_path / ".mograder/release/hw1/a.py").read_bytes() == b"1"
    assert fetch_hw1(alice, tmp_path) == {"a.py": Outcome.UNCHANGED, "b.csv": Outcome.UNCHANGED}
    (tmp_path / "a.py").write_bytes(b"mine")
    released.write_bytes(zipped(a__py=b"2", b__csv=b"2"))
    assert fetch_hw1(alice, tmp_path) == {"a.new.py": Outcome.BESIDE, "b.csv": Outcome.UPDATED}
    assert names_in(tmp_path / ".mograder/release/hw1") == [".fetched.json", "a.py"]


@pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil.py", ".bashrc", "..\\evil.py", "C:\\evil.py", "../evil.zip"])
def test_a_server_cannot_write_outside_the_target_folder(
    name: str, hostile_server: HostileServer, tmp_path: Path
) -> None:
    hostile_server.answer("GET /f", Answer(zipped(evil__py=b"evil")))
    assignment = messages.AssignmentInfo("hw1", "1", [messages.ReleaseFileInfo(name, "/f")])
    with Client(hostile_server.url) as client, pytest.raises(VerificationFailed):
        list(fetch(client, assignment, tmp_path / "out"))
    assert names_in(tmp_path) == ["out"]
    assert names_in(tmp_path / "out") == [".mograder"]


def test_the_name_of_an_assignment_cannot_lead_outside_either(hostile_server: HostileServer, tmp_path: Path) -> None:
    hostile_server.answer("GET /f", Answer(b"x"))
    with Client(hostile_server.url) as client:
        list(
            fetch(
                client,
                messages.AssignmentInfo("a/../../b", "1", [messages.ReleaseFileInfo("f.py", "/f")]),
                tmp_path / "out",
            )
        )
        with pytest.raises(VerificationFailed):
            list(
                fetch(
                    client,
                    messages.AssignmentInfo("..", "1", [messages.ReleaseFileInfo("f.py", "/f")]),
                    tmp_path / "out",
                )
            )
    assert names_in(tmp_path) == ["out"]
    assert names_in(tmp_path / "out" / ".mograder" / "release") == ["a_.._.._b"]


def test_a_refused_archive_leaves_the_existing_files(hostile_server: HostileServer, tmp_path: Path) -> None:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        file.writestr("fine.py", b"new")
        file.writestr("../evil.py", b"evil")
    hostile_server.answer("GET /f", Answer(memory.getvalue()))
    (tmp_path / "fine.py").write_bytes(b"before")
    with Client(hostile_server.url) as client, pytest.raises(VerificationFailed):
        list(fetch(client, messages.AssignmentInfo("hw1", "1", [messages.ReleaseFileInfo("a.zip", "/f")]), tmp_path))
    assert (tmp_path / "fine.py").read_bytes() == b"before"


def test_a_failed_download_leaves_the_previous_file(hostile_server: HostileServer, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"before")
    hostile_server.answer("GET /f", Answer(b"half", announced=8))
    quick = RetryPolicy(attempts=2, total=PATIENCE, first_wait=0.001)
    with Client(hostile_server.url, patience=quick) as client, pytest.raises(MograderError):
        list(fetch(client, messages.AssignmentInfo("hw1", "1", [messages.ReleaseFileInfo("a.csv", "/f")]), tmp_path))
    assert (tmp_path / "a.csv").read_bytes() == b"before"
    assert names_in(tmp_path / ".mograder/release/hw1") == [".fetched.json"]


# submitting


def test_an_unchanged_released_file_is_recognised(alice: Client, tmp_path: Path) -> None:
    fetch_hw1(alice, tmp_path)
    (assignment,) = alice.assignments()
    bare = messages.AssignmentInfo("hw1", "hw1")
    assert is_release_file(sha256(NOTEBOOK), assignment, tmp_path / "elsewhere")
    assert is_release_file(sha256(NOTEBOOK), bare, tmp_path)
    assert not is_release_file(sha256(b"my work"), assignment, tmp_path)


def test_the_receipt_is_stored_beside_the_file(alice: Client, tmp_path: Path) -> None:
    work = tmp_path / "homework.py"
    work.write_bytes(b"x = 1\n")
    submitted = alice.submit("hw1", "alice", work)
    kept = keep_receipt(work, alice.url, submitted)
    assert kept is not None
    assert kept.parent == tmp_path / ".mograder" / "receipts"
    receipt = json.loads(kept.read_bytes())
    assert (receipt["receipt"], receipt["server"]) == (submitted.receipt, alice.url)
    assert keep_receipt(work, alice.url, messages.Submitted("a.py", "", "alice", "hw1", 0, 1, "", 0, "")) is None
