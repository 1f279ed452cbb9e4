"""The last submission of every person for every assignment, kept up to date by what was accepted since.

Invariant: `refresh` takes in everything that was accepted before it was called, at whichever server; what an erasure
or a repair took away is forgotten with all the rest.
"""

from __future__ import annotations

import threading

from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Submission
from mograder.domain.store import Store, Versions

Key = tuple[AssignmentName, Username]


class LatestSubmissions:
    """Those of one course. Methods may be called from many threads; all but `refresh` say what the last one read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._people: object = None
        self._number = 0
        self._latest: dict[Key, tuple[int, Submission]] = {}  # in the order of the numbers
        self._in_assignment: dict[AssignmentName, int] = {}

    def refresh(self) -> Versions:
        """Take in what is new; the store's versions, which are not newer than that."""
        versions = self._store.versions()
        while True:
            with self._lock:
                if versions.people != self._people:
                    self._people, self._number, self._latest, self._in_assignment = versions.people, 0, {}, {}
                latest, number = self._latest, self._number
            if versions.receipts <= number:
                return versions
            # Nobody waits for another's reading.
            self._take_in(latest, self._store.submissions.latest(number), versions.receipts)

    def _take_in(
        self, latest: dict[Key, tuple[int, Submission]], found: list[tuple[int, Submission]], until: int
    ) -> None:
        """Add to `latest` what was found behind its end, up to the number `until` at least; nothing, if all was
        forgotten meanwhile.
        """
        with self._lock:
            if latest is not self._latest:
                return
            for number, submission in found:
                if number > self._number:
                    key = submission.assignment, submission.username
                    latest.pop(key, None)
                    latest[key] = (number, submission)
                    self._in_assignment[submission.assignment] = self._number = number
            self._number = max(self._number, until)  # the last ones may have been erased

    def number(self, assignment: AssignmentName, username: Username) -> int:
        """The number of a person's last receipt for an assignment: a version of them all. 0 when there is none."""
        found = self._latest.get((assignment, username))
        return found[0] if found else 0

    def number_in(self, assignment: AssignmentName) -> int:
        """The same of everybody's for an assignment."""
        return self._in_assignment.get(assignment, 0)

    def in_assignment(self, assignment: AssignmentName) -> list[Submission]:
        """Everybody's for an assignment."""
        with self._lock:
            return [each for (name, _), (_, each) in self._latest.items() if name == assignment]

    def get(self, key: Key) -> Submission | None:
        found = self._latest.get(key)
        return found[1] if found else None

    def since(self, number: int) -> tuple[int, list[Key]]:
        """Of whom and which assignment something came behind this number; and the number of the last of all."""
        with self._lock:
            keys = []
            for key in reversed(self._latest):
                if self._latest[key][0] <= number:
                    break
                keys.append(key)
            return self._number, keys
