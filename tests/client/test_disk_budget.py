"""A server cannot fill the disk of its clients."""

from __future__ import annotations

import errno
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mograder.client import files
from mograder.client.client import Client
from mograder.client.collecting import collect
from mograder.client.workspace import fetch
from mograder.wire import messages
from tests.hostile import Answer, HostileServer, as_json

MIB = 1024 * 1024
MANY = 40


def zipped(size: int) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("data.csv", bytes(size))
    return memory.getvalue()


def fetch_files(client: Client, folder: Path, names: list[str]) -> None:
    listed = [messages.ReleaseFileInfo(name, f"/f/{name}") for name in names]
    list(fetch(client, messages.AssignmentInfo("hw1", "hw1", listed), folder))


def collect_work(client: Client, folder: Path, names: list[str]) -> None:
    list(collect(client, "hw1", folder))


WAYS: dict[str, tuple[bytes, str, Callable[[Client, Path, list[str]], None]]] = {
    "files": (bytes(10_000), ".csv", fetch_files),
    "archives": (zipped(10_000), ".zip", fetch_files),
    "submissions": (bytes(10_000), ".py", collect_work),
    "submissions that are archives": (zipped(10_000), ".py", collect_work),
}
ways = pytest.mark.parametrize(("content", "ending", "bring"), WAYS.values(), ids=WAYS)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ALWAYS_TAKEN", 100_000)


@pytest.fixture
def client(hostile_server: HostileServer) -> Iterator[Client]:
    with Client(hostile_server.url) as client:
        yield client


def serve_many(server: HostileServer, content: bytes, ending: str) -> list[str]:
    """Serve MANY files, both as released files and as submissions. Returns their names."""
    names = [f"s{number}{ending}" for number in range(MANY)]
    listing = [{"username": f"s{number}", "filename": name, "url": f"/f/{name}"} for number, name in enumerate(names)]
    server.answer("GET /assignments/hw1/submissions", as_json(listing))
    for name in names:
        server.answer(f"GET /f/{name}", Answer(content))
    return names


def disk(monkeypatch: pytest.MonkeyPatch, free: int, total: int = 10**12) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=total, free=free))


@ways
@pytest.mark.usefixtures("small_limits")
def test_downloads_stop_before_the_disk_is_full(
    content: bytes, ending: str, bring: Callable[[Client, Path, list[str]], None], client: Client,
    hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    disk(monkeypatch, free=files.LEFT_FREE)
    names = serve_many(hostile_server, content, ending)
    with pytest.raises(OSError, match="less than 1024 MiB would be left free") as full:
        bring(client, tmp_path, names)
    assert full.value.errno == errno.ENOSPC
    assert 5 <= len([path for path in tmp_path.glob("*") if path.name != ".mograder"]) < MANY


@ways
@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(("free", "total"), [(files.LEFT_FREE + MIB, 10**12), (6 * MIB, 100 * MIB)])
def test_downloads_that_leave_enough_free_space_succeed(
    content: bytes, ending: str, bring: Callable[[Client, Path, list[str]], None], free: int, total: int,
    client: Client, hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    disk(monkeypatch, free, total)
    bring(client, tmp_path, serve_many(hostile_server, content, ending))


def test_a_notebook_can_be_fetched_to_a_disk_that_is_nearly_full(
    client: Client, hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk(monkeypatch, free=MIB)
    fetch_files(client, tmp_path, serve_many(hostile_server, b"x = 1\n", ".py"))
