"""`mograder https receipts` and `verify`, the pinned key, and a new one: against a real server."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mograder.cli import run
from mograder.signing import Ed25519Signer, new_private_key
from tests.cli.conftest import Mograder, work
from tests.parts import CODE, Running, names_in, running, sha256

HW1 = Path(".mograder/receipts")


def kept() -> list[Path]:
    return sorted(HW1.glob("*.json"))


def submit_twice(alice: Mograder) -> None:
    for content in (b"x = 1\n", b"x = 2\n"):
        alice("submit", "hw1", work(content))


# receipts


def test_receipts_are_listed_and_downloaded_with_their_versions(alice: Mograder, server: Running) -> None:
    assert alice("receipts").out.split() == ["Receipt", "Assignment", "Attempt", "Received", "Due", "Bytes", "SHA-256"]
    submit_twice(alice)
    assert server.submit("bob", b"bob's").status_code == 200
    lines = alice("receipts").out.splitlines()
    assert len(lines) == 3
    assert lines == alice("receipts", "hw1").out.splitlines()
    assert lines[2].split()[:3] == ["2", "hw1", "2"]
    assert lines[2].split()[-2:] == ["6", sha256(b"x = 2\n")[:12]]

    alice("receipts", "-o", "history")
    versions = [name for name in names_in(Path("history/hw1")) if name.endswith(".py")]
    assert [(Path("history/hw1") / name).read_bytes() for name in versions] == [b"x = 1\n", b"x = 2\n"]
    assert names_in(Path("history/hw1/.mograder/receipts")) == [path.name for path in kept()]
    ran = alice("verify", "history")
    assert ran.out.count("right: ") == 2
    assert all(f", {name}\n" in ran.out for name in versions)
    assert json.loads(alice("receipts", "--json").out)[0]["url"].endswith(versions[0])


def test_a_receipt_says_whether_it_was_late_where_there_was_a_due_time(alice: Mograder, server: Running) -> None:
    alice("submit", "hw1", work(b"x = 1\n"))
    for number, year in ((2, 2099), (3, 2020)):
        plan = f"[[assignments]]\nname = 'hw1'\ndue = {year}-01-01T00:00:00Z\n"
        (server.root.parent / "mograder.toml").write_text(plan)
        alice("submit", "hw1", work(b"x = %d\n" % number))
    first, second, third = alice("receipts").out.splitlines()[1:]
    assert ("in time" in first, "late" in first) == (False, False)
    assert "in time" in second
    assert "late" in third
    first, second, third = alice("verify").out.splitlines()[1:]
    assert ("in time" in first, "late" in first) == (False, False)
    assert ", in time" in second
    assert ", late" in third


# verify


def test_verify_compares_with_signature_files_and_server(alice: Mograder, server: Running) -> None:
    submit_twice(alice)
    for words in ((), ("--offline",)):
        ran = alice("verify", *words)
        assert ran.out.count("right: receipt ") == 2
        assert ran.out.splitlines()[2].endswith(", homework.py")
    assert "is what receipt 2 is for" in alice("verify", "homework.py").out
    server.kill()
    assert alice("verify", "--offline").code == 0
    alice("verify", "--patience", "0", code=6)


def alter(name: str, value: object) -> Callable[[], None]:
    def change() -> None:
        path = kept()[0]
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    return change


@pytest.mark.parametrize(
    "change",
    [alter("user", "bob"), alter("assignment", "hw2"), alter("attempt", 2), alter("version", "x.py"), alter("size", 7),
     alter("sha256", "ab"), alter("received", 1.5), alter("receipt", "a.b.c"),
     alter("receipt", Ed25519Signer(new_private_key()).sign({"user": "alice", "number": 1}))],
)  # fmt: skip
def test_a_receipt_that_was_altered_is_found_without_a_server(alice: Mograder, change: Callable[[], None]) -> None:
    submit_twice(alice)
    change()
    ran = alice("verify", "--offline", code=7)
    assert ran.out.count("wrong: ") == 1
    assert str(kept()[0]) in ran.out


def test_a_file_that_was_changed_since_is_not_what_was_submitted(alice: Mograder) -> None:
    submit_twice(alice)
    work(b"x = 3\n")
    assert "no receipt is for these bytes" in alice("verify", "homework.py", "--offline", code=7).out
    alice("verify", "--offline")  # working on is no fault of the receipts


def test_a_receipt_that_the_servers_chain_no_longer_has_is_found(alice: Mograder, server: Running) -> None:
    submit_twice(alice)
    with closing(sqlite3.connect(server.root / ".mograder.db")) as ledger:
        ledger.execute("DELETE FROM pending")
        ledger.execute("DELETE FROM receipts WHERE number = 2")
        ledger.commit()
    ran = alice("verify", code=7)
    assert (ran.out.count("right: "), ran.out.count("the server's chain was cut: it ends at receipt 1")) == (1, 1)
    assert server.submit("alice", b"another").status_code == 200
    assert "something else in the place of receipt 2" in alice("verify", code=7).out


def test_a_bare_receipt_and_saved_keys_need_neither_login_nor_server(mograder: Mograder, server: Running) -> None:
    text = server.submit("alice", b"work").json()["receipt"]
    Path("mine.jws").write_text(text)
    Path("jwks.json").write_text(server.client.get("/.well-known/jwks.json").text)
    assert "receipt 1: alice, hw1" in mograder("verify", "mine.jws", "--keys", "jwks.json", "--offline").out
    Path("other.json").write_text(json.dumps({"keys": Ed25519Signer(new_private_key()).public_keys()}))
    assert "not signed" in mograder("verify", "mine.jws", "--keys", "other.json", "--offline", code=7).out
    mograder("verify", "mine.jws", "--offline", code=2)
    mograder("verify", "--offline", code=2)
    mograder("verify", "mine.jws", "--keys", "mine.jws", "--offline", code=2)


# the key


def test_a_changed_key_is_refused_until_it_is_trusted_and_old_receipts_stay_good(
    mograder: Mograder, course_folder: Path
) -> None:
    with running(course_folder) as server:
        ran = mograder("login", "--url", server.url, "--user", "alice", "--code", CODE)
        old = server.client.get("/.well-known/jwks.json").json()["keys"][0]["kid"]
        assert old in ran.err
        mograder("submit", "hw1", work(b"x = 1\n"))
        assert run(["secret", "rotate-key", str(course_folder)]) == 2  # while it is being served
        assert server.client.get("/.well-known/jwks.json").json()["keys"][0]["kid"] == old
        assert server.stop() == 0
    assert run(["secret", "rotate-key", str(course_folder)]) == 0
    with running(course_folder, port=server.port) as server:
        keys = server.client.get("/.well-known/jwks.json").json()["keys"]
        assert (len(keys), keys[1]["kid"]) == (2, old)
        assert keys[0]["kid"] != old
        ran = mograder("submit", "hw1", work(b"x = 2\n"), code=7)
        assert ran.out.startswith("Submitted 'homework.py'")
        assert "another key" in ran.err
        assert "--new-key" in ran.err
        assert len(kept()) == 2  # what was acknowledged is kept, whatever it is worth
        mograder("login", "--url", server.url, "--token", server.token("alice"), code=7)
        mograder("receipts", code=7)
        mograder("verify", code=7)

        assert (
            keys[0]["kid"] in mograder("login", "--url", server.url, "--user", "alice", "--code", CODE, "--new-key").err
        )
        mograder("submit", "hw1", work(b"x = 3\n"))
        assert mograder("verify").out.count("right: ") == 3
        assert server.stop() == 0
    assert run(["verify", str(course_folder)]) == 0


def test_a_login_elsewhere_or_after_a_logout_does_not_forget_the_key(alice: Mograder, server: Running) -> None:
    alice("logout")
    path = server.root / ".mograder-signing-key.pem"
    server.stop()
    path.write_bytes(new_private_key())
    with running(server.root, port=server.port):
        alice("login", "--url", server.url, "--token", server.token("alice"), code=7)


# the documentation


@pytest.mark.skipif(sys.platform == "win32", reason="names as on POSIX")
def test_the_examples_of_the_documentation_check_a_receipt_and_a_course(
    alice: Mograder, server: Running, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "receipts.md").read_text()
    one, whole = (block.partition("```")[0] for block in page.split("```python\n")[1:])
    assert len([line for line in one.splitlines() if line.strip()]) <= 10
    submit_twice(alice)
    keys = server.client.get("/.well-known/jwks.json").text
    shutil.copy(kept()[1], "receipt.json")
    Path("jwks.json").write_text(keys)

    def example(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
        # Whatever the example leaves open (files) is not what is tested.
        command = [sys.executable, "-W", "ignore", "-c", text]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ}, timeout=60)

    ran = example(one, Path())
    assert ran.stdout.startswith("alice hw1 2"), ran.stderr
    Path("homework.py").write_bytes(b"x = 9\n")
    assert "AssertionError" in example(one, Path()).stderr

    assert server.submit("bob", b"bob's").status_code == 200
    assert run(["erase", "bob", "--course", str(server.root), "--yes"]) == 0
    assert server.stop() == 0
    course = server.root.parent
    (course / "jwks.json").write_text(keys)
    ran = example(whole, course)
    assert ran.stdout.startswith("head 3:"), ran.stderr
    (course / "submitted/hw1/alice.py").write_bytes(b"x = 9\n")
    assert "AssertionError" in example(whole, course).stderr
