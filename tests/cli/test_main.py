"""The entry point of the command line: it starts fast and reports every failure in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mograder import __version__
from mograder.cli import PLACES, mograder, run
from mograder.domain.errors import NotFound

HEAVY = ("httpx2", "starlette", "granian", "rich", "stamina", "sqlite3", "jinja2", "marimo")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no core files here")
def test_a_crash_writes_no_secrets_to_the_disk() -> None:
    program = (
        "import os, resource as r; hard = r.getrlimit(r.RLIMIT_CORE)[1]; r.setrlimit(r.RLIMIT_CORE, (hard, hard));"
        "from mograder import cli; cli.run = lambda words: r.getrlimit(r.RLIMIT_CORE)[0] + 100; cli.main()"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 100


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["token", "alice"], ["token", "--help"]])
def test_help_and_token_do_not_import_client_web_or_rich(words: list[str], tmp_path: Path) -> None:
    (tmp_path / ".mograder-secret").write_text("secret")
    unused = HEAVY if words[0] == "token" else (*HEAVY, "msgspec")
    program = (
        "import sys; from mograder.cli import run; code = run(sys.argv[1:]);"
        f"print('loaded:', [name for name in {unused} if name in sys.modules]); sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "loaded: []"


def test_every_command_of_the_table_exists_and_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in PLACES:
        assert run([name, "--help"]) == 0
        shown = capsys.readouterr().out
        assert f"mograder {name}" in shown.partition("Example")[2]
        assert "..." not in shown.partition("Commands:")[2], "a summary is cut"


def test_python_m_mograder_runs_the_same_command(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-m", "mograder", "--version"], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.split()[0]) == (0, "mograder,")


@pytest.mark.parametrize("words", [["nope"], ["--nope"], ["token", "--nope"], ["https", "nope"], ["serve"]])
def test_an_unknown_command_is_a_one_line_error_with_exit_code_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "--help" in err


class Failing:
    """Makes `mograder token` raise something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, error: BaseException) -> int:
        def fail() -> None:
            raise error

        command = click.Command("token", callback=fail)
        self._monkeypatch.setattr(mograder, "get_command", lambda *_: command)
        return run(["token"])


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    monkeypatch.delenv("MOGRADER_DEBUG", raising=False)
    return Failing(monkeypatch)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NotFound("no 'hw9' here"), 4, "error: no 'hw9' here"),
        (NotFound("two\nlines \x1b[2J"), 4, "error: two lines ?[2J"),
        (PermissionError(13, "Permission denied", "grades.csv"), 1, "error: permission denied: grades.csv"),
        (ValueError("a bug"), 1, "internal error: ValueError: a bug"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_failure_is_a_one_line_error_with_an_exit_code(
    error: BaseException, code: int, said: str, failing: Failing, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert "\x1b" not in err


def test_a_traceback_is_shown_only_on_request(failing: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOGRADER_DEBUG", "1")
    with pytest.raises(ValueError, match="a bug"):
        failing(ValueError("a bug"))


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently on Windows")
def test_a_closed_output_pipe_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / ".mograder-secret").write_text("secret")
    (tmp_path / ".mograder-secret").chmod(0o600)
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "mograder", "token", *(f"student{number}" for number in range(500))]
    with os.fdopen(writing, "wb") as pipe:
        ran = subprocess.run(words, cwd=tmp_path, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ran.stderr == ""


def test_a_name_that_the_terminal_cannot_encode_is_not_an_error(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mograder", "token", "ü"]
    ran = subprocess.run(words, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60)
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr


def test_another_distribution_with_the_same_command_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"mograder, version {__version__}\n"
    info = tmp_path / "mograder-0.3.16.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mograder\nVersion: 0.3.16\n")
    (info / "entry_points.txt").write_text("[console_scripts]\nmograder = mograder.other:main\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run(["--version"]) == 0
    assert "mograder 0.3.16 is in this environment, too" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "--store", "postgresq://mograder:s3cr:e@t@db/m"], ["verify", "postgresq://mograder:s3cr:e@t@db/m"],
        ["https", "fetch", "--url", "https://mograder:s3cr:e@t@db/m"], ["doctor", "postgresql://mograder:s3cr:e@t@db/m"],
        ["course", "list", "--store", "postgresql://mograder:s3cr:e@t@127.0.0.1:1/m?connect_timeout=1", "--json"],
    ],
)  # fmt: skip
def test_no_error_shows_the_password_in_a_url(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) != 0
    said = capsys.readouterr()
    assert said.err
    assert not any(part in said.out + said.err for part in ("s3cr", "e@t"))
