"""A store of courses with tests, in a folder or a database, with the arguments of `serve` and `mograder worker`."""

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
    """Arguments of `serve` and `worker` for the store; `make` creates a course with tests in it."""

    serve: tuple[str, ...]
    worker: tuple[str, ...]
    many: factory.ManyCourses
    make: Callable[[str], None]
    of: Callable[[str], str]
    """The path or URL of a course with this name."""

    def course(self, name: str) -> Course:
        return self.many.course(CourseName(name))

    def submit(self, name: str, *people: str) -> None:
        course = self.course(name)
        for each in people:
            submit_work(course.store, course.signer, Username(each), HALF.encode())

    def graded(self, name: str) -> list[int]:
        """The time of each result."""
        return [each.graded for each in self.course(name).store.jobs.results(HW1)]


@contextmanager
def course_store(folder: Path, url: str) -> Iterator[CourseStore]:
    """An empty store of courses in the database at `url`, or in `folder` if `url` is ""."""
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
