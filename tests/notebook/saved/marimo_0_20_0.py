# /// script
# requires-python = ">=3.11"
# dependencies = ["marimo>=0.20", "numpy"]
#
# [tool.uv]
# exclude-newer = "2030-01-01T00:00:00Z"
# ///

import marimo

__generated_with = "0.20.0"
app = marimo.App(width="medium", app_title="Saved by many versions")

with app.setup(hide_code=True):
    import math

    import marimo as mo
    from mograder.runtime import Grader, check, hint


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Ä title, with a formula $\tau$

      indented text
    """)
    return


@app.cell
def _():
    # === MOGRADER: MARKS ===
    _marks = {"Q1": 5, "Q2": 10, "Q3": 4, "Written": 6}
    grader = Grader(_marks)
    return (grader,)


@app.cell
def _():
    data = [3, 1, 2]
    table = """
    a,b
    1,2
    """
    return data, table


@app.cell
def _(data):
    ### BEGIN SOLUTION
    secret_helper = len(data)
    total = sum(data) / secret_helper
    ### END SOLUTION
    return (total,)


@app.cell
def _(data, grader, total):
    mo.stop(total is ..., grader.check("Q1: total", []))
    grader.check("Q1: total", [(total == 2, "should be 2"), (total < max(data), "too large", 3)])
    return


@app.function
def median(xs):
    """The middle one."""
    ### BEGIN SOLUTION
    ys = sorted(xs)
    return ys[len(ys) // 2]
    ### END SOLUTION


@app.function
def double(xs):
    return [x * 2 for x in xs]


@app.cell
async def _(grader):
    import asyncio

    await asyncio.sleep(0)
    grader.check("Q2: median", [(median([1, 2, 3]) == 2, "of 1,2,3")])
    ### BEGIN HIDDEN TESTS
    grader.check("Q2: more", [(median(double([5, 1, 9])) == 10, "of 5 1 9")])
    ### END HIDDEN TESTS
    return


@app.cell(disabled=True)
def named(table):
    _lines = table.splitlines()
    for _line in _lines:
        print(_line)
    # a last comment
    return


@app.class_definition
class Point:
    def __init__(self, x):
        ### BEGIN SOLUTION
        self.x = x
        ### END SOLUTION

    def norm(self):
        return math.sqrt(self.x**2)


@app.cell
def _(grader):
    grader.check("Q3: norm", [(Point(-2).norm() == 2, "the norm of -2")])
    return


@app.cell
def _():
    hint("one", "two")
    return


@app.cell
def written_analysis():
    response_text = "Your answer"
    ### BEGIN SOLUTION
    response_text = "the model answer with many words"
    ### END SOLUTION
    return


@app.cell
def _(grader):
    grader.scores()
    return


@app.cell
def _():
    return


if __name__ == "__main__":
    app.run()
