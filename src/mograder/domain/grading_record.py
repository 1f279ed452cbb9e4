"""What a grading record states: what was graded with what, what came of it, and the points that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mograder.domain.marks import Marks, Question, mark
from mograder.domain.results import RunReport


@dataclass(frozen=True)
class Graded:
    """The file that was graded. `sha256` is lower-case hex, `size` in bytes."""

    filename: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Tested:
    """With what it was graded.

    `tests` is the SHA-256 of all that decides a result: the source, its data files, the rules of grading; `source` is
    that of the source's file alone, `environment` that of the locked environment, all in lower-case hex. `limits` are
    in the units that their names say. `sandbox` is what kept the submission apart, "" for nothing.
    """

    tests: str
    source: str
    environment: str
    limits: Mapping[str, float]
    sandbox: str


@dataclass(frozen=True)
class GradingRecord:
    """One grading of one submission; `graded` is when, in Unix microseconds, `grader` the version of mograder.

    `points` is what checks earn in all, None where nothing is marked by checks or grading failed for a reason of ours.
    `receipt` is the number of the receipt of the submission, None where there is none.
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
        """The marks, without what a person gave."""
        return mark(self.questions, self.report)

    def faults(self) -> tuple[str, ...]:
        """What in the record does not follow from the rest of it: nothing, unless somebody else made it."""
        due = self.marks.automatic
        return () if due == self.points else (f"its checks earn {due} points, and it states {self.points}",)

    def differences(self, hashes: Mapping[str, str]) -> tuple[str, ...]:
        """The names of those files, given with their hashes, that have no part in this grading."""
        stated = {self.submission.sha256, self.tested.source, self.tested.environment}
        return tuple(name for name, sha256 in hashes.items() if sha256 not in stated)
