"""Keeps a worker for each course of a database or a folder that has tests, while courses come and go."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mograder.coursework.sources import Sources, sources_of
from mograder.coursework.worker import Worker
from mograder.domain.course import Course
from mograder.domain.errors import MograderError
from mograder.domain.names import CourseName
from mograder.factory import ManyCourses, is_database
from mograder.signing import Ed25519Signer

LIST_SECONDS = 2.0
"""Seconds before the list of courses is read again."""

MakeWorker = Callable[[Course, Sources, str], Worker]
"""Makes the worker of a course with these sources. The text is the course's name, "" if it is the only course."""


@dataclass
class _Held:
    course: Course
    worker: Worker
    stack: contextlib.ExitStack


class GradedCourses:
    """Workers of the courses at `place`, made by `make`. Use it as a context manager and in one thread."""

    def __init__(self, many: ManyCourses, place: Path | str, make: MakeWorker, say: Callable[[str], None]) -> None:
        self._many, self._place, self._make, self._say = many, place, make, say
        self._held: dict[CourseName, _Held] = {}
        self._read: float | None = None
        self._told: set[str] = set()

    def __enter__(self) -> GradedCourses:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._held.values():
            each.stack.close()
        self._held.clear()

    def workers(self) -> Mapping[str, Worker]:
        """The workers by course. A course that cannot be opened is left out and reported once. Raises MograderError."""
        if self._read is None or time.monotonic() - self._read >= LIST_SECONDS:
            self._look()
            self._read = time.monotonic()
        return {name: each.worker for name, each in self._held.items()}

    def _look(self) -> None:
        found = self._many.courses.with_tests()
        for name in [each for each in self._held if each not in found]:
            self._held.pop(name).stack.close()
        for name in found:
            try:
                course, held = self._many.course(name), self._held.get(name)
                if held is None or held.course.store is not course.store:
                    if held is not None:
                        self._held.pop(name).stack.close()
                    self._held[name] = self._opened(name, course)
            except MograderError as error:
                said = f"the course {name} is not graded: {error.message}"
                if said not in self._told:
                    self._told.add(said)
                    self._say(said)

    def _opened(self, name: CourseName, course: Course) -> _Held:
        stack = contextlib.ExitStack()
        try:
            place = self._place if is_database(self._place) else Path(self._place, name, "release")
            sources = stack.enter_context(sources_of(course, place, None))
            return _Held(course, self._make(course, sources, name), stack)
        except BaseException:
            stack.close()
            raise


def worker_maker(
    jobs: int, stop: threading.Event, say: Callable[[str], None], new_claim: Callable[[], str]
) -> MakeWorker:
    """A function that makes workers for a pool of `jobs`. Each line that they `say` begins with their course's name."""

    def make(course: Course, sources: Sources, name: str) -> Worker:
        assert isinstance(course.signer, Ed25519Signer), "the factory gives a course this signer"
        return Worker(
            course, sources.folders, course.signer, jobs=jobs, stop=stop, new_claim=new_claim, refresh=sources.refresh,
            say=(lambda text: say(f"{name}: {text}")) if name else say,
        )  # fmt: skip

    return make
