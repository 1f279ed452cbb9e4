"""Handing in: what is taken when, whose time it is, and what counts. The part of `Course` that deadlines decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from mograder.domain import commitments, counting, deadlines
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment, CountingRule, Plan
from mograder.domain.commitments import Commitment
from mograder.domain.counting import AssessedSubmission, ListedSubmission
from mograder.domain.deadlines import Lateness, Schedule
from mograder.domain.errors import BadRequest, Closed, TooLarge, WrongType
from mograder.domain.extending import Extensions
from mograder.domain.extensions import Extension
from mograder.domain.names import FileName, Username, counted, printable
from mograder.domain.receipts import NewSubmission, Receipt, Signer, issue_receipt, latest_filename
from mograder.domain.store import Accepted, Store, Upload


class TakesSubmissions:
    """Methods of `Course`, which has these fields."""

    store: Store
    signer: Signer
    clock: Callable[[], int]
    max_upload: int

    @property
    def name(self) -> str:
        """What receipts call the course: its title, else the fingerprint of its key."""
        return self._called(self.plan)

    def _called(self, plan: Plan) -> str:
        return plan.title or self.signing_keys()[0]["kid"]

    def signing_keys(self) -> tuple[Mapping[str, str], ...]:
        """The public keys that verify receipts, as JWKs; `kid` is a key's fingerprint. The first signs now."""
        return self.signer.public_keys()

    @property
    def plan(self) -> Plan:
        """What the instructor has written about the course, as it stands now."""
        return self.store.plan()

    @property
    def title(self) -> str:
        return self.plan.title

    def upload(self) -> Upload:
        """A place for the bytes of a submission; the caller discards it whatever happens."""
        return self.store.upload()

    def limit_for(self, assignment: Assignment) -> int:
        """The largest submission, in bytes."""
        return min(assignment.rules.max_size or self.max_upload, self.max_upload)

    @property
    def extensions(self) -> Extensions:
        """More time for single people: asked for, granted, declined, taken back."""
        return Extensions(self.store, self.clock, self._is_known)

    def _is_known(self, username: Username) -> bool:
        return self.store.account(username) is not None or self._has_handed_in(username)

    def _has_handed_in(self, username: Username) -> bool:
        """Whether work stands under a name that has no account, as in a course brought from elsewhere."""
        return next(iter(self.store.receipts(None, username)), None) is not None or any(
            self.store.submitted_file(each.name, FileName(latest_filename(username)))
            for each in self.store.assignments()
        )

    def schedule(self, assignment: Assignment, user: Username) -> Schedule:
        """When the assignment opens, is due and closes for this person."""
        return self._schedule(assignment, self.extensions.of(assignment, user))

    @staticmethod
    def _schedule(assignment: Assignment, extension: Extension | None) -> Schedule:
        return assignment.rules.schedule.extended(extension.until if extension else None)

    def lateness(self, due: int | None, received: int) -> Lateness:
        """How late a submission is that arrives at `received` and is due at `due`, and what it costs."""
        plan = self.plan
        return deadlines.lateness(due, received, plan.penalties, plan.zone)

    def check_open(self, actor: Actor, assignment: Assignment, user: Username, received: int) -> None:
        """Raises Closed when a student's submission that arrives at `received` cannot be taken, whatever its bytes."""
        if actor.is_instructor or not deadlines.is_over(assignment.rules.schedule.closes, received):
            return
        moments = [each.moment for each in self.store.commits(assignment.name, user) if each.is_open(received)]
        self._check_not_closed(assignment, self.schedule(assignment, user), min([received, *moments]))

    def _check_not_closed(self, assignment: Assignment, schedule: Schedule, received: int) -> None:
        closes = schedule.closes
        if closes is not None and deadlines.is_over(closes, received):
            zone = self.plan.zone
            raise Closed(
                f"{assignment.name!r} closed at {deadlines.readable(closes, zone)}; "
                f"this arrived at {deadlines.readable(received, zone)}",
                closes=closes / deadlines.SECOND,
            )

    def commit(
        self, actor: Actor, assignment: Assignment, user: Username, sha256: str, size: int, received: int
    ) -> Commitment:
        """Announce the bytes of a submission to come: when they come in time, the moment of this counts.

        Safe to repeat. Raises Closed, BadRequest, TooLarge, and Throttled when too many are open.
        """
        commitments.check_announcement(sha256, size)
        self._check_size(assignment, size)
        if not actor.is_instructor:
            self._check_not_closed(assignment, self.schedule(assignment, user), received)
        new = Commitment(assignment.name, user, sha256, size, received)
        kept = self.store.change_commitments(assignment.name, user, lambda held: commitments.announced(held, new))
        return next(each for each in kept if each.sha256 == sha256)

    def _check_size(self, assignment: Assignment, size: int) -> None:
        if size > self.limit_for(assignment):
            raise TooLarge(f"the file has {counted(size, 'byte')}; at most {self.limit_for(assignment)} are taken")

    def announced(self, assignment: Assignment, user: Username) -> Sequence[Commitment]:
        """The commits to bytes that have not come."""
        return self.store.commits(assignment.name, user)

    def submit(
        self, actor: Actor, assignment: Assignment, user: Username, body: Upload, received: int, filename: str = ""
    ) -> Accepted:
        """As `begin`, and wait for it."""
        return self.begin(actor, assignment, user, body, received, filename, self.announced(assignment, user)).result()

    def begin(
        self, actor: Actor, assignment: Assignment, user: Username, body: Upload, received: int, filename: str,
        announced: Sequence[Commitment],
    ) -> Future[Accepted]:  # fmt: skip
        """Keep a submission for ever; one that repeats the one before gets its receipt, and nothing new is kept.

        `received` is the moment (Unix microseconds) when the request arrived: it counts, or that of a commit of these
        bytes; with a commit `announced` this waits for the store itself. What an instructor hands in for a student is
        never late. `filename` is what the sender calls the file, "" if it was not said. Raises Closed, TooLarge,
        WrongType, BadRequest.
        """
        plan, schedule = self.plan, self.schedule(assignment, user)
        commit = next((each for each in announced if each.covers(body, received)), None)
        moment = min(received, commit.moment) if commit else received
        if not actor.is_instructor:
            self._check_not_closed(assignment, schedule, moment)
        if body.size == 0:
            raise BadRequest("no data: the file is empty")
        self._check_size(assignment, body.size)
        accepts = assignment.rules.accepts
        if accepts and filename and not filename.lower().endswith(accepts):
            raise WrongType(f"{printable(filename)!r}: {assignment.name!r} takes {', '.join(accepts)}")
        found = deadlines.lateness(schedule.due, moment, plan.penalties, plan.zone)
        late = actor.username == user and found.late
        arrived = received if commit else None
        submission = NewSubmission(user, assignment.name, actor.username, moment, body, late, schedule.due, arrived)
        accepted = self.store.accept(submission, issue_receipt(submission, self.signer, self._called(plan)))
        if commit:  # used up; should this be lost, the same bytes could only be handed in again
            accepted.result()
            self.store.change_commitments(
                assignment.name, user, lambda held: tuple(each for each in held if each != commit)
            )
        return accepted

    def assessed(self, receipt: Receipt) -> tuple[AssessedSubmission, str, CountingRule]:
        """A submission that was just accepted as its receipt has it, the file name of the version that counts now, and
        by which rule.
        """
        plan, kept = self.plan, receipt.submission
        (this,) = counting.assess([receipt], kept.due, plan)
        if plan.counts is CountingRule.LATEST or not this.lateness.late:
            return this, kept.filename, plan.counts
        everything = counting.assess(self.store.receipts(kept.assignment, kept.username), kept.due, plan)
        return this, (counting.counting(everything, plan.counts) or this).submission.filename, plan.counts

    def submissions(
        self, assignment: Assignment, which: CountingRule | None = CountingRule.LATEST
    ) -> list[ListedSubmission]:
        """One submission of every person, sorted by name: the latest, the last in time, or the one that counts
        (`None`).

        The latest is the file as it stands, an edit by hand included.
        """
        plan = self.plan
        given = {each.username: each for each in self.store.extensions(assignment.name)}
        kept: dict[Username, list[Receipt]] = {}
        for receipt in self.store.receipts(assignment.name):
            kept.setdefault(receipt.submission.username, []).append(receipt)
        found = []
        for file in self.store.latest_files(assignment.name):
            user = file.username
            due = self._schedule(assignment, given.get(user)).due
            one = counting.listed(file, counting.assess(kept.get(user, ()), due, plan), plan.counts, which)
            if one is not None:
                found.append(one)
        return found
