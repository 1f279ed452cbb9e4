"""Faults of the machine: a server killed at any moment, a full disk, a missing or read-only folder."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from mograder.config import utc_now
from mograder.domain.names import AssignmentName
from mograder.store.folder import doctor
from mograder.store.folder.layout import Folders
from mograder.store.shared import findings
from tests.parts import CODE, NOTEBOOK, PATIENCE, Running, make_course_folder, open_store, running, sha256, until

ROUNDS = 10
HW1 = AssignmentName("hw1")


def problems(root: Path) -> list[findings.Finding]:
    return [each for each in doctor.check(Folders.of(root), utc_now()) if each.severity is not findings.Severity.NOTE]


# kill -9


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(course_folder: Path) -> None:
    seed = int(os.environ.get("MOGRADER_SEED", "0")) or random.randrange(1, 1 << 30)
    print(f"MOGRADER_SEED={seed}")  # shown when the test fails
    chance = random.Random(seed)
    answered: dict[str, str] = {}
    sent: set[str] = set()
    for round_ in range(ROUNDS):
        with running(course_folder) as server:
            assert processor_seconds(server) < 3, "the start after a crash takes too long"
            assert pending(course_folder) == 0, "the start has not finished what the kill left"
            check_everything_is_there(server, answered, sent)
            kill_in_a_rush(server, round_, chance, answered, sent)
    with running(course_folder) as server:
        check_everything_is_there(server, answered, sent)
        assert server.stop() == 0
    assert problems(course_folder) == []


def processor_seconds(server: Running) -> float:
    """Processor seconds used by a server, independent of other load on the machine (Linux)."""
    stat = Path(f"/proc/{server.process.pid}/stat")
    if not stat.exists():
        return 0
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def kill_in_a_rush(
    server: Running, round_: int, chance: random.Random, answered: dict[str, str], sent: set[str]
) -> None:
    """Kill the server at a random moment after an answer, while eight people submit small and large files."""

    def send(name: str) -> None:
        with contextlib.suppress(httpx2.TransportError), httpx2.Client(base_url=server.url, timeout=PATIENCE) as client:
            for number in range(10_000):
                size = 1_200_000 if number % 10 == 5 else 300
                content = f"{name} {round_} {number}".encode().ljust(size, b".")
                sent.add(sha256(content))
                where = "/assignments/hw1/submit"
                reply = client.post(where, params={"user": name}, content=content, headers=server.bearer(name))
                assert reply.status_code == 200, reply.text
                answered[reply.json()["version"]] = sha256(content)

    enough = len(answered) + chance.randint(1, 80)
    with ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, f"s{number}") for number in range(8)]
        try:
            until(lambda: len(answered) >= enough or any(each.done() for each in sending))
            time.sleep(chance.uniform(0, 0.1))  # a random moment
        finally:
            server.kill()
    for each in sending:
        each.result()


def check_everything_is_there(server: Running, answered: dict[str, str], sent: set[str]) -> None:
    folder = server.submitted / "hw1"
    for version, digest in answered.items():
        assert sha256((folder / version).read_bytes()) == digest
    listed = server.client.get("/assignments/hw1/submissions", headers=server.bearer()).json()
    assert {each["sha256"] for each in listed} <= sent
    for each in listed:
        content = server.client.get(each["url"], headers=server.bearer()).content
        assert sha256(content) == each["sha256"]
        link = folder / each["filename"]
        assert (folder / os.readlink(link)).is_file()
    assert {version.rsplit("_", 1)[0] for version in answered} <= {each["username"] for each in listed}


# disks


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A small file system in an image."""
    if sys.platform != "linux" or os.geteuid() != 0:
        if os.environ.get("CI") and sys.platform == "linux" and os.geteuid() == 0:
            raise AssertionError("in CI as root this runs")
        pytest.skip("only root may mount a small disk")
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        if os.environ.get("CI"):
            raise AssertionError(mounted.stderr)
        pytest.skip(f"this machine mounts nothing: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(server: Running, size: int) -> tuple[dict[str, bytes], httpx2.Response]:
    """Submit until a submission is refused. Returns the accepted ones and the refusal."""
    taken = {}
    for number in range(10_000):
        content = f"{number} ".encode() + os.urandom(size)
        reply = server.submit("alice", content)
        if reply.status_code != 200:
            return taken, reply
        taken[reply.json()["version"]] = content
    raise AssertionError("the disk never filled up")


@pytest.mark.parametrize("size", [20_000, 1_500_000])
def test_a_full_disk_is_answered_507_and_loses_nothing(tmp_path: Path, size: int) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        root = make_course_folder(disk)
        (root.parent / "mograder.toml").write_text("[server]\nmax_per_hour = 10000\n")
        filler = disk / "filler"
        filler.write_bytes(bytes(4_000_000))
        with running(root) as server:
            taken, refused = fill(server, size)
            assert refused.status_code == 507, refused.text
            assert refused.json()["code"] == "storage_full"
            assert int(refused.headers["Retry-After"]) > 0
            check_taken(server, taken)
            grades = [{"username": f"student{number}", "comment": "x" * 1000} for number in range(4000)]
            upload = server.client.post("/assignments/hw1/grades", json={"grades": grades}, headers=server.bearer())
            assert upload.status_code == 507, upload.text
            assert not (root / "hw1" / "grades.json").exists()
            assert server.client.get("/").status_code == 200
            check_taken(server, taken)
            filler.unlink()
            again = server.submit("bob", os.urandom(size))
            assert again.status_code == 200, again.text
            check_taken(server, taken)
            assert not [path for path in server.submitted.rglob(".*") if ".incoming-" not in path.name]
            assert server.stop() == 0
        assert problems_but_space(root) == []
        with running(root) as server:
            check_taken(server, taken)


def test_feedback_and_registrations_on_a_full_disk_are_answered_507_and_change_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        root = make_course_folder(disk)
        page = root / "hw1" / "feedback" / "alice.html"
        with running(root) as server:
            assert server.submit("alice", b"work").status_code == 200
            assert give_feedback(server, b"before").status_code == 200
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while filler.write(bytes(4096)):
                    pass
            upload = give_feedback(server, b"after" * 20_000)
            assert (upload.status_code, upload.json()["code"]) == (507, "storage_full"), upload.text
            assert [path.name for path in page.parent.iterdir()] == ["alice.html"]
            assert page.read_bytes() == b"before"
            joined = []
            while (reply := join(server, f"student{len(joined)}")).status_code == 200:
                joined.append(reply.json()["token"])
            assert (reply.status_code, reply.json()["code"]) == (507, "storage_full"), reply.text
            (disk / "filler").unlink()
            assert give_feedback(server, b"after").status_code == 200
            joined.append(join(server, f"student{len(joined)}").json()["token"])
            assert server.stop() == 0
        with running(root) as server:
            for token in joined:
                reply = server.client.get("/assignments", headers={"Authorization": f"Bearer {token}"})
                assert reply.status_code == 200, reply.text
            listed = server.client.get("/roster", headers=server.bearer()).json()
            assert len(listed) == len(joined)
            assert page.read_bytes() == b"after"
        assert problems_but_space(root) == []


def give_feedback(server: Running, page: bytes) -> httpx2.Response:
    files = {"files": ("alice.html", page, "text/html")}
    return server.client.post("/assignments/hw1/feedback", files=files, headers=server.bearer())


def join(server: Running, name: str) -> httpx2.Response:
    return server.client.post("/register", json={"user": name, "enrollment_code": CODE})


def problems_but_space(root: Path) -> list[findings.Finding]:
    return [each for each in problems(root) if "MiB are free" not in each.what]


def check_taken(server: Running, taken: dict[str, bytes]) -> None:
    for version, content in taken.items():
        reply = server.client.get(f"/assignments/hw1/submissions/{version}", headers=server.bearer())
        assert reply.content == content, version
    listed = server.client.get("/assignments/hw1/submissions", headers=server.bearer()).json()
    last = list(taken)[-1]
    assert [each["sha256"] for each in listed if each["username"] == "alice"] == [sha256(taken[last])]


def test_a_read_only_disk_is_answered_503_until_it_is_writable_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        root = make_course_folder(disk)
        with running(root) as server:
            assert server.submit("alice", b"before").status_code == 200
            server.client.get("/assignments/hw1/submissions", headers=server.bearer())
            # Files that are open for writing prevent a read-only remount of the disk, so the folder of submissions is
            # mounted over itself, read-only.
            subprocess.run(["mount", "--bind", server.submitted, server.submitted], check=True)
            try:
                subprocess.run(["mount", "-o", "remount,bind,ro", server.submitted], check=True)
                for size in (10, 1_500_000):
                    reply = server.submit("alice", b"x" * size)
                    assert (reply.status_code, reply.json()["code"]) == (503, "unavailable"), reply.text
                    assert str(disk) not in reply.text
                assert server.client.get("/").status_code == 200
            finally:
                subprocess.run(["umount", "-l", server.submitted], check=True)
            listed = server.client.get("/assignments/hw1/submissions", headers=server.bearer()).json()
            assert [each["sha256"] for each in listed] == [sha256(b"before")]
            assert server.submit("alice", b"after").json()["attempt"] == 2
            assert server.stop() == 0
        assert problems_but_space(root) == []


@pytest.mark.parametrize("size", [10, 1_500_000])
def test_a_missing_folder_is_answered_503_until_it_is_back(course_folder: Path, size: int) -> None:
    away = course_folder.parent.with_name("away")
    with running(course_folder) as server:
        bearers = server.bearer("alice")
        assert server.submit("alice", b"before").status_code == 200
        course_folder.parent.rename(away)
        reply = server.client.post("/assignments/hw1/submit?user=alice", content=b"x" * size, headers=bearers)
        assert reply.status_code == 503, reply.text
        assert reply.json()["code"] == "unavailable"
        assert not course_folder.parent.exists(), "a submission must not make a course of its own"
        away.rename(course_folder.parent)
        assert server.submit("alice", b"y" * size).json()["attempt"] == 2
        assert server.stop() == 0
    assert problems(course_folder) == []
    store = open_store(course_folder)
    assert [each.submission.sha256 for each in store.submissions.receipts()] == [sha256(b"before"), sha256(b"y" * size)]
    store.close()


@pytest.mark.parametrize("size", [10, 1_500_000])
def test_submissions_whose_folder_is_missing_are_answered_503_until_it_is_back(server: Running, size: int) -> None:
    away = server.submitted.with_name("away")
    assert server.submit("alice", b"before").status_code == 200
    server.submitted.rename(away)
    unavailable(server.submit("alice", b"x" * size))
    unavailable(server.submit("bob", b"x" * size))
    unavailable(server.client.get("/assignments/hw1/submissions", headers=server.bearer()))
    unavailable(server.client.get("/assignments/hw1/status?user=alice", headers=server.bearer("alice")))
    assert server.client.get("/assignments", headers=server.bearer("alice")).status_code == 200
    assert not server.submitted.exists()
    away.rename(server.submitted)
    assert server.submit("alice", b"x" * size).json()["attempt"] == 2
    assert server.stop() == 0
    assert problems(server.root) == []


def unavailable(reply: httpx2.Response) -> None:
    assert (reply.status_code, reply.json()["code"]) == (503, "unavailable"), reply.text
    assert int(reply.headers["Retry-After"]) > 0


def powerless() -> tuple[str, ...]:
    """The command prefix that makes file modes apply to a server that runs as root."""
    if sys.platform == "win32":
        pytest.skip("Windows has no modes")
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root passes by every mode, and there is no setpriv to give that up")
    return (setpriv, "--bounding-set", "-dac_override,-dac_read_search")


def test_unwritable_folders_are_answered_503_and_nothing_changes(course_folder: Path) -> None:
    with running(course_folder, under=powerless()) as server:
        teacher = server.bearer()
        folders = [server.submitted / "hw1", course_folder / "hw1", course_folder / "hw1" / "feedback"]
        folders.append(course_folder.parent)

        def attempts() -> Iterator[httpx2.Response]:
            yield server.submit("alice", b"x" * 10)
            yield server.submit("alice", b"x" * 1_500_000)
            yield server.client.post(
                "/assignments/hw1/grades", json=[{"username": "alice", "grade": "2"}], headers=teacher
            )
            page = {"files": ("alice.html", b"second", "text/html")}
            yield server.client.post("/assignments/hw1/feedback", files=page, headers=teacher)
            tag = server.client.get("/assignments/hw1/rules", headers=teacher).json()["tag"]
            yield server.client.post("/assignments/hw1/rules", json={"tag": tag, "points": "3"}, headers=teacher)

        assert server.submit("alice", b"before").status_code == 200
        grades = [{"username": "alice", "grade": "1"}]
        assert server.client.post("/assignments/hw1/grades", json=grades, headers=teacher).status_code == 200
        page = {"files": ("alice.html", b"first", "text/html")}
        assert server.client.post("/assignments/hw1/feedback", files=page, headers=teacher).status_code == 200
        until(lambda: not pending(course_folder))
        before = contents(server.root.parent)
        for folder in folders:
            folder.chmod(0o555)
        for reply in attempts():
            unavailable(reply)
            assert str(course_folder.parent) not in reply.text
        assert contents(server.root.parent) == before
        for folder in folders:
            folder.chmod(0o755)
        assert [reply.status_code for reply in attempts()] == [200] * 5
        assert server.stop() == 0
    assert problems(course_folder) == []


def contents(course: Path) -> dict[Path, bytes]:
    """The content of every file except those of the ledger."""
    files = (path for path in course.rglob("*") if path.is_file() and not path.name.startswith(".mograder"))
    return {path: path.read_bytes() for path in files}


def pending(root: Path) -> int:
    """How many submissions are pending."""
    with contextlib.closing(sqlite3.connect(root / ".mograder.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM pending").fetchone()[0])


@pytest.mark.parametrize("size", [1000, 300_000])
def test_an_unreadable_released_file_is_answered_503_in_json_and_hides_no_other_file(
    course_folder: Path, size: int
) -> None:
    secret = course_folder / "hw1" / "files" / "secret.py"
    secret.write_bytes(b"x" * size)
    secret.chmod(0o000)
    with running(course_folder, under=powerless()) as server:
        who = server.bearer("alice")
        for headers in (who, {**who, "Range": "bytes=0-9"}):
            reply = server.client.get("/assignments/hw1/files/secret.py", headers=headers)
            assert (reply.status_code, reply.json()["code"]) == (503, "unavailable"), reply.text
        assert server.client.get("/assignments/hw1/files/hw1.py", headers=who).content == NOTEBOOK
        secret.chmod(0o644)
        assert len(server.client.get("/assignments/hw1/files/secret.py", headers=who).content) == size
