"""One course in a PostgreSQL database, for any number of servers at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import TypeVar

from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.chain import MakeTombstone
from mograder.domain.commitments import Commitment
from mograder.domain.contents import Survey
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import LatestFile
from mograder.domain.store import Versions
from mograder.store.postgres.accounts import ACCOUNT, ACCOUNTS_OF, PostgresAccounts
from mograder.store.postgres.audit import PostgresAudit
from mograder.store.postgres.blobs import Blobs
from mograder.store.postgres.commitments import COMMITMENTS_AT, PostgresCommitments
from mograder.store.postgres.config import PostgresConfig
from mograder.store.postgres.database import Connection, Database, Row
from mograder.store.postgres.erase import erase
from mograder.store.postgres.extensions import EXTENSIONS, EXTENSIONS_OF, PostgresExtensions
from mograder.store.postgres.grades import PostgresGrades
from mograder.store.postgres.guard import PostgresGuard
from mograder.store.postgres.jobs import PostgresJobs
from mograder.store.postgres.keys import PostgresKeys
from mograder.store.postgres.marking import PostgresMarking
from mograder.store.postgres.recall import Reading, read_from
from mograder.store.postgres.regrades import PostgresRegrades
from mograder.store.postgres.release import PostgresRelease
from mograder.store.postgres.rows import VERSIONS, commitments_place, read_commitments, record
from mograder.store.postgres.submissions import PostgresSubmissions
from mograder.store.postgres.survey import survey
from mograder.store.postgres.tables import CourseTables
from mograder.store.shared.courses import no_such_course

T = TypeVar("T")


class PostgresStore:
    """A `Store` with `SharedReads` and `CachedReads` (domain/store.py): the course of this name."""

    def __init__(
        self, database: Database, files: Blobs, course: str, on_close: Callable[[], object] = lambda: None
    ) -> None:
        """The database is shared; `close` calls `on_close`."""
        self.course = course
        self.tables = tables = CourseTables(database, files, course)
        self._on_close = on_close
        self._refreshing = threading.Lock()
        self._asked = self._answered = 0
        self._seen: Row = ()
        self._losses = 0
        self.accounts = PostgresAccounts(tables)
        self.keys = PostgresKeys(tables)
        self.config = PostgresConfig(tables)
        self.release = PostgresRelease(tables, self.config)
        self.submissions = PostgresSubmissions(tables)
        self.commitments = PostgresCommitments(tables)
        self.extensions = PostgresExtensions(tables)
        self.grades = PostgresGrades(tables)
        self.jobs = PostgresJobs(tables)
        self.regrades = PostgresRegrades(tables)
        self.marking = PostgresMarking(tables)
        self.guard = PostgresGuard(tables)
        self.audit = PostgresAudit(tables)

    def versions(self) -> Versions:
        return self.tables.memory.versions or self._numbered(self.tables.read(VERSIONS)[0])

    def _numbered(self, row: Row) -> Versions:
        """The versions in a row of VERSIONS, unlike all from before the last loss."""
        people, downloads, results, receipts = row
        return Versions((self._losses, people), (self._losses, downloads), (self._losses, results), receipts)

    async def refresh(
        self, users: Collection[str], announced: Collection[tuple[AssignmentName, Username]]
    ) -> dict[tuple[AssignmentName, Username], tuple[Commitment, ...]]:
        places = {commitments_place(*key): key for key in announced}
        while True:
            found = await self._ask(users, list(places))
            if found is not None:
                break
        return {key: read_commitments(*key, found[place]) if place in found else () for place, key in places.items()}

    async def _ask(self, users: Collection[str], places: list[str]) -> dict[str, str] | None:
        """Bring the memory up to date for these users; returns the documents at these places, or None: ask again.

        Raises NotFound for an archived course.
        """
        memory = self.tables.memory
        wanted = [each for each in map(Username, users) if memory.lacks((EXTENSIONS, (each,)))]
        keys = [each.key for each in wanted]
        queries: list[tuple[str, tuple[object, ...]]] = [(f"{VERSIONS} AND archived IS NULL", ())]
        if wanted:
            queries += [(ACCOUNTS_OF, (keys,)), (EXTENSIONS_OF, (wanted,))]
        if places:
            queries += [(COMMITMENTS_AT, (places,))]
        with self._refreshing:
            self._asked += 1
            number = self._asked
        found, *others = await self.tables.read_together(*queries)
        if not found:
            raise no_such_course(self.course)
        row = found[0]
        with self._refreshing:
            if number < self._answered:  # another event loop asked later, and has its answer
                return None
            self._answered = number
            if any(now < before for now, before in zip(row, self._seen, strict=False)):
                self._losses += 1  # a replica that lacks the last moments has taken over, and will reuse their numbers
            self._seen = row
            same = memory.set_versions(self._numbered(row))
            if wanted:
                memory.keep_each(ACCOUNT, keys, others[0])
                memory.keep_each(EXTENSIONS, wanted, others[1])
        if not same and len(wanted) < len(users):
            return None
        return dict(others[-1]) if places else {}

    def recalled(self, work: Callable[[], T], wait: bool) -> T:
        return read_from(Reading.MEMORY_FIRST if wait else Reading.MEMORY, work)

    def cached_assignments(self) -> tuple[Assignment, ...] | None:
        return None if self.tables.memory.versions is None else self.release.assignments()

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        return self.submissions.cached_latest_files(assignment)

    def version(self, assignment: AssignmentName) -> object:
        return self.versions().people  # grades and feedback change it: each change is an event

    def survey(self) -> Survey:
        return survey(self.tables, self.release)

    def erase(self, username: Username, make_tombstone: MakeTombstone, event: Event) -> None:
        def work(connection: Connection) -> None:
            erase(connection, self.course, username, make_tombstone)
            record(connection, self.course, [event])

        self.tables.write(work)

    def close(self) -> None:
        self.submissions.close()
        self._on_close()
