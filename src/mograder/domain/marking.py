"""Marking by people: marks, rubric items, notes, assigned graders, releases and regrade requests.

Invariant: nothing is changed in place. Every change is an entry with its own version, and the last entry of a key is
in force. Students see only entries of the kinds in SHOWN.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol, Self, TypeVar

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, ChangedMeanwhile
from mograder.domain.grades import GradeEntry
from mograder.domain.marks import DECIMALS
from mograder.domain.names import INSTRUCTOR, AssignmentName, Username, counted

T = TypeVar("T")

MAX_TEXT = 10_000
"""Characters of a comment, a note or a message."""


class Kind(StrEnum):
    """The subject of an entry. `username` and `key` of an entry are "" if its kind has none."""

    MARK = "mark"  # of a person, for the question `key`
    REMARK = "remark"  # of a person, at the cell or line `key` of the submission
    NOTE = "note"  # of a person, for graders only
    ITEM = "item"  # the rubric item `key` of the assignment
    ASSIGNED = "assigned"  # the grader of a person, or of the question `key`
    SETTINGS = "settings"  # of the assignment
    RELEASE = "release"  # the mark as a person sees it
    REQUEST = "request"  # a person's regrade request for the question `key`


SHOWN = (Kind.RELEASE, Kind.REQUEST)
"""The kinds of entries that a student's pages and replies read."""

SHEET = (Kind.ITEM, Kind.ASSIGNED, Kind.SETTINGS)
"""The kinds of entries of which a sheet is made."""


class Entry(Struct, frozen=True):
    """One change. `version` counts from 1 for each assignment, kind, person and key; `moment` is in Unix microseconds.

    `content` is a JSON text, "" if the change removed something; `why` is the reason that the person gave.
    """

    assignment: AssignmentName
    kind: Kind
    username: str
    key: str
    version: int
    moment: int
    actor: str
    content: str
    why: str = ""

    @property
    def place(self) -> tuple[Kind, str, str]:
        """Kind, person and key, which the entry changes."""
        return self.kind, self.username, self.key

    @property
    def by(self) -> str:
        """The author, as graders see it. A student has no name here, as names may be hidden."""
        if self.actor == self.username:
            return "the student"
        return "Instructor" if self.actor == INSTRUCTOR else self.actor

    def value(self) -> dict[str, Any]:
        load = _loaded if len(self.content) <= SHORT else json.loads
        return dict(load(self.content)) if self.content else {}


SHORT = 500
"""Characters of a content that is cached at most; longer ones, which students write, must not fill the memory."""


@lru_cache(16_384)
def _loaded(content: str) -> Mapping[str, Any]:
    """Cached, as a page about everybody reads thousands of entries, and few change between two pages."""
    return dict(json.loads(content))


class MarkingConflict(ChangedMeanwhile):
    """Somebody else has changed the same entries; nothing was stored. `current` are the entries in force."""

    def __init__(self, current: Sequence[Entry]) -> None:
        by = ", ".join(dict.fromkeys(each.by for each in current)) or "somebody"
        super().__init__(f"{by} has changed {counted(len(current), 'entry', 'entries')} of this "
                         "since you looked: nothing was stored, look again")  # fmt: skip
        self.current = tuple(current)


class GradesChange(Struct, frozen=True):
    """Grades to merge together with a change of the marking. `version` is the expected version of the stored grades."""

    entries: tuple[GradeEntry, ...]
    version: str


class MarkingStore(Protocol):
    """What storage promises about marking."""

    def current(
        self, assignment: AssignmentName, kinds: Sequence[Kind] = tuple(Kind), username: str | None = None
    ) -> list[Entry]:
        """The last entry of every key, of these kinds and this person (None: everybody, "": the assignment itself).

        They come in no order.
        """
        ...

    def history(self, assignment: AssignmentName, username: str | None = None) -> list[Entry]:
        """Every entry (of a person), in the order in which they were written."""
        ...

    def since(self, assignment: AssignmentName, number: int) -> list[tuple[int, Entry]]:
        """The entries in force of an assignment with a number above `number`, each with its number, in no order.

        Numbers grow with every entry of the assignment.
        """
        ...

    def count(self) -> int:
        """A number that changes with every new entry of the course."""
        ...

    def write(
        self, assignment: AssignmentName, entries: Sequence[Entry], events: Sequence[Event] = (),
        grades: GradesChange | None = None,
    ) -> None:  # fmt: skip
        """Add entries of the assignment, record events and merge grades in one transaction: all or nothing.

        Raises MarkingConflict unless the version of each entry is one more than that of the entry in force (1 without
        one), and ChangedMeanwhile unless the stored grades have the version of `grades`.
        """
        ...


def conflicts(entries: Sequence[Entry], held: Mapping[tuple[Kind, str, str], Entry]) -> list[Entry]:
    """The entries in force (by place in `held`) that are not those on which `entries` are based."""
    found = []
    for each in entries:
        now = held.get(each.place)
        if each.version != (now.version if now else 0) + 1:
            found.append(now or replace(each, version=0, content="", actor="", why=""))
    return found


# the contents of entries


def checked_text(text: str, what: str) -> str:
    r"""A text that a person typed, with line ends "\n". `what` names it in errors. Raises BadRequest if too long."""
    found = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    if len(found) > MAX_TEXT:
        raise BadRequest(f"the {what} has {counted(len(found), 'character')}: at most {MAX_TEXT} are allowed")
    return found


class Content(Struct, frozen=True):
    """The content of an entry of some kind."""

    @classmethod
    def read(cls, entry: Entry | None) -> Self:
        """The content of `entry`; an empty one without an entry."""
        return cls(**entry.value()) if entry is not None else cls()

    @property
    def text_form(self) -> str:
        """The content as JSON, "" for an empty one."""
        return "" if self == type(self)() else json.dumps(asdict(self), ensure_ascii=False)


class GivenMark(Content, frozen=True):
    """A person's mark of a question: points, rubric items (by their keys), and a comment for the student.

    `attempt` and `receipt` say for which submission it is, `tests` which version of the tests gave the result that the
    person saw ("" for none).
    """

    points: float | None = None
    items: Sequence[str] = ()
    comment: str = ""
    attempt: int | None = None
    receipt: int | None = None
    tests: str = ""

    @property
    def says_something(self) -> bool:
        return self.points is not None or bool(self.items or self.comment)


class Text(Content, frozen=True):
    """A note about a person, or a remark at a cell or line of the submission."""

    text: str = ""


class RubricItem(Content, frozen=True):
    """A common merit or fault in answers to a question, and its positive or negative points."""

    question: str = ""
    text: str = ""
    points: float = 0.0


class Assigned(Content, frozen=True):
    """The grader of a person or question."""

    grader: str = ""


class Settings(Content, frozen=True):
    """Settings of the marking. `salt` is the secret that turns names into pseudonyms, "" if names are shown."""

    salt: str = ""


class Message(Struct, frozen=True):
    """A message in a regrade request. `moment` is in Unix microseconds."""

    by: str
    moment: int
    text: str
    student: bool


class Request(Content, frozen=True):
    """A regrade request, `open` until somebody answers it. Messages are mappings with the fields of Message."""

    open: bool = False
    messages: Sequence[Mapping[str, Any]] = ()

    @property
    def thread(self) -> tuple[Message, ...]:
        return tuple(Message(**each) for each in self.messages)

    def with_message(self, message: Message, is_open: bool) -> Request:
        return Request(is_open, [*self.messages, asdict(message)])


# points


def points_of(
    given: GivenMark, items: Mapping[str, RubricItem], available: float, automatic: float | None
) -> float | None:
    """The points of a person's mark of a question, None if it gives none.

    Typed points count as they are. Else rubric items are added to 0, or, if all are negative, to the `automatic` points
    or (None) to all `available` points; the sum is limited to 0 and `available`.
    """
    if given.points is not None:
        return given.points
    found = [items[key].points for key in given.items if key in items]
    if not found:
        return None
    start = 0.0 if any(each > 0 for each in found) else available if automatic is None else automatic
    return max(0.0, min(available, round(start + sum(found), DECIMALS)))


class Sheet(Struct, frozen=True):
    """The marking of a whole assignment: rubric items by key, graders by person and by question, and settings."""

    items: Mapping[str, RubricItem] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    by_person: Mapping[str, str] = field(default_factory=dict)
    by_question: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    settings_version: int = 0

    def of_question(self, question: str) -> dict[str, RubricItem]:
        return {key: each for key, each in self.items.items() if each.question == question}

    def grader(self, username: str, question: str) -> str:
        """The grader of the question, else of the person; "" if anybody may mark."""
        return self.by_question.get(question) or self.by_person.get(username, "")


def sheet_of(entries: Sequence[Entry]) -> Sheet:
    """The sheet made of an assignment's entries in force."""
    items: dict[str, RubricItem] = {}
    versions: dict[str, int] = {}
    by_person: dict[str, str] = {}
    by_question: dict[str, str] = {}
    settings, settings_version = Settings(), 0
    for each in sorted(entries, key=lambda entry: entry.moment):
        if each.kind is Kind.ITEM:
            versions[each.key] = each.version
            if each.content:
                items[each.key] = RubricItem.read(each)
        elif each.kind is Kind.ASSIGNED and each.content:
            (by_person if each.username else by_question)[each.username or each.key] = Assigned.read(each).grader
        elif each.kind is Kind.SETTINGS:
            settings, settings_version = Settings.read(each), each.version
    return Sheet(items, versions, by_person, by_question, settings, settings_version)


# hidden names


def digest(secret: str, text: str) -> str:
    """An HMAC-SHA-256 in hex: the same each time, and unpredictable without the secret."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Digits and letters, no two of which look alike."""


def pseudonym(salt: str, username: str) -> str:
    """The name of a person where names are hidden: always the same, and different for everybody (40 bits)."""
    number = int(digest(salt, username)[:10], 16)
    return "".join(ALPHABET[number >> 5 * at & 31] for at in range(8))


class Names(Struct, frozen=True):
    """Names of people on the pages of marking; pseudonyms if there is a `salt` (see Settings)."""

    salt: str = ""

    @property
    def hidden(self) -> bool:
        return bool(self.salt)

    def shown(self, username: str, name: str = "") -> str:
        """The pseudonym where names are hidden, else the display name if it is given, else the user name."""
        return pseudonym(self.salt, username) if self.salt else name or username

    def in_order(self, people: Iterable[T], of: Callable[[T], str]) -> list[T]:
        """Sorted by the shown name, as the order must not reveal hidden ones. `of` returns a person's user name."""
        return sorted(people, key=lambda each: self.shown(of(each)))

    def find(self, text: str, people: Iterable[str]) -> Username | None:
        """The one of `people` whose shown name is `text`. Hidden user names are not found."""
        return next((Username(each) for each in people if self.shown(each) == text), None)
