"""The process lock of a course. Locks belong to open file descriptions, so threads can stand for processes here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.store.folder.process_lock import locked, queue_of
from tests.parts import until

fcntl = pytest.importorskip("fcntl", reason="Windows uses the package filelock")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_only_one_process_at_a_time_holds_the_process_lock(lock: Path, others: ThreadPoolExecutor) -> None:
    holding, most = [], []

    def hold_repeatedly() -> None:
        for _ in range(20):
            with locked(lock):
                holding.append(1)
                most.append(len(holding))
                holding.pop()

    for each in [others.submit(hold_repeatedly) for _ in range(4)]:
        each.result()
    assert most == [1] * 80


def test_a_waiting_process_gets_the_lock_before_the_one_that_just_held_it(
    lock: Path, others: ThreadPoolExecutor
) -> None:
    order = []

    def wait() -> None:
        with locked(lock):
            order.append("waited")

    with locked(lock):
        waiting = others.submit(wait)
        until(lambda: is_locked(queue_of(lock)))
    with locked(lock):
        order.append("again")
    waiting.result()
    assert order == ["waited", "again"]


def test_a_wait_that_times_out_is_an_error_and_blocks_nobody(lock: Path) -> None:
    with locked(lock), pytest.raises(TimeoutError), locked(lock, longest=0.01):
        pass
    with locked(lock, longest=0):
        assert is_locked(lock)
    assert not is_locked(lock)
    assert not is_locked(queue_of(lock))


def test_the_process_lock_is_released_after_an_exception(lock: Path) -> None:
    with pytest.raises(ValueError, match="wrong"), locked(lock):
        raise ValueError("wrong")
    with locked(lock, longest=0):
        pass


def test_a_user_who_may_only_read_the_folder_cannot_hold_the_process_lock(lock: Path) -> None:
    """Whoever can open a file for reading can lock it, so no other user may open the lock files."""
    lock.touch(mode=0o644)
    with locked(lock):
        pass
    for path in (lock.parent, *lock.parent.iterdir()):
        if path.stat().st_mode & 0o077:
            descriptor = os.open(path, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with locked(lock, longest=0.01):
        pass
    assert [path.stat().st_mode & 0o777 for path in lock.parent.iterdir()] == [0o600, 0o600]
