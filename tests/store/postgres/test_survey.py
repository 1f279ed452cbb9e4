"""Data of a course in a database that has no effect is reported, wherever it is."""

from __future__ import annotations

import json

import pytest

from mograder.domain.assignments import Plan
from mograder.domain.audit import Event
from mograder.domain.contents import contents
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.rows import RELEASED, StoredReleaseFile, put_document, write_listing
from mograder.store.postgres.store import PostgresStore
from mograder.store.shared.manifest import MANIFEST
from tests.parts import ALICE, BOB, HW1, NOON, submit_work
from tests.postgres import new_course

HW2 = AssignmentName("hw2")
NOTE = Event(NOON, "alice", "test", "hw1")


@pytest.fixture
def store(courses: PostgresCourses) -> PostgresStore:
    return courses.open(new_course(courses))


def put(store: PostgresStore, place: str, text: str) -> None:
    store.tables.write(lambda connection: put_document(connection, store.course, place, text))


def publish(store: PostgresStore, **files: tuple[str, ...]) -> None:
    listing = {
        AssignmentName(name): tuple(StoredReleaseFile(each, 1, "ab" * 32, NOON, "body") for each in listed)  # type: ignore[arg-type]
        for name, listed in files.items()
    }
    put(store, RELEASED, write_listing(listing))


def left(store: PostgresStore) -> list[str]:
    return [str(each) for each in contents(store.release.assignments(), Plan(), store.survey()).left_out]


def test_work_grades_and_feedback_of_a_missing_assignment_are_reported(store: PostgresStore) -> None:
    publish(store, hw1=("hw1.py",), hw2=("hw2.py",))
    signer = Ed25519Signer(new_private_key())
    for number, user in enumerate((ALICE, BOB, ALICE)):
        submit_work(store, signer, user, b"work %d" % number, NOON + number)
    store.grades.merge(HW2, (GradeEntry({"username": "alice"}),), NOTE)
    store.grades.put_feedback(HW1, {ALICE: b"<p>"}, NOTE)
    assert left(store) == []
    publish(store, other=("a.py",))
    assert left(store) == [
        "the work of 2 people for 'hw1': there is no assignment of this name",
        "grades and feedback of 'hw1': there is no assignment of this name",
        "grades and feedback of 'hw2': there is no assignment of this name",
    ]


def test_files_that_are_shown_to_no_student_are_reported(store: PostgresStore) -> None:
    publish(store, hw1=("hw1.py", "data.zip"), hw2=("hw2.py", "more.py"), hw3=("a.py",))
    assert left(store) == ["hw1.py in 'hw1': where there is a zip, students are shown zips alone"]
    listed = {"hw1": ("hw1.py", "gone.csv"), "hw2": ("hw2.py",)}
    put(store, MANIFEST, json.dumps([
        {"id": name, "name": name, "files": [{"filename": each} for each in files]} for name, files in listed.items()
    ]))  # fmt: skip
    assert left(store) == [
        "data.zip in 'hw1': assignments.json does not list them",
        "more.py in 'hw2': assignments.json does not list them",
        "1 file of 'hw3': assignments.json lists no assignment of this name",
        "gone.csv in 'hw1': assignments.json lists them, no such files were published",
    ]
