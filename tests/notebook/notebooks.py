"""Notebooks for the tests: made from the bodies of their cells, or as marimo has saved them."""

from __future__ import annotations

import textwrap
from pathlib import Path

SAVED = Path(__file__).with_name("saved")  # one notebook, written by hand and as six versions of marimo saved it
HEAD = 'import marimo\n\n__generated_with = "0.25.2"\napp = marimo.App()\n'
SETUP = "import marimo as mo\nfrom mograder.runtime import Grader, check, hint\n"


def notebook(*bodies: str, setup: str = SETUP, head: str = HEAD) -> str:
    """A notebook of a setup cell and a cell for each body; a body that begins with `@app.` is used unchanged."""
    parts = [head]
    if setup:
        parts.append("\nwith app.setup:\n" + textwrap.indent(setup.rstrip("\n"), "    ") + "\n")
    for body in bodies:
        body = textwrap.dedent(body).strip("\n")
        if body.startswith("@app."):
            parts.append(f"\n\n{body}\n")
        else:
            parts.append(f"\n\n@app.cell\ndef _():\n{textwrap.indent(body, '    ')}\n    return\n")
    return "".join(parts) + '\n\nif __name__ == "__main__":\n    app.run()\n'


MARKS = """
# === MOGRADER: MARKS ===
_marks = {"Q1": 5, "Q2": 10}
grader = Grader(_marks)
"""
TOTAL = """
### BEGIN SOLUTION
parts = [1, 2, 3]
total = sum(parts)
### END SOLUTION
"""
CHECK_TOTAL = """
mo.stop(total is ..., grader.check("Q1: total", []))
grader.check("Q1: total", [(total == 6, "should be six")])
"""
MEDIAN = '''
@app.function
def median(xs):
    """The middle one."""
    ### BEGIN SOLUTION
    in_order = sorted(xs)
    return in_order[len(in_order) // 2]
    ### END SOLUTION
'''
CHECK_MEDIAN = """
grader.check("Q2: median", [(median([3, 1, 2]) == 2, "of 3, 1, 2")])
### BEGIN HIDDEN TESTS
grader.check("Q2: more", [(median([50, 10, 90]) == 50, "of 50, 10, 90")])
### END HIDDEN TESTS
"""
SOURCE = notebook(MARKS, TOTAL, CHECK_TOTAL, MEDIAN, CHECK_MEDIAN)


def line_of(text: str, part: str) -> int:
    """The line (1-based) of the only occurrence of `part`."""
    found = [number for number, line in enumerate(text.split("\n"), 1) if part in line]
    assert len(found) == 1, (part, found)
    return found[0]
