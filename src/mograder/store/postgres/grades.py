"""Grades of a course in a database, a document for each assignment, and feedback pages."""

from __future__ import annotations

import json

from mograder.domain import grades as grading
from mograder.domain.audit import Event
from mograder.domain.files import StoredFile
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, Username
from mograder.store.postgres import blobs
from mograder.store.postgres.blobs import split
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import grades_place, lock_document, put_document, read_grades, record
from mograder.store.postgres.tables import Adapter
from mograder.store.shared.grades import check_version, version_of


def merge_within(
    connection: Connection, course: str, assignment: AssignmentName, entries: tuple[GradeEntry, ...],
    version: str | None,
) -> int:  # fmt: skip
    """As `GradesStore.merge`, in the caller's open transaction and without an event."""
    place = grades_place(assignment)
    held = read_grades(lock_document(connection, course, place, "[]"))
    check_version(assignment, held, version)
    merged = grading.merge(held, entries)
    put_document(connection, course, place, json.dumps([dict(each.fields) for each in merged]))
    return len(merged)


class PostgresGrades(Adapter):
    """A `GradesStore`."""

    def of(self, assignment: AssignmentName) -> tuple[GradeEntry, ...]:
        return self._tables.parsed(grades_place(assignment), read_grades, ())

    def version(self, assignment: AssignmentName) -> str:
        return version_of(self.of(assignment))

    def merge(
        self, assignment: AssignmentName, entries: tuple[GradeEntry, ...], event: Event, version: str | None = None
    ) -> int:
        def work(connection: Connection) -> int:
            count = merge_within(connection, self._course, assignment, entries, version)
            record(connection, self._course, [event])
            return count

        return self._tables.write(work)

    def feedback(self, assignment: AssignmentName, username: Username) -> StoredFile | None:
        rows = self._tables.recall(
            "SELECT size, modified, body FROM feedback WHERE course = %s AND assignment = %s AND username = %s",
            assignment, username,
        )  # fmt: skip
        return self._tables.stored_file(f"{username}.html", *rows[0]) if rows else None

    def put_feedback(self, assignment: AssignmentName, pages: dict[Username, bytes], event: Event) -> None:
        kept = {username: blobs.new_body() for username in pages}

        def work(connection: Connection) -> None:
            blobs.keep(connection, self._course, ((kept[user], split(page)) for user, page in pages.items()))
            # In one order, so that two uploads of the same pages cannot deadlock.
            for user in sorted(pages):
                row = connection.execute(
                    "SELECT body FROM feedback WHERE course = %s AND assignment = %s AND username = %s FOR UPDATE",
                    (self._course, assignment, user),
                ).fetchone()
                blobs.drop(connection, self._course, [row[0]] if row else [])
                connection.execute(
                    "INSERT INTO feedback (course, assignment, username, size, modified, body) "
                    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (course, assignment, username) DO UPDATE "
                    "SET size = excluded.size, modified = excluded.modified, body = excluded.body",
                    (self._course, assignment, user, len(pages[user]), event.moment, kept[user]),
                )
            record(connection, self._course, [event])

        self._tables.write(work)
