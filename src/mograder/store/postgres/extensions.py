"""Extensions of a course in a database."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.audit import Event
from mograder.domain.extensions import ChangeExtension, Extension
from mograder.domain.names import AssignmentName, Username
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import put_extension, record, where_asked
from mograder.store.postgres.tables import Adapter
from mograder.store.shared.rows import EXTENSION_COLUMNS, extension_of

EXTENSIONS = f"SELECT {EXTENSION_COLUMNS} FROM extensions WHERE course = %s AND username = %s"
EXTENSIONS_OF = f"SELECT username, {EXTENSION_COLUMNS} FROM extensions WHERE course = %s AND username = ANY(%s)"
"""The extensions of several people, each behind its name."""


class PostgresExtensions(Adapter):
    """An `ExtensionsStore`."""

    def find(self, assignment: AssignmentName | None = None, username: Username | None = None) -> list[Extension]:
        if username is not None:
            rows = self._tables.recall(EXTENSIONS, username)
        else:
            where, values = where_asked(assignment=assignment)
            rows = self._tables.read(f"SELECT {EXTENSION_COLUMNS} FROM extensions WHERE course = %s{where}", *values)
        found = (each for each in map(extension_of, rows) if assignment in (None, each.assignment))
        return sorted(found, key=lambda each: (each.assignment, each.username))

    def change(self, changes: Sequence[tuple[AssignmentName, Username, ChangeExtension, Event]]) -> list[Extension]:
        def work(connection: Connection) -> list[Extension]:
            connection.execute("SELECT 1 FROM courses WHERE course = %s FOR UPDATE", (self._course,))
            changed = []
            for assignment, username, change, event in changes:
                row = connection.execute(
                    f"SELECT {EXTENSION_COLUMNS} FROM extensions "
                    "WHERE course = %s AND assignment = %s AND username = %s",
                    (self._course, assignment, username),
                ).fetchone()
                changed.append(change(extension_of(row) if row else None))
                put_extension(connection, self._course, changed[-1])
                record(connection, self._course, [event])
            return changed

        return self._tables.write(work)
