"""Grades what counts of everybody again, with the tests as they are now, beside the results that are in force.

Invariant: nothing is stored before `apply`. Every earlier result stays in the history; marks that people gave are not
part of a result, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mograder.coursework.autograding import Exam, grade_one, read_submitted
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.grading_jobs import Announced, Result, new_job
from mograder.domain.grading_record import GradingRecord
from mograder.domain.names import Username, counted
from mograder.domain.receipts import Receipt
from mograder.domain.results import Outcome
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, claims_of


@dataclass(frozen=True)
class QuestionChange:
    """Points of one question before and now; None where it is not marked by checks."""

    key: str
    old: float | None
    new: float | None


@dataclass(frozen=True)
class Regraded:
    """One person's submission that counts, with the result in force (`old`, None for none) and the one of today."""

    receipt: Receipt
    old: GradingRecord | None
    new: GradingRecord

    @property
    def failed(self) -> bool:
        """Whether it could not be graded, for a reason of ours: then nothing changes for the person."""
        return self.new.report.outcome is Outcome.OUR_FAILURE

    @property
    def change(self) -> float:
        """By how many points the total of the checks rises; what had no result counts as 0 points."""
        if self.failed:
            return 0.0
        before = None if self.old is None else self.old.points
        return round((self.new.points or 0.0) - (before or 0.0), 6)

    @property
    def questions(self) -> tuple[QuestionChange, ...]:
        """The questions whose points change."""
        if self.failed:
            return ()
        old = {} if self.old is None else {each.key: each.automatic for each in self.old.marks.questions}
        new = {each.key: each.automatic for each in self.new.marks.questions}
        found = (QuestionChange(key, old.get(key), new.get(key)) for key in {**old, **new})
        return tuple(each for each in found if each.old != each.new)

    @property
    def is_new(self) -> bool:
        """Whether there is something to apply: a result with tests that the one in force was not made with."""
        return not self.failed and (self.old is None or self.old.tested.tests != self.new.tested.tests)


def regrade(course: Course, assignment: Assignment, exam: Exam, jobs: int, user: Username | None) -> Iterator[Regraded]:
    """Grade what counts of everybody, or of `user`, `jobs` at once; in the order of names."""
    users = course.store.submissions.users(assignment.name)
    counting = (course.standings.of(assignment, each).counting for each in users if user in (None, each))
    files = {each.submission.filename for each in counting if each is not None}
    receipts = [r for r in course.store.submissions.receipts(assignment.name) if r.submission.filename in files]
    receipts.sort(key=lambda each: each.submission.username)
    results = {each.receipt: each for each in course.store.jobs.results(assignment.name)}  # the last of each receipt

    def one(receipt: Receipt) -> Regraded:
        kept, result = receipt.submission, results.get(receipt.number)
        content = read_submitted(course.store.submissions, receipt)
        new = grade_one(exam, kept.username, kept.filename, content, receipt.number, course.clock)
        return Regraded(receipt, None if result is None else course.results.read_record(result.signed), new)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, receipts)


def apply(
    course: Course, actor: Actor, assignment: Assignment, announced: Announced, found: list[Regraded],
    signer: Ed25519Signer,
) -> int:  # fmt: skip
    """Put the new results in force, and the tests for what comes in later; how many results are new."""
    course.store.jobs.announce(assignment.name, announced)
    kept = 0
    for each in found:
        if each.is_new:
            signed, record = signer.sign(claims_of(each.new), KIND), each.new
            job = new_job(each.receipt)
            result = Result(job.receipt, record.tested.tests, job.assignment, job.username, record.graded, signed)
            kept += course.store.jobs.finish(job, result)
    detail = f"tests {announced.tests[:12]}: {in_words(found)}"
    course.audit.record(Event(course.clock(), actor.username, "regrade", assignment.name, detail))
    course.mark_release.release_automatic(assignment.name, {each.receipt.submission.username for each in found})
    return kept


def in_words(found: list[Regraded]) -> str:
    """Who gains and who loses, in one line."""
    gain, lose = (sum(sign * each.change > 0 for each in found) for sign in (1, -1))
    failed = sum(each.failed for each in found)
    words = [f"{gain} gain points", f"{lose} lose points", f"{len(found) - gain - lose - failed} stay as they are"]
    return ", ".join([*words, *([f"{counted(failed, 'submission')} could not be graded"] if failed else [])])
