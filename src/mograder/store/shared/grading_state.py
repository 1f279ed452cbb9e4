"""Whether the assignments of a course can be graded now, what waits, and what was given up."""

from __future__ import annotations

from collections.abc import Iterable

from mograder.domain import deadlines
from mograder.domain.grading_jobs import Job, Readiness, ReadyState
from mograder.domain.names import counted
from mograder.store.shared.findings import Finding, Findings, note, warning


def grading_state(readiness: Iterable[Readiness], jobs: Iterable[Job], now: int, where: object) -> Findings:
    """`jobs` are those without a result, of assignments that are graded; `now` is in Unix microseconds."""
    for each in sorted(readiness, key=lambda each: each.assignment):
        yield _ready(each, where)
    waits, failed = list[Job](), list[Job]()
    for job in jobs:
        (failed if job.is_given_up(now) else waits).append(job)
    if failed:
        yield warning(
            f"{counted(len(failed), 'submission')} could not be graded, for a reason that is not the student's: "
            f"{failed[-1].error or 'the worker ended'}",
            where, "mend the cause, then let them be tried again: mograder worker COURSE --retry",
        )  # fmt: skip
    if waits:
        waiting, since = counted(len(waits), "submission"), deadlines.readable(min(each.received for each in waits))
        yield note(
            f"waiting to be graded: {waiting}, the oldest since {since}",
            where, "mograder worker grades them, as serve does",
        )  # fmt: skip
    tried = [each.error for each in waits if each.error]
    if tried:
        yield warning(
            f"{counted(len(tried), 'submission')} could not be graded yet and will be tried again: {tried[-1]}",
            where, "mend the cause: nobody has lost points by it",
        )  # fmt: skip


def _ready(readiness: Readiness, where: object) -> Finding:
    """Whether an assignment can be graded: source, environment, sandbox."""
    name, since = readiness.assignment, deadlines.readable(readiness.moment)
    if readiness.state is ReadyState.FAILED:
        return warning(
            f"{name} cannot be graded, tried last {since} (on {readiness.machine}): {readiness.error}", where,
            "mend the cause: the worker tries again by itself",
        )  # fmt: skip
    if readiness.state is ReadyState.BUILDING:
        return note(f"the environment of {name} is being built since {since}", where, "wait for the worker")
    return note(f"{name} is ready to be graded since {since}", where, "the worker looks again when its source changes")
