"""The published mograder, as a black box in its own environment, and ours, both as real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import prefork
from tests.parts import environment

OURS = [sys.executable, "-m", "mograder"]
CODE = "swordfish"


@dataclass(frozen=True)
class Shell:
    """A person's terminal: a home, a working folder, and one of the two command lines."""

    program: list[str]
    home: Path
    folder: Path

    def __call__(self, *words: str, code: int | None = 0) -> str:
        """Standard output and error of a command, whose exit code must be `code` (None: anything but 0)."""
        if self.program == OURS:
            with contextlib.chdir(self.folder):
                ran = prefork.run(list(words), at_home(self.home), 120)
        else:
            ran = subprocess.run(
                [*self.program, *words], cwd=self.folder, env=at_home(self.home), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, encoding="utf-8", timeout=120,
            )  # fmt: skip
        output = ran.stdout + ran.stderr
        assert ran.returncode == code or (code is None and ran.returncode), f"{words}: {ran.returncode}\n{output}"
        assert "Traceback" not in output or self.program != OURS
        return output


def at_home(home: Path) -> dict[str, str]:
    places = {name: str(home) for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA")}
    # A fresh marimo asks the package index for news; nothing may leave this machine.
    return {
        **environment(),
        **places,
        "PYTHONWARNINGS": "",
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
        "MARIMO_SKIP_UPDATE_CHECK": "1",
    }


@pytest.fixture(scope="session")
def published() -> list[str]:
    """The published command line. The test script installs it and sets its path; without it these tests are skipped."""
    path = os.environ.get("MOGRADER_PUBLISHED")
    if not path and not os.environ.get("CI"):
        pytest.skip("set MOGRADER_PUBLISHED to the published mograder's executable (python3 tools/test.py does)")
    assert path, "MOGRADER_PUBLISHED is not set"
    return [path]


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[list[str], str], Shell]:
    """Opens a terminal for a person of that name."""

    def opened(program: list[str], name: str) -> Shell:
        home, folder = tmp_path / name / "home", tmp_path / name / "work"
        home.mkdir(parents=True)
        folder.mkdir()
        return Shell(program, home, folder)

    return opened


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a program that serves on a port. Returns the URL once its output names the port. Stopped at the end."""
    processes: list[prefork.Process | subprocess.Popen[str]] = []

    def started(words: list[str], port: int, folder: Path = tmp_path, home: Path | None = None) -> str:
        home = home or tmp_path / f"server-{port}"
        home.mkdir(exist_ok=True)
        if words[: len(OURS)] == OURS:
            with contextlib.chdir(folder):
                process = prefork.start(words[len(OURS) :], at_home(home))
        else:
            process = subprocess.Popen(
                words, cwd=folder, env=at_home(home), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", start_new_session=True,
            )  # fmt: skip
        processes.append(process)
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if str(port) in line:
                return f"http://127.0.0.1:{port}"
        raise AssertionError("".join(seen))

    yield started
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            # The whole process group, because the published dashboard is a child process of the command. Ours has none.
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.communicate()


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Make a course of the usual layout. Returns the folder to serve."""
    root = tmp_path / "course" / "release"
    for path, text in {
        "hw1/files/homework.py": "import marimo\n\napp = marimo.App()\n",
        "hw1/files/data.csv": "a,b\n1,2\n",
        "Übung 2/files/aufgabe.py": "x = 1\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root
