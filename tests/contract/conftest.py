"""Every contract test runs against every store; a new adapter is one more line in STORES."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mograder.domain.store import Store
from mograder.store.folder.layout import Folders
from mograder.store.postgres.courses import PostgresCourses
from tests.contract.parts import Open
from tests.parts import (
    make_course_folder,
    open_store,
)
from tests.postgres import new_course


@dataclass(frozen=True)
class ReopenableCourse:
    """A course that can be opened repeatedly; `end` is called after its stores are closed.

    `elsewhere` opens it as another process does, without objects of this one.
    """

    open: Open
    elsewhere: Open
    end: Callable[[], None] = lambda: None


def directory(request: pytest.FixtureRequest, tmp_path: Path) -> ReopenableCourse:
    root = make_course_folder(tmp_path)
    return ReopenableCourse(lambda: open_store(root), lambda: open_store(root))


def postgres(request: pytest.FixtureRequest, tmp_path: Path) -> ReopenableCourse:
    """A course in a database, opened through two sets of connections alternately, as by two servers."""
    url = request.getfixturevalue("postgres_url")
    servers = [PostgresCourses(url), PostgresCourses(url)]
    name = new_course(servers[0], Folders.of(make_course_folder(tmp_path)))
    turns = itertools.cycle(servers)

    def end() -> None:
        for each in servers:
            each.close()

    return ReopenableCourse(lambda: next(turns).open(name), lambda: PostgresCourses(url).open(name), end)


STORES = [directory, postgres]


@pytest.fixture(params=STORES, ids=lambda make: make.__name__)
def course(request: pytest.FixtureRequest, tmp_path: Path) -> ReopenableCourse:
    made: ReopenableCourse = request.param(request, tmp_path)
    return made


@pytest.fixture
def open_again(course: ReopenableCourse) -> Iterator[Open]:
    """Opens the course; all its stores are closed at the end."""
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(course.open())
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()
    course.end()


@pytest.fixture
def open_elsewhere(course: ReopenableCourse) -> Open:
    """Opens the course in a forked process that will be killed."""
    return course.elsewhere


@pytest.fixture
def store(open_again: Open) -> Store:
    return open_again()
