"""Standings: the state of one person in one assignment, and of everybody in all assignments."""

from __future__ import annotations

from msgspec import Struct

from mograder.domain import board, counting, grades
from mograder.domain.assignments import Assignment, CountingRule
from mograder.domain.board import Board, CurrentBoard
from mograder.domain.counting import AssessedSubmission
from mograder.domain.deadlines import Schedule
from mograder.domain.extensions import Extension, Extensions, State, personal_schedule
from mograder.domain.grades import GradeEntry
from mograder.domain.latest import LatestSubmissions
from mograder.domain.names import FileName, Username
from mograder.domain.receipts import LatestFile, latest_filename
from mograder.domain.store import Store


class Standing(Struct, frozen=True):
    """The state of one person in one assignment, as the person may see it.

    `schedule` includes the person's extension. `kept` are all submissions in the order of acceptance; `counting` is the
    one that counts by `rule`. `fetched`: a file of the assignment was downloaded, and nothing is submitted yet.
    `grades_broken`: the table of grades cannot be parsed now, so it is unknown whether there is a grade.
    """

    submitted: bool
    grade: GradeEntry | None
    feedback_available: bool
    schedule: Schedule
    extension: Extension | None
    kept: tuple[AssessedSubmission, ...]
    counting: AssessedSubmission | None
    rule: CountingRule
    fetched: bool = False
    grades_broken: bool = False

    @property
    def asked(self) -> bool:
        """Whether the person waits for a decision about more time."""
        return self.extension is not None and self.extension.state is State.ASKED

    @property
    def has_feedback(self) -> bool:
        return self.feedback_available or (self.grade is not None and bool(self.grade.feedback))

    @property
    def again(self) -> bool:
        """Whether the submission that counts is newer than the grade."""
        entry, counts = self.grade, self.counting
        return entry is not None and counts is not None and board.is_newer(counts.submission.attempt, entry)

    def state(self, now: int) -> str:
        """See `board.state`, at `now` (Unix microseconds)."""
        graded = self.grade is not None and self.grade.grade is not None
        late = self.counting is not None and self.counting.lateness.late
        return board.state(
            self.schedule, now, graded=graded, late=late, submitted=self.submitted, fetched=self.fetched,
            again=self.again,
        )  # fmt: skip


class Seen(Struct, frozen=True):
    """A snapshot of a course: the version of its people, and the number of the last receipt."""

    people: object
    number: int


class Standings(Struct, frozen=True):
    """The standings of one course, and the versions of the data from which they are made."""

    store: Store
    extensions: Extensions
    latest: LatestSubmissions
    boards: CurrentBoard

    def of(self, assignment: Assignment, user: Username) -> Standing:
        """The present standing of a person."""
        store, name = self.store, assignment.name
        table = board.readable_grades(store.grades, name)
        entry = grades.of_person(table or (), user)
        policy = store.config.plan().late_policy(name)
        extension = self.extensions.of(assignment, user)
        schedule = personal_schedule(assignment, extension)
        kept = counting.assess(store.submissions.receipts(name, user), schedule.due, policy)
        submitted = store.submissions.file(name, FileName(latest_filename(user))) is not None
        return Standing(
            submitted=submitted,
            grade=entry if entry is not None and entry.visible else None,
            feedback_available=store.grades.feedback(name, user) is not None,
            schedule=schedule,
            extension=extension,
            kept=kept,
            counting=counting.counting(kept, policy.counts),
            rule=policy.counts,
            fetched=not submitted and any(each.assignment == name for each in store.release.fetched(user)),
            grades_broken=table is None,
        )

    def version(self, assignment: Assignment) -> tuple[object, ...]:
        """The version of all standings in an assignment, except for accepted submissions: see `number`."""
        # The store's version first, so that a change during the rest is detected the next time.
        people = self.latest.refresh().people
        return (people, self.store.version(assignment.name), assignment, self.store.config.plan())

    def number(self, assignment: Assignment, user: Username) -> int:
        """The version of a person's accepted submissions for an assignment, as of the last call of `version`."""
        return self.latest.number(assignment.name, user)

    def listing_version(
        self, assignment: Assignment, files: tuple[LatestFile, ...] | None = None
    ) -> tuple[tuple[object, ...], tuple[LatestFile, ...], int]:
        """The version of the list of submissions: the rules' version, the store's latest files, and the number of the
        assignment's last receipt.

        `files` are the store's latest files, if the caller has read them already.
        """
        people = self.latest.refresh().people
        found = self.store.submissions.latest_files(assignment.name) if files is None else files
        return (people, assignment, self.store.config.plan()), found, self.latest.number_in(assignment.name)

    def changed_since(self, seen: Seen | None) -> tuple[Seen, frozenset[Username] | None]:
        """The present snapshot, and the people with submissions since `seen`; None if more may have changed."""
        people = self.latest.refresh().people
        number, keys = self.latest.since(seen.number if seen else 0)
        only = seen is not None and seen.people == people
        return Seen(people, number), frozenset(user for _, user in keys) if only else None

    def board(self) -> Board:
        """The board, as an instructor sees it; the same object until something changes."""
        return self.boards.get()
