"""Grades what counts of everybody again, with the tests as they are now, beside the results that are in force.

Invariant: nothing is stored before `apply`. Every earlier result stays in the history; marks that people gave are not
part of a result, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mograder.coursework.autograding import Exam, grade_one, read_submitted
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.grading_jobs import Announced, Result, new_job
from mograder.domain.names import Username
from mograder.domain.receipts import Receipt
from mograder.domain.regrading import Regraded, in_words
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, claims_of


def regrade(
    course: Course, assignment: Assignment, exam: Exam, jobs: int, user: Username | None, signer: Ed25519Signer
) -> list[tuple[Receipt, Result]]:
    """Grade what counts of everybody, or of `user`, `jobs` at once; in the order of names. A failure of ours is among
    them, as a record of it.
    """
    listed = course.submissions.collect(assignment, None)
    receipts = [each.assessed.receipt for each in listed if each.assessed and user in (None, each.file.username)]

    def one(receipt: Receipt) -> tuple[Receipt, Result]:
        kept = receipt.submission
        content = read_submitted(course.store.submissions, receipt)
        record = grade_one(exam, kept.username, kept.filename, content, receipt.number, course.clock)
        signed = signer.sign(claims_of(record), KIND)
        tests = record.tested.tests
        return receipt, Result(receipt.number, tests, kept.assignment, kept.username, record.graded, signed)

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, receipts))


def apply(
    course: Course, actor: Actor, assignment: Assignment, announced: Announced,
    results: Sequence[tuple[Receipt, Result]], found: Mapping[int, Regraded],
) -> int:  # fmt: skip
    """Put the new results in force, and the tests for what comes in later; how many results are new.

    `found` says by receipt what each result changes.
    """
    course.store.jobs.announce(assignment.name, announced)
    new = [(receipt, result) for receipt, result in results if found[receipt.number].is_new]
    kept = sum(course.store.jobs.finish(new_job(receipt), result) for receipt, result in new)
    detail = f"tests {announced.tests[:12]}: {in_words(found.values())}"
    course.audit.record(Event(course.clock(), actor.username, "regrade", assignment.name, detail))
    course.mark_release.release_automatic(assignment.name, {receipt.submission.username for receipt, _ in new})
    return kept
