"""The order in which a notebook's cells run, and what keeps some of them from running: cycles, names defined twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from mograder.notebook.cells import Cell, CellKind


@dataclass(frozen=True)
class Conflict:
    """Why marimo runs none of these cells; `lines` are where they begin in the file."""

    reason: str
    lines: tuple[int, ...]


def run_order(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Each cell after those that define what it reads, else in file order: the setup cell first, conflicts last.

    A cell that reads what a cell in conflict defines is in the order all the same.
    """
    stuck = {line for conflict in conflicts(cells) for line in conflict.lines}
    free = [cell for cell in cells if cell.line not in stuck]
    return (*_sorted(free), *(cell for cell in cells if cell.line in stuck))


def conflicts(cells: Sequence[Cell]) -> tuple[Conflict, ...]:
    """Names that two cells define, and cells that need each other."""
    owners: dict[str, list[int]] = {}
    for cell in cells:
        for name in sorted(cell.defs):
            owners.setdefault(name, []).append(cell.line)
    found = [
        Conflict(f"`{name}` is defined in {len(lines)} cells: rename it in all but one", tuple(lines))
        for name, lines in owners.items()
        if len(lines) > 1
    ]
    twice = {line for conflict in found for line in conflict.lines}
    rest = [cell for cell in cells if cell.line not in twice]
    while cycle := _cycle(rest):
        names = ", ".join(f"`{name}`" for name in sorted(_exchanged(cycle)))
        found.append(Conflict(f"these cells need each other ({names}): cut the circle", tuple(c.line for c in cycle)))
        rest = [cell for cell in rest if cell not in cycle]
    return tuple(found)


def _sorter(cells: Sequence[Cell]) -> TopologicalSorter[int]:
    sorter: TopologicalSorter[int] = TopologicalSorter()
    setup = [number for number, cell in enumerate(cells) if cell.kind is CellKind.SETUP]
    for number, cell in enumerate(cells):
        parents = [n for n, other in enumerate(cells) if n != number and other.defs & cell.refs]
        sorter.add(number, *parents, *(n for n in setup if n != number and cell.kind is not CellKind.SETUP))
    return sorter


def _sorted(cells: Sequence[Cell]) -> list[Cell]:
    sorter = _sorter(cells)
    sorter.prepare()
    ordered: list[Cell] = []
    waiting: list[int] = []
    while sorter.is_active():
        waiting = sorted([*waiting, *sorter.get_ready()])
        first = waiting.pop(0)
        ordered.append(cells[first])
        sorter.done(first)
    return ordered


def _cycle(cells: Sequence[Cell]) -> list[Cell]:
    try:
        _sorter(cells).prepare()
    except CycleError as error:
        return [cells[number] for number in sorted(set(error.args[1]))]
    return []


def _exchanged(cells: Sequence[Cell]) -> frozenset[str]:
    return frozenset().union(*(cell.defs for cell in cells)) & frozenset().union(*(cell.refs for cell in cells))
