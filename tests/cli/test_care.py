"""`mograder doctor`, `verify`, `erase`, `backup`, `restore`: damage is found, a live course comes back whole."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from mograder.config import utc_now
from mograder.sealing import Ed25519Seal, new_private_key
from mograder.store.authority import AUTHORITY, CERTIFICATE, Authority
from tests.parts import (
    ALICE,
    BOB,
    CODE,
    NOTEBOOK,
    Running,
    environment,
    hand_in,
    make_course_folder,
    open_store,
    running,
    sha256,
    until,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and links as on POSIX")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mograder", *map(str, words)], env=environment(), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip


def findings(course: Path, *words: str) -> tuple[int, list[dict[str, str]]]:
    ran = run("doctor", course, "--json", *words)
    assert ran.returncode in (0, 7), ran.stderr
    return ran.returncode, json.loads(ran.stdout)["findings"]


def everything(folder: Path) -> dict[str, object]:
    """Each name below `folder` with what it is: mode, times, and bytes or target."""
    found: dict[str, object] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, status.st_ino, content)
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with five hand-ins of two people, grades and feedback; not to be changed."""
    root = make_course_folder(tmp_path_factory.mktemp("sound"))
    store = open_store(root)
    seal = Ed25519Seal(store.signing_key(new_private_key))
    now = utc_now() - 3600 * 1_000_000
    for number in range(3):
        hand_in(store, seal, ALICE, b"alice %d" % number, now + number)
    for number in range(2):
        hand_in(store, seal, BOB, b"bob %d" % number, now + number)
    store.close()
    (root / "hw1" / "grades.json").write_text('[{"username": "alice", "grade": 7}]')
    (root.parent / "mograder.toml").write_text('title = "Tea"\n')
    return root.parent


@pytest.fixture
def course(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "course", symlinks=True))


def versions(course: Path, user: str = "alice") -> list[Path]:
    return sorted((course / "submitted" / "hw1").glob(f"{user}_*.py"))


def ledger(course: Path, sql: str) -> None:
    connection = sqlite3.connect(course / "release" / ".mograder.db")
    connection.execute(sql)
    connection.commit()
    connection.close()


def age(path: Path) -> None:
    old = time.time() - 2 * 24 * 3600
    os.utime(path, (old, old), follow_symlinks=False)


def authority(course: Path, days: int = 0) -> Authority:
    """Made so many days ago."""
    made = datetime.now(UTC) - timedelta(days=days)
    found = Authority(course / "release", made)
    found.renew(["localhost"], made)
    return found


# one alteration each: (what is done, what is said, whether --repair mends it)


def flip(course: Path) -> None:
    path = versions(course)[0]
    path.write_bytes(b"A" + path.read_bytes()[1:])


def relink(course: Path, target: str) -> None:
    link = course / "submitted" / "hw1" / "alice.py"
    link.unlink()
    link.symlink_to(target)


def linked_version(course: Path) -> None:
    path = versions(course)[0]
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


def stale(course: Path, *place: str) -> None:
    path = course.joinpath(*place)
    path.write_bytes(b"half")
    age(path)


def forget_file(course: Path) -> None:
    """As a crash leaves it: in the ledger, and not yet a file."""
    path = versions(course, "bob")[-1]
    body = path.read_bytes().hex()
    ledger(course, f"INSERT INTO pending SELECT number, x'{body}', NULL FROM receipts WHERE filename = '{path.name}'")
    path.unlink()


def copied_older(course: Path) -> None:
    link = course / "submitted" / "hw1" / "alice.py"
    link.unlink()
    link.write_bytes(versions(course)[0].read_bytes())


def corrupt_ledger(course: Path) -> None:
    path = course / "release" / ".mograder.db"
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


Damage = tuple[str, Callable[[Path], object], str, bool]
DAMAGE: list[Damage] = [
    ("a byte of a version", flip, "not what was handed in", False),
    ("a version gone", lambda c: versions(c)[1].unlink(), "is missing", False),
    ("a version is a link", linked_version, "not what was handed in", False),
    ("a link to an older version", lambda c: relink(c, versions(c)[0].name), "points to", True),
    ("a link to nowhere", lambda c: relink(c, "nowhere.py"), "points to", True),
    ("a link that leads out", lambda c: relink(c, "/etc/passwd"), "points to", True),
    ("a link gone", lambda c: (c / "submitted/hw1/alice.py").unlink(), "is missing", True),
    ("a copy of an older version", copied_older, "copy of an older version", True),
    ("a foreign file", lambda c: (c / "submitted/hw1/notes.txt").write_text("x"), "no hand-in", False),
    ("a foreign folder", lambda c: (c / "submitted/hw1/x").mkdir(), "no hand-in", False),
    ("a file beside the assignments", lambda c: (c / "submitted/x.py").write_text("x"), "no hand-in", False),
    ("a secret that others read", lambda c: (c / "release/.mograder-secret").chmod(0o644), "read by other users", True),
    ("an empty secret", lambda c: (c / "release/.mograder-secret").write_text(""), "empty", False),
    ("no secret", lambda c: (c / "release/.mograder-secret").unlink(), "missing", False),
    ("no key", lambda c: (c / "release/.mograder-signing-key.pem").unlink(), "missing", False),
    ("a broken key", lambda c: (c / "release/.mograder-signing-key.pem").write_text("x"), "not an Ed25519", False),
    ("another key", lambda c: (c / "release/.mograder-signing-key.pem").write_bytes(new_private_key()),
     "5 of 5 receipts are not signed", False),
    ("a key that others read", lambda c: (c / "release/.mograder-signing-key.pem").chmod(0o640),
     "read by other users", True),
    ("broken grades", lambda c: (c / "release/hw1/grades.json").write_text("[{]"), "grades.json", False),
    ("a broken manifest", lambda c: (c / "release/assignments.json").write_text("{"), "assignments.json", False),
    ("times that contradict each other", lambda c: (
        (c / "release/assignments.json").write_text('[{"name": "hw1", "due": "2026-03-12"}]'),
        (c / "mograder.toml").write_text("[[assignments]]\nname = 'hw1'\ncloses = 2026-03-11"),
     ), "closes before it is due", False),
    ("a broken configuration", lambda c: (c / "mograder.toml").write_text("titel = "), "mograder.toml", False),
    ("an altered time", lambda c: ledger(c, "UPDATE receipts SET received = received - 60000000 WHERE number = 2"),
     "received is not what was signed", False),
    ("an altered checksum", lambda c: ledger(c, "UPDATE receipts SET sha256 = 'ab' WHERE number = 2"),
     "sha256 is not what was signed", False),
    ("an altered signature", lambda c: ledger(c, "UPDATE receipts SET text = replace(text, '.', '.A') "
     "WHERE number = 5"), "1 of 5 receipts are not signed", False),
    ("an altered chain", lambda c: ledger(c, "UPDATE receipts SET previous = '00' WHERE number = 3"),
     "does not follow", False),
    ("a text that is no receipt", lambda c: ledger(c, "UPDATE receipts SET text = 'é' WHERE number = 4"),
     "receipt 5 does not follow", False),
    ("a time that is none", lambda c: ledger(c, "UPDATE receipts SET received = 9000000000000000000 WHERE number = 3"),
     "received is not what was signed", False),
    ("a name that leads out", lambda c: ledger(c, "UPDATE receipts SET filename = '../../x' WHERE number = 3"),
     "filename is not what was signed", False),
    ("a receipt gone", lambda c: ledger(c, "DELETE FROM receipts WHERE number = 2"), "missing from the ledger", False),
    ("a ledger of random bytes", corrupt_ledger, "cannot be read", False),
    ("no ledger", lambda c: (c / "release/.mograder.db").unlink(), "ledger is missing", False),
    ("pending for long", forget_file, "not yet known to be on the disk", True),
    ("a clock set back", lambda c: os.utime(c / "release/.mograder.db", (time.time() + 9e5, time.time() + 9e5)),
     "ahead of the clock", False),
    ("an old upload", lambda c: stale(c, "submitted", ".incoming-00"), "cut off", True),
    ("an old half-replaced file", lambda c: stale(c, "release", "hw1", ".grades.json.0123456789ab.tmp"),
     "cut off", True),
    ("an authority that others can read", lambda c: (authority(c), (c / "release" / AUTHORITY).chmod(0o644)),
     "can be read by other users", True),
    ("an authority that is gone", lambda c: (authority(c), (c / "release" / AUTHORITY).unlink()),
     f"{AUTHORITY} is missing", False),
    ("an authority that ends soon", lambda c: authority(c, days=3500), "ends on", False),
    ("a certificate that has ended", lambda c: authority(c, days=91), "the certificate ended on", False),
    ("a certificate that is none", lambda c: (authority(c), (c / "release" / CERTIFICATE).write_text("x")),
     "holds no certificate", False),
    ("a folder that everybody writes to", lambda c: (c / "release").chmod(0o777), "everybody", False),
]  # fmt: skip
damaged = pytest.mark.parametrize(
    ("damage", "said", "mends"), [each[1:] for each in DAMAGE], ids=[d[0] for d in DAMAGE]
)


def test_a_sound_course_has_nothing_wrong_by_either_name(course: Path) -> None:
    before = everything(course)
    assert findings(course) == (0, [])
    assert findings(course / "release") == (0, [])
    assert run("doctor", course).stdout == "nothing is wrong\n"
    assert everything(course) == before


@damaged
def test_damage_is_found_and_the_course_left_as_it_is(
    course: Path, damage: Callable[[Path], object], said: str, mends: bool
) -> None:
    damage(course)
    before = everything(course)
    code, found = findings(course)
    assert code == 7
    assert any(said in each["what"] or said in each["where"] for each in found), found
    assert all(each["mend"] for each in found)
    assert everything(course) == before


@damaged
def test_repair_mends_what_is_safe_and_touches_no_hand_in(
    course: Path, damage: Callable[[Path], object], said: str, mends: bool
) -> None:
    damage(course)
    kept = {path: path.read_bytes() for path in (course / "submitted").rglob("*_*.py") if path.is_file()}
    code, found = findings(course, "--repair")
    assert (code, bool(found)) == ((0, False) if mends else (7, True)), found
    assert {path: path.read_bytes() for path in kept} == kept
    if mends:
        assert findings(course) == (0, [])
        assert (course / "submitted/hw1/alice.py").read_bytes() == b"alice 2"
        assert (course / "submitted/hw1/bob.py").read_bytes() == b"bob 1"


def test_what_people_may_do_by_hand_is_a_note_and_nothing_wrong(course: Path) -> None:
    folder = course / "submitted" / "hw1"
    (folder / "carol.py").write_text("by hand")
    (folder / "alice.py").unlink()
    (folder / "alice.py").write_text("corrected by the lecturer")
    (folder / ".incoming-young").write_text("on its way")
    code, found = findings(course)
    assert (code, {each["severity"] for each in found}) == (0, {"note"})
    findings(course, "--repair")
    assert (folder / "alice.py").read_text() == "corrected by the lecturer"
    assert (folder / ".incoming-young").exists()


def test_a_folder_that_was_never_served_is_a_note_and_left_empty(tmp_path: Path) -> None:
    root = make_course_folder(tmp_path)
    before = everything(root.parent)
    code, found = findings(root)
    assert (code, [each["severity"] for each in found]) == (0, ["note"])
    assert everything(root.parent) == before


def test_a_folder_that_is_no_course_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    code, found = findings(tmp_path)
    assert (code, [each["what"] for each in found]) == (7, ["there is no course here"])


def test_a_crashed_course_is_checked_without_finishing_it(course_folder: Path) -> None:
    with running(course_folder) as server:
        assert server.submit("alice", b"work").status_code == 200
        server.kill()
    before = everything(course_folder.parent)
    code, found = findings(course_folder)
    after = everything(course_folder.parent)
    for index in ("release/.mograder.db-shm", "."):  # SQLite's index of the -wal, which any reader may renew
        before.pop(index, None)
        after.pop(index, None)
    assert after == before
    assert code == 0, found


# verify, erase


def test_verify_prints_the_head_and_later_finds_what_no_longer_fits_it(course: Path, tmp_path: Path) -> None:
    before = everything(course)
    ran = run("verify", course)
    assert (ran.returncode, ran.stderr) == (0, "")
    first, head = ran.stdout.splitlines()
    assert first == "5 receipts: everything is as it was signed"
    assert head.startswith("head 5:")
    assert run("verify", course / "release", "--head", head.removeprefix("head ")).returncode == 0
    assert everything(course) == before
    text = sqlite3.connect(course / "release/.mograder.db").execute("SELECT text FROM receipts WHERE number = 5")
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps({"server": "http://x", "receipt": text.fetchone()[0]}))
    ledger(course, "DELETE FROM receipts WHERE number = 5")
    for kept in (["--head", head.removeprefix("head ")], [receipt]):
        found = run("verify", course, "--json", *kept)
        assert found.returncode == 7
        assert "the chain was cut" in str(json.loads(found.stdout)["findings"])


@pytest.mark.parametrize("words", [["--head", "5"], ["--head", "x:y"], ["--keys", "mograder.toml"], ["mograder.toml"]])
def test_verify_says_what_is_no_head_no_key_and_no_receipt(course: Path, words: list[str]) -> None:
    ran = run("verify", course, *(course / each if each.endswith("toml") else each for each in words))
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert "is no head" in ran.stderr or "holds no" in ran.stderr


def test_an_erased_person_is_gone_from_every_byte_and_the_course_stays_sound(course_folder: Path) -> None:
    course = course_folder.parent
    with running(course_folder) as server:
        server.client.post("/register", json={"user": "zebedee", "enrollment_code": CODE})
        for number in range(3):
            assert server.submit("zebedee", b"# by zebedee %d" % number).status_code == 200
            assert server.submit("bob", b"bob %d" % number).status_code == 200
        lecturer = server.bearer()
        server.client.post("/assignments/hw1/grades", json=[{"username": "zebedee", "grade": 1}], headers=lecturer)
        files = {"files": ("zebedee.html", b"<p>zebedee")}
        server.client.post("/assignments/hw1/feedback", files=files, headers=lecturer)
        (course / "submitted/hw1/zebedee_20200101T000000.py").write_bytes(b"by hand")
        head = run("verify", course).stdout  # differs by what was put in by hand alone
        dry = run("erase", "zebedee", "--course", course, "--dry-run")
        assert dry.stdout.splitlines() == [
            "zebedee: an account, 3 receipts", "  hand-ins: hw1", "  grades: hw1", "  feedback: hw1",
            "nothing was erased",
        ]  # fmt: skip
        assert run("erase", "zebedee", "--course", course).returncode == 2
        assert (course / "submitted/hw1/zebedee.py").exists()

        done = run("erase", "zebedee", "--course", course, "--yes")
        assert done.returncode == 0, done.stderr
        assert server.submit("zebedee", b"again").status_code == 401
        taken = server.client.post("/register", json={"user": "zebedee", "enrollment_code": CODE})
        assert taken.status_code == 409
        assert server.submit("bob", b"bob again").json()["attempt"] == 4
        after = run("verify", course, "--head", head.splitlines()[-1].removeprefix("head "))
        assert after.stdout.splitlines()[0] == "4 receipts, 3 more erased: everything is as it was signed"
        assert findings(course)[0] == 0
        named = [path for path in course.rglob("*") if path.is_file() and b"zebedee" in path.read_bytes()]
        assert (named, list(course.rglob("*zebedee*"))) == ([], [])
        assert server.stop() == 0
    assert run("backup", course, course.parent / "a.tar.gz").returncode == 0
    back = run("restore", course.parent / "a.tar.gz", course.parent / "b")
    assert back.returncode == 0, back.stdout
    assert run("verify", course.parent / "b").returncode == 0


def test_what_is_kept_elsewhere_is_erased_when_the_place_is_named(course: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk2"
    (course / "submitted").rename(elsewhere)
    ran = run("erase", "alice", "--course", course, "--yes", "--submitted-dir", elsewhere)
    assert ran.returncode == 0, ran.stderr
    assert sorted({path.name[:3] for path in elsewhere.rglob("*.py")}) == ["bob"]
    assert run("verify", course, "--submitted-dir", elsewhere).returncode == 0


def test_nobody_unknown_is_erased(course: Path) -> None:
    ran = run("erase", "alise", "--course", course, "--yes")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert run("erase", "__instructor__", "--course", course, "--yes").returncode == 4
    assert run("erase", "al ice", "--course", course, "--yes").returncode == 2


# beside a server


@contextlib.contextmanager
def rush(server: Running, threads: int = 8) -> Iterator[dict[tuple[str, str], str]]:
    """That many people hand in without a pause; what was answered 200, as (user, version) -> checksum."""
    answered: dict[tuple[str, str], str] = {}
    stop, many = threading.Event(), threading.Event()

    def send(name: str) -> None:
        bearer = server.bearer(name)
        with httpx2.Client(base_url=server.url, timeout=30) as client:
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
                    until(lambda: server.process.poll() is not None)  # a server that lives answers
                    return
                assert reply.status_code == 200, reply.text
                answered[name, reply.json()["version"]] = reply.json()["sha256"]
                if len(answered) > 100:
                    many.set()

    with ThreadPoolExecutor(threads) as pool:
        sending = [pool.submit(send, f"student{number}") for number in range(threads)]
        try:
            assert many.wait(60), [each.exception() for each in sending if each.done()]
            yield answered
        finally:
            stop.set()
    for each in sending:
        each.result()


def test_a_course_in_the_rush_has_nothing_wrong(server: Running) -> None:
    with rush(server):
        for _ in range(3):
            code, found = findings(server.root.parent)
            assert code == 0, found


def test_a_course_destroyed_under_load_comes_back_elsewhere_with_everything(server: Running, tmp_path: Path) -> None:
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
        made = run("backup", server.root.parent, archive)
        assert made.returncode == 0, made.stderr
        server.kill()
        shutil.rmtree(server.root.parent)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600

    back = run("restore", archive, tmp_path / "elsewhere")
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
    assert len(list(store.receipts())) >= len(before)
    store.close()


# archives


def test_every_file_is_in_the_manifest_and_comes_back_as_it_was(course: Path, tmp_path: Path) -> None:
    before = {path.relative_to(course): path.read_bytes() for path in course.rglob("*") if path.is_file()}
    assert run("backup", course, tmp_path / "a.tar.gz").returncode == 0
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        held = archive.extractfile("manifest.json")
        assert held is not None
        members = {each["path"]: each for each in json.load(held)["members"]}
        assert set(archive.getnames()) == {*members, "manifest.json"}
    assert members["release/hw1/files/hw1.py"]["sha256"] == sha256(NOTEBOOK)
    assert run("restore", tmp_path / "a.tar.gz", tmp_path / "b").returncode == 0
    after = {path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*")
             if path.is_file()}  # fmt: skip
    for name in (Path("release/.mograder.db"), Path("release/.mograder.lock")):
        assert before.pop(name) is not None
        after.pop(name)
    assert after == before
    assert stat.S_IMODE((tmp_path / "b/release/.mograder-secret").stat().st_mode) == 0o600
    assert os.readlink(tmp_path / "b/submitted/hw1/alice.py") == os.readlink(course / "submitted/hw1/alice.py")


def test_what_is_pending_in_the_archive_is_a_file_after_the_restore(course: Path, tmp_path: Path) -> None:
    forget_file(course)
    assert run("backup", course, tmp_path / "a.tar.gz").returncode == 0
    assert run("restore", tmp_path / "a.tar.gz", tmp_path / "b").returncode == 0
    assert (tmp_path / "b/submitted/hw1/bob.py").read_bytes() == b"bob 1"


def test_folders_elsewhere_come_back_inside_and_serve_is_told(tmp_path: Path) -> None:
    root = make_course_folder(tmp_path)
    elsewhere = tmp_path / "disk2"
    (root.parent / "mograder.toml").write_text(f'[dirs]\nsubmitted = "{elsewhere}"\n')
    with running(root) as server:
        assert server.submit("alice", b"work").status_code == 200
        assert server.stop() == 0
    assert run("backup", root, tmp_path / "a.tar.gz").returncode == 0
    shutil.rmtree(elsewhere)
    back = run("restore", tmp_path / "a.tar.gz", tmp_path / "b")
    assert back.returncode == 0, back.stdout + back.stderr
    assert f"--submitted-dir {tmp_path / 'b/submitted'}" in back.stdout
    assert (tmp_path / "b/submitted/hw1/alice.py").read_bytes() == b"work"
    assert not elsewhere.exists()


def test_nothing_is_written_over_and_no_secret_put_where_it_is_served(course: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_text("mine")
    assert run("backup", course, archive).returncode == 2
    assert archive.read_text() == "mine"
    assert run("backup", course, course / "release/hw1/files/a.tar.gz").returncode == 2
    archive.unlink()
    assert run("backup", course, archive).returncode == 0
    before = everything(course)
    assert run("restore", archive, course).returncode == 2
    assert everything(course) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "course"]


def rewritten(archive: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> None:
    content = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=content, mode="w:gz") as new:
        for member in old:
            file = old.extractfile(member) if member.isreg() else None
            changed = change(member, file.read() if file else b"")
            if changed:
                changed[0].size = len(changed[1])
                new.addfile(changed[0], io.BytesIO(changed[1]))
    archive.write_bytes(content.getvalue())


def renamed(member: tarfile.TarInfo, wanted: str, name: str) -> tarfile.TarInfo:
    return member.replace(name=name, deep=True) if member.name == wanted else member


GRADES = "release/hw1/grades.json"
TAMPERED: dict[str, Callable[[Path], object]] = {
    "a byte": lambda a: rewritten(a, lambda m, b: (m, b.replace(b"7", b"9") if m.name == GRADES else b)),
    "a file gone": lambda a: rewritten(a, lambda m, b: None if m.name == GRADES else (m, b)),
    "a file more": lambda a: rewritten(a, lambda m, b: (renamed(m, GRADES, "release/hw1/files/evil.py"), b)),
    "a name that leads out": lambda a: rewritten(a, lambda m, b: (renamed(m, GRADES, "../evil.py"), b)),
    "an absolute name": lambda a: rewritten(a, lambda m, b: (renamed(m, GRADES, "/tmp/evil-of-mograder.py"), b)),
    "a link that leads out": lambda a: rewritten(
        a, lambda m, b: (m.replace(linkname="/etc/passwd", deep=True) if m.issym() else m, b)
    ),
    "a link to another": lambda a: rewritten(
        a, lambda m, b: (m.replace(linkname="bob.py", deep=True) if m.issym() else m, b)
    ),
    "no manifest": lambda a: rewritten(a, lambda m, b: None if m.name == "manifest.json" else (m, b)),
    "a broken manifest": lambda a: rewritten(a, lambda m, b: (m, b"{}" if m.name == "manifest.json" else b)),
    "cut short": lambda a: a.write_bytes(a.read_bytes()[: a.stat().st_size // 2]),
    "no archive": lambda a: a.write_bytes(b"hello"),
    "no tar": lambda a: a.write_bytes(gzip.compress(b"hello" * 500)),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_archive_is_refused_and_leaves_nothing(
    course: Path, tmp_path: Path, tamper: Callable[[Path], object]
) -> None:
    archive = tmp_path / "a.tar.gz"
    assert run("backup", course, archive).returncode == 0
    tamper(archive)
    back = run("restore", archive, tmp_path / "b")
    assert back.returncode == 7, back.stdout + back.stderr
    assert len(back.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "course"]


def test_a_ledger_that_was_altered_to_name_a_file_outside_brings_none_into_the_archive(
    course: Path, tmp_path: Path
) -> None:
    (course.parent / "private").write_text("mine")
    ledger(course, "UPDATE receipts SET filename = '../../../private' WHERE number = 3")
    assert run("backup", course, tmp_path / "a.tar.gz").returncode == 1
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_receipt_altered_with_its_checksum_is_found_by_the_doctor_at_the_end(course: Path, tmp_path: Path) -> None:
    """Whoever rewrites file and manifest alike still cannot sign."""
    ledger(course, "UPDATE receipts SET received = received - 60000000 WHERE number = 2")
    assert run("backup", course, tmp_path / "a.tar.gz").returncode == 0
    back = run("restore", tmp_path / "a.tar.gz", tmp_path / "b")
    assert back.returncode == 7
    assert "received is not what was signed" in back.stdout
