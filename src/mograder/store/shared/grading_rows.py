"""Grading jobs, results and regrades as rows, which both stores share: their columns, and their values."""

from __future__ import annotations

from dataclasses import astuple, fields

from mograder.domain.grading_jobs import Job, Readiness, ReadyState, Result
from mograder.domain.names import AssignmentName, Username
from mograder.domain.regrade_jobs import HeldRegrade, RegradeJob
from mograder.store.shared.rows import Row

JOB_COLUMNS = ", ".join(each.name for each in fields(Job))

READINESS_COLUMNS = ", ".join(each.name for each in fields(Readiness))

KEEP_LOCK = """state = excluded.state, moment = excluded.moment, machine = excluded.machine, error = excluded.error,
lock = CASE WHEN excluded.wanted IN ('', grading_readiness.wanted) AND grading_readiness.lock <> ''
    THEN grading_readiness.lock ELSE excluded.lock END,
wanted = CASE WHEN excluded.wanted = '' THEN grading_readiness.wanted ELSE excluded.wanted END"""
"""What a newer row of `grading_readiness` changes. The first lock stays while `wanted` is the same."""

RESULT_COLUMNS = ", ".join(each.name for each in fields(Result))

REGRADE_COLUMNS = ", ".join(each.name for each in fields(RegradeJob))


def job_of(row: Row) -> Job:
    receipt, assignment, username, *rest = row
    return Job(receipt, AssignmentName(assignment), Username(username), *rest)


def readiness_of(row: Row) -> Readiness:
    assignment, state, *rest = row
    return Readiness(AssignmentName(assignment), ReadyState(state), *rest)


def readiness_values(readiness: Readiness) -> Row:
    """The values of READINESS_COLUMNS."""
    assignment, state, *rest = astuple(readiness)
    return (assignment, state.value, *rest)


def result_of(row: Row) -> Result:
    receipt, tests, assignment, username, graded, signed = row
    return Result(receipt, tests, AssignmentName(assignment), Username(username), graded, signed)


def regrade_job_of(row: Row) -> RegradeJob:
    receipt, assignment, username, regrade, started, twice, *rest = row
    return RegradeJob(receipt, AssignmentName(assignment), Username(username), regrade, started, bool(twice), *rest)


def regrade_job_values(job: RegradeJob) -> Row:
    """The values of REGRADE_COLUMNS."""
    return tuple(int(each) if isinstance(each, bool) else each for each in astuple(job))


def held_regrade(jobs: list[Row], tests: list[Row], results: list[Row]) -> HeldRegrade | None:
    """A regrade from rows of its jobs, announced tests and results; the last result of a receipt is in force.

    None without jobs.
    """
    in_force = {each.receipt: each for each in map(result_of, results)}
    if not jobs:
        return None
    return HeldRegrade(
        tests[0][0] if tests else "",
        tuple(sorted(map(regrade_job_of, jobs), key=lambda each: each.username)),
        tuple(in_force.values()),
    )
