"""Marking for graders and instructors: what is to be marked, which marks were given, and by whom.

Invariant: a mark changes only if the person has seen its present version, and may mark the question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mograder.domain import counting, marking
from mograder.domain.access import Actor, Role
from mograder.domain.accounts import People
from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.counting import AssessedSubmission
from mograder.domain.errors import BadRequest, Forbidden, NotFound, Unreadable, VerificationFailed
from mograder.domain.extensions import Extensions, personal_schedule
from mograder.domain.grading_record import GradingRecord
from mograder.domain.grading_results import ReadRecord
from mograder.domain.latest import LatestSubmissions
from mograder.domain.marking import (
    Assigned,
    Content,
    Entry,
    GivenMark,
    Kind,
    Message,
    Request,
    RubricItem,
    Sheet,
    Text,
    checked_text,
)
from mograder.domain.marking_entries import CurrentMarks, MarkingEntries
from mograder.domain.marks import Given, Marks, Question, QuestionMark, in_words, mark, whole
from mograder.domain.names import AssignmentName, Username, counted, printable
from mograder.domain.results import Outcome, RunReport
from mograder.domain.store import Store

T = TypeVar("T")

NO_RESULT = RunReport(Outcome.OUR_FAILURE)
"""Replaces the result of a submission without one: checks give no points, which differs from 0."""

MOST_ITEMS = 200
"""Rubric items of one assignment."""


@dataclass(frozen=True)
class Candidate:
    """A person whose submission can be marked. `attempt` is their newest one with a receipt, or None."""

    username: Username
    name: str
    attempt: int | None
    submitted: bool
    sections: tuple[str, ...] = ()


@dataclass(frozen=True)
class MarkedQuestion:
    """One person's question: its mark, what a grader gave (with its version), by whom and when (Unix microseconds)."""

    question: Question
    mark: QuestionMark
    given: GivenMark = field(default_factory=GivenMark)
    version: int = 0
    by: str = ""
    moment: int | None = None
    grader: str = ""

    @property
    def key(self) -> str:
        return self.question.key

    @property
    def to_do(self) -> bool:
        """Whether a grader must still give points."""
        return self.question.manual and self.mark.points is None


@dataclass(frozen=True)
class PersonMarking:
    """The marking of one person: the submission that counts, the `newest` attempt, and all marks.

    `record` is the result of checks. `remarks` have place, text and version, `requests` question, request and version.
    """

    username: Username
    counting: AssessedSubmission | None
    newest: int | None
    record: GradingRecord | None
    questions: tuple[MarkedQuestion, ...]
    marks: Marks
    note: str = ""
    note_version: int = 0
    remarks: tuple[tuple[str, str, int], ...] = ()
    requests: tuple[tuple[str, Request, int], ...] = ()

    @property
    def attempt(self) -> int | None:
        return self.counting.submission.attempt if self.counting else None

    @property
    def outdated(self) -> tuple[str, ...]:
        """The questions whose mark is for another submission than the one that counts."""
        return tuple(each.key for each in self.questions
                     if each.given.says_something and each.given.attempt != self.attempt)  # fmt: skip

    @property
    def finished(self) -> bool:
        return self.marks.total is not None

    @property
    def is_automatic(self) -> bool:
        """Whether the whole mark comes from checks alone."""
        by_people = any(each.question.manual or each.given.says_something for each in self.questions)
        return self.record is not None and self.finished and not by_people and not self.remarks


@dataclass(frozen=True)
class Progress:
    """How many of `total` are marked, for a question or a grader of this name."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class Overview:
    """The marking of an assignment: everybody, and what is still to be marked.

    `to_do` maps the user names of people who have submitted to their unmarked questions.
    """

    questions: tuple[Question, ...]
    sheet: Sheet
    candidates: tuple[Candidate, ...]
    to_do: Mapping[str, tuple[str, ...]]
    by_question: tuple[Progress, ...]
    by_grader: tuple[Progress, ...]
    open_requests: tuple[tuple[str, str], ...]

    @property
    def done(self) -> int:
        return sum(each.submitted for each in self.candidates) - len(self.to_do)


@dataclass(frozen=True)
class MarkingDesk:
    """Marking in one course. `read_record` may be slow; `new_secret` gives random texts.

    `kept` caches derived values, each with the versions from which it was derived.
    """

    store: Store
    latest: LatestSubmissions
    entries: MarkingEntries
    extensions: Extensions
    people: People
    clock: Callable[[], int]
    read_record: ReadRecord
    new_secret: Callable[[], str]
    kept: dict[tuple[str, AssignmentName], tuple[object, Any]] = field(default_factory=dict, compare=False)

    # reading

    def version(self) -> int:
        """A number that changes with every change of the marking."""
        return self.store.marking.count()

    def sheet(self, assignment: Assignment) -> Sheet:
        return self.entries.of(assignment.name).sheet

    def _keep(self, key: tuple[str, AssignmentName], version: object, make: Callable[[], T]) -> T:
        """The cached value of `key` for this version, else `make()`."""
        held = self.kept.get(key)
        if held is None or held[0] != version:
            held = self.kept[key] = (version, make())
        found: T = held[1]
        return found

    def questions(self, assignment: Assignment, record: GradingRecord | None = None) -> tuple[Question, ...]:
        """The questions of an assignment, from its notebook and mograder.toml; without any, one for the whole.

        The notebook's come from `record`, or from the newest result.
        """
        if record is not None:
            return self._questions(assignment, record)
        versions = self.store.versions()

        def make() -> tuple[Question, ...]:
            results = self.store.jobs.results(assignment.name)
            newest = max(results, key=lambda each: each.graded, default=None)
            return self._questions(assignment, self._read(newest.signed) if newest else None)

        return self._keep(("questions", assignment.name), (versions.people, versions.results, assignment), make)

    def _questions(self, assignment: Assignment, record: GradingRecord | None) -> tuple[Question, ...]:
        known = record.questions if record else ()
        keys = {each.key for each in known}
        planned = [Question(each.key, each.points, manual=True) for each in assignment.rules.questions
                   if each.key not in keys]  # fmt: skip
        return (*known, *planned) or (whole(assignment.rules.points),)

    def candidates(self, assignment: Assignment) -> tuple[Candidate, ...]:
        """All students, and everybody else who has submitted, sorted by user name."""
        people, name = self.latest.refresh().people, assignment.name
        version = (people, self.store.version(name), self.latest.number_in(name))
        return self._keep(("candidates", name), version, lambda: self._candidates(name))

    def _candidates(self, assignment: AssignmentName) -> tuple[Candidate, ...]:
        accounts = [each for each in self.store.accounts.all() if not each.removed]
        known = {each.username: each for each in accounts}
        latest = {each.username: each.attempt for each in self.latest.in_assignment(assignment)}
        active = {*latest, *self.store.submissions.users(assignment)}
        everybody = {each.username for each in accounts if each.role is Role.STUDENT} | active
        return tuple(
            Candidate(user, account.name if account else "", latest.get(user), user in active,
                      account.sections if account else ())
            for user in sorted(everybody) for account in [known.get(user)]
        )  # fmt: skip

    def graders(self) -> tuple[str, ...]:
        """The people to whom marking can be assigned."""
        return tuple(each.username for each in self.store.accounts.all()
                     if not each.removed and each.role is not Role.STUDENT)  # fmt: skip

    def overview(self, actor: Actor, assignment: Assignment) -> Overview:
        """What is to be marked, as far as `actor` may mark it."""
        current = self.entries.of(assignment.name)
        made_of = (current, self.questions(assignment), self.candidates(assignment))
        whole = self._keep(("overview", assignment.name), made_of, lambda: _overview(*made_of))
        if actor.is_instructor:
            return whole
        to_do = {user: left for user, keys in whole.to_do.items() if (left := tuple(
            key for key in keys if self.may_mark(actor, current.sheet, user, key)
        ))}  # fmt: skip
        return replace(whole, to_do=to_do)

    @staticmethod
    def may_mark(actor: Actor, sheet: Sheet, username: str, question: str) -> bool:
        """Whether `actor` may mark a person's question: an instructor may; a grader, if it is not assigned to another
        and not their own work.
        """
        if actor.is_instructor:
            return True
        return actor.username != username and sheet.grader(username, question) in ("", actor.username)

    def of(self, assignment: Assignment, user: Username) -> PersonMarking:
        """The marking of one person. Raises NotFound for somebody who is not in the course."""
        if not self.people.is_known(user):
            raise NotFound(f"nobody called {printable(user)!r} is in the course")
        own = self.store.marking.current(assignment.name, username=user)
        results = {each.receipt: each.signed for each in self.store.jobs.results(assignment.name, user)}
        policy = self.store.config.plan().late_policy(assignment.name)
        extension = self.extensions.of(assignment, user)
        due = personal_schedule(assignment, extension).due
        kept = counting.assess(self.store.submissions.receipts(assignment.name, user), due, policy)
        return self.marked(assignment, user, own, counting.counting(kept, policy.counts),
                           kept[-1].submission.attempt if kept else None, results, self.sheet(assignment))  # fmt: skip

    def marked(
        self, assignment: Assignment, user: Username, own: Sequence[Entry], chosen: AssessedSubmission | None,
        newest: int | None, results: dict[int, str], sheet: Sheet, questions: tuple[Question, ...] | None = None,
    ) -> PersonMarking:  # fmt: skip
        """The marking that follows from a person's entries, `own`. `results` maps receipts to signed records, `chosen`
        is the submission that counts, `questions` are those of the assignment if the caller knows them.
        """
        signed = results.get(chosen.receipt.number) if chosen else None
        record = self._read(signed) if signed else None
        asked = self.questions(assignment, record) if record or questions is None else questions
        by_key = {each.key: each for each in own if each.kind is Kind.MARK}
        report = record.report if record else NO_RESULT
        automatic = {each.key: each.automatic for each in mark(asked, report).questions}
        given = {each.key: GivenMark.read(by_key.get(each.key)) for each in asked}
        points = {each.key: found for each in asked
                  if (found := marking.points_of(given[each.key], sheet.items, each.points, automatic[each.key]))
                  is not None}  # fmt: skip
        marks = mark(asked, report, Given(points))
        rows = tuple(_row(each, found, given[each.key], by_key.get(each.key), sheet.grader(user, each.key))
                     for each, found in zip(asked, marks.questions, strict=True))  # fmt: skip
        note = next((each for each in own if each.kind is Kind.NOTE), None)
        return PersonMarking(
            user, chosen, newest, record, rows, marks, Text.read(note).text, note.version if note else 0,
            tuple((each.key, Text.read(each).text, each.version) for each in own if each.kind is Kind.REMARK),
            tuple((each.key, Request.read(each), each.version) for each in own if each.kind is Kind.REQUEST),
        )  # fmt: skip

    def _read(self, signed: str) -> GradingRecord | None:
        try:
            return self.read_record(signed)
        except (VerificationFailed, BadRequest, Unreadable):  # `verify` reports it; marking by hand is still possible
            return None

    def comments(self, assignment: Assignment) -> dict[str, tuple[str, ...]]:
        """For each question the 20 most used comments, the most used first."""
        counts = self.entries.of(assignment.name).comments
        return {key: tuple(sorted(of, key=lambda text: (-of[text], text)))[:20] for key, of in counts.items()}

    def history(self, assignment: Assignment, user: Username) -> list[Entry]:
        """Every change about a person, oldest first."""
        return self.store.marking.history(assignment.name, user)

    # marking

    def give(
        self, actor: Actor, assignment: Assignment, user: Username, question: str, given: GivenMark, version: int,
        why: str = "",
    ) -> Entry:  # fmt: skip
        """Mark a question. `version` is that of the mark which the grader has seen; an equal mark is not written again.

        Raises BadRequest, Forbidden, NotFound, and MarkingConflict if somebody else has marked it meanwhile.
        """
        found, sheet = self.of(assignment, user), self.sheet(assignment)
        asked = next((each for each in found.questions if each.key == question), None)
        if asked is None:
            raise NotFound(f"{assignment.name!r} has no question {printable(question)!r}")
        if not self.may_mark(actor, sheet, user, question):
            raise Forbidden(f"{question or 'this'} of this person is assigned to {sheet.grader(user, question)}")
        _check_points(given.points, asked.question)
        items = sorted({each for each in given.items if each in sheet.of_question(question)})
        chosen = found.counting
        made = GivenMark(given.points, items, checked_text(given.comment, "comment"))
        if made.says_something:
            made = GivenMark(
                made.points, made.items, made.comment, found.attempt, chosen.receipt.number if chosen else None,
                found.record.tested.tests if found.record else "",
            )  # fmt: skip
        return self._put(actor, assignment, Kind.MARK, user, question, made, version, why)

    def write_text(
        self, actor: Actor, assignment: Assignment, user: Username, kind: Kind, key: str, text: str, version: int
    ) -> Entry:
        """Write the note about a person, or a remark at a place of the submission. Raises as `give`."""
        if not self.people.is_known(user):
            raise NotFound(f"nobody called {printable(user)!r} is in the course")
        if actor.username == user:
            raise Forbidden("nobody marks their own work")
        sheet = self.sheet(assignment)
        own = (self.may_mark(actor, sheet, user, each.key) for each in self.of(assignment, user).questions)
        if kind is Kind.REMARK and not any(own):  # a remark is a part of the mark
            raise Forbidden("this submission is assigned to others: only they may write remarks in it")
        said = Text(checked_text(text, "note" if kind is Kind.NOTE else "remark"))
        return self._put(actor, assignment, kind, user, key, said, version)

    def _put(
        self, actor: Actor, assignment: Assignment, kind: Kind, user: str, key: str, content: Content, version: int,
        why: str = "", events: Sequence[Event] = (),
    ) -> Entry:  # fmt: skip
        entry = Entry(assignment.name, kind, user, key, version + 1, self.clock(), actor.username,
                      content.text_form, checked_text(why, "reason"))  # fmt: skip
        held = next((each for each in self.store.marking.current(assignment.name, (kind,), user) if each.key == key),
                    None)  # fmt: skip
        if held is not None and held.content == entry.content:  # a client that lost the answer repeats the request
            return held
        self.store.marking.write(assignment.name, [entry], events)
        return entry

    # the rubric

    def put_item(self, actor: Actor, assignment: Assignment, key: str, item: RubricItem | None, version: int) -> Entry:
        """Add (`key` is ""), change or remove (`item` is None) a rubric item. Raises as `give`."""
        sheet = self.sheet(assignment)
        for question in {each.question for each in (item, sheet.items.get(key)) if each is not None}:
            grader = sheet.by_question.get(question, "")
            if grader not in ("", actor.username) and not actor.is_instructor:
                raise Forbidden(f"{question or 'this'} is assigned to {grader}, who alone may change its rubric")
        if item is not None:
            asked = next((each for each in self.questions(assignment) if each.key == item.question), None)
            if asked is None:
                raise NotFound(f"{assignment.name!r} has no question {printable(item.question)!r}")
            item = RubricItem(item.question, checked_text(item.text, "rubric item"), item.points)
            if not item.text:
                raise BadRequest("say what the rubric item is for")
            if not math.isfinite(item.points) or abs(item.points) > asked.points:
                raise BadRequest(f"{item.points:g} is no number of points of {in_words(asked.points)}")
            if not key and len(sheet.items) >= MOST_ITEMS:
                raise BadRequest(f"there are {MOST_ITEMS} rubric items: take some away first")
        if key and key not in sheet.items:
            raise NotFound("there is no such rubric item any more")
        new = key or self.new_secret()[:12]
        return self._put(actor, assignment, Kind.ITEM, "", new, item or RubricItem(), version)

    def who_has(self, assignment: Assignment, key: str) -> tuple[str, ...]:
        """The people whose marks have a rubric item, and so change with it."""
        current = self.store.marking.current(assignment.name, (Kind.MARK,))
        return tuple(sorted(each.username for each in current if key in GivenMark.read(each).items))

    # graders, and names

    def hand_out(self, actor: Actor, assignment: Assignment, wanted: Mapping[tuple[str, str], str]) -> int:
        """Assign people (user name, "") or questions ("", key) to graders, "" to nobody; returns how many changed."""
        graders = set(self.graders())
        for grader in wanted.values():
            if grader and grader not in graders:
                raise BadRequest(f"{printable(grader)!r} is neither a grader nor an instructor")
        held = {each.place: each for each in self.store.marking.current(assignment.name, (Kind.ASSIGNED,))}
        now, entries = self.clock(), []
        for (user, key), grader in wanted.items():
            before, content = held.get((Kind.ASSIGNED, user, key)), Assigned(grader).text_form
            if (before.content if before else "") != content:
                version = (before.version if before else 0) + 1
                entries.append(Entry(assignment.name, Kind.ASSIGNED, user, key, version, now, actor.username, content))
        if entries:
            event = Event(now, actor.username, "hand out", assignment.name, counted(len(entries), "change"))
            self.store.marking.write(assignment.name, entries, [event])
        return len(entries)

    def at_random(self, actor: Actor, assignment: Assignment, graders: Sequence[str]) -> int:
        """Assign all people to these graders, evenly and at random."""
        if not graders:
            raise BadRequest("choose at least one grader")
        secret = self.new_secret()
        people = sorted((each.username for each in self.candidates(assignment)),
                        key=lambda user: marking.digest(secret, user))  # fmt: skip
        chosen: dict[tuple[str, str], str] = {(user, ""): graders[at % len(graders)] for at, user in enumerate(people)}
        return self.hand_out(actor, assignment, chosen)

    def set_anonymous(self, actor: Actor, assignment: Assignment, anonymous: bool) -> None:
        """Hide names on all pages of marking, or show them."""
        sheet = self.sheet(assignment)
        if anonymous == bool(sheet.settings.salt):
            return
        # The first salt is used again, so that pseudonyms stay the same.
        earlier = [marking.Settings.read(each).salt for each in self.store.marking.history(assignment.name, "")
                   if each.kind is Kind.SETTINGS]  # fmt: skip
        salt = next(filter(None, earlier), "") or self.new_secret()
        now = self.clock()
        event = Event(now, actor.username, "hide names" if anonymous else "show names", assignment.name)
        self._put(actor, assignment, Kind.SETTINGS, "", "", marking.Settings(salt if anonymous else ""),
                  sheet.settings_version, events=[event])  # fmt: skip

    def reveal(self, actor: Actor, assignment: Assignment, user: Username, pseudonym: str) -> None:
        """Record that `actor` was shown whose pseudonym this is."""
        self.store.audit.record(Event(self.clock(), actor.username, "reveal", user, f"{assignment.name} {pseudonym}"))

    # requests

    def answer(
        self, actor: Actor, assignment: Assignment, user: Username, question: str, text: str, version: int
    ) -> Entry:
        """Answer a regrade request, which closes it."""
        sheet = self.sheet(assignment)
        if not self.may_mark(actor, sheet, user, question):
            raise Forbidden(f"only {sheet.grader(user, question)} may answer this request")
        held = next((each for each in self.store.marking.current(assignment.name, (Kind.REQUEST,), user)
                     if each.key == question), None)  # fmt: skip
        said = checked_text(text, "answer")
        if held is None or not said:
            raise BadRequest("write an answer" if held else "nobody has asked for that")
        message = Message(actor.username, self.clock(), said, student=False)
        return self._put(actor, assignment, Kind.REQUEST, user, question,
                         Request.read(held).with_message(message, is_open=False), version)  # fmt: skip


def _overview(current: CurrentMarks, questions: tuple[Question, ...], everybody: tuple[Candidate, ...]) -> Overview:
    """The overview without regard to who may mark what."""
    sheet, marked = current.sheet, current.marked
    submitted: list[str] = [each.username for each in everybody if each.submitted]
    keys = [each.key for each in questions if each.manual]
    to_do: dict[str, tuple[str, ...]] = {}
    by_question, done, total = dict.fromkeys(keys, 0), dict[str, int](), dict[str, int]()
    for user in submitted:
        left = []
        for key in keys:
            if is_marked := (user, key) in marked:
                by_question[key] += 1
                who = current.given[user, key].actor
            else:
                left.append(key)
                who = sheet.grader(user, key)
            done[who] = done.get(who, 0) + is_marked
            total[who] = total.get(who, 0) + 1
        if left:
            to_do[user] = tuple(left)
    questions_done = tuple(Progress(key, count, len(submitted)) for key, count in by_question.items())
    graders_done = tuple(Progress(who, done[who], total[who]) for who in sorted(total) if who)
    return Overview(questions, sheet, everybody, to_do, questions_done, graders_done, current.open_requests)


def _row(question: Question, found: QuestionMark, given: GivenMark, entry: Entry | None, grader: str) -> MarkedQuestion:
    if entry is None:
        return MarkedQuestion(question, found, grader=grader)
    return MarkedQuestion(question, found, given, entry.version, entry.actor, entry.moment, grader)


def _check_points(points: float | None, question: Question) -> None:
    if points is None:
        return
    if not math.isfinite(points) or points < 0:
        raise BadRequest(f"{points:g} is no number of points: give 0 or more")
    if points > question.points:
        raise BadRequest(f"{in_words(points)} is more than the {in_words(question.points)} points of "
                         f"{question.key or 'the assignment'}")  # fmt: skip
