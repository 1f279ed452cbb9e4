"""Sample reports, records and results of grading."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mograder.domain.grading_jobs import Job, Result
from mograder.domain.grading_record import Graded, GradingRecord, Tested
from mograder.domain.marks import Question, mark
from mograder.domain.results import CellFailure, CheckResult, CheckStatus, LimitReached, Outcome, RunReport
from mograder.domain.store import Store
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, claims_of
from tests.parts import NOON, sha256

QUESTIONS = (
    Question("Q1", 10, ("Q1: value", "Q1: parity")),
    Question("Q2", 20, ("Q2: doubling", "Q2: more")),
    Question("Q3", 5, manual=True),
)
TESTED = Tested(sha256(b"tests"), sha256(b"source"), sha256(b"environment"), {"cell_seconds": 10}, "bubblewrap")


def check(label: str, earned: float, total: float, *messages: str, hidden: bool = False) -> CheckResult:
    if total == 0:
        status = CheckStatus.NOT_RUN
    else:
        status = CheckStatus.SUCCESS if earned == total else CheckStatus.PARTIAL if earned else CheckStatus.DANGER
    return CheckResult(label, label.partition(":")[0].strip(), hidden, status, messages, earned, total)


HALF_RIGHT = RunReport(
    Outcome.GRADED,
    (
        check("Q1: value", 1, 3, "x must be 41"),
        check("Q1: parity", 0, 1, "x must be odd"),
        check("Q2: doubling", 1, 1),
        check("Q2: more", 1, 2, "f(7) must be 14", hidden=True),
    ),
    cpu_seconds=0.25,
    wall_seconds=0.5,
)
"""2.5 of 10 and 13.3 of 20 points."""

FAILED = RunReport(
    Outcome.CODE_FAILED,
    (check("Q1: value", 0, 0), check("Q1: parity", 0, 0), check("Q2: doubling", 1, 1),
     check("Q2: more", 2, 2, hidden=True)),
    (CellFailure("answer", 12, "ZeroDivisionError: division by zero", "line 12, in answer\n    x = 1 / 0"),),
    changed_cells=("check(Q1)",),
)  # fmt: skip

LOOPING = RunReport(
    Outcome.LIMIT,
    (check("Q1: value", 3, 3), check("Q1: parity", 1, 1), check("Q2: doubling", 0, 0)),
    limits=(LimitReached("time", "Q2", 40, "took longer than 10 s"),),
)

BROKEN = RunReport(Outcome.OUR_FAILURE, error="no sandbox")


def record(report: RunReport = HALF_RIGHT, **changes: Any) -> GradingRecord:
    questions = changes.get("questions", QUESTIONS)
    made = GradingRecord(
        "hw1", "alice", Graded("alice.py", sha256(b"work"), 4), TESTED, questions, report,
        mark(questions, report).automatic, NOON, "1.0", 7,
    )  # fmt: skip
    return replace(made, **changes)


def signed_result(store: Store, signer: Ed25519Signer, job: Job) -> Result:
    """A result of the job, as a worker of the course would keep it."""
    (receipt,) = (each for each in store.submissions.receipts() if each.number == job.receipt)
    kept = receipt.submission
    graded = Graded(kept.filename, kept.sha256, kept.size)
    made = record(assignment=job.assignment, username=job.username, receipt=job.receipt, submission=graded)
    signed = signer.sign(claims_of(made), KIND)
    return Result(job.receipt, made.tested.tests, job.assignment, job.username, made.graded, signed)
