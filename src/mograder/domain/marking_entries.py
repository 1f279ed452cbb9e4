"""Caches the marking entries in force in each assignment, with values derived from them, and updates it by new entries.

Invariant: an answer includes all entries that any server had written before the call. After an erasure the whole cache
is read again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mograder.domain import marking
from mograder.domain.marking import SHEET, Entry, GivenMark, Kind, Request, Sheet
from mograder.domain.names import AssignmentName
from mograder.domain.store import Store

Place = tuple[str, str]
"""A person's user name, and a question."""


@dataclass(frozen=True)
class CurrentMarks:
    """The entries in force of an assignment. `given` are the marks that are not empty; those at `marked` give points.

    `open_requests` are unanswered regrade requests. `comments` counts the comments of marks by question. Callers must
    not change any of it.
    """

    number: int = 0
    sheet: Sheet = field(default_factory=Sheet)
    given: Mapping[Place, Entry] = field(default_factory=dict)
    marked: frozenset[Place] = frozenset()
    open_requests: tuple[Place, ...] = ()
    comments: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class MarkingEntries:
    """The marking entries of one course. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._people: object = None
        self._sheets: dict[AssignmentName, dict[tuple[Kind, str, str], Entry]] = {}
        self._current: dict[AssignmentName, CurrentMarks] = {}

    def of(self, assignment: AssignmentName) -> CurrentMarks:
        """The present entries of an assignment; the same object as before if nothing has changed."""
        with self._lock:
            people = self._store.versions().people
            if people != self._people:
                self._people, self._sheets, self._current = people, {}, {}
            held = self._current.get(assignment, CurrentMarks())
            if new := self._store.marking.since(assignment, held.number):
                held = self._current[assignment] = self._with(held, assignment, new)
            return held

    def _with(self, held: CurrentMarks, assignment: AssignmentName, new: Sequence[tuple[int, Entry]]) -> CurrentMarks:
        entries = [entry for _, entry in new]
        kept = self._sheets.setdefault(assignment, {})
        if changed := {each.place: each for each in entries if each.kind in SHEET}:
            kept.update(changed)
            held = replace(held, sheet=marking.sheet_of(list(kept.values())))
        marks = [each for each in entries if each.kind is Kind.MARK]
        given = dict(held.given)
        comments = {key: dict(of) for key, of in held.comments.items()}
        for each in marks:
            place = (each.username, each.key)
            _count(comments, given.pop(place, None), -1)
            _count(comments, each, 1)
            if each.content:
                given[place] = each
        looked_at = given if changed else {(each.username, each.key) for each in marks}
        points = {place for place in looked_at if place in given and _gives_points(given[place], held.sheet)}
        asked = {(each.username, each.key): Request.read(each).open for each in entries if each.kind is Kind.REQUEST}
        requests = dict.fromkeys(held.open_requests, True) | asked
        return CurrentMarks(
            number=max(number for number, _ in new),
            sheet=held.sheet,
            given=given,
            marked=(held.marked - frozenset(looked_at)) | points,
            open_requests=tuple(sorted(place for place, is_open in requests.items() if is_open)),
            comments={key: of for key, of in comments.items() if of},
        )


def _count(comments: dict[str, dict[str, int]], entry: Entry | None, step: int) -> None:
    if entry is not None and (text := GivenMark.read(entry).comment):
        of = comments.setdefault(entry.key, {})
        of[text] = of.get(text, 0) + step
        if not of[text]:
            del of[text]


def _gives_points(entry: Entry, sheet: Sheet) -> bool:
    given = GivenMark.read(entry)
    return given.points is not None or any(key in sheet.items for key in given.items)
