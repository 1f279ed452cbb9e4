"""Who is to be in the course: people, their personal codes, and the lists that they come in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Self

from mograder.domain.access import Role
from mograder.domain.errors import BadName, BadRequest
from mograder.domain.names import Username, one_line, parse_new_username
from mograder.domain.tables import read_table

PERSON_COLUMNS = ("username", "student_id", "email", "email_address")
"""Columns that say who a person is; the first of these that a list has becomes the user name."""

FULL_NAME_COLUMNS = ("name", "full_name")

MAX_NAME = 200  # characters of a person's display name

_CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look like another


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
    letters = [secrets.choice(_CODE_LETTERS) for _ in range(12)]
    return "-".join("".join(letters[at : at + 4]) for at in (0, 4, 8))


def read_roster(text: str) -> tuple[Person, ...]:
    """The people of a CSV list, all of them students. Raises BadRequest naming the line at fault.

    User names come from the first of PERSON_COLUMNS that is there; names from `name`, or `first_name` and
    `last_name`. Other columns are passed over; a role is given by an instructor, not by a list.
    """
    columns, rows = read_table(text, lambda name: name.lower().replace(" ", "_"))
    column = next((each for each in PERSON_COLUMNS if each in columns), None)
    if column is None:
        raise BadRequest(
            f"the list has no column for the person: expected one of {', '.join(PERSON_COLUMNS[:3])}, "
            f"found {', '.join(columns) or 'nothing'}"
        )
    people: dict[str, Person] = {}
    for place, row in rows:
        try:
            person = Person.parse(row[column], _name_in(row))
        except (BadName, BadRequest) as error:
            raise BadRequest(f"{place}: {error.message}") from None
        if person.username.key in people:
            raise BadRequest(f"{place}: {person.username!r} is in the list already")
        people[person.username.key] = person
    if not people:
        raise BadRequest("the list names nobody")
    return tuple(people.values())


def _name_in(row: dict[str, str]) -> str:
    full = next((row[each] for each in FULL_NAME_COLUMNS if row.get(each)), "")
    return full or f"{row.get('first_name', '')} {row.get('last_name', '')}"
