"""The command line as a person uses it: in a folder and with a home of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mograder.cli import run


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Mograder = Callable[..., Ran]


@pytest.fixture
def mograder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mograder:
    """Runs `mograder https` in a folder and with a home of its own, and checks the exit code."""
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("MOGRADER_HTTPS_URL", "MOGRADER_HTTPS_TOKEN", "MOGRADER_ENROLLMENT_CODE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def ran(*words: str, code: int = 0) -> Ran:
        capsys.readouterr()
        left = run(["https", *words])
        out, err = capsys.readouterr()
        assert left == code, out + err
        assert "Traceback" not in out + err
        if code not in (0, 1):
            assert err.startswith("error: ")
            assert err.count("\n") == 1
        return Ran(left, out, err)

    return ran
