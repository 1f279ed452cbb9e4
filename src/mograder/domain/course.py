"""The course: a composite of services, one for each noun, over a store.

Services take parsed names and the person who asks (`Actor`), and return values or raise. The endpoint table says who
may call what; a service decides what an actor may do beyond that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from mograder.domain import tokens
from mograder.domain.accounts import Accounts, People
from mograder.domain.admission import Admission
from mograder.domain.codes import random_code
from mograder.domain.commitments import Commitment, Commitments
from mograder.domain.contents import Contents, contents
from mograder.domain.errors import Unreadable
from mograder.domain.extensions import Extensions
from mograder.domain.grades import Grades
from mograder.domain.guard import Guard
from mograder.domain.keys import Keys, course_name
from mograder.domain.release import Release
from mograder.domain.store import CachedReads, SharedReads, Store
from mograder.domain.submissions import Submissions

if TYPE_CHECKING:
    from mograder.domain.access import Actor
    from mograder.domain.assignments import Assignment, Plan
    from mograder.domain.audit import AuditStore
    from mograder.domain.devices import Devices
    from mograder.domain.erasure import Erasure
    from mograder.domain.gradebook import Gradebooks
    from mograder.domain.grading_record import GradingRecord
    from mograder.domain.grading_results import GradingResults, ReadRecord
    from mograder.domain.latest import LatestSubmissions
    from mograder.domain.login_codes import LoginCodes
    from mograder.domain.mark_release import MarkRelease
    from mograder.domain.marking_desk import MarkingDesk
    from mograder.domain.names import AssignmentName, Username
    from mograder.domain.presence import Presence
    from mograder.domain.publishing import Publishing
    from mograder.domain.receipts import LatestFile, Signer
    from mograder.domain.regrading import Regrades
    from mograder.domain.roster import Roster
    from mograder.domain.rule_editor import RuleEditor
    from mograder.domain.standings import Standings

T = TypeVar("T")


def _reads_no_record(text: str) -> GradingRecord:
    raise Unreadable("this course reads no grading records", text[:20])


class Course(Struct, frozen=True, dict=True):
    """One course over a store. Only code that puts courses together reads `store`; all other code uses the services.

    `clock` returns Unix microseconds. An `enrollment_code` of "" means that no shared code is in use. `max_upload` is
    the size of the largest submission in bytes.
    """

    store: Store
    signer: Signer
    clock: Callable[[], int]
    enrollment_code: str = ""
    max_upload: int = 100 * 1024 * 1024
    read_record: ReadRecord = _reads_no_record
    new_code: Callable[[], str] = random_code
    new_secret: Callable[[], str] = tokens.random_secret

    # the services: those that a server does not need at its start are imported when they are first used

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(
            self.store.accounts, self.store.keys, self._people, self.clock, self.enrollment_code,
            lambda: self.plan.max_people,
        )  # fmt: skip

    @cached_property
    def roster(self) -> Roster:
        from mograder.domain.roster import Roster

        return Roster(self.store.accounts, self.store.keys, self._people, self.clock, self.new_code)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.store.keys, self.signer, self.clock, self.new_secret)

    @cached_property
    def release(self) -> Release:
        return Release(self.store.release, self.extensions, self.store.config, self.clock)

    @cached_property
    def rules(self) -> RuleEditor:
        from mograder.domain.rule_editor import RuleEditor

        return RuleEditor(self.store.config, self.store.release, self.clock, self.max_upload)

    @cached_property
    def publishing(self) -> Publishing:
        from mograder.domain.publishing import Publishing

        return Publishing(self.store.release, self.rules, self.clock)

    @cached_property
    def extensions(self) -> Extensions:
        return Extensions(self.store.extensions, self.store.config, self.clock, self._people.is_known)

    @cached_property
    def admission(self) -> Admission:
        return Admission(self.store.config, self.max_upload)

    @cached_property
    def commitments(self) -> Commitments:
        return Commitments(self.store.commitments, self.admission, self.extensions)

    @cached_property
    def submissions(self) -> Submissions:
        store = self.store
        return Submissions(
            store.submissions, store.commitments, store.config, self.extensions, self.admission, self.signer, self.clock
        )

    @cached_property
    def grades(self) -> Grades:
        def attempts(assignment: AssignmentName) -> dict[str, int]:
            found = (each for _, each in self.store.submissions.latest(0))
            return {each.username: each.attempt for each in found if each.assignment == assignment}

        return Grades(self.store.grades, self.clock, self._people.everybody, attempts)

    @cached_property
    def latest(self) -> LatestSubmissions:
        from mograder.domain.latest import LatestSubmissions

        return LatestSubmissions(self.store)

    @cached_property
    def standings(self) -> Standings:
        from mograder.domain.board import CurrentBoard
        from mograder.domain.standings import Standings

        return Standings(self.store, self.extensions, self.latest, CurrentBoard(self.store, self.latest))

    @cached_property
    def results(self) -> GradingResults:
        from mograder.domain.grading_results import GradingResults

        return GradingResults(self.store, self.extensions, self.clock, self.read_record, self.signer)

    @cached_property
    def marking(self) -> MarkingDesk:
        from mograder.domain.marking_desk import MarkingDesk
        from mograder.domain.marking_entries import MarkingEntries

        return MarkingDesk(
            self.store, self.latest, MarkingEntries(self.store), self.extensions, self._people, self.clock,
            lru_cache(4096)(self.read_record), self.new_secret,
        )  # fmt: skip

    @cached_property
    def mark_release(self) -> MarkRelease:
        from mograder.domain.mark_release import MarkRelease

        return MarkRelease(self.store, self.marking, self.clock)

    @cached_property
    def regrades(self) -> Regrades:
        from mograder.domain.regrading import Regrades

        read = lru_cache(4096)(self.read_record)
        return Regrades(self.store, self.submissions, self.mark_release, self.clock, read, self.new_secret)

    @cached_property
    def gradebooks(self) -> Gradebooks:
        from mograder.domain.gradebook import Gradebooks

        return Gradebooks(self.store, self.submissions, self.extensions, self.read_record)

    @cached_property
    def guard(self) -> Guard:
        return Guard(self.store.guard, self.clock)

    @cached_property
    def presence(self) -> Presence:
        from mograder.domain.presence import Presence

        return Presence(self.store.guard, self.clock)

    @cached_property
    def login_codes(self) -> LoginCodes:
        from mograder.domain.login_codes import LoginCodes

        return LoginCodes(self.store.keys, self.accounts, self.guard, self.store.audit, self.clock)

    @cached_property
    def devices(self) -> Devices:
        from mograder.domain.devices import Devices

        return Devices(self.store.audit, self.guard, self.clock)

    @cached_property
    def erasure(self) -> Erasure:
        from mograder.domain.erasure import Erasure

        return Erasure(self.store, self.signer, self.clock)

    @property
    def audit(self) -> AuditStore:
        return self.store.audit

    @cached_property
    def _people(self) -> People:
        return People(self.store.accounts, self.store.submissions, self.store.release)

    @cached_property
    def _cached_reads(self) -> CachedReads | None:
        return self.store if isinstance(self.store, CachedReads) else None

    @cached_property
    def _shared_reads(self) -> SharedReads | None:
        return self.store if isinstance(self.store, SharedReads) else None

    # the course itself

    @property
    def plan(self) -> Plan:
        """The current content of mograder.toml."""
        return self.store.config.plan()

    @property
    def title(self) -> str:
        return self.plan.title

    @property
    def url(self) -> str:
        """The address at which students reach the course, "" if the plan gives none."""
        return self.plan.url

    @property
    def name(self) -> str:
        """The name of the course in receipts: its title, else the fingerprint of its key."""
        return course_name(self.plan, self.signer)

    def config_errors(self, actor: Actor) -> tuple[Unreadable, ...]:
        """One error for each file of the course that cannot be parsed now; empty for students."""
        return self.store.config.errors() if actor.is_instructor else ()

    def contents(self) -> Contents:
        """What the course contains, and what was left out and why. For instructors, as it names paths on the disk."""
        return contents(self.store.release.assignments(), self.plan, self.store.survey())

    @property
    def is_remote(self) -> bool:
        """Whether the store has `SharedReads`."""
        return self._shared_reads is not None

    async def refresh(
        self, users: Collection[str], announced: Collection[tuple[AssignmentName, Username]]
    ) -> Mapping[tuple[AssignmentName, Username], tuple[Commitment, ...]]:
        """See `SharedReads.refresh`. For a store without it, this only reads the commitments."""
        if self._shared_reads is not None:
            return await self._shared_reads.refresh(users, announced)
        return {key: self.store.commitments.of(*key) for key in announced}

    def recalled(self, work: Callable[[], T], wait: bool) -> T:
        """See `SharedReads.recalled`. For a store without it, this calls `work`."""
        return work() if self._shared_reads is None else self._shared_reads.recalled(work, wait)

    def version(self) -> object:
        """Changes whenever accounts or extensions do, and with no submission."""
        return self.store.versions().people

    def cached_assignments(self) -> tuple[Assignment, ...] | None:
        """The assignments of the store from memory, None if it would have to read."""
        return self._cached_reads.cached_assignments() if self._cached_reads else None

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        """The latest submission of every person from memory, None if the store would have to read."""
        return self._cached_reads.cached_latest_files(assignment) if self._cached_reads else None

    def close(self) -> None:
        """Finish pending submissions, and close files and connections."""
        self.store.close()
