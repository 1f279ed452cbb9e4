"""Finds the person whom a row is about. Invariant: by user name, e-mail address or a known id, never by a guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from mograder.domain.access import ExternalId
from mograder.domain.names import printable
from mograder.domain.roster import Person
from mograder.tables.cells import mangled


class Kind(StrEnum):
    """What a cell says about a person. The values are the names under which a roster keeps ids."""

    USERNAME = "username"
    EMAIL = "email"
    ANY = "any"
    """A column called "student" or "id": a user name, an e-mail address or a student number."""
    STUDENT = "student_id"
    """The institution's number: Canvas' SIS User ID, Moodle's ID number, Gradescope's SID."""
    CANVAS = "canvas_id"
    MOODLE = "moodle_participant"
    """The number of a participant in one Moodle assignment."""
    GITHUB = "github_id"
    GITHUB_NAME = "github_username"
    INTEGRATION = "integration_id"
    USERID = "userid"
    """The number under which an earlier upload has brought a person's grade."""


_ID_KINDS = frozenset({Kind.STUDENT, Kind.CANVAS, Kind.GITHUB, Kind.GITHUB_NAME, Kind.INTEGRATION})
"""The kinds of ids that a roster keeps."""


@dataclass(frozen=True)
class Key:
    """One cell that says who a row is about."""

    kind: Kind
    value: str


@dataclass(frozen=True)
class Member:
    """A person of the course, with the details by which other systems know them."""

    username: str
    name: str = ""
    email: str = ""
    sections: tuple[str, ...] = ()
    ids: tuple[Key, ...] = ()

    @classmethod
    def known(
        cls,
        username: str,
        name: str = "",
        email: str = "",
        sections: Iterable[str] = (),
        ids: Iterable[ExternalId] = (),
    ) -> Self:
        """A member by the details of a roster; ids of kinds that no table has are left out."""
        keys = tuple(Key(Kind(each.kind), each.value) for each in ids if each.kind in _ID_KINDS)
        if not email and "@" in username:
            email = username
        return cls(username, name, email, tuple(sections), keys)

    @property
    def person(self) -> Person:
        """The member as a person for the roster. Raises BadName or BadRequest."""
        email = "" if self.email == self.username else self.email
        ids = [ExternalId(each.kind.value, each.value) for each in self.ids]
        return Person.parse(self.username, self.name, email=email, sections=self.sections, ids=ids)

    def id(self, kind: Kind) -> str:
        """The id of this kind, "" when there is none."""
        return next((each.value for each in self.ids if each.kind is kind), "")

    @property
    def first_and_last(self) -> tuple[str, str]:
        """The name in two parts, at its comma; without one the last word is taken for the last name."""
        last, comma, first = (part.strip() for part in self.name.partition(","))
        if not (comma and first):
            first, _, last = self.name.rpartition(" ")
        return first, last


@dataclass(frozen=True)
class Match:
    """The `member` whom a row is about, or None and the reason in `problem`. `ambiguous` says that it fits several."""

    member: Member | None
    problem: str = ""
    ambiguous: bool = False


class People:
    """Finds the members of a course by the keys in tables."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._found: defaultdict[Key, list[Member]] = defaultdict(list)
        for member in members:
            self._found[Key(Kind.USERNAME, member.username.casefold())].append(member)
            if member.email:
                self._found[Key(Kind.EMAIL, member.email.casefold())].append(member)
            for each in member.ids:
                self._found[Key(each.kind, each.value.casefold())].append(member)
        self._known = frozenset(key.value for key in self._found)

    def match(self, keys: Iterable[Key]) -> Match:
        """The one member whom all known `keys` name."""
        given = [key for key in keys if key.value]
        if not given:
            return Match(None, "nobody is named")
        found: dict[str, Member] = {}
        for key in given:
            found.update((each.username, each) for each in self._matches(key))
        if len(found) == 1:
            return Match(next(iter(found.values())))
        said = " / ".join(printable(key.value, 60) for key in given)
        if found:
            names = ", ".join(sorted(found))
            return Match(None, f"{said!r} could be any of {names}: give the user name", ambiguous=True)
        for key in given:
            if problem := mangled(key.value, self._known):
                return Match(None, f"{printable(key.value, 60)!r} {problem}")
        return Match(None, f"nobody known as {said!r} is in the course")

    def _matches(self, key: Key) -> list[Member]:
        value = key.value.casefold()
        kinds: tuple[Kind, ...] = (key.kind,)
        if key.kind is Kind.ANY:
            kinds = (Kind.USERNAME, Kind.EMAIL, Kind.STUDENT, Kind.USERID)
        elif key.kind is Kind.EMAIL or (key.kind is Kind.USERNAME and "@" in value):
            kinds = (Kind.USERNAME, Kind.EMAIL)
        # An id is never taken for a user name: somebody could register under a classmate's number and get their grade.
        return [member for kind in kinds for member in self._found.get(Key(kind, value), ())]
