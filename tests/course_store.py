"""Courses with tests, in a folder and in a database, as `serve` and `mograder worker` are told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mograder import factory
from mograder.cli import run
from mograder.domain.course import Course
from mograder.domain.names import CourseName, Username
from tests.graded_course import HALF, SOURCE
from tests.parts import HW1, make_course_folder, submit_work


@dataclass(frozen=True)
class CourseStore:
    """Where courses are: what `serve` and `worker` are told, and how one is made with tests in it."""

    serve: tuple[str, ...]
    worker: tuple[str, ...]
    many: factory.ManyCourses
    make: Callable[[str], None]
    of: Callable[[str], str]
    """What one course is called."""

    def course(self, name: str) -> Course:
        return self.many.course(CourseName(name))

    def submit(self, name: str, *people: str) -> None:
        course = self.course(name)
        for each in people:
            submit_work(course.store, course.signer, Username(each), HALF.encode())

    def graded(self, name: str) -> list[int]:
        """When, of each result."""
        return [each.graded for each in self.course(name).store.jobs.results(HW1)]


@contextmanager
def course_store(folder: Path, url: str) -> Iterator[CourseStore]:
    """In the database at `url`, or in `folder` where that is ""; there are no courses yet."""
    parent = folder / "courses"
    parent.mkdir()

    def make(name: str) -> None:
        source = make_course_folder(folder / name).parent / "source" / "hw1"
        source.mkdir(parents=True)
        (source / "hw1.py").write_text(SOURCE)
        if url:
            assert run(["course", "create", name, "--from", str(source.parents[1] / "release"), "--store", url]) == 0
        else:
            source.parents[1].rename(parent / name)

    courses = factory.open_courses(url or parent)
    words = (str(parent), "--courses")
    try:
        yield CourseStore(
            ("--store", url) if url else words, (url,) if url else words, factory.ManyCourses(courses), make,
            lambda name: f"{url}#{name}" if url else str(parent / name / "release"),
        )  # fmt: skip
    finally:
        courses.close()
