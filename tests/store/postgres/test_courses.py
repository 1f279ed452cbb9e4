"""The courses of one database."""

from __future__ import annotations

import pytest

from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.errors import NotFound, Temporary
from mograder.domain.names import CourseName, FileName
from mograder.domain.receipts import Head
from mograder.domain.store import CourseEntry
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.postgres import database
from mograder.store.postgres.courses import PostgresCourses
from tests.parts import ALICE, CODE, HW1, NOON, Clock, submit_work
from tests.postgres import new_course
from tests.web.in_process import Web, problem

SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "alice", "test", "hw1")


def test_closing_a_course_that_was_opened_alone_closes_the_database(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    courses = PostgresCourses(postgres_url)
    with pytest.raises(NotFound, match="nowhere"):
        courses.open_alone(CourseName("nowhere"))
    store = courses.open_alone(new_course(courses))
    receipt = submit_work(store, SIGNER, ALICE, b"one").receipt
    assert store.submissions.head() == Head(1, receipt.hash)
    found = store.submissions.file(HW1, FileName("alice.py"))
    assert found is not None
    assert found.read() == b"one"
    store.close()
    monkeypatch.setattr(database, "READ_PATIENCE", 0)
    with pytest.raises(Temporary):
        courses.entries()


def test_a_missing_course_cannot_be_archived(postgres_url: str) -> None:
    courses = PostgresCourses(postgres_url)
    with pytest.raises(NotFound, match="nowhere"):
        courses.archive(CourseName("nowhere"), NOON, NOTE)
    courses.close()


def test_an_open_course_is_the_same_store_until_it_is_closed(postgres_url: str) -> None:
    courses = PostgresCourses(postgres_url)
    name = new_course(courses)
    store = courses.open(name)
    assert courses.open(name) is store
    store.close()
    again = courses.open(name)
    assert submit_work(again, SIGNER, ALICE, b"one").receipt.number == 1
    assert [each for each in courses.entries() if each.name == name] == [CourseEntry(name, NOON, None)]
    courses.close()


def test_a_course_that_is_archived_while_it_is_served_answers_no_further_request(postgres_url: str) -> None:
    courses, elsewhere = PostgresCourses(postgres_url), PostgresCourses(postgres_url)
    name = new_course(courses)
    web = Web(Course(courses.open(name), SIGNER, Clock(NOON), CODE))
    web("GET", "/assignments").raise_for_status()
    elsewhere.archive(name, NOON, NOTE)
    assert problem(web("GET", "/assignments"), 404, "not_found") == f"there is no course {str(name)!r}"
    problem(web.submit(), 404, "not_found")
    elsewhere.archive(name, None, NOTE)
    web("GET", "/assignments").raise_for_status()
    courses.close()
    elsewhere.close()
