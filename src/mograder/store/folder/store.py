"""The course folder on disk: plain files that a person can read, grep, rsync and back up."""

from __future__ import annotations

import os
import sqlite3
from functools import cached_property
from typing import TYPE_CHECKING

from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.chain import MakeTombstone
from mograder.domain.contents import Survey
from mograder.domain.errors import Temporary, Unreadable
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import LatestFile
from mograder.domain.store import Versions
from mograder.store.folder.accounts import FolderAccounts
from mograder.store.folder.audit import FolderAudit
from mograder.store.folder.commitments import FolderCommitments
from mograder.store.folder.config import FolderConfig
from mograder.store.folder.erase import erase_files, erase_rows
from mograder.store.folder.extensions import FolderExtensions
from mograder.store.folder.grades import FolderGrades
from mograder.store.folder.guard import FolderGuard
from mograder.store.folder.in_use import FoldersInUse
from mograder.store.folder.keys import FolderKeys, Secrets, make_secret
from mograder.store.folder.layout import BEGIN_ANEW, LEDGER, LOCK, SIGNING_KEY, Folders
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.placement import Placement
from mograder.store.folder.release import FolderRelease, ReleaseFolder
from mograder.store.folder.rows import VERSIONS, record
from mograder.store.folder.settling import Settler
from mograder.store.folder.submissions import FolderSubmissions
from mograder.store.folder.survey import FolderSurvey
from mograder.store.shared.files import storage_errors
from mograder.store.shared.rows import RECEIPT_COLUMNS, receipt_of
from mograder.store.shared.stat_cache import StatSnapshot

if TYPE_CHECKING:
    from mograder.store.folder.jobs import FolderJobs
    from mograder.store.folder.marking import FolderMarking
    from mograder.store.folder.regrades import FolderRegrades


class FolderStore:
    """A `Store` (domain/store.py) over a course folder, with `CachedReads`."""

    def __init__(self, folders: Folders) -> None:
        """Opens the course, makes its secret and ledger on first use, and finishes submissions after a crash."""
        if not folders.root.is_dir():
            raise Temporary(f"{folders.root} is not a folder")
        self.folders = folders
        secrets = Secrets(folders.root)
        release = ReleaseFolder(folders)
        with storage_errors("open the course"):
            make_secret(folders.root)
            secrets.all()
            _refuse_without_ledger(folders)
            self.ledger = ledger = Ledger(folders.root / LEDGER, folders.root / LOCK)
        in_use = FoldersInUse(folders, ledger)
        placement = Placement(folders, ledger)
        self.settler = Settler(folders, ledger, in_use, placement)
        self.accounts = FolderAccounts(ledger)
        self.keys = FolderKeys(folders.root, ledger, secrets)
        self.grades = FolderGrades(folders, ledger, in_use)
        self.config = FolderConfig(folders, ledger, release, self.grades)
        self.release = FolderRelease(ledger, release, self.config.plan)
        self.submissions = FolderSubmissions(folders, ledger, in_use, placement, self.settler)
        self.commitments = FolderCommitments(ledger)
        self.extensions = FolderExtensions(ledger)
        self.guard = FolderGuard(ledger)
        self.audit = FolderAudit(ledger)
        self._versions: tuple[object, Versions] = (None, Versions(0, 0, 0, 0))
        self._survey = FolderSurvey(folders, lambda: bool(ledger.read("SELECT 1 FROM receipts LIMIT 1")))

    @cached_property
    def jobs(self) -> FolderJobs:
        from mograder.store.folder.jobs import FolderJobs

        return FolderJobs(self.ledger)

    @cached_property
    def regrades(self) -> FolderRegrades:
        from mograder.store.folder.regrades import FolderRegrades

        return FolderRegrades(self.ledger)

    @cached_property
    def marking(self) -> FolderMarking:
        from mograder.store.folder.marking import FolderMarking

        return FolderMarking(self.ledger, self.grades)

    def versions(self) -> Versions:
        # In this order: a commit between the two reads shows as a change the next time.
        seen = self.ledger.read("PRAGMA data_version")
        if self._versions[0] != seen:
            found = dict(self.ledger.read(VERSIONS))
            self._versions = (seen, Versions(found["people"], found["downloads"], found["results"], found["receipts"]))
        return self._versions[1]

    def version(self, assignment: AssignmentName) -> object:
        snapshot = StatSnapshot()
        with storage_errors("look at the course"):
            grades = self.grades.look(assignment, snapshot)
            for folder in (str(self.folders.submitted), f"{self.folders.submitted}{os.sep}{assignment}"):
                snapshot.look(folder)
        return object() if snapshot.in_doubt else (grades, snapshot.seen)

    def survey(self) -> Survey:
        with storage_errors("look over the course"):
            return self._survey.look()

    def cached_assignments(self) -> tuple[Assignment, ...] | None:
        return self.release.cached_assignments()

    def cached_latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...] | None:
        return self.submissions.cached_latest_files(assignment)

    def erase(self, username: Username, make_tombstone: MakeTombstone, event: Event) -> None:
        def rows(connection: sqlite3.Connection) -> list[str]:
            pending = "SELECT spool FROM pending JOIN receipts USING (number) WHERE username = ? AND spool IS NOT NULL"
            spools = [name for (name,) in connection.execute(pending, (username,)).fetchall()]
            own = connection.execute(f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE username = ?", (username,))
            erase_rows(connection, username, [make_tombstone(receipt_of(row)) for row in own.fetchall()])
            record(connection, event)
            return spools

        def work(connection: sqlite3.Connection) -> None:
            with storage_errors("erase the files"):
                for name in spools:
                    (self.folders.submitted / name).unlink(missing_ok=True)
                erase_files(connection, self.folders, username)
                self.grades.erase(username)

        # The ledger first, durably: if removing the files fails, the erasure can be requested again.
        spools = self.ledger.write(rows)
        self.ledger.write(work)
        self.ledger.compact()

    def close(self) -> None:
        self.settler.stop()
        self.ledger.close()


def _refuse_without_ledger(folders: Folders) -> None:
    key, ledger = folders.root / SIGNING_KEY, folders.root / LEDGER
    # In this order: a server that starts beside this one makes the ledger before the key.
    if key.exists() and not ledger.exists():
        raise Unreadable(f"the course's ledger is missing: {BEGIN_ANEW}", str(ledger))
