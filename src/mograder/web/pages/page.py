"""The values of pages: one frozen dataclass each, with its template, which sees this value and nothing else.

This module has what all pages share, and the pages for joining and logging in.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import ClassVar
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.filters import do_filesizeformat
from markupsafe import Markup, escape

from mograder.domain import deadlines
from mograder.domain.disclosure import limit_in_words, where_in_words
from mograder.domain.errors import Unreadable
from mograder.domain.marks import in_words
from mograder.domain.names import Username, counted

SECTIONS = {"/my": "/", "/new-assignment": "/board", "/new-codes": "/people"}
"""The sections of pages that do not stand below theirs; paths begin with the first name here."""


@dataclass(frozen=True)
class Frame:
    """The header and footer of every page. `root` is the path at which the course is mounted, "" for the root.

    `user` is the person who is logged in, or None; `now` is the server's clock in Unix microseconds. `path` is where
    the page is, below the mount.
    """

    course: str
    now: int
    root: str = ""
    user: Username | None = None
    is_instructor: bool = False
    is_grader: bool = False
    checked: bool = True
    """False on a server that lets everybody do everything (--no-auth)."""
    config_errors: tuple[Unreadable, ...] = ()
    """Files of the course that cannot be parsed now. Every page tells instructors."""
    waiting: int = 0
    """How many requests for more time are undecided; every page tells instructors."""
    viewing: bool = False
    """Whether an instructor views the page as a student."""
    path: str = ""

    def current(self, section: str) -> str:
        """The aria-current of the link to a section: "page" on its own page, "true" on those below it, else ""."""
        path = self.path
        if path == "/":
            path = "/board" if self.is_instructor else "/marking" if self.is_grader else "/"
        if path == section:
            return "page"
        first = "/".join(path.split("/")[:2])
        return "true" if SECTIONS.get(first, first) == section else ""

    def at(self, path: str, *segments: str) -> str:
        """The link to a page: `path` below the mount, then each of `segments`, percent-encoded."""
        return quote(self.root) + "/".join([path, *(quote(each, safe="") for each in segments)])

    def asset(self, name: str) -> str:
        """The link to a static file. It changes with the file, so that browsers may cache the file for ever."""
        return self.at(f"/static/{assets()[name].tag}/{name}")


@dataclass(frozen=True)
class Page:
    """Every page has a frame, a template and a heading."""

    template: ClassVar[str]
    heading: ClassVar[str] = ""
    frame: Frame


@dataclass(frozen=True)
class Join(Page):
    """The form to register with a code. `problem` says why the last attempt failed, "" before the first.

    The `claim_key` makes it safe to send the form again when the response was lost. `fingerprint` is that of the key
    that signs receipts.
    """

    template = "join.html"
    heading = "Join the course"
    registration: bool
    fingerprint: str
    claim_key: str
    shared_code: bool = True
    """Whether the course's code lets people in."""
    personal_codes: bool = True
    """Whether people of the roster have personal codes that are still open."""
    user: str = ""
    code: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Joined(Page):
    """The token of a person who has just registered, shown only now. `address` is where clients reach the course.

    `fingerprint` is that of the server's own authority, "" for one with a certificate that everybody trusts.
    """

    template = "joined.html"
    heading = "You have joined"
    token: str
    address: str
    fingerprint: str = ""

    @property
    def login_line(self) -> str:
        known_by = f" --fingerprint {self.fingerprint}" if self.fingerprint else ""
        return f"mograder https login --url {self.address}{known_by} --token -"


@dataclass(frozen=True)
class Login(Page):
    """`way_back` is the page to go to afterwards, "" for the first one."""

    template = "login.html"
    heading = "Log in"
    registration: bool
    way_back: str = ""
    problem: str = ""
    user: str = ""


@dataclass(frozen=True)
class SessionEnded(Page):
    """The answer to a form that was sent without a session. `login` leads to the login page, and back after it."""

    template = "session_ended.html"
    heading = "You are not logged in"
    login: str


@dataclass(frozen=True)
class ConfirmSwitch(Page):
    """Asks for confirmation before a login link logs a person in as somebody else, `user`."""

    template = "confirm_switch.html"
    heading = "Log in as somebody else?"
    user: Username
    ticket: str


@dataclass(frozen=True)
class Once(Page):
    """The page of a one-time link: a script moves the ticket from the fragment into the form and sends it."""

    template = "once.html"
    heading = "Log in by link"
    problem: str = ""


@dataclass(frozen=True)
class Problem(Page):
    """An error. `code` is the HTTP status; `place` names a file of the course, for instructors only."""

    template = "problem.html"
    code: int
    message: str
    place: str = ""


@dataclass(frozen=True)
class Asset:
    """A static file. `tag` changes with its bytes."""

    content: bytes
    kind: str
    tag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every static file by its name; read once."""
    found = {}
    for file in resources.files("mograder.web.pages").joinpath("static").iterdir():
        content = file.read_bytes()
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if kind.startswith("text/"):
            kind += "; charset=utf-8"
        found[file.name] = Asset(content, kind, hashlib.sha256(content).hexdigest()[:16])
    return found


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("mograder.web.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    environment.filters |= {
        "points": in_words,
        "limit_in_words": limit_in_words,
        "cell_in_words": lambda cell, line: where_in_words(cell, line).rstrip(","),
        "counted": counted,
        "filesizeformat": _size,
        "iso": deadlines.iso,
        "readable": deadlines.readable,
        "sentence": _sentence,
        "timed": _timed,
    }
    return environment


def _size(number: int, binary: bool = False) -> str:
    return do_filesizeformat(number, binary).replace("Byte", "byte").replace(".0 ", " ")


def _timed(text: str) -> Markup:
    """A text of the audit log with its ISO times as <time> elements."""

    def shown(found: re.Match[str]) -> str:
        try:
            moment = deadlines.microseconds(datetime.fromisoformat(found[0]))
        except ValueError:  # not a time: a person wrote it
            return found[0]
        return f'<time datetime="{found[0]}">{deadlines.readable(moment)}</time>'

    return Markup(re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", shown, str(escape(text))))  # noqa: S704 (escaped)


def _sentence(message: str) -> str:
    """A message, which starts in lower case, as a sentence. A quoted name at its start stays as it is."""
    first = message.partition(" ")[0]
    return f"{message[:1].upper() if first.isalpha() else message[:1]}{message[1:]}."


def render(page: Page) -> str:
    """The page as HTML."""
    return _templates().get_template(page.template).render(page=page)
