"""Who is to be in the course: people, and their personal codes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Self

from mograder.domain.access import Role
from mograder.domain.errors import BadRequest
from mograder.domain.names import Username, one_line, parse_new_username

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
