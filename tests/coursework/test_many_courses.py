"""One pool of workers for many courses, as `serve` starts it and as `mograder worker` is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mograder import factory
from mograder.cli import run
from mograder.domain.names import CourseName, Username
from tests.graded_course import HALF, SOURCE
from tests.parts import HW1, make_course_folder, serving, submit_work, until
from tests.postgres import fresh_database

BUSY, QUIET, LATER = "busy", "quiet", "later"


@dataclass(frozen=True)
class Place:
    """Where courses are: what `serve` and `worker` are told, and how one is made with tests in it."""

    serve: tuple[str, ...]
    worker: tuple[str, ...]
    many: factory.ManyCourses
    make: Callable[[str], None]

    def submit(self, name: str, *people: str) -> None:
        course = self.many.course(CourseName(name))
        for each in people:
            submit_work(course.store, course.signer, Username(each), HALF.encode())

    def graded(self, name: str) -> list[int]:
        """When, of each result."""
        return [each.graded for each in self.many.course(CourseName(name)).store.jobs.results(HW1)]


@pytest.fixture(params=["folder", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    parent = tmp_path / "courses"
    url = fresh_database(request.getfixturevalue("postgres_server")) if request.param == "postgres" else ""

    def make(name: str) -> None:
        source = make_course_folder(tmp_path / name).parent / "source" / "hw1"
        source.mkdir(parents=True)
        (source / "hw1.py").write_text(SOURCE)
        if url:
            assert run(["course", "create", name, "--from", str(source.parents[1] / "release"), "--store", url]) == 0
        else:
            parent.mkdir(exist_ok=True)
            source.parents[1].rename(parent / name)

    for name in (BUSY, QUIET):
        make(name)
    courses = factory.open_courses(url or parent)
    words = (str(parent), "--courses")
    yield Place(("--store", url) if url else words, (url,) if url else words, factory.ManyCourses(courses), make)
    courses.close()


def test_no_course_waits_for_the_rush_of_another_and_one_with_tests_later_is_graded_too(place: Place) -> None:
    place.submit(BUSY, "alice", "bob", "carl")
    place.submit(QUIET, "alice")
    assert run(["worker", *place.worker, "--drain"]) == 0
    busy, quiet = sorted(place.graded(BUSY)), place.graded(QUIET)
    assert (len(busy), len(quiet)) == (3, 1)
    assert quiet[0] < busy[1], "with one at once they take turns"
    with serving(*place.serve):
        place.make(LATER)
        place.submit(LATER, "alice")
        place.submit(BUSY, "dora")
        until(lambda: place.graded(LATER) and len(place.graded(BUSY)) == 4)
