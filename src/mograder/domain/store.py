"""The storage of a course, composed of one port a noun. Every adapter passes the same contract tests.

Methods are synchronous and may be called from many threads. What has returned is on stable storage. Raises
`StorageFull` when there is no room, `Temporary` when the storage is away, `Unreadable` when stored data cannot be
parsed; then each requested change is there whole or not at all, and retrying is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from mograder.domain.accounts import AccountsStore
    from mograder.domain.assignments import Assignment
    from mograder.domain.audit import AuditStore, Event
    from mograder.domain.chain import MakeTombstone
    from mograder.domain.commitments import Commitment, CommitmentsStore
    from mograder.domain.contents import Survey
    from mograder.domain.extensions import ExtensionsStore
    from mograder.domain.grades import GradesStore
    from mograder.domain.grading_jobs import JobsStore
    from mograder.domain.guard import GuardStore
    from mograder.domain.keys import KeysStore
    from mograder.domain.marking import MarkingStore
    from mograder.domain.names import AssignmentName, CourseName, Username
    from mograder.domain.receipts import LatestFile
    from mograder.domain.regrade_jobs import RegradesStore
    from mograder.domain.release import ReleaseStore
    from mograder.domain.rules import ConfigStore
    from mograder.domain.submissions import SubmissionsStore

T = TypeVar("T")


@dataclass(frozen=True)
class Versions:
    """The version of each noun that a store keeps: equal to an earlier one only if the noun is unchanged.

    `people` are accounts and extensions; `downloads` who has fetched what; `results` those of grading; `receipts` is
    the number of the last receipt. As long as `people` is equal, the receipts of before are unchanged as well: others
    only come behind them.
    """

    people: object
    downloads: object
    results: object
    receipts: int


class Store(Protocol):
    """One course's storage."""

    @property
    def accounts(self) -> AccountsStore: ...
    @property
    def keys(self) -> KeysStore: ...
    @property
    def config(self) -> ConfigStore: ...
    @property
    def release(self) -> ReleaseStore: ...
    @property
    def submissions(self) -> SubmissionsStore: ...
    @property
    def commitments(self) -> CommitmentsStore: ...
    @property
    def extensions(self) -> ExtensionsStore: ...
    @property
    def grades(self) -> GradesStore: ...
    @property
    def jobs(self) -> JobsStore: ...
    @property
    def regrades(self) -> RegradesStore: ...
    @property
    def marking(self) -> MarkingStore: ...
    @property
    def guard(self) -> GuardStore: ...
    @property
    def audit(self) -> AuditStore: ...

    @property
    def is_remote(self) -> bool:
        """Whether reading may take long (a network lies between), so that it must not be done in an event loop."""
        ...

    def versions(self) -> Versions:
        """The versions as they are now, whoever has changed something."""
        ...

    def version(self, assignment: AssignmentName) -> object:
        """Equal to an earlier version only if an assignment's grades, who has feedback in it, and who has a submission
        without a receipt, are unchanged. A store that cannot tell returns a new `object()`, so that nothing read before
        counts as current.
        """
        ...

    def survey(self) -> Survey:
        """What stands in the course besides assignments, and what is not in force."""
        ...

    def erase(self, username: Username, make_tombstone: MakeTombstone, event: Event) -> None:
        """Erase a person: submissions, feedback, grades, account, and the audit log's lines about them.

        Each receipt is replaced by the tombstone that `make_tombstone` makes of it. The name is taken out of the
        audit log's other lines. Afterwards `accounts.get` returns a removed account whose earlier tokens are void, and
        `accounts.all` leaves it out. Safe to repeat.
        """
        ...

    def close(self) -> None:
        """Finish what is in flight and let go of files and connections."""
        ...


@runtime_checkable
class CachedReads(Protocol):
    """What a store may offer besides: lists that it holds in memory and knows to be current."""

    def cached_assignments(self) -> tuple[Assignment, ...] | None:
        """What `release.assignments` returns; None when that takes reading."""
        ...

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        """What `submissions.latest_files` returns; None when that takes reading."""
        ...


class NotAtHand(Exception):
    """What some work needs is not in memory, and the work must not wait for it."""


@runtime_checkable
class SharedReads(Protocol):
    """What a remote store may offer besides: it is asked once, for all requests that wait, whether what was read before
    still holds, and answers from memory what does.
    """

    def refresh(
        self, users: Collection[str], announced: Collection[tuple[AssignmentName, Username]]
    ) -> Mapping[tuple[AssignmentName, Username], tuple[Commitment, ...]]:
        """Ask what holds now, and read what requests of these `users` need; the commitments that were asked for."""
        ...

    def recalled(self, work: Callable[[], T], wait: bool) -> T:
        """What `work`, which writes nothing, returns, as of the last `refresh` or later. Where something has to be read
        for it, that is waited for, or (without `wait`) NotAtHand is raised.
        """
        ...


@dataclass(frozen=True)
class CourseEntry:
    """A course among many. `archived` is when it was closed, None while it is open (Unix microseconds)."""

    name: CourseName
    created: int
    archived: int | None


class Courses(Protocol):
    """Many courses, each with people, roles and secrets of its own. Methods may be called from many threads."""

    def entries(self) -> list[CourseEntry]:
        """All of them, sorted by name."""
        ...

    def with_tests(self) -> list[CourseName]:
        """Those that are open and have notebooks with tests, by which submissions are graded; sorted by name."""
        ...

    def open(self, name: CourseName) -> Store:
        """The course's store, the same one as long as it is open. Raises NotFound, also when it is archived."""
        ...

    def create(self, name: CourseName, event: Event) -> None:
        """Make an empty course with a secret of its own. Raises NameTaken."""
        ...

    def archive(self, name: CourseName, archived: int | None, event: Event) -> None:
        """Close a course to everybody, or open it again (None). Everything is kept. Raises NotFound."""
        ...

    def close(self) -> None:
        """Close every store that was opened."""
        ...
