"""Lines of solutions and hidden tests that are left in a release, and lines that only look like it."""

from __future__ import annotations

import pytest

from mograder.notebook.leaks import Leak, leaks
from mograder.notebook.release import make_release
from mograder.notebook.source import read_source
from tests.notebook.notebooks import CHECK_MEDIAN, CHECK_TOTAL, MARKS, MEDIAN, SAVED, SOURCE, TOTAL, line_of, notebook


def found(text: str, **others: str) -> list[str]:
    source = read_source(text, "hw1")
    return [leak.secret for leak in leaks(source, make_release(source).text, others)]


def solved(*lines: str) -> str:
    return "\n".join(["### BEGIN SOLUTION", *lines, "### END SOLUTION"])


@pytest.mark.parametrize("text", [SOURCE, (SAVED / "written_by_hand.py").read_text(encoding="utf-8")])
def test_a_correct_release_has_no_leaks(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("secret", "left"),
    [
        ("total = sum(parts) / 3", "# total = sum(parts) / 3"),
        ("total = sum(parts) / 3", "#total  =  sum(parts) / 3  # old"),
        ("total = sum(parts) / 3", "print('hint: total = sum(parts) / 3')"),
        ("total = sum(parts) / 3", 'mo.md("""\nUse `total = sum(parts) / 3` here.\n""")'),
        ("# use the harmonic mean here", "x = 1  # use the harmonic mean here"),
        ("total = 41", "# total = 41"),
        ("total = 41", "mo.md('write total = 41 below')"),
        ("answer = 'yes'", "mo.md(\"it is answer = 'yes'\")"),
        ("x = 1", "# x = 1"),
    ],
)
def test_a_solution_line_left_in_a_comment_or_inside_another_line_is_a_leak(secret: str, left: str) -> None:
    text = notebook(solved(secret), left)
    assert found(text) == [secret.lstrip("# ")]


def test_a_line_of_a_hidden_test_is_searched_for_like_a_solution() -> None:
    left = "# was: (median([50, 10, 90]) == 50, 'of 50')"
    hidden = "check('Q1: a', [\n### BEGIN HIDDEN TESTS\n(median([50, 10, 90]) == 50, 'of 50')\n### END HIDDEN TESTS\n])"
    text = notebook("median = 1", hidden, left)
    assert found(text) == ["(median([50, 10, 90]) == 50, 'of 50')"]


def test_the_cell_with_the_solution_is_searched_too() -> None:
    text = notebook("total = sum(parts) / 3\n" + solved("total = sum(parts) / 3"), "parts = [1]")
    assert found(text) == ["total = sum(parts) / 3"]


@pytest.mark.parametrize(
    "secret",
    ["pass", ")", "]),", "else:", "return", "return x", "x = 1", "import numpy as np", "from a import b, c, d", "try:"],
)
def test_a_line_without_information_is_no_leak(secret: str) -> None:
    body = secret if secret not in (")", "]),", "else:", "return", "return x", "try:") else f'"""\n{secret}\n"""'
    visible = f'"""\n{secret}\n"""' if body != secret else secret
    text = notebook("def f(x):\n    " + solved(*body.split("\n")).replace("\n", "\n    ") + "\n    return x", visible)
    assert found(text) == []


def test_a_line_that_a_visible_cell_of_the_instructor_also_has_is_no_leak() -> None:
    line = "values = [float(row[2]) for row in rows]"
    assert found(notebook("rows = []\n" + line.replace("values", "values"), solved("rows = []", line))) == []
    assert found(notebook("rows = []", f"# {line} (do not)", solved(line))) == [line]


def test_a_title_that_visible_and_hidden_tests_share_is_no_leak() -> None:
    visible = "check(\n    'Q2: median of a list',\n    [(True, 'shown')],\n)"
    hidden = (
        "### BEGIN HIDDEN TESTS\ncheck(\n    'Q2: median of a list' + ' again',\n    [],\n)\n### END HIDDEN TESTS\n"
    )
    text = notebook(visible + "\n" + hidden.replace("' + ' again", ""))
    assert found(text) == []


def test_a_placeholder_in_a_solution_is_no_leak() -> None:
    assert found(notebook(solved("total = ...", "total = sum(parts) / 3"), "print(total)", "parts = [1]")) == []


def test_files_beside_the_notebook_are_searched_too() -> None:
    source = read_source(SOURCE, "hw1")
    others = {"old.py": "x = 1\nin_order = sorted(xs)\n", "data.csv": "a,b\n1,2\n"}
    secret = line_of(SOURCE, "in_order = sorted(xs)")
    assert leaks(source, make_release(source).text, others) == (Leak("old.py", 2, "in_order = sorted(xs)", secret),)


def test_a_release_with_nothing_removed_leaks_every_line_with_information() -> None:
    source = read_source(notebook(MARKS, TOTAL, CHECK_TOTAL, MEDIAN, CHECK_MEDIAN), "hw1")
    assert {leak.secret for leak in leaks(source, source.notebook.text)} == {
        "parts = [1, 2, 3]",
        "total = sum(parts)",
        "in_order = sorted(xs)",
        "return in_order[len(in_order) // 2]",
        'grader.check("Q2: more", [(median([50, 10, 90]) == 50, "of 50, 10, 90")])',
    } | {leak.secret for leak in leaks(source, source.notebook.text) if leak.secret.startswith("return")}
