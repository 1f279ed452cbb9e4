"""What the course states of a result, signed, to the student whose it is: the points, and of which submission.

Invariant: it says nothing of a test but its version, so that it may be shown to anybody whom the student shows it.
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
"""The `typ` of a signed statement: it is no receipt and no grading record."""


@dataclass(frozen=True)
class ResultStatement:
    """The result of the submission that receipt number `receipt` is for, whose bytes have the hash `sha256`.

    `points` is what checks earn out of `possible`, None where they mark nothing; `questions` are those by question.
    `tests` is the version of the tests, `record` the SHA-256 of the signed grading record, `graded` when (ISO 8601).
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
        """That of a record and its signed text; None for one that belongs to no receipt."""
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
        """Raises VerificationFailed."""
        try:
            return cls(**{name: claims[name] for name in cls.__dataclass_fields__})
        except KeyError as error:
            raise VerificationFailed(f"what was signed states no {error.args[0]}: it is no result") from None

    def misfits(self, receipt: Mapping[str, object]) -> tuple[str, ...]:
        """What the claims of a receipt state otherwise: nothing when the result is of that very submission."""
        own = {"number": self.receipt, "user": self.user, "assignment": self.assignment, "sha256": self.sha256}
        return tuple(name for name, value in own.items() if receipt.get(name) != value)
