"""`mograder https` against a real server: its output, the files it writes, and its exit codes."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path

import pytest

from mograder.client.client import Client
from mograder.client.logins import Login, Logins
from tests.cli.conftest import Mograder, work
from tests.hostile import Answer, HostileServer, as_json
from tests.parts import CODE, NOTEBOOK, Running, free_port, names_in, sha256

# logging in


def test_login_registers_and_stores_the_login(
    mograder: Mograder, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOGRADER_ENROLLMENT_CODE", CODE)
    ran = mograder("login", "--url", server.url, "--user", "alice")
    assert ran.out == f"Registered at {server.url} as alice\n"
    assert server.token("alice") not in ran.out + ran.err
    assert Logins().last() == Login(server.url, "alice", server.token("alice"))
    assert "hw1" in mograder("fetch", "--list").out


def test_a_taken_name_and_a_wrong_code_are_refused_and_nothing_is_stored(mograder: Mograder, server: Running) -> None:
    words = ("login", "--url", server.url, "--user", "alice")
    assert "code" in mograder(*words, "--code", "guess", code=3).err
    assert Logins().last() is None
    mograder(*words, "--code", CODE)
    mograder("logout")
    assert "taken" in mograder(*words, "--code", CODE, code=5).err
    assert Logins().last() is None


def test_a_registration_whose_answer_was_lost_is_completed_by_the_next_login(
    mograder: Mograder, server: Running, hostile_server: HostileServer
) -> None:
    words = ("login", "--user", "alice", "--code", CODE, "--patience", "0", "--url")
    hostile_server.answer("POST /register", Answer(hang_up=True))
    for _ in range(2):
        mograder(*words, hostile_server.url, code=6)
    keys = {json.loads(asked.body)["claim_key"] for asked in hostile_server.requests if asked.body}
    assert keys == {Logins().claim_key(hostile_server.url, "alice")}
    with Client(server.url) as lost:  # the request arrived, and the answer was lost
        lost.register("alice", CODE, Logins().claim_key(server.url, "alice"))
    mograder(*words, server.url)
    assert Logins().last() == Login(server.url, "alice", server.token("alice"))
    kept = [path for path in Logins().path.parent.iterdir() if path.name.startswith("claim-")]
    assert len(kept) == 1  # the token of the other server
    assert kept[0].stat().st_mode & 0o077 == 0


def test_logging_in_again_succeeds(mograder: Mograder, server: Running) -> None:
    words = ("login", "--url", server.url, "--user", "alice", "--code", CODE)
    mograder(*words)
    assert mograder(*words).out == "you are already logged in here as alice\n"
    Logins().keep(Login(server.url, "alice", "alice:" + "0" * 64))
    mograder(*words, code=3)


def test_a_token_is_stored_only_if_the_server_accepts_it(mograder: Mograder, server: Running) -> None:
    mograder("login", "--url", server.url, "--token", "alice:" + "0" * 64, code=3)
    assert "not a whole token" in mograder("login", "--url", server.url, "--token", "alice", code=2).err
    assert Logins().last() is None
    assert "as alice" in mograder("login", "--url", server.url, "--token", server.token("alice")).out


def test_a_token_can_be_piped(mograder: Mograder, server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(server.token("alice") + "\n"))
    mograder("login", "--url", server.url, "--token", "-")
    for copied in (
        f"TOKEN={server.token('alice')}\n",
        f"alice: {server.token('alice')}\n",
        f'"{server.token("alice")}"',
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO(copied))
        assert "as alice" in mograder("login", "--url", server.url, "--token", "-").out
    assert Logins().last() == Login(server.url, "alice", server.token("alice"))
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    mograder("login", "--url", server.url, "--token", "-", code=2)


def test_login_without_a_terminal_names_the_options_it_needs(mograder: Mograder) -> None:
    assert "--url" in mograder("login", code=2).err
    assert "--user" in mograder("login", "--url", "http://localhost:1", code=2).err
    words = ("login", "--url", "http://localhost:1", "--user", "alice")
    assert "MOGRADER_ENROLLMENT_CODE" in mograder(*words, code=2).err


def test_logout_deletes_the_login(alice: Mograder, server: Running) -> None:
    alice("logout")
    alice("fetch", "--list", "--url", server.url, code=2)
    alice("logout", "--url", server.url, code=2)


# sources of URL and token


def test_a_token_of_one_server_is_not_sent_to_another(alice: Mograder, hostile_server: HostileServer) -> None:
    hostile_server.answer("GET /assignments", as_json({"error": "no token"}, 401))
    alice("fetch", "--list", "--url", hostile_server.url, code=2)
    Path("mograder.toml").write_text('[https]\nurl = "https://course.example.org"\ntoken = "alice:' + "0" * 64 + '"\n')
    alice("fetch", "--list", "--url", hostile_server.url, code=2)
    assert len(hostile_server.requests) == 2
    assert not any("Authorization" in asked.headers for asked in hostile_server.requests)


def test_url_and_token_come_from_the_first_source_that_has_them(
    mograder: Mograder, hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile_server.answer("GET /assignments", as_json([]))

    def sent(*words: str) -> str:
        mograder("fetch", "--list", *words)
        return hostile_server.requests[-1].headers["Authorization"].partition(" ")[2]

    def token(name: str) -> str:
        return f"{name}:{'0' * 64}"

    Path("mograder.toml").write_text(f'[https]\nurl = "{hostile_server.url}/"\ntoken = "{token("toml")}"\n')
    assert sent() == token("toml")
    Logins().keep(Login(hostile_server.url, "login", token("login")))
    assert sent() == token("login")
    Path("mograder.toml").unlink()
    assert sent() == token("login")
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", token("environment"))
    assert sent() == token("environment")
    assert sent("--token", token("flag")) == token("flag")
    monkeypatch.setenv("MOGRADER_HTTPS_URL", "http://127.0.0.1:1")
    assert sent("--url", hostile_server.url) == token("environment")


def test_a_missing_url_or_token_is_an_error_that_says_how_to_give_it(mograder: Mograder, server: Running) -> None:
    assert "--url" in mograder("fetch", "--list", code=2).err
    assert "login" in mograder("fetch", "--list", "--url", server.url, code=2).err
    mograder("fetch", "--list", "--url", "course.example.org", "--token", "x", code=2)
    assert "not a whole token" in mograder("fetch", "--list", "--url", server.url, "--token", "nonsense", code=3).err


# fetching


def test_fetch_list_prints_a_table_or_json(alice: Mograder, server: Running) -> None:
    entry = {"name": "Übung 2", "id": 7, "duedate": 1773144000, "files": []}
    (server.root / "assignments.json").write_text(json.dumps([entry, {"name": "hw1", "id": "hw1"}]), encoding="utf-8")
    lines = alice("fetch", "--list").out.splitlines()
    assert lines[0].split("  ")[0] == "ID"
    assert [
        line for line in lines if "Übung 2" in line and "Tue 2026-03-10 12:00 UTC" in line and line.startswith("7 ")
    ]
    assert [line for line in lines if "No deadline" in line and "hw1" in line]
    shown = alice("fetch", "--list", "--json").out
    assert '"Übung 2"' in shown
    listed = json.loads(shown)
    assert {each["name"]: each["id"] for each in listed} == {"hw1": "hw1", "Übung 2": "7"}


def test_titles_are_listed_and_searched_and_closed_assignments_are_marked(
    mograder: Mograder, hostile_server: HostileServer
) -> None:
    entries = [{"name": "hw2"}, {"name": "hw1", "title": "Erste Schritte", "duedate": 1000, "closes": 2000}]
    hostile_server.answer("GET /assignments", as_json(entries))
    words = ("--url", hostile_server.url, "--token", "alice:" + "0" * 64)
    head, first, second = mograder("fetch", "--list", *words).out.splitlines()
    assert head.split() == ["ID", "Name", "Title", "Due", "date", "Files"]
    assert "Erste Schritte  Thu 1970-01-01 00:16 UTC, closed" in first
    assert "closed" not in second
    assert "'hw1'" in mograder("fetch", "erste", *words).out


def test_fetch_lists_downloaded_and_skipped_files(alice: Mograder, server: Running) -> None:
    assert "Fetched 1 file(s) for 'hw1'" in alice("fetch", "hw1", "-o", "out").out
    assert Path("out/hw1.py").read_bytes() == NOTEBOOK
    assert "Fetched 0 file(s) for 'hw1', skipped 1 unchanged" in alice("fetch", "hw1", "-o", "out").out
    work(b"mine\n", "out/hw1.py")
    assert "kept as you changed it" in alice("fetch", "hw1", "-o", "out").err
    (server.root / "hw1/files/hw1.py").write_bytes(b"second\n")
    ran = alice("fetch", "hw1", "-o", "out")
    assert "put beside yours" in ran.err
    assert "hw1.new.py" in ran.err
    assert json.loads(alice("fetch", "hw1", "-o", "new", "--json").out) == [
        {"path": str(Path("new/hw1.py")), "outcome": "new"}
    ]


def test_an_assignment_is_found_by_name_then_by_id_then_by_part_of_its_name(alice: Mograder, server: Running) -> None:
    for name in ("Übung 1", "Übung 2", "hw10"):
        (server.root / name / "files").mkdir(parents=True)
        (server.root / name / "files" / "a.py").write_bytes(b"x")
    assert "'hw1'" in alice("fetch", "hw1", "-o", "a").out
    assert "'Übung 2'" in alice("fetch", "ÜBUNG 2", "-o", "b").out
    assert "'hw10'" in alice("fetch", "10", "-o", "c").out
    assert "ambiguous: it fits Übung 1, Übung 2" in alice("fetch", "übung", code=2).err
    assert "hw10" in alice("fetch", "nope", code=2).err
    alice("fetch", code=2)


def test_names_from_a_server_cannot_control_the_terminal(mograder: Mograder, hostile_server: HostileServer) -> None:
    evil = "\x1b]0;evil\x07\x1b[2J\u202e\x9b31m\r\nhw"
    files = [{"filename": f"{evil}.py", "url": "/f"}]
    hostile_server.answer("GET /assignments", as_json([{"name": evil, "id": evil, "files": files}]))
    hostile_server.answer("GET /f", Answer(b"x"))
    words = ("--url", hostile_server.url, "--token", "alice:" + "0" * 64)
    for ran in (
        mograder("fetch", "--list", *words),
        mograder("fetch", "--list", "--json", *words),
        mograder("fetch", "hw", *words),
        mograder("fetch", "none", *words, code=2),
    ):
        assert not set("\x1b\x07\x9b\u202e\r") & set(ran.out + ran.err)
    hostile_server.answer("GET /assignments", as_json({"error": evil}, 500))
    ran = mograder("fetch", "--list", *words, code=1)
    assert not set("\x1b\x07\x9b\u202e\r") & set(ran.err)
    assert ran.err.count("\n") == 1


# submitting


def test_submit_reports_what_was_received_and_stores_the_receipt(alice: Mograder, server: Running) -> None:
    ran = alice("submit", "hw1", work())
    assert "Submitted 'homework.py' to 'hw1'" in ran.out
    assert sha256(b"x = 1\n") in ran.out
    assert "submission 1" in ran.out
    (kept,) = Path(".mograder/receipts").iterdir()
    assert str(kept) in ran.err
    assert (server.submitted / "hw1/alice.py").read_bytes() == b"x = 1\n"
    assert "already your latest" in alice("submit", "hw1", "homework.py").out
    reported = json.loads(alice("submit", "hw1", work(b"x = 2\n"), "--json").out)
    assert (reported["attempt"], reported["sha256"]) == (2, sha256(b"x = 2\n"))
    assert len(names_in(Path(".mograder/receipts"))) == 2


def test_submitting_an_unchanged_released_file_is_warned_about(alice: Mograder) -> None:
    alice("fetch", "hw1")
    assert "unchanged" in alice("submit", "hw1", "hw1.py").err
    assert "unchanged" not in alice("submit", "hw1", work()).err


def test_a_dry_run_sends_nothing(alice: Mograder, server: Running) -> None:
    assert "Would submit: homework.py" in alice("submit", "hw1", work(), "--dry-run").out
    assert not (server.submitted / "hw1").exists()


def test_a_file_that_cannot_be_submitted_is_refused_before_the_server_is_contacted(
    alice: Mograder, server: Running
) -> None:
    for name in ("notes.txt", "noending", "a.PYC"):
        assert "takes .py, .zip" in alice("submit", "hw1", work(name=name), code=5).err
    alice("submit", "hw1", work(b"", "empty.py"), code=2)
    alice("submit", "hw1", "missing.py", code=2)
    alice("submit", "hw9", work(), code=2)
    alice("submit", "hw1", code=2)
    entry = {"name": "hw1", "id": "hw1", "files": [], "accepts": [".TXT"], "max_size": 3}
    (server.root / "assignments.json").write_text(json.dumps([entry]))
    assert "takes .txt" in alice("submit", "hw1", work(), code=5).err
    assert "at most 3" in alice("submit", "hw1", work(name="notes.txt"), code=5).err
    assert not (server.submitted / "hw1").exists()


@pytest.mark.parametrize("moment", [1e300, -1e18])
def test_a_time_that_no_calendar_has_is_shown_as_unknown(
    mograder: Mograder, hostile_server: HostileServer, moment: float
) -> None:
    hostile_server.list_files()
    kept = {"filename": "alice.py", "attempt": 1, "received": moment, "receipt": "a.b.c", "version": "alice_1.py"}
    hostile_server.answer("POST /assignments/hw1/submit", as_json({**kept, "sha256": sha256(b"x = 1\n")}))
    ran = mograder("submit", "hw1", work(), "--url", hostile_server.url, "--token", f"alice:{'0' * 64}")
    assert "received unknown" in ran.out


def test_an_instructor_submits_for_a_student_and_reads_the_status_of_the_student(
    instructor: Mograder, server: Running
) -> None:
    instructor("submit", "hw1", work(), "--user", "bob")
    assert (server.submitted / "hw1/bob.py").is_file()
    assert "Not yet graded." in instructor("feedback", "hw1", "--user", "bob").out


def test_a_student_cannot_act_for_another(alice: Mograder) -> None:
    alice("submit", "hw1", work(), "--user", "bob", code=3)
    alice("feedback", "hw1", "--user", "bob", code=3)
    alice("submit", "hw1", work(), "--user", "../bob", code=2)


# grades and feedback


def test_feedback_shows_status_grade_and_feedback(alice: Mograder, server: Running) -> None:
    assert "No submission yet." in alice("feedback", "hw1").out
    alice("submit", "hw1", work())
    assert "Not yet graded." in alice("feedback", "hw1").out
    (server.root / "hw1/grades.json").write_text(
        json.dumps([{"username": "alice", "grade": 87.5, "feedback": "fine\x1b[2J\nmore"}])
    )
    (server.root / "hw1/feedback").mkdir()
    (server.root / "hw1/feedback/alice.html").write_text("<p>well done")
    ran = alice("feedback", "hw1")
    first, received, rest = ran.out.partition("Received: ")[0], *ran.out.partition("Received: ")[2].split("\n", 1)
    assert (first, rest) == ("Assignment: hw1\nStatus: submitted\n", "Grade: 87.5\nFeedback:\n  fine?[2J\n  more\n")
    assert received.endswith(datetime.now().astimezone().tzname() or "")
    assert "-o feedback.html" in ran.err
    alice("feedback", "hw1", "-o", "page.html")
    alice("feedback", "hw1", "-o", "page.html")
    assert "exists and differs" in alice("feedback", "hw1", "-o", work(), code=1).err
    assert Path("homework.py").read_bytes() == b"x = 1\n"
    assert Path("page.html").read_text() == "<p>well done"
    assert json.loads(alice("feedback", "hw1", "--json").out)["grade"] == "87.5"


def test_submissions_are_collected_into_the_default_folder(instructor: Mograder, server: Running) -> None:
    assert "Downloaded 0" in instructor("fetch-submissions", "hw1").out
    server.submit("alice", b"a")
    server.submit("bob", b"b")
    ran = instructor("fetch-submissions", "hw1")
    assert f"Downloaded 2 submission(s) in {Path('submitted/hw1')}" in ran.out
    assert names_in(Path("submitted/hw1")) == [".mograder", "alice.py", "bob.py"]
    assert "Downloaded 0 submission(s) in here, skipped 2 unchanged" not in ran.out
    assert "skipped 2 unchanged" in instructor("fetch-submissions", "hw1").out
    assert "Downloaded 2" in instructor("fetch-submissions", "hw1", "--force").out
    Path("mograder.toml").write_text('[dirs]\nsubmitted = "inbox"\n')
    instructor("fetch-submissions", "hw1")
    assert Path("inbox/hw1/alice.py").is_file()


def test_students_cannot_collect_or_grade(alice: Mograder) -> None:
    work(b"username,grade\nalice,100\n", "g.csv")
    assert "only an instructor" in alice("fetch-submissions", "hw1", code=3).err
    for words in (("--dry-run",), ()):
        assert "only an instructor" in alice("upload-grades", "hw1", "--grades-csv", "g.csv", *words, code=3).err
    assert not Path("submitted").exists()


def test_feedback_pages_are_uploaded_from_a_folder(instructor: Mograder, server: Running) -> None:
    assert "nodir does not exist" in instructor("upload-feedback", "hw1", "--feedback-dir", "nodir", code=1).err
    instructor("upload-feedback", "hw1", code=1)
    Path("feedback/hw1").mkdir(parents=True)
    instructor("upload-feedback", "hw1", code=1)
    work(b"<p>fine", "feedback/hw1/alice.html")
    work(b"username,grade\nalice,9\n", "g.csv")
    work(b"username,grade\nalice,9\nbob,8\n", "two.csv")
    for words in ((), ("--dry-run",)):
        assert "nobody in the course is called alice" in instructor("upload-feedback", "hw1", *words, code=1).err
    server.client.post("/register", json={"user": "alice", "enrollment_code": CODE}).raise_for_status()
    assert "known as 'bob'" in instructor("upload-feedback", "hw1", "--grades-csv", "two.csv", code=1).err
    work(b"<p>mine", "feedback/hw1/index.html")
    assert "is called index: correct" in instructor("upload-feedback", "hw1", code=1).err
    ran = instructor("upload-feedback", "hw1", "--partial", "--dry-run")
    assert ran.out == "Would upload 1 feedback page(s) to 'hw1'\n  alice.html\n"
    assert ran.err == "left out: nobody in the course is called index\n"
    assert not (server.root / "hw1/feedback").exists()
    Path("feedback/hw1/index.html").unlink()
    ran = instructor("upload-feedback", "hw1", "--grades-csv", "g.csv")
    assert "Uploaded 1 feedback page(s) and 1 grade(s) to 'hw1'" in ran.out
    assert ran.err == ""
    server.client.post("/roster/alice/remove", headers=server.bearer()).raise_for_status()
    assert "No feedback pages to upload" in instructor("upload-feedback", "hw1", "--partial").out
    assert (server.root / "hw1/feedback/alice.html").read_bytes() == b"<p>fine"
    work(b"<p>x", "feedback/hw1/no name.html")
    assert "no name" in instructor("upload-feedback", "hw1", code=1).err


def test_feedback_pages_are_sent_under_any_spelling_of_their_ending_and_other_files_are_named(
    instructor: Mograder, server: Running
) -> None:
    for user in ("bob", "carol", "kim.pyle"):
        server.client.post("/register", json={"user": user, "enrollment_code": CODE}).raise_for_status()
    Path("feedback/hw1/group1").mkdir(parents=True)
    page = "<meta charset=windows-1252><p>caf\xe9".encode("windows-1252")
    for name in ("bob.HTML", "carol.htm", "kim.pyle.Html", "notes.txt", "group1/bob.html"):
        work(page, f"feedback/hw1/{name}")
    ran = instructor("upload-feedback", "hw1")
    assert ran.err == "warning: not sent, as they are no pages called USER.html: group1/, notes.txt\n"
    folder = server.root / "hw1/feedback"
    assert sorted(each.name for each in folder.iterdir()) == ["bob.html", "carol.html", "kim.pyle.html"]
    got = server.client.get("/assignments/hw1/feedback/bob", headers=server.bearer("bob"))
    assert got.headers["content-type"] == "text/html; charset=windows-1252"
    assert got.text.endswith("caf\xe9")


def test_two_feedback_pages_for_one_user_are_refused_with_both_names(instructor: Mograder, server: Running) -> None:
    Path("feedback/hw1").mkdir(parents=True)
    for name in ("bob.html", "bob.HTM"):
        work(b"<p>", f"feedback/hw1/{name}")
    said = instructor("upload-feedback", "hw1", code=1).err
    assert "bob.HTM" in said
    assert "bob.html are two pages" in said
    assert not (server.root / "hw1/feedback").exists()


# failures


def test_an_unreachable_server_is_exit_code_6(mograder: Mograder) -> None:
    words = ("--url", f"http://127.0.0.1:{free_port()}", "--token", "alice:" + "0" * 64, "--patience", "0")
    assert "does not answer" in mograder("fetch", "--list", *words, code=6).err


def test_a_file_whose_checksum_is_not_the_listed_one_is_exit_code_7(
    mograder: Mograder, hostile_server: HostileServer
) -> None:
    file = {"filename": "a.py", "url": "/f", "size": 1, "sha256": sha256(b"x")}
    hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": "1", "files": [file]}]))
    hostile_server.answer("GET /f", Answer(b"y"))
    mograder("fetch", "hw1", "--url", hostile_server.url, "--token", "alice:" + "0" * 64, code=7)
    assert not Path("a.py").exists()


def test_a_wrong_server_address_and_a_wrong_name_have_different_errors(
    mograder: Mograder, hostile_server: HostileServer
) -> None:
    token = ("--token", "alice:" + "0" * 64)
    for said, meant in (("localhost:8080", "http://localhost:8080"), ("course.example.org/", "https://course.example")):
        assert f"did you mean {meant}" in mograder("login", "--url", said, *token, code=2).err
    words = ("fetch", "--list", "--url", hostile_server.url, *token)
    looks = f"{hostile_server.url} does not look like a mograder server: check the address"
    hostile_server.answer("GET /assignments", Answer(b"<h1>nothing here", 404), Answer(b"<h1>welcome"))
    assert looks in mograder(*words, code=4).err
    assert looks in mograder(*words, code=6).err


def test_commands_that_send_files_have_a_longer_default_timeout(mograder: Mograder) -> None:
    for command in ("login", "fetch", "feedback", "fetch-submissions"):
        assert "default: 10" in mograder(command, "--help").out
    for command in ("submit", "upload-grades", "upload-feedback"):
        assert "default: 60" in mograder(command, "--help").out


def test_every_command_shows_an_example(mograder: Mograder) -> None:
    for command in ("login", "logout", "fetch", "submit", "feedback", "fetch-submissions", "upload-grades"):
        assert "mograder https" in mograder(command, "--help").out
    assert "MOGRADER_HTTPS_TOKEN" in mograder("--help").out


def test_instructors_are_warned_by_every_command_about_a_broken_course_file(
    instructor: Mograder, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert instructor("fetch", "--list").err == ""
    (server.root.parent / "mograder.toml").write_text("titel = 1\n")
    for words in (("fetch", "--list"), ("fetch", "hw1"), ("fetch", "--list", "--json")):
        ran = instructor(*words)
        assert ran.err.count("warning: ") == 1
        assert f"{server.root.parent / 'mograder.toml'}: unknown key or table 'titel': did you mean 'title'?" in ran.err
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", server.token("alice"))
    assert instructor("fetch", "--list").err == ""


# whoami


def test_whoami_shows_user_server_and_the_source_of_the_token(
    alice: Mograder, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert alice("whoami").out == f"alice at {server.url}, by the token of a login\n"
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", server.token("bob"))
    said = {"url": server.url, "user": "bob", "token_from": "the environment"}
    assert json.loads(alice("whoami", "--json").out) == said
    assert "the command line" in alice("whoami", "--token", server.token("bob")).out
    Logins().keep(Login("https://other.example", "eve", "eve:" + "0" * 64))
    assert [line.split() for line in alice("logins").out.splitlines()[1:]] == [
        ["https://other.example", "eve"], [server.url, "alice"],
    ]  # fmt: skip


def test_a_second_login_at_a_server_replaces_the_first_only_after_confirmation(
    alice: Mograder, server: Running
) -> None:
    for words in (("--token", server.token("bob")), ("--user", "bob", "--code", CODE)):
        assert "you are logged in" in alice("login", "--url", server.url, *words, code=2).err
    assert [login.user for login in Logins().all()] == ["alice"]
    alice("logout")
    alice("login", "--url", server.url, "--token", server.token("bob"))


def test_a_server_without_authentication_needs_no_token(mograder: Mograder, hostile_server: HostileServer) -> None:
    hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": []}]))
    hostile_server.answer("POST /assignments/hw1/submit", as_json({"status": "ok", "filename": "alice.py"}))
    hostile_server.answer("GET /assignments/hw1/status", as_json({"status": "new"}))
    assert "hw1" in mograder("fetch", "--list", "--url", hostile_server.url).out
    assert "say who you are" in mograder("submit", "hw1", work(), "--url", hostile_server.url, code=2).err
    assert "as alice" in mograder("submit", "hw1", work(), "--url", hostile_server.url, "--user", "alice").out
    assert "No submission" in mograder("feedback", "hw1", "--url", hostile_server.url, "--user", "alice").out
    for odd in ("alice:5f0c", "alice", ":", "alice:XYZ"):
        mograder("fetch", "--list", "--url", hostile_server.url, "--token", odd)
        assert hostile_server.requests[-1].headers["Authorization"] == f"Bearer {odd}"


def test_a_listed_file_without_a_url_is_reported_and_the_command_fails(
    mograder: Mograder, hostile_server: HostileServer
) -> None:
    hostile_server.list_files(a__py=Answer(b"x = 1\n"))
    for url in ({}, {"url": None}, {"url": ""}):
        listing = [{"filename": "a.py", "url": "/files/a.py"}, {"filename": "b.py", **url}]
        hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": 7, "files": listing}]))
        ran = mograder("fetch", "hw1", "--url", hostile_server.url, code=1)
        assert "has no address for b.py" in ran.err
        assert Path("a.py").read_bytes() == b"x = 1\n"
    assert names_in(Path()) == [".mograder", "a.py"]
