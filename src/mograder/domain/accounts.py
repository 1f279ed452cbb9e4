"""Accounts: registration, sign-in, and which people a course knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mograder.domain import deadlines, tokens
from mograder.domain.access import COURSE_INSTRUCTOR, Account, Actor, Role
from mograder.domain.audit import Event
from mograder.domain.codes import is_hard_to_guess, looks_personal, same_code, same_text, spelled_personal
from mograder.domain.errors import (
    BadName,
    BadRequest,
    NameTaken,
    NotFound,
    RegistrationFull,
    RegistrationOff,
    Unauthenticated,
    WrongCode,
)
from mograder.domain.keys import KeysStore
from mograder.domain.names import INSTRUCTOR, FileName, Username, counted, parse_new_username
from mograder.domain.receipts import latest_filename
from mograder.domain.release import ReleaseStore
from mograder.domain.submissions import SubmissionsStore
from mograder.domain.tokens import Token

MIN_CLAIM_KEY, MAX_CLAIM_KEY = 32, 200  # characters
ASK_AGAIN_FOR = 3600 * deadlines.SECOND
"""How long after a registration a retry with the same claim key gets the same token (microseconds)."""

FOR_EVER = 2**62
"""A moment after all others (Unix microseconds)."""

ChangeAccount = Callable[[Account | None], Account]


class AccountsStore(Protocol):
    """What storage promises about accounts."""

    def get(self, username: Username) -> Account | None:
        """The account of exactly this name."""
        ...

    def find(self, username: Username) -> Account | None:
        """The account of this name, whatever its case."""
        ...

    def all(self) -> list[Account]:
        """All accounts, sorted by name."""
        ...

    def count(self) -> int:
        """How many accounts there are, removed ones included."""
        ...

    def any_claimable(self, since: int) -> bool:
        """Whether an account has a personal code, or was claimed with a key after `since` (Unix microseconds)."""
        ...

    def change(self, username: Username, change: ChangeAccount, event: Event) -> Account:
        """Replace an account and record `event` in one transaction.

        `change` gets the account of this name (whatever its case) or None, and returns the new one. If it raises,
        nothing changes; if it returns the same account, nothing is recorded.
        """
        ...

    def change_many(self, changes: Sequence[tuple[Username, ChangeAccount, Event]]) -> list[Account]:
        """As `change`, for many accounts in one transaction: all are changed or none."""
        ...


@dataclass(frozen=True)
class People:
    """The people of a course. A course copied from elsewhere has submissions under names that have no account."""

    accounts: AccountsStore
    submissions: SubmissionsStore
    release: ReleaseStore

    def has_submitted(self, username: Username) -> bool:
        """Whether there are receipts or submissions under this name."""
        return next(iter(self.submissions.receipts(None, username)), None) is not None or any(
            self.submissions.file(each.name, FileName(latest_filename(username))) for each in self.release.assignments()
        )

    def is_known(self, username: Username) -> bool:
        """Whether the name has an account or submissions."""
        return self.accounts.get(username) is not None or self.has_submitted(username)

    def everybody(self) -> set[str]:
        """The names of all accounts that are not removed, and of all people who have submitted."""
        active = {user for each in self.release.assignments() for user in self.submissions.users(each.name)}
        return {each.username for each in self.accounts.all() if not each.removed} | active

    def change(
        self, actor: Actor, action: str, username: Username, change: Callable[[Account], Account], now: int,
        detail: str = "",
    ) -> Account:  # fmt: skip
        """Change the account of a known person and record `action`. Raises NotFound."""
        event = Event(now, actor.username, action, username, detail)
        return self.accounts.change(username, self.changing(username, now, change), event)

    def changing(self, username: Username, now: int, change: Callable[[Account], Account]) -> ChangeAccount:
        """`change` as a function for the store. Somebody who has only submitted gets an account.

        The function raises NotFound for an unknown name.
        """
        unlisted = Account(username, bound=True, created=now) if self.has_submitted(username) else None

        def change_held(held: Account | None) -> Account:
            person = held or unlisted
            if person is None or person.username != username or username.reserved:
                raise NotFound(f"nobody called {username!r} is on the roster")
            return change(person)

        return change_held


@dataclass(frozen=True)
class Accounts:
    """Registration and sign-in of one course. An `enrollment_code` of "" means that it is not used."""

    store: AccountsStore
    keys: KeysStore
    people: People
    clock: Callable[[], int]
    enrollment_code: str
    most_people: Callable[[], int]
    """The number of accounts from which on the enrollment code adds no more."""

    @property
    def registration_open(self) -> bool:
        """Whether somebody can register now, or retry a registration whose answer was lost."""
        return bool(self.enrollment_code) or self.store.any_claimable(self.clock() - ASK_AGAIN_FOR)

    @property
    def code_can_be_guessed(self) -> bool:
        """Whether the course's code is in use and could be guessed."""
        return bool(self.enrollment_code) and not is_hard_to_guess(self.enrollment_code)

    def is_shared_code(self, code: str) -> bool:
        return bool(self.enrollment_code) and same_code(code, self.enrollment_code)

    def check_registration(self) -> None:
        """Raises RegistrationOff."""
        if not self.registration_open:
            raise RegistrationOff("registration is off: ask your instructor for a token")

    def register(self, user: str, code: str, claim_key: str = "", shared: bool = True) -> tuple[Username, str]:
        """Register a person who knows the code under a user name; returns the name as stored and its token.

        `claim_key` is a random text that the client made. A client that lost the response may retry with the same key
        for `ASK_AGAIN_FOR`, and gets the same answer. The name may have any case and the code any spelling. Without
        `shared`, the course's code is refused like a wrong one. Raises BadRequest, BadName, WrongCode, RegistrationOff,
        RegistrationFull, and NameTaken when somebody has the name already.
        """
        self.check_registration()
        given = parse_new_username(user)
        if claim_key and not MIN_CLAIM_KEY <= len(claim_key) <= MAX_CLAIM_KEY:
            raise BadRequest(
                f"the claim key has {counted(len(claim_key), 'character')}: make {MIN_CLAIM_KEY} random ones"
            )
        account = self.store.find(given)
        username = account.username if account else given
        if account is not None and self._asks_again(account, claim_key):
            return username, self._token(account)
        personal = account.code_hash if account else None
        self._check_code(given, code, personal, shared)
        now = self.clock()
        claim_hash = hash_code(claim_key) if claim_key else None
        in_use = account is None and self.people.has_submitted(username)
        if account is None and not in_use:
            self._check_room()

        def claim(held: Account | None) -> Account:
            if held is None:
                if in_use:
                    raise _taken(given)
                return Account(username, bound=True, created=now, claim_hash=claim_hash, claimed=now)
            if held.username == username and self._asks_again(held, claim_key):
                return held  # the first request is still being answered
            if held.username != username or held.code_hash != personal or (held.bound and personal is None):
                raise _taken(given)
            return replace(held, bound=True, code_hash=None, claim_hash=claim_hash, claimed=now)

        return username, self._token(self.store.change(username, claim, Event(now, username, "register", username)))

    def _check_code(self, username: Username, code: str, personal: str | None, shared: bool) -> None:
        """Raises WrongCode unless `code` is the person's own or, if that person has none, the course's.

        Only people who know the course's code are told that a name is on the roster: a registration would tell them
        anyway. Every other message depends on the code alone.
        """
        # Both are always compared, so that the time taken reveals nothing.
        right_shared = self.is_shared_code(code) and shared
        right_personal = personal is not None and _opens(code, personal)
        if right_personal or (right_shared and personal is None):
            return
        if right_shared:
            raise WrongCode(
                f"{username!r} is on the course's roster and joins with a personal code, not with the course's code: "
                "ask your instructor for yours"
            )
        if looks_personal(code):
            raise WrongCode(
                f"this is not the open personal code of {username!r}: check that the name is spelled as on the roster; "
                "a code works once, so if you used it before, log in with your token or ask your instructor for a new "
                "code"
            )
        if not code.strip():
            raise WrongCode("no enrollment code given: enter the one that your instructor gave you")
        wanted = "the course's code, or for your personal code" if self.enrollment_code else "your personal code"
        raise WrongCode(f"wrong enrollment code: ask your instructor for {wanted}")

    @property
    def ways_to_join(self) -> tuple[bool, bool]:
        """Whether the course's code is in use, and whether any personal codes are open."""
        return bool(self.enrollment_code), self.store.any_claimable(FOR_EVER)

    @property
    def has_room(self) -> bool:
        """Whether the enrollment code still lets new people in."""
        return self.store.count() < self.most_people()

    def recent_registrations(self) -> int:
        """How many people registered in the last hour."""
        since = self.clock() - 60 * deadlines.MINUTE
        return sum(each.claimed > since for each in self.store.all())

    def _check_room(self) -> None:
        """Raises RegistrationFull. Simultaneous registrations may exceed the limit by their number."""
        count, most = self.store.count(), self.most_people()
        if count >= most:
            raise RegistrationFull(
                f"{counted(count, 'account')} exist, and the enrollment code adds no more: ask your instructor to put "
                "you on the roster, or to raise max_people in mograder.toml"
            )

    def _token(self, account: Account) -> str:
        return tokens.sign(self.keys.secrets()[0], account.username, account.generation)

    def _recently_claimed(self, account: Account) -> bool:
        """Whether the person who claimed this name may still retry the registration."""
        return account.claim_hash is not None and self.clock() < account.claimed + ASK_AGAIN_FOR

    def _asks_again(self, account: Account, claim_key: str) -> bool:
        """Whether this is a retry by the client that claimed the name."""
        return (
            bool(claim_key) and self._recently_claimed(account)
            and same_text(hash_code(claim_key), account.claim_hash or "")
        )  # fmt: skip

    def end_claim(self, actor: Actor) -> None:
        """Void the claim key, as the answer to this person's registration has arrived.

        Otherwise the next person at the same browser could send the same form again and get the token.
        """
        account = self.store.get(actor.username)
        if account is not None and account.claim_hash is not None:
            self.people.change(
                actor, "logout", actor.username, lambda held: replace(held, claim_hash=None), self.clock()
            )

    def find(self, user: str) -> Account | None:
        """The account of a name as a person typed it, in any case; None if there is none or the text is no name."""
        try:
            return self.store.find(parse_new_username(user))
        except BadName:
            return None

    def authenticate(self, token: Token, secrets: Sequence[str] | None = None) -> Actor:
        """The actor to whom `token` belongs. Raises Unauthenticated when it is forged or revoked.

        `secrets` are the store's, if the caller has just read them.
        """
        # The course's own token is never reset, so it works even if the ledger cannot be read.
        account = self.store.get(token.username) if token.username != INSTRUCTOR else None
        generation = account.generation if account else 0
        if not token.verify(secrets or self.keys.secrets(), generation):
            raise Unauthenticated("wrong token: log in again, or ask your instructor for a new one")
        return _actor(token.username, account)

    def resume(self, username: Username, generation: int) -> Actor:
        """The actor of a session begun at this `generation`. Raises Unauthenticated after a reset or removal."""
        account = self.store.get(username)
        if generation != (account.generation if account else 0):
            raise Unauthenticated("your session has ended: log in again")
        return _actor(username, account)

    def generation(self, username: Username) -> int:
        """How often the person's tokens were revoked."""
        account = self.store.get(username)
        return account.generation if account else 0


def _actor(username: Username, account: Account | None) -> Actor:
    if username == INSTRUCTOR:
        return COURSE_INSTRUCTOR
    return Actor(username, account.role if account else Role.STUDENT)


def _taken(username: Username) -> NameTaken:
    return NameTaken(
        f"the name {username!r} is taken: if it is yours, log in with your token, or with a login code from your "
        "instructor; otherwise choose another name"
    )


def _opens(code: str, code_hash: str) -> bool:
    """Whether `code` has this hash, as given or in the spelling of personal codes."""
    spellings = (code.strip(), spelled_personal(code))
    return any([same_text(hash_code(each), code_hash) for each in spellings])  # noqa: C419 (always both: equal time)


def hash_code(code: str) -> str:
    """The stored hash of a personal code or claim key. A plain hash suffices, as no person chooses them."""
    return hashlib.sha256(code.encode()).hexdigest()
