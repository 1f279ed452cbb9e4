"""The courses of one database."""

from __future__ import annotations

import pytest

from mograder.domain.errors import NotFound, Temporary
from mograder.domain.names import CourseName
from mograder.domain.receipts import Head
from mograder.domain.store import Event
from mograder.store import database
from mograder.store.postgres_courses import PostgresCourses
from tests.parts import NOON
from tests.postgres import new_course

NOTE = Event(NOON, "alice", "test", "hw1")


def test_a_course_that_is_opened_alone_closes_the_database_with_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    courses = PostgresCourses(postgres_url)
    with pytest.raises(NotFound, match="nowhere"):
        courses.open_alone(CourseName("nowhere"))
    store = courses.open_alone(new_course(courses))
    assert store.head() == Head()
    store.close()
    monkeypatch.setattr(database, "READ_PATIENCE", 0)
    with pytest.raises(Temporary):
        courses.entries()


def test_a_course_that_is_not_there_is_not_archived(postgres_url: str) -> None:
    courses = PostgresCourses(postgres_url)
    with pytest.raises(NotFound, match="nowhere"):
        courses.archive(CourseName("nowhere"), NOON, NOTE)
    courses.close()
