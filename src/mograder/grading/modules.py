"""The names of the modules that a warm process loads before it forks: those that the instructor's cells import."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mograder.notebook.cells import Cell, Notebook

_ALWAYS = ("marimo",)
_NEVER = ("mograder",)
_WITH = {
    "matplotlib": ("matplotlib.pyplot",),
    "numpy": ("numpy", "numpy.random", "numpy.testing"),
    "pandas": ("pandas", "pandas.testing"),
    "polars": ("polars",),
}


def preloaded(notebook: Notebook, without: tuple[Cell, ...] = ()) -> tuple[str, ...]:
    """The modules in the order of the file, without those of the cells in `without`."""
    found: dict[str, None] = dict.fromkeys(_ALWAYS)
    for cell in notebook.cells:
        if cell not in without:
            for name in _imports(cell.code):
                found.update(dict.fromkeys((name, *_WITH.get(name.split(".")[0], ()))))
    return tuple(name for name in found if name.split(".")[0] not in _NEVER)


def _imports(code: str) -> Iterator[str]:
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
