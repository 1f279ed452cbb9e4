"""The keys of a course: the secrets that sign tokens, and the key that signs receipts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from mograder.domain.access import Actor
from mograder.domain.assignments import Plan
from mograder.domain.audit import Event
from mograder.domain.receipts import Signer


class KeysStore(Protocol):
    """What storage promises about keys."""

    def signing_key(self, make: Callable[[], bytes]) -> bytes:
        """The PEM of the key that signs receipts, made by `make` on first use.

        Raises Unreadable when the key is missing and receipts were signed with it.
        """
        ...

    def secrets(self) -> tuple[str, ...]:
        """The secrets that sign tokens, newest first, never empty; expired ones are left out."""
        ...

    def change_secret(self, secret: str, until: int, event: Event) -> None:
        """Sign with `secret` from now on, in every server of this course.

        The secrets accepted so far are accepted until `until` (Unix microseconds) at the latest.
        """
        ...


@dataclass(frozen=True)
class Keys:
    """The keys of one course. `new_secret` makes a random secret."""

    store: KeysStore
    signer: Signer
    clock: Callable[[], int]
    new_secret: Callable[[], str]

    def secrets(self) -> tuple[str, ...]:
        """The secrets that sign tokens, newest first, never empty."""
        return self.store.secrets()

    def rotate(self, actor: Actor, grace: int) -> int:
        """Make a new secret. Tokens of earlier ones stay valid for `grace` microseconds; returns when that ends (Unix
        microseconds).
        """
        now = self.clock()
        self.store.change_secret(self.new_secret(), now + grace, Event(now, actor.username, "rotate", "secret"))
        return now + grace

    def public(self) -> tuple[Mapping[str, str], ...]:
        """The public keys that verify receipts, as JWKs; `kid` is a key's fingerprint. The first is the present one."""
        return self.signer.public_keys()


def course_name(plan: Plan, signer: Signer) -> str:
    """The name of the course in receipts: its title, else the fingerprint of its key."""
    return plan.title or signer.public_keys()[0]["kid"]
