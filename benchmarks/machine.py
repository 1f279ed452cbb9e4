"""What the machine itself can do: durable writes of its disk, and the device's flushes, counted."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from servers import SMALL, content

BODY = content(SMALL, "disk")


def flushes(folder: Path) -> int:
    """Flushes that the device below `folder` has done since the machine started; 0 where nobody counts them."""
    device = os.stat(folder).st_dev
    wanted = [str(os.major(device)), str(os.minor(device))]
    for line in Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if fields[:2] == wanted and len(fields) > 18:
            return int(fields[18])
    return 0


def _rate(count: int, work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _append(path: Path, count: int, size: int = 1) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(count):
            os.write(descriptor, BODY * size)
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def one_writer(folder: Path, count: int) -> float:
    """Bodies of 20 KB a second that one writer appends to a file, each flushed."""
    return _rate(count, lambda: _append(folder / "one", count))


def eight_writers(folder: Path, count: int) -> float:
    """The same by eight writers, each with a file of its own."""

    def work() -> None:
        writers = [threading.Thread(target=_append, args=(folder / f"eight{number}", count)) for number in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()

    return _rate(8 * count, work)


def batched(folder: Path, batches: int, size: int = 100) -> float:
    """Bodies a second through SQLite in WAL mode with synchronous=FULL, `size` of them a transaction.

    The best that we know of for small bodies that must be found again one by one.
    """
    connection = sqlite3.connect(folder / "batched.db", isolation_level=None)
    for line in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 16000"):
        connection.execute(f"PRAGMA {line}")
    connection.execute("CREATE TABLE bodies (number INTEGER PRIMARY KEY, body BLOB)")

    def work() -> None:
        for _ in range(batches):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO bodies (body) VALUES (?)", [(BODY,)] * size)
            connection.execute("COMMIT")

    try:
        return _rate(batches * size, work)
    finally:
        connection.close()


def appended(folder: Path, batches: int, size: int = 100) -> float:
    """Bodies a second appended to one file, flushed after every `size`: nothing can be faster and durable."""
    return _rate(batches * size, lambda: _append(folder / "appended", batches, size))
