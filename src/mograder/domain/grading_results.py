"""What a person may see of the grading of submissions: the place in the queue, or the result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from mograder.domain import deadlines
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment, ResultsShown
from mograder.domain.board import readable_grades
from mograder.domain.disclosure import ShownResult, for_instructor, for_student
from mograder.domain.errors import MograderError
from mograder.domain.extensions import Extensions
from mograder.domain.grades import of_person
from mograder.domain.grading_jobs import Job, Readiness, ReadyState
from mograder.domain.grading_record import GradingRecord
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Signer, latest_filename
from mograder.domain.result_statement import KIND, ResultStatement
from mograder.domain.results import Outcome
from mograder.domain.store import Store

ReadRecord = Callable[[str], GradingRecord]
"""Reads the record of a signed text. Raises VerificationFailed and BadRequest."""


class GradingState(StrEnum):
    """The state of the grading of the newest submission."""

    NOTHING = "nothing"  # there is no submission, or submissions are not graded on arrival
    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"  # the grader failed, not the submission: an instructor has to look at it
    GRADED = "graded"


@dataclass(frozen=True)
class Progress:
    """The grading of a person's newest submission, number `attempt`. `place` is its place in the queue, 1 for the next.

    `shown` is the result of `shown_attempt`, an earlier submission while the newest waits; `statement` is the signed
    statement about that result (see `ResultStatement`). `error` is set only for instructors. If the student does not
    see results yet, `withheld` says when they will be shown, and `until` is the due time.
    """

    state: GradingState = GradingState.NOTHING
    attempt: int | None = None
    place: int | None = None
    shown: ShownResult | None = None
    shown_attempt: int | None = None
    statement: str = ""
    error: str = ""
    withheld: ResultsShown | None = None
    until: int | None = None

    @property
    def is_coming(self) -> bool:
        """Whether the result of the newest submission is still to come."""
        return self.state in (GradingState.WAITING, GradingState.RUNNING)


@dataclass(frozen=True)
class SeenQueue:
    """A snapshot of the queue: the versions of receipts and results, and the people whose submissions had no result."""

    receipts: int
    results: object
    waiting: Mapping[int, Username]


@dataclass(frozen=True)
class Brief:
    """A result in a list: the points from checks (None if they mark nothing), and flags for the instructor."""

    outcome: Outcome
    points: float | None
    possible: float
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Queue:
    """Submissions that are waiting or `running`. `oldest` is when the first was received (Unix microseconds).

    `failed` are jobs that were given up; `retried` are jobs that failed and will be tried again.
    """

    waiting: int = 0
    oldest: int | None = None
    failed: tuple[Job, ...] = ()
    retried: tuple[Job, ...] = ()
    running: int = 0


SLOW = 0.5
"""The share of the time limit from which a submission is reported to the instructor as slow."""


def _brief(record: GradingRecord) -> Brief:
    report, marks = record.report, record.marks
    limit = record.tested.limits.get("total_seconds", 0)
    flags = {
        "changed cells": bool(report.changed_cells),
        "unprotected": not report.isolated or any(each.unprotected for each in report.checks),
        "differs between runs": bool(report.flaky),
        "slow": bool(limit) and report.wall_seconds > SLOW * limit,
    }
    return Brief(
        report.outcome, marks.automatic, marks.possible_automatic, tuple(name for name, is_so in flags.items() if is_so)
    )


@dataclass(frozen=True)
class GradingResults:
    """The results of one course."""

    store: Store
    extensions: Extensions
    clock: Callable[[], int]
    read_record: ReadRecord
    signer: Signer

    def of(self, actor: Actor, assignment: Assignment, user: Username) -> Progress:
        """The state of the person's newest submission, and what `actor` may see of its result."""
        name = assignment.name
        results = {each.receipt: each for each in self.store.jobs.results(name, user)}  # the last of each receipt
        attempts = {each.number: each.submission.attempt for each in self.store.submissions.receipts(name, user)}
        if not attempts or (not results and not self._is_graded(name)):
            return Progress()
        newest = max(attempts)
        found = Progress(GradingState.GRADED, attempts[newest]) if newest in results else self._waiting(actor, newest)
        found = replace(found, attempt=attempts[newest])
        graded = max((number for number in results if number in attempts), default=None)
        if graded is None:
            return found
        if not actor.is_instructor and (withheld := self._withheld(assignment, user)):
            return replace(found, withheld=withheld, until=self.extensions.schedule(assignment, user).due)
        try:
            record = self.read_record(results[graded].signed)
            shown = self._shown(actor, assignment, user, record)
        except MograderError as error:  # a result without the course's signature is not shown
            return replace(found, state=GradingState.FAILED, error=error.message if actor.is_instructor else "")
        stated = ResultStatement.of(record, results[graded].signed)
        statement = self.signer.sign(stated.claims(), KIND) if stated else ""
        return replace(found, shown=shown, shown_attempt=attempts[graded], statement=statement)

    def _is_graded(self, name: AssignmentName) -> bool:
        """Whether submissions are graded on arrival, also while a worker builds the environment for the first time."""
        if name in self.store.jobs.announced():
            return True
        ready = self.readiness(name)
        return ready is not None and ready.state is ReadyState.BUILDING

    def _waiting(self, actor: Actor, receipt: int) -> Progress:
        now = self.clock()
        place = 0
        for job in self.store.jobs.waiting(now):
            given_up, running = job.is_given_up(now), job.lease > now
            place += not given_up and not running
            if job.receipt == receipt:
                state = GradingState.FAILED if given_up else GradingState.RUNNING if running else GradingState.WAITING
                error = job.error if actor.is_instructor else ""
                return Progress(state, place=place if state is GradingState.WAITING else None, error=error)
        return Progress()

    def _shown(self, actor: Actor, assignment: Assignment, user: Username, record: GradingRecord) -> ShownResult:
        if actor.is_instructor:
            return for_instructor(record, record.marks)
        return for_student(record, record.marks, self._hidden_are_shown(assignment, user))

    def _withheld(self, assignment: Assignment, user: Username) -> ResultsShown | None:
        """When the person will see results, None if now."""
        asked = assignment.rules.results
        if asked is ResultsShown.AFTER_RELEASE:
            return None if self._is_released(assignment, user) else asked
        due = self.extensions.schedule(assignment, user).due if asked is ResultsShown.AFTER_DUE else None
        return asked if due is not None and not deadlines.is_over(due, self.clock()) else None

    def _is_released(self, assignment: Assignment, user: Username) -> bool:
        entry = of_person(readable_grades(self.store.grades, assignment.name) or (), user)
        return entry is not None and entry.visible and entry.grade is not None

    def _hidden_are_shown(self, assignment: Assignment, user: Username) -> bool:
        announced = self.store.jobs.announced().get(assignment.name)
        if announced is None:
            return False
        released = self._is_released(assignment, user)
        # While anybody can still submit, hidden tests stay hidden: extensions count, too.
        given = self.store.extensions.find(assignment.name)
        dues = [each.until for each in given if each.until is not None]
        due, hidden = assignment.rules.schedule.due, announced.hidden
        if hidden is Hidden.AFTER_RELEASE and assignment.rules.release_at_once:
            hidden = Hidden.AFTER_DUE  # marks are released while others can still submit
        return hidden.shown(self.clock(), None if due is None else max([due, *dues]), released)

    def notebook(self, assignment: AssignmentName, user: Username, filename: str) -> bytes:
        """The notebook as it ran (see wire/rendered) for the version `filename`; the latest has its usual name, too.

        It is b"" if none is stored.
        """
        kept = list(self.store.submissions.receipts(assignment, user))
        numbers = [each.number for each in kept if each.submission.filename == filename]
        if (
            not numbers
            and kept
            and filename in (latest_filename(user), latest_filename(user, kept[-1].submission.ending))
        ):
            numbers = [kept[-1].number]
        return self.store.jobs.notebook(numbers[-1]) if numbers else b""

    def newest(self, assignment: AssignmentName, users: Collection[Username]) -> dict[Username, Brief]:
        """The newest result of each of these people, for instructors."""
        signed = {each.username: each.signed for each in self.store.jobs.results(assignment) if each.username in users}
        return {user: self._brief(text) for user, text in signed.items()}

    def _brief(self, signed: str) -> Brief:
        try:
            return _brief(self.read_record(signed))
        except MograderError:  # `mograder verify` says more
            return Brief(Outcome.OUR_FAILURE, None, 0.0, ("cannot be believed",))

    def graded_since(self, seen: SeenQueue | None) -> tuple[SeenQueue, frozenset[Username] | None]:
        """The present snapshot, and the people who got a result since `seen`, None if that is unknown."""
        versions = self.store.versions()
        if seen is not None and (seen.receipts, seen.results) == (versions.receipts, versions.results):
            return seen, frozenset()
        waiting = {each.receipt: each.username for each in self.store.jobs.waiting(self.clock())}
        now = SeenQueue(versions.receipts, versions.results, waiting)
        if seen is None:
            return now, None
        done = frozenset(user for receipt, user in seen.waiting.items() if receipt not in now.waiting)
        # A submission that arrived and was graded since `seen` is in neither snapshot, so its person is unknown.
        return now, done if done or seen.results == now.results else None

    def readiness(self, assignment: AssignmentName) -> Readiness | None:
        """The last report of a worker about the assignment, None without one."""
        return self.store.jobs.readiness().get(assignment)

    def queue(self, assignment: AssignmentName | None = None) -> Queue:
        """The queue of the course, or of one assignment."""
        now = self.clock()
        jobs = [each for each in self.store.jobs.waiting(now) if assignment in (None, each.assignment)]
        failed = tuple(each for each in jobs if each.is_given_up(now))
        waits = [each for each in jobs if not each.is_given_up(now)]
        return Queue(
            len(waits), min((each.received for each in waits), default=None), failed,
            tuple(each for each in waits if each.error), sum(each.lease > now for each in waits),
        )  # fmt: skip

    def last_graded(self) -> int | None:
        """The time of the newest result in Unix microseconds, None without one."""
        return self.store.jobs.last_graded()
