"""The gradebook of an assignment: everybody's grade, late penalty and points by question.

Invariant: a missing value never becomes a number.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mograder.domain import grades
from mograder.domain.access import Account, Role
from mograder.domain.assignments import Assignment
from mograder.domain.board import is_newer
from mograder.domain.deadlines import SECOND
from mograder.domain.errors import MograderError
from mograder.domain.extensions import Extensions, personal_schedule
from mograder.domain.grades import NO_ENTRY, PENALISED, RAW, GradeEntry
from mograder.domain.grading_results import ReadRecord
from mograder.domain.mark_release import Released, ReleasedQuestion
from mograder.domain.marking import Kind
from mograder.domain.marks import WHOLE, in_words, penalised
from mograder.domain.names import Username
from mograder.domain.store import Store
from mograder.domain.submissions import Submissions


@dataclass(frozen=True)
class GradedQuestion:
    """A question of an assignment, and its points."""

    key: str
    available: float


@dataclass(frozen=True)
class GradebookRow:
    """One person's result. `received` is the time of the submission that counts (Unix microseconds), None without one.

    It was `late` seconds late, which costs `penalty` per cent. `points` are the known points by the question's key.
    `again`: the submission that counts is newer than the grade.
    """

    person: Account
    entry: GradeEntry = field(default_factory=lambda: GradeEntry({}))
    received: int | None = None
    late: int = 0
    penalty: float = 0.0
    points: Mapping[str, float] = field(default_factory=dict)
    again: bool = False

    @property
    def grade(self) -> str | None:
        """The grade before late penalties."""
        return str(self.entry.fields.get(RAW) or "") or self.entry.grade

    @property
    def penalised(self) -> str | None:
        """The grade after late penalties; None without a penalty, or if the grade is not a number."""
        if self.entry.fields.get(PENALISED):
            return str(self.entry.fields[PENALISED])
        total = grades.number(self.grade)
        return in_words(penalised(total, self.penalty)) if self.penalty and math.isfinite(total) else None

    @property
    def version(self) -> str:
        """The version of the stored entry; an upload that is based on an earlier one is refused."""
        return self.entry.version if self.entry.fields else NO_ENTRY

    @property
    def draft(self) -> bool:
        """Whether there is a grade that the student does not see."""
        return self.entry.says_something and not self.entry.visible


@dataclass(frozen=True)
class Gradebook:
    """Everybody's results, sorted by user name."""

    questions: tuple[GradedQuestion, ...]
    rows: tuple[GradebookRow, ...]


@dataclass(frozen=True)
class Gradebooks:
    """The gradebooks of one course."""

    store: Store
    submissions: Submissions
    extensions: Extensions
    read_record: ReadRecord

    def of(self, assignment: Assignment) -> Gradebook:
        """The gradebook of an assignment: all students, and others with a submission or grade; no removed people."""
        entries = {each.username: each for each in self.store.grades.of(assignment.name)}
        listed = {each.file.username: each for each in self.submissions.collect(assignment, None)}
        accounts = {each.username: each for each in self.store.accounts.all()}
        given = {each.username: each for each in self.extensions.in_assignment(assignment)}
        records, released = dict(self._points(assignment)), self._released(assignment)
        marked = [each for known, _ in records.values() for each in known]
        marked += [GradedQuestion(each.key, each.available) for rows in released.values() for each in rows]
        questions = {each.key: each for each in marked if each.key != WHOLE}

        def row(user: Username) -> GradebookRow:
            found, entry = listed.get(user), entries.get(user, GradeEntry({}))
            person = accounts.get(user) or Account(user)
            known = {each.key: each.points for each in released.get(user, ()) if each.key in questions}
            known |= _stored_points(entry, questions)
            assessed = found.assessed if found else None
            if assessed is None:
                received = int(found.file.modified * SECOND) if found else None
                return GradebookRow(person, entry, received, points=known)
            due = personal_schedule(assignment, given.get(user)).due
            received, cost = assessed.submission.received, assessed.lateness
            late = (received - due) // SECOND if cost.late and due is not None else 0
            _, points = records.get(assessed.receipt.number, ((), {}))
            again = is_newer(assessed.submission.attempt, entry)
            return GradebookRow(person, entry, received, late, cost.penalty, {**points, **known}, again)

        students = {user for user, each in accounts.items() if each.role is Role.STUDENT}
        graded = {Username(user) for user, each in entries.items() if user and each.grade}
        removed = {user for user, each in accounts.items() if each.removed}
        return Gradebook(
            tuple(questions.values()), tuple(map(row, sorted((students | graded | {*listed}) - removed)))
        )  # fmt: skip

    def _released(self, assignment: Assignment) -> Mapping[Username, tuple[ReleasedQuestion, ...]]:
        """The questions with points that graders gave and students see, by person."""
        entries = self.store.marking.current(assignment.name, (Kind.RELEASE,))
        shown = {Username(each.username): Released.read(each) for each in entries if each.content}
        return {user: each.rows for user, each in shown.items() if not each.withdrawn}

    def _points(
        self, assignment: Assignment
    ) -> Iterator[tuple[int, tuple[tuple[GradedQuestion, ...], Mapping[str, float]]]]:
        """For each graded submission: its receipt's number, its questions, and the known points of each question."""
        for result in self.store.jobs.results(assignment.name):
            with contextlib.suppress(MograderError):  # a record without a valid signature gives no points
                marks = [each for each in self.read_record(result.signed).marks.questions if each.key != WHOLE]
                points = {each.key: each.points for each in marks if each.points is not None}
                yield result.receipt, (tuple(GradedQuestion(each.key, each.available) for each in marks), points)


def _stored_points(entry: GradeEntry, questions: Mapping[str, GradedQuestion]) -> Mapping[str, float]:
    """Points from an uploaded table with columns that are named like the questions."""
    found = {key: grades.number(str(entry.fields[key])) for key in questions if key in entry.fields}
    return {key: points for key, points in found.items() if math.isfinite(points)}
