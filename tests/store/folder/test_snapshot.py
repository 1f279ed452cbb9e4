"""A snapshot of a ledger: its state at one moment, read without creating or changing any file."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.domain.audit import Event
from mograder.domain.errors import Unreadable
from mograder.store.folder import ledger
from mograder.store.folder.snapshot import reading
from mograder.store.folder.store import FolderStore
from tests.courses import everything
from tests.parts import NOON, names_in, open_store

NOTE = Event(NOON, "alice", "test", "hw1")
COUNT = "SELECT count(*) FROM events"


@pytest.fixture
def store(course_folder: Path) -> Iterator[FolderStore]:
    with contextlib.closing(open_store(course_folder)) as store:
        store.audit.record(NOTE)
        yield store


def test_reading_a_course_that_is_not_served_changes_nothing(store: FolderStore) -> None:
    store.close()
    before = everything(store.folders.root)
    with reading(store.ledger.path) as connection:
        assert connection.execute(COUNT).fetchone() == (1,)
    assert everything(store.folders.root) == before


def test_a_snapshot_beside_a_running_server_shows_one_moment(store: FolderStore) -> None:
    with reading(store.ledger.path) as connection:
        store.audit.record(NOTE)
        assert connection.execute(COUNT).fetchone() == (1,)
    with reading(store.ledger.path) as connection:
        assert connection.execute(COUNT).fetchone() == (2,)


def test_a_copied_ledger_is_read_with_its_write_ahead_log_and_not_changed(store: FolderStore, tmp_path: Path) -> None:
    for name in (".mograder.db", ".mograder.db-wal"):
        shutil.copy(store.folders.root / name, tmp_path / name)
    before = everything(tmp_path)
    with reading(tmp_path / ".mograder.db") as connection:
        assert connection.execute(COUNT).fetchone() == (1,)
    assert everything(tmp_path) == before


def test_a_ledger_of_an_earlier_version_is_read_like_a_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".mograder.db"
    script = (Path(ledger.__file__).parent / "ledger_001.sql").read_text()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{script} PRAGMA user_version = 1;")
    with reading(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(ledger.MIGRATIONS),)
        assert connection.execute("SELECT count(*) FROM erased").fetchone() == (0,)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert names_in(tmp_path) == [".mograder.db"]


def test_an_unreadable_ledger_is_reported_with_its_path_and_what_to_do(store: FolderStore, tmp_path: Path) -> None:
    store.close()
    with contextlib.closing(sqlite3.connect(store.ledger.path)) as connection:
        connection.execute("PRAGMA user_version = 1000")
    with (
        pytest.raises(Unreadable, match="was made by a newer mograder: upgrade mograder") as newer,
        reading(store.ledger.path),
    ):
        pass
    assert newer.value.place == str(store.ledger.path)
    store.ledger.path.write_bytes(b"no database, but long enough to be looked at" * 100)
    with (
        pytest.raises(Unreadable, match=r"cannot be read: .*: restore it from a backup$") as broken,
        reading(store.ledger.path),
    ):
        pass
    assert broken.value.place.startswith(f"{store.ledger.path}: ")
    with pytest.raises(FileNotFoundError), reading(tmp_path / "gone"):
        pass
