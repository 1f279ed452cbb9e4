"""Turns of processes at one course. Locks belong to what has opened the file, so threads stand for processes here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.store.folder.process_lock import turn
from tests.parts import until

fcntl = pytest.importorskip("fcntl", reason="Windows has turns by filelock")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_one_at_a_time_has_a_turn(lock: Path, others: ThreadPoolExecutor) -> None:
    having, most = [], []

    def have_turns() -> None:
        for _ in range(20):
            with turn(lock):
                having.append(1)
                most.append(len(having))
                having.pop()

    for each in [others.submit(have_turns) for _ in range(4)]:
        each.result()
    assert most == [1] * 80


def test_who_waits_comes_before_who_had_a_turn_and_wants_another(lock: Path, others: ThreadPoolExecutor) -> None:
    order = []

    def wait() -> None:
        with turn(lock):
            order.append("waited")

    with turn(lock):
        waiting = others.submit(wait)
        until(lambda: is_locked(lock.parent))
    with turn(lock):
        order.append("again")
    waiting.result()
    assert order == ["waited", "again"]


def test_who_waits_too_long_is_told_and_stands_in_nobodys_way(lock: Path) -> None:
    with turn(lock), pytest.raises(TimeoutError), turn(lock, longest=0.01):
        pass
    with turn(lock, longest=0):
        assert is_locked(lock)
    assert not is_locked(lock)
    assert not is_locked(lock.parent)


def test_a_turn_ends_with_what_goes_wrong_in_it(lock: Path) -> None:
    with pytest.raises(ValueError, match="wrong"), turn(lock):
        raise ValueError("wrong")
    with turn(lock, longest=0):
        pass


def test_turns_go_on_where_folders_cannot_be_locked(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_folders(descriptor: int, how: int) -> None:
        if os.path.isdir(f"/dev/fd/{descriptor}"):
            raise OSError(9, "bad file descriptor")
        real(descriptor, how)

    real = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", no_folders)
    with turn(lock), pytest.raises(TimeoutError), turn(lock, longest=0.01):
        pass
