"""`mograder doctor`, `verify`, `erase`, `backup`, `restore`: damage is found, a live course is restored completely."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.command import run_command
from tests.courses import everything, ledger
from tests.parts import (
    CODE,
    PATIENCE,
    Running,
    make_course_folder,
    names_in,
    open_store,
    running,
    sha256,
    until,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and links as on POSIX")


def findings(course: Path, *words: str) -> tuple[int, list[dict[str, str]]]:
    ran = run_command("doctor", course, "--json", *words)
    assert ran.returncode in (0, 7), ran.stderr
    return ran.returncode, json.loads(ran.stdout)["findings"]


@pytest.fixture
def course(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "course", symlinks=True))


def test_a_sound_course_has_no_findings_at_either_of_its_paths(course: Path) -> None:
    before = everything(course)
    assert findings(course) == (0, [])
    assert findings(course / "release") == (0, [])
    assert run_command("doctor", course).stdout == "nothing is wrong\n"
    assert everything(course) == before


def test_doctor_reports_how_to_repair_a_finding_and_repairs_it_on_request(course: Path) -> None:
    link, secret = course / "submitted" / "hw1" / "alice.py", course / "release" / ".mograder-secret"
    link.unlink()
    code, found = findings(course)
    assert code == 7
    assert [(each["severity"], each["where"], each["repairable"]) for each in found] == [("error", str(link), True)]
    ran = run_command("doctor", course)
    told = f"error: {link}\n  {found[0]['what']}\n  {found[0]['mend']}\n1 problem found\n"
    assert (ran.returncode, ran.stdout) == (7, told)
    secret.write_text("")
    assert [each["where"] for each in findings(course, "--repair")[1]] == [str(secret)]
    assert link.read_bytes() == b"alice 2"


def test_a_crashed_course_is_checked_without_being_repaired(course_folder: Path) -> None:
    with running(course_folder) as server:
        assert server.submit("alice", b"work").status_code == 200
        server.kill()
    before = everything(course_folder.parent)
    code, found = findings(course_folder)
    after = everything(course_folder.parent)
    for index in ("release/.mograder.db-shm", "."):  # SQLite's index of the -wal file, which any reader may rebuild
        before.pop(index, None)
        after.pop(index, None)
    assert after == before
    assert code == 0, found


# verify, erase


def test_verify_prints_the_head_and_later_detects_a_course_that_does_not_match_it(course: Path, tmp_path: Path) -> None:
    before = everything(course)
    ran = run_command("verify", course)
    assert (ran.returncode, ran.stderr) == (0, "")
    first, head = ran.stdout.splitlines()
    assert first == "5 receipts: everything is as it was signed"
    assert head.startswith("head 5:")
    assert run_command("verify", course / "release", "--head", head.removeprefix("head ")).returncode == 0
    assert everything(course) == before
    with contextlib.closing(sqlite3.connect(course / "release/.mograder.db")) as connection:
        (text,) = connection.execute("SELECT text FROM receipts WHERE number = 5").fetchone()
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps({"server": "http://x", "receipt": text}))
    ledger(course, "DELETE FROM receipts WHERE number = 5")
    for kept in (["--head", head.removeprefix("head ")], [receipt]):
        found = run_command("verify", course, "--json", *kept)
        assert found.returncode == 7
        assert "the chain was cut" in str(json.loads(found.stdout)["findings"])


@pytest.mark.parametrize("words", [["--head", "5"], ["--head", "x:y"], ["--keys", "mograder.toml"], ["mograder.toml"]])
def test_verify_refuses_an_invalid_head_key_or_receipt(course: Path, words: list[str]) -> None:
    ran = run_command("verify", course, *(course / each if each.endswith("toml") else each for each in words))
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert "is no head" in ran.stderr or "holds no" in ran.stderr


def test_an_erased_person_is_in_no_byte_of_the_course_and_the_course_stays_sound(course_folder: Path) -> None:
    course = course_folder.parent
    with running(course_folder) as server:
        server.client.post("/register", json={"user": "zebedee", "enrollment_code": CODE})
        for number in range(3):
            assert server.submit("zebedee", b"# by zebedee %d" % number).status_code == 200
            assert server.submit("bob", b"bob %d" % number).status_code == 200
        instructor = server.bearer()
        server.client.post("/assignments/hw1/grades", json=[{"username": "zebedee", "grade": 1}], headers=instructor)
        files = {"files": ("zebedee.html", b"<p>zebedee")}
        server.client.post("/assignments/hw1/feedback", files=files, headers=instructor)
        (course / "submitted/hw1/zebedee_20200101T000000.py").write_bytes(b"by hand")
        head = run_command("verify", course).stdout  # differs only by what was changed by hand
        dry = run_command("erase", "zebedee", "--course", course, "--dry-run")
        assert dry.stdout.splitlines() == [
            "zebedee: an account, 3 receipts", "  submissions: hw1", "  grades: hw1", "  feedback: hw1",
            "nothing was erased",
        ]  # fmt: skip
        assert run_command("erase", "zebedee", "--course", course).returncode == 2
        assert (course / "submitted/hw1/zebedee.py").exists()

        done = run_command("erase", "zebedee", "--course", course, "--yes")
        assert done.returncode == 0, done.stderr
        assert server.submit("zebedee", b"again").status_code == 401
        taken = server.client.post("/register", json={"user": "zebedee", "enrollment_code": CODE})
        assert taken.status_code == 409
        assert server.submit("bob", b"bob again").json()["attempt"] == 4
        after = run_command("verify", course, "--head", head.splitlines()[-1].removeprefix("head "))
        assert after.stdout.splitlines()[0] == "4 receipts, 3 more erased: everything is as it was signed"
        assert findings(course)[0] == 0
        named = [path for path in course.rglob("*") if path.is_file() and b"zebedee" in path.read_bytes()]
        assert (named, list(course.rglob("*zebedee*"))) == ([], [])
        assert server.stop() == 0
    assert run_command("backup", course, course.parent / "a.tar.gz").returncode == 0
    back = run_command("restore", course.parent / "a.tar.gz", course.parent / "b")
    assert back.returncode == 0, back.stdout
    assert run_command("verify", course.parent / "b").returncode == 0


def test_erase_removes_submissions_kept_elsewhere_when_their_folder_is_given(course: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk2"
    (course / "submitted").rename(elsewhere)
    ran = run_command("erase", "alice", "--course", course, "--yes", "--submitted-dir", elsewhere)
    assert ran.returncode == 0, ran.stderr
    assert sorted({path.name[:3] for path in elsewhere.rglob("*.py")}) == ["bob"]
    assert run_command("verify", course, "--submitted-dir", elsewhere).returncode == 0


def test_erasing_an_unknown_person_is_refused(course: Path) -> None:
    ran = run_command("erase", "alise", "--course", course, "--yes")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert run_command("erase", "__instructor__", "--course", course, "--yes").returncode == 4
    assert run_command("erase", "al ice", "--course", course, "--yes").returncode == 2


# with a running server


@contextlib.contextmanager
def rush(server: Running, threads: int = 8) -> Iterator[dict[tuple[str, str], str]]:
    """So many people submit without a pause. Yields acknowledged submissions: (user, version) -> checksum."""
    answered: dict[tuple[str, str], str] = {}
    stop, many = threading.Event(), threading.Event()

    def send(name: str) -> None:
        bearer = server.bearer(name)
        with httpx2.Client(base_url=server.url, timeout=PATIENCE) as client:
            for number in range(100_000):
                if stop.is_set():
                    return
                size = 1_500_000 if number % 40 == 7 else 200
                try:
                    reply = client.post(
                        "/assignments/hw1/submit", params={"user": name}, headers=bearer,
                        content=f"{name} {number}".encode().ljust(size, b"."),
                    )  # fmt: skip
                except httpx2.TransportError:
                    until(lambda: server.process.poll() is not None)  # a running server answers
                    return
                assert reply.status_code == 200, reply.text
                answered[name, reply.json()["version"]] = reply.json()["sha256"]
                if len(answered) > 100:
                    many.set()

    with ThreadPoolExecutor(threads) as pool:
        sending = [pool.submit(send, f"student{number}") for number in range(threads)]
        try:
            assert many.wait(PATIENCE), [each.exception() for each in sending if each.done()]
            yield answered
        finally:
            stop.set()
    for each in sending:
        each.result()


def test_doctor_finds_nothing_wrong_while_a_course_receives_submissions(server: Running) -> None:
    with rush(server):
        for _ in range(3):
            code, found = findings(server.root.parent)
            assert code == 0, found


def test_a_course_destroyed_under_load_is_restored_elsewhere_with_everything(server: Running, tmp_path: Path) -> None:
    (server.root / "later" / "files").mkdir(parents=True)
    archive, token = tmp_path / "course.tar.gz", server.token("student0")
    with rush(server) as answered:
        register = {"user": "carol", "enrollment_code": CODE}
        grades = [{"username": "student0", "grade": "1"}]
        page = {"files": ("student0.html", b"<p>well done", "text/html")}
        for path, given in (
            ("/register", {"json": register}),
            ("/assignments/hw1/grades", {"json": grades}),
            ("/assignments/hw1/feedback", {"files": page}),
        ):
            assert server.client.post(path, headers=server.bearer(), **given).status_code == 200
        before = dict(answered)
        made = run_command("backup", server.root.parent, archive)
        assert made.returncode == 0, made.stderr
        server.kill()
        shutil.rmtree(server.root.parent)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600

    back = run_command("restore", archive, tmp_path / "elsewhere")
    assert back.returncode == 0, back.stdout + back.stderr
    assert "nothing is wrong" in back.stdout
    root = tmp_path / "elsewhere" / "release"
    for (_, version), digest in before.items():
        assert sha256((root.parent / "submitted" / "hw1" / version).read_bytes()) == digest
    with running(root) as again:
        assert again.token("student0") == token
        listed = again.client.get("/assignments/hw1/submissions", headers=again.bearer()).json()
        assert {each["username"] for each in listed} >= {name for name, _ in before}
        assert [each["name"] for each in again.client.get("/assignments", headers=again.bearer()).json()] == [
            "hw1", "later",
        ]  # fmt: skip
        assert again.client.post("/register", json=register).status_code == 409
        standing = again.client.get("/assignments/hw1/status?user=student0", headers=again.bearer()).json()
        assert standing["grade"] == "1"
        shown = again.client.get("/assignments/hw1/feedback/student0", headers=again.bearer())
        assert shown.content == b"<p>well done"
        assert again.submit("student0", b"after").status_code == 200
        assert findings(root.parent)[0] == 0
    store = open_store(root)
    assert len(list(store.submissions.receipts())) >= len(before)
    store.close()


# archives


def test_restore_puts_outside_folders_inside_and_prints_the_options_for_serve(tmp_path: Path) -> None:
    root = make_course_folder(tmp_path)
    elsewhere = tmp_path / "disk2"
    (root.parent / "mograder.toml").write_text(f'[dirs]\nsubmitted = "{elsewhere}"\n')
    with running(root) as server:
        assert server.submit("alice", b"work").status_code == 200
        assert server.stop() == 0
    assert run_command("backup", root, tmp_path / "a.tar.gz").returncode == 0
    shutil.rmtree(elsewhere)
    back = run_command("restore", tmp_path / "a.tar.gz", tmp_path / "b")
    assert back.returncode == 0, back.stdout + back.stderr
    assert f"--submitted-dir {tmp_path / 'b/submitted'}" in back.stdout
    assert (tmp_path / "b/submitted/hw1/alice.py").read_bytes() == b"work"
    assert not elsewhere.exists()


def test_backup_and_restore_overwrite_nothing_and_refuse_a_file_that_is_no_archive(
    course: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_text("mine")
    assert run_command("backup", course, archive).returncode == 2
    refused = run_command("restore", archive, tmp_path / "b")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (7, 1)
    assert archive.read_text() == "mine"
    assert names_in(tmp_path) == ["a.tar.gz", "course"]


def test_restore_detects_a_receipt_that_was_altered_together_with_its_checksum(course: Path, tmp_path: Path) -> None:
    """Somebody who rewrites both file and manifest still cannot sign."""
    ledger(course, "UPDATE receipts SET received = received - 60000000 WHERE number = 2")
    assert run_command("backup", course, tmp_path / "a.tar.gz").returncode == 0
    back = run_command("restore", tmp_path / "a.tar.gz", tmp_path / "b")
    assert back.returncode == 7
    assert "received is not what was signed" in back.stdout
