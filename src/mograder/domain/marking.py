"""What people give for a submission: marks, rubric items, notes, hand-outs, releases and regrade requests.

Invariant: nothing is changed in place. Every change is an entry with a version of its own, and the last entry of a key
holds. Students are shown what is in SHOWN, and nothing else of it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol, Self, TypeVar

from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, ChangedMeanwhile
from mograder.domain.grades import GradeEntry
from mograder.domain.marks import DECIMALS
from mograder.domain.names import INSTRUCTOR, AssignmentName, Username, counted

T = TypeVar("T")

MAX_TEXT = 10_000
"""Characters of a comment, a note or a message."""


class Kind(StrEnum):
    """What an entry is about. `username` and `key` of an entry are "" where its kind has none."""

    MARK = "mark"  # of a person, for the question `key`
    REMARK = "remark"  # of a person, at the cell or line `key` of the submission
    NOTE = "note"  # of a person, for those who mark alone
    ITEM = "item"  # the rubric item `key` of the assignment
    ASSIGNED = "assigned"  # who marks a person, or the question `key`
    SETTINGS = "settings"  # of the assignment
    RELEASE = "release"  # what a person is shown
    REQUEST = "request"  # a person's request to look at the question `key` again


SHOWN = (Kind.RELEASE, Kind.REQUEST)
"""All that a student's pages and replies are made of."""

SHEET = (Kind.ITEM, Kind.ASSIGNED, Kind.SETTINGS)
"""What a sheet is made of."""


@dataclass(frozen=True)
class Entry:
    """One change: `version` counts from 1 for each assignment, kind, person and key; `moment` is Unix microseconds.

    `content` is a JSON text, "" where something was taken away; `why` is what the person who changed it gave as reason.
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
        """What it is an entry of."""
        return self.kind, self.username, self.key

    @property
    def by(self) -> str:
        """Who made it, for those who mark: a student by no name, which may be hidden."""
        if self.actor == self.username:
            return "the student"
        return "Instructor" if self.actor == INSTRUCTOR else self.actor

    def value(self) -> dict[str, Any]:
        return dict(_loaded(self.content)) if self.content else {}


@lru_cache(16_384)
def _loaded(content: str) -> Mapping[str, Any]:
    """Cached: a page about everybody reads thousands, of which few have changed since the last one."""
    return dict(json.loads(content))


class MarkingConflict(ChangedMeanwhile):
    """Somebody else has changed the same meanwhile; nothing was stored. `current` are the entries that hold."""

    def __init__(self, current: Sequence[Entry]) -> None:
        by = ", ".join(dict.fromkeys(each.by for each in current)) or "somebody"
        super().__init__(f"{by} has changed {counted(len(current), 'entry').replace('entrys', 'entries')} of this "
                         "since you looked: nothing was stored, look again")  # fmt: skip
        self.current = tuple(current)


@dataclass(frozen=True)
class GradesChange:
    """Grades that become visible, or invisible, with a change of the marking. `version` is that of the table before."""

    entries: tuple[GradeEntry, ...]
    version: str


class MarkingStore(Protocol):
    """What storage promises about marking."""

    def current(
        self, assignment: AssignmentName, kinds: Sequence[Kind] = tuple(Kind), username: str | None = None
    ) -> list[Entry]:
        """The last entry of every key, of these kinds and this person ("": of the assignment itself), in no order."""
        ...

    def history(self, assignment: AssignmentName, username: str | None = None) -> list[Entry]:
        """Every entry, in the order in which they were written."""
        ...

    def since(self, assignment: AssignmentName, number: int) -> list[tuple[int, Entry]]:
        """The entries of an assignment that hold and were added behind this number, each with its own, which grows with
        every entry of the assignment; in no order.
        """
        ...

    def count(self) -> int:
        """How many entries the course has: it changes with every change."""
        ...

    def write(
        self, assignment: AssignmentName, entries: Sequence[Entry], events: Sequence[Event] = (),
        grades: GradesChange | None = None,
    ) -> None:  # fmt: skip
        """Add entries of the assignment, record events and merge grades in one transaction: all or nothing.

        Raises MarkingConflict unless the version of each entry is one more than that of the entry that holds (1 where
        there is none), and ChangedMeanwhile unless the stored grades have the version.
        """
        ...


def conflicts(entries: Sequence[Entry], held: Mapping[tuple[Kind, str, str], Entry]) -> list[Entry]:
    """The entries that hold where one of `entries` was made from an earlier one."""
    found = []
    for each in entries:
        now = held.get(each.place)
        if each.version != (now.version if now else 0) + 1:
            found.append(now or replace(each, version=0, content="", actor="", why=""))
    return found


# what the entries hold


def checked_text(text: str, what: str) -> str:
    """A text that a person typed, with one kind of line ends. Raises BadRequest when it is too long."""
    found = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    if len(found) > MAX_TEXT:
        raise BadRequest(f"the {what} has {counted(len(found), 'character')}: at most {MAX_TEXT} are taken")
    return found


@dataclass(frozen=True)
class Content:
    """What an entry of some kind holds."""

    @classmethod
    def read(cls, entry: Entry | None) -> Self:
        """What it says, or nothing."""
        return cls(**entry.value()) if entry is not None else cls()

    @property
    def text_form(self) -> str:
        """The content of an entry: "" for what says nothing."""
        return "" if self == type(self)() else json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class GivenMark(Content):
    """What a person gave for a question: points, rubric items (by their keys), a comment that the student will read.

    `attempt` and `receipt` say for which submission, `tests` with which version of the tests beside it ("" for none).
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


@dataclass(frozen=True)
class Text(Content):
    """A note, or a remark at a place of the submission."""

    text: str = ""


@dataclass(frozen=True)
class RubricItem(Content):
    """What is often right or wrong in a question, and the points for it, positive or negative."""

    question: str = ""
    text: str = ""
    points: float = 0.0


@dataclass(frozen=True)
class Assigned(Content):
    """Who marks it."""

    grader: str = ""


@dataclass(frozen=True)
class Settings(Content):
    """`salt` is the secret that makes pseudonyms of names; "" where names are shown."""

    salt: str = ""


@dataclass(frozen=True)
class Message:
    """What somebody wrote into a regrade request. `moment` is Unix microseconds."""

    by: str
    moment: int
    text: str
    student: bool


@dataclass(frozen=True)
class Request(Content):
    """A regrade request: `open` until somebody has answered it. Messages are mappings with the fields of Message."""

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
    """What a person's mark of a question comes to, None where it gives no points.

    Points that were typed count. Else rubric items do: positive ones add up from 0; where all are negative they are
    taken off what the checks gave, or off all the points. What comes of them is neither below 0 nor above the points.
    """
    if given.points is not None:
        return given.points
    found = [items[key].points for key in given.items if key in items]
    if not found:
        return None
    start = 0.0 if any(each > 0 for each in found) else available if automatic is None else automatic
    return max(0.0, min(available, round(start + sum(found), DECIMALS)))


@dataclass(frozen=True)
class Sheet:
    """What holds for a whole assignment: rubric items by key, who marks what, settings."""

    items: Mapping[str, RubricItem] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    by_person: Mapping[str, str] = field(default_factory=dict)
    by_question: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    settings_version: int = 0

    def of_question(self, question: str) -> dict[str, RubricItem]:
        return {key: each for key, each in self.items.items() if each.question == question}

    def grader(self, username: str, question: str) -> str:
        """Who marks the question of the person, "" for anybody: who is given the question, else the person."""
        return self.by_question.get(question) or self.by_person.get(username, "")


def sheet_of(entries: Sequence[Entry]) -> Sheet:
    """The sheet that the assignment's current entries make."""
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


# names that are hidden


def digest(secret: str, text: str) -> str:
    """A text that nobody can tell or foresee without the secret, and always the same with it."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Digits and letters that are not taken for one another."""


def pseudonym(salt: str, username: str) -> str:
    """What a person is called where names are hidden: always the same, and different for everybody (40 bits)."""
    number = int(digest(salt, username)[:10], 16)
    return "".join(ALPHABET[number >> 5 * at & 31] for at in range(8))


@dataclass(frozen=True)
class Names:
    """What people are called on the pages of marking, by `salt` (see Settings)."""

    salt: str = ""

    @property
    def hidden(self) -> bool:
        return bool(self.salt)

    def shown(self, username: str) -> str:
        return pseudonym(self.salt, username) if self.salt else username

    def in_order(self, people: Iterable[T], of: Callable[[T], str]) -> list[T]:
        """By what is shown: where names are hidden, no order may tell of them. `of` gives the user name."""
        return sorted(people, key=lambda each: self.shown(of(each)))

    def find(self, text: str, people: Iterable[str]) -> Username | None:
        """Who of `people` is called so. A user name leads nowhere where names are hidden."""
        return next((Username(each) for each in people if self.shown(each) == text), None)
