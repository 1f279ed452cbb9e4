"""Erasing a person: what the course holds about them, and removing it."""

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
    """What a course holds about a person: the assignments where there are submissions, grades, feedback."""

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
        """What the course holds about a person. Raises NotFound when there is nothing, and never was."""
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
        """Erase a person; only places in the chain stay, so that it remains whole. Returns what was held.

        Nobody can take the name. Raises NotFound.
        """
        held, now = self.holdings(username), self.clock()
        name = course_name(self.store.config.plan(), self.signer)
        event = Event(now, actor.username, "erase", ERASED_NAME, counted(held.receipts, "receipt"))
        self.store.erase(username, lambda receipt: make_tombstone(receipt, self.signer, name, now), event)
        return held
