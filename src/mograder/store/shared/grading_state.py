"""Findings about grading: which assignments can be graded, and which submissions wait or were given up."""

from __future__ import annotations

from collections.abc import Iterable

from mograder.domain import deadlines
from mograder.domain.grading_jobs import Job, Readiness, ReadyState
from mograder.domain.names import counted
from mograder.store.shared.findings import Finding, Findings, note, warning


def grading_state(
    readiness: Iterable[Readiness], with_tests: Iterable[str], jobs: Iterable[Job], now: int, where: object
) -> Findings:
    """`with_tests` names the assignments that have tests. `jobs` are those without a result, of graded assignments.

    `now` is in Unix microseconds.
    """
    known = {each.assignment: each for each in readiness}
    for _, each in sorted(known.items()):
        yield _ready(each, where)
    for name in sorted(set(with_tests) - set(known)):
        yield note(
            f"{name} has tests, and no worker has looked at them yet", where, "mograder worker does, and so does serve"
        )
    waits, failed = list[Job](), list[Job]()
    for job in jobs:
        (failed if job.is_given_up(now) else waits).append(job)
    if failed:
        yield warning(
            f"{counted(len(failed), 'submission')} could not be graded, for a reason that is not the student's: "
            f"{failed[-1].error or 'the worker ended'}",
            where, "mend the cause, then try them again: mograder worker COURSE --retry",
        )  # fmt: skip
    if waits:
        waiting, since = counted(len(waits), "submission"), deadlines.readable(min(each.received for each in waits))
        yield note(
            f"waiting to be graded: {waiting}, the oldest since {since}",
            where, "mograder worker grades them, and so does serve",
        )  # fmt: skip
    tried = [each.error for each in waits if each.error]
    if tried:
        yield warning(
            f"{counted(len(tried), 'submission')} could not be graded yet and will be tried again: {tried[-1]}",
            where, "mend the cause: nobody has lost points by it",
        )  # fmt: skip


def _ready(readiness: Readiness, where: object) -> Finding:
    """Whether an assignment's source, environment and sandbox are ready."""
    name, since = readiness.assignment, deadlines.readable(readiness.moment)
    if readiness.state is ReadyState.FAILED:
        return warning(
            f"{name} cannot be graded, tried last {since} (on {readiness.machine}): {readiness.error}", where,
            "mend the cause: the worker tries again by itself",
        )  # fmt: skip
    if readiness.state is ReadyState.BUILDING:
        return note(f"the environment of {name} is being built since {since}", where, "wait for the worker")
    return note(f"{name} is ready to be graded since {since}", where, "the worker looks again when its source changes")
