"""`mograder student` opens the page, logged in, and remembers the course."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from mograder.cli import run
from tests.cli.conftest import Mograder
from tests.parts import PATIENCE, Running

TITLE = 'title = "Übung: Physik II"\n'
FOLDER = Path("mograder-übung-physik-ii")


@pytest.fixture
def student(mograder: Mograder, server: Running, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `mograder student`. Returns its output."""
    (server.root.parent / "mograder.toml").write_text(TITLE, encoding="utf-8")

    def ran(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        left = run(["student", *words])
        out, err = capsys.readouterr()
        assert left == code, out + err
        return out if code == 0 else err

    return ran


def heading(server: Running, link: str) -> str:
    """The heading of the page that the link shows in a new browser."""
    address, _, ticket = link.strip().partition("#")
    assert address == f"{server.url}/once"
    with httpx2.Client(base_url=server.url, follow_redirects=True, timeout=PATIENCE) as browser:
        fields = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        return browser.post("/once", data={"ticket": ticket}, headers=fields).text.partition("<h1><bdi>")[2][:16]


def test_the_url_is_remembered_and_the_link_logs_in_once(
    student: Callable[..., str], alice: Mograder, server: Running
) -> None:
    for place in (server.url, f"{server.url}/mograder.toml", str(FOLDER)):
        link = student(place, "--headless")
        assert heading(server, link) == "Your assignments"
        assert heading(server, link).startswith("Log in")
    assert f'url = "{server.url}"' in (FOLDER / "mograder.toml").read_text(encoding="utf-8")


def test_an_existing_configuration_in_the_folder_is_kept(student: Callable[..., str], server: Running) -> None:
    FOLDER.mkdir()
    mine = f'# mine\n[https]\nurl = "{server.url}"\ntoken = "{server.token("alice")}"\n'
    (FOLDER / "mograder.toml").write_text(mine)
    assert heading(server, student(server.url, "--headless")) == "Your assignments"
    assert (FOLDER / "mograder.toml").read_text() == mine
    (FOLDER / "mograder.toml").write_text('[https]\nurl = "https://other.example"\n')
    assert "is of another course" in student(server.url, "--headless", code=2)


def test_without_a_login_nothing_is_created_and_the_error_names_login(
    student: Callable[..., str], server: Running
) -> None:
    said = student(server.url, "--headless", code=3)
    assert f"mograder https login --url {server.url}" in said
    assert said.count("\n") == 1
    assert not FOLDER.exists()


def test_a_revoked_token_does_not_log_in(student: Callable[..., str], server: Running) -> None:
    assert "log in" in student(server.url, "--headless", "--token", "alice:" + "0" * 64, code=3)


def test_a_missing_folder_and_a_folder_without_a_course_are_errors(student: Callable[..., str]) -> None:
    assert "there is no folder nowhere" in student("nowhere", "--headless", code=2)
    assert "no URL" in student("--headless", code=2)


def test_student_opens_a_browser(
    student: Callable[..., str], alice: Mograder, server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, opened = tmp_path / "browser.py", tmp_path / "opened"
    program.write_text(f"import sys, pathlib\npathlib.Path({str(opened)!r}).write_text(sys.argv[1])\n")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {program} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)
    assert student(server.url) == ""
    assert heading(server, opened.read_text()) == "Your assignments"
