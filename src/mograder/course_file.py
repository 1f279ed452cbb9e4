"""Reads a course's mograder.toml, checks it key by key, and makes the plan of the course from it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from mograder.domain import deadlines
from mograder.domain.allowance import MAX_ATTEMPTS, MAX_PER_HOUR, MAX_PERSON_BYTES, MIB, Allowance
from mograder.domain.assignments import (
    EDIT_PLACEHOLDERS,
    REGRADE_DAYS,
    CountingRule,
    Plan,
    PlannedQuestion,
    ResultsShown,
    Rules,
    expected_files,
    file_ending,
)
from mograder.domain.deadlines import OwnPenalties, Penalties, Schedule
from mograder.domain.errors import BadName, BadRequest, Unreadable
from mograder.domain.grading_rules import LIMITS, GradingRules, Hidden
from mograder.domain.letters import LetterScale
from mograder.domain.names import AssignmentName
from mograder.text import DecodedText, decode, decode_certain

CONFIG_NAME = "mograder.toml"


@dataclass(frozen=True)
class _Grading:
    hidden: Hidden | None = None
    isolate: bool | None = None
    cell_seconds: float | None = None
    total_seconds: float | None = None
    memory_mb: int | None = None
    processes: int | None = None
    file_mb: int | None = None
    output_kb: int | None = None
    calls: int | None = None
    per_hour: int | None = None
    results: ResultsShown | None = None

    def over(self, other: _Grading) -> _Grading:
        """This table, with the values of `other` where this one has none."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(other, **{name: value for name, value in said.items() if value is not None})

    def rules(self) -> GradingRules:
        """The grading rules. Raises ValueError."""
        limits = {name: getattr(self, name) for name in LIMITS if getattr(self, name) is not None}
        if self.per_hour is not None and self.per_hour < 1:
            raise ValueError(f"grading: per_hour is {self.per_hour}: give at least 1")
        for name, value in limits.items():
            if not 0 < value < 1e9:
                raise ValueError(f"grading: {name} is {value}: give more than 0")
        return GradingRules(self.hidden or Hidden.NEVER, self.isolate is not False, limits)


@dataclass(frozen=True)
class _File:
    name: str
    url: str | None = None


@dataclass(frozen=True)
class _Question:
    key: str
    points: float


@dataclass(frozen=True)
class _OwnPenalties:
    """[assignments.penalties]. Keys that are left out are as in [penalties]."""

    enabled: bool | None = None
    grace_minutes: float | None = None
    per_day: float | None = None
    max: float | None = None
    apply: bool | None = None


@dataclass(frozen=True)
class _Assignment:
    """Times are TOML date-times, dates, or Unix seconds: a union that msgspec cannot check, so `_moment` does."""

    name: str
    id: str | int | None = None
    title: str = ""
    opens: Any = None
    due: Any = None
    closes: Any = None
    duedate: int | None = None
    max_size: int | None = None
    accepts: list[str] = field(default_factory=list)
    points: float | None = None
    hidden: bool = False
    files: list[_File | str] = field(default_factory=list)
    counts: CountingRule | None = None
    release_at_once: bool = False
    penalties: _OwnPenalties = field(default_factory=_OwnPenalties)
    grading: _Grading = field(default_factory=_Grading)
    questions: list[_Question] = field(default_factory=list)


@dataclass(frozen=True)
class _Https:
    url: str | None = None
    token: str | None = None


@dataclass(frozen=True)
class _Dirs:
    source: str | None = None
    release: str | None = None
    submitted: str | None = None
    autograded: str | None = None
    feedback: str | None = None
    marks: str | None = None


@dataclass(frozen=True)
class _Server:
    host: str | None = None
    port: int | None = None
    max_upload: int | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_self_signed: bool | None = None
    tls_names: str | None = None
    trusted_proxies: str | None = None
    root_path: str | None = None
    workers: int | None = None
    grading_workers: int | None = None
    enrollment_code: str | None = None
    max_people: int | None = None
    max_per_hour: int = MAX_PER_HOUR
    max_attempts: int = MAX_ATTEMPTS
    max_person_mb: int = MAX_PERSON_BYTES // MIB
    store: str | None = None


@dataclass(frozen=True)
class _Penalties:
    enabled: bool = False
    grace_minutes: float = 5
    per_day: float = 5
    max: float = 100
    apply: bool = False


@dataclass(frozen=True)
class _Marking:
    regrade_days: float = REGRADE_DAYS
    letters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CourseFile:
    """The content of a mograder.toml. Tables of other programs are ignored."""

    title: str = ""
    timezone: str = "UTC"
    counts: CountingRule = CountingRule.LATEST
    transport: str | None = None
    assignments: list[_Assignment] = field(default_factory=list)
    https: _Https = field(default_factory=_Https)
    dirs: _Dirs = field(default_factory=_Dirs)
    server: _Server = field(default_factory=_Server)
    penalties: _Penalties = field(default_factory=_Penalties)
    grading: _Grading = field(default_factory=_Grading)
    marking: _Marking = field(default_factory=_Marking)
    edit_links: dict[str, str] = field(default_factory=dict)

    def plan(self) -> Plan:
        """The plan of the course. Raises ValueError that names the wrong key."""
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"timezone: {self.timezone!r} is not a known time zone") from None
        if self.server.max_upload is not None and self.server.max_upload < 1:
            raise ValueError(f"server: max_upload is {self.server.max_upload}: give at least 1 MiB")
        for key in ("max_people", "max_per_hour", "max_attempts", "max_person_mb"):
            given = getattr(self.server, key)
            if given is not None and given < 1:
                raise ValueError(f"server: {key} is {given}: give at least 1")
        rules: dict[AssignmentName, Rules] = {}
        for entry in self.assignments:
            try:
                name = AssignmentName.parse(entry.name)
            except BadName as error:
                raise ValueError(f"assignments: {error}") from None
            if any(name.key == each.key for each in rules):
                raise ValueError(f"assignments: {name!r} is there twice: which one counts?")
            own = entry.grading.over(self.grading)
            rules[name] = replace(_rules(entry, zone), per_hour=own.per_hour, results=own.results)
        for editor, template in self.edit_links.items():
            _check_edit_link(editor, template)
        url = (self.https.url or "").rstrip("/")
        code = (self.server.enrollment_code or "").strip()
        penalties = _penalties(self.penalties)
        self.grading_rules("")
        for each in self.assignments:
            self.grading_rules(each.name)
        if not 0 <= self.marking.regrade_days < 10_000:
            raise ValueError(f"marking: regrade_days is {self.marking.regrade_days}: give 0 or more")
        most = Allowance(self.server.max_per_hour, self.server.max_attempts, self.server.max_person_mb * MIB)
        plan = Plan(self.title, url, rules, zone, penalties, self.counts, code, self.edit_links, allowance=most,
                    regrade_days=self.marking.regrade_days, letters=_letters(self.marking),
                    per_hour=self.grading.per_hour, results=self.grading.results)  # fmt: skip
        return plan if self.server.max_people is None else replace(plan, max_people=self.server.max_people)

    def grading_rules(self, assignment: str) -> GradingRules:
        """The grading rules of an assignment: its own `grading`, else `[grading]`. Raises ValueError."""
        key = AssignmentName(assignment).key
        own = next((each.grading for each in self.assignments if AssignmentName(each.name).key == key), _Grading())
        return own.over(self.grading).rules()

    def setting(self, place: str) -> object:
        """The value of "table.key", None if it is not set."""
        table, _, key = place.partition(".")
        return getattr(getattr(self, table), key)


EMPTY = CourseFile()


def _own_penalties(table: _OwnPenalties) -> OwnPenalties:
    _check_penalties(table)
    grace = None if table.grace_minutes is None else int(table.grace_minutes * deadlines.MINUTE)
    return OwnPenalties(table.enabled, grace, table.per_day, table.max, table.apply)


def _check_penalties(table: _Penalties | _OwnPenalties) -> None:
    for key in ("grace_minutes", "per_day", "max"):
        value = getattr(table, key)
        if value is not None and not 0 <= value < 1e6:
            raise ValueError(f"penalties: {key} is {value}: give 0 or more")


def _penalties(table: _Penalties) -> Penalties:
    _check_penalties(table)
    grace = int(table.grace_minutes * deadlines.MINUTE)
    return Penalties(table.enabled, grace, table.per_day, table.max, table.apply)


def _letters(table: _Marking) -> LetterScale:
    try:
        return LetterScale(tuple(table.letters.items()))
    except ValueError as error:
        raise ValueError(f"marking: letters: {error}") from None


def _check_edit_link(editor: str, template: str) -> None:
    if not template.startswith(("https://", "http://")):
        raise ValueError(f"edit_links: {editor!r}: {template!r} is no link: it starts with https://")
    for name in re.findall(r"\{(\w*)\}", template):
        if name not in EDIT_PLACEHOLDERS:
            raise ValueError(f"edit_links: {editor!r}: unknown {{{name}}}: known are {', '.join(EDIT_PLACEHOLDERS)}")


def _rules(entry: _Assignment, zone: tzinfo) -> Rules:
    if entry.max_size is not None and entry.max_size < 1:
        raise ValueError(f"assignments: {entry.name!r}: max_size is {entry.max_size}: give at least 1 byte")
    due = _moment(entry.due, zone) or _moment(entry.duedate, zone)
    schedule = Schedule(_moment(entry.opens, zone, time.min), due, _moment(entry.closes, zone))
    times = [moment for moment in (schedule.opens, schedule.due, schedule.closes) if moment is not None]
    if times != sorted(times):
        raise ValueError(f"assignments: {entry.name!r}: expected opens <= due <= closes")
    try:
        accepts = tuple(dict.fromkeys(map(file_ending, entry.accepts)))
    except BadRequest as error:
        raise ValueError(f"assignments: {entry.name!r}: accepts: {error}") from None
    try:
        penalties = _own_penalties(entry.penalties)
    except ValueError as error:
        raise ValueError(f"assignments: {entry.name!r}: {error}") from None
    return Rules(
        entry.title, schedule, entry.max_size, accepts, entry.points, entry.hidden, _questions(entry), _expected(entry),
        penalties=penalties, counts=entry.counts, release_at_once=entry.release_at_once,
    )  # fmt: skip


def _questions(entry: _Assignment) -> tuple[PlannedQuestion, ...]:
    keys = [each.key.strip() for each in entry.questions]
    for key, each in zip(keys, entry.questions, strict=True):
        if not key or keys.count(key) > 1:
            raise ValueError(
                f"assignments: {entry.name!r}: questions: {key!r} is {'no key' if not key else 'there twice'}"
            )
        if not 0 < each.points < 1e6:
            raise ValueError(f"assignments: {entry.name!r}: {key!r} is {each.points} points: give more than 0")
    return tuple(PlannedQuestion(key, each.points) for key, each in zip(keys, entry.questions, strict=True))


def _expected(entry: _Assignment) -> tuple[str, ...]:
    """The expected files. Tables of released files, which the published client reads, are ignored."""
    try:
        return expected_files(each for each in entry.files if isinstance(each, str))
    except BadRequest as error:
        raise ValueError(f"assignments: {entry.name!r}: files: {error.message}") from None


def manifest_rules(entry: Mapping[str, object], zone: tzinfo) -> Rules:
    """The rules in an entry of assignments.json, whose times are texts or Unix seconds.

    A `duedate` that is not a time is ignored, as clients in the field do. Raises ValueError that names the wrong key.
    """
    said = {
        key: entry[key] for key in ("title", "max_size", "accepts", "points", "hidden") if entry.get(key) is not None
    }
    for key in ("opens", "due", "closes"):
        value = entry.get(key)
        said[key] = _from_text(value) if isinstance(value, str) else value
    duedate = entry.get("duedate")
    if isinstance(duedate, int | float) and not isinstance(duedate, bool) and duedate > 0:
        said["duedate"] = int(duedate)
    return _rules(msgspec.convert({"name": str(entry.get("name") or entry.get("id")), **said}, _Assignment), zone)


def _from_text(text: str) -> date | str:
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text)
        except ValueError:
            pass
    return text


def _moment(value: Any, zone: tzinfo, of_day: time = deadlines.END_OF_DAY) -> int | None:
    """A time in Unix microseconds. A date without a time means `of_day` of that day; 0 means None."""
    if value is None or (value == 0 and value is not False):
        return None
    if isinstance(value, bool) or not isinstance(value, date | int):
        raise ValueError(f"assignments: {value!r} is not a time: write 2030-02-08T17:00:00 or 2030-02-08")
    try:
        if isinstance(value, int):
            return deadlines.microseconds(datetime.fromtimestamp(value, UTC))
        return deadlines.moment_of(value, zone, of_day)
    except (OverflowError, ValueError, OSError):
        raise ValueError(f"assignments: {value} is out of the calendar's range") from None


_TABLES: Mapping[str, type] = MappingProxyType(
    {
        "https": _Https,
        "dirs": _Dirs,
        "server": _Server,
        "penalties": _Penalties,
        "assignments": _Assignment,
        "grading": _Grading,
        "marking": _Marking,
    }
)

_INNER: Mapping[str, type] = MappingProxyType(
    {"grading": _Grading, "penalties": _OwnPenalties, "files": _File, "questions": _Question}
)
"""Tables inside one of [[assignments]]."""


def read_course_file(path: Path) -> CourseFile:
    """The course's mograder.toml, an empty one if there is none. Raises Unreadable with file and place."""
    try:
        course = parse_course_file(read_text(path).raw)
        course.plan()
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the course's {path.name} cannot be understood", f"{path}: {error}") from error
    return course


def read_text(path: Path) -> DecodedText:
    """The text of a course's mograder.toml, empty if there is none. Raises Unreadable."""
    try:
        return decode_certain(path.read_bytes())
    except FileNotFoundError:
        return decode(b"")
    except BadRequest as error:
        raise Unreadable(f"the course's {path.name} cannot be read", f"{path}: {error.message}") from error
    except OSError as error:
        raise Unreadable(f"the course's {path.name} cannot be read", f"{path}: {error}") from error


def parse_course_file(text: str) -> CourseFile:
    """The content of a mograder.toml. Raises ValueError that names the place and, for an unknown key, the nearest known
    one.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_without_seconds(text) or str(error)) from None
    _refuse_near_misses(document)
    for table, kind in _TABLES.items():
        value = document.get(table, [])
        for index, entry in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(entry, dict):
                _refuse_unknown(entry, kind, f"{table}[{index}]" if isinstance(value, list) else table)
                for name, inner in _INNER.items() if kind is _Assignment else ():
                    own = entry.get(name)
                    for each in own if isinstance(own, list) else [own]:
                        if isinstance(each, dict):
                            _refuse_unknown(each, inner, f"{table}[{index}].{name}")
    return msgspec.convert(_known(document), CourseFile)


def _without_seconds(text: str) -> str:
    """The message for the first time without seconds, which TOML does not allow; "" if all times have them."""
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"[^#\"']*=\s*((\d{4}-\d\d-\d\d[Tt ])?\d\d:\d\d)(Z|[+-]\d\d:\d\d)?\s*(#.*)?$", line)
        if found:
            wrong, right = found[1] + (found[3] or ""), f"{found[1]}:00{found[3] or ''}"
            return f"line {number}: {wrong} has no seconds: write {right}"
    return ""


def _known(document: dict[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(CourseFile)}
    return {key: value for key, value in document.items() if key in names}


def _similar(key: str, names: list[str], cutoff: float = 0.6) -> list[str]:
    """The one of `names` that is most similar to `key`, as a list; empty if none is similar enough."""
    import difflib  # here, as it is rarely needed

    return difflib.get_close_matches(key, names, 1, cutoff)


def _refuse_near_misses(document: dict[str, Any]) -> None:
    """Raises ValueError for a table or key that is probably a misspelt one of ours; others are ignored."""
    names = [each.name for each in fields(CourseFile)]
    for key in document:
        near = [] if key in names else _similar(key, names, 0.8)
        if near:
            raise ValueError(f"unknown key or table {key!r}: did you mean {near[0]!r}?")
        if key in {each.name for each in fields(_Server)}:
            raise ValueError(f"{key!r} stands at the top and is not in force: move it below [server]")


def _refuse_unknown(table: dict[str, Any], kind: type, place: str) -> None:
    names = [each.name for each in fields(kind)]
    for key in table:
        if key not in names:
            near = _similar(key, names)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
            raise ValueError(f"{place}: unknown key {key!r}: {hint}")
