"""Kills a process before a given step of its work on the disk, and counts the steps.

A step is a call that can change a file or the ledger (open, write, fsync, rename, link, a statement of SQL, …). A
process that is killed there has done all steps before it and none after, and does not clean up: no `finally`, no
`close`. What SQLite does inside one statement is tested by tests/web/test_power.py.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mograder.domain.tokens import SECRET_NAME
from mograder.store.folder.layout import LEDGER, SIGNING_KEY

Say = Callable[[str], None]
Act = Callable[[Say], None]
"""The work of a process, which reports each acknowledgement, as a server does with its 200."""

BEGIN = "begin"
"""A process reports this line before the steps that count."""

SYSTEM_CALLS = {
    "chmod", "fsync", "ftruncate", "link", "mkdir", "open", "remove", "rename", "replace", "rmdir", "symlink", "unlink",
    "write",
}  # fmt: skip
ON_FILES = {"__exit__", "close", "flush", "truncate", "write", "writelines"}
ON_THE_LEDGER = {"commit", "execute", "executemany", "executescript"}


RANDOM = {SECRET_NAME, SIGNING_KEY}
"""Files with random content."""
SCRATCH = re.compile(r"[-.][0-9a-f]{12,}\b")
"""The random part of the name of a scratch file."""


@dataclass(frozen=True)
class Ended:
    """Whether a process was killed, and the lines that it had reported before."""

    died: bool
    said: list[str]


def is_step(function: Any) -> bool:
    owner, name = getattr(function, "__self__", None), function.__name__
    if isinstance(owner, sqlite3.Connection):
        return name in ON_THE_LEDGER and (owner.in_transaction or name == "executescript")
    if isinstance(owner, io.IOBase):
        return name in ON_FILES and owner.writable()
    return name in SYSTEM_CALLS and function.__module__ in ("posix", "_io", "io")


def die_before(step: int, act: Act) -> Ended:
    """Run `act` in a forked process that is killed before its `step`-th step after BEGIN, or completes."""
    if not hasattr(os, "fork"):
        pytest.skip("a process that dies between two steps is made by fork, which Windows does not have")
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of the test runner hold no lock of ours
        child = os.fork()
    if child == 0:
        os.close(reading)
        _live_and_die(step, act, writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), "\n".join(said)
    return Ended(code == 9, said)


def _live_and_die(step: int, act: Act, writing: int) -> None:
    left, counting = step, False

    def count(frame: FrameType, event: str, function: Any) -> None:
        nonlocal left
        if counting and event == "c_call" and is_step(function):
            left -= 1
            if left == 0:
                os._exit(9)

    def say(line: str) -> None:
        nonlocal counting
        counting = False
        os.write(writing, f"{line}\n".encode())
        counting = True

    threading.setprofile(count)  # a separate thread writes the ledger
    sys.setprofile(count)
    try:
        act(say)
        counting = False
    except BaseException:  # noqa: BLE001 (this is not the process of pytest: it reports and ends here)
        counting = False
        os.write(writing, traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)


def before_every_step(make: Callable[[], Path], act: Callable[[Path, Say], None]) -> Iterator[tuple[Path, Ended]]:
    """The state after `act` on a course made by `make` was killed before its first step, its second, …, and completed.

    Equal states with equally many reported lines are given once: most steps alone change nothing.
    """
    seen: set[tuple[object, ...]] = set()
    for step in itertools.count(1):
        root = make()
        ended = die_before(step, lambda say, root=root: act(root, say))  # type: ignore[misc]
        state = (ended.died, len(ended.said), *sorted(_contents(root.parent)))
        if state not in seen:
            seen.add(state)
            yield root, ended
        if not ended.died:
            return


def _contents(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    """Each name below `folder` with its mode and content; random parts of scratch file names are replaced."""
    for path in folder.rglob("*"):
        name, mode = str(path.relative_to(folder)), path.lstat().st_mode
        if path.is_symlink():
            yield name, mode, os.readlink(path).encode()
        elif path.is_dir():
            yield name, mode, b""
        elif path.name == LEDGER:
            yield name, mode, _rows(path)
        elif not path.name.startswith(f"{LEDGER}-"):  # files of SQLite, which are read with the ledger
            content = path.read_bytes()
            yield SCRATCH.sub("-", name), mode, b"%d" % len(content) if path.name in RANDOM else content


def _rows(ledger: Path) -> bytes:
    """The content of a copy of the ledger: opening the ledger itself would change its files."""
    with tempfile.TemporaryDirectory(dir=ledger.parent.parent.parent) as folder:
        for path in ledger.parent.glob(f"{LEDGER}*"):
            if not path.name.endswith("-shm"):
                shutil.copyfile(path, Path(folder) / path.name)
        with contextlib.closing(sqlite3.connect(Path(folder) / LEDGER)) as connection:
            pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "journal_mode")]
            return "\n".join([str(pragmas), *connection.iterdump()]).encode()
