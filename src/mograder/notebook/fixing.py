"""Puts an instructor's cells back into a student's notebook. A cell that may be the student's is never touched."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from mograder.notebook import pep723
from mograder.notebook.cells import Cell, CellKind, Notebook
from mograder.notebook.hashes import cell_hash, describe, is_students
from mograder.notebook.marks import check_calls


class Fixed(Struct, frozen=True):
    """A fixed notebook. `restored` cells were changed or missing, `removed` ones were second copies. `left` are cells
    that a student has to look at: they define a name that a restored cell defines, and may be the student's own."""

    text: str
    restored: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]


def fix(submission: Notebook, release: Notebook) -> Fixed:
    """The submission with every instructor's cell of the release in it, once, word for word.

    A changed cell is replaced where it is surely the instructor's: it calls a check of the same label, is the setup
    cell, or defines the very names of the cell that is missing, none of them a student's. Otherwise the missing cell is
    added after the one that it follows in the release. What marimo puts around a cell (signature, `return`) comes from
    the release.
    """
    pairs, missing = _matched(submission, release)
    replaced: dict[int, Cell] = {}
    inserted: list[tuple[int, Cell]] = []
    students = frozenset().union(*(cell.defs for cell in release.cells if is_students(cell)))
    free = [number for number in range(len(submission.cells)) if number not in pairs.values()]
    for position in missing:
        cell = release.cells[position]
        found = next((n for n in free if _is_changed(submission.cells[n], cell, students)), None)
        if found is None:
            inserted.append((position, cell))
        else:
            free.remove(found)
            pairs[position] = found
            replaced[found] = cell
    extra = _doubled(submission, release, pairs)
    text = _edited(submission, release, pairs, replaced, inserted, extra)
    return Fixed(
        _with_facts(text, release),
        tuple(describe(release.cells[position]) for position in missing),
        tuple(describe(submission.cells[number]) for number in extra),
        tuple(_in_the_way(submission, [number for number in free if number not in extra], inserted)),
    )


def _matched(submission: Notebook, release: Notebook) -> tuple[dict[int, int], list[int]]:
    """(release to submission: the places of cells with the same code, the places of instructor's cells without one)"""
    places: dict[str, list[int]] = {}
    for number, cell in enumerate(submission.cells):
        places.setdefault(cell_hash(cell), []).append(number)
    pairs: dict[int, int] = {}
    missing: list[int] = []
    for position, cell in enumerate(release.cells):
        if is_students(cell):
            continue
        if found := places.get(cell_hash(cell)):
            pairs[position] = found.pop(0)
        elif cell.code.strip():
            missing.append(position)
    return pairs, missing


def _is_changed(mine: Cell, cell: Cell, students: frozenset[str]) -> bool:
    """Whether a cell of the submission is that cell of the instructor's, changed."""
    if cell.kind is CellKind.SETUP or mine.kind is CellKind.SETUP:
        return mine.kind is cell.kind
    if mine.defs & students:
        return False
    labels, own = _labels(cell), _labels(mine)
    if labels or own:
        return bool(labels & own)
    return bool(cell.defs) and mine.defs == cell.defs


def _labels(cell: Cell) -> set[str]:
    return {call.label for call in check_calls(cell.code) if call.label is not None}


def _doubled(submission: Notebook, release: Notebook, pairs: dict[int, int]) -> list[int]:
    """Places of word-for-word copies of instructor's cells beyond the first."""
    used = Counter(pairs.values())
    hashes = {cell_hash(release.cells[position]) for position in pairs if release.cells[position].code.strip()}
    return [
        number
        for number, cell in enumerate(submission.cells)
        if number not in used and cell_hash(cell) in hashes and (cell.defs or _labels(cell))
    ]


def _edited(
    submission: Notebook,
    release: Notebook,
    pairs: dict[int, int],
    replaced: dict[int, Cell],
    inserted: Sequence[tuple[int, Cell]],
    extra: Sequence[int],
) -> str:
    lines = submission.text.split("\n")
    edits: list[tuple[int, int, list[str]]] = []  # from line, to line (0-based, exclusive), new lines
    for number, cell in replaced.items():
        first, last = submission.cells[number].span
        edits.append((first - 1, last, _lines_of(release, cell)))
    for number in extra:
        first, last = submission.cells[number].span
        edits.append((first - 1, last, []))
    added: dict[int, list[str]] = {}
    for position, cell in inserted:
        place = _place(submission, pairs, position)
        added.setdefault(place, []).extend(["", "", *_lines_of(release, cell)])
    edits += [(place, place, new) for place, new in added.items()]
    for first, last, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        lines[first:last] = new
    return "\n".join(lines)


def _lines_of(notebook: Notebook, cell: Cell) -> list[str]:
    return notebook.text.split("\n")[cell.span[0] - 1 : cell.span[1]]


def _place(submission: Notebook, pairs: dict[int, int], position: int) -> int:
    """The line (0-based) before which a missing cell goes: after the nearest cell before it that is in both."""
    before = [place for place in pairs if place < position]
    if before:
        return submission.cells[pairs[max(before)]].span[1]
    if submission.cells:
        return max(submission.cells[0].span[0] - 3, 0)
    return _after_app(submission.text)


def _after_app(text: str) -> int:
    app = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return app[-1].end_lineno or 0


def _with_facts(text: str, release: Notebook) -> str:
    """The text with the release's facts in its PEP 723 block; everything else there stays."""
    facts = pep723.read_facts(release.text)
    return text if facts == pep723.Facts() or pep723.read_facts(text) == facts else pep723.write_facts(text, facts)


def _in_the_way(submission: Notebook, free: Sequence[int], inserted: Sequence[tuple[int, Cell]]) -> list[str]:
    names = {name for _, cell in inserted for name in cell.defs}
    return [
        f"line {cell.line}: this cell defines {', '.join(sorted(cell.defs & names))} too: rename or remove it"
        for cell in (submission.cells[number] for number in free)
        if cell.defs & names
    ]
