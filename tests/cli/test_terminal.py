"""Output on a terminal: questions, tables and progress bars, which are never written to a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mograder import cli
from tests.hostile import HostileServer, as_json
from tests.parts import CODE, Running, environment, free_port

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are not made on Windows", allow_module_level=True)


def run_on_terminal(
    home: Path,
    *words: str,
    answers: tuple[tuple[bytes, str], ...] = (),
    command: str = "https",
    code: int = 0,
    columns: int = 100,
) -> str:
    """Run `mograder https` on a pseudo-terminal. Types each answer when its question appears. Returns all output."""
    person, screen = os.openpty()
    there = {**environment(), "HOME": str(home), "XDG_CONFIG_HOME": str(home), "TERM": "xterm", "COLUMNS": str(columns)}
    process = subprocess.Popen(
        [sys.executable, "-m", "mograder", *command.split(), *words],
        cwd=home, env=there, stdin=screen, stdout=screen, stderr=screen, start_new_session=True,
    )  # fmt: skip
    os.close(screen)
    shown, waiting = b"", list(answers)
    with process, os.fdopen(person, "r+b", buffering=0) as terminal:
        while True:
            try:
                chunk = terminal.read(4096)
            except OSError:  # on Linux, when the other end has been closed
                break
            if not chunk:
                break
            shown += chunk
            if waiting and waiting[0][0] in shown.rpartition(b"\n")[2]:
                terminal.write(f"{waiting.pop(0)[1]}\n".encode())
    assert process.returncode == code, shown.decode()
    return shown.decode()


def test_login_prompts_for_the_code_without_showing_it(server: Running, tmp_path: Path) -> None:
    answers = ((b"Server URL", server.url), (b"User name", "alice"), (b"Enrollment code", CODE))
    shown = run_on_terminal(tmp_path, "login", answers=answers)
    assert f"Registered at {server.url} as alice" in shown
    assert CODE not in shown


def test_tables_are_drawn_and_transfers_have_a_progress_bar(server: Running, tmp_path: Path) -> None:
    words = ("--url", server.url, "--token", server.token("alice"))
    assert "─" in run_on_terminal(tmp_path, "fetch", "--list", *words)
    assert "bytes" not in run_on_terminal(tmp_path, "fetch", "hw1", *words)
    (server.root / "hw1/files/big.bin").write_bytes(bytes(3_000_000))
    shown = run_on_terminal(tmp_path, "fetch", "hw1", *words)
    assert "3.0/3.0 MB" in shown
    # Each drawing of the bar is erased: no line end follows it, unless the cursor moves up again at once.
    assert not re.search(r"(MB|bytes)[^\r\n]*\r\n(?!(\x1b\[\?25h)?\r?\x1b\[1A)", shown), shown
    piped = subprocess.run(
        [sys.executable, "-m", "mograder", "https", "fetch", "hw1", "-o", "piped", *words],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "\x1b" not in piped.stdout + piped.stderr
    assert "bytes" not in piped.stdout + piped.stderr


def test_serve_shows_the_login_link_on_a_terminal(course_folder: Path) -> None:
    person, screen = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mograder", "serve", str(course_folder), "-p", str(free_port())],
        env=environment(), stdin=screen, stdout=screen, stderr=screen, start_new_session=True,
    )  # fmt: skip
    os.close(screen)
    with process, os.fdopen(person, "rb", buffering=0) as terminal:
        shown = b""
        while b"Ctrl-C" not in shown:
            shown += terminal.read(4096)
        process.terminate()
    assert re.search(rb"your pages +http://localhost:\d+/once#\S+  \(logs you in once", shown)


def test_an_upload_of_grades_or_feedback_is_shown_and_needs_confirmation(server: Running, tmp_path: Path) -> None:
    server.submit("alice", b"x = 1\n").raise_for_status()
    (tmp_path / "g.csv").write_text("username,grade\nalice,9\n")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/alice.html").write_text("<p>fine")
    there = ("--url", server.url, "--token", server.token("__instructor__"))
    for what, words in (
        ("1 grade", ("upload-grades", "hw1", "--grades-csv", "g.csv")),
        ("1 feedback page", ("upload-feedback", "hw1", "--feedback-dir", "pages")),
    ):
        question = f"Upload {what} to 'hw1'?"
        shown = run_on_terminal(tmp_path, *words, *there, answers=((question.encode(), "n"),), code=1)
        assert "  alice" in shown.partition(question)[0]
        assert "nothing was uploaded" in shown
        assert not list((server.root / "hw1").glob("grades.json")) + list((server.root / "hw1").glob("feedback"))
        assert "Uploaded 1" in run_on_terminal(tmp_path, *words, *there, "--yes")
        (server.root / "hw1/grades.json").unlink(missing_ok=True)


def test_the_token_of_a_person_is_printed_without_that_of_the_instructor(server: Running, tmp_path: Path) -> None:
    secret = ("--secret-file", str(server.root / ".mograder-secret"))
    assert run_on_terminal(tmp_path, *secret, "alice", command="token") == f"alice: {server.token('alice')}\r\n"
    shown = run_on_terminal(tmp_path, *secret, command="token")
    assert shown == f"instructor: {server.token('__instructor__')}\r\n"


EVIL = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e\x08\rover\x1b[8mhid [red]en[/red]"
"""Control characters that set the title, clear the screen, hide, reverse or overwrite text, in several encodings."""


@pytest.mark.parametrize(
    ("command", "words", "code"),
    [
        ("https", ("fetch", "--list"), 0), ("https", ("submit", "hw1", "hw1.py"), 1), ("roster", ("list",), 0),
        ("extend", ("--list",), 0), ("audit", (), 0), ("https", ("export-grades", "hw1", "--format", "moodle"), 6),
        ("https", ("login", "--user", "bob", "--code", "x"), 0),
    ],
)  # fmt: skip
def test_nothing_in_an_answer_of_a_server_controls_the_terminal(
    command: str, words: tuple[str, ...], code: int, hostile_server: HostileServer, tmp_path: Path
) -> None:
    (tmp_path / "hw1.py").write_text("x = 1\n")
    task = {"name": "hw1", "id": EVIL, "title": EVIL, "files": [{"filename": EVIL, "url": "f"}]}
    person = {"user": EVIL, "name": EVIL, "state": EVIL, "role": "student", "email": EVIL, "sections": [EVIL]}
    asked = {
        "user": EVIL,
        "assignment": EVIL,
        "state": "asked",
        "asked": EVIL,
        "reason": EVIL,
        "until": None,
        "note": EVIL,
    }
    event = {"moment": 1.9e9, "actor": EVIL, "action": EVIL, "subject": EVIL, "detail": EVIL}
    answers = {"assignments": [task], "roster": [person], "extensions": [asked], "events": [event],
               "assignments/hw1/rules": {"points": EVIL}, "assignments/hw1/gradebook": {}}  # fmt: skip
    for path, answer in answers.items():
        hostile_server.answer(f"GET /{path}", as_json(answer))
    hostile_server.answer("POST /assignments/hw1/submit", as_json({"error": EVIL, "code": EVIL}, 400))
    hostile_server.answer("POST /register", as_json({"user": EVIL, "token": f"{EVIL}:{'0' * 64}"}))
    token = () if words[0:1] == ("login",) else ("--token", "alice:" + "0" * 64)
    url = ("--url", hostile_server.url)
    shown = run_on_terminal(tmp_path, *words, *url, *token, command=command, code=code, columns=2000)
    if words[0:1] == ("login",):  # the question whether to log in as another user names the current one
        answers_no = ((b"Log in as carol instead?", "n"),)
        shown += run_on_terminal(tmp_path, *words[:2], "carol", *words[3:], *url, answers=answers_no, code=2)
    assert "hid [red]en[/red]" in shown or code == 6
    left = re.sub(r"\x1b\[[\d;]*[mK]|\r\n", "", shown)  # colours and line ends that mograder writes
    assert [each for each in left if not each.isprintable()] == []
    assert "\x1b[8m" not in shown


def test_only_one_module_reads_from_and_writes_to_the_terminal() -> None:
    for path in sorted((Path(cli.__file__).parent).glob("*.py")):
        found = set(re.findall(r"click\.(confirm|prompt|secho|style)\(|\bprint\(", path.read_text()))
        assert found == set() or path.name == "output.py", path.name
