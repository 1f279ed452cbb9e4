"""What a person sees who sits at a terminal: questions, tables and bars, which no pipe ever gets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import CODE, Running, environment, free_port

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are not made on Windows", allow_module_level=True)


def at_a_terminal(home: Path, *words: str, answers: tuple[tuple[bytes, str], ...] = ()) -> str:
    """All that a terminal shows of `mograder https`; each answer is typed once its question stands in the last line."""
    person, screen = os.openpty()
    there = {**environment(), "HOME": str(home), "XDG_CONFIG_HOME": str(home), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mograder", "https", *words],
        cwd=home, env=there, stdin=screen, stdout=screen, stderr=screen, start_new_session=True,
    )  # fmt: skip
    os.close(screen)
    shown, waiting = b"", list(answers)
    with process, os.fdopen(person, "r+b", buffering=0) as terminal:
        while True:
            try:
                chunk = terminal.read(4096)
            except OSError:  # Linux says so when the other end has closed
                break
            if not chunk:
                break
            shown += chunk
            if waiting and waiting[0][0] in shown.rpartition(b"\n")[2]:
                terminal.write(f"{waiting.pop(0)[1]}\n".encode())
    assert process.returncode == 0, shown.decode()
    return shown.decode()


def test_login_asks_and_does_not_show_the_code(server: Running, tmp_path: Path) -> None:
    answers = ((b"Server URL", server.url), (b"User name", "alice"), (b"Enrollment code", CODE))
    shown = at_a_terminal(tmp_path, "login", answers=answers)
    assert f"Registered at {server.url} as alice" in shown
    assert CODE not in shown


def test_tables_are_drawn_and_transfers_have_a_bar(server: Running, tmp_path: Path) -> None:
    words = ("--url", server.url, "--token", server.token("alice"))
    assert "─" in at_a_terminal(tmp_path, "fetch", "--list", *words)
    assert "bytes" not in at_a_terminal(tmp_path, "fetch", "hw1", *words)
    (server.root / "hw1/files/big.bin").write_bytes(bytes(3_000_000))
    shown = at_a_terminal(tmp_path, "fetch", "hw1", *words)
    assert "3.0/3.0 MB" in shown
    # Each drawing of the bar is wiped: no line end comes after it, unless the cursor goes up again at once.
    assert not re.search(r"(MB|bytes)[^\r\n]*\r\n(?!(\x1b\[\?25h)?\r?\x1b\[1A)", shown), shown
    piped = subprocess.run(
        [sys.executable, "-m", "mograder", "https", "fetch", "hw1", "-o", "piped", *words],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "\x1b" not in piped.stdout + piped.stderr
    assert "bytes" not in piped.stdout + piped.stderr


def test_serve_shows_the_link_that_logs_in_to_who_sits_there(course_folder: Path) -> None:
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
