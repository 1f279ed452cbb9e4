"""Protection against abuse, shared by all servers of a course: one-time tickets, and counts of failed attempts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mograder.domain.errors import Unauthenticated


class GuardStore(Protocol):
    """What storage promises about tickets and failures. Moments are Unix microseconds."""

    def spend(self, ticket: str, now: int, until: int) -> bool:
        """True for the first call with `ticket` in any server of this course, False for every later one.

        The ticket may be forgotten after `until`.
        """
        ...

    def is_spent(self, ticket: str) -> bool:
        """Whether `spend` was called with `ticket` in any server of this course, and the ticket is not forgotten."""
        ...

    def spent(self, tickets: Sequence[str]) -> frozenset[str]:
        """The tickets for which `is_spent` is true."""
        ...

    def note_failure(self, keys: Sequence[str], moment: int, keep: int) -> None:
        """Note a failure for each of the keys (digests), for all servers of this course.

        Failures of all keys more than `keep` microseconds before or after `moment` are dropped.
        """
        ...

    def failures(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        """The failures noted for the keys: key and moment of each, in no order."""
        ...

    def forget_failures(self, keys: Sequence[str]) -> None: ...


@dataclass(frozen=True)
class Guard:
    """Tickets and failures of one course."""

    store: GuardStore
    clock: Callable[[], int]

    def spend(self, ticket: str, until: int) -> None:
        """Use a one-time `ticket` that is valid until `until` (Unix microseconds). Raises Unauthenticated."""
        now = self.clock()
        if now > until or not self.store.spend(ticket, now, until):
            raise Unauthenticated("this link was used already or is too old: ask for a new one")

    def is_first(self, ticket: str, until: int) -> bool:
        """True for the first call with `ticket` in any server; the ticket may be forgotten after `until`."""
        return self.store.spend(ticket, self.clock(), until)

    def end_session(self, session: str, until: int) -> None:
        """End the session of this id in every server. `until` is when its cookies have expired (Unix microseconds)."""
        self.store.spend(_ended(session), self.clock(), until)

    def has_ended(self, session: str) -> bool:
        return self.store.is_spent(_ended(session))

    def failures(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        """The failures noted for the keys: key and moment (Unix microseconds) of each, in no order."""
        return self.store.failures(keys)

    def note_failure(self, keys: Sequence[str], keep: int) -> None:
        """Note a failure for each of the keys now; failures more than `keep` microseconds ago are dropped."""
        self.store.note_failure(keys, self.clock(), keep)

    def forget_failures(self, keys: Sequence[str]) -> None:
        self.store.forget_failures(keys)


def _ended(session: str) -> str:
    return f"session {session}"  # no ticket has a space in its name
