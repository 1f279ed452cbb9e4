"""The board: the state of every person in every assignment."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mograder.domain import counting, deadlines, grades
from mograder.domain.access import Account, Role
from mograder.domain.assignments import Assignment, CountingRule, Plan
from mograder.domain.deadlines import Schedule
from mograder.domain.errors import Unreadable
from mograder.domain.grades import GradeEntry, GradesStore
from mograder.domain.latest import Key, LatestSubmissions
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Submission
from mograder.domain.store import Store


def state(
    times: Schedule, now: int, *, graded: bool, late: bool, submitted: bool, fetched: bool, again: bool = False
) -> str:
    """The state of a person with these `times` in an assignment at `now` (Unix microseconds), as one or two words.

    Without a submission it is "overdue" after the due time, and "missed" once the assignment has closed. `again`: the
    submission that counts is newer than the grade.
    """
    if again:
        return "to grade again"
    if graded:
        return "graded"
    if late or submitted:
        return "late" if late else "submitted"
    if not times.is_open(now):
        return "not open"
    if deadlines.is_over(times.closes, now):
        return "missed"
    if deadlines.is_over(times.due, now):
        return "overdue"
    return "fetched" if fetched else "new"


@dataclass(frozen=True, slots=True)
class Cell:
    """The state of one person in one assignment, as an instructor sees it.

    `latest` is the last accepted submission, or None; `by_hand` says that somebody put a file there without submitting
    it. `times` include the person's extension; `late` is by the present rules. `again`: the submission that counts is
    newer than the grade.
    """

    latest: Submission | None = None
    by_hand: bool = False
    late: bool = False
    grade: str | None = None
    fetched: bool = False
    times: Schedule = field(default_factory=Schedule)
    again: bool = False

    @property
    def submitted(self) -> bool:
        return self.latest is not None or self.by_hand

    def state(self, now: int) -> str:
        """See `state`, at `now` (Unix microseconds)."""
        graded = self.grade is not None
        return state(
            self.times, now, graded=graded, late=self.late, submitted=self.submitted, fetched=self.fetched,
            again=self.again,
        )  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One person of the board; `cells` are in the order of the board's assignments."""

    username: Username
    name: str
    cells: tuple[Cell, ...]
    sections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """A table of all people, sorted by user name, and all assignments, sorted by due time.

    `dropped` are people who were removed and have submissions; they are not in `rows`.
    """

    assignments: tuple[Assignment, ...]
    rows: tuple[Row, ...]
    dropped: tuple[Row, ...] = ()

    @property
    def sections(self) -> tuple[str, ...]:
        """All sections that somebody is in, sorted."""
        return tuple(sorted({section for row in self.rows for section in row.sections}))

    def row_of(self, username: Username) -> Row | None:
        """The row of one person, also of a removed one."""
        return next((each for each in (*self.rows, *self.dropped) if each.username == username), None)


@dataclass(frozen=True)
class _Sources:
    """All that a board is made of except submissions. Equal to earlier sources only if none of it has changed."""

    people: object
    downloads: object
    plan: Plan
    listed: tuple[Assignment, ...]
    grades: tuple[tuple[GradeEntry, ...] | None, ...]


class _Cells:
    """Makes the cells of a board. Whatever else it reads is at least as new as these sources."""

    def __init__(self, store: Store, sources: _Sources) -> None:
        self._accounts = {each.username: each for each in store.accounts.all()}
        self.removed = {each.username for each in self._accounts.values() if each.removed}
        self.students = {each.username for each in self._accounts.values() if each.role is Role.STUDENT}
        self._until = {(each.assignment, each.username): each.until for each in store.extensions.find()}
        self._fetched = {(each.assignment, each.username) for each in store.release.fetched()}
        tables = zip(sources.listed, sources.grades, strict=True)
        self._graded = {each.name: _graded(table or ()) for each, table in tables}
        self._policies = {each.name: sources.plan.late_policy(each.name) for each in sources.listed}
        self._store = store

    def cell(self, assignment: Assignment, user: Username, kept: Submission | None, present: bool) -> Cell:
        key, policy = (assignment.name, user), self._policies[assignment.name]
        times = assignment.rules.schedule.extended(self._until.get(key))
        late = (
            kept is not None and kept.by == user and times.due is not None
            and deadlines.is_over(times.due + policy.penalties.grace, kept.received)
        )  # fmt: skip
        entry = self._graded[assignment.name].get(user)
        again = (
            entry is not None and kept is not None
            and is_newer(kept.attempt, entry)
            and (not late or policy.counts is CountingRule.LATEST
                 or self._counts_anew(assignment.name, user, times.due, entry))
        )  # fmt: skip
        grade = None if entry is None else entry.grade
        return Cell(kept, kept is None and present, late, grade, key in self._fetched, times, again)

    def _counts_anew(self, assignment: AssignmentName, user: Username, due: int | None, entry: GradeEntry) -> bool:
        """Whether the submission that counts, late or not, is newer than the grade."""
        policy = self._policies[assignment]
        kept = counting.assess(self._store.submissions.receipts(assignment, user), due, policy)
        counts = counting.counting(kept, policy.counts)
        return counts is not None and is_newer(counts.submission.attempt, entry)

    def row(self, user: Username, cells: tuple[Cell, ...]) -> Row:
        account = self._accounts.get(user) or Account(user)
        return Row(user, account.name, cells, account.sections)


class CurrentBoard:
    """The board of a course: all students on the roster and all people who have submitted, instructors included.

    After new submissions only their cells are made again; after any other change, the whole board is.
    """

    def __init__(self, store: Store, latest: LatestSubmissions) -> None:
        self._store = store
        self._latest = latest
        self._lock = threading.Lock()
        self._sources: _Sources | None = None
        self._cells: _Cells | None = None
        self._number = 0
        self._present: dict[AssignmentName, frozenset[Username]] = {}
        self._rows: dict[Username, Row] = {}
        self._board = Board((), ())

    def get(self) -> Board:
        """The current board; the same object as before if nothing has changed."""
        with self._lock:
            store, versions = self._store, self._latest.refresh()  # versions before values, as in `Standings`
            listed = tuple(sorted(store.release.assignments(), key=due_order))
            grades = tuple(readable_grades(store.grades, each.name) for each in listed)
            sources = _Sources(versions.people, versions.downloads, store.config.plan(), listed, grades)
            present = {each.name: frozenset(store.submissions.users(each.name)) for each in listed}
            if sources != self._sources or any(self._present[name] - users for name, users in present.items()):
                self._sources, self._cells, self._rows = None, _Cells(store, sources), {}  # None until it succeeds
                self._number, self._present = 0, dict.fromkeys(present, frozenset())
            number, changed = self._latest.since(self._number)
            changed += [(name, user) for name, users in present.items() for user in users - self._present[name]]
            if changed or self._sources is None:
                self._change(listed, changed, present)
            self._sources, self._number, self._present = sources, number, present
            return self._board

    def _change(
        self, listed: tuple[Assignment, ...], changed: list[Key], present: Mapping[AssignmentName, frozenset[Username]]
    ) -> None:
        """Make changed cells again, and the rows of new people."""
        cells = self._cells
        assert cells is not None, "the sources are read first"
        columns = {each.name: at for at, each in enumerate(listed)}

        def cell(at: int, user: Username) -> Cell:
            name = listed[at].name
            return cells.cell(listed[at], user, self._latest.get((name, user)), user in present[name])

        def make(user: Username) -> None:
            self._rows[user] = cells.row(user, tuple(cell(at, user) for at in range(len(listed))))

        if self._sources is None:
            for user in (cells.students - cells.removed) | {user for _, user in changed}:
                make(user)
            changed = []
        for name, user in changed:
            if user not in self._rows:
                make(user)
            elif name in columns:
                held, at = self._rows[user], columns[name]
                made = (*held.cells[:at], cell(at, user), *held.cells[at + 1 :])
                self._rows[user] = replace(held, cells=made)
        rows = [self._rows[user] for user in sorted(self._rows)]
        dropped = tuple(each for each in rows if each.username in cells.removed)
        self._board = Board(listed, tuple(each for each in rows if each.username not in cells.removed), dropped)


def due_order(assignment: Assignment) -> tuple[bool, int]:
    """A key that sorts assignments by due time; those without one come last, in their own order."""
    due = assignment.rules.schedule.due
    return due is None, due or 0


def _graded(entries: tuple[GradeEntry, ...]) -> Mapping[str, GradeEntry]:
    return {each.username: each for each in entries if each.grade is not None}


def is_newer(attempt: int, entry: GradeEntry) -> bool:
    """Whether an attempt is newer than the one that the grade is for."""
    return entry.grade is not None and entry.graded_attempt is not None and attempt > entry.graded_attempt


def readable_grades(store: GradesStore, assignment: AssignmentName) -> tuple[GradeEntry, ...] | None:
    """The stored grades, None if the table cannot be parsed: everything else can still be shown."""
    try:
        return store.of(assignment)
    except Unreadable:
        return None


# filtering


class Show(StrEnum):
    """Which people of a board to show, by their state in an assignment, or in any."""

    ALL = ""
    MISSING = "missing"
    SUBMITTED = "submitted"
    LATE = "late"
    GRADED = "graded"
    UNGRADED = "to grade"

    def fits(self, cell: Cell) -> bool:
        match self:
            case Show.MISSING:
                return not cell.submitted
            case Show.SUBMITTED:
                return cell.submitted
            case Show.LATE:
                return cell.late
            case Show.GRADED:
                return cell.grade is not None and not cell.again
            case Show.UNGRADED:
                return cell.again or (cell.submitted and cell.grade is None)
        return True


class Order(StrEnum):
    """How the people of a board are sorted; by submission and grade in descending order."""

    USER = "user name"
    NAME = "name"
    LATEST = "last submission"
    GRADE = "grade"


@dataclass(frozen=True)
class BoardFilter:
    """A filter of a board: `text` in user name or name, one `assignment` (None: all), the state there, and one
    `section` ("": all).
    """

    text: str = ""
    assignment: AssignmentName | None = None
    show: Show = Show.ALL
    order: Order = Order.USER
    section: str = ""


def find(board: Board, wanted: BoardFilter) -> Board:
    """The part of the board that the filter wants, sorted."""
    columns = [at for at, each in enumerate(board.assignments) if wanted.assignment in (None, each.name)]
    text = wanted.text.strip().casefold()

    def fits(row: Row) -> bool:
        if text and text not in f"{row.username}\n{row.name}".casefold():
            return False
        if wanted.section and wanted.section not in row.sections:
            return False
        return wanted.show is Show.ALL or any(wanted.show.fits(row.cells[at]) for at in columns)

    def place(row: Row) -> tuple[float | str, ...]:
        cells = [row.cells[at] for at in columns]
        match wanted.order:
            case Order.NAME:
                return ((row.name or row.username).casefold(), row.username)
            case Order.LATEST:
                return (-max((each.latest.received for each in cells if each.latest), default=0), row.username)
            case Order.GRADE:
                return (-max((grades.number(each.grade) for each in cells), default=float("-inf")), row.username)
        return (row.username,)

    rows = sorted(filter(fits, board.rows), key=place)
    if wanted.assignment is not None:
        rows = [replace(each, cells=tuple(each.cells[at] for at in columns)) for each in rows]
    return Board(tuple(board.assignments[at] for at in columns), tuple(rows))


def missing(board: Board, assignment: AssignmentName) -> tuple[Username, ...]:
    """The people who have submitted nothing for the assignment."""
    at = next(at for at, each in enumerate(board.assignments) if each.name == assignment)
    return tuple(row.username for row in board.rows if not row.cells[at].submitted)
