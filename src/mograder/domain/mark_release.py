"""Releases marks to students, withdraws them, and takes regrade requests.

Invariant: students see only releases and their requests, nothing of a draft.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from mograder.domain import counting
from mograder.domain.access import COURSE_INSTRUCTOR, Actor
from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.board import readable_grades
from mograder.domain.deadlines import MINUTE, Penalties
from mograder.domain.errors import BadRequest, ChangedMeanwhile, Forbidden, NotFound
from mograder.domain.extensions import personal_schedule
from mograder.domain.grades import (
    ATTEMPT_KEY,
    BASED_ON,
    GRADE_KEYS,
    PENALISED,
    PENALTY,
    PERSON_KEYS,
    RAW,
    GradeEntry,
    number,
    of_person,
)
from mograder.domain.grading_jobs import Result
from mograder.domain.marking import SHOWN, Content, Entry, GradesChange, Kind, Message, Request, Sheet, checked_text
from mograder.domain.marking_desk import Candidate, MarkedQuestion, MarkingDesk, PersonMarking
from mograder.domain.marks import in_words, penalised
from mograder.domain.names import AssignmentName, Username, counted, printable
from mograder.domain.receipts import Receipt
from mograder.domain.store import Store

TRIES = 5
"""Attempts to release a mark while others write grades of the same assignment."""

DAY = 24 * 60 * MINUTE
WITHDRAWN = "withdrawn"
"""The workflow state of a grade that was withdrawn."""

TAKEN = {"", *PERSON_KEYS, *GRADE_KEYS, "feedback", "workflow_state", RAW, PENALTY, PENALISED, BASED_ON, ATTEMPT_KEY}
"""Keys of a grade with a meaning of their own, so that they cannot hold the points of a question of the same name."""

OPEN_MESSAGES = 20
"""Messages of a student about one question at most."""


@dataclass(frozen=True)
class ReleasedQuestion:
    """A question as its student sees it. `items` are pairs of a rubric item's text and its points."""

    key: str
    available: float
    points: float
    by_hand: bool
    items: Sequence[Sequence[Any]] = ()
    comment: str = ""


@dataclass(frozen=True)
class Released(Content):
    """A mark as its student sees it. `raw` is the mark before the `penalty` (in per cent), `total` the one that counts.

    `attempt`, `receipt` and `tests` say for which submission and tests it is. `changes` are sentences about differences
    from the release before. Questions are mappings with the fields of ReleasedQuestion.
    """

    questions: Sequence[Mapping[str, Any]] = ()
    raw: float = 0.0
    available: float = 0.0
    penalty: float = 0.0
    total: float = 0.0
    attempt: int | None = None
    receipt: int | None = None
    tests: str = ""
    remarks: Sequence[Sequence[str]] = ()
    changes: Sequence[str] = ()
    withdrawn: bool = False

    @property
    def rows(self) -> tuple[ReleasedQuestion, ...]:
        return tuple(ReleasedQuestion(**each) for each in self.questions)

    @property
    def grade(self) -> str:
        return in_words(self.total)

    @property
    def feedback(self) -> str:
        """The comments as one text, for clients that show a grade with a feedback."""
        lines = [f"{each.key}: {each.comment}" if each.key else each.comment for each in self.rows if each.comment]
        return "\n".join([*lines, *(f"{place}: {text}" for place, text in self.remarks)])


class ReleaseState(StrEnum):
    """The effect of a release on one person."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "unchanged"
    UNFINISHED = "unfinished"
    CONFLICT = "conflict"  # somebody has written another grade since the last release


@dataclass(frozen=True)
class PlannedRelease:
    """What a release would do for one person. `before` is the grade of the last release, `stored` the present grade.

    `unfinished` names questions without points, `outdated` those whose mark is for an earlier submission. `newer` says
    that there is a newer submission than the one that counts. `version` is that of the last release.
    """

    candidate: Candidate
    state: ReleaseState
    then: Released | None = None
    before: str | None = None
    stored: str | None = None
    unfinished: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    newer: bool = False
    version: int = 0


@dataclass(frozen=True)
class ReleasePlan:
    """What a release would do. `seen` is a digest of the plan. `penalties`: they are taken off the marks."""

    rows: tuple[PlannedRelease, ...]
    seen: str
    penalties: bool = False

    def of(self, *states: ReleaseState) -> tuple[PlannedRelease, ...]:
        return tuple(each for each in self.rows if each.state in states)

    @property
    def writes(self) -> tuple[PlannedRelease, ...]:
        return self.of(ReleaseState.NEW, ReleaseState.CHANGED)


@dataclass(frozen=True)
class ShownMark:
    """What a student sees: the release (or None), its moment, the student's requests, and until when more are possible.

    Moments are in Unix microseconds.
    """

    released: Released | None = None
    moment: int | None = None
    requests: tuple[tuple[str, Request], ...] = ()
    until: int | None = None

    def request(self, question: str) -> Request | None:
        return next((each for key, each in self.requests if key == question), None)


@dataclass(frozen=True)
class MarkRelease:
    """Releasing marks in one course."""

    store: Store
    desk: MarkingDesk
    clock: Callable[[], int]

    # for graders

    def everybody(
        self, assignment: Assignment, only: Collection[str] | None = None, instead: Iterable[Result] = ()
    ) -> list[PersonMarking]:
        """The marking of everybody (or `only` these) who has submitted or was marked, sorted by user name.

        Results in `instead` replace the stored ones of their submissions.
        """
        name, store = assignment.name, self.store
        policy, sheet = store.config.plan().late_policy(name), self.desk.sheet(assignment)
        of: dict[str, list[Entry]] = {}
        for each in store.marking.current(name):
            if each.username:
                of.setdefault(each.username, []).append(each)
        kept: dict[str, list[Receipt]] = {}
        for receipt in store.submissions.receipts(name):
            kept.setdefault(receipt.submission.username, []).append(receipt)
        results: dict[str, dict[int, str]] = {}
        for result in (*store.jobs.results(name), *instead):
            results.setdefault(result.username, {})[result.receipt] = result.signed
        given = {each.username: each for each in store.extensions.find(name)}
        questions = self.desk.questions(assignment)
        marked = {user for user, entries in of.items() if any(each.kind is Kind.MARK for each in entries)}
        people = sorted(marked | {*kept, *results} | set(store.submissions.users(name)))
        found = []
        for user in people:
            if only is not None and user not in only:
                continue
            due = personal_schedule(assignment, given.get(Username(user))).due
            assessed = counting.assess(kept.get(user, ()), due, policy)
            chosen = counting.counting(assessed, policy.counts)
            newest = assessed[-1].submission.attempt if assessed else None
            found.append(self.desk.marked(assignment, Username(user), of.get(user, ()), chosen, newest,
                                          results.get(user, {}), sheet, questions))  # fmt: skip
        return found

    def plan(self, assignment: Assignment, only: Collection[str] | None = None, over: bool = False) -> ReleasePlan:
        """What releasing the marks of `only` these people (None: everybody) would do.

        A grade that somebody wrote since the last release stays, unless `over` says to overwrite it.
        """
        return self._plan(assignment, self.store.grades.of(assignment.name), only, over)

    def _plan(
        self, assignment: Assignment, stored: tuple[GradeEntry, ...], only: Collection[str] | None, over: bool
    ) -> ReleasePlan:
        penalties = self.store.config.plan().late_policy(assignment.name).penalties
        sheet = self.desk.sheet(assignment)
        candidates = {each.username: each for each in self.desk.candidates(assignment)}
        shown = {each.username: each for each in self.store.marking.current(assignment.name, (Kind.RELEASE,))}
        rows = []
        for person in self.everybody(assignment, only):
            candidate = candidates.get(person.username) or Candidate(person.username, "", person.newest, False)
            last = shown.get(person.username)
            rows.append(_planned(person, candidate, last, of_person(stored, person.username), sheet, penalties, over))
        said = json.dumps([[each.candidate.username, each.state, each.then and asdict(each.then)] for each in rows])
        return ReleasePlan(tuple(rows), hashlib.sha256(said.encode()).hexdigest(), penalties.apply)

    def release(
        self, actor: Actor, assignment: Assignment, only: Collection[str] | None = None, over: bool = False,
        seen: str | None = None,
    ) -> ReleasePlan:  # fmt: skip
        """Release marks as `plan` says, and return that plan.

        Raises ChangedMeanwhile, and releases nothing, if `seen` is the digest of another plan.
        """
        version = self.store.grades.version(assignment.name)
        stored = self.store.grades.of(assignment.name)
        planned = self._plan(assignment, stored, only, over)
        if seen is not None and planned.seen != seen:
            raise ChangedMeanwhile("marks have changed since you looked: look at what would be released again")
        self._write(actor, assignment, planned.writes, stored, version)
        return planned

    def _write(
        self, actor: Actor, assignment: Assignment, rows: Iterable[PlannedRelease], stored: tuple[GradeEntry, ...],
        version: str,
    ) -> None:  # fmt: skip
        entries, changed, now = [], [], self.clock()
        for row in rows:
            assert row.then is not None
            user = row.candidate.username
            entries.append(Entry(assignment.name, Kind.RELEASE, user, "", row.version + 1, now, actor.username,
                                 row.then.text_form, "; ".join(row.then.changes)))  # fmt: skip
            changed.append(_grade(row.then, of_person(stored, user), user))
        if entries:
            event = self._event(actor, "release marks", assignment, entries)
            self.store.marking.write(assignment.name, entries, [event], GradesChange(tuple(changed), version))

    def release_automatic(self, name: AssignmentName, users: Collection[str] | None = None) -> int:
        """Release the marks of these people (None: everybody) that come from checks alone; returns how many were new.

        Does nothing unless the assignment asks for it. Marks that a person gave, withdrew or wrote into the grades
        stay. Safe to repeat. Raises MograderError.
        """
        assignment = self.store.release.find(name)
        if assignment is None or not assignment.rules.release_at_once:
            return 0
        if users is None:
            known = {each.username: Released.read(each).receipt
                     for each in self.store.marking.current(name, (Kind.RELEASE,))}  # fmt: skip
            results = self.store.jobs.results(name)
            users = {each.username for each in results if known.get(each.username) != each.receipt}
        return sum(self._release_automatic(assignment, Username(user)) for user in sorted(users))

    def _release_automatic(self, assignment: Assignment, user: Username) -> bool:
        penalties = self.store.config.plan().late_policy(assignment.name).penalties
        for _ in range(TRIES):
            version = self.store.grades.version(assignment.name)
            stored = self.store.grades.of(assignment.name)
            last = next(iter(self.store.marking.current(assignment.name, (Kind.RELEASE,), user)), None)
            person = self.desk.of(assignment, user)
            if not person.is_automatic or (last is not None and Released.read(last).withdrawn):
                return False
            row = _planned(person, Candidate(user, "", person.newest, True), last, of_person(stored, user),
                           self.desk.sheet(assignment), penalties, over=False)  # fmt: skip
            if row.state not in (ReleaseState.NEW, ReleaseState.CHANGED):
                return False
            with contextlib.suppress(ChangedMeanwhile):  # somebody has written grades meanwhile
                self._write(COURSE_INSTRUCTOR, assignment, [row], stored, version)
                return True
        raise ChangedMeanwhile(f"the grades of {assignment.name!r} keep changing: nothing was released")

    def count(self, assignment: Assignment, only: Collection[str] | None = None) -> int:
        """How many of these people (None: everybody) have a released mark."""
        return sum(not Released.read(each).withdrawn
                   for each in self.store.marking.current(assignment.name, (Kind.RELEASE,))
                   if only is None or each.username in only)  # fmt: skip

    def withdraw(self, actor: Actor, assignment: Assignment, only: Collection[str] | None = None) -> int:
        """Withdraw released marks and their grades, so that students see neither; returns how many."""
        version = self.store.grades.version(assignment.name)
        stored, now = self.store.grades.of(assignment.name), self.clock()
        entries, changed = [], []
        for each in self.store.marking.current(assignment.name, (Kind.RELEASE,)):
            last = Released.read(each)
            if last.withdrawn or (only is not None and each.username not in only):
                continue
            content = json.dumps({**asdict(last), "withdrawn": True}, ensure_ascii=False)
            entries.append(Entry(each.assignment, Kind.RELEASE, each.username, "", each.version + 1, now,
                                 actor.username, content, "withdrawn"))  # fmt: skip
            held = of_person(stored, Username(each.username))
            if held is not None and held.grade is not None and _same(held.grade, last.grade):
                changed.append(GradeEntry({**_person_fields(held, each.username), "workflow_state": WITHDRAWN}))
        if entries:
            event = self._event(actor, "withdraw marks", assignment, entries)
            change = GradesChange(tuple(changed), version) if changed else None
            self.store.marking.write(assignment.name, entries, [event], change)
        return len(entries)

    def _event(self, actor: Actor, action: str, assignment: Assignment, entries: Sequence[Entry]) -> Event:
        if len(entries) == 1:
            return Event(self.clock(), actor.username, action, entries[0].username, assignment.name)
        people = counted(len(entries), "person", "people")
        return Event(self.clock(), actor.username, action, assignment.name, people)

    # for students

    def shown(self, assignment: Assignment, user: Username) -> ShownMark:
        """What the person may see. Only releases and requests are read."""
        own = self.store.marking.current(assignment.name, SHOWN, user)
        requests = tuple((each.key, Request.read(each)) for each in sorted(own, key=lambda each: each.key)
                         if each.kind is Kind.REQUEST)  # fmt: skip
        last = next((each for each in own if each.kind is Kind.RELEASE), None)
        entry = of_person(readable_grades(self.store.grades, assignment.name) or (), user)
        if last is None or entry is None or not entry.visible or entry.grade is None:
            return ShownMark(requests=requests)
        released = Released.read(last)
        if released.withdrawn:
            return ShownMark(requests=requests)
        days = self.store.config.plan().regrade_days
        until = last.moment + int(days * DAY) if days else None
        return ShownMark(released, last.moment, requests, until)

    def ask(self, actor: Actor, assignment: Assignment, question: str, reason: str) -> Entry:
        """Request a regrade of a question. Raises BadRequest, NotFound, and Forbidden if it is too late."""
        user, now = actor.username, self.clock()
        shown = self.shown(assignment, user)
        asked = next((each for each in shown.released.rows if each.key == question), None) if shown.released else None
        if asked is None:
            raise NotFound(f"no mark of {printable(question)!r} is released to you")
        if shown.until is None or now > shown.until:
            raise Forbidden("the time to ask for another look at this mark is over")
        said = checked_text(reason, "reason")
        if not said:
            raise BadRequest("say why the mark should be looked at again")
        held = next((each for each in self.store.marking.current(assignment.name, (Kind.REQUEST,), user)
                     if each.key == question), None)  # fmt: skip
        request = Request.read(held)
        if sum(each.student for each in request.thread) >= OPEN_MESSAGES:
            raise BadRequest(f"you have written {OPEN_MESSAGES} messages about this: talk to your instructor")
        made = request.with_message(Message(user, now, said, student=True), is_open=True)
        entry = Entry(assignment.name, Kind.REQUEST, user, question, (held.version if held else 0) + 1, now, user,
                      made.text_form, "asked")  # fmt: skip
        event = Event(now, user, "ask regrade", user, f"{assignment.name} {question}".strip())
        self.store.marking.write(assignment.name, [entry], [event])
        return entry


def _planned(
    person: PersonMarking, candidate: Candidate, last: Entry | None, stored: GradeEntry | None, sheet: Sheet,
    penalties: Penalties, over: bool,
) -> PlannedRelease:  # fmt: skip
    before = Released.read(last) if last is not None else None
    version = last.version if last else 0
    then = _released(person, before, sheet, penalties)
    newer = person.newest is not None and person.newest != person.attempt
    held = stored.grade if stored is not None else None
    said = PlannedRelease(
        candidate, ReleaseState.NEW, then, before.grade if before and not before.withdrawn else None, held,
        person.marks.waiting, person.outdated, newer, version,
    )  # fmt: skip
    return _with_state(said, before, stored, over)


def _with_state(row: PlannedRelease, before: Released | None, stored: GradeEntry | None, over: bool) -> PlannedRelease:
    def state(found: ReleaseState) -> PlannedRelease:
        return PlannedRelease(**{**row.__dict__, "state": found})

    if row.then is None:
        return state(ReleaseState.UNFINISHED)
    ours = {before.grade, row.then.grade} if before else {row.then.grade}
    texts = {"", row.then.feedback, before.feedback if before else ""}
    others = stored is not None and (
        (stored.grade is not None and not any(_same(stored.grade, each) for each in ours))
        or stored.feedback not in texts
    )
    if others and not over:
        return state(ReleaseState.CONFLICT)
    if before is None or before.withdrawn:
        return state(ReleaseState.NEW)
    visible = stored is not None and stored.visible and stored.grade is not None
    return state(ReleaseState.SAME if visible and not others and not row.then.changes else ReleaseState.CHANGED)


def _released(person: PersonMarking, before: Released | None, sheet: Sheet, penalties: Penalties) -> Released | None:
    """The release of a person's marking; None while a part of the mark is missing."""
    total = person.marks.total
    if total is None:
        return None
    lateness = person.counting.lateness if person.counting else None
    penalty = lateness.penalty if lateness and penalties.enabled else 0.0
    rows = tuple(_question(each, sheet) for each in person.questions)
    made = Released(
        [asdict(each) for each in rows], total, person.marks.available, penalty,
        penalised(total, penalty) if penalties.apply else total, person.attempt,
        person.counting.receipt.number if person.counting else None,
        person.record.tested.tests if person.record else "",
        [[key, text] for key, text, _ in person.remarks if text],
    )  # fmt: skip
    changes = changes_between(before, made) if before is not None and not before.withdrawn else ()
    return Released(**{**made.__dict__, "changes": list(changes)})


def _question(row: MarkedQuestion, sheet: Sheet) -> ReleasedQuestion:
    items = [[sheet.items[key].text, sheet.items[key].points] for key in row.given.items if key in sheet.items]
    return ReleasedQuestion(row.key, row.mark.available, row.mark.points or 0.0, row.mark.given is not None, items,
                            row.given.comment)  # fmt: skip


def changes_between(before: Released, after: Released) -> tuple[str, ...]:
    """The differences between two releases, a sentence for each, for the student."""
    told = []
    old = {each.key: each for each in before.rows}
    for each in after.rows:
        was, name = old.pop(each.key, None), each.key or "the mark"
        if was is None or was.points != each.points:
            told.append(f"{name}: {in_words(was.points) if was else 'nothing'} -> {in_words(each.points)} points")
        if was is not None and (was.comment != each.comment or was.items != each.items):
            told.append(f"{name}: the comment has changed")
    told += [f"{key or 'the mark'}: no longer counts" for key in old]
    if [list(each) for each in before.remarks] != [list(each) for each in after.remarks]:
        told.append("the remarks in the submission have changed")
    if before.attempt != after.attempt:
        told.append(f"it is about submission {after.attempt or '–'} now")
    if before.total != after.total and not any("points" in each for each in told):
        told.append(f"the mark: {in_words(before.total)} -> {in_words(after.total)}")
    return tuple(told)


def _same(one: str, other: str) -> bool:
    return one == other or (number(one) == number(other) != float("-inf"))


def _person_fields(held: GradeEntry | None, user: str) -> dict[str, object]:
    fields: dict[str, object] = {"username": user}
    if held is not None and held.has_userid:
        fields["userid"] = held.fields["userid"]
    return fields


def _grade(released: Released, held: GradeEntry | None, user: str) -> GradeEntry:
    """The grade for all clients, with the points by question, the raw mark and the penalty."""
    fields: dict[str, object] = {each.key: in_words(each.points) for each in released.rows if each.key not in TAKEN}
    fields |= _person_fields(held, user)
    fields |= {"grade": released.grade, "feedback": released.feedback, "workflow_state": "released"}
    if held is not None and "mark" in held.fields:
        fields["mark"] = released.grade
    if released.attempt is not None:
        fields[ATTEMPT_KEY] = released.attempt
    if released.penalty or (held is not None and RAW in held.fields):
        fields |= {RAW: in_words(released.raw), PENALTY: in_words(released.penalty),
                   PENALISED: in_words(penalised(released.raw, released.penalty))}  # fmt: skip
    return GradeEntry(fields)
