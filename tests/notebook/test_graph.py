"""The order in which cells run, and what keeps some from running."""

from __future__ import annotations

from mograder.notebook.cells import parse
from mograder.notebook.graph import conflicts, run_order
from tests.notebook.notebooks import line_of, notebook


def test_cells_out_of_order_run_in_the_order_of_what_they_need() -> None:
    text = notebook("c = b", "b = a", "print('x')", "a = 1", "@app.function\ndef f():\n    return a")
    codes = [cell.code.split("\n")[0] for cell in run_order(parse(text).cells)]
    assert codes[1:] == ["print('x')", "a = 1", "b = a", "c = b", "def f():"]
    assert codes[0] == "import marimo as mo"


def test_a_name_that_two_cells_define_is_a_conflict_of_both() -> None:
    text = notebook("x = 1", "x = 2", "_x = 1", "_x = 2", "y = x")
    (conflict,) = conflicts(parse(text).cells)
    assert conflict.lines == (line_of(text, "    x = 1"), line_of(text, "    x = 2"))
    assert "`x` is defined in 2 cells" in conflict.reason


def test_cells_that_need_each_other_are_a_conflict() -> None:
    text = notebook("a = b", "b = c", "c = a", "d = 1")
    (conflict,) = conflicts(parse(text).cells)
    assert len(conflict.lines) == 3
    assert "`a`, `b`, `c`" in conflict.reason
    assert [cell.code for cell in run_order(parse(text).cells)][1] == "d = 1"
