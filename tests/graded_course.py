"""A small course to grade: a source with two marked questions, hidden tests and one question for a person."""

from __future__ import annotations

from pathlib import Path

SOURCE = """\
# /// script
# requires-python = ">=3.11"
# dependencies = ["marimo", "mograder"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App()

with app.setup:
    from mograder.runtime import Grader


@app.cell
def _():
    # === MOGRADER: MARKS ===
    _marks = {"Q1": 10, "Q2": 20, "Q3": 5}
    grader = Grader(_marks)
    return (grader,)


@app.cell
def _():
    ### BEGIN SOLUTION
    x = 41
    ### END SOLUTION
    return (x,)


@app.cell
def _(grader, x):
    grader.check("Q1: value", [(x > 0, "x must be positive"), (x == 41, "x must be 41", 2)])
    return


@app.cell
def _(grader, x):
    grader.check("Q1: parity", [(x % 2 == 1, "x must be odd")])
    return


@app.function
def double(a):
    ### BEGIN SOLUTION
    return a * 2
    ### END SOLUTION


@app.cell
def _(grader):
    grader.check("Q2: doubling", [(double(2) == 4, "double(2) must be 4")])
    ### BEGIN HIDDEN TESTS
    grader.check("Q2: s3cret", [(double(-7) == -14, "double(-7) is h1dden"), (double(0) == 0, "h1dden zero")])
    ### END HIDDEN TESTS
    return


@app.cell
def _(grader):
    grader.scores()
    return


if __name__ == "__main__":
    app.run()
"""

HIDDEN = ("s3cret", "h1dden", "-14", "-7")
"""A text that no student may ever read."""


def submission(x: str = "41", body: str = "return a * 2") -> str:
    """The source with other answers, as a student submits it: without the hidden tests."""
    begin, end = SOURCE.index("    ### BEGIN HIDDEN"), SOURCE.index("    ### END HIDDEN TESTS\n")
    text = SOURCE[:begin] + "    # HIDDEN TESTS\n" + SOURCE[end + len("    ### END HIDDEN TESTS\n") :]
    text = text.replace("    ### BEGIN SOLUTION\n    x = 41\n    ### END SOLUTION\n", f"    x = {x}\n")
    marked = "    ### BEGIN SOLUTION\n    return a * 2\n    ### END SOLUTION\n"
    return text.replace(marked, "".join(f"    {line}\n" for line in body.splitlines()))


RIGHT, HALF = submission(), submission("40", "return a + 2")
"""These submissions get 30 points, and 2.5 + 6.7."""

FAILING = submission("1 / 0")
LOOPING = submission(body="while True:\n    pass")
CHEATING = submission(
    'type("Always", (), {"__eq__": lambda *_: True, "__gt__": lambda *_: True, "__mod__": lambda *_: 1})()',
    "return type('Always', (), {'__eq__': lambda *_: True})()",
)
"""Objects that are equal to everything, which must earn nothing."""


def make_graded_course(folder: Path, **submissions: str) -> Path:
    """A course in `folder` with these submissions by user name, ready to be graded."""
    source, submitted = folder / "source" / "hw1", folder / "submitted" / "hw1"
    source.mkdir(parents=True)
    submitted.mkdir(parents=True)
    (source / "hw1.py").write_text(SOURCE)
    for user, text in submissions.items():
        (submitted / f"{user}.py").write_text(text)
    return folder
