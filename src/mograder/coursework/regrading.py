"""Grades every student's counting submission again, with the current tests.

Invariant: it stores nothing. `Regrades.bring` puts the new results in force.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from mograder.coursework.autograding import Prepared, grade_one, read_submitted
from mograder.domain.assignments import Assignment
from mograder.domain.course import Course
from mograder.domain.grading_jobs import Result
from mograder.domain.names import Username
from mograder.domain.receipts import Receipt
from mograder.domain.rendered import RenderedNotebook
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, claims_of
from mograder.wire.rendered import pack


def regrade(
    course: Course, assignment: Assignment, prepared: Prepared, jobs: int, user: Username | None, signer: Ed25519Signer
) -> list[tuple[Result, bytes]]:
    """Grade the counting submissions of all students, or of `user`, `jobs` at once.

    Returns each result with the packed notebook and its outputs (b"" if it did not run), in the order of user names. A
    failure of ours is a result, too.
    """
    listed = course.submissions.collect(assignment, None)
    receipts = [each.assessed.receipt for each in listed if each.assessed and user in (None, each.file.username)]

    def one(receipt: Receipt) -> tuple[Result, bytes]:
        kept = receipt.submission
        content = read_submitted(course.store.submissions, receipt)
        ran: list[RenderedNotebook] = []
        record = grade_one(prepared, kept.username, kept.filename, content, receipt.number, course.clock, ran.append)
        signed = signer.sign(claims_of(record), KIND)
        tests = record.tested.tests
        result = Result(receipt.number, tests, kept.assignment, kept.username, record.graded, signed)
        return result, pack(ran[-1]) if ran else b""

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, receipts))
