"""Marking of a course in a database."""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.audit import Event
from mograder.domain.marking import Entry, GradesChange, Kind, MarkingConflict, conflicts
from mograder.domain.names import AssignmentName
from mograder.store.postgres.database import Connection
from mograder.store.postgres.grades import merge_within
from mograder.store.postgres.rows import places, record, where_asked
from mograder.store.postgres.tables import Adapter
from mograder.store.shared.marking_rows import MARKING_COLUMNS, entry_of, entry_values, place_values
from mograder.store.shared.rows import Row

_PLACE = "course = %s AND assignment = %s AND kind = %s AND username = %s AND key = %s AND latest = 1"

_SINCE = f"""SELECT number, {MARKING_COLUMNS} FROM marking
WHERE course = %s AND assignment = %s AND number > %s AND latest = 1"""


class PostgresMarking(Adapter):
    """A `MarkingStore`."""

    def current(
        self, assignment: AssignmentName, kinds: Sequence[Kind] = tuple(Kind), username: str | None = None
    ) -> list[Entry]:
        where, values = where_asked(assignment=assignment, username=username)
        sql = f"SELECT {MARKING_COLUMNS} FROM marking WHERE course = %s{where} AND latest = 1 AND kind = ANY(%s)"
        return list(map(entry_of, self._tables.read(sql, *values, [each.value for each in kinds])))

    def history(self, assignment: AssignmentName, username: str | None = None) -> list[Entry]:
        where, values = where_asked(assignment=assignment, username=username)
        sql = f"SELECT {MARKING_COLUMNS} FROM marking WHERE course = %s{where} ORDER BY number"
        return list(map(entry_of, self._tables.read(sql, *values)))

    def since(self, assignment: AssignmentName, number: int) -> list[tuple[int, Entry]]:
        return [(row[0], entry_of(row[1:])) for row in self._tables.read(_SINCE, assignment, number)]

    def count(self) -> int:
        # Not the highest number: a transaction with a lower one may commit later.
        return int(self._tables.read("SELECT count(*) FROM marking WHERE course = %s")[0][0])

    def write(
        self, assignment: AssignmentName, entries: Sequence[Entry], events: Sequence[Event] = (),
        grades: GradesChange | None = None,
    ) -> None:  # fmt: skip
        course = self._course

        def work(connection: Connection) -> None:
            # One writer at a time for an assignment: an entry that does not exist yet has no row to lock.
            place = f"{course}/{assignment}"
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (place,))
            places_held = [_held(connection, course, each) for each in entries]
            held = {each.place: each for each in map(entry_of, filter(None, places_held))}
            if found := conflicts(entries, held):
                raise MarkingConflict(found)
            with connection.cursor() as cursor:
                cursor.executemany(
                    f"UPDATE marking SET latest = 0 WHERE {_PLACE}",
                    [(course, *place_values(each)) for each in entries],
                )
                cursor.executemany(
                    f"INSERT INTO marking (course, {MARKING_COLUMNS}, latest) "
                    f"VALUES (%s, {places(MARKING_COLUMNS)}, 1)",
                    [(course, *entry_values(each)) for each in entries],
                )
            record(connection, course, events)
            if grades is not None:
                merge_within(connection, course, assignment, grades.entries, grades.version)

        self._tables.write(work)


def _held(connection: Connection, course: str, entry: Entry) -> Row | None:
    sql = f"SELECT {MARKING_COLUMNS} FROM marking WHERE {_PLACE}"
    return connection.execute(sql, (course, *place_values(entry))).fetchone()
