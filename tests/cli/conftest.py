"""Runs `mograder https` as a user with a working folder and a home folder of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mograder.cli import run
from tests.parts import CODE, Running


@dataclass(frozen=True)
class CommandResult:
    code: int
    out: str
    err: str


Mograder = Callable[..., CommandResult]


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in an empty working folder with an empty home, and no environment variable names a course."""
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("MOGRADER_HTTPS_URL", "MOGRADER_HTTPS_TOKEN", "MOGRADER_ENROLLMENT_CODE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def mograder(own_home: None, capsys: pytest.CaptureFixture[str]) -> Mograder:
    """Runs `mograder https`, and checks the exit code."""

    def ran(*words: str, code: int = 0) -> CommandResult:
        capsys.readouterr()
        left = run(["https", *words])
        out, err = capsys.readouterr()
        assert left == code, out + err
        assert "Traceback" not in out + err
        if code not in (0, 1):
            assert err.splitlines()[-1].startswith("error: ")
            assert err.count("error: ") == 1
        return CommandResult(left, out, err)

    return ran


@pytest.fixture
def alice(mograder: Mograder, server: Running) -> Mograder:
    """A student who has logged in."""
    mograder("login", "--url", server.url, "--user", "alice", "--code", CODE)
    return mograder


@pytest.fixture
def instructor(mograder: Mograder, server: Running, monkeypatch: pytest.MonkeyPatch) -> Mograder:
    monkeypatch.setenv("MOGRADER_HTTPS_URL", server.url)
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", server.token("__instructor__"))
    return mograder


def work(content: bytes = b"x = 1\n", name: str = "homework.py") -> str:
    Path(name).write_bytes(content)
    return name
