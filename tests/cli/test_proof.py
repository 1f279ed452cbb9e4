"""`mograder https receipts` and `verify`, the pinned key and a changed key, against a real server."""

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
from mograder.coursework.records import write_record
from mograder.domain.grading_jobs import LEASE
from mograder.domain.grading_record import GradingRecord
from mograder.domain.result_statement import KIND as STATEMENT
from mograder.signing import Ed25519Signer, new_private_key
from mograder.wire.records import KIND, record_of
from tests.cli.conftest import Mograder, work
from tests.grading_samples import signed_result
from tests.parts import CODE, NOON, Running, names_in, open_store, running, sha256
from tests.parts import HW1 as ASSIGNMENT

HW1 = Path(".mograder/receipts")


def kept() -> list[Path]:
    return sorted(HW1.glob("*.json"))


def submit_twice(alice: Mograder) -> None:
    for content in (b"x = 1\n", b"x = 2\n"):
        alice("submit", "hw1", work(content))


# receipts


def test_receipts_are_listed_and_downloaded_with_their_versions(alice: Mograder, server: Running) -> None:
    assert alice("receipts").out.split() == [
        "Receipt",
        "Assignment",
        "Submission",
        "Received",
        "Lateness",
        "Bytes",
        "SHA-256",
    ]
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


def test_a_receipt_states_lateness_if_there_was_a_due_time(alice: Mograder, server: Running) -> None:
    alice("submit", "hw1", work(b"x = 1\n"))
    for number, year in ((2, 2099), (3, 2020)):
        plan = f"[[assignments]]\nname = 'hw1'\ndue = {year}-01-01T00:00:00Z\n"
        (server.root.parent / "mograder.toml").write_text(plan)
        alice("submit", "hw1", work(b"x = %d\n" % number))
    first, second, third = alice("receipts").out.splitlines()[1:]
    assert ("on time" in first, "late" in first) == (False, False)
    assert "on time" in second
    assert "late" in third
    first, second, third = alice("verify").out.splitlines()[1:]
    assert ("on time" in first, "late" in first) == (False, False)
    assert ", on time" in second
    assert ", late" in third


# verify


def test_verify_compares_signature_files_and_server(alice: Mograder, server: Running) -> None:
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
def test_an_altered_receipt_is_detected_without_a_server(alice: Mograder, change: Callable[[], None]) -> None:
    submit_twice(alice)
    change()
    ran = alice("verify", "--offline", code=7)
    assert ran.out.count("wrong: ") == 1
    assert str(kept()[0]) in ran.out


def test_a_file_that_was_changed_since_does_not_match_its_receipt(alice: Mograder) -> None:
    submit_twice(alice)
    work(b"x = 3\n")
    assert "no receipt is for these bytes" in alice("verify", "homework.py", "--offline", code=7).out
    alice("verify", "--offline")  # a file that was edited since does not make the receipts wrong


def test_a_receipt_that_is_missing_from_the_chain_of_the_server_is_detected(alice: Mograder, server: Running) -> None:
    submit_twice(alice)
    with closing(sqlite3.connect(server.root / ".mograder.db")) as ledger:
        ledger.execute("DELETE FROM pending")
        ledger.execute("DELETE FROM receipts WHERE number = 2")
        ledger.commit()
    ran = alice("verify", code=7)
    assert (ran.out.count("right: "), ran.out.count("the server's chain was cut: it ends at receipt 1")) == (1, 1)
    assert server.submit("alice", b"another").status_code == 200
    assert "something else in the place of receipt 2" in alice("verify", code=7).out


def test_a_single_receipt_is_verified_with_saved_keys_without_login_and_server(
    mograder: Mograder, server: Running
) -> None:
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


def test_a_changed_key_is_refused_until_it_is_trusted_and_old_receipts_stay_valid(
    mograder: Mograder, course_folder: Path
) -> None:
    with running(course_folder) as server:
        ran = mograder("login", "--url", server.url, "--user", "alice", "--code", CODE)
        old = server.client.get("/.well-known/jwks.json").json()["keys"][0]["kid"]
        assert old in ran.err
        mograder("submit", "hw1", work(b"x = 1\n"))
        assert run(["secret", "rotate-key", str(course_folder)]) == 2  # while the course is served
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
        assert len(kept()) == 2  # what was acknowledged is kept, valid or not
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


def test_the_pinned_key_is_kept_after_a_login_elsewhere_and_after_a_logout(alice: Mograder, server: Running) -> None:
    alice("logout")
    path = server.root / ".mograder-signing-key.pem"
    server.stop()
    path.write_bytes(new_private_key())
    with running(server.root, port=server.port):
        alice("login", "--url", server.url, "--token", server.token("alice"), code=7)


# the documentation


@pytest.mark.skipif(sys.platform == "win32", reason="names as on POSIX")
def test_the_examples_of_the_documentation_verify_a_receipt_and_a_course(
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
        # Files that the example does not close are not the subject of this test.
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


# results


def grade_newest(server: Running) -> tuple[Ed25519Signer, GradingRecord]:
    """Store a result of the newest submission, as a worker does. Returns the key of the course and the record."""
    with closing(open_store(server.root)) as store:
        signer = Ed25519Signer(store.keys.signing_key(new_private_key))
        job = store.jobs.claim("w", NOON, NOON + LEASE, [ASSIGNMENT])
        assert job is not None
        made = signed_result(store, signer, job)
        assert store.jobs.finish(job, made)
    return signer, record_of(signer.verify(made.signed, KIND))


@pytest.fixture
def result(alice: Mograder, server: Running) -> Path:
    """The file in which alice's client has stored the signed result of her second submission."""
    submit_twice(alice)
    grade_newest(server)
    assert "15.8 of 30 points" in alice("feedback", "hw1").out
    (found,) = Path(".mograder/results").glob("*.json")
    return found


def test_receipt_and_result_are_verified_with_and_without_the_server(
    alice: Mograder, server: Running, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = "right: result of receipt 2: alice, hw1, 15.8 of 30 points by checks (Q1 2.5, Q2 13.3), graded "
    assert right in alice("verify").out
    alice("receipts", "-o", "history")
    assert right in alice("verify", "history").out
    server.kill()
    assert right in alice("verify", "homework.py", "--offline").out
    assert run(["verify", "homework.py", str(kept()[1]), str(result)]) == 0
    said = capsys.readouterr().out
    assert right in said
    assert "right: homework.py: is what receipt 2 is for" in said
    assert "hidden" not in result.read_text()


def replace_claims(server: Running, result: Path, **changes: object) -> None:
    """Let the course sign another result."""
    with closing(open_store(server.root)) as store:
        signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    claims = signer.verify(json.loads(result.read_text())["statement"], STATEMENT)
    result.write_text(json.dumps({"server": server.url, "statement": signer.sign({**claims, **changes}, STATEMENT)}))


def test_a_result_that_does_not_belong_to_the_receipt_is_wrong_with_a_reason(
    alice: Mograder, server: Running, result: Path
) -> None:
    genuine = result.read_text()

    def wrong(*words: str) -> str:
        ran = alice("verify", "--offline", *words, code=7)
        assert ran.out.count("wrong: ") == 1
        return ran.out

    replace_claims(server, result, sha256=sha256(b"another"))
    assert "it does not belong to receipt 2: it states another sha256" in wrong()
    replace_claims(server, result, user="bob", receipt=1)
    assert "it does not belong to receipt 1: it states another user, sha256" in wrong()
    replace_claims(server, result, receipt=3)
    assert "it belongs to receipt 3, which is not here" in wrong()
    forged = Ed25519Signer(new_private_key()).sign({"receipt": 2, "points": 30}, STATEMENT)
    result.write_text(json.dumps({"server": server.url, "statement": forged}))
    assert "not signed by this course" in wrong()
    receipt = json.loads(kept()[1].read_text())["receipt"]
    result.write_text(json.dumps({"server": server.url, "statement": receipt}))  # a receipt is no result
    assert "statement of another kind" in wrong()
    result.write_text(genuine)
    kept()[1].unlink()
    assert "it belongs to receipt 2, which is not here" in wrong()


def test_a_grading_record_is_bound_to_the_receipt_beside_it(
    alice: Mograder, server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    submit_twice(alice)
    signer, made = grade_newest(server)
    record, receipt = Path("record.json"), str(kept()[1])
    write_record(record, made, signer)
    assert run(["verify", str(record), receipt]) == 0
    assert "right: result of receipt 2: alice, hw1, 15.8 of 30 points" in capsys.readouterr().out
    other = str(kept()[0])
    assert run(["verify", str(record), other]) == 7
    assert "it belongs to receipt 2, which is not here" in capsys.readouterr().out
    record.write_text(record.read_text().replace('"points": 15.8', '"points": 30.0'))
    assert run(["verify", str(record), receipt]) == 7
    assert "the file was altered" in capsys.readouterr().out
