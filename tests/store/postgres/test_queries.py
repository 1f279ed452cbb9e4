"""What a course asks of its database: by index, whatever it holds, and no more often than it does today."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from mograder.domain.course import Course
from mograder.domain.release import Fetched
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.database import Database, Row
from tests.parts import ALICE, CODE, HW1, NOON, Clock, make_course_folder
from tests.postgres import new_course
from tests.web.in_process import Web


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Sequence[object]]]:
    """Every query that is read, with its values, as it is sent."""
    found: list[tuple[str, Sequence[object]]] = []
    read = Database.read

    def noted(self: Database, sql: str, values: Sequence[object] = ()) -> list[Row]:
        found.append((sql, values))
        return read(self, sql, values)

    monkeypatch.setattr(Database, "read", noted)
    return found


@pytest.fixture
def web(courses: PostgresCourses, tmp_path: Path) -> Web:
    store = courses.open(new_course(courses, Folders.of(make_course_folder(tmp_path))))
    course = Course(store, Ed25519Signer(store.keys.signing_key(new_private_key)), Clock(NOON), CODE)
    course.accounts.register("alice", CODE)
    return Web(course)


PATHS = (
    "/assignments", "/assignments/hw1/status?user=alice", "/assignments/hw1/submissions",
    "/assignments/hw1/receipts?user=alice", "/assignments/hw1/result?user=alice", "/assignments/hw1/files/hw1.py",
)  # fmt: skip


def test_every_query_of_a_request_is_answered_by_an_index(
    web: Web, asked: list[tuple[str, Sequence[object]]], postgres_url: str
) -> None:
    web.submit().raise_for_status()
    for path in PATHS:
        web("GET", path).raise_for_status()
    web("GET", "/assignments", "alice").raise_for_status()
    course = web.course
    course.store.release.note_fetched([Fetched(HW1, ALICE, NOON)])
    course.standings.board()
    course.submissions.rush()
    assert len({sql for sql, _ in asked}) > 12
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")  # small tables are read whole, where an index does not hinder it
        for sql, values in dict(asked).items():
            plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {sql}", values).fetchall())
            assert "Seq Scan" not in plan, f"{sql}\n{plan}"


def test_a_version_of_everything_is_one_query(web: Web, asked: list[tuple[str, Sequence[object]]]) -> None:
    web.course.store.versions()
    assert len(asked) == 1


def test_a_submission_asks_nine_times_beside_the_shared_transaction(
    web: Web, asked: list[tuple[str, Sequence[object]]]
) -> None:
    """Secrets, account, manifest, released files, commitments, extension, and three times the plan."""
    headers = web.bearer("alice")
    web.submit(content=b"one").raise_for_status()
    asked.clear()
    web("POST", "/assignments/hw1/submit?user=alice", None, content=b"two", headers=headers).raise_for_status()
    assert len(asked) <= 9, "\n".join(f"{sql} {values}" for sql, values in asked)
