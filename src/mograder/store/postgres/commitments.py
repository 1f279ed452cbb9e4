"""Commitments of a course in a database, a document for each person and assignment."""

from __future__ import annotations

from mograder.domain.commitments import ChangeCommitments, Commitment
from mograder.domain.names import AssignmentName, Username
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import (
    commitments_place,
    lock_document,
    put_document,
    read_commitments,
    write_commitments,
)
from mograder.store.postgres.tables import Adapter

COMMITMENTS_AT = "SELECT place, content FROM documents WHERE course = %s AND place = ANY(%s)"


class PostgresCommitments(Adapter):
    """A `CommitmentsStore`."""

    def of(self, assignment: AssignmentName, username: Username) -> tuple[Commitment, ...]:
        place = commitments_place(assignment, username)
        return read_commitments(assignment, username, self._tables.document(place) or "[]")

    def change(
        self, assignment: AssignmentName, username: Username, change: ChangeCommitments
    ) -> tuple[Commitment, ...]:
        place = commitments_place(assignment, username)

        def work(connection: Connection) -> tuple[Commitment, ...]:
            held = lock_document(connection, self._course, place, "[]")
            kept = change(read_commitments(assignment, username, held))
            put_document(connection, self._course, place, write_commitments(kept))
            return kept

        return self._tables.write(work)
