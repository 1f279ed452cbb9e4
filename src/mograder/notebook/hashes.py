"""Hashes of cells, to find instructor's cells that a submission has changed. Saving in marimo does not change them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from mograder.notebook.cells import Cell, CellKind, Notebook
from mograder.notebook.marks import STUDENTS_COMMENT, check_calls

_SHOWN = 40  # characters of a cell's first line


def cell_hash(cell: Cell) -> str:
    """SHA-256 of the cell's code, stripped, UTF-8: the first 8 hex digits, as the published mograder writes them."""
    return hashlib.sha256(cell.code.strip().encode("utf-8", "surrogatepass")).hexdigest()[:8]


def is_students(cell: Cell) -> bool:
    """Whether a cell of a release is the student's to write."""
    return STUDENTS_COMMENT in cell.code


def instructor_hashes(release: Notebook) -> tuple[str, ...]:
    """The hashes of all cells of a release that are not the student's, in file order."""
    return tuple(cell_hash(cell) for cell in release.cells if not is_students(cell))


def changed_cells(release: Notebook, submission: Notebook) -> tuple[str, ...]:
    """Names of changed instructor's cells: "the check “Q1: mean”", "helper (2 times)"; empty when none was changed.

    A multiset is compared, so moved cells, added cells and answered cells are no change.
    """
    theirs = Counter(cell_hash(cell) for cell in submission.cells)
    expected = [cell for cell in release.cells if not is_students(cell) and cell.code.strip()]
    wanted = Counter(cell_hash(cell) for cell in expected)
    changed: list[str] = []
    left = Counter(theirs)
    for cell in expected:
        value = cell_hash(cell)
        if not left[value]:
            changed.append(describe(cell))
        left[value] -= 1 if left[value] else 0
    known = {cell_hash(cell): cell for cell in expected}
    doubled = [
        f"{describe(cell)} ({theirs[value]} times)" for value, cell in known.items() if theirs[value] > wanted[value]
    ]
    return tuple(changed + doubled)


def missing_hashes(hashes: Iterable[str], submission: Notebook) -> int:
    """How many of the instructor's cells, known by their hashes alone, the submission changed or removed."""
    return (Counter(hashes) - Counter(cell_hash(cell) for cell in submission.cells)).total()


def describe(cell: Cell) -> str:
    """How a message names a cell: by its check, its name, or its first line."""
    if labels := [call.label for call in check_calls(cell.code) if call.label and not call.waiting]:
        return f"the check “{labels[0]}”"
    if cell.kind is CellKind.SETUP:
        return "the setup cell"
    if cell.name != "_":
        return f"the {'cell' if cell.kind is CellKind.CELL else cell.kind} `{cell.name}`"
    first = cell.code.strip().split("\n")[0]
    return f"the cell that begins with `{first[:_SHOWN]}{'…' if len(first) > _SHOWN else ''}`"
