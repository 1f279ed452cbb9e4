"""Erasure: what a course holds about a person, and removing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mograder.domain import grades
from mograder.domain.access import Actor
from mograder.domain.audit import ERASED_NAME, Event
from mograder.domain.chain import make_tombstone
from mograder.domain.errors import NotFound
from mograder.domain.keys import course_name
from mograder.domain.names import AssignmentName, FileName, Username, counted
from mograder.domain.receipts import Signer, latest_filename
from mograder.domain.store import Store


@dataclass(frozen=True)
class Holdings:
    """What a course holds about a person; by assignment for submissions, grades and feedback."""

    account: bool = False
    receipts: int = 0
    submissions: tuple[AssignmentName, ...] = ()
    grades: tuple[AssignmentName, ...] = ()
    feedback: tuple[AssignmentName, ...] = ()


@dataclass(frozen=True)
class Erasure:
    """Erasing people from one course."""

    store: Store
    signer: Signer
    clock: Callable[[], int]

    def holdings(self, username: Username) -> Holdings:
        """What the course holds about a person. Raises NotFound for an unknown name."""
        store = self.store
        receipts = list(store.submissions.receipts(None, username))
        listed = {each.name for each in store.release.assignments()}
        names = sorted(listed | {each.submission.assignment for each in receipts})
        latest = FileName(latest_filename(username))
        found = Holdings(
            account=any(each.username == username for each in store.accounts.all()),
            receipts=len(receipts),
            submissions=tuple(name for name in names if store.submissions.file(name, latest)),
            grades=tuple(name for name in names if grades.of_person(store.grades.of(name), username)),
            feedback=tuple(name for name in names if store.grades.feedback(name, username)),
        )
        if username.reserved or (found == Holdings() and store.accounts.get(username) is None):
            raise NotFound(f"the course holds nothing about {username!r}")
        return found

    def erase(self, actor: Actor, username: Username) -> Holdings:
        """Erase a person, and return what was held. Tombstones replace the receipts, so that the chain stays valid.

        The name stays taken. Raises NotFound.
        """
        held, now = self.holdings(username), self.clock()
        name = course_name(self.store.config.plan(), self.signer)
        event = Event(now, actor.username, "erase", ERASED_NAME, counted(held.receipts, "receipt"))
        self.store.erase(username, lambda receipt: make_tombstone(receipt, self.signer, name, now), event)
        return held
