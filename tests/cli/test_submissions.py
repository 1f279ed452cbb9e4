"""`mograder https submit` around a deadline, the outbox, requests for more time, and `mograder extend`."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mograder.cli import run
from mograder.client.outbox import Outbox
from mograder.domain.grading_jobs import LEASE, Announced
from mograder.factory import open_existing
from mograder.signing import Ed25519Signer
from tests.grading_samples import signed_result
from tests.hostile import Answer, HostileServer, as_json
from tests.parts import CODE, HW1, NOON, Running, names_in, serving, sha256

Run = Callable[..., Any]


@pytest.fixture
def mograder(own_home: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs any command. Returns stdout (parsed, if JSON) and stderr."""

    def ran(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        left = run(list(words))
        out, err = capsys.readouterr()
        assert left == code, out + err
        assert "Traceback" not in out + err
        return json.loads(out) if "--json" in words and not code else (out, err)

    return ran


@pytest.fixture
def alice(mograder: Run, server: Running) -> Run:
    mograder("https", "login", "--url", server.url, "--user", "alice", "--code", CODE)
    return mograder


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local time zone is that of Nepal."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def work(content: bytes, name: str = "homework.py") -> str:
    Path(name).write_bytes(content)
    return name


def due(server: Running, after: timedelta, closes: timedelta | None = None, head: str = "") -> datetime:
    """Set the due time to a while from now, and the closing time."""
    now = datetime.now(UTC)
    moment = (now + after + timedelta(milliseconds=1)).replace(microsecond=0)
    text = f"due = {moment.isoformat()}\n"
    if closes is not None:
        text += f"closes = {(now + closes + timedelta(milliseconds=1)).replace(microsecond=0).isoformat()}\n"
    (server.root.parent / "mograder.toml").write_text(f"{head}\n[[assignments]]\nname = 'hw1'\n{text}")
    return moment


def kept(server: Running) -> dict[str, bytes]:
    folder = server.submitted / "hw1"
    return {name: (folder / name).read_bytes() for name in names_in(folder)} if folder.exists() else {}


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system takes the zone from elsewhere than TZ")
@pytest.mark.usefixtures("zone")
def test_due_times_are_shown_in_the_time_zone_of_the_student(alice: Run, server: Running) -> None:
    moment = due(server, timedelta(days=2))
    shown = (moment + timedelta(hours=5, minutes=45)).strftime("%Y-%m-%d %H:%M")
    for words in (("fetch", "--list"), ("feedback", "hw1")):
        out, _ = alice("https", *words)
        assert f"{shown}" in out
        assert "UTC+0545" in out
    out, _ = alice("https", "submit", "hw1", work(b"x = 1\n"))
    assert "UTC+0545" in out
    assert "on time" in out


LATE = "counts = 'on-time'\n[penalties]\nenabled = true\nper_day = 7"


def test_a_student_learns_before_sending_that_it_would_be_late_and_afterwards_what_counts(
    alice: Run, server: Running
) -> None:
    due(server, timedelta(days=1), head=LATE)
    alice("https", "submit", "hw1", work(b"in time"))
    due(server, timedelta(hours=-25), head=LATE)
    file = work(b"late")
    planned = alice("https", "submit", "hw1", file, "--dry-run", "--json")
    assert planned["late"] is True
    assert len(kept(server)) == 2
    out, err = alice("https", "submit", "hw1", file)
    assert "note: this is late: 2 days begun after " in err
    assert ", which costs 14 %" in err
    assert re.search(r"  late: 2 days begun after .*, which costs 14 %", out)
    reply = alice("https", "submit", "hw1", work(b"later"), "--json")
    assert (reply["late"], reply["days_late"], reply["penalty"], reply["rule"]) == (True, 2, 14, "on-time")
    assert "this is late" not in alice("https", "submit", "hw1", work(b"x"), "--user", "alice", "--dry-run")[1]
    server.client.post("/assignments/hw1/submit?user=alice", content=b"by mail", headers=server.bearer())
    out, _ = alice("https", "feedback", "hw1")
    assert "(submitted for you by your instructor)" in out
    assert "On time" in out


def test_a_student_without_a_submission_on_time_learns_that_the_last_one_counts(alice: Run, server: Running) -> None:
    due(server, timedelta(hours=-25), head=LATE)
    alice("https", "submit", "hw1", work(b"late"))
    out, _ = alice("https", "feedback", "hw1")
    assert "What counts: your last submission, as none was on time (alice_" in out


def test_the_submissions_that_count_and_the_latest_and_the_last_on_time_can_be_collected(
    alice: Run, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(server, timedelta(days=1), head=LATE)
    alice("https", "submit", "hw1", work(b"in time"))
    due(server, timedelta(seconds=-1), head=LATE + "\ngrace_minutes = 0")
    server.client.post(  # the second submission is after the due time by then, however slow this machine is
        "/assignments/hw1/submit?user=bob", content=b"bob", headers=server.bearer("bob")
    )
    due(server, timedelta(days=1), head=LATE)
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", server.token("__instructor__"))
    out, _ = alice("https", "fetch-submissions", "hw1")
    assert "Downloaded 2" in out
    due(server, timedelta(days=-3), head=LATE)
    out, err = alice("https", "fetch-submissions", "hw1", "--which", "latest", "-o", "latest")
    assert "bob: 3 days late: due" in err or "bob: 4 days late: due" in err
    assert names_in(Path("latest")) == [".mograder", "alice.py", "bob.py"]
    out, _ = alice("https", "fetch-submissions", "hw1", "--which", "on-time", "-o", "in-time")
    assert "Downloaded 0" in out
    for which, count in (("on-time", 0), ("latest", 2), ("counts", 2)):
        reply = server.client.get(f"/assignments/hw1/submissions?which={which}", headers=server.bearer())
        assert len(reply.json()) == count
    refused = server.client.get("/assignments/hw1/submissions?which=best", headers=server.bearer())
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


def test_near_a_deadline_the_checksum_is_sent_first_and_its_time_counts(alice: Run, server: Running) -> None:
    due(server, timedelta(minutes=5), timedelta(minutes=5))
    reply = alice("https", "submit", "hw1", work(b"x = 1\n"), "--json")
    assert reply["arrived"] >= reply["received"]
    due(server, timedelta(days=5))
    assert "arrived" not in alice("https", "submit", "hw1", work(b"y = 1\n"), "--json")


def test_a_file_whose_checksum_was_announced_is_accepted_after_the_closing_time(alice: Run, server: Running) -> None:
    due(server, timedelta(minutes=5), timedelta(minutes=5))
    content = b"x = 1\n"
    announced = {"sha256": sha256(content), "size": len(content)}
    reply = server.client.post("/assignments/hw1/commit?user=alice", json=announced, headers=server.bearer("alice"))
    committed = reply.json()
    assert (committed["late"], committed["until"]) == (False, committed["committed"] + 3600)
    due(server, timedelta(hours=-2), timedelta(hours=-1))  # the commitment itself came after this time
    alice("https", "submit", "hw1", work(content), code=5)
    closes = datetime.fromtimestamp(int(committed["committed"]), UTC)
    due(server, closes - datetime.now(UTC), closes - datetime.now(UTC))
    while datetime.now(UTC) < closes + timedelta(seconds=1):
        alice("https", "fetch", "--list")
    out, _ = alice("https", "submit", "hw1", work(content))
    assert "that is when it was announced; the file itself arrived" in out
    assert "on time" in out
    alice("https", "submit", "hw1", work(b"other"), code=5)


# the outbox


def test_a_submission_that_cannot_be_sent_is_kept_and_sent_by_the_next_command(
    alice: Run, server: Running, tmp_path: Path
) -> None:
    server.kill()
    _, err = alice("https", "submit", "hw1", work(b"first\n"), "--patience", "0", code=6)
    assert err.count("\n") == 1
    assert "a copy of homework.py is kept" in err
    alice("https", "submit", "hw1", work(b"second\n"), "--patience", "0", code=6)
    Path("homework.py").unlink()
    (waiting, _) = Outbox().all()
    if os.name == "posix":
        assert Outbox().path(waiting).stat().st_mode & 0o077 == 0
    _, err = alice("https", "fetch", "--list", "--patience", "0", code=6)
    assert "2 submissions not sent yet" in err
    with restarted(server):
        _, err = alice("https", "fetch", "--list")
        assert err.count("which was waiting, is submitted") == 2
        assert kept(server)["alice.py"] == b"second\n"
        assert sorted(content for name, content in kept(server).items() if name != "alice.py") == [
            b"first\n", b"second\n"
        ]  # fmt: skip
        assert Outbox().all() == []
        assert len(names_in(Path(".mograder/receipts"))) == 2
        assert "waiting" not in alice("https", "fetch", "--list")[1]


@contextmanager
def restarted(server: Running) -> Iterator[None]:
    """A server on the same course and port."""
    with serving(str(server.root), port=server.port):
        yield


def test_a_submission_that_is_refused_later_stays_until_it_is_deleted(alice: Run, server: Running) -> None:
    Outbox().put(Path(work(b"x\n")), server.url, "alice", "alice", "hw1")
    due(server, timedelta(hours=-3), timedelta(hours=-2))
    _, err = alice("https", "fetch", "--list")
    assert "closed at" in err
    assert "closed at" not in alice("https", "fetch", "--list")[1]
    _, err = alice("https", "retry", code=1)
    assert "closed at" in err
    assert len(Outbox().all()) == 1
    assert alice("https", "retry", "--drop", "--json") == {"dropped": 1}
    assert Outbox().all() == []
    assert alice("https", "retry", "--json") == {"sent": 0, "refused": 0}


def test_a_waiting_old_version_replaces_a_newer_one_only_by_an_explicit_retry(alice: Run, server: Running) -> None:
    Outbox().put(Path(work(b"old\n")), server.url, "alice", "alice", "hw1")
    assert server.submit("alice", b"new, from elsewhere").status_code == 200
    _, err = alice("https", "fetch", "--list")
    assert "a later submission of yours was received since" in err
    assert kept(server)["alice.py"] == b"new, from elsewhere"
    assert alice("https", "retry", "--json") == {"sent": 1, "refused": 0}
    assert kept(server)["alice.py"] == b"old\n"


def test_a_retry_of_a_submission_that_arrived_counts_once(alice: Run, server: Running) -> None:
    alice("https", "submit", "hw1", work(b"x\n"))
    Outbox().put(Path(work(b"x\n")), server.url, "alice", "alice", "hw1")
    assert alice("https", "retry", "--json") == {"sent": 1, "refused": 0}
    assert len(kept(server)) == 2


def test_a_refused_submission_is_not_left_in_the_outbox(alice: Run, server: Running) -> None:
    due(server, timedelta(hours=-3), timedelta(hours=-2))
    alice("https", "submit", "hw1", work(b"x\n"), code=5)
    assert Outbox().all() == []


def test_a_student_learns_how_many_attempts_are_left_and_when_the_next_is_possible(alice: Run, server: Running) -> None:
    (server.root.parent / "mograder.toml").write_text("[grading]\nper_hour = 1\n")
    file = work(b"one")
    assert "Submissions left in this hour: 1 of 1" in alice("https", "submit", "hw1", file, "--dry-run")[1]
    assert "Submissions left in this hour: 1 of 1" in alice("https", "submit", "hw1", file)[1]
    assert "No submission is left in this hour: the next is taken at" in alice("https", "feedback", "hw1")[0]
    _, err = alice("https", "submit", "hw1", work(b"two"), code=5)
    assert "1 time within an hour" in err
    assert re.search(r"the next is taken at .* UTC, in (60|59) minutes", err)
    assert (Outbox().all(), len(kept(server))) == ([], 2)
    assert "already your latest" in alice("https", "submit", "hw1", work(b"one"))[0]


def test_submissions_in_the_outbox_of_another_user_are_not_sent(
    alice: Run, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    Outbox().put(Path(work(b"x\n")), server.url, "alice", "alice", "hw1")
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", server.token("bob"))
    assert alice("https", "retry", "--json") == {"sent": 0, "refused": 0}
    assert len(Outbox().all()) == 1
    assert kept(server) == {}


def test_a_server_without_receipts_and_commitments_still_gets_the_file(
    mograder: Run, hostile_server: HostileServer
) -> None:
    soon = int(time.time()) + 60
    hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": [], "duedate": soon}]))
    hostile_server.answer("POST /assignments/hw1/submit", Answer(hang_up=True))
    server = ["--url", hostile_server.url, "--token", "alice:" + "0" * 64, "--patience", "0"]
    mograder("https", "submit", "hw1", work(b"x\n"), *server, code=6)
    hostile_server.answer("POST /assignments/hw1/submit", as_json({"status": "ok", "filename": "alice.py"}))
    assert mograder("https", "retry", *server, "--json") == {"sent": 1, "refused": 0}
    assert mograder("https", "submit", "hw1", work(b"y\n"), *server, "--json")["user"] == "alice"
    assert [each.path.partition("?")[0] for each in hostile_server.requests if each.method == "POST"] == [
        "/assignments/hw1/commit", "/assignments/hw1/submit", "/assignments/hw1/submit",
        "/assignments/hw1/commit", "/assignments/hw1/submit",
    ]  # fmt: skip


# more time


def test_a_student_requests_more_time_and_the_instructor_grants_it_in_the_folder_or_over_http(
    alice: Run, server: Running, tmp_path: Path
) -> None:
    moment = due(server, timedelta(days=1), timedelta(days=1))
    here, there = ["--course", str(server.root)], ["--url", server.url, "--token", server.token("__instructor__")]
    alice("https", "ask-extension", "hw1", "--until", "soon", "--reason", "ill", code=2)
    out, _ = alice("https", "ask-extension", "hw1", "--until", "+2d", "--reason", "ill")
    assert "Asked for 'hw1' until" in out
    assert "Extension: asked until" in alice("https", "feedback", "hw1")[0]
    (asked,) = alice("extend", "--requests", *here, "--json")
    assert (asked["user"], asked["state"], asked["reason"]) == ("alice", "asked", "ill")
    columns = alice("extend", "--requests", *here)[0].splitlines()[0]
    assert re.split(" {2,}", columns) == ["Assignment", "User", "State", "Asked until", "Because"]
    (given,) = alice("extend", "--grant", "alice", "hw1", "--reason", "get well", *there, "--json")
    assert given["until"] == asked["wanted"] == (moment + timedelta(days=2)).timestamp()
    assert alice("extend", "--requests", *there, "--json") == []
    out, _ = alice("https", "feedback", "hw1")
    assert "Extension: granted: get well" in out
    (listed,) = alice("https", "fetch", "--list", "--json")
    assert listed["duedate"] == listed["closes"] == given["until"]
    alice("extend", "--decline", "alice", "hw1", *here, code=4)
    (back,) = alice("extend", "--withdraw", "alice", "hw1", *here, "--json")
    assert back["state"] == "withdrawn"
    assert "withdrawn" in alice("extend", "--list", *here)[0]


def test_several_students_and_a_list_are_extended_together_or_not_at_all(alice: Run, server: Running) -> None:
    due(server, timedelta(days=1))
    server.client.post("/register", json={"user": "bob", "enrollment_code": CODE})
    here = ["--course", str(server.root)]
    out, _ = alice("extend", "alice", "bob", "hw1", "+3d", *here)
    assert out.count("granted") == 2
    alice("extend", "alice", "carl", "hw1", "+9d", *here, code=4)
    Path("list.csv").write_text("Username;Assignment;Until;Reason\nalice;hw1;+5d;A\nbob;hw1;+6d;\n")
    found = alice("extend", "--csv", "list.csv", "--reason", "strike", *here, "--json")
    assert [(each["user"], each["note"]) for each in found] == [("alice", "A"), ("bob", "strike")]
    for text, says in (
        ("username,until\na,b\n", "has no column assignment"), ("username,assignment,until\n", "names nobody"),
        ("username,assignment,until\nalice,hw1,\n", "line 2: has no time"),
    ):  # fmt: skip
        Path("list.csv").write_text(text)
        assert says in alice("extend", "--csv", "list.csv", *here, code=1)[1]
    for words in (["alice", "hw1"], ["hw1"], [], ["--grant", "hw1"], ["--list", "alice", "hw1", "+1d"]):
        alice("extend", *words, *here, code=2)
    assert "'banana' is no time" in alice("extend", "alice", "hw1", "banana", *here, code=2)[1]
    assert "not after the due time" in alice("extend", "alice", "hw1", "2020-01-01", *here, code=1)[1]


def test_only_an_instructor_grants_an_extension(alice: Run, server: Running) -> None:
    due(server, timedelta(days=1))
    for words in (["alice", "hw1", "+3d"], ["--list"], ["--requests"]):
        alice("extend", *words, code=3)


def test_feedback_shows_the_points_of_each_question_and_which_are_marked_by_hand(alice: Run, server: Running) -> None:
    with closing(open_existing(server.root)) as course:
        course.store.jobs.announce(HW1, Announced("t1"))
        alice("https", "submit", "hw1", work(b"x = 1"))
        job = course.store.jobs.claim("w", NOON, NOON + LEASE, [HW1])
        assert job is not None
        assert isinstance(course.signer, Ed25519Signer)
        assert course.store.jobs.finish(job, signed_result(course.store, course.signer, job))
    shown = alice("https", "feedback", "hw1")[0].splitlines()
    assert [line for line in shown if line.startswith("  Q")] == [
        "  Q1: 2.5 of 10 points", "  Q2: 13.3 of 20 points", "  Q3: marked by hand, 5 points"
    ]  # fmt: skip
    assert "    in part  Q1: value" in shown
