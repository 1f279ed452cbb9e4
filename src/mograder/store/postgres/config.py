"""The configuration of a course in a database: its mograder.toml, a document."""

from __future__ import annotations

from collections.abc import Sequence

from mograder import course_file
from mograder.domain.assignments import Plan
from mograder.domain.audit import Event
from mograder.domain.errors import Unreadable
from mograder.domain.names import AssignmentName
from mograder.domain.rules import RuleChange
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import PLAN, lock_document, put_document, record
from mograder.store.postgres.tables import Adapter
from mograder.store.shared.config_text import edited, tag_of


class PostgresConfig(Adapter):
    """A `ConfigStore`."""

    def plan(self) -> Plan:
        return self._tables.parsed(PLAN, lambda text: course_file.parse_course_file(text).plan(), Plan())

    def errors(self) -> tuple[Unreadable, ...]:
        return ()  # a document is parsed before it is stored

    def version(self) -> str:
        rows = self._tables.read("SELECT content FROM documents WHERE course = %s AND place = %s", PLAN)
        return tag_of(rows[0][0] if rows else "")

    def change_rules(
        self, assignment: AssignmentName | None, changes: Sequence[RuleChange], version: str, event: Event
    ) -> None:
        def work(connection: Connection) -> None:
            held = lock_document(connection, self._course, PLAN, "")
            text = edited(held, assignment, changes, version, f"{PLAN} of course {self._course}")
            put_document(connection, self._course, PLAN, text)
            record(connection, self._course, [event])

        self._tables.write(work)
