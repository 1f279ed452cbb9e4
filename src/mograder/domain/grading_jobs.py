"""Submissions that wait to be graded, and the results that came of them.

Invariant: every accepted submission has one job, made in the transaction of its receipt, and at most one result a
version of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from mograder.domain import deadlines
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import AssignmentName, Username

TRIES = 5
"""How often a job is claimed; afterwards it is left to the instructor."""

LEASE = 120 * deadlines.SECOND
"""For how long a job belongs to the worker that claimed or renewed it, in microseconds."""

RECENT = 3600 * deadlines.SECOND
"""For how long a result counts against its person when it is decided whose turn is next, in microseconds."""

FIRST_PAUSE, LONGEST_PAUSE = 5 * deadlines.SECOND, 600 * deadlines.SECOND
"""Before a job that failed for a reason of ours is tried again; doubled from try to try. Microseconds."""


def pause_after(tries: int) -> int:
    """Microseconds to wait after a job has failed `tries` times."""
    return min(LONGEST_PAUSE, FIRST_PAUSE << max(0, tries - 1))


@dataclass(frozen=True)
class Job:
    """A submission to grade. `receipt` is its number; times are Unix microseconds.

    `lease` is until when a worker has it, 0 for nobody; `claim` names that claim. `tries` counts claims. `not_before`
    is when it may be tried again, `error` what went wrong the last time.
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

    def is_claimable(self, now: int) -> bool:
        return self.tries < TRIES and self.lease <= now and self.not_before <= now


@dataclass(frozen=True)
class Announced:
    """How an assignment is graded: the version of its tests (SHA-256), and when students see hidden ones."""

    tests: str
    hidden: Hidden = Hidden.NEVER


@dataclass(frozen=True)
class Result:
    """What came of grading one submission with one version of the tests, `tests` (SHA-256, lower-case hex).

    `signed` is the signed grading record, `graded` when, in Unix microseconds.
    """

    receipt: int
    tests: str
    assignment: AssignmentName
    username: Username
    graded: int
    signed: str


class ReadyState(StrEnum):
    """How far a worker is with what it grades an assignment with: source, environment, sandbox."""

    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Readiness:
    """What the last worker said of an assignment, at `moment` (Unix microseconds) on `machine`.

    `error` is what went wrong, with the last lines of the program that failed; "" for nothing. `lock` is the locked
    environment of what the notebook asks for, whose hash is `wanted`; "" where the worker's own will do.
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
    """Jobs that workers claim, each in one claim at a time."""

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> J | None:
        """Take the next job of these assignments until `lease`; None when there is nothing to do now."""
        ...

    def renew(self, job: J, lease: int) -> bool:
        """Keep a claimed job until `lease`. False when it is claimed by another, finished or erased."""
        ...

    def fail(self, job: J, error: str, not_before: int) -> bool:
        """Give a claimed job back, to be tried from `not_before` on. False when the claim is no longer ours."""
        ...

    def finish(self, job: J, result: Result, notebook: bytes = b"") -> bool:
        """Keep what came of a job, and the `notebook` as it ran (see wire/rendered). False when nothing is kept."""
        ...


class JobsStore(JobQueue[Job], Protocol):
    """Jobs and results of one course. A job is made by `SubmissionsStore.accept`, with the receipt, or not at all."""

    def announce(self, assignment: AssignmentName, announced: Announced) -> None:
        """From now on the assignment is graded so."""
        ...

    def announced(self) -> dict[AssignmentName, Announced]:
        """The assignments that are graded, and how."""
        ...

    def report(self, readiness: Readiness) -> None:
        """Keep what a worker says of an assignment, in the place of what was said before.

        Of several locks for the same `wanted` the first stays, also when a worker names nothing that is wanted.
        """
        ...

    def readiness(self) -> dict[AssignmentName, Readiness]:
        """What was said last of each assignment."""
        ...

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> Job | None:
        """As in every queue. A person's newer submission comes before their older ones, and a person who has had more
        results lately (RECENT) than another waits for the other; of equals the first who came is next.
        """
        ...

    def finish(self, job: Job, result: Result, notebook: bytes = b"") -> bool:
        """Keep the result of a job. False, and nothing is kept, when there is one with these tests or it was erased.

        Safe to repeat. Also after the lease has run out: the first of two results stays.
        """
        ...

    def last_graded(self) -> int | None:
        """When the newest result of the course was made, in Unix microseconds; None where there is none."""
        ...

    def notebook(self, receipt: int) -> bytes:
        """That of the result in force of a submission, b"" where there is none."""
        ...

    def retry(self, assignment: AssignmentName) -> int:
        """Let jobs that were given up be tried again at once; how many."""
        ...

    def waiting(self, now: int) -> list[Job]:
        """Jobs that have no result, in the order in which they are claimed at `now`.

        They are of announced assignments, and of those of which a worker says that it builds the environment.
        """
        ...

    def results(self, assignment: AssignmentName, username: Username | None = None) -> list[Result]:
        """All results, in the order of receipts. The last one of a submission is in force: that of the announced tests
        if there is one, else the newest. A worker that was behind with other tests never replaces it.
        """
        ...
