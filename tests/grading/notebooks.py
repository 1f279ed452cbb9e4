"""Small notebooks for the tests: a source with questions of every kind, and submissions with given answers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from mograder.domain.results import CheckResult, RunReport

SECRET = "plum-73-kiwi-19"  # occurs only in the source, like an expected value in a hidden test
SETUP = """\
import math
import statistics
import marimo as mo
import numpy as np
from mograder.runtime import check, Grader"""


def notebook(*cells: str, setup: str = SETUP, head: str = "") -> str:
    """A marimo notebook of these cells. Signatures and return lines are omitted, because they are not read."""
    parts = [head, "import marimo\n\napp = marimo.App()\n"]
    if setup:
        parts.append(f"with app.setup:\n{textwrap.indent(setup, '    ')}\n")
    parts += [
        f"@app.cell\ndef _():\n{textwrap.indent(textwrap.dedent(cell).strip(), '    ')}\n    return\n" for cell in cells
    ]
    return "\n\n".join(parts) + '\n\nif __name__ == "__main__":\n    app.run()\n'


def solution(code: str) -> str:
    return f"### BEGIN SOLUTION\n{textwrap.dedent(code).strip()}\n### END SOLUTION"


def hidden(code: str) -> str:
    return f"### BEGIN HIDDEN TESTS\n{textwrap.dedent(code).strip()}\n### END HIDDEN TESTS"


MARKS = """
# === MOGRADER: MARKS ===
_marks = {"answer": 5, "mean": 5, "squares": 5, "array": 5, "apply": 5, "even": 5, "secret": 5, "stack": 5, "honest": 5}
grader = Grader(_marks)
"""
DATA = "numbers = [4.0, 8.0, 6.0]"

ANSWERS: dict[str, str] = {
    "answer": "answer = 42",
    "mean": "def mean(values):\n    return sum(values) / len(values)",
    "squares": "squares = [i * i for i in range(10)]",
    "array": "array = np.linspace(0, 1, 5)",
    "apply": "def apply(function, values):\n    return [function(value) for value in values]",
    "even": "def is_even(number):\n    return number % 2 == 0",
    "secret": f'secret = "{SECRET}"',
    "stack": """
        class Stack:
            def __init__(self, *items):
                self.items = list(items)
            def push(self, item):
                self.items.append(item)
            def pop(self):
                return self.items.pop()
            def __len__(self):
                return len(self.items)
            def __eq__(self, other):
                return isinstance(other, Stack) and self.items == other.items
    """,
    "honest": "name = 'Ada'\ndef double(x):\n    return 2 * x",
}

CHECKS: dict[str, str] = {
    "answer": """
        grader.check("answer: forty-two", [
            (answer == 42, "it is 42"),
            (answer in (41, 42), "it is one of these"),
        ])
    """,
    "mean": hidden("""
        _values = [1.5, 2.5, 8.5]
        grader.check("mean: hidden", [
            (abs(mean(_values) - sum(_values) / len(_values)) < 1e-9, "the mean of a list"),
            (mean(numbers) == statistics.mean(numbers), "the mean of the numbers"),
            (np.isclose(mean([7.25]), 7.25), "the mean of one"),
        ])
    """),
    "squares": """
        grader.check("squares: ten", [
            (squares == [i * i for i in range(10)], "the squares"),
            (sum(squares) == 285 and sorted(squares)[3] == 9, "their sum"),
        ])
    """,
    "array": """
        grader.check("array: five", [(bool((array == np.linspace(0, 1, 5)).all()), "exactly")])
    """,
    "apply": hidden("""
        _expected = [4, 9, 25]
        grader.check("apply: hidden", [
            (apply(lambda x: x * x, [2, 3, 5]) == _expected, "a lambda"),
            (apply(str, [1, 2]) == ["1", "2"], "a type"),
        ])
    """),
    "even": """
        grader.check("even: numbers", [
            (is_even(4), "4 is"), (not is_even(7), "7 is not"), (is_even(0) == True, "0 is"),
        ])
    """,
    "secret": hidden(f'grader.check("secret: hidden", [(secret == "{SECRET}", "the secret")])'),
    "stack": """
        _stack = Stack(1)
        _stack.push(2)
        grader.check("stack: works", [
            (len(_stack) == 2, "two items"), (_stack.pop() == 2, "the last one"), (_stack == Stack(1), "one is left"),
        ])
    """,
    "honest": """
        grader.check("honest: neighbour", [(name == "Ada", "the name"), (double(21) == 42, "doubled")])
    """,
}

# Each check has its own cell, so that a condition that raises does not hide another that a cheat would pass.
MORE_CHECKS = (
    'grader.check("even: all", [(all(map(is_even, [2, 4, 6])), "all of these")])',
    'grader.check("answer: near", [(abs(answer - 42) < 1e-9, "it is near 42")])',
    'grader.check("answer: close", [(math.isclose(answer, 42), "it is close to 42")])',
    'grader.check("squares: many", [(len(squares) == 10 and 49 in squares, "ten of them, with 49")])',
    'grader.check("array: close", [(np.allclose(array, np.linspace(0, 1, 5)), "five numbers")])',
    'np.testing.assert_allclose(array, [0, 0.25, 0.5, 0.75, 1])\ngrader.check("array: tested", [(True, "five numbers")])',
    'grader.check("mean: one", [(abs(mean([7.25]) - 7.25) < 1e-9, "the mean of one")])',
)

SOURCE = notebook(MARKS, DATA, *(solution(code) for code in ANSWERS.values()), *CHECKS.values(), *MORE_CHECKS)


def submission(replaced: Mapping[str, str] | None = None, *more: str, setup: str = SETUP, head: str = "") -> str:
    """An honest submission except for these answers; the cells `more` come first."""
    answers = ANSWERS | {"secret": "secret = ..."} | dict(replaced or {})
    checks = [CHECKS[key] for key in CHECKS if "HIDDEN" not in CHECKS[key]]
    return notebook(*more, MARKS, DATA, *answers.values(), *checks, *MORE_CHECKS, setup=setup, head=head)


def earned(report: RunReport) -> dict[str, float]:
    """The earned share of the weight of each question."""
    weights: dict[str, list[float]] = {}
    for check in report.checks:
        parts = weights.setdefault(check.key, [0.0, 0.0])
        parts[0] += check.earned_weight
        parts[1] += check.total_weight
    return {key: earned / total if total else 0.0 for key, (earned, total) in weights.items()}


def check_of(report: RunReport, key: str) -> CheckResult:
    return next(check for check in report.checks if check.key == key)
