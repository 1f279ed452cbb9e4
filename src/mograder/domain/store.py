"""The port to storage. Every adapter passes the same contract tests; the docstrings are the promises.

Methods are synchronous and may be called from many threads. What has returned is on stable storage. Raises
`StorageFull` when there is no room, `Temporary` when the storage is away, `Unreadable` when something kept cannot
be understood; then each thing asked for is there whole or not at all, and asking again is safe.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from mograder.domain.access import Account
from mograder.domain.assignments import Assignment, Plan
from mograder.domain.chain import Link, Tombstone
from mograder.domain.commitments import Commitment
from mograder.domain.errors import Unreadable
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, CourseName, FileName, Username
from mograder.domain.receipts import Body, Head, Issue, NewSubmission, Receipt, Submission
from mograder.domain.rules import RuleChange


@dataclass(frozen=True)
class StoredFile:
    """A file that can be sent. `tag` changes whenever the bytes may have; `modified` is Unix seconds.

    Where the store has files, `hold` opens this one. Elsewhere `bring` gets the bytes from afar: small ones into
    memory, large ones into a file at `path`.
    """

    name: str
    size: int
    modified: float
    tag: str
    path: Path | None = None
    data: bytes | None = None
    bring: Callable[[], bytes | Path] | None = field(default=None, compare=False)
    hold: Callable[[], OpenedFile] | None = field(default=None, compare=False)

    def fetched_file(self) -> StoredFile:
        """The same with its bytes at `path` or in `data`; may take as long as a network does."""
        if self.bring is None:
            return self
        content = self.bring()
        cached = {"path": content} if isinstance(content, Path) else {"data": content}
        return replace(self, bring=None, **cached)

    def held(self) -> OpenedFile:
        """The file as it stands now, and its bytes, whatever somebody puts under its name from now on.

        Raises OSError.
        """
        if self.hold is not None:
            return self.hold()
        file = self.fetched_file()
        if file.data is not None:
            return file, io.BytesIO(file.data)
        assert file.path is not None
        return file, file.path.open("rb")

    def open(self) -> BinaryIO:
        return self.held()[1]

    def read(self) -> bytes:
        with self.open() as file:
            return file.read()


OpenedFile = tuple[StoredFile, BinaryIO]
"""A file as it stood when it was opened, and its bytes."""


@dataclass(frozen=True)
class LatestFile:
    """The latest submission of one person as it stands in the course now, a hand edit included."""

    username: Username
    filename: str
    size: int
    modified: float
    sha256: str  # "" when the bytes cannot be read


@dataclass(frozen=True)
class Event:
    """One line of the audit log: who did what to whom or what, and when (Unix microseconds)."""

    moment: int
    actor: str
    action: str
    subject: str
    detail: str = ""


@dataclass(frozen=True)
class Fetched:
    """That a person downloaded a file of an assignment, and when first (Unix microseconds)."""

    assignment: AssignmentName
    username: Username
    moment: int


class Upload(Body, Protocol):
    """A submission on its way in. `write` every chunk, then `finish`; `discard` drops it, at any time and twice."""

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


MakeTombstone = Callable[[Receipt], Tombstone]
"""Makes of a receipt what stays of it in the chain when it is erased."""

ERASED_NAME = "(erased)"
"""What the audit log calls whoever was erased."""

ChangeAccount = Callable[[Account | None], Account]
ChangeExtension = Callable[[Extension | None], Extension]
ChangeCommitments = Callable[[tuple[Commitment, ...]], tuple[Commitment, ...]]


class Store(Protocol):
    """One course's storage."""

    waits: bool
    """Whether reading may take long (a network lies between), so that it must not be done in an event loop."""

    def signing_key(self, make: Callable[[], bytes]) -> bytes:
        """The PEM of the key that signs receipts, made by `make` on first use.

        Raises Unreadable when one that has signed is gone.
        """
        ...

    def secrets(self) -> tuple[str, ...]:
        """The secrets that sign tokens, newest first, never empty; none that is past its end."""
        ...

    def change_secret(self, secret: str, until: int, event: Event) -> None:
        """Sign with `secret` from now on, in every server on this course; what was accepted until now still is,
        before `until` (Unix microseconds) at the latest."""
        ...

    def plan(self) -> Plan:
        """What the instructor has written about the course, as it stands now, or as it could last be understood."""
        ...

    def config_errors(self) -> tuple[Unreadable, ...]:
        """What people have written, by hand, so that it cannot be understood now. A plan or a list of assignments
        that this store could read before goes on meanwhile."""
        ...

    def plan_version(self) -> str:
        """Changes whenever the text that `plan` is read from does. Raises Unreadable when it cannot be understood."""
        ...

    def change_rules(
        self, assignment: AssignmentName, changes: Sequence[RuleChange], plan_version: str, event: Event
    ) -> None:
        """Write what changes of an assignment's rules into that text, which otherwise stays as the instructor wrote it,
        and record `event`, as one step.

        Raises ChangedMeanwhile unless the text is still that of `plan_version`; also Unreadable leaves it as it is.
        """
        ...

    def mark(self, assignment: AssignmentName | None = None) -> object:
        """Equal to an earlier one only if accounts, receipts, extensions, downloads and the trail are as they were, and
        of the `assignment`, if one is given, the grades, and who has handed in and who has feedback.

        `object()` is always right, and means that nothing made of them is kept for the next who asks.
        """
        ...

    # accounts

    def account(self, username: Username) -> Account | None:
        """The account of exactly this name."""
        ...

    def accounts(self) -> list[Account]:
        """All accounts, sorted by name."""
        ...

    def change_account(self, username: Username, change: ChangeAccount, event: Event) -> Account:
        """Replace an account and record `event`, as one step that nobody can get between.

        `change` gets the account whose name differs from `username` by case at most, or None; what it raises
        leaves everything as it was, and so does giving the account back as it is.
        """
        ...

    def change_accounts(self, changes: Sequence[tuple[Username, ChangeAccount, Event]]) -> list[Account]:
        """As `change_account`, for many accounts as one step: all are changed or none."""
        ...

    def spend(self, ticket: str, now: int, until: int) -> bool:
        """Whether `ticket` is spent by this call and by none before, in any server on this course.

        It may be forgotten once it is past `until` (Unix microseconds, as is `now`).
        """
        ...

    def note_failure(self, keys: Sequence[str], moment: int, keep: int) -> None:
        """Note a failure of each of the keys (digests), for all servers on this course.

        What was noted of anybody more than `keep` before or after `moment` (Unix microseconds) is dropped.
        """
        ...

    def failures(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        """What was noted of the keys, each with its moment, in no order."""
        ...

    def forget_failures(self, keys: Sequence[str]) -> None: ...

    # released files

    def assignments(self) -> tuple[Assignment, ...]:
        """Every assignment, sorted by name, as the course stands now."""
        ...

    def cached_assignments(self) -> tuple[Assignment, ...] | None:
        """What `assignments` gives; None where that cannot be said at once."""
        ...

    def find_assignment(self, text: str) -> Assignment | None:
        """The assignment of this name or, failing that, id; its `files` may be left out."""
        ...

    def release_file(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        """A file that students download; None unless it is inside the assignment and not hidden."""
        ...

    def note_fetched(self, notes: Sequence[Fetched]) -> None:
        """Keep who has downloaded what of an assignment; of each person and assignment the first note stays."""
        ...

    def fetched(self, username: Username | None = None) -> list[Fetched]:
        """All notes, or those of a person; sorted by assignment and name."""
        ...

    # submissions

    def upload(self) -> Upload:
        """A place for the bytes of one submission to come."""
        ...

    def accept(self, submission: NewSubmission, issue: Issue) -> Future[Accepted]:
        """Give the submission the next place in the chain and keep its bytes for ever: promised for when it is so.

        `issue` is called once the place is certain. When it returns `turn.latest`, nothing is kept. The latest
        file is then this version: latest means last accepted, whatever `received` says.
        """
        ...

    def latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...]:
        """The latest submission of every person, sorted by name."""
        ...

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        """What `latest_files` gives; None where that cannot be said at once."""
        ...

    def submitted_file(self, assignment: AssignmentName, filename: FileName) -> StoredFile | None:
        """A submission by its file name, the latest (alice.py) or a dated one."""
        ...

    def head(self) -> Head:
        """The end of the chain, an erased place included."""
        ...

    def chain(self) -> Iterator[Link]:
        """The whole chain in its order, with the places whose receipts were erased."""
        ...

    def receipts(self, assignment: AssignmentName | None = None, username: Username | None = None) -> Iterator[Receipt]:
        """The receipts in their order, or the part of it that belongs to an assignment, a person, or both."""
        ...

    def latest(self) -> list[Submission]:
        """What was last accepted of every person for every assignment, in no order."""
        ...

    def received_since(self, moment: int) -> list[int]:
        """The moments of all submissions that count as received at `moment` or later (Unix microseconds), in no
        order.
        """
        ...

    def free_space(self) -> int | None:
        """Bytes that are free where submissions are kept; None where the store cannot tell."""
        ...

    def handed_in(self, assignment: AssignmentName) -> list[Username]:
        """Everybody of whom a submission stands in the course now, one put there by hand included; in no order."""
        ...

    def erase(self, username: Username, attest: MakeTombstone, event: Event) -> None:
        """Keep nothing of a person: submissions, feedback, grades, account, and lines of the trail about them.

        Of each receipt stays what `attest` makes of it. The name goes from the trail's other lines. `account` then
        gives a removed account whose tokens of before are void, and `accounts` none. Safe to repeat.
        """
        ...

    # time

    def extensions(self, assignment: AssignmentName | None = None, username: Username | None = None) -> list[Extension]:
        """All of them, or those of an assignment, a person, or both; sorted by assignment and name."""
        ...

    def change_extensions(
        self, changes: Sequence[tuple[AssignmentName, Username, ChangeExtension, Event]]
    ) -> list[Extension]:
        """Replace extensions and record the events, as one step: all are changed or none.

        Each change gets what is there, or None; what it raises leaves everything as it was.
        """
        ...

    def commits(self, assignment: AssignmentName, username: Username) -> tuple[Commitment, ...]:
        """What a person has announced and not yet handed in, oldest first; some may have run out."""
        ...

    def change_commitments(
        self, assignment: AssignmentName, username: Username, change: ChangeCommitments
    ) -> tuple[Commitment, ...]:
        """Replace a person's commits for an assignment, as one step that nobody can get between; those now."""
        ...

    # grades and feedback

    def grades(self, assignment: AssignmentName) -> tuple[GradeEntry, ...]:
        """What is stored, in its order; empty when nothing is."""
        ...

    def merge_grades(self, assignment: AssignmentName, entries: tuple[GradeEntry, ...], event: Event) -> int:
        """Merge (see `grades.merge`) as one step; how many entries are stored after it."""
        ...

    def feedback(self, assignment: AssignmentName, username: Username) -> StoredFile | None:
        """The person's feedback page (HTML)."""
        ...

    def put_feedback(self, assignment: AssignmentName, pages: dict[Username, bytes], event: Event) -> None:
        """Keep feedback pages, replacing earlier ones of the same people."""
        ...

    # the trail

    def record(self, event: Event) -> None:
        """Add a line to the audit log."""
        ...

    def events(self, limit: int = 1000) -> list[Event]:
        """The last `limit` events of the audit log, newest first."""
        ...

    def close(self) -> None:
        """Finish what is in flight and let go of files and connections."""
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
