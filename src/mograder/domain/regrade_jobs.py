"""Grading again what counts, with the tests of today: the jobs of a regrade, and its results until it is applied.

Invariant: of a regrade nobody but instructors sees anything, and no result is in force, before it is applied.
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
    """One submission that is graded again, for the regrade of this random `regrade` id. Times are Unix microseconds.

    `claim`, `lease`, `tries`, `not_before` and `error` are as those of a Job. `signed` is the signed grading record
    that came of it with `tests`, "" as long as there is none. `twice`: it is run twice, to see what differs.
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
        """What came of it, as it is kept when the regrade is applied."""
        return Result(self.receipt, self.tests, self.assignment, self.username, self.graded, self.signed)


@dataclass(frozen=True)
class HeldRegrade:
    """A regrade as it stands: its jobs, the `tests` that the assignment is graded with ("" for none), and the results
    of the same submissions that are in force.
    """

    tests: str
    jobs: tuple[RegradeJob, ...]
    results: tuple[Result, ...]

    @property
    def id(self) -> str:
        return self.jobs[0].regrade

    @property
    def version(self) -> str:
        """Changes with the tests, with every result of the regrade, and with every result that it would replace."""
        jobs = [[each.regrade, each.receipt, each.tests, each.graded] for each in self.jobs]
        results = [[each.receipt, each.tests, each.graded] for each in self.results]
        return hashlib.sha256(json.dumps([self.tests, jobs, results]).encode()).hexdigest()


Choose = Callable[[HeldRegrade | None], Sequence[Result]]
"""Which results of a regrade are put in force. Raises what keeps it from being applied."""


@dataclass(frozen=True)
class Brought:
    """What results bring along that no worker of the course has made: the tests that they were made with, with which
    the course is graded from then on, and the notebooks as they ran (see wire/rendered), by receipt.
    """

    announced: Announced
    notebooks: Mapping[int, bytes]


class RegradesStore(JobQueue[RegradeJob], Protocol):
    """The regrades of one course; an assignment has one at a time."""

    def start(self, jobs: Sequence[RegradeJob], instead_of: str, event: Event) -> None:
        """Begin a regrade with these jobs of one assignment, in the place of the one with the id `instead_of`.

        Raises ChangedMeanwhile when there is another one ("" is none).
        """
        ...

    def find(self, assignment: AssignmentName) -> HeldRegrade | None:
        """The regrade, its jobs in the order of user names; None when there is none."""
        ...

    def version(self) -> object:
        """Equal to an earlier one only if no regrade was begun, worked on, applied or dropped since."""
        ...

    def claim(self, claim: str, now: int, lease: int, assignments: Sequence[AssignmentName]) -> RegradeJob | None:
        """As in every queue: one that was not graded with the announced tests."""
        ...

    def finish(self, job: RegradeJob, result: Result, notebook: bytes = b"") -> bool:
        """Keep what came of a claimed job. False, and nothing is kept, when the claim is no longer ours."""
        ...

    def apply(
        self, assignment: AssignmentName, choose: Choose, event: Event, brought: Brought | None = None
    ) -> int:  # fmt: skip
        """Put the results that `choose` names in force, all or none, and end the regrade; how many are new.

        `choose` sees the regrade as it is in the transaction. What it raises is raised, and nothing is changed. With
        `brought` the regrade stays: it is worked on again, with the tests that are announced by that.
        """
        ...

    def drop(self, assignment: AssignmentName, regrade: str, event: Event) -> bool:
        """End the regrade with this id, without its results. False, and nothing is changed, when it is gone."""
        ...
