"""Roles, accounts and authorisation: who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mograder.domain.errors import Forbidden
from mograder.domain.names import INSTRUCTOR, Username


class Role(StrEnum):
    STUDENT = "student"
    GRADER = "grader"
    INSTRUCTOR = "instructor"


class Allow(StrEnum):
    """Who a request is open to."""

    ANYONE = "anyone"
    MEMBER = "any token"
    SELF = "the student or an instructor"
    GRADER = "a grader or an instructor"
    INSTRUCTOR = "instructor"


@dataclass(frozen=True)
class ExternalId:
    """A person's id in another system. `kind` says which id it is, such as "canvas_id" or "student_id"."""

    kind: str
    value: str


@dataclass(frozen=True)
class Account:
    """A person of the course. `generation` counts resets; `bound` says whether somebody has claimed the name.

    `code_hash` is the hash of a personal one-time code that is still open, else None. A `removed` person's name stays
    bound, so that nobody else can claim it. `claim_hash` is the hash of the key with which the name was claimed at the
    moment `claimed` (Unix microseconds), None when it was claimed without one. `email`, `sections` and `ids` come from
    a roster; they are "" and () without one.
    """

    username: Username
    role: Role = Role.STUDENT
    name: str = ""
    generation: int = 0
    bound: bool = False
    code_hash: str | None = None
    created: int = 0
    removed: bool = False
    claim_hash: str | None = None
    claimed: int = 0
    email: str = ""
    sections: tuple[str, ...] = ()
    ids: tuple[ExternalId, ...] = ()


@dataclass(frozen=True)
class Actor:
    """The person who makes a request. `unchecked` is set by a server run with --no-auth: everything is allowed."""

    username: Username
    role: Role
    unchecked: bool = False

    @property
    def is_instructor(self) -> bool:
        return self.unchecked or self.role is Role.INSTRUCTOR

    @property
    def is_staff(self) -> bool:
        """Whether the person marks: a grader or an instructor."""
        return self.is_instructor or self.role is Role.GRADER


COURSE_INSTRUCTOR = Actor(INSTRUCTOR, Role.INSTRUCTOR)
ANONYMOUS = Actor(Username("__anonymous__"), Role.STUDENT)
"""The actor of a request that needs no token; nobody can register its name."""
VIEWER = Actor(Username("__student__"), Role.STUDENT)
"""An instructor who looks at the pages as a student does; nobody can register the name."""
UNCHECKED = Actor(INSTRUCTOR, Role.INSTRUCTOR, unchecked=True)


def authorise(actor: Actor, allow: Allow, about: Username | None = None) -> None:
    """Raises Forbidden unless `allow` lets `actor` make a request that is about the person `about`."""
    if actor.is_instructor or allow in (Allow.ANYONE, Allow.MEMBER):
        return
    if allow is Allow.GRADER and actor.is_staff:
        return
    if allow is Allow.SELF and actor.username == about:
        return
    if allow is Allow.SELF:
        raise Forbidden(f"you are {actor.username!r}: only {about!r} or an instructor may do this")
    who = "a grader or an instructor" if allow is Allow.GRADER else "an instructor"
    raise Forbidden(f"you are {actor.username!r}: only {who} may do this")
