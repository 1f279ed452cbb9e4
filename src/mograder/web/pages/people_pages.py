"""What an instructor sees of the people of a course: the roster, the way in for all, more time, the trail."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from markupsafe import Markup

from mograder.domain.access import Account, Role
from mograder.domain.extensions import Extension
from mograder.domain.names import INSTRUCTOR, Username
from mograder.domain.receipts import Head
from mograder.domain.store import Event
from mograder.web.pages.instructor_pages import Part
from mograder.web.pages.page import Page


@dataclass(frozen=True)
class People(Page):
    """The roster. `codes` are those of people who were just added or reset: shown this once."""

    template = "people.html"
    heading = "People"
    accounts: tuple[Account, ...]
    part: Part
    text: str
    codes: tuple[tuple[Username, str], ...] = ()
    problem: str = ""
    roles = tuple(Role)

    def at_page(self, page: int) -> str:
        return f"{self.frame.at('/people')}?{urlencode({'q': self.text, 'page': page})}"

    @property
    def table(self) -> str:
        """The new codes, a line a person."""
        return "\n".join(f"{user} {code}" for user, code in self.codes)


@dataclass(frozen=True)
class Remove(Page):
    """Asks once more before somebody is removed."""

    template = "remove.html"
    heading = "Remove somebody"
    user: Username
    name: str


@dataclass(frozen=True)
class Invite(Page):
    """The join link and its QR code, for the whole lecture hall. `link` is "" when nobody can join by a code."""

    template = "invite.html"
    heading = "Join the course"
    link: str
    address: str
    code: str
    picture: Markup

    @property
    def is_local(self) -> bool:
        """Whether the address is one that only this machine itself reaches."""
        return urlsplit(self.address).hostname in ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class MoreTime(Page):
    """All extensions, those that wait for a decision first."""

    template = "more_time.html"
    heading = "More time"
    waiting: tuple[Extension, ...]
    others: tuple[Extension, ...]


@dataclass(frozen=True)
class Trail(Page):
    """Who did what when, newest first. `head` is the end of the chain of receipts."""

    template = "trail.html"
    heading = "Trail"
    events: tuple[Event, ...]
    part: Part
    text: str
    head: Head

    def named(self, name: str) -> str:
        return "Instructor" if name == INSTRUCTOR else name

    def at_page(self, page: int) -> str:
        return f"{self.frame.at('/trail')}?{urlencode({'q': self.text, 'page': page})}"
