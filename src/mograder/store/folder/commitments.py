"""Commitments in the ledger of a course folder."""

from __future__ import annotations

import sqlite3

from mograder.domain.commitments import ChangeCommitments, Commitment
from mograder.domain.names import AssignmentName, Username
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import COMMITS, commitment_of


class FolderCommitments:
    """A `CommitmentsStore`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, assignment: AssignmentName, username: Username) -> tuple[Commitment, ...]:
        return tuple(commitment_of(row) for row in self._ledger.read(COMMITS, (assignment, username)))

    def change(
        self, assignment: AssignmentName, username: Username, change: ChangeCommitments
    ) -> tuple[Commitment, ...]:
        def work(connection: sqlite3.Connection) -> tuple[Commitment, ...]:
            held = connection.execute(COMMITS, (assignment, username)).fetchall()
            kept = change(tuple(commitment_of(row) for row in held))
            connection.execute("DELETE FROM commits WHERE assignment = ? AND username = ?", (assignment, username))
            connection.executemany(
                "INSERT INTO commits (assignment, username, sha256, size, moment) VALUES (?, ?, ?, ?, ?)",
                [(each.assignment, each.username, each.sha256, each.size, each.moment) for each in kept],
            )
            return kept

        return self._ledger.write(work)
