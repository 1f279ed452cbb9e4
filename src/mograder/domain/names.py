"""Parses names from outside; only the results are safe to use in a path.

A parser returns a `str` subclass or raises `BadName`; parsing its result gives the same name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Self

from mograder.domain.errors import BadName

INSTRUCTOR_NAME = "__instructor__"

MAX_USERNAME = 100  # characters; ASCII, so bytes too: leaves room for "_20260310T200800.py" in a file name
MAX_SEGMENT = 200  # bytes of UTF-8 in one part of a path

MAX_FILE_NAME = 1000
"""Characters of a FileName, all its parts together."""

_USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*", re.ASCII)
_COURSE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
HISTORY_STEM = re.compile(r"(?P<user>.+)_(?P<stamp>\d{8}T\d{6})", re.ASCII)
"""The stem of a dated version: alice_20260310T200800."""

_USUAL_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,100}", re.ASCII)
"""Matches most names, which then need no further checks."""

_FILE_LIKE = re.compile(r".*\.(py|ipynb|zip|html?|json|toml|csv|db|tmp|lock)?", re.ASCII | re.IGNORECASE)
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


class Username(str):
    """A user name: ASCII letters, digits and `_ . @ + -`, not starting with a dot, dash, `@` or `+`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """`text` without surrounding white space. Raises BadName."""
        name = text.strip()
        if not name:
            raise BadName("no user name given")
        if len(name) > MAX_USERNAME:
            raise BadName(f"user name is longer than {MAX_USERNAME} characters")
        if not _USERNAME.fullmatch(name):
            raise BadName(
                f"{printable(name)!r} cannot be a user name: use the letters a-z, digits and _ . @ + -, "
                "starting with a letter, digit or _"
            )
        return cls(name)

    @property
    def reserved(self) -> bool:
        """Whether the name is reserved for the system, like `__instructor__`."""
        return self.startswith("__")

    @property
    def key(self) -> str:
        """The case-folded name. Two accounts never have the same key."""
        return self.casefold()


INSTRUCTOR = Username(INSTRUCTOR_NAME)


def parse_new_username(text: str) -> Username:
    """A name that somebody may register. Raises BadName."""
    name = parse_owner(text)
    if name.reserved:
        raise BadName(f"{name!r} is reserved: names that start with __ belong to the system")
    return name


def parse_owner(text: str) -> Username:
    """A name for which submissions may be stored: it cannot be mistaken for a file. Raises BadName."""
    name = Username.parse(text)
    if HISTORY_STEM.fullmatch(name):
        raise BadName(f"{name!r} looks like a dated submission: choose a name without a date and time at its end")
    if _FILE_LIKE.fullmatch(name):
        raise BadName(f"{name!r} looks like a file: choose a name without an ending such as .py")
    if WINDOWS_DEVICES.fullmatch(name):
        raise BadName(f"{name!r} is a device name on Windows: choose another name")
    return name


def parse_exact_owner(text: str) -> Username:
    """As `parse_owner`, for a name in an address: white space around it is an error. Raises BadName."""
    name = parse_owner(text)
    if name != text:
        raise BadName(f"{printable(text)!r} is {name!r} with white space around it: give the name alone")
    return name


class CourseName(str):
    """The name of one of many courses, as in its URL: lower-case letters, digits, `.`, `_` and `-`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises BadName."""
        if not _COURSE.fullmatch(text):
            raise BadName(
                f"{printable(text)!r} cannot be the name of a course: take lower-case letters, digits, '-', '_' and "
                "'.', beginning with a letter or digit, 64 at most"
            )
        return cls(text)


class AssignmentName(str):
    """The name of an assignment, which is the name of its folder: one part of a path, never hidden."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The text, in its own Unicode form, as a folder's name may be in any. Raises BadName."""
        return cls(_segment(text, "an assignment name"))

    @property
    def key(self) -> str:
        """The name in Unicode form NFC, equal for the same letters in any form (macOS decomposes letters)."""
        return self if self.isascii() else unicodedata.normalize("NFC", self)


class FileName(str):
    """The name of a file inside an assignment: parts joined by `/`, none hidden, none leading outside."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises BadName."""
        if len(text) > MAX_FILE_NAME:
            raise BadName(f"file name is longer than {MAX_FILE_NAME} characters")
        return cls("/".join(_segment(part, "a file name") for part in text.split("/")))


def _segment(text: str, kind: str) -> str:
    if _USUAL_SEGMENT.fullmatch(text):
        return text
    if not text or text != text.strip() or text.startswith("."):
        raise BadName(f"{printable(text)!r} cannot be part of {kind}")
    if "/" in text or "\\" in text or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise BadName(f"{printable(text)!r} has a character that {kind} cannot have")
    if len(text.encode()) > MAX_SEGMENT:
        raise BadName(f"{printable(text, 40)!r} is longer than {MAX_SEGMENT} bytes, which {kind} cannot be")
    return text


def is_history(stem: str) -> bool:
    """Whether a file stem names one dated version (alice_20260310T200800), not the latest (alice)."""
    return HISTORY_STEM.fullmatch(stem) is not None


def one_line(text: str) -> str:
    """A text that people typed, with one space for any white space and control characters.

    Some storage refuses control characters, and no terminal should get them.
    """
    return " ".join("".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text).split())


def printable(text: str, limit: int = 120) -> str:
    """`text` with `?` for all characters that could control a terminal or reverse the reading order.

    For names from outside that are shown to people. Cut to `limit` characters.
    """
    shown = "".join(
        "?" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else letter for letter in text
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def some_of(names: Sequence[str], most: int = 10) -> str:
    """The first names, for a message, and how many more there are: a, b and 3 more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(printable, names[:most])) + more


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number of things in words: 1 receipt, 2 receipts, 2.5 minutes. `plural` is by default the noun and "s"."""
    return f"{number if isinstance(number, int) else f'{number:g}'} {noun if number == 1 else plural or f'{noun}s'}"
