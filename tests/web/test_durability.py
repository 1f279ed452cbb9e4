"""Data is synced before the answer is sent, as the system calls of a real server show."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from mograder.store.shared.files import IN_MEMORY
from tests.parts import CODE, Running, running, until

CALLS = "fsync,fdatasync,write,writev,sendto,sendmsg,pwrite64,rename"
LEDGER = r"\.mograder\.db-wal"


def submit_work(server: Running, size: int) -> httpx2.Response:
    return server.submit("alice", os.urandom(size))


def grade(server: Running) -> httpx2.Response:
    grades = [{"username": "alice", "grade": "1"}]
    return server.client.post("/assignments/hw1/grades", json=grades, headers=server.bearer())


def explain(server: Running) -> httpx2.Response:
    page = {"files": ("alice.html", b"well done", "text/html")}
    return server.client.post("/assignments/hw1/feedback", files=page, headers=server.bearer())


def register(server: Running) -> httpx2.Response:
    return server.client.post("/register", json={"user": "carol", "enrollment_code": CODE})


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("strace"), reason="needs Linux with strace")
@pytest.mark.parametrize(
    ("request_", "synced_first"),
    [
        pytest.param(lambda server: submit_work(server, 20_000), [], id="a small submission"),
        pytest.param(
            lambda server: submit_work(server, IN_MEMORY + 1),
            [r"/\.incoming-[0-9a-f]+", "/submitted"],
            id="a large submission",
        ),
        pytest.param(grade, [r"/\.grades\.json\.[0-9a-f]+\.tmp", "/hw1"], id="grades"),
        pytest.param(explain, [r"/\.alice\.html\.[0-9a-f]+\.tmp", "/feedback"], id="feedback"),
        pytest.param(register, [], id="a registration"),
    ],
)
def test_submissions_are_synced_before_the_response_is_sent(
    course_folder: Path, tmp_path: Path, request_: Callable[[Running], httpx2.Response], synced_first: list[str]
) -> None:
    trace = tmp_path / "trace"
    strace = ("strace", "-D", "-f", "-y", "-s", "40", "-e", f"trace={CALLS}", "-o", str(trace))
    with running(course_folder, under=strace) as server:
        seen = len(lines_of(trace))
        assert request_(server).status_code == 200
        server.client.get("/")  # after its answer the trace contains everything about the one before
        until(lambda: sum("HTTP/1.1 200" in line for line in lines_of(trace)[seen:]) >= 2)
        lines = lines_of(trace)[seen:]
    answer = next(number for number, line in enumerate(lines) if "HTTP/1.1 200" in line)
    written = [
        number for number, line in enumerate(lines[:answer]) if re.search(rf"pwrite64\(\d+<[^>]*{LEDGER}>", line)
    ]
    committed = [number for number in returned(lines, "f(?:data)?sync", LEDGER) if number < answer]
    assert written, "nothing was written to the ledger"
    assert max(written) < max(committed), "the last that was written to the ledger was not synced before the answer"
    moments = [min(returned(lines, "fsync", name)) for name in synced_first]
    assert [*moments, max(committed)] == sorted([*moments, max(committed)]), (
        "what the ledger speaks of was synced later"
    )


def lines_of(trace: Path) -> list[str]:
    return trace.read_text(errors="replace").splitlines()


def returned(lines: list[str], call: str, file: str) -> list[int]:
    """The lines at which such a call on such a file returned successfully."""
    found = []
    for index, line in enumerate(lines):
        if re.search(rf"\b{call}\(\d+<[^>]*{file}>", line):
            end = index
            if "<unfinished" in line:
                later = range(index + 1, len(lines))
                end = next((each for each in later if re.match(rf"{line.split()[0]} .*resumed", lines[each])), index)
            if re.search(r"= 0$", lines[end].strip()):
                found.append(end)
    return found
