"""Sessions of the pages: a signed cookie of bounded life, and links that log in once.

Invariant: neither holds a token. Both name a person and how often that person's token was revoked, so that a reset or
removal ends them at once; both are signed with keys made from the course's secrets, so that these can be rotated.
Logging out marks the session's id as ended in the store, so that no copy of its cookie stays valid.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeSerializer

from mograder.domain.access import Actor
from mograder.domain.course import Course
from mograder.domain.deadlines import SECOND
from mograder.domain.devices import LISTED, REMEMBERED
from mograder.domain.errors import Unauthenticated
from mograder.domain.names import Username

SESSION_SECONDS = 12 * 3600
"""How long a session lives after its last use."""

RENEW_SECONDS = 15 * 60
"""The age at which a request renews a cookie."""

LINK_SECONDS = 5 * 60
"""How long a one-time link is valid."""

START_LINK_SECONDS = 3600
"""How long the link that `mograder serve` prints is valid."""


@dataclass(frozen=True)
class Session:
    """One person's session, from logging in to logging out. `seen` is when its cookie was made (Unix microseconds)."""

    username: Username
    generation: int
    seen: int
    id: str
    remembered: bool = False
    """Whether its browser is remembered for the term. Instructors and graders have a short session all the same."""

    def end(self, course: Course) -> None:
        """End it at every server of the course, with every copy of its cookies."""
        course.guard.end_session(self.id, course.clock() + LISTED)


def lifetime(remembered: bool, actor: Actor) -> int:
    """How long a session lives after its last use, in microseconds."""
    return REMEMBERED if remembered and not actor.is_staff else SESSION_SECONDS * SECOND


def new_session(course: Course, username: Username, remembered: bool = False) -> Session:
    """A session that begins now."""
    return Session(username, course.accounts.generation(username), course.clock(), secrets.token_hex(12), remembered)


def cookie_name(course: Course) -> str:
    """The cookie's name. Each course has its own, because cookies are shared by all ports of a host."""
    return f"mograder-{course.keys.public()[-1]['kid'][:8]}"  # the oldest key: rotation must not end sessions


def view_cookie_name(course: Course) -> str:
    """The name of the cookie of an instructor who views the pages as a student."""
    return f"{cookie_name(course)}-view"


def cookie_value(course: Course, session: Session) -> str:
    """The value of a session's cookie, with the current time as its last use."""
    generation = course.accounts.generation(session.username)
    fields = [session.username, generation, course.clock(), session.id, session.remembered]
    return _signer(course, "session").dumps(fields)


def read_cookie(course: Course, value: str) -> tuple[Session, Actor]:
    """The session in a cookie, and its actor. Raises Unauthenticated."""
    session = Session(*_read(course, "session", value, 5))
    actor = course.accounts.resume(session.username, session.generation)
    if course.clock() > session.seen + lifetime(session.remembered, actor) or course.guard.has_ended(session.id):
        raise Unauthenticated("your session has ended: log in again")
    return session, actor


def new_ticket(course: Course, username: Username, seconds: int = LINK_SECONDS) -> tuple[str, int]:
    """A ticket that logs `username` in once, and when it expires (Unix microseconds)."""
    until = course.clock() + seconds * SECOND
    fields = [username, course.accounts.generation(username), until, secrets.token_hex(12)]
    return _signer(course, "login link").dumps(fields), until


def link_with(address: str, ticket: str) -> str:
    """The link with `ticket` in its fragment, which browsers do not send, so that no log has it."""
    return f"{address.rstrip('/')}/once#{ticket}"


@dataclass(frozen=True)
class Ticket:
    """A genuine ticket of a login link. `until` is Unix microseconds; `name` makes it work only once."""

    actor: Actor
    until: int
    name: str

    @classmethod
    def read(cls, course: Course, text: str) -> Ticket:
        """The ticket, without using it up. Raises Unauthenticated."""
        username, generation, until, name = _read(course, "login link", text.strip(), 4)
        return cls(course.accounts.resume(username, generation), until, name)

    def spend(self, course: Course) -> Actor:
        """Use the ticket up; returns the actor that it logs in. Raises Unauthenticated."""
        course.guard.spend(self.name, self.until)
        return self.actor


def _signer(course: Course, purpose: str) -> URLSafeSerializer:
    keys = list(reversed(course.keys.secrets()))  # itsdangerous signs with the last
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(keys, salt=f"mograder {purpose}", signer_kwargs=options)


def _read(course: Course, purpose: str, text: str, length: int) -> list:  # type: ignore[type-arg]
    """The fields that were signed for `purpose`; the first is a user name. Raises Unauthenticated."""
    try:
        fields = _signer(course, purpose).loads(text)
    except BadData:
        raise Unauthenticated("this is not a login of this course: log in again") from None
    if not isinstance(fields, list) or len(fields) != length:  # written by another version of mograder
        raise Unauthenticated("this login is of another version: log in again")
    return [Username(fields[0]), *fields[1:]]
