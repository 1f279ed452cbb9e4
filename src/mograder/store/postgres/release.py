"""Assignments and released files of a course in a database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple

from mograder.domain.assignments import Assignment, ReleaseFile, find_assignment
from mograder.domain.audit import Event
from mograder.domain.files import StoredFile
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.release import Fetched, NewFile
from mograder.store.postgres.blobs import drop, keep, new_body, split
from mograder.store.postgres.config import PostgresConfig
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import (
    RELEASED,
    Listing,
    StoredReleaseFile,
    count_change,
    lock_document,
    put_document,
    read_listing,
    record,
    where_asked,
    write_listing,
)
from mograder.store.postgres.tables import CourseTables
from mograder.store.shared.manifest import MANIFEST, by_manifest, parse_json, parse_manifest, shown, with_rules


class PostgresRelease:
    """A `ReleaseStore`."""

    def __init__(self, tables: CourseTables, config: PostgresConfig) -> None:
        self._tables = tables
        self._course = tables.course
        self._config = config

    def _listing(self) -> Listing:
        return self._tables.parsed(RELEASED, read_listing, {})

    def assignments(self) -> tuple[Assignment, ...]:
        return self._tables.memory.get("assignments", self._assignments)

    def _assignments(self) -> tuple[Assignment, ...]:
        plan = self._config.plan()
        listed = self._tables.parsed(
            MANIFEST, lambda text: parse_manifest(parse_json(text), plan.zone), None, plan.zone
        )
        if listed is None:
            listed = tuple(
                Assignment(name, str(name), tuple(ReleaseFile(each.name, each.size, each.sha256) for each in listing))
                for name, files in sorted(self._listing().items())
                for listing in [shown(files, lambda each: each.name)]
            )
        return with_rules(listed, plan)

    def find(self, text: str) -> Assignment | None:
        return find_assignment(self.assignments(), text)

    def file(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        for each in self._listing().get(assignment, ()):
            if each.name == name:
                return self._tables.stored_file(name, each.size, each.modified, each.body)
        return None

    def put_files(self, assignment: AssignmentName, files: Sequence[NewFile], event: Event) -> None:
        self._refuse_manifest()

        def work(connection: Connection) -> None:
            listing = dict(read_listing(lock_document(connection, self._course, RELEASED, "{}")))
            before = listing.get(assignment, ())
            new = []
            for each in files:
                body = new_body()
                keep(connection, self._course, [(body, split(each.content))])
                digest = hashlib.sha256(each.content).hexdigest()
                new.append(StoredReleaseFile(each.name, len(each.content), digest, event.moment, body))
            replaced = {each.name for each in new}
            listing[assignment] = tuple(sorted(
                [*(each for each in before if each.name not in replaced), *new], key=lambda each: each.name
            ))  # fmt: skip
            self._store(connection, listing, [each for each in before if each.name in replaced], event)

        self._tables.write(work)

    def remove_file(self, assignment: AssignmentName, name: FileName, event: Event) -> bool:
        def work(connection: Connection) -> bool:
            listing = dict(read_listing(lock_document(connection, self._course, RELEASED, "{}")))
            gone = [each for each in listing.get(assignment, ()) if each.name == name]
            if gone:
                listing[assignment] = tuple(each for each in listing[assignment] if each.name != name)
                self._store(connection, listing, gone, event)
            return bool(gone)

        return self._tables.write(work)

    def _store(self, connection: Connection, listing: Listing, gone: Sequence[StoredReleaseFile], event: Event) -> None:
        """Store the listing and `event`, and delete the bytes of the files in `gone` that no other file shares."""
        used = {each.body for listed in listing.values() for each in listed}
        drop(connection, self._course, [each.body for each in gone if each.body not in used])
        put_document(connection, self._course, RELEASED, write_listing(listing))
        record(connection, self._course, [event])

    def _refuse_manifest(self) -> None:
        """Raises BadRequest."""
        if self._tables.document(MANIFEST) is not None:
            raise by_manifest()

    def note_fetched(self, notes: Sequence[Fetched]) -> None:
        # In one order, so that two servers that note the same people cannot deadlock.
        rows = sorted((self._course, *astuple(each)) for each in notes)

        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO fetched (course, assignment, username, moment) VALUES (%s, %s, %s, %s) "
                    "ON CONFLICT DO NOTHING",
                    rows,
                )
            count_change(connection, self._course, "downloads")

        self._tables.write(work)

    def fetched(self, username: Username | None = None) -> list[Fetched]:
        where, values = where_asked(username=username)
        rows = self._tables.read(f"SELECT assignment, username, moment FROM fetched WHERE course = %s{where}", *values)
        return sorted(
            (Fetched(AssignmentName(assignment), Username(name), moment) for assignment, name, moment in rows),
            key=astuple,
        )
