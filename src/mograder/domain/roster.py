"""The roster: the people of the course and their personal codes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from mograder.domain import tokens
from mograder.domain.access import Account, Actor, Role
from mograder.domain.accounts import AccountsStore, People, hash_code
from mograder.domain.audit import Event
from mograder.domain.codes import CODE_LENGTH, CODE_LETTERS, spelled
from mograder.domain.errors import BadRequest, NameTaken, NotFound
from mograder.domain.keys import KeysStore
from mograder.domain.names import INSTRUCTOR, Username, one_line, parse_new_username

MAX_NAME = 200  # characters of a person's display name


@dataclass(frozen=True)
class Person:
    """Somebody to put on the roster. `name` is what people call them, "" when nobody said."""

    username: Username
    name: str = ""
    role: Role = Role.STUDENT

    @classmethod
    def parse(cls, user: str, name: str = "", role: Role = Role.STUDENT) -> Self:
        """Raises BadName or BadRequest."""
        shown = one_line(name)
        if len(shown) > MAX_NAME:
            raise BadRequest(f"the name of {user.strip()[:100]!r} is longer than {MAX_NAME} characters")
        return cls(parse_new_username(user), shown, role)


def random_code() -> str:
    """A personal code that nobody guesses (59 bits) and that can be read out."""
    return spelled("".join([secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH)]))


@dataclass(frozen=True)
class Roster:
    """The roster of one course. `new_code` makes a personal code."""

    store: AccountsStore
    keys: KeysStore
    people: People
    clock: Callable[[], int]
    new_code: Callable[[], str]

    def all(self) -> list[Account]:
        """Everybody with an account, removed people included, sorted by name."""
        return self.store.all()

    def enrol(self, usernames: list[Username]) -> list[tuple[Username, str]]:
        """Bind names so that nobody else can claim them, and return their tokens: all or none.

        Raises NameTaken, also for somebody who was removed from the course.
        """
        now = self.clock()
        secret = self.keys.secrets()[0]

        def bind(username: Username) -> Callable[[Account | None], Account]:
            def change(held: Account | None) -> Account:
                _check_same_name(held, username)
                if held is not None and held.removed:
                    raise NameTaken(f"{username!r} was removed from the course: 'mograder roster reset' brings back")
                return replace(held or Account(username, created=now), bound=True)

            return change

        bound = self.store.change_many(
            [(name, bind(name), Event(now, INSTRUCTOR, "enrol", name)) for name in usernames]
        )
        return [(each.username, tokens.sign(secret, each.username, each.generation)) for each in bound]

    def add(self, actor: Actor, people: Sequence[Person]) -> list[tuple[Account, str]]:
        """Put people on the roster: all or none. Each comes with the personal code that claims the name; it is shown
        only this once.

        Somebody who is there already is unchanged and has "" for a code; a display name that was missing is filled in.
        Raises NameTaken when a name differs from another's by case alone.
        """
        now = self.clock()
        codes = {person.username: "" for person in people}

        def add(person: Person) -> Callable[[Account | None], Account]:
            def change(held: Account | None) -> Account:
                _check_same_name(held, person.username)
                if held is not None and (held.bound or held.code_hash):
                    return replace(held, name=held.name or person.name)
                codes[person.username] = code = self.new_code()
                return Account(
                    person.username, person.role, person.name, created=now, code_hash=hash_code(code),
                    generation=held.generation if held else 0,
                )  # fmt: skip

            return change

        changes = [(each.username, add(each), Event(now, actor.username, "add", each.username)) for each in people]
        return [(account, codes[account.username]) for account in self.store.change_many(changes)]

    def reset(self, actor: Actor, username: Username) -> tuple[Account, str]:
        """Revoke a person's token; a new personal code claims the name again. Brings a removed person back.

        Raises NotFound.
        """
        code = self.new_code()
        return self._change(actor, "reset", username, lambda held: replace(
            held, generation=held.generation + 1, bound=False, code_hash=hash_code(code), removed=False, claim_hash=None
        )), code  # fmt: skip

    def reset_everybody(self, actor: Actor) -> list[tuple[Account, str]]:
        """As `reset`, for everybody who is not removed but the actor, in one transaction."""
        now = self.clock()
        people = [each for each in self.store.all() if not each.removed and each.username != actor.username]
        codes = {each.username: self.new_code() for each in people}

        def renew(held: Account | None) -> Account:
            if held is None:
                raise NotFound("somebody was erased meanwhile: try again")
            code_hash = hash_code(codes[held.username]) if held.username in codes else held.code_hash
            return replace(held, generation=held.generation + 1, bound=False, code_hash=code_hash, claim_hash=None)

        changes = [(each.username, renew, Event(now, actor.username, "reset", each.username)) for each in people]
        return [(account, codes[account.username]) for account in self.store.change_many(changes)]

    def set_role(self, actor: Actor, username: Username, role: Role) -> Account:
        """Raises NotFound."""
        return self._change(actor, "role", username, lambda held: replace(held, role=role), role.value)

    def remove(self, actor: Actor, username: Username) -> Account:
        """Revoke a person's token or code for good. Submissions stay, and nobody else can claim the name.

        Raises NotFound.
        """
        return self._change(actor, "remove", username, lambda held: replace(
            held, generation=held.generation + 1, bound=True, code_hash=None, removed=True, claim_hash=None
        ))  # fmt: skip

    def _change(
        self, actor: Actor, action: str, username: Username, change: Callable[[Account], Account], detail: str = ""
    ) -> Account:
        return self.people.change(actor, action, username, change, self.clock(), detail)


def _check_same_name(held: Account | None, username: Username) -> None:
    if held is not None and held.username != username:
        raise NameTaken(f"{username!r} differs from the account {held.username!r} by case alone")
