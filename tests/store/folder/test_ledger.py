"""Errors of the ledger say what to do; what it stores is tested in tests/contract."""

from __future__ import annotations

import contextlib
import itertools
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from mograder.domain.errors import Temporary, Unreadable
from mograder.store.folder.batch import LATEST, TAKEN, USAGE
from mograder.store.folder.layout import LEDGER
from mograder.store.folder.ledger import MIGRATIONS, Ledger
from mograder.store.folder.process_lock import locked
from mograder.store.folder.rows import LAST_VERSION, LATEST_SINCE, VERSION, version_values
from tests.parts import open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def opened(path: Path) -> contextlib.closing[Ledger]:
    return contextlib.closing(Ledger(path, path.with_name("lock")))


def test_every_migration_script_is_listed() -> None:
    scripts = sorted(each.name for each in resources.files("mograder.store.folder").iterdir())
    assert list(MIGRATIONS) == [each for each in scripts if each.endswith(".sql")]


def test_a_ledger_of_a_newer_mograder_is_refused_with_the_advice_to_upgrade(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(Unreadable) as refused, opened(path):
        pass
    assert refused.value.message == (
        f"ledger.db was made by a newer mograder (schema {len(MIGRATIONS) + 1}, this one knows {len(MIGRATIONS)}): "
        "upgrade mograder"
    )
    assert refused.value.place == str(path)


def test_writing_to_a_closed_course_is_an_error(path: Path) -> None:
    with opened(path) as ledger:
        pass
    with pytest.raises(Temporary, match="the course is closed"):
        ledger.write(lambda connection: None)


def test_a_failed_write_is_rolled_back_without_the_rest_of_its_transaction(path: Path) -> None:
    def keep(name: str) -> Callable[[sqlite3.Connection], object]:
        return lambda connection: connection.execute("INSERT INTO erased_names VALUES (?, '', 1)", (name,)).rowcount

    def keep_and_fail(connection: sqlite3.Connection) -> object:
        keep("failed")(connection)
        raise KeyError("its own")

    go = threading.Event()
    with opened(path) as ledger:
        ledger.begin(lambda connection: go.wait())  # writes that arrive meanwhile are committed together
        before, failed, after = (ledger.begin(work) for work in (keep("before"), keep_and_fail, keep("after")))
        go.set()
        assert (before.result(), after.result()) == (1, 1)
        with pytest.raises(KeyError, match="its own"):
            failed.result()
        assert ledger.read("SELECT salt FROM erased_names ORDER BY rowid") == [("before",), ("after",)]


@pytest.mark.parametrize("work", [lambda ledger: ledger.write(lambda connection: None), Ledger.compact])
def test_waiting_too_long_for_another_process_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Ledger], object]
) -> None:
    pytest.importorskip("fcntl", reason="Windows uses the package filelock")
    seconds = itertools.count(step=20)
    with opened(path) as ledger:
        with locked(path.with_name("lock")), monkeypatch.context() as passing:
            passing.setattr(time, "monotonic", lambda: next(seconds))
            with pytest.raises(Temporary, match="another process holds the course's ledger"):
                work(ledger)
        ledger.write(lambda connection: None)


def test_file_names_and_usage_are_looked_up_by_index(course_folder: Path) -> None:
    store = open_store(course_folder)
    plans = {
        LAST_VERSION: ("hw1", "alice"), VERSION: version_values("hw1", "alice_20260310T120000.py"),
        USAGE: ('[["alice", 9]]',), TAKEN: ('[["hw1", "alice_20260310T120000"]]',), LATEST: ('[["hw1", "alice"]]',),
    }  # fmt: skip
    connection = sqlite3.connect(course_folder / LEDGER)
    for sql, values in plans.items():
        how = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()]
        looks = [each for each in how if "receipts" in each or "latest" in each]
        assert looks, how
        assert all(re.match(r"SEARCH \w+ USING (COVERING INDEX|INDEX|INTEGER PRIMARY KEY)", each) for each in looks), (
            how
        )
    how = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {LATEST_SINCE}", (0,)).fetchall()]
    assert [each for each in how if each.startswith("SEARCH")] == [
        "SEARCH receipts USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH receipts USING INTEGER PRIMARY KEY (rowid>?)",
    ], how  # fmt: skip
    connection.close()
    store.close()
