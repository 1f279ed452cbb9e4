"""The rules of an assignment as people write them, and what of it changes when they write something else.

Invariant: what nobody has changed is no change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime, tzinfo
from types import MappingProxyType
from typing import Protocol

from mograder.domain import deadlines
from mograder.domain.assignments import Plan, Rules, file_ending
from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, Unreadable
from mograder.domain.names import AssignmentName, printable

LONGEST_TITLE = 200  # characters
YEARS = range(1971, 9999)
"""Beyond them a moment cannot be shown in every zone."""

UNITS: Mapping[str, int] = MappingProxyType({
    "": 1, "b": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30,
})  # fmt: skip

Value = str | int | float | date | tuple[str, ...]


@dataclass(frozen=True)
class RuleChange:
    """The new value of a key of [[assignments]] in mograder.toml, as written and as meant; None takes the key out."""

    key: str
    before: str
    after: str
    value: Value | None

    @property
    def text(self) -> str:
        return f"{self.key} {self.before or 'not set'} -> {self.after or 'not set'}"


class ConfigStore(Protocol):
    """What storage promises about the course's configuration, mograder.toml."""

    def plan(self) -> Plan:
        """What mograder.toml says now, or what it last said when it cannot be parsed now."""
        ...

    def errors(self) -> tuple[Unreadable, ...]:
        """The files written by hand that cannot be parsed now: mograder.toml, assignments.json, grades.json.

        Of the first two, the last version that could be parsed stays in force.
        """
        ...

    def version(self) -> str:
        """The version of the text of mograder.toml, for `change_rules`. Raises Unreadable when it cannot be parsed."""
        ...

    def change_rules(
        self, assignment: AssignmentName | None, changes: Sequence[RuleChange], version: str, event: Event
    ) -> None:
        """Write changed rules of an assignment, or of the course (None), into mograder.toml and record `event`, in one
        transaction.

        The rest of the text stays as the instructor wrote it. Raises ChangedMeanwhile unless the text still has
        `version`, and Unreadable; then nothing is changed.
        """
        ...


@dataclass(frozen=True)
class RuleTexts:
    """The rules of an assignment as people write them; "" where nothing is said.

    A time is a date, or a date and time, of the course's zone unless it has an offset. `max_size` is in bytes, or such
    as "10 MiB"; `accepts` are file endings with spaces or commas between them.
    """

    title: str = ""
    opens: str = ""
    due: str = ""
    closes: str = ""
    max_size: str = ""
    accepts: str = ""
    points: str = ""

    @classmethod
    def of(cls, rules: Rules, zone: tzinfo) -> RuleTexts:
        opens, due, closes = (_time_text(each, zone) for each in astuple(rules.schedule))
        size = "" if rules.max_size is None else _size_text(rules.max_size)
        points = "" if rules.points is None else f"{rules.points:.15g}"
        return cls(" ".join(rules.title.split()), opens, due, closes, size, " ".join(rules.accepts), points)

    def changes_to(self, wanted: RuleTexts) -> tuple[RuleChange, ...]:
        """Raises BadRequest that says which key cannot be understood."""
        changes = []
        for field, before, text in zip(fields(self), astuple(self), astuple(wanted), strict=True):
            after = " ".join(text.split())
            if after != before:
                value = _PARSE[field.name](after) if after else None
                changes.append(RuleChange(field.name, before, after, value))
        return tuple(changes)


def _time_text(moment: int | None, zone: tzinfo) -> str:
    """As a browser's field for a date and time has it: 2030-02-08T17:00, with seconds where they are not 0."""
    if moment is None:
        return ""
    when = deadlines.local(moment, zone)
    return when.replace(tzinfo=None).isoformat(timespec="seconds" if when.second else "minutes")


def _size_text(size: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if size % UNITS[unit.lower()] == 0:
            return f"{size // UNITS[unit.lower()]} {unit}"
    return str(size)


def _title(text: str) -> str:
    if printable(text, LONGEST_TITLE) != text:
        raise BadRequest(f"the title {printable(text[:40])!r} is too long or has characters that cannot be shown: give "
                         f"at most {LONGEST_TITLE}")  # fmt: skip
    return text


def _time(text: str) -> date:
    try:
        when = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{printable(text)!r} is no time: write 2030-02-08T17:00 or 2030-02-08") from None
    if when.year not in YEARS:
        raise BadRequest(f"{printable(text)!r} is out of the calendar's range: give a year from 1971 to 9998")
    return when.replace(microsecond=0) if isinstance(when, datetime) else when


def _size(text: str) -> int:
    said = re.fullmatch(r"(\d{1,15})(\.\d{1,6})? ?([a-z]*)", text.lower())
    size = int(float(said[1] + (said[2] or "")) * UNITS[said[3]]) if said and said[3] in UNITS else 0
    if size < 1:
        raise BadRequest(f"{printable(text)!r} is no size: write bytes, or such as 500 KiB or 10 MiB")
    return size


def _accepts(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(file_ending(each) for each in re.split(r"[,; ]+", text) if each))


def _points(text: str) -> int | float:
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not 0 <= points < 1e9:
        raise BadRequest(f"{printable(text)!r} is no number of points: write 0 or more, such as 20 or 7.5")
    return int(points) if points.is_integer() else points


_PARSE: Mapping[str, Callable[[str], Value]] = MappingProxyType({
    "title": _title, "opens": _time, "due": _time, "closes": _time, "max_size": _size, "accepts": _accepts,
    "points": _points,
})  # fmt: skip
