"""Every request ends, whatever its server does."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mograder.client import pace
from mograder.client.client import Client
from mograder.client.connection import RetryPolicy
from mograder.client.pace import SLOWEST, Pace
from mograder.domain.errors import NetworkFailure
from mograder.wire import messages
from tests.hostile import SLOW, Moment, raw_server, slowly
from tests.parts import Clock

ONCE = RetryPolicy(total=0)


@contextmanager
def expect_abandoned(url: str, said: str) -> Iterator[Client]:
    """A client whose request must fail with this error."""
    with Client(url, patience=ONCE, timeout=0.3) as client, pytest.raises(NetworkFailure, match=said):
        yield client


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "homework.py"
    path.write_bytes(b"x" * 8 * 1024 * 1024)
    return path


@pytest.mark.parametrize("kind", SLOW)
def test_an_answer_that_arrives_byte_by_byte_is_abandoned(kind: str) -> None:
    with raw_server(SLOW[kind]) as url, expect_abandoned(url, r"too slowly|does not look like") as client:
        client.assignments()


@pytest.mark.parametrize("kind", ["a body", "a body without a length", "chunks", "headers"])
def test_a_file_that_arrives_byte_by_byte_is_abandoned(kind: str) -> None:
    file = messages.ReleaseFileInfo("hw1.py", "/files/hw1.py")
    with raw_server(SLOW[kind]) as url, expect_abandoned(url, r"too slowly") as client:
        client.release_file(file, io.BytesIO())


def test_a_server_that_reads_a_submission_byte_by_byte_is_abandoned(work: Path) -> None:
    def answer(connection: socket.socket, moment: Moment) -> None:
        while moment() and connection.recv(1):
            pass

    with raw_server(answer) as url, expect_abandoned(url, r"does not answer|too slowly") as client:
        client.submit("hw1", "alice", work)


def test_a_server_that_reads_a_submission_and_then_answers_byte_by_byte_is_abandoned(work: Path) -> None:
    def answer(connection: socket.socket, moment: Moment) -> None:
        left = work.stat().st_size
        while left and (taken := len(connection.recv(65536))):
            left -= taken
        SLOW["headers"](connection, moment)

    with raw_server(answer) as url, expect_abandoned(url, r"too slowly") as client:
        client.submit("hw1", "alice", work)


def test_bytes_of_a_body_extend_the_time_but_cannot_be_saved_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0)
    monkeypatch.setattr(pace.time, "monotonic", clock)
    paced = Pace(60)
    paced.begin()
    clock.now = 50
    paced.moved(20 * SLOWEST)
    assert (paced.left(None), paced.left(5), paced.is_over) == (30, 5, False)
    paced.moved(1000 * SLOWEST)
    assert paced.left(None) == 60
    clock.now = 110
    assert paced.is_over
    paced.begin()
    assert paced.left(None) == 60


def test_a_proxy_has_no_more_time_than_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with raw_server(slowly(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n")) as url:
        for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, url)
        for address in ("http://course.invalid", "https://course.invalid"):
            with expect_abandoned(address, "too slowly") as client:
                client.assignments()
