"""What is special about a course in a database; what every store promises is in tests/contract."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from mograder.domain.audit import Event
from mograder.domain.chain import Tombstone, make_tombstone
from mograder.domain.deadlines import microseconds
from mograder.domain.errors import Temporary, Unreadable
from mograder.domain.grades import GradeEntry
from mograder.domain.latest import LatestSubmissions
from mograder.domain.names import FileName
from mograder.domain.receipts import Receipt
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.postgres import database
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.database import Connection, Row
from mograder.store.postgres.rows import PLAN, RELEASED, SECRETS, put_document, read_secrets
from mograder.store.postgres.store import PostgresStore
from mograder.store.shared.manifest import MANIFEST
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, make_course_folder, submit_work
from tests.postgres import new_course

SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "alice", "test", "hw1")


@pytest.fixture
def store(courses: PostgresCourses) -> PostgresStore:
    return courses.open(new_course(courses))


def put(store: PostgresStore, place: str, content: str) -> None:
    store.tables.write(lambda connection: put_document(connection, store.course, place, content))


def test_a_document_is_parsed_once_until_it_changes(store: PostgresStore) -> None:
    store.grades.merge(HW1, (GradeEntry({"username": "alice"}),), NOTE)
    understood = store.grades.of(HW1)
    assert store.grades.of(HW1) is understood
    put(store, "grades/hw1", '[{"username": "bob"}]')
    assert [each.person for each in store.grades.of(HW1)] == ["bob"]


@pytest.mark.parametrize(
    ("place", "ask"),
    [
        (PLAN, lambda store: store.config.plan()),
        (MANIFEST, lambda store: store.release.assignments()),
        (RELEASED, lambda store: store.release.assignments()),
        (SECRETS, lambda store: store.keys.secrets()),
        ("grades/hw1", lambda store: store.grades.of(HW1)),
    ],
)
def test_an_invalid_document_is_reported_and_not_changed(
    store: PostgresStore, place: str, ask: Callable[[PostgresStore], object]
) -> None:
    put(store, place, "{")
    for _ in range(2):
        with pytest.raises(Unreadable, match=re.escape(f"the course's {place} cannot be understood")) as said:
            ask(store)
        assert said.value.place.startswith(f"{place} of course {store.course}: ")
    assert store.tables.document(place) == "{"


def test_an_invalid_course_file_is_not_changed(store: PostgresStore) -> None:
    put(store, PLAN, "{")
    with pytest.raises(Unreadable, match="cannot be changed") as said:
        store.config.change_rules(HW1, [], store.config.version(), NOTE)
    assert said.value.place.startswith(f"{PLAN} of course {store.course}: ")
    assert (store.tables.document(PLAN), store.audit.events()) == ("{", [])


def test_times_of_the_manifest_are_in_the_current_time_zone_of_the_course(
    courses: PostgresCourses, tmp_path: Path
) -> None:
    folders = Folders.of(make_course_folder(tmp_path))
    (folders.root / MANIFEST).write_text(
        '[{"name": "hw1", "id": "1st", "due": "2030-02-08T17:00", "files": [{"filename": "hw1.py"}]}]'
    )
    store = courses.open(new_course(courses, folders))
    for zone, hour in (("UTC", 17), ("Europe/Paris", 16)):
        put(store, PLAN, f'timezone = "{zone}"\n')
        (assignment,) = store.release.assignments()
        assert (assignment.name, assignment.id, [each.name for each in assignment.files]) == ("hw1", "1st", ["hw1.py"])
        assert assignment.rules.schedule.due == microseconds(datetime(2030, 2, 8, hour, tzinfo=UTC))


def test_a_file_has_the_time_since_when_its_content_is_unchanged(courses: PostgresCourses, tmp_path: Path) -> None:
    folders = Folders.of(make_course_folder(tmp_path))
    os.utime(folders.root / "hw1" / "files" / "hw1.py", (NOON // SECOND - 5, NOON // SECOND - 5))
    store = courses.open(new_course(courses, folders))
    submit_work(store, SIGNER, ALICE, b"one", NOON + 500_000)
    store.grades.put_feedback(HW1, {ALICE: b"<p>fine"}, NOTE)
    files = [
        store.release.file(HW1, FileName("hw1.py")), store.submissions.file(HW1, FileName("alice.py")),
        store.grades.feedback(HW1, ALICE), *store.submissions.latest_files(HW1),
    ]  # fmt: skip
    noon = NOON / SECOND
    assert [each and each.modified for each in files] == [noon - 5, noon + 0.5, noon, noon + 0.5]


def test_a_course_into_which_nothing_was_published_has_no_assignments(store: PostgresStore) -> None:
    assert (store.release.assignments(), store.release.file(HW1, FileName("hw1.py"))) == ((), None)


def test_a_submission_that_cannot_be_stored_is_an_error_and_can_be_sent_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database._SESSION, "lock_timeout", "50ms")
    courses = PostgresCourses(postgres_url)
    store = courses.open(new_course(courses))
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM chains WHERE course = %s FOR UPDATE", (store.course,))
        with pytest.raises(Temporary, match="busy: try again"):
            submit_work(store, SIGNER, ALICE, b"one")
    assert submit_work(store, SIGNER, ALICE, b"one").receipt.number == 1
    courses.close()


def test_a_receipt_erased_while_the_chain_is_read_appears_once(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in (ALICE, BOB, ALICE):
        submit_work(store, SIGNER, user, f"{user} {store.submissions.head().number}".encode())
    read = store.tables.read

    def erase_after(sql: str, *values: object) -> list[Row]:
        rows = read(sql, *values)
        if "FROM receipts" in sql:
            store.erase(BOB, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE)
        return rows

    monkeypatch.setattr(store.tables, "read", erase_after)
    assert [(each.number, type(each)) for each in store.submissions.chain()] == [
        (1, Receipt),
        (2, Tombstone),
        (3, Receipt),
    ]


def test_after_a_failover_that_lost_a_submission_nothing_shows_it(store: PostgresStore, postgres_url: str) -> None:
    def shown() -> tuple[object, ...]:
        asyncio.run(store.refresh((), ()))
        latest.refresh()
        files = store.recalled(lambda: store.submissions.latest_files(HW1), wait=True)
        return [each.username for each in files], latest.number(HW1, ALICE), latest.number(HW1, BOB)

    latest = LatestSubmissions(store)
    first = submit_work(store, SIGNER, BOB, b"one").receipt
    before = shown()
    submit_work(store, SIGNER, ALICE, b"two")
    assert shown() == (["alice", "bob"], 2, 1)
    with psycopg.connect(postgres_url) as connection:  # as an asynchronous replica has it
        connection.execute("DELETE FROM receipts WHERE course = %s AND number = 2", (store.course,))
        connection.execute("DELETE FROM grading_jobs WHERE course = %s AND receipt = 2", (store.course,))
        connection.execute("UPDATE chains SET number = 1, head = %s WHERE course = %s", (first.hash, store.course))
    assert shown() == before == (["bob"], 0, 1)
    submit_work(store, SIGNER, BOB, b"three")
    assert shown() == (["bob"], 0, 2)


def test_an_expired_secret_is_not_kept(store: PostgresStore) -> None:
    far = 4_000_000_000 * SECOND
    for secret, until in (("second", NOON), ("third", far)):
        store.keys.change_secret(secret, until, NOTE)
    assert read_secrets(store.tables.document(SECRETS) or "") == [("third", 0), ("second", far)]


@pytest.mark.parametrize("end", [1001, 2003])
def test_a_long_chain_is_read_whole_and_in_order(store: PostgresStore, end: int) -> None:
    def work(connection: Connection) -> None:
        connection.execute("UPDATE chains SET number = %s WHERE course = %s", (end, store.course))
        connection.execute(
            "INSERT INTO receipts (course, number, previous, assignment, username, attempt, filename, sha256, size, "
            "received, by, text, body) SELECT %s, each, '', 'hw1', 'alice', each, each, '', 0, 0, 'alice', '', '' "
            "FROM generate_series(%s, 1, -1) AS each WHERE each %% 1001 <> 0",
            (store.course, end),
        )
        connection.execute(
            "INSERT INTO erased (course, number, previous, hash, statement) SELECT %s, each, '', '', '' "
            "FROM generate_series(1001, %s, 1001) AS each",
            (store.course, end),
        )

    store.tables.write(work)
    everything = list(range(1, end + 1))
    assert [each.number for each in store.submissions.chain()] == everything
    assert [each.number for each in store.submissions.receipts()] == [each for each in everything if each % 1001]
