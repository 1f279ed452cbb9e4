"""What makes a hand-in durable happens before the reply leaves: seen in the system calls of the real server."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from mograder.store.files import IN_MEMORY
from tests.parts import running


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("strace"), reason="needs Linux with strace")
@pytest.mark.parametrize("size", [20_000, IN_MEMORY + 1])
def test_a_hand_in_is_flushed_before_its_reply_leaves(course_folder: Path, tmp_path: Path, size: int) -> None:
    trace = tmp_path / "trace"
    calls = "fsync,fdatasync,write,writev,sendto,sendmsg"
    strace = ("strace", "-D", "-f", "-y", "-s", "40", "-e", f"trace={calls}", "-o", str(trace))
    with running(course_folder, under=strace) as server:
        seen = len(trace.read_text(errors="replace").splitlines())
        assert server.submit("alice", os.urandom(size)).status_code == 200
        server.client.get("/")  # its reply comes after: the trace then holds all of the one before
        lines = trace.read_text(errors="replace").splitlines()[seen:]

    def first(*words: str) -> int:
        return next(number for number, line in enumerate(lines) if all(word in line for word in words))

    reply = first("HTTP/1.1 200")
    assert first("sync(", ".mograder.db-wal") < reply
    if size > IN_MEMORY:
        assert first("sync(", ".incoming-") < first("sync(", ".mograder.db-wal")
        assert first("sync(", "submitted>") < first("sync(", ".mograder.db-wal")
