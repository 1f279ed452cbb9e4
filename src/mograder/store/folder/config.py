"""The configuration of a course folder: its mograder.toml."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence

from mograder import course_file
from mograder.domain.assignments import Plan
from mograder.domain.audit import Event
from mograder.domain.errors import Unreadable
from mograder.domain.names import AssignmentName
from mograder.domain.rules import RuleChange
from mograder.store.folder.grades import FolderGrades
from mograder.store.folder.layout import Folders
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.release import ReleaseFolder
from mograder.store.folder.rows import record
from mograder.store.shared import files
from mograder.store.shared.config_text import edited, tag_of
from mograder.store.shared.files import storage_errors
from mograder.store.shared.stat_cache import LastGood


class FolderConfig:
    """A `ConfigStore`."""

    def __init__(self, folders: Folders, ledger: Ledger, release: ReleaseFolder, grades: FolderGrades) -> None:
        self._path = folders.course / course_file.CONFIG_NAME
        self._ledger = ledger
        self._release = release
        self._grades = grades
        self._plan = LastGood(lambda path: course_file.read_course_file(path).plan(), Plan())

    def plan(self) -> Plan:
        return self._plan.get(str(self._path))

    def errors(self) -> tuple[Unreadable, ...]:
        found: list[Unreadable | None] = []
        with contextlib.suppress(Unreadable, OSError):
            found.append(self._release.error(self.plan()))
        found.append(self._plan.error)
        with contextlib.suppress(OSError):
            found += self._grades.broken_tables()
        return tuple(each for each in found if each is not None)

    def version(self) -> str:
        course_file.read_course_file(self._path)  # raises if the text is broken, which `plan` tolerates
        return tag_of(course_file.read_text(self._path).raw)

    def change_rules(
        self, assignment: AssignmentName | None, changes: Sequence[RuleChange], version: str, event: Event
    ) -> None:
        def work(connection: sqlite3.Connection) -> None:
            record(connection, event)
            with storage_errors(f"change {self._path.name}"):
                before = course_file.read_text(self._path)
                text = edited(before.raw, assignment, changes, version, str(self._path))
                files.rewrite_file(self._path, before.encode(text))

        self._ledger.write(work)
