"""Writes cells as a marimo notebook: what is written is read back as the same code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mograder.notebook.cells import Cell, CellKind

_WIDTH = 80  # marimo breaks a signature that would be as long
_INDENT = "    "


def write_notebook(cells: Sequence[Cell], given: frozenset[str] = frozenset()) -> str:
    """A notebook of these cells, in this order but for the setup cell, which is first.

    `given` are the names that it will be run with.
    """
    defined = given.union(*(cell.defs for cell in cells))
    ordered = sorted(cells, key=lambda cell: cell.kind is not CellKind.SETUP)
    top = frozenset().union(*(cell.defs for cell in cells if cell.kind is not CellKind.CELL))
    parts = [_written(cell, defined - top) for cell in ordered]
    start = "import marimo\n\napp = marimo.App()"
    return "\n\n\n".join([start, *parts, 'if __name__ == "__main__":\n    app.run()']) + "\n"


def signature(name: str, arguments: Iterable[str], *, is_async: bool = False) -> str:
    """`def name(a, b):` as marimo writes it."""
    start = f"{'async ' if is_async else ''}def {name}("
    names = list(arguments)
    line = f"{start}{', '.join(names)}):"
    if len(line) < _WIDTH or not names:
        return line
    return f"{start}\n" + "".join(f"{_INDENT}{name},\n" for name in names) + "):"


def return_line(names: Sequence[str], indent: str) -> str:
    """`return a, b` as marimo writes it, at that indentation."""
    if len(names) < 2:
        return f"{indent}return ({names[0]},)" if names else f"{indent}return"
    line = f"{indent}return {', '.join(names)}"
    if len(line) < _WIDTH:
        return line
    return f"{indent}return (\n" + "".join(f"{indent}{_INDENT}{name},\n" for name in names) + f"{indent})"


def _written(cell: Cell, shared: frozenset[str]) -> str:
    code = cell.code
    if cell.kind is CellKind.SETUP:
        only_comments = all(not line.strip() or line.strip().startswith("#") for line in code.split("\n"))
        return f"{'async ' * cell.is_async}with app.setup:\n{_indented(code)}" + f"\n{_INDENT}pass" * only_comments
    if cell.kind is CellKind.FUNCTION:
        return f"@app.function\n{code}"
    if cell.kind is CellKind.CLASS:
        return f"@app.class_definition\n{code}"
    head = signature(cell.name, sorted(cell.refs & shared - cell.defs), is_async=cell.is_async)
    return f"@app.cell\n{head}\n{_indented(code)}\n{return_line(sorted(cell.defs), _INDENT)}"


def _indented(code: str) -> str:
    """All lines but empty ones indented, also those inside strings: marimo removes the same indentation again."""
    return "\n".join(_INDENT + line if line else line for line in code.split("\n"))
