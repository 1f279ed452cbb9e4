"""Visible checks run before hidden tests, so what a hidden test passes to a submission affects no shown result."""

from __future__ import annotations

from mograder.domain.results import CheckStatus
from mograder.grading.environment import Environment
from mograder.grading.limits import Tests
from mograder.grading.passes import plan_checks
from mograder.grading.runner import Grader
from mograder.grading.sandbox import Sandbox
from mograder.notebook.source import read_source
from tests.notebook.notebooks import notebook

DOUBLE = "@app.function\ndef double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
ZERO = "@app.function\ndef zero():\n    ### BEGIN SOLUTION\n    return 0\n    ### END SOLUTION"
CHECK_DOUBLE = """
_one = 1
check("Q1: one", [(double(_one) == 2, "of one")])
### BEGIN HIDDEN TESTS
check("Q1: more", [(double(7077) == 14154, "of more")])
### END HIDDEN TESTS
"""
CHECK_ZERO = 'check("Q2: zero", [(zero() == 0, "it is zero")])'
SOURCE = notebook(DOUBLE, CHECK_DOUBLE, ZERO, CHECK_ZERO)


def test_arguments_of_a_hidden_test_do_not_reach_visible_checks(sandbox: Sandbox, environment: Environment) -> None:
    """`zero` reveals the last argument of `double`."""
    marked = "    ### BEGIN SOLUTION\n    {}\n    ### END SOLUTION"
    text = SOURCE.replace(marked.format("return 2 * x"), "    double.seen = x\n    return 2 * x")
    text = text.replace(marked.format("return 0"), "    return double.seen - 1")
    with Grader(Tests(SOURCE, "hw1"), environment, sandbox, 1) as grader:
        report = grader.grade(text.encode(), "hw1.py")
    found = {each.label: (each.hidden, each.status) for each in report.checks}
    assert found["Q1: one"] == (False, CheckStatus.SUCCESS)
    assert found["Q1: more"] == (True, CheckStatus.SUCCESS)
    assert list(found) == ["Q1: one", "Q2: zero", "Q1: more"]


def test_cells_with_hidden_tests_run_whole_after_all_visible_checks() -> None:
    made = plan_checks(read_source(SOURCE, "hw1"))
    order = [made.plan.notebook.cells[place].code for place in made.plan.order if place in made.places]
    assert ["more" in code for code in order] == [False, False, True]
    both = [made.plan.notebook.cells[place].code for place in (*made.again, *made.again.values())]
    assert ["Q1: one" in code for code in both] == [True, True]


def test_a_cell_whose_hidden_tests_define_names_for_other_cells_runs_once() -> None:
    defining = CHECK_DOUBLE.replace("### BEGIN HIDDEN TESTS", "### BEGIN HIDDEN TESTS\nlimit = 3")
    text = notebook(DOUBLE, defining, ZERO, CHECK_ZERO.replace("== 0", "< limit"))
    made = plan_checks(read_source(text, "hw1"))
    assert made.again == {}
    assert len(made.places) == 2
