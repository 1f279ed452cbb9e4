"""A file in a folder from somebody else may be a pipe, a device, endless or nested without end. Every command that
reads it ends, and reports the file or ignores it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import mograder
from mograder.cli import run
from mograder.client import files
from mograder.wire import codec
from tests.cli.conftest import work
from tests.hostile import Answer, HostileServer, as_json

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes and devices in folders")


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


def deep_in_objects(path: Path) -> None:
    path.write_bytes(b'{"files":' * 100_000)


def many(path: Path) -> None:
    path.write_bytes(b'{"files": [' + b"[]," * 1000 + b"[]]}")


HARM: tuple[Callable[[Path], None], ...] = (endless, os.mkfifo, deep, deep_in_objects, many)

READ = [
    ("mograder.toml", "https fetch --list"),
    (".mograder/release/hw1/.fetched.json", "https fetch hw1"),
    (".mograder/release/hw1/.fetched.json", "https submit hw1 homework.py --dry-run"),
    (".mograder/release/hw1/a.py", "https fetch hw1"),
    ("a.py", "https fetch hw1"),
    ("submitted/hw1/.mograder/collected.json", "https fetch-submissions hw1"),
    ("submitted/hw1/.mograder/collected.json", "autograde hw1 --no-sandbox"),
    ("submitted/hw1/alice.py", "https fetch-submissions hw1"),
    ("work/x.py", "https submit hw1 work --dry-run"),
    ("pages/alice.html", "https upload-feedback hw1 --feedback-dir pages --yes"),
    ("receipt.json", "https verify receipt.json"),
    (".mograder/receipts/hw1_x.json", "https verify homework.py"),
    (".mograder/results/hw1_x.json", "https verify .mograder/results/hw1_x.json"),
    ("homework.py", "validate homework.py"),
    ("autograded/hw1/alice.json", "feedback hw1"),
    ("marks/hw1.csv", "feedback hw1"),
    ("source/hw1/hw1.py", "generate hw1 --validate"),
    ("source/hw1/data.csv", "generate hw1 --validate"),
]


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize(("where", "words"), READ)
def test_no_file_of_a_folder_makes_a_command_run_without_end(
    where: str, words: str, harm: Callable[[Path], None], own_home: None, hostile_server: HostileServer,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(codec, "MAX_VALUES", 500)
    monkeypatch.setenv("MOGRADER_HTTPS_URL", hostile_server.url)
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", "alice:" + "0" * 64)
    hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": [FILE]}]))
    hostile_server.answer("GET /assignments/hw1/submissions", as_json([{"username": "alice", **FILE}]))
    hostile_server.answer("GET /a.py", Answer(b"x = 1\n"))
    work()
    source = Path("source/hw1/hw1.py")
    source.parent.mkdir(parents=True)
    shutil.copyfile(EXAMPLE, source)
    path = Path(where)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    harm(path)
    run(words.split())
    shown = "".join(capsys.readouterr())
    assert "internal error" not in shown
    assert "Traceback" not in shown


FILE = {"filename": "a.py", "url": "/a.py"}
EXAMPLE = Path(mograder.__file__).parent / "example" / "source" / "hw1" / "hw1.py"


@pytest.mark.parametrize("words", ["https upload-grades hw1 --grades-csv table.csv", "https verify x --keys table.csv"])
def test_an_endless_file_that_is_named_on_the_command_line_is_refused_by_size(
    words: str, own_home: None, hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("MOGRADER_HTTPS_URL", hostile_server.url)
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", "alice:" + "0" * 64)
    hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": []}]))
    endless(Path("table.csv"))
    Path("x").write_text("a.b.c")
    assert run(words.split()) == 1
    assert "larger than" in capsys.readouterr().err


def test_a_table_can_be_read_from_a_pipe(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"username,grade\n")
    os.close(writing)
    assert files.read_foreign(Path(f"/dev/fd/{reading}"), named=True) == b"username,grade\n"
    os.close(reading)
