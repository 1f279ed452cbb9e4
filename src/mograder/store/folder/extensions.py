"""Extensions in the ledger of a course folder."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.audit import Event
from mograder.domain.extensions import ChangeExtension, Extension
from mograder.domain.names import AssignmentName, Username
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import change_extension, where_asked
from mograder.store.shared.rows import EXTENSION_COLUMNS, extension_of


class FolderExtensions:
    """An `ExtensionsStore`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find(self, assignment: AssignmentName | None = None, username: Username | None = None) -> list[Extension]:
        where, values = where_asked(assignment=assignment, username=username)
        rows = self._ledger.read(
            f"SELECT {EXTENSION_COLUMNS} FROM extensions WHERE {where} ORDER BY assignment, username", values
        )
        return [extension_of(row) for row in rows]

    def change(self, changes: Sequence[tuple[AssignmentName, Username, ChangeExtension, Event]]) -> list[Extension]:
        return self._ledger.write(lambda connection: [change_extension(connection, *each) for each in changes])
