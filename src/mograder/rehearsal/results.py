"""How long a class waits for its results: follows what a copy of a course grades after everybody has submitted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mograder.domain.course import Course
from mograder.domain.grading_jobs import Job, Result
from mograder.domain.names import AssignmentName, Username

LOOK_SECONDS = 0.25
READY_SECONDS = 300.0
"""Seconds for a worker to prepare the tests and their environment."""

MOST_SECONDS = 600.0
"""Seconds after which the rest is estimated and not waited for."""


@dataclass(frozen=True)
class ResultsTimed:
    """When students had the results of their last submissions, in seconds after the last of them was acknowledged.

    `graded` of `students` have one. `last` is the time until the last student's: an estimate if not all have one yet,
    None if nobody has. `median` is of those who have one, `a_minute` of all submissions that were graded meanwhile.
    `failures` could not be graded for a reason that is not the student's; `first_failure` is one of the reasons.
    """

    students: int
    graded: int
    last: float | None
    median: float | None
    a_minute: float
    failures: int = 0
    first_failure: str = ""

    @property
    def complete(self) -> bool:
        return self.graded == self.students


def follow_results(
    course: Course, assignment: str, watch: Callable[[int, int], None], *,
    clock: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep,
) -> ResultsTimed:  # fmt: skip
    """Wait until everybody's last submission has a result or was given up, for `MOST_SECONDS` at most."""
    name, jobs, began = AssignmentName.parse(assignment), course.store.jobs, clock()
    while name not in jobs.announced() and clock() - began < READY_SECONDS:
        pause(LOOK_SECONDS)
    if name not in jobs.announced():
        reason = f"no worker had the tests ready within {READY_SECONDS:.0f} s"
        return ResultsTimed(0, 0, None, None, 0.0, first_failure=reason)
    mine = [each for each in jobs.waiting(course.clock()) if each.assignment == name]
    todo, wanted = len(mine), _newest(mine, jobs.results(name))
    times: list[float] = []
    while True:
        mine = [each for each in jobs.waiting(course.clock()) if each.assignment == name]
        passed = clock() - began
        waiting = {each.receipt for each in mine} & wanted
        times += [passed] * (len(wanted) - len(times) - len(waiting))
        given_up = [each for each in mine if each.receipt in waiting and each.is_given_up(course.clock())]
        watch(len(times), len(wanted))
        if len(given_up) == len(waiting) or passed >= MOST_SECONDS:
            return _timed(times, len(wanted), todo - len(mine), passed, given_up)
        pause(LOOK_SECONDS)


def _newest(waiting: Iterable[Job], finished: Iterable[Result]) -> set[int]:
    """The receipt of everybody's last submission."""
    found: dict[Username, int] = {}
    pairs = [
        *((each.username, each.receipt) for each in waiting),
        *((each.username, each.receipt) for each in finished),
    ]
    for user, receipt in pairs:
        found[user] = max(receipt, found.get(user, 0))
    return set(found.values())


def _timed(times: list[float], students: int, graded: int, passed: float, given_up: list[Job]) -> ResultsTimed:
    last = times[-1] if times else None
    if times and len(times) + len(given_up) < students:
        last = passed * students / len(times)
    return ResultsTimed(
        students, len(times), last, times[len(times) // 2] if times else None, 60 * graded / max(passed, 1e-9),
        len(given_up), given_up[0].error if given_up else "",
    )  # fmt: skip
