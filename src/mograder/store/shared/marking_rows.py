"""Marking entries as rows, which both stores share: their columns, and their values."""

from __future__ import annotations

from dataclasses import astuple, fields

from mograder.domain.marking import Entry, Kind
from mograder.domain.names import AssignmentName
from mograder.store.shared.rows import Row

MARKING_COLUMNS = ", ".join(each.name for each in fields(Entry))


def entry_of(row: Row) -> Entry:
    assignment, kind, *rest = row
    return Entry(AssignmentName(assignment), Kind(kind), *rest)


def entry_values(entry: Entry) -> Row:
    """The values of MARKING_COLUMNS."""
    assignment, kind, *rest = astuple(entry)
    return (assignment, kind.value, *rest)


def place_values(entry: Entry) -> Row:
    """The values of assignment, kind, username and key."""
    return (entry.assignment, entry.kind.value, entry.username, entry.key)
