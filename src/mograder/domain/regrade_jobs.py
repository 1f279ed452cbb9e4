"""The jobs of a regrade (which grades counting submissions again, with the present tests), and its results.

Invariant: before a regrade is applied, only instructors see it, and none of its results is in force.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mograder.domain.audit import Event
from mograder.domain.grading_jobs import TRIES, Announced, JobQueue, Result
from mograder.domain.names import AssignmentName, Username


@dataclass(frozen=True)
class RegradeJob:
    """One submission to grade again, for the regrade with the random id `regrade`. Times are in Unix microseconds.

    `claim`, `lease`, `tries`, `not_before` and `error` are as in `Job`. `signed` is the signed grading record made with
    `tests`, "" until there is one. `twice`: it is run twice, to find checks whose results differ.
    """

    receipt: int
    assignment: AssignmentName
    username: Username
    regrade: str
    started: int
    twice: bool = False
    claim: str = ""
    lease: int = 0
    tries: int = 0
    not_before: int = 0
    error: str = ""
    tests: str = ""
    graded: int = 0
    signed: str = ""

    def is_done(self, tests: str) -> bool:
        """Whether it was graded with these tests."""
        return bool(self.signed) and self.tests == tests

    def is_given_up(self, now: int) -> bool:
        """Whether no worker will try it again."""
        return self.tries >= TRIES and self.lease <= now

    @property
    def result(self) -> Result:
        """The result, as it is stored when the regrade is applied."""
        return Result(self.receipt, self.tests, self.assignment, self.username, self.graded, self.signed)


@dataclass(frozen=True)
class HeldRegrade:
    """A stored regrade: its jobs, the announced `tests` of the assignment ("" for none), and the results in force of
    the same submissions.
    """

    tests: str
    jobs: tuple[RegradeJob, ...]
    results: tuple[Result, ...]

    @property
    def id(self) -> str:
        return self.jobs[0].regrade

    @property
    def version(self) -> str:
        """The version, which changes with the tests, with its results, and with the results that it would replace."""
        jobs = [[each.regrade, each.receipt, each.tests, each.graded] for each in self.jobs]
        results = [[each.receipt, each.tests, each.graded] for each in self.results]
        return hashlib.sha256(json.dumps([self.tests, jobs, results]).encode()).hexdigest()


Choose = Callable[[HeldRegrade | None], Sequence[Result]]
"""Chooses the results of a regrade to put in force. It raises an error to keep the regrade from being applied."""


@dataclass(frozen=True)
class ImportedGrading:
    """What accompanies results that no worker of the course has made: their tests, which are announced then, and the
    notebooks as they ran (see wire/rendered), by receipt.
    """

    announced: Announced
    notebooks: Mapping[int, bytes]


class RegradesStore(JobQueue[RegradeJob], Protocol):
    """The regrades of one course; an assignment has one at a time."""

    def start(self, jobs: Sequence[RegradeJob], instead_of: str, event: Event) -> None:
        """Begin a regrade with these jobs of one assignment. It replaces the one with the id `instead_of` ("": none).

        Raises ChangedMeanwhile if there is another one.
        """
        ...

    def find(self, assignment: AssignmentName) -> HeldRegrade | None:
        """The regrade of an assignment, its jobs sorted by user name; None if there is none."""
        ...

    def version(self) -> object:
        """Equal to an earlier one only if no regrade was begun, worked on, applied or dropped since."""
        ...

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> RegradeJob | None:
        """As `JobQueue.claim`, for jobs that were not graded with the announced tests."""
        ...

    def finish(self, job: RegradeJob, result: Result, notebook: bytes = b"") -> bool:
        """As `JobQueue.finish`. False if the claim has ended."""
        ...

    def apply(
        self, assignment: AssignmentName, choose: Choose, event: Event, imported: ImportedGrading | None = None
    ) -> int:  # fmt: skip
        """Put the results in force that `choose` returns, all or none, and end the regrade; returns how many are new.

        `choose` gets the regrade inside the transaction; if it raises, nothing changes. With `imported`, the regrade
        does not end: workers continue it with the tests that are announced by that.
        """
        ...

    def drop(self, assignment: AssignmentName, regrade: str, event: Event) -> bool:
        """End the regrade with this id, without its results. Returns False if there is none."""
        ...
