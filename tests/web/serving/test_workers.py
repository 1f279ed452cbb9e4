"""Several processes on one folder and one port: nothing is lost when one is killed, none outlives the parent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mograder.web.throttle import FAILURES
from tests.parts import CODE, PATIENCE, STRICT, Running, open_store, running, sha256

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until_gone(pids: set[int]) -> None:
    """Wait until the processes have ended; fails if a worker outlives its parent."""
    while any(map(alive, pids)):
        os.sched_yield()


def persist(client: httpx2.Client, path: str, **extra: Any) -> httpx2.Response:
    """Repeat the request when the connection breaks, as the client does."""
    while True:
        with contextlib.suppress(httpx2.TransportError):
            reply = client.post(path, **extra)
            assert reply.status_code == 200, reply.text
            return reply


def test_no_submission_and_no_grade_is_lost_while_workers_are_killed(course_folder: Path) -> None:
    answered: dict[str, str] = {}
    grades, over = course_folder / "hw1" / "grades.json", threading.Event()

    def work(server: Running, name: str) -> None:
        with httpx2.Client(base_url=server.url, timeout=PATIENCE) as client:
            for number in range(15):
                content = f"{name} {number}".encode() * 100
                path = f"/assignments/hw1/submit?user={name}"
                reply = persist(client, path, content=content, headers=server.bearer(name))
                answered[reply.json()["version"]] = sha256(content)
                entry = [{"username": f"{name}-{number}", "grade": str(number)}]
                persist(client, "/assignments/hw1/grades", json=entry, headers=server.bearer())

    def read() -> None:
        while not over.is_set():
            with contextlib.suppress(FileNotFoundError):
                json.loads(grades.read_bytes())

    with running(course_folder, "--workers", "3") as server, ThreadPoolExecutor(9) as threads:
        reading = threads.submit(read)
        try:
            working = [threads.submit(work, server, f"s{number}") for number in range(8)]
            for wanted in (20, 60):
                while len(answered) < wanted:
                    assert not any(each.done() and each.exception() for each in working)
                before = server.workers()
                os.kill(min(before), signal.SIGKILL)
                assert "it is restarted" in server.process.stdout.readline()  # type: ignore[union-attr]
                while len(server.workers() - before) != 1:
                    assert server.process.poll() is None
                assert len(server.workers()) == 3
            for each in working:
                each.result()
        finally:
            over.set()
        reading.result()
        workers = server.workers()
        assert server.stop() == 0
        assert not any(map(alive, workers))
    store = open_store(course_folder)
    kept = {each.submission.filename: each.submission.sha256 for each in store.submissions.receipts()}
    store.close()
    assert answered.items() <= kept.items()
    assert len(json.loads(grades.read_bytes())) == 8 * 15


def test_several_workers_print_the_start_message_once(course_folder: Path) -> None:
    with running(course_folder, "--workers", "2") as server:
        assert server.client.get("/").json() == {"status": "ok"}
        assert server.stop() == 0
        assert server.process.stdout.read() == ""  # type: ignore[union-attr]


def test_clients_that_disconnect_while_workers_stop_add_nothing_to_the_log(course_folder: Path) -> None:
    over = threading.Event()

    def ask_and_leave() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), server.connect() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    with ThreadPoolExecutor(2) as people, running(course_folder, "--workers", "2") as server:
        assert server.client.get("/").json() == {"status": "ok"}
        for _ in range(2):
            people.submit(ask_and_leave)
        try:
            assert server.stop() == 0
        finally:
            over.set()
        assert server.process.stdout.read() == ""  # type: ignore[union-attr]


def test_workers_end_with_their_parent_and_free_the_port(course_folder: Path) -> None:
    with running(course_folder, "--workers", "2") as server:
        workers = server.workers()
        assert len(workers) == 2
        server.kill()
        wait_until_gone(workers)
        with running(course_folder, "--workers", "2", port=server.port) as again:
            assert again.client.get("/").json() == {"status": "ok"}


def test_several_workers_serve_https(course_folder: Path) -> None:
    with running(course_folder, "--workers", "2", "--tls-self-signed") as server:
        assert server.submit("alice", b"work").status_code == 200
        assert server.stop() == 0


def test_more_connections_and_processes_do_not_allow_more_guesses(course_folder: Path) -> None:
    with running(course_folder, "--workers", "4", first=STRICT) as server:
        wrong = [
            server.client.post(  # on a new connection, so handled by any worker
                "/register", json={"user": f"s{number}", "enrollment_code": "wrong"}, headers={"Connection": "close"}
            )
            for number in range(2 * FAILURES)
        ]
        assert [each.status_code for each in wrong] == [403] * FAILURES + [429] * FAILURES
        assert CODE not in wrong[0].text
