"""Submissions: what is accepted, whose time it is, which one counts, and the chain of receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Protocol

from mograder.domain import counting, deadlines, doubts
from mograder.domain.access import Actor
from mograder.domain.admission import Admission
from mograder.domain.allowance import Allowance, AttemptsLeft, HourlyBound
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
    """The bound of `attempts` an hour for a person with this schedule."""
    ahead = (each for each in (schedule.due, schedule.closes) if each is not None and not deadlines.is_over(each, now))
    return HourlyBound(attempts, min(ahead, default=None))


FEW = 20
"""People whose receipts are read faster one by one than with everybody's."""


class Upload(Body, Protocol):
    """A submission that is being received: `write` each chunk, then `finish`. `discard` drops it, also twice."""

    @property
    def is_large(self) -> bool:
        """Whether `finish` takes its time."""
        ...

    def write(self, chunk: bytes) -> None: ...
    def finish(self) -> None: ...
    def discard(self) -> None: ...


@dataclass(frozen=True)
class Accepted:
    """What became of a submission. `repeated`: the bytes were the latest already, and `receipt` is that one's."""

    receipt: Receipt
    repeated: bool


@dataclass(frozen=True)
class Ready:
    """A submission that may be kept, with its `commitment`, if there is one. `uses_up`: its bytes were announced."""

    submission: NewSubmission
    issue: Issue
    commitment: Commitment | None
    uses_up: bool


class SubmissionsStore(Protocol):
    """What storage promises about submissions and the chain of receipts. Moments are Unix microseconds."""

    def upload(self) -> Upload:
        """A place for the bytes of one submission."""
        ...

    def accept(self, submission: NewSubmission, issue: Issue) -> Future[Accepted]:
        """Give the submission the next place in the chain and keep its bytes; the future is done once both are durable.

        `issue` is called once the place is certain. When it returns `position.latest`, nothing is kept. The latest
        file is then this version: latest means last accepted, whatever `received` says.
        """
        ...

    def latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...]:
        """The latest submission of every person, sorted by name."""
        ...

    def file(self, assignment: AssignmentName, filename: FileName) -> StoredFile | None:
        """A submission by its file name, the latest (alice.py) or a dated one."""
        ...

    def head(self) -> Head:
        """The end of the chain, an erased place included."""
        ...

    def chain(self) -> Iterator[Link]:
        """The whole chain in its order, with the places whose receipts were erased."""
        ...

    def receipts(self, assignment: AssignmentName | None = None, username: Username | None = None) -> Iterator[Receipt]:
        """All receipts in the order of the chain, or those of an assignment, a person, or both."""
        ...

    def latest(self, since: int = 0) -> list[tuple[int, Submission]]:
        """The last accepted submission of every person for every assignment, with the number of its receipt, by which
        they are sorted; those alone whose number is greater than `since`.
        """
        ...

    def received_since(self, moment: int) -> list[int]:
        """The moments of all submissions that count as received at `moment` or later, in no order."""
        ...

    def free_space(self) -> int | None:
        """Bytes that are free where submissions are kept; None where the store cannot tell."""
        ...

    def users(self, assignment: AssignmentName) -> list[Username]:
        """Everybody who has a submission in the course now, one added by hand included; in no order."""
        ...


@dataclass(frozen=True)
class Submissions:
    """The submissions of one course."""

    store: SubmissionsStore
    commitments: CommitmentsStore
    config: ConfigStore
    extensions: Extensions
    admission: Admission
    signer: Signer
    clock: Callable[[], int]

    # taking

    def upload(self) -> Upload:
        """A place for the bytes of a submission; the caller discards it in every case."""
        return self.store.upload()

    def check_open(self, actor: Actor, assignment: Assignment, user: Username, received: int) -> None:
        """Raises Closed when a student's submission that arrives at `received` cannot be taken, whatever its bytes."""
        if actor.is_instructor or not deadlines.is_over(assignment.rules.schedule.closes, received):
            return
        moments = [each.moment for each in self.commitments.of(assignment.name, user) if each.is_open(received)]
        schedule = self.extensions.schedule(assignment, user)
        self.admission.check_not_closed(assignment, schedule, min([received, *moments]))

    def submit(
        self, actor: Actor, assignment: Assignment, user: Username, body: Upload, received: int, filename: str = ""
    ) -> Accepted:
        """`begin` what is `ready`, and wait for the result."""
        announced = self.commitments.of(assignment.name, user)
        return self.begin(self.ready(actor, assignment, user, body, received, filename, announced)).result()

    def ready(
        self, actor: Actor, assignment: Assignment, user: Username, body: Upload, received: int, filename: str,
        announced: Sequence[Commitment],
    ) -> Ready:  # fmt: skip
        """A submission by the rules as they are now; nothing is kept yet.

        `received` is the moment (Unix microseconds) when the request arrived. It counts, or the moment of a commitment
        to these bytes among those that were `announced`. What an instructor submits for a student is never late.
        `filename` is what the sender calls the file, "" if unknown. Raises Closed, TooLarge, WrongType, BadRequest.
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
        allowance = None if actor.is_instructor else self._allowance(assignment, schedule, moment)
        issue = issue_receipt(submission, self.signer, course_name(plan, self.signer), allowance)
        return Ready(submission, issue, commitment, any(each.sha256 == body.sha256 for each in announced))

    def begin(self, ready: Ready) -> Future[Accepted]:
        """Keep a submission for ever; one that repeats the one before gets its receipt, and nothing new is kept.

        Blocks until the store is done if it `uses_up` a commitment. The future raises a student's TooManySubmissions.
        """
        new = ready.submission
        accepted = self.store.accept(new, ready.issue)
        if ready.uses_up:
            accepted.result()  # used up; if the next write is lost, only the same bytes can be submitted again
            self.commitments.change(new.assignment, new.username, lambda held: used(held, new.body, ready.commitment))
        return accepted

    def doubts(
        self, assignment: Assignment, user: Username, names: Sequence[str], sha256: str, received: int
    ) -> tuple[str, ...]:
        """What a person should be asked before they submit files called `names` at `received`; nothing for the bytes of
        their last submission. `sha256` is that of what would be kept.
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
        if not alone.lower().endswith(doubts.MANY):  # nobody looks into a zip that a person has made
            found.append(doubts.missing_and_extra(assignment.rules.expects, names))
        return tuple(filter(None, found))

    def _allowance(self, assignment: Assignment, schedule: Schedule, now: int) -> Allowance:
        plan, attempts = self.config.plan(), assignment.rules.per_hour
        bound = None if attempts is None else _bound(attempts, schedule, now)
        return replace(plan.allowance, here=bound, zone=plan.zone)

    # reading

    def attempts_left(self, assignment: Assignment, user: Username) -> AttemptsLeft | None:
        """How many attempts the person has left in this hour; None where they are not bounded."""
        now, attempts = self.clock(), assignment.rules.per_hour
        if attempts is None:
            return None
        bound = _bound(attempts, self.extensions.schedule(assignment, user), now)
        own = [each.submission for each in self.history(assignment, user) if each.submission.by == user]
        moments = [each.came for each in own]
        return AttemptsLeft(bound.attempts, bound.left(moments, now), bound.free(moments, now))

    def late_policy(self, assignment: AssignmentName) -> LatePolicy:
        """What holds for late submissions of an assignment now."""
        return self.config.plan().late_policy(assignment)

    def assessed(self, receipt: Receipt) -> tuple[AssessedSubmission, str, CountingRule]:
        """A submission that was just accepted, the file name of the version that counts now, and by which rule."""
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
        """One submission of every person, sorted by name: the latest, the last on time, or the one that counts
        (`None`).

        The latest is the file as it stands, an edit by hand included. Of those alone to whom `files` belong, if given.
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
        """Each person's receipts, in the order of acceptance. Few are asked for one by one, many together."""
        if len(users) <= FEW:
            return {user: list(self.store.receipts(assignment, user)) for user in users}
        kept: dict[Username, list[Receipt]] = {}
        for receipt in self.store.receipts(assignment):
            kept.setdefault(receipt.submission.username, []).append(receipt)
        return kept

    def file(self, assignment: Assignment, file: str) -> StoredFile:
        """A submission by its file name, a version's or the latest's (alice.pdf). Raises NotFound."""
        found = self.store.file(assignment.name, FileName.parse(file)) or self._latest_file(assignment, file)
        if found is None:
            raise NotFound(f"there is no submission {printable(file)!r} in {assignment.name!r}")
        return found

    def _latest_file(self, assignment: Assignment, file: str) -> StoredFile | None:
        """Somebody's latest by a name with its ending; the store has it under the usual one."""
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
        """The end of the chain of receipts. A person who keeps it can tell later if the chain was cut or rewritten."""
        return self.store.head()

    def rush(self) -> tuple[int, ...]:
        """How many submissions came in each of the last 60 minutes, the oldest first."""
        now = self.clock()
        counts = [0] * 60
        for moment in self.store.received_since(now - 60 * deadlines.MINUTE):
            ago = (now - moment) // deadlines.MINUTE
            if 0 <= ago < 60:
                counts[59 - ago] += 1
        return tuple(counts)

    def free_space(self) -> int | None:
        """Bytes that are free for submissions; None when unknown."""
        return self.store.free_space()
