"""Tampering with a course in a database: every single change of its chain or bytes is detected by `verify`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.errors import Unreadable
from mograder.domain.names import CourseName
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.copy import to_database
from mograder.store.folder.layout import Folders
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.evidence import PostgresEvidence
from mograder.store.postgres.store import PostgresStore
from mograder.store.shared import findings
from mograder.store.shared.rows import RECEIPT_COLUMNS
from tests.parts import ALICE, BOB, NOON, SECOND, Clock, make_course_folder, open_store, submit_work
from tests.postgres import Server, fresh_database

numbers = count()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with four receipts, one of which was erased with its person."""
    root = make_course_folder(tmp_path_factory.mktemp("evidence"))
    store = open_store(root)
    signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    for number, user in enumerate((ALICE, BOB, ALICE, ALICE)):
        submit_work(store, signer, user, b"work %d" % number, NOON + number * SECOND)
    Course(store, signer, Clock(NOON)).erasure.erase(COURSE_INSTRUCTOR, BOB)
    store.close()
    return root


@pytest.fixture(scope="module")
def courses(postgres_server: Server) -> Iterator[PostgresCourses]:
    courses = PostgresCourses(fresh_database(postgres_server))
    yield courses
    courses.close()


@pytest.fixture
def store(root: Path, courses: PostgresCourses, monkeypatch: pytest.MonkeyPatch) -> PostgresStore:
    monkeypatch.setattr(findings, "SECOND_LOOK", 0)  # the course is not served
    name = CourseName(f"course-{next(numbers)}")
    to_database(Folders.of(root), courses, name, NOON, lambda text: None)
    return courses.open(name)


def found(store: PostgresStore, change: str) -> list[str]:
    """Change rows of the course by SQL. Returns the findings of `verify`."""
    sql = change.replace("COURSE", f"'{store.course}'")
    store.tables.write(lambda connection: connection.execute(sql))
    findings = PostgresEvidence(store).verify(None).findings
    assert {each.where.partition(":")[0] for each in findings} <= {f"course {store.course}"}
    assert [each for each in findings if "from a backup" not in each.mend] == []
    return [f"{each.what} {each.where}" for each in findings]


def test_a_course_copied_into_a_database_is_verified_without_findings(store: PostgresStore) -> None:
    verified = PostgresEvidence(store).verify(None)
    assert (verified.findings, verified.receipts, verified.erased) == ([], 3, 1)
    assert verified.head == store.submissions.head()


@pytest.mark.parametrize("column", RECEIPT_COLUMNS.split(", "))
def test_a_receipt_altered_in_any_column_is_detected(store: PostgresStore, column: str) -> None:
    kinds = dict(store.tables.read("SELECT column_name, data_type FROM information_schema.columns "
                            "WHERE %s <> '' AND table_name = 'receipts'"))  # fmt: skip
    other = {"text": f"{column} || 'x'", "boolean": f"NOT {column}"}.get(kinds[column], f"coalesce({column}, 1) + 7")
    if column in ("late", "due"):
        other = {"late": "TRUE", "due": "1"}[column]
    assert found(store, f"UPDATE receipts SET {column} = {other} WHERE course = COURSE AND number = 3")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE pieces SET bytes = 'theirs' WHERE course = COURSE AND body IN "
          "(SELECT body FROM receipts WHERE course = COURSE AND number = 3)", "COURSE: hw1/alice_20260310T120002.py"),
        ("DELETE FROM pieces WHERE course = COURSE AND body IN "
          "(SELECT body FROM receipts WHERE course = COURSE AND number = 3)", "bytes are not in the database"),
        ("DELETE FROM receipts WHERE course = COURSE AND number = 3", "receipts 3 to 3 are missing"),
        ("DELETE FROM erased WHERE course = COURSE", "receipts 2 to 2 are missing"),
        ("UPDATE erased SET statement = statement || 'x' WHERE course = COURSE", "1 of 4 receipts are not signed"),
        ("DELETE FROM receipts WHERE course = COURSE AND number = 4", "there was a receipt 4"),
        ("UPDATE chains SET number = 3 WHERE course = COURSE", "receipt 4 stands behind the end"),
        ("UPDATE chains SET head = 'x' WHERE course = COURSE", "another than the one that was kept"),
    ],
)  # fmt: skip
def test_altered_bytes_and_removed_or_inserted_chain_positions_are_detected(
    store: PostgresStore, change: str, what: str
) -> None:
    assert what.replace("COURSE", store.course) in " ".join(found(store, change))


def test_another_key_is_detected_and_a_missing_or_invalid_one_reported(store: PostgresStore) -> None:
    other = Ed25519Signer(new_private_key())
    (said,) = PostgresEvidence(store).verify(other).findings
    assert "4 of 4 receipts are not signed" in said.what
    for key, message, place in (
        ("'x'::bytea", "key cannot be read", "restore it, or give --keys"),
        ("NULL", "has no key", f"course {store.course}"),
    ):
        with pytest.raises(Unreadable, match=message) as unreadable:
            found(store, f"UPDATE courses SET signing_key = {key} WHERE course = COURSE")
        assert place in unreadable.value.place
    assert store.tables.read("SELECT signing_key FROM courses WHERE course = %s") == [(None,)]
