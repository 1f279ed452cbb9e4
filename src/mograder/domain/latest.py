"""Caches the latest submission of every person for every assignment, and updates it with new receipts.

Invariant: `refresh` adds everything that any server had accepted before the call. After an erasure or a repair the
whole cache is read again.
"""

from __future__ import annotations

import threading

from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Submission
from mograder.domain.store import Store, Versions

Key = tuple[AssignmentName, Username]


class LatestSubmissions:
    """The latest submissions of one course. Thread-safe; all methods but `refresh` answer from the cache."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._people: object = None
        self._number = 0
        self._latest: dict[Key, tuple[int, Submission]] = {}  # in the order of the numbers
        self._in_assignment: dict[AssignmentName, int] = {}

    def refresh(self) -> Versions:
        """Add what is new. Returns the store's versions, which are not newer than the cache."""
        versions = self._store.versions()
        while True:
            with self._lock:
                if versions.people != self._people:
                    self._people, self._number, self._latest, self._in_assignment = versions.people, 0, {}, {}
                latest, number = self._latest, self._number
            if versions.receipts <= number:
                return versions
            # Without the lock, so that no thread waits for another's read.
            self._take_in(latest, self._store.submissions.latest(number), versions.receipts)

    def _take_in(
        self, latest: dict[Key, tuple[int, Submission]], found: list[tuple[int, Submission]], until: int
    ) -> None:
        """Add newer submissions to `latest`, which is then complete up to the number `until` at least. Does nothing if
        the cache was replaced meanwhile.
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
            self._number = max(self._number, until)  # the last receipts may have been erased

    def number(self, assignment: AssignmentName, username: Username) -> int:
        """The number of a person's last receipt for an assignment, 0 without one: the version of their submissions."""
        found = self._latest.get((assignment, username))
        return found[0] if found else 0

    def number_in(self, assignment: AssignmentName) -> int:
        """The number of the last receipt for an assignment, 0 without one."""
        return self._in_assignment.get(assignment, 0)

    def in_assignment(self, assignment: AssignmentName) -> list[Submission]:
        """Everybody's latest submission for an assignment."""
        with self._lock:
            return [each for (name, _), (_, each) in self._latest.items() if name == assignment]

    def get(self, key: Key) -> Submission | None:
        found = self._latest.get(key)
        return found[1] if found else None

    def since(self, number: int) -> tuple[int, list[Key]]:
        """The last number of all, and the assignments and people with submissions after `number`."""
        with self._lock:
            keys = []
            for key in reversed(self._latest):
                if self._latest[key][0] <= number:
                    break
                keys.append(key)
            return self._number, keys
