"""The roster: the people of the course and their personal codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar

from mograder.domain import tokens
from mograder.domain.access import Account, Actor, ExternalId, Role
from mograder.domain.accounts import AccountsStore, People, hash_code
from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, NameTaken, NotFound
from mograder.domain.keys import KeysStore
from mograder.domain.names import INSTRUCTOR, Username, one_line, parse_new_username

MAX_NAME = 200  # characters of a person's display name, and of each of the details below
MAX_DETAILS = 50  # sections, and ids, of one person


@dataclass(frozen=True)
class Person:
    """A person to put on the roster. `name` is the display name; it and the details are empty if unknown."""

    username: Username
    name: str = ""
    role: Role = Role.STUDENT
    email: str = ""
    sections: tuple[str, ...] = ()
    ids: tuple[ExternalId, ...] = ()

    @classmethod
    def parse(
        cls, user: str, name: str = "", role: Role = Role.STUDENT, email: str = "", sections: Sequence[str] = (),
        ids: Sequence[ExternalId] = (),
    ) -> Self:  # fmt: skip
        """A person from typed texts. Raises BadName or BadRequest."""
        whose = repr(user.strip()[:100])
        shown = _short(name, f"the name of {whose}")
        kept = [_short(each, f"a section of {whose}") for each in sections]
        numbers = [
            ExternalId(_short(each.kind, f"the kind of an id of {whose}"), _short(each.value, f"an id of {whose}"))
            for each in ids
        ]
        if max(len(kept), len(numbers)) > MAX_DETAILS:
            raise BadRequest(f"{whose} has more than {MAX_DETAILS} sections or ids")
        return cls(
            parse_new_username(user), shown, role, _short(email, f"the e-mail address of {whose}"),
            tuple(dict.fromkeys(each for each in kept if each)),
            tuple(dict.fromkeys(each for each in numbers if each.kind and each.value)),
        )  # fmt: skip

    def merged_into(self, held: Account) -> Account:
        """The account with this name and these details; empty ones change nothing, and role and state stay."""
        return replace(
            held, name=self.name or held.name, email=self.email or held.email,
            sections=self.sections or held.sections, ids=merged_ids(held.ids, self.ids),
        )  # fmt: skip


def _short(text: str, what: str) -> str:
    """`text` on one line. Raises BadRequest."""
    shown = one_line(text)
    if len(shown) > MAX_NAME:
        raise BadRequest(f"{what} is longer than {MAX_NAME} characters")
    return shown


class _OfKind(Protocol):
    @property
    def kind(self) -> str: ...


_Id = TypeVar("_Id", bound=_OfKind)


def merged_ids(old: tuple[_Id, ...], new: tuple[_Id, ...]) -> tuple[_Id, ...]:
    """The `new` ids, and the `old` ones of other kinds."""
    told = {each.kind for each in new}
    merged = (*(each for each in old if each.kind not in told), *new)
    return old if set(merged) == set(old) else merged


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
        """Register names, so that nobody else can claim them, and return their tokens; all names or none.

        Raises NameTaken, also for a person who was removed from the course.
        """
        now = self.clock()
        secret = self.keys.secrets()[0]

        def bind(username: Username) -> Callable[[Account | None], Account]:
            def change(held: Account | None) -> Account:
                _check_same_name(held, username)
                if held is not None and held.removed:
                    raise NameTaken(
                        f"{username!r} was removed from the course: 'mograder roster reset' brings the person back"
                    )
                return replace(held or Account(username, created=now), bound=True)

            return change

        bound = self.store.change_many(
            [(name, bind(name), Event(now, INSTRUCTOR, "enrol", name)) for name in usernames]
        )
        return [(each.username, tokens.sign(secret, each.username, each.generation)) for each in bound]

    def add(
        self, actor: Actor, people: Sequence[Person], update: bool = False, dropped: Sequence[Username] = ()
    ) -> list[tuple[Account, str]]:
        """Put people on the roster, all or none. Returns their accounts, each with the personal code that claims the
        name; the code cannot be read later.

        People who are there already get "" for a code; only a missing display name is added. With `update` they also
        get the given name, e-mail address, sections and ids. `dropped` people are removed in the same transaction (see
        `remove`). Raises NameTaken if a name differs from another's only by case, and NotFound for an unknown dropped
        name.
        """
        now = self.clock()
        codes = {person.username: "" for person in people}

        def add(person: Person) -> Callable[[Account | None], Account]:
            def change(held: Account | None) -> Account:
                _check_same_name(held, person.username)
                if held is not None and (held.bound or held.code_hash):
                    return person.merged_into(held) if update else replace(held, name=held.name or person.name)
                codes[person.username] = code = self.new_code()
                return Account(
                    person.username, person.role, person.name, created=now, code_hash=hash_code(code),
                    generation=held.generation if held else 0,
                    email=person.email, sections=person.sections, ids=person.ids,
                )  # fmt: skip

            return change

        there = {each.username for each in self.store.all() if each.bound or each.code_hash}
        changes = [
            (each.username, add(each),
             Event(now, actor.username, "update" if each.username in there else "add", each.username))
            for each in people
        ]  # fmt: skip
        changes += [
            (name, self.people.changing(name, now, _removed), Event(now, actor.username, "remove", name))
            for name in dropped
        ]
        changed = self.store.change_many(changes)[: len(people)]
        return [(account, codes[account.username]) for account in changed]

    def reset(self, actor: Actor, username: Username) -> tuple[Account, str]:
        """Revoke a person's token; the returned personal code claims the name again. This restores a removed person.

        Raises NotFound.
        """
        code = self.new_code()
        return self._change(actor, "reset", username, lambda held: replace(
            held, generation=held.generation + 1, bound=False, code_hash=hash_code(code), removed=False, claim_hash=None
        )), code  # fmt: skip

    def reset_everybody(self, actor: Actor) -> list[tuple[Account, str]]:
        """As `reset`, for everybody except the actor and removed people, in one transaction."""
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
        """Change a person's role. Raises NotFound."""
        return self._change(actor, "role", username, lambda held: replace(held, role=role), role.value)

    def rename(self, actor: Actor, username: Username, name: str) -> Account:
        """Change a person's display name; "" removes it. The user name stays. Raises BadRequest, NotFound."""
        shown = _short(name, f"the name of {str(username)!r}")
        return self._change(actor, "rename", username, lambda held: replace(held, name=shown))

    def remove(self, actor: Actor, username: Username) -> Account:
        """Remove a person from the course: token and code are revoked, submissions stay, and the name stays taken.

        Raises NotFound.
        """
        return self._change(actor, "remove", username, _removed)

    def _change(
        self, actor: Actor, action: str, username: Username, change: Callable[[Account], Account], detail: str = ""
    ) -> Account:
        return self.people.change(actor, action, username, change, self.clock(), detail)


def _removed(held: Account) -> Account:
    return replace(
        held, generation=held.generation + 1, bound=True, code_hash=None, removed=True, claim_hash=None
    )  # fmt: skip


def _check_same_name(held: Account | None, username: Username) -> None:
    if held is not None and held.username != username:
        raise NameTaken(f"{username!r} differs from the account {held.username!r} by case alone")
