"""The signed statement of a result for its student: the points, and for which submission they are.

Invariant: it reveals nothing of the tests but their version, so the student may show it to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from mograder.domain import deadlines
from mograder.domain.errors import VerificationFailed
from mograder.domain.grading_record import GradingRecord

KIND = "mograder-result+jws"
"""The `typ` of a signed statement, which distinguishes it from receipts and grading records."""


@dataclass(frozen=True)
class ResultStatement:
    """The result of the submission with the receipt number `receipt` and the SHA-256 `sha256`.

    Checks give `points` out of `possible` (None if they mark nothing); `questions` has the points by question. `tests`
    is the version of the tests, `record` the SHA-256 of the signed grading record, `graded` its time in ISO 8601.
    """

    assignment: str
    user: str
    receipt: int
    sha256: str
    outcome: str
    points: float | None
    possible: float
    questions: Mapping[str, float | None]
    tests: str
    record: str
    graded: str

    @classmethod
    def of(cls, record: GradingRecord, signed: str) -> ResultStatement | None:
        """The statement of a record and its signed text; None if the record belongs to no receipt."""
        if record.receipt is None:
            return None
        marks = record.marks
        questions = {each.key: each.automatic for each in marks.questions if each.by_checks}
        return cls(
            record.assignment, record.username, record.receipt, record.submission.sha256, str(record.report.outcome),
            marks.automatic, marks.possible_automatic, questions, record.tested.tests,
            sha256(signed.encode()).hexdigest(), deadlines.iso(record.graded),
        )  # fmt: skip

    def claims(self) -> dict[str, object]:
        return {**vars(self), "questions": dict(self.questions)}

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> ResultStatement:
        """The statement of signed claims. Raises VerificationFailed."""
        try:
            return cls(**{name: claims[name] for name in cls.__dataclass_fields__})
        except KeyError as error:
            raise VerificationFailed(f"the signed statement has no {error.args[0]}: it is no result") from None

    def misfits(self, receipt: Mapping[str, object]) -> tuple[str, ...]:
        """The claims of a receipt that contradict this result; none if it is for that submission."""
        own = {"number": self.receipt, "user": self.user, "assignment": self.assignment, "sha256": self.sha256}
        return tuple(name for name, value in own.items() if receipt.get(name) != value)
