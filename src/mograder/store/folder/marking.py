"""Marking, in the ledger of a course folder. Grades that a release changes are written under the process lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mograder.domain.audit import Event
from mograder.domain.marking import Entry, GradesChange, Kind, MarkingConflict, conflicts
from mograder.domain.names import AssignmentName
from mograder.store.folder.grades import FolderGrades
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import places, record, where_asked
from mograder.store.shared.marking_rows import MARKING_COLUMNS, entry_of, entry_values, place_values
from mograder.store.shared.rows import Row

_HELD = f"""SELECT {MARKING_COLUMNS} FROM marking
WHERE assignment = ? AND kind = ? AND username = ? AND key = ? AND latest = 1"""

_SINCE = f"SELECT number, {MARKING_COLUMNS} FROM marking WHERE assignment = ? AND number > ? AND latest = 1"


class FolderMarking:
    """A `MarkingStore`."""

    def __init__(self, ledger: Ledger, grades: FolderGrades) -> None:
        self._ledger = ledger
        self._grades = grades

    def current(
        self, assignment: AssignmentName, kinds: Sequence[Kind] = tuple(Kind), username: str | None = None
    ) -> list[Entry]:
        where, values = where_asked(assignment=assignment, username=username)
        wanted = ", ".join("?" for _ in kinds)
        sql = f"SELECT {MARKING_COLUMNS} FROM marking WHERE {where} AND latest = 1 AND kind IN ({wanted})"
        return list(map(entry_of, self._ledger.read(sql, (*values, *(each.value for each in kinds)))))

    def history(self, assignment: AssignmentName, username: str | None = None) -> list[Entry]:
        where, values = where_asked(assignment=assignment, username=username)
        sql = f"SELECT {MARKING_COLUMNS} FROM marking WHERE {where} ORDER BY number"
        return list(map(entry_of, self._ledger.read(sql, values)))

    def since(self, assignment: AssignmentName, number: int) -> list[tuple[int, Entry]]:
        rows = self._ledger.read(_SINCE, (assignment, number))
        return [(row[0], entry_of(row[1:])) for row in rows]

    def count(self) -> int:
        return int(self._ledger.read("SELECT coalesce(max(number), 0) FROM marking")[0][0])

    def write(
        self, assignment: AssignmentName, entries: Sequence[Entry], events: Sequence[Event] = (),
        grades: GradesChange | None = None,
    ) -> None:  # fmt: skip
        def work(connection: sqlite3.Connection) -> None:
            places_held = [_held(connection, each) for each in entries]
            held = {each.place: each for each in map(entry_of, filter(None, places_held))}
            if found := conflicts(entries, held):
                raise MarkingConflict(found)
            connection.executemany(
                "UPDATE marking SET latest = 0 WHERE assignment = ? AND kind = ? AND username = ? AND key = ? "
                "AND latest = 1",
                map(place_values, entries),
            )
            connection.executemany(
                f"INSERT INTO marking ({MARKING_COLUMNS}, latest) VALUES ({places(MARKING_COLUMNS)}, 1)",
                map(entry_values, entries),
            )
            for event in events:
                record(connection, event)
            if grades is not None:
                self._grades.merge_within(assignment, grades.entries, grades.version)

        self._ledger.write(work)


def _held(connection: sqlite3.Connection, entry: Entry) -> Row | None:
    row: Row | None = connection.execute(_HELD, place_values(entry)).fetchone()
    return row
