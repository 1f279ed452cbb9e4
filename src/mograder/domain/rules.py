"""The rules of an assignment as people write them, and the changes when they write something else.

Invariant: a text that is not edited gives no change.
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
from mograder.domain.assignments import CountingRule, Plan, Rules, expected_files, file_ending
from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, Unreadable
from mograder.domain.names import AssignmentName, printable

LONGEST_TITLE = 200  # characters
YEARS = range(1971, 9999)
"""The years in which a moment can be shown in every zone."""

UNITS: Mapping[str, int] = MappingProxyType({
    "": 1, "b": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30,
})  # fmt: skip

_KEYS: Mapping[str, str] = MappingProxyType({
    "penalties": "penalties.enabled", "grace_minutes": "penalties.grace_minutes", "per_day": "penalties.per_day",
    "max_penalty": "penalties.max", "apply_penalties": "penalties.apply",
})  # fmt: skip
"""The keys of rules that have another name in mograder.toml."""

Value = str | int | float | date | tuple[str, ...]


@dataclass(frozen=True)
class RuleChange:
    """A change of a key of [[assignments]] in mograder.toml: the texts `before` and `after`, and the new TOML value.

    A `value` of None removes the key. A key with a dot is in a table of the assignment: penalties.per_day.
    """

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
        """The content of mograder.toml; the last readable content if it cannot be parsed now."""
        ...

    def errors(self) -> tuple[Unreadable, ...]:
        """The files written by hand that cannot be parsed now: mograder.toml, assignments.json, grades.json.

        The last readable content of the first two stays in force.
        """
        ...

    def version(self) -> str:
        """The version of the text of mograder.toml, for `change_rules`. Raises Unreadable if it cannot be parsed."""
        ...

    def change_rules(
        self, assignment: AssignmentName | None, changes: Sequence[RuleChange], version: str, event: Event
    ) -> None:
        """Write changed rules of an assignment, or of the course (None), into mograder.toml and record `event`, in one
        transaction.

        The rest of the text stays as the instructor wrote it. Raises ChangedMeanwhile unless the text still has
        `version`, and Unreadable; then nothing changes.
        """
        ...


@dataclass(frozen=True)
class RuleTexts:
    """The rules of an assignment as people write them; "" where there is none.

    A time is a date, or a date and time, of the course's zone unless it has an offset. `max_size` is a number of bytes
    or a text such as "10 MiB"; `accepts` are file endings, separated by spaces or commas. `hidden`, `penalties`
    (whether late work costs something), `apply_penalties` and `release_at_once` are "yes" or "no"; `files` are the
    expected files, separated by line ends or commas; `counts` is "latest" or "on-time". `per_day` and `max_penalty` are
    percentage points.
    """

    title: str = ""
    opens: str = ""
    due: str = ""
    closes: str = ""
    max_size: str = ""
    accepts: str = ""
    points: str = ""
    hidden: str = ""
    files: str = ""
    counts: str = ""
    penalties: str = ""
    grace_minutes: str = ""
    per_day: str = ""
    max_penalty: str = ""
    apply_penalties: str = ""
    release_at_once: str = ""

    @classmethod
    def of(cls, rules: Rules, zone: tzinfo) -> RuleTexts:
        opens, due, closes = (_time_text(each, zone) for each in astuple(rules.schedule))
        size = "" if rules.max_size is None else _size_text(rules.max_size)
        points = _number_text(rules.points)
        own = rules.penalties
        grace = None if own.grace is None else own.grace / deadlines.MINUTE
        return cls(
            " ".join(rules.title.split()), opens, due, closes, size, " ".join(rules.accepts), points,
            "yes" if rules.hidden else "", "\n".join(rules.expects), rules.counts or "", _flag_text(own.enabled),
            _number_text(grace), _number_text(own.per_day), _number_text(own.most), _flag_text(own.apply),
            "yes" if rules.release_at_once else "",
        )  # fmt: skip

    def changes_to(self, wanted: RuleTexts) -> tuple[RuleChange, ...]:
        """The changes from these rules to `wanted`. Raises BadRequest for a text that is not understood."""
        changes = []
        for field, before, text in zip(fields(self), astuple(self), astuple(wanted), strict=True):
            lines = [" ".join(line.split()) for line in text.splitlines()]
            after = ("\n" if field.name == "files" else " ").join(filter(None, lines))
            if after != before:
                value = _PARSE[field.name](after) if after else None
                key, (old, new) = (
                    _KEYS.get(field.name, field.name),
                    (each.replace("\n", ", ") for each in (before, after)),
                )
                changes.append(RuleChange(key, old, new, value))
        return tuple(changes)


def _flag_text(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _number_text(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


def _time_text(moment: int | None, zone: tzinfo) -> str:
    """A moment as in a browser's field for a date and time: 2030-02-08T17:00, with seconds unless they are 0."""
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
    return _number(text, "number of points", 1e9)


def _number(text: str, what: str, limit: float) -> int | float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < limit:
        raise BadRequest(f"{printable(text)!r} is no {what}: write 0 or more, such as 20 or 7.5")
    return int(number) if number.is_integer() else number


def _percentage(text: str) -> int | float:
    return _number(text.removesuffix("%").rstrip(), "percentage", 1e6)


def _minutes(text: str) -> int | float:
    return _number(text, "number of minutes", 1e6)


def _flag(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise BadRequest(f"{printable(text)!r} is neither yes nor no")
    return text.lower() == "yes"


def _files(text: str) -> tuple[str, ...]:
    return expected_files(filter(None, (each.strip() for each in re.split(r"[\n,]", text))))


def _counts(text: str) -> str:
    if text not in tuple(CountingRule):
        raise BadRequest(f"{printable(text)!r} is no rule of which submission counts: write latest or on-time")
    return text


_PARSE: Mapping[str, Callable[[str], Value]] = MappingProxyType({
    "title": _title, "opens": _time, "due": _time, "closes": _time, "max_size": _size, "accepts": _accepts,
    "points": _points, "hidden": _flag, "files": _files, "counts": _counts, "penalties": _flag,
    "grace_minutes": _minutes, "per_day": _percentage, "max_penalty": _percentage, "apply_penalties": _flag,
    "release_at_once": _flag,
})  # fmt: skip
