"""Releases: what is removed, what is added, and that everything else keeps every byte."""

from __future__ import annotations

import difflib

import pytest

from mograder.notebook import pep723
from mograder.notebook.cells import parse
from mograder.notebook.hashes import instructor_hashes
from mograder.notebook.release import Release, make_release
from mograder.notebook.source import SourceErrors, read_source
from tests.notebook.notebooks import CHECK_TOTAL, MARKS, SAVED, SOURCE, TOTAL, line_of, notebook


def released(text: str, **options: object) -> Release:
    return make_release(read_source(text, "hw1"), **options)  # type: ignore[arg-type]


def test_solutions_and_hidden_tests_are_replaced_in_place() -> None:
    made = released(SOURCE)
    assert (made.solutions, made.hidden_tests) == (2, 1)
    changes = [
        line
        for line in difflib.ndiff(SOURCE.split("\n"), made.text.split("\n"))
        if line[0] in "+-" and line[2:].strip()
    ]
    assert sorted(changes) == sorted([
        "+ # /// script",
        '+ # mograder-assignment = "hw1"',
        "+ # mograder-hidden-tests = true",
        f'+ # mograder-cell-hashes = "{",".join(instructor_hashes(parse(made.text)))}"',
        "+ # ///",
        "-     ### BEGIN SOLUTION",
        "-     parts = [1, 2, 3]",
        "-     total = sum(parts)",
        "-     ### END SOLUTION",
        "+     total = ...",
        "+     # YOUR CODE HERE",
        "+     pass",
        "-     ### BEGIN SOLUTION",
        "-     in_order = sorted(xs)",
        "-     return in_order[len(in_order) // 2]",
        "-     ### END SOLUTION",
        "+     # YOUR CODE HERE",
        "+     pass",
        "-     ### BEGIN HIDDEN TESTS",
        '-     grader.check("Q2: more", [(median([50, 10, 90]) == 50, "of 50, 10, 90")])',
        "-     ### END HIDDEN TESTS",
        "+     # HIDDEN TESTS",
    ])  # fmt: skip


def test_a_release_has_the_cells_of_its_source() -> None:
    source = (SAVED / "written_by_hand.py").read_text(encoding="utf-8")
    before, after = parse(source), parse(released(source).text)
    assert [(cell.kind, cell.name) for cell in after.cells] == [(cell.kind, cell.name) for cell in before.cells]


def test_only_names_that_other_cells_read_and_nothing_else_defines_get_a_placeholder() -> None:
    text = notebook(
        "given = 1\n### BEGIN SOLUTION\nx = 2\ngiven = 3\nmine = 4\n### END SOLUTION\n"
        "### BEGIN SOLUTION\ny = 3\n### END SOLUTION\n",
        "print(x, y, given)",
    )
    assert parse(released(text).text).cells[1].code == (
        "given = 1\nx = ...\n# YOUR CODE HERE\npass\ny = ...\n# YOUR CODE HERE\npass"
    )


def test_signatures_and_return_lines_do_not_contain_names_used_only_by_a_solution() -> None:
    text = notebook(
        "import math", "data = [1]",
        "@app.cell\ndef _(data, math):\n    ### BEGIN SOLUTION\n    trick = math.tau\n    x = trick * len(data)\n"
        "    ### END SOLUTION\n    return trick, x",
        "@app.cell\ndef _(data, math, x):\n    check('Q1: x', [(x > 0, 'm')])\n    ### BEGIN HIDDEN TESTS\n"
        "    check('Q1: y', [(x == math.tau * len(data), 'm')])\n    ### END HIDDEN TESTS\n    return",
    )  # fmt: skip
    made = released(text).text
    assert "def _():\n    x = ...\n    # YOUR CODE HERE\n    pass\n    return (x,)\n" in made
    assert "def _(x):\n    check('Q1: x', [(x > 0, 'm')])\n    # HIDDEN TESTS\n    return\n" in made
    assert "trick" not in made


def test_a_long_signature_over_several_lines_is_read_and_written() -> None:
    names = [f"a_rather_long_name_{number}" for number in range(6)]
    text = notebook(
        "\n".join(f"{name} = 1" for name in names),
        "@app.cell\nasync def _(\n"
        + "".join(f"    {name},\n" for name in [*names, "math"])
        + f"):\n    x = {' + '.join(names)}\n    ### BEGIN SOLUTION\n    y = math.pi\n    ### END SOLUTION\n    return",
        "import math",
    )
    made = released(text).text
    assert "async def _(\n" + "".join(f"    {name},\n" for name in names) + "):\n" in made


@pytest.mark.parametrize("begin", ["", "    ", "\t"])
def test_a_replaced_block_keeps_its_indentation(begin: str) -> None:
    body = f"if True:\n{begin or '    '}pass\n{begin}### BEGIN SOLUTION\n{begin}x = 1\n{begin}### END SOLUTION"
    assert f"\n    {begin}# YOUR CODE HERE\n    {begin}pass\n" in released(notebook(body)).text


def test_hidden_conditions_may_be_inside_a_check() -> None:
    text = notebook(
        "check(\n    'Q1: a',\n    [\n        (True, 'shown'),\n        ### BEGIN HIDDEN TESTS\n"
        "        (True, 'not shown'),\n        ### END HIDDEN TESTS\n    ],\n)"
    )
    source = read_source(text, "hw1")
    made = make_release(source).text
    assert ("(True, 'shown')" in made, "not shown" in made) == (True, False)
    assert source.hidden == {"Q1: a"}


def test_a_cell_that_is_invalid_python_without_its_solution_is_reported_with_its_line() -> None:
    text = notebook(
        "x = 1", "try:\n    ### BEGIN SOLUTION\n    y = 2\nexcept ValueError:\n    ### END SOLUTION\n    pass"
    )
    with pytest.raises(SourceErrors) as caught:
        released(text)
    (mistake,) = caught.value.mistakes
    assert (mistake.line, "is no Python" in mistake.message) == (line_of(text, "BEGIN"), True)


def test_facts_are_added_to_an_existing_block_without_other_changes() -> None:
    block = (
        "# /// script\n# dependencies = [\n#     \"marimo\",  # any\n# ]\n#\n# [tool.uv]\n# exclude-newer = "
        '"2030-01-01T00:00:00Z"\n# ///\n\n'
    )  # fmt: skip
    made = released("#!/usr/bin/env python\n" + block + notebook(TOTAL)).text
    facts = pep723.read_facts(made)
    assert (facts.assignment, facts.hidden_tests) == ("hw1", False)
    assert made.startswith("#!/usr/bin/env python\n" + block.split("#\n")[0])
    assert made.index("mograder-assignment") < made.index("[tool.uv]")


def test_a_released_lecture_has_no_layout_and_no_hashes() -> None:
    head = 'import marimo\n\napp = marimo.App(width="medium", layout_file="layouts/l.slides.json", app_title="T")\n'
    made = released(notebook(TOTAL, head=head), lecture=True).text
    assert 'app = marimo.App(width="medium", app_title="T")\n' in made
    assert pep723.read_facts(made) == pep723.Facts(type="lecture")
    assert "sum(parts)" not in made


def test_submit_cells_belong_to_the_instructor_and_come_last() -> None:
    made = released(notebook(MARKS, TOTAL, CHECK_TOTAL), submit_url='https://x.example/c/"a"').text
    cells = parse(made).cells
    assert ["MOGRADER: SUBMIT" in cell.code for cell in cells] == [False] * 4 + [True] * 2
    assert '_submit("https://x.example/c/\\"a\\"", "hw1", __file__' in cells[-1].code
    assert pep723.read_facts(made).cell_hashes == instructor_hashes(parse(made))
    assert made.endswith('    return\n\n\nif __name__ == "__main__":\n    app.run()\n')


def test_a_release_of_a_release_is_the_same_except_for_the_mark_of_hidden_tests() -> None:
    made = released(SOURCE).text
    again = released(made).text
    assert again == made.replace("# mograder-hidden-tests = true\n", "")
