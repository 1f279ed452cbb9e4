"""The storage of a course, composed of one port for each noun. Every adapter passes the same contract tests.

Methods are synchronous and thread-safe. When a method returns, its changes are on stable storage. Methods raise
`StorageFull` if the disk is full, `Temporary` if the storage is away, and `Unreadable` if stored data cannot be parsed;
then each change is complete or absent, and a retry is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

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


class Versions(Struct, frozen=True):
    """The version of each noun: equal to an earlier one only if the noun is unchanged.

    `people` covers accounts and extensions, `downloads` the notes about downloads, `results` those of grading;
    `receipts` is the number of the last receipt. While `people` is equal, earlier receipts are unchanged, too.
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

    def versions(self) -> Versions:
        """The present versions, which include changes by other servers."""
        ...

    def version(self, assignment: AssignmentName) -> object:
        """The version of an assignment's grades, of the people with feedback, and of those with a submission without a
        receipt. A store that does not know returns a new `object()`, which equals no earlier version.
        """
        ...

    def survey(self) -> Survey:
        """What is in the course besides assignments, and what is not in force."""
        ...

    def erase(self, username: Username, make_tombstone: MakeTombstone, event: Event) -> None:
        """Erase a person: submissions, feedback, grades, account, and the events about them.

        `make_tombstone` makes the tombstone that replaces each receipt. The name is removed from other events.
        Afterwards `accounts.get` returns a removed account whose earlier tokens are void, and `accounts.all` leaves it
        out. Safe to repeat.
        """
        ...

    def close(self) -> None:
        """Finish pending work, and close files and connections."""
        ...


@runtime_checkable
class CachedReads(Protocol):
    """An optional interface of a store: lists that it has in memory and knows to be current."""

    def cached_assignments(self) -> tuple[Assignment, ...] | None:
        """As `release.assignments`, but None if something would have to be read."""
        ...

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        """As `submissions.latest_files`, but None if something would have to be read."""
        ...


class NotCached(Exception):
    """A value is not in memory, and the caller must not wait for a read."""


@runtime_checkable
class SharedReads(Protocol):
    """The interface of a remote store: reads may take long, so that no event loop may wait for them. One query for
    all waiting requests checks what in memory is still right, and requests are answered from memory.
    """

    async def refresh(
        self, users: Collection[str], announced: Collection[tuple[AssignmentName, Username]]
    ) -> Mapping[tuple[AssignmentName, Username], tuple[Commitment, ...]]:
        """Read the present versions and the data for requests of `users`; returns the commitments of `announced`.

        Raises NotFound for a course that is archived now.
        """
        ...

    def recalled(self, work: Callable[[], T], wait: bool) -> T:
        """Call `work`, which only reads: from memory, as of the last `refresh` or later. If something is not in memory,
        it is read (`wait`), or NotCached is raised.
        """
        ...


class CourseEntry(Struct, frozen=True):
    """One of many courses. `archived` is when it was archived, or None. Times are in Unix microseconds."""

    name: CourseName
    created: int
    archived: int | None


class Courses(Protocol):
    """Many courses, each with its own people, roles and secrets. Methods are thread-safe."""

    def entries(self) -> list[CourseEntry]:
        """All courses, sorted by name."""
        ...

    def with_tests(self) -> list[CourseName]:
        """The open courses with notebooks that have tests, sorted by name."""
        ...

    def open(self, name: CourseName) -> Store:
        """The course's store, the same one while it is open. Raises NotFound, also for an archived course."""
        ...

    def create(self, name: CourseName, event: Event) -> None:
        """Make an empty course with a secret of its own. Raises NameTaken."""
        ...

    def archive(self, name: CourseName, archived: int | None, event: Event) -> None:
        """Archive a course, which closes it to everybody, or open it again (None). Raises NotFound."""
        ...

    def close(self) -> None:
        """Close every store that was opened."""
        ...
