"""Decides which cells of a notebook run, and in what order, as marimo does, from names alone. Runs nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from mograder.domain.results import CellFailure
from mograder.notebook.cells import Cell, CellKind, Notebook, NotebookError, parse, title
from mograder.notebook.marks import check_calls, check_names


@dataclass(frozen=True)
class Plan:
    """`order` are places in `notebook.cells`; `failures` says why other cells cannot run."""

    notebook: Notebook
    order: tuple[int, ...]
    failures: tuple[CellFailure, ...]

    def documents(self, checks: frozenset[int] = frozenset()) -> list[dict[str, Any]]:
        """The cells in order, as they are sent to a process. `checks` are the places of check cells."""
        cells = self.notebook.cells
        return [
            {"i": place, "n": cells[place].name, "c": cells[place].code, "l": cells[place].line,
             "r": sorted(cells[place].refs), "d": sorted(cells[place].defs), "k": place in checks}
            for place in self.order
        ]  # fmt: skip

    def dedented(self) -> str:
        """The notebook's text with each cell as its author sees it: what `inspect.getsource` should show."""
        lines = self.notebook.text.split("\n")
        for cell in self.notebook.cells:
            if cell.kind is not CellKind.UNPARSABLE:
                first, last = cell.span
                lines[first - 1 : last] = [""] * (last - first + 1)
                code = cell.code.split("\n")
                lines[cell.line - 1 : cell.line - 1 + len(code)] = code
        return "\n".join(lines)

    def title(self, place: int) -> str:
        return title(self.notebook.cells[place])


def plan_submission(notebook: Notebook, needed: frozenset[str]) -> Plan:
    """The plan of a student's notebook, without its check cells, unless they define a name that is needed."""
    calls = check_calls(notebook.text, check_names(notebook.text))
    lines = [call.line for call in calls]
    left_out = {
        place
        for place, cell in enumerate(notebook.cells)
        if not cell.defs & needed and any(cell.span[0] <= line <= cell.span[1] for line in lines)
    }
    return plan(notebook, left_out)


def plan(notebook: Notebook, left_out: set[int] | frozenset[int] = frozenset()) -> Plan:
    """The plan of a notebook without the places `left_out`: in the order of the graph, else in that of the file."""
    cells = notebook.cells
    failures: list[CellFailure] = []
    out = set(left_out)
    for place, cell in enumerate(cells):
        if cell.kind is CellKind.UNPARSABLE:
            out.add(place)
            failures.append(_unparsable(cell))
        elif cell.config.get("disabled") is True:
            out.add(place)
    definers: dict[str, list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        if place not in out:
            for name in cell.defs:
                definers[name].append(place)
    for name, places in sorted(definers.items()):
        if len(places) > 1:
            out.update(places)
            failures.append(_defined_twice(name, [cells[place] for place in places]))
    order, in_cycle = _sorted(notebook, out, definers)
    if in_cycle:
        failures.append(_cycle([cells[place] for place in in_cycle]))
    return Plan(notebook, tuple(order), tuple(failures))


def _sorted(notebook: Notebook, out: set[int], definers: dict[str, list[int]]) -> tuple[list[int], list[int]]:
    """(order, the places of cells in a cycle)"""
    waiting: dict[int, set[int]] = {}
    for place, cell in enumerate(notebook.cells):
        if place not in out:
            needs = {other for name in cell.refs for other in definers.get(name, ()) if other not in out}
            waiting[place] = needs - {place}
    setup = [place for place in waiting if notebook.cells[place].kind is CellKind.SETUP]
    order: list[int] = []
    while waiting:
        ready = next(
            (place for place in [*setup, *waiting] if place in waiting and not waiting[place] & waiting.keys()), None
        )
        if ready is None:
            break
        order.append(ready)
        del waiting[ready]
    return order, _in_cycle(waiting)


def _in_cycle(waiting: dict[int, set[int]]) -> list[int]:
    """The waiting cells without those that only depend on a cycle."""
    needed = dict.fromkeys(waiting, 0)  # by how many of those that are left
    for needs in waiting.values():
        for place in needs & waiting.keys():
            needed[place] += 1
    loose = [place for place, count in needed.items() if not count]
    found = set(waiting)
    while loose:
        last = loose.pop()
        found.remove(last)
        for place in waiting[last] & waiting.keys():
            needed[place] -= 1
            if not needed[place]:
                loose.append(place)
    return sorted(found)


def _unparsable(cell: Cell) -> CellFailure:
    try:
        parse(f"import marimo\napp = marimo.App()\n{cell.code}\n")
        reason, line = "this cell is not valid Python", None
    except NotebookError as error:
        reason, line = error.reason, error.line
    return CellFailure(title(cell), cell.line if line is None else max(cell.line, cell.line + line - 3), reason)


def _defined_twice(name: str, cells: list[Cell]) -> CellFailure:
    lines = " and ".join(str(cell.line) for cell in cells)
    text = f"`{name}` is defined in more than one cell (lines {lines}), so none of them runs: rename or delete one"
    return CellFailure(name, cells[-1].line, text)


def _cycle(cells: list[Cell]) -> CellFailure:
    lines = ", ".join(str(cell.line) for cell in cells)
    text = f"the cells in lines {lines} need each other in a circle, so none of them runs: break it by renaming a name"
    return CellFailure(title(cells[0]), cells[0].line, text)
