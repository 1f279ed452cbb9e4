"""Grading jobs: submissions that wait to be graded, and their results.

Invariant: every accepted submission has one job, made in the transaction of its receipt, and at most one result for
each version of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

from msgspec import Struct

from mograder.domain import deadlines
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import AssignmentName, Username

TRIES = 5
"""How often a job is claimed at most; afterwards an instructor must look at it."""

LEASE = 120 * deadlines.SECOND
"""How long a job belongs to the worker that claimed or renewed it, in microseconds."""

RECENT = 3600 * deadlines.SECOND
"""How long a result moves its person's jobs back in the queue, in microseconds."""

FIRST_PAUSE, LONGEST_PAUSE = 5 * deadlines.SECOND, 600 * deadlines.SECOND
"""Pauses before a failed job is tried again, doubled from try to try, in microseconds."""


def pause_after(tries: int) -> int:
    """Microseconds to wait after a job has failed `tries` times."""
    return min(LONGEST_PAUSE, FIRST_PAUSE << max(0, tries - 1))


class Job(Struct, frozen=True):
    """A submission to grade. `receipt` is its receipt's number; times are in Unix microseconds.

    A worker holds the job until `lease` (0: no worker does); `claim` names that claim. `tries` counts claims. The next
    try is at `not_before` at the earliest; `error` says why the last one failed.
    """

    receipt: int
    assignment: AssignmentName
    username: Username
    attempt: int
    received: int
    claim: str = ""
    lease: int = 0
    tries: int = 0
    not_before: int = 0
    error: str = ""

    def is_given_up(self, now: int) -> bool:
        """Whether no worker will try it again: an instructor has to look at it."""
        return self.tries >= TRIES and self.lease <= now


class Announced(Struct, frozen=True):
    """How an assignment is graded: the version of its tests (SHA-256), and when students see hidden ones."""

    tests: str
    hidden: Hidden = Hidden.NEVER


class Result(Struct, frozen=True):
    """The result of grading one submission with one version of the tests, `tests` (SHA-256, lower-case hex).

    `signed` is the signed grading record, `graded` its time in Unix microseconds.
    """

    receipt: int
    tests: str
    assignment: AssignmentName
    username: Username
    graded: int
    signed: str


class ReadyState(StrEnum):
    """Whether a worker can grade an assignment: its source, environment and sandbox."""

    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


class Readiness(Struct, frozen=True):
    """The last report of a worker about an assignment, at `moment` (Unix microseconds) on `machine`.

    `error` says what failed, with the last lines of output; "" for nothing. `wanted` is the hash of the packages that
    the notebook asks for, and `lock` the locked environment for them; "" if the worker's own environment suffices.
    """

    assignment: AssignmentName
    state: ReadyState
    moment: int
    machine: str = ""
    error: str = ""
    wanted: str = ""
    lock: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages of the locked environment, with their versions."""
        words = (line.split() for line in self.lock.splitlines())
        return tuple(found[0] for found in words if found and "==" in found[0])


J = TypeVar("J")


class JobQueue(Protocol[J]):
    """A queue of jobs that workers claim; each job has one claim at a time."""

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> J | None:
        """Claim the next job of these assignments until `lease`, under the name `claim`; None if there is none now.

        `now` and `lease` are in Unix microseconds.
        """
        ...

    def renew(self, job: J, lease: int) -> bool:
        """Hold a claimed job until `lease`. False if another worker has claimed it, or it was finished or erased."""
        ...

    def fail(self, job: J, error: str, not_before: int) -> bool:
        """Give a claimed job back, to be tried again from `not_before` on. False if the claim has ended."""
        ...

    def finish(self, job: J, result: Result, notebook: bytes = b"") -> bool:
        """Store the result of a job, and the `notebook` as it ran (see wire/rendered). False if nothing is stored."""
        ...


class JobsStore(JobQueue[Job], Protocol):
    """Jobs and results of one course. Only `SubmissionsStore.accept` makes jobs, together with the receipt."""

    def announce(self, assignment: AssignmentName, announced: Announced) -> None:
        """Set how the assignment is graded from now on."""
        ...

    def announced(self) -> dict[AssignmentName, Announced]:
        """The assignments that are graded, and how."""
        ...

    def report(self, readiness: Readiness) -> None:
        """Store a worker's report about an assignment, which replaces the one before.

        The first `lock` for a `wanted` stays, also if a later report has neither.
        """
        ...

    def readiness(self) -> dict[AssignmentName, Readiness]:
        """The last report about each assignment."""
        ...

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> Job | None:
        """As `JobQueue.claim`. People with fewer recent results (RECENT) come first, and a person's newer submissions
        before older ones; among equals, the earlier receipt comes first.
        """
        ...

    def finish(self, job: Job, result: Result, notebook: bytes = b"") -> bool:
        """As `JobQueue.finish`, also after the lease. False if there is a result with these tests, or the submission
        was erased: the first of two results stays. Safe to repeat.
        """
        ...

    def last_graded(self) -> int | None:
        """The time of the course's newest result in Unix microseconds, None without one."""
        ...

    def notebook(self, receipt: int) -> bytes:
        """The notebook as it ran for a submission's result in force, b"" without one."""
        ...

    def retry(self, assignment: AssignmentName) -> int:
        """Return given-up jobs to the queue; returns how many."""
        ...

    def waiting(self, now: int) -> list[Job]:
        """Jobs without a result, in the order in which they would be claimed at `now`.

        They are of announced assignments, and of those whose environment a worker is building.
        """
        ...

    def results(self, assignment: AssignmentName, username: Username | None = None) -> list[Result]:
        """All results, in the order of receipts. The last one of each submission is in force: that of the announced
        tests, else the newest. So a worker with outdated tests never replaces a result in force.
        """
        ...
