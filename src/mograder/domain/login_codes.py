"""Login codes: short codes that log one person in once, on a device that has no token.

Invariant: nothing is stored until a code is used. A code is a MAC with the course's secret over name, generation, time
window and number, so a reset or a new secret voids it. The guard keeps used codes, so that each works once.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from mograder.domain.access import Actor
from mograder.domain.accounts import Accounts
from mograder.domain.audit import AuditStore, Event
from mograder.domain.codes import CODE_LENGTH, CODE_LETTERS, same_text, spelled, spelled_personal
from mograder.domain.deadlines import MINUTE
from mograder.domain.errors import NotFound, Throttled, Unauthenticated
from mograder.domain.guard import Guard
from mograder.domain.keys import KeysStore
from mograder.domain.names import Username

WINDOW = 30 * MINUTE
"""A code is valid for one to two windows (microseconds)."""

CODES_A_WINDOW = 10
"""How many codes a person can use in one window."""


@dataclass(frozen=True)
class LoginCodes:
    """The login codes of one course."""

    keys: KeysStore
    accounts: Accounts
    guard: Guard
    audit: AuditStore
    clock: Callable[[], int]

    def give(self, actor: Actor, username: Username) -> tuple[str, int]:
        """A code for a person who has registered, and until when it is valid (Unix microseconds). It is recorded.

        The code stays the same until it is used. Raises NotFound, and Throttled if too many were used.
        """
        account = self.accounts.store.get(username)
        if account is None or account.removed or not account.bound:
            raise NotFound(f"nobody called {username!r} has registered: a personal code is needed first")
        now = self.clock()
        window, secret = now // WINDOW, self.keys.secrets()[0]
        for number in range(CODES_A_WINDOW):
            code = _code(secret, username, account.generation, window, number)
            if not self.guard.store.is_spent(_ticket(username, code)):
                self.audit.record(Event(now, actor.username, "give login code", username))
                return code, (window + 2) * WINDOW
        raise Throttled(f"{CODES_A_WINDOW} login codes of {username!r} were used: wait for half an hour", 30 * 60)

    def redeem(self, user: str, code: str) -> Actor:
        """Use a login code; returns its person. Raises Unauthenticated with a message that reveals no account."""
        wrong = Unauthenticated("wrong user name, token or code: codes work once, for half an hour at least")
        account = self.accounts.find(user)
        if account is None or account.removed or not account.bound:
            raise wrong
        now, given, username = self.clock(), spelled_personal(code), account.username
        matching = [
            window
            for secret in self.keys.secrets()
            for window in (now // WINDOW, now // WINDOW - 1)
            for number in range(CODES_A_WINDOW)
            if same_text(given, _code(secret, username, account.generation, window, number))
        ]
        if not matching:
            raise wrong
        self.guard.spend(_ticket(username, given), (matching[0] + 2) * WINDOW)
        return self.accounts.resume(username, account.generation)


def _ticket(username: Username, code: str) -> str:
    return f"login code {username} {code}"  # no ticket of a link has a space in its name


def _code(secret: str, username: Username, generation: int, window: int, number: int) -> str:
    message = f"login code:{username}:{generation}:{window}:{number}"  # ":" in no user name
    value = int.from_bytes(hmac.digest(secret.encode(), message.encode(), "sha256"))
    letters = []
    for _ in range(CODE_LENGTH):
        value, place = divmod(value, len(CODE_LETTERS))
        letters.append(CODE_LETTERS[place])
    return spelled("".join(letters))
