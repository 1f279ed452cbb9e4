"""Presence: which people look at the same submission right now, in all servers of one course.

Invariant: a note expires by itself, so a closed browser is forgotten within two slots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mograder.domain.deadlines import SECOND
from mograder.domain.guard import GuardStore

SLOT = 20 * SECOND
"""Microseconds of a slot. A note is valid in its slot and the next one; an open page repeats it more often."""


@dataclass(frozen=True)
class Presence:
    """The notes of one course. They are kept as tickets, which expire and which all servers see."""

    store: GuardStore
    clock: Callable[[], int]

    def meet(self, user: str, place: str, others: Collection[str]) -> tuple[str, ...]:
        """Note that `user` is at `place`; returns which of the `others` are there, too, sorted."""
        now = self.clock()
        slot = now // SLOT
        mine = _ticket(user, place, slot)
        tickets = {_ticket(each, place, at): each for each in others if each != user for at in _near(slot)}
        found = self.store.spent([mine, *tickets])
        if mine not in found:
            self.store.spend(mine, now, (slot + 2) * SLOT)
        return tuple(sorted({tickets[each] for each in found if each in tickets}))


def _near(slot: int) -> tuple[int, ...]:
    """The slots whose notes are valid; the next one, as another server's clock may be ahead."""
    return slot - 1, slot, slot + 1


def _ticket(user: str, place: str, slot: int) -> str:
    # A digest: a name in it would outlive the erasure of the person.
    return f"present {hashlib.sha256(f'{slot} {user} {place}'.encode()).hexdigest()}"
