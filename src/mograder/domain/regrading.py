"""Regrades: counting submissions are graded again with the present tests, compared, and then applied or dropped.

Invariant: an instructor applies exactly what they have seen. Marks that people gave are no part of results, and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment, Plan
from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, ChangedMeanwhile, MograderError
from mograder.domain.grading_jobs import Result
from mograder.domain.grading_record import GradingRecord
from mograder.domain.grading_results import ReadRecord
from mograder.domain.mark_release import MarkRelease
from mograder.domain.marking_desk import PersonMarking
from mograder.domain.marks import penalised
from mograder.domain.names import Username, counted, printable
from mograder.domain.regrade_jobs import Choose, HeldRegrade, ImportedGrading, RegradeJob
from mograder.domain.results import Outcome
from mograder.domain.store import Store
from mograder.domain.submissions import Submissions


@dataclass(frozen=True)
class QuestionChange:
    """The points of one question before and after; None if checks do not mark it."""

    key: str
    old: float | None
    new: float | None

    @property
    def change(self) -> float:
        return round((self.new or 0.0) - (self.old or 0.0), 6)


@dataclass(frozen=True)
class Regraded:
    """One person's submission, with the result in force (`old`, or None) and the `new` one.

    The letters are those of the person's mark with either result, "" without a scale or for an unfinished mark.
    """

    receipt: int
    username: Username
    old: GradingRecord | None
    new: GradingRecord
    old_letter: str = ""
    new_letter: str = ""

    @property
    def failed(self) -> bool:
        """Whether the grader itself failed: then nothing changes for the person."""
        return self.new.report.outcome is Outcome.OUR_FAILURE

    @property
    def change(self) -> float:
        """The change of the total of the checks in points; no result counts as 0."""
        if self.failed:
            return 0.0
        before = None if self.old is None else self.old.points
        return round((self.new.points or 0.0) - (before or 0.0), 6)

    @property
    def questions(self) -> tuple[QuestionChange, ...]:
        """The questions whose points change."""
        if self.failed:
            return ()
        old = {} if self.old is None else {each.key: each.automatic for each in self.old.marks.questions}
        new = {each.key: each.automatic for each in self.new.marks.questions}
        found = (QuestionChange(key, old.get(key), new.get(key)) for key in {**old, **new})
        return tuple(each for each in found if each.old != each.new)

    @property
    def changes_letter(self) -> bool:
        return not self.failed and self.old_letter != self.new_letter

    @property
    def is_new(self) -> bool:
        """Whether the result can be applied: the one in force was made with other tests."""
        return not self.failed and (self.old is None or self.old.tested.tests != self.new.tested.tests)

    @property
    def says_something(self) -> bool:
        """Whether an instructor should see it: something differs, between old and new or between two runs."""
        return bool(self.questions or self.change or self.changes_letter or self.failed or self.new.report.flaky)


@dataclass(frozen=True)
class RegradePreview:
    """A regrade as an instructor sees it; `version` covers all that is shown.

    `waiting` of the `total` submissions are not graded yet. `failed` are people whose submission could not be graded,
    with the reason. `rows` are the graded ones.
    """

    id: str
    version: str
    started: int
    twice: bool
    total: int
    waiting: int
    failed: tuple[tuple[Username, str], ...]
    rows: tuple[Regraded, ...]

    @property
    def new(self) -> int:
        """How many results would be put in force."""
        return sum(each.is_new for each in self.rows)

    @property
    def shown(self) -> tuple[Regraded, ...]:
        return tuple(each for each in self.rows if each.says_something)

    @property
    def summary(self) -> str:
        return in_words(self.rows, len(self.failed))


def in_words(found: Iterable[Regraded], failed: int = 0) -> str:
    """How many people gain and lose points, in one line. `failed` counts failures that are not in `found`."""
    rows = tuple(found)
    gain, lose = (sum(sign * each.change > 0 for each in rows) for sign in (1, -1))
    unable = sum(each.failed for each in rows)
    same = len(rows) - gain - lose - unable
    words = [
        f"{gain} {'gains' if gain == 1 else 'gain'} points",
        f"{lose} {'loses' if lose == 1 else 'lose'} points",
        "1 stays as it is" if same == 1 else f"{same} stay as they are",
    ]
    letters = sum(each.changes_letter for each in rows)
    words += [f"{counted(letters, 'letter')} {'changes' if letters == 1 else 'change'}"] if letters else []
    failed += unable
    return ", ".join([*words, *([f"{counted(failed, 'submission')} could not be graded"] if failed else [])])


@dataclass(frozen=True)
class Regrades:
    """Regrades of one course. `new_id` makes a unique id."""

    store: Store
    submissions: Submissions
    marks: MarkRelease
    clock: Callable[[], int]
    read_record: ReadRecord
    new_id: Callable[[], str]

    def start(self, actor: Actor, assignment: Assignment, user: str, twice: bool, instead_of: str) -> int:
        """Begin a regrade of all counting submissions, or of that of `user` (if not ""); returns how many those are.

        `instead_of` is the id of the regrade that the instructor has seen ("": none); it is dropped. Raises BadRequest,
        and ChangedMeanwhile if there is another one.
        """
        if assignment.name not in self.store.jobs.announced():
            raise BadRequest(
                f"no worker has tests for {assignment.name!r}: put its source into the course, and start a worker"
            )
        kept = [each.assessed.receipt for each in self.submissions.collect(assignment, None) if each.assessed]
        chosen = [each for each in kept if user.strip() in ("", each.submission.username)]
        if not chosen:
            raise BadRequest(
                f"{printable(user.strip())!r} has submitted nothing"
                if user.strip()
                else "nobody has submitted anything"
            )
        now, name = self.clock(), self.new_id()
        jobs = [RegradeJob(each.number, assignment.name, each.submission.username, name, now, twice) for each in chosen]
        said = counted(len(jobs), "submission") if not user.strip() else user.strip()
        event = Event(now, actor.username, "start regrade", assignment.name, said + (", twice" if twice else ""))
        self.store.regrades.start(jobs, instead_of, event)
        return len(jobs)

    def look(self, assignment: Assignment) -> RegradePreview | None:
        """The present regrade, None if there is none."""
        held = self.store.regrades.find(assignment.name)
        return None if held is None else self._preview(assignment, held)

    def version(self) -> object:
        """A version that changes with every change of a regrade."""
        return self.store.regrades.version()

    def is_running(self, assignment: Assignment) -> bool:
        """Whether an assignment has a regrade with submissions that are still to be graded."""
        held, now = self.store.regrades.find(assignment.name), self.clock()
        return held is not None and any(
            not each.is_done(held.tests) and not each.is_given_up(now) for each in held.jobs
        )

    def _preview(self, assignment: Assignment, held: HeldRegrade) -> RegradePreview:
        now, done, failed = self.clock(), [], []
        for each in held.jobs:
            if each.is_done(held.tests):
                done.append(each)
            elif each.is_given_up(now):
                failed.append((each.username, each.error))
        rows = self.compare(assignment, [each.result for each in done])
        lost = {each.username for each in done} - {each.username for each in rows}
        failed += [(user, "its record cannot be believed") for user in sorted(lost)]
        first, waiting = held.jobs[0], len(held.jobs) - len(done) - len(failed) + len(lost)
        return RegradePreview(held.id, held.version, first.started, first.twice, len(held.jobs), waiting,
                              tuple(failed), rows)  # fmt: skip

    def compare(self, assignment: Assignment, results: Sequence[Result]) -> tuple[Regraded, ...]:
        """What these results, one for each person, would change. Results without a valid signature are left out."""
        in_force = {each.receipt: each for each in self.store.jobs.results(assignment.name)}
        letters = self._letters(assignment, results) if self.store.config.plan().letters.steps else {}
        found = []
        for each in results:
            new, old = self._read(each), self._read(in_force.get(each.receipt))
            if new is not None:
                found.append(Regraded(each.receipt, each.username, old, new, *letters.get(each.username, ("", ""))))
        return tuple(found)

    def _read(self, result: Result | None) -> GradingRecord | None:
        try:
            return None if result is None else self.read_record(result.signed)
        except MograderError:  # `mograder verify` says more
            return None

    def _letters(self, assignment: Assignment, results: Sequence[Result]) -> Mapping[Username, tuple[str, str]]:
        """The letter of each person's mark, marks by people included: the present one, and with these results."""
        plan, people = self.store.config.plan(), {each.username for each in results}
        receipts = {each.username: each.receipt for each in results}
        before = self.marks.everybody(assignment, people)
        after = self.marks.everybody(assignment, people, results)
        return {
            old.username: (_letter(old, plan), _letter(new, plan))
            for old, new in zip(before, after, strict=True)
            if old.counting is not None and old.counting.receipt.number == receipts[old.username]
        }

    def apply(self, actor: Actor, assignment: Assignment, seen: str) -> int:
        """Put the results in force if `seen` is still the regrade's version; returns how many are new.

        Raises ChangedMeanwhile, and BadRequest while some submissions are still to be graded.
        """
        held = self.store.regrades.find(assignment.name)
        if held is None:
            raise ChangedMeanwhile("there is nothing left to apply: it was applied or dropped meanwhile")
        found = self._preview(assignment, held)
        if found.version == seen and found.waiting:
            raise BadRequest(f"{counted(found.waiting, 'submission')} still to be graded: wait for the rest")
        believed = {each.receipt for each in found.rows if each.is_new}

        def choose(now: HeldRegrade | None) -> list[Result]:
            if now is None or now.version != seen:
                raise ChangedMeanwhile(
                    "another result came, or the tests were changed, since you looked: look at what changes now"
                )
            return [each.result for each in now.jobs if each.receipt in believed]

        return self._apply(actor, assignment, choose, f"tests {held.tests[:12]}: {found.summary}")

    def apply_imported(
        self, actor: Actor, assignment: Assignment, results: Sequence[Result], found: Sequence[Regraded],
        imported: ImportedGrading,
    ) -> int:  # fmt: skip
        """Put those of `results` in force that are new by `found`, their comparison; returns how many."""
        new = {each.receipt for each in found if each.is_new}
        chosen = [each for each in results if each.receipt in new]
        detail = f"tests {imported.announced.tests[:12]}: {in_words(found)}"
        return self._apply(actor, assignment, lambda _: chosen, detail, imported)

    def _apply(
        self, actor: Actor, assignment: Assignment, choose: Choose, detail: str, imported: ImportedGrading | None = None
    ) -> int:  # fmt: skip
        """Apply results, and release the marks of assignments that release them at once."""
        people: set[Username] = set()

        def noting(held: HeldRegrade | None) -> Sequence[Result]:
            chosen = choose(held)
            people.update(each.username for each in chosen)
            return chosen

        event = Event(self.clock(), actor.username, "regrade", assignment.name, detail)
        applied = self.store.regrades.apply(assignment.name, noting, event, imported)
        self.marks.release_automatic(assignment.name, people)
        return applied

    def drop(self, actor: Actor, assignment: Assignment, regrade: str) -> None:
        """Drop the regrade with this id and its results. Raises ChangedMeanwhile if there is none."""
        event = Event(self.clock(), actor.username, "drop regrade", assignment.name)
        if not self.store.regrades.drop(assignment.name, regrade, event):
            raise ChangedMeanwhile("it was applied, dropped or started again meanwhile")


def _letter(person: PersonMarking, plan: Plan) -> str:
    """The letter of the mark as it would be released."""
    total = person.marks.total
    if total is not None and plan.penalties.apply and person.counting is not None:
        total = penalised(total, person.counting.lateness.penalty)
    return plan.letters.letter(total, person.marks.available)
