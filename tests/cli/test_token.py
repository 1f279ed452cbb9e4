"""`mograder token`: its output for each of the three sources of the secret, and its refusals."""

from __future__ import annotations

import hmac
import io
import sys
from pathlib import Path

import pytest

from mograder.cli import run

SECRET = "5" * 64


def line(label: str, name: str) -> str:
    return f"{label}: {name}:{hmac.new(SECRET.encode(), name.encode(), 'sha256').hexdigest()}\n"


EXPECTED = line("alice", "alice") + line("bob", "bob") + "\n" + line("instructor", "__instructor__")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: Path, text: str = f"{SECRET}\n") -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_tokens_come_from_the_secret_of_the_working_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder / ".mograder-secret")
    assert run(["token", "alice", "bob"]) == 0
    assert capsys.readouterr() == (EXPECTED, "")


def test_tokens_come_from_a_named_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder / "other")
    assert run(["token", "--secret-file", "other", "alice", "bob"]) == 0
    assert capsys.readouterr() == (EXPECTED, "")


def test_without_names_only_the_token_of_the_instructor_is_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder / "other")
    assert run(["token", "--secret-file", "other"]) == 0
    assert capsys.readouterr() == (line("instructor", "__instructor__"), "")


def test_tokens_come_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"  {SECRET}\n".encode())))
    assert run(["token", "--secret-stdin", "alice", "bob"]) == 0
    assert capsys.readouterr() == (EXPECTED, "")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])  # the second in an environment without a locale
def test_a_secret_on_standard_input_that_is_not_text_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], errors: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\x80\x81"), "utf-8", errors))
    assert run(["token", "--secret-stdin", "alice"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "not text" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["alice"], ".mograder-secret"),
        (["--secret-file", "nothing", "alice"], "nothing"),
        (["--secret-file", ".", "alice"], "cannot read"),
        (["--secret-file", "secret", "--secret-stdin", "alice"], "by one of"),
        (["--secret-file", "empty", "alice"], "empty"),
        (["--secret-file", "secret", "al ice"], "al ice"),
        (["--secret-file", "secret", "__instructor__"], "reserved"),
        (["--secret-file", "secret", "alice.py"], "looks like a file"),
    ],
)
def test_invalid_arguments_are_a_usage_error(
    words: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder / "secret")
    put(folder / "empty", " \n")
    assert run(["token", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert SECRET not in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_a_secret_that_others_can_read_is_warned_about(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder / ".mograder-secret").chmod(0o644)
    assert run(["token", "alice", "bob"]) == 0
    out, err = capsys.readouterr()
    assert out == EXPECTED
    assert "chmod 600" in err


def test_a_secret_on_the_command_line_is_accepted_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "--secret", SECRET, "alice", "bob"]) == 0
    out, err = capsys.readouterr()
    assert out == EXPECTED
    assert "others on this machine can read a command line" in err
    assert run(["token", "--secret", " ", "alice"]) == 2
    assert run(["token", "--secret", SECRET, "--secret-stdin"]) == 2


def test_bare_prints_only_the_tokens(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder / ".mograder-secret")
    assert run(["token", "--bare", "alice", "bob"]) == 0
    assert capsys.readouterr().out == "".join(line(name, name).partition(": ")[2] for name in ("alice", "bob"))
    assert run(["token", "--bare"]) == 0
    assert capsys.readouterr().out == line("instructor", "__instructor__").partition(": ")[2]
