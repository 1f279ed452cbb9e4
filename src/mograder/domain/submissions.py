"""Submissions: the rules of acceptance, which one counts, and the chain of receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from mograder.domain import counting, deadlines, doubts
from mograder.domain.access import Actor
from mograder.domain.admission import Admission
from mograder.domain.allowance import AttemptsLeft, HourlyBound
from mograder.domain.assignments import Assignment, CountingRule, LatePolicy
from mograder.domain.chain import Link
from mograder.domain.commitments import Commitment, CommitmentsStore, commitment_for, used
from mograder.domain.counting import AssessedSubmission, ListedSubmission
from mograder.domain.deadlines import Schedule
from mograder.domain.errors import BadRequest, NotFound, WrongType
from mograder.domain.extensions import Extensions, personal_schedule
from mograder.domain.files import StoredFile
from mograder.domain.keys import course_name
from mograder.domain.names import AssignmentName, FileName, Username, printable
from mograder.domain.receipts import (
    Body,
    Head,
    Issue,
    LatestFile,
    NewSubmission,
    Receipt,
    Signer,
    Submission,
    issue_receipt,
    latest_filename,
    sent_name,
    stem_of,
)
from mograder.domain.rules import ConfigStore


def _bound(attempts: int, schedule: Schedule, now: int) -> HourlyBound:
    """The limit of `attempts` an hour for a person with this schedule."""
    ahead = (each for each in (schedule.due, schedule.closes) if each is not None and not deadlines.is_over(each, now))
    return HourlyBound(attempts, min(ahead, default=None))


FEW = 20
"""Up to so many people, their receipts are read one by one, which is faster than reading everybody's."""


class Upload(Body, Protocol):
    """A submission that is being received: `write` each chunk, then `finish`. `discard` drops it; safe to repeat."""

    @property
    def is_large(self) -> bool:
        """Whether `finish` may take long."""
        ...

    def write(self, chunk: bytes) -> None: ...
    def finish(self) -> None: ...
    def discard(self) -> None: ...


class Accepted(Struct, frozen=True):
    """The outcome of a submission. `repeated`: the latest submission has these bytes, and `receipt` is its receipt."""

    receipt: Receipt
    repeated: bool


class Ready(Struct, frozen=True):
    """A submission that follows the rules, with its `commitment` if it has one. `uses_up`: its bytes were announced."""

    submission: NewSubmission
    issue: Issue
    commitment: Commitment | None
    uses_up: bool


class SubmissionsStore(Protocol):
    """What storage promises about submissions and the chain of receipts. Moments are Unix microseconds."""

    def upload(self) -> Upload:
        """An upload for the bytes of one submission."""
        ...

    def accept(self, submission: NewSubmission, issue: Issue) -> Future[Accepted]:
        """Store the bytes, and append the receipt that `issue` returns; the future is done once both are durable.

        `issue` is called inside the transaction. If it returns `position.latest`, nothing is stored. Otherwise this
        version becomes the latest: that means the last accepted, whatever `received` says.
        """
        ...

    def latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...]:
        """The latest submission of every person, sorted by name."""
        ...

    def file(self, assignment: AssignmentName, filename: FileName) -> StoredFile | None:
        """A submission by its file name, the latest (alice.py) or a dated one; None without one."""
        ...

    def head(self) -> Head:
        """The head of the chain, which may be a tombstone."""
        ...

    def chain(self) -> Iterator[Link]:
        """The whole chain in its order, with tombstones."""
        ...

    def receipts(self, assignment: AssignmentName | None = None, username: Username | None = None) -> Iterator[Receipt]:
        """All receipts in the order of the chain, or those of an assignment, a person, or both."""
        ...

    def latest(self, since: int = 0) -> list[tuple[int, Submission]]:
        """The last accepted submission of every person for every assignment, with its receipt's number, sorted by that;
        only numbers above `since`.
        """
        ...

    def received_since(self, moment: int) -> list[int]:
        """The `received` of all submissions at `moment` or later, in no order."""
        ...

    def free_space(self) -> int | None:
        """Bytes that are free for submissions; None if the store does not know."""
        ...

    def users(self, assignment: AssignmentName) -> list[Username]:
        """Everybody who has a submission for the assignment, also one that was put there by hand; in no order."""
        ...


class Submissions(Struct, frozen=True):
    """The submissions of one course."""

    store: SubmissionsStore
    commitments: CommitmentsStore
    config: ConfigStore
    extensions: Extensions
    admission: Admission
    signer: Signer
    clock: Callable[[], int]

    # accepting

    def upload(self) -> Upload:
        """An upload for the bytes of a submission; the caller always discards it in the end."""
        return self.store.upload()

    def check_open(self, actor: Actor, assignment: Assignment, user: Username, received: int) -> None:
        """Raises Closed if a student's submission that arrives at `received` is too late whatever its bytes."""
        if actor.is_instructor or not deadlines.is_over(assignment.rules.schedule.closes, received):
            return
        moments = [each.moment for each in self.commitments.of(assignment.name, user) if each.is_open(received)]
        schedule = self.extensions.schedule(assignment, user)
        self.admission.check_not_closed(assignment, schedule, min([received, *moments]))

    def submit(
        self, actor: Actor, assignment: Assignment, user: Username, body: Upload, received: int, filename: str = ""
    ) -> Accepted:
        """Submit and wait for the result. See `ready` and `begin`."""
        announced = self.commitments.of(assignment.name, user)
        return self.begin(self.ready(actor, assignment, user, body, received, filename, announced)).result()

    def ready(
        self, actor: Actor, assignment: Assignment, user: Username, body: Upload, received: int, filename: str,
        announced: Sequence[Commitment],
    ) -> Ready:  # fmt: skip
        """Check a submission by the present rules. Nothing is stored yet.

        `received` is the moment (Unix microseconds) when the request arrived. It counts, unless one of the `announced`
        commitments to these bytes has an earlier moment. A submission by an instructor for a student is never late.
        `filename` is the sender's name of the file, "" if unknown. Raises Closed, TooLarge, WrongType, BadRequest.
        """
        plan, schedule = self.config.plan(), self.extensions.schedule(assignment, user)
        policy = plan.late_policy(assignment.name)

        def passed(moment: int) -> object:
            late = policy.lateness(schedule.due, moment).late
            return late, deadlines.is_over(schedule.closes, moment)

        commitment = commitment_for(announced, body, received, passed)
        moment = min(received, commitment.moment) if commitment else received
        if not actor.is_instructor:
            self.admission.check_not_closed(assignment, schedule, moment)
        if body.size == 0:
            raise BadRequest("no data: the file is empty")
        self.admission.check_size(assignment, body.size)
        if not assignment.rules.takes(filename):
            endings = ", ".join(assignment.rules.endings)
            raise WrongType(f"{printable(filename)!r}: {assignment.name!r} takes {endings}")
        found = policy.lateness(schedule.due, moment)
        late = actor.username == user and found.late
        arrived = received if commitment else None
        submission = NewSubmission(
            user, assignment.name, actor.username, moment, body, late, schedule.due, arrived, sent_name(filename)
        )  # fmt: skip
        allowance = None
        if not actor.is_instructor:
            per_hour = assignment.rules.per_hour
            bound = None if per_hour is None else _bound(per_hour, schedule, moment)
            allowance = replace(plan.allowance, here=bound, zone=plan.zone)
        issue = issue_receipt(submission, self.signer, course_name(plan, self.signer), allowance)
        return Ready(submission, issue, commitment, any(each.sha256 == body.sha256 for each in announced))

    def begin(self, ready: Ready) -> Future[Accepted]:
        """Store a submission. One that repeats the latest gets its receipt, and nothing is stored.

        Blocks until the store is done if the submission `uses_up` a commitment. The future may raise
        TooManySubmissions for a student.
        """
        new = ready.submission
        accepted = self.store.accept(new, ready.issue)
        if ready.uses_up:
            accepted.result()  # if the next write is lost, the commitment is good only for the same bytes
            self.commitments.change(new.assignment, new.username, lambda held: used(held, new.body, ready.commitment))
        return accepted

    def doubts(
        self, assignment: Assignment, user: Username, names: Sequence[str], sha256: str, received: int
    ) -> tuple[str, ...]:
        """Questions to ask a person before they submit files with these `names` at `received`; none for the bytes of
        their last submission. `sha256` is that of the file that would be stored.
        """
        policy, due = self.late_policy(assignment.name), self.extensions.schedule(assignment, user).due
        kept = counting.assess(self.history(assignment, user), due, policy)
        if kept and kept[-1].submission.sha256 == sha256:
            return ()
        now = policy.lateness(due, received)
        found = [doubts.replaced(kept, policy.counts, now, policy.zone)]
        alone = names[0] if len(names) == 1 else ""
        if kept and alone and doubts.is_one_for_several(kept[-1].submission.filename, alone):
            found.append(doubts.replaces_several(kept[-1].submission.shown_name, alone))
        if not alone.lower().endswith(doubts.MANY):  # the contents of a zip are not checked
            found.append(doubts.missing_and_extra(assignment.rules.expects, names))
        return tuple(filter(None, found))

    # reading

    def attempts_left(self, assignment: Assignment, user: Username) -> AttemptsLeft | None:
        """How many attempts the person has left in this hour; None without such a limit."""
        now, attempts = self.clock(), assignment.rules.per_hour
        if attempts is None:
            return None
        bound = _bound(attempts, self.extensions.schedule(assignment, user), now)
        own = [each.submission for each in self.history(assignment, user) if each.submission.by == user]
        moments = [each.came for each in own]
        return AttemptsLeft(bound.attempts, bound.left(moments, now), bound.free(moments, now))

    def late_policy(self, assignment: AssignmentName) -> LatePolicy:
        """The present late policy of an assignment."""
        return self.config.plan().late_policy(assignment)

    def assessed(self, receipt: Receipt) -> tuple[AssessedSubmission, str, CountingRule]:
        """How late a just accepted submission is, the file name of the version that counts now, and by which rule."""
        kept = receipt.submission
        policy = self.late_policy(kept.assignment)
        (this,) = counting.assess([receipt], kept.due, policy)
        if policy.counts is CountingRule.LATEST or not this.lateness.late:
            return this, kept.filename, policy.counts
        everything = counting.assess(self.store.receipts(kept.assignment, kept.username), kept.due, policy)
        return this, (counting.counting(everything, policy.counts) or this).submission.filename, policy.counts

    def collect(
        self, assignment: Assignment, which: CountingRule | None = CountingRule.LATEST,
        files: Sequence[LatestFile] | None = None,
    ) -> list[ListedSubmission]:  # fmt: skip
        """One submission of every person, sorted by name: the latest, the last on time, or (None) the one that counts.

        The latest is the present file, perhaps edited by hand. If `files` are given, only their people are listed.
        """
        policy = self.late_policy(assignment.name)
        given = {each.username: each for each in self.extensions.in_assignment(assignment)}
        files = self.store.latest_files(assignment.name) if files is None else files
        kept = self._kept(assignment.name, [each.username for each in files])
        found = []
        for file in files:
            user = file.username
            due = personal_schedule(assignment, given.get(user)).due
            one = counting.listed(file, counting.assess(kept.get(user, ()), due, policy), policy.counts, which)
            if one is not None:
                found.append(one)
        return found

    def _kept(self, assignment: AssignmentName, users: Sequence[Username]) -> dict[Username, list[Receipt]]:
        """Each person's receipts, in the order of acceptance."""
        if len(users) <= FEW:
            return {user: list(self.store.receipts(assignment, user)) for user in users}
        kept: dict[Username, list[Receipt]] = {}
        for receipt in self.store.receipts(assignment):
            kept.setdefault(receipt.submission.username, []).append(receipt)
        return kept

    def file(self, assignment: Assignment, file: str) -> StoredFile:
        """A submission by its file name: that of a version, or of the latest (alice.pdf). Raises NotFound."""
        found = self.store.file(assignment.name, FileName.parse(file)) or self._latest_file(assignment, file)
        if found is None:
            raise NotFound(f"there is no submission {printable(file)!r} in {assignment.name!r}")
        return found

    def _latest_file(self, assignment: Assignment, file: str) -> StoredFile | None:
        """A latest submission by a name with its own ending; the store knows it by the usual ending."""
        user = Username(stem_of(file))
        kept = list(self.store.receipts(assignment.name, user))
        if not kept or file != latest_filename(user, kept[-1].submission.ending):
            return None
        found = self.store.file(assignment.name, FileName(latest_filename(user)))
        return found and replace(found, name=file)

    def own_file(self, assignment: Assignment, user: Username, file: str) -> StoredFile:
        """One of a person's own submissions, by the file name in its receipt, or the latest. Raises NotFound."""
        kept = [each.submission for each in self.history(assignment, user)]
        own = {latest_filename(user), *(each.filename for each in kept)}
        own |= {latest_filename(user, each.ending) for each in kept[-1:]}
        if file not in own:
            raise NotFound(f"{user!r} has no submission {printable(file)!r} in {assignment.name!r}")
        return self.file(assignment, file)

    def history(self, assignment: Assignment, user: Username) -> Iterator[Receipt]:
        """Every receipt of a person for an assignment, in the order of acceptance."""
        return self.store.receipts(assignment.name, user)

    def receipts(self, user: Username) -> Iterator[Receipt]:
        """Every receipt of a person, in the order of acceptance."""
        return self.store.receipts(None, user)

    def head(self) -> Head:
        """The head of the chain. A person who keeps it can later prove whether the chain was cut or rewritten."""
        return self.store.head()

    def rush(self) -> tuple[int, ...]:
        """The number of submissions in each of the last 60 minutes, oldest first."""
        now = self.clock()
        counts = [0] * 60
        for moment in self.store.received_since(now - 60 * deadlines.MINUTE):
            ago = (now - moment) // deadlines.MINUTE
            if 0 <= ago < 60:
                counts[59 - ago] += 1
        return tuple(counts)

    def free_space(self) -> int | None:
        """Bytes that are free for submissions, None if unknown."""
        return self.store.free_space()
