"""The courses of one database: create, list, archive and open them, and publish an instructor's files."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mograder.domain import deadlines
from mograder.domain.audit import Event
from mograder.domain.names import AssignmentName, CourseName, FileName
from mograder.domain.store import CourseEntry
from mograder.domain.tokens import random_secret
from mograder.store.postgres import blobs
from mograder.store.postgres.blobs import Blobs, new_body, pieces_of
from mograder.store.postgres.database import Connection, Database
from mograder.store.postgres.rows import (
    RELEASED,
    SECRETS,
    SOURCES,
    StoredReleaseFile,
    lock_document,
    put_document,
    read_listing,
    record,
    write_listing,
)
from mograder.store.postgres.store import PostgresStore
from mograder.store.shared import files
from mograder.store.shared.courses import course_taken, no_such_course

FilesByAssignment = Mapping[AssignmentName, Sequence[tuple[FileName, Path]]]


@dataclass(frozen=True)
class Publication:
    """What an instructor publishes. `documents` maps places in the database to texts; None removes the document.

    `files` are the released ones. `sources` are the notebooks with solutions and tests and the files beside them; None
    leaves the published ones as they are.
    """

    documents: Mapping[str, str | None]
    files: FilesByAssignment
    sources: FilesByAssignment | None = None


class PostgresCourses:
    """The `Courses` (domain/store.py) of the database at a URL."""

    def __init__(self, url: str) -> None:
        """Raises Temporary, and Unreadable for a schema that is newer or older than this program's."""
        self.url = url
        self._database = Database(url)
        self._bodies = Blobs(self._database)
        self._opened: dict[CourseName, PostgresStore] = {}
        self._opening = threading.Lock()

    def close(self) -> None:
        for store in list(self._opened.values()):
            store.close()
        self._bodies.close()
        self._database.close()

    def entries(self) -> list[CourseEntry]:
        rows = self._database.read("SELECT course, created, archived FROM courses")
        return sorted((CourseEntry(CourseName(row[0]), row[1], row[2]) for row in rows), key=lambda each: each.name)

    def with_tests(self) -> list[CourseName]:
        sql = (
            "SELECT course FROM documents JOIN courses USING (course) WHERE place = %s AND content NOT IN ('', '{}') "
            "AND archived IS NULL"
        )
        return sorted(CourseName(row[0]) for row in self._database.read(sql, (SOURCES,)))

    def open(self, name: CourseName) -> PostgresStore:
        rows = self._database.read("SELECT archived FROM courses WHERE course = %s", (name,))
        if not rows or rows[0][0] is not None:
            raise no_such_course(name)
        return self.open_anyway(name)

    def open_anyway(self, name: CourseName) -> PostgresStore:
        """As `open`, for a course that exists, archived or not."""
        with self._opening:
            if name not in self._opened:
                forget = partial(self._opened.pop, name, None)
                self._opened[name] = PostgresStore(self._database, self._bodies, name, forget)
            return self._opened[name]

    def open_alone(self, name: CourseName) -> PostgresStore:
        """The course's store; closing it closes everything here. Raises NotFound."""
        self.open(name)
        return PostgresStore(self._database, self._bodies, name, self.close)

    def create(self, name: CourseName, event: Event) -> None:
        def work(connection: Connection) -> None:
            made = connection.execute(
                "INSERT INTO courses (course, created) VALUES (%s, %s) ON CONFLICT DO NOTHING", (name, event.moment)
            )
            if made.rowcount == 0:
                raise course_taken(name)
            connection.execute("INSERT INTO chains (course, number, head) VALUES (%s, 0, '')", (name,))
            put_document(connection, name, SECRETS, json.dumps([[random_secret(), 0]]))
            record(connection, name, [event])

        self._database.write(name, work)

    def archive(self, name: CourseName, archived: int | None, event: Event) -> None:
        def work(connection: Connection) -> None:
            changed = connection.execute("UPDATE courses SET archived = %s WHERE course = %s", (archived, name))
            if changed.rowcount == 0:
                raise no_such_course(name)
            record(connection, name, [event])

        self._database.write(name, work)

    def publish(self, name: CourseName, publication: Publication, event: Event) -> int:
        """Replace plan, manifest, released files and sources in one transaction; returns how many are released."""

        def work(connection: Connection) -> int:
            count = _replace_listing(connection, name, RELEASED, publication.files)
            if publication.sources is not None:
                _replace_listing(connection, name, SOURCES, publication.sources)
            for place, text in publication.documents.items():
                _put_text(connection, name, place, text)
            record(connection, name, [event])
            return count

        return self._database.write(name, work)


def _replace_listing(connection: Connection, course: str, place: str, wanted: FilesByAssignment) -> int:
    """Replace the files of a listing by `wanted`; returns how many there are now."""
    held = read_listing(lock_document(connection, course, place, "{}"))
    before = [each for listed in held.values() for each in listed]
    known = {each.sha256: each.body for each in before}
    listing = {
        assignment: tuple(_keep(connection, course, file, path, known) for file, path in listed)
        for assignment, listed in wanted.items()
    }
    used = {each.body for listed in listing.values() for each in listed}
    blobs.drop(connection, course, [each.body for each in before if each.body not in used])
    put_document(connection, course, place, write_listing(listing))
    return sum(map(len, listing.values()))


def _keep(connection: Connection, course: str, name: FileName, path: Path, known: dict[str, str]) -> StoredReleaseFile:
    """Store a file. Bytes that the course has already, under any name, are not sent again.

    `known` maps the SHA-256 of the course's bytes to their body.
    """
    digest, found = files.sha256_of(path), path.stat()
    if digest not in known:
        known[digest] = new_body()
        with path.open("rb") as file:
            blobs.keep(connection, course, [(known[digest], pieces_of(file))])
    return StoredReleaseFile(name, found.st_size, digest, int(found.st_mtime * deadlines.SECOND), known[digest])


def _put_text(connection: Connection, course: str, place: str, text: str | None) -> None:
    if text is not None:
        put_document(connection, course, place, text)
    else:
        connection.execute("DELETE FROM documents WHERE course = %s AND place = %s", (course, place))
