"""How long a class waits for its results, measured from the jobs of the course."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mograder.domain.course import Course
from mograder.domain.grading_jobs import LEASE, TRIES, Announced, Result
from mograder.rehearsal.results import MOST_SECONDS, READY_SECONDS, ResultsTimed, follow_results
from tests.parts import ALICE, BOB, HW1, NOON, Clock, make_course_folder, open_course, submit_work


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    """A course in which two submissions of Alice and one of Bob wait for grading."""
    made = open_course(make_course_folder(tmp_path), Clock(NOON + LEASE))
    for user, content in ((ALICE, b"1"), (BOB, b"2"), (ALICE, b"3")):
        submit_work(made.store, made.signer, user, content)
    yield made
    made.store.close()


class Grading:
    """A clock and pauses; each pause advances the clock by `seconds` and grades one submission."""

    def __init__(self, course: Course, seconds: float, graded: int = 99) -> None:
        self.now = 100.0
        self._jobs, self._seconds, self._left = course.store.jobs, seconds, graded

    def __call__(self) -> float:
        return self.now

    def pause(self, _: float) -> None:
        self.now += self._seconds
        if HW1 not in self._jobs.announced():
            self._jobs.announce(HW1, Announced("t1"))
        elif self._left:
            self._left -= 1
            job = self._jobs.claim("w", NOON, NOON + LEASE, [HW1])
            assert job is not None
            assert self._jobs.finish(job, Result(job.receipt, "t1", HW1, job.username, NOON, "signed"))


def followed(course: Course, grading: Grading, seen: Callable[[int, int], None] = lambda *_: None) -> ResultsTimed:
    return follow_results(course, "hw1", seen, clock=grading, pause=grading.pause)


def test_the_measured_time_ends_with_the_result_of_the_last_submission_of_every_student(course: Course) -> None:
    seen: list[tuple[int, int]] = []
    grading = Grading(course, 4)
    found = followed(course, grading, lambda done, total: seen.append((done, total)))
    # One pause until the tests are announced, then one for each submission.
    assert found == ResultsTimed(2, 2, 12.0, 12.0, 10.0)
    assert (found.complete, seen) == (True, [(0, 2), (1, 2), (2, 2)])


def test_the_remaining_time_is_estimated_when_waiting_ends_early(course: Course) -> None:
    found = followed(course, Grading(course, MOST_SECONDS / 2, graded=1))
    assert (found.complete, found.graded, found.last, found.median) == (False, 1, 2 * MOST_SECONDS, MOST_SECONDS)


def test_failed_jobs_are_not_waited_for(course: Course) -> None:
    course.store.jobs.announce(HW1, Announced("t1"))
    for number in range(3 * TRIES):
        job = course.store.jobs.claim("w", NOON + number, NOON + number, [HW1])
        assert job is not None
        course.store.jobs.fail(job, "no sandbox", NOON)
    found = followed(course, Grading(course, 1, graded=0))
    assert (found.graded, found.last, found.failures, found.first_failure) == (0, None, 2, "no sandbox")


def test_without_tests_there_are_no_results(course: Course) -> None:
    now = iter(range(0, 10_000, 100))
    found = follow_results(course, "hw1", lambda *_: None, clock=lambda: next(now), pause=lambda _: None)
    assert found.first_failure == f"no worker had the tests ready within {READY_SECONDS:.0f} s"
    assert (found.graded, found.last) == (0, None)
