"""One course in a PostgreSQL database, for any number of servers at once."""

from __future__ import annotations

from collections.abc import Callable

from mograder.domain.audit import Event
from mograder.domain.chain import MakeTombstone
from mograder.domain.contents import Survey
from mograder.domain.names import AssignmentName, Username
from mograder.domain.store import Versions
from mograder.store.postgres.accounts import PostgresAccounts
from mograder.store.postgres.audit import PostgresAudit
from mograder.store.postgres.blobs import Blobs
from mograder.store.postgres.commitments import PostgresCommitments
from mograder.store.postgres.config import PostgresConfig
from mograder.store.postgres.database import Connection, Database
from mograder.store.postgres.erase import erase
from mograder.store.postgres.extensions import PostgresExtensions
from mograder.store.postgres.grades import PostgresGrades
from mograder.store.postgres.guard import PostgresGuard
from mograder.store.postgres.jobs import PostgresJobs
from mograder.store.postgres.keys import PostgresKeys
from mograder.store.postgres.marking import PostgresMarking
from mograder.store.postgres.regrades import PostgresRegrades
from mograder.store.postgres.release import PostgresRelease
from mograder.store.postgres.rows import VERSIONS, record
from mograder.store.postgres.submissions import PostgresSubmissions
from mograder.store.postgres.survey import survey
from mograder.store.postgres.tables import CourseTables


class PostgresStore:
    """A `Store` (domain/store.py): the course of this name."""

    is_remote = True

    def __init__(
        self, database: Database, files: Blobs, course: str, on_close: Callable[[], object] = lambda: None
    ) -> None:
        """The database is shared; `close` calls `on_close`."""
        self.course = course
        self.tables = tables = CourseTables(database, files, course)
        self._on_close = on_close
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
        return Versions(*self.tables.read(VERSIONS)[0])

    def version(self, assignment: AssignmentName) -> object:
        return self.versions().people  # grades and feedback are recorded, and no file is put there by hand

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
