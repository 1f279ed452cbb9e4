"""The content of a grading record: what was graded, with which tests, the outcome, and the points."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from mograder.domain.marks import Marks, Question, mark
from mograder.domain.results import RunReport


class Graded(Struct, frozen=True):
    """The file that was graded. `sha256` is lower-case hex, `size` in bytes."""

    filename: str
    sha256: str
    size: int


class Tested(Struct, frozen=True):
    """The tests, environment and limits with which a submission was graded.

    `tests` is the SHA-256 of all that decides a result: the source, its data files, the rules of grading. `source` is
    that of the source's file alone, `environment` that of the locked environment; all are in lower-case hex. `limits`
    have their units in their names. `sandbox` names the isolation of the submission, "" for none.
    """

    tests: str
    source: str
    environment: str
    limits: Mapping[str, float]
    sandbox: str


class GradingRecord(Struct, frozen=True):
    """One grading of one submission, at `graded` (Unix microseconds), by the version `grader` of mograder.

    `points` is the sum that checks give, None if checks mark nothing or the grader itself failed. `receipt` is the
    number of the submission's receipt, None without one.
    """

    assignment: str
    username: str
    submission: Graded
    tested: Tested
    questions: tuple[Question, ...]
    report: RunReport
    points: float | None
    graded: int
    grader: str
    receipt: int | None = None

    @property
    def marks(self) -> Marks:
        """The marks without points that a person gave."""
        return mark(self.questions, self.report)

    def faults(self) -> tuple[str, ...]:
        """Contradictions in the record, in words. A record that mograder made has none."""
        due = self.marks.automatic
        return () if due == self.points else (f"its checks earn {due} points, and it states {self.points}",)
