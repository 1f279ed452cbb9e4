"""The cost of the grading queue in the ledger of a folder, counted in steps of SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mograder.store.folder import jobs
from tests.parts import HW1, NOON, make_course_folder, open_store


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    root = make_course_folder(tmp_path)
    open_store(root).close()
    return root / ".mograder.db"


def steps(ledger: Path, waiting: int, finished: int, sql: str, values: tuple[object, ...]) -> int:
    """Hundreds of steps of the query for the next job, with so many jobs of one person and one of two others each."""
    rows = [(number, "mallory", int(number < finished)) for number in range(waiting + finished)]
    rows += [(10**6 + number, name, 0) for number, name in enumerate(("alice", "bob"))]
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DELETE FROM grading_jobs")
        connection.execute("INSERT OR REPLACE INTO grading_tests VALUES (?, 't1', 'never')", (HW1,))
        connection.executemany(
            "INSERT INTO grading_jobs (receipt, assignment, username, attempt, received, finished) "
            f"VALUES (?, '{HW1}', ?, 1, 0, ?)",
            rows,
        )
        taken = 0

        def count() -> int:
            nonlocal taken
            taken += 1
            return 0

        connection.set_progress_handler(count, 100)
        found = connection.execute(sql, values).fetchall()
        connection.set_progress_handler(None, 0)
        connection.commit()
    assert len(found) in (1, waiting + 2)
    return taken


@pytest.mark.parametrize(
    ("sql", "values"),
    [(jobs._WAITING, (0,)), (f"{jobs._NEXT} LIMIT 1", (f'["{HW1}"]', 0, NOON, NOON))],
    ids=["waiting", "claim"],
)
def test_many_submissions_of_one_person_do_not_slow_down_the_queue(
    ledger: Path, sql: str, values: tuple[object, ...]
) -> None:
    few, many = steps(ledger, 200, 50, sql, values), steps(ledger, 1600, 400, sql, values)
    assert many < 16 * few  # eight times the jobs; comparing each with all others would take 64 times the steps
