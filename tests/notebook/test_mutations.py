"""Mutations of a model solution: small mistakes, only inside solutions."""

from __future__ import annotations

import ast

import pytest

from mograder.notebook.mutations import Mutation, mutations, unchecked
from mograder.notebook.source import read_source
from tests.notebook.notebooks import CHECK_MEDIAN, CHECK_TOTAL, MARKS, MEDIAN, SOURCE, line_of, notebook


def made(solution: str) -> list[tuple[str, str]]:
    """The mutations of one statement of a solution: its text before and after."""
    marked = f"    ### BEGIN SOLUTION\n    {solution}\n    ### END SOLUTION"
    body = f'@app.function\ndef f(x, n=0):\n    """Docs, 1 < 2."""\n{marked}'
    text = notebook("check('Q1', [(f(1) == 1 and 2 > 1, 'one')])", body)
    return [(each.before, each.after) for each in mutations(read_source(text, "hw1"))]


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        ("return x < n", {"return x <= n", "return None"}),
        ("return x not in n", {"return x in n", "return None"}),
        ("return x is not n", {"return x is n", "return None"}),
        ("return x != n", {"return x == n", "return None"}),
        ("return x and n or f", {"return x and n and f", "return x or n or f", "return None"}),
        ("return x // n", {"return x / n", "return None"}),
        ("return x + (n)", {"return x - (n)", "return None"}),
        ("return not x", {"return x", "return None"}),
        ("return -x", {"return x", "return None"}),
        ("return 3", {"return 4", "return None"}),
        ("return 0.5", {"return 1.0", "return None"}),
        ("return True", {"return False", "return None"}),
        ("return 'ä' + x", {"return 'äx' + x", "return 'ä' - x", "return None"}),
        ("return f'{x + 1}'", {"return None"}),
        ("return range(n)", {"return range(n - 1)", "return None"}),
        ("return x[n]", {"return x[n - 1]", "return None"}),
        ("return x[:n]", {"return x[:n - 1]", "return None"}),
        ("x += n", {"x -= n", ""}),
        ("x.sort()", {""}),
        ("return", set()),
        ("pass", set()),
    ],
)
def test_each_mutation_changes_one_thing(solution: str, expected: set[str]) -> None:
    found = made(solution)
    assert {before for before, _ in found} <= {solution}
    assert sorted(after for _, after in found) == sorted(expected)


def found() -> tuple[Mutation, ...]:
    return mutations(read_source(SOURCE, "hw1"))


def test_each_mutation_is_a_notebook_that_differs_only_in_its_line() -> None:
    lines = SOURCE.split("\n")
    assert len({each.text for each in found()}) == len(found()) > 5
    for each in found():
        ast.parse(each.text)
        changed = [
            number
            for number, pair in enumerate(zip(lines, each.text.split("\n"), strict=True), 1)
            if len(set(pair)) > 1
        ]
        assert changed == [each.line]
        assert each.cell in ("parts, total", "median")
        if each.after:
            assert (lines[each.line - 1].strip(), each.text.split("\n")[each.line - 1].strip()) == (
                each.before,
                each.after,
            )


def test_mutations_are_listed_in_the_order_of_the_file_with_lines_of_the_source() -> None:
    assert [each.line for each in found()] == sorted(each.line for each in found())
    assert {each.line for each in found() if each.before.startswith("in_order")} == {line_of(SOURCE, "in_order = ")}


def test_a_statement_of_several_lines_is_deleted_as_a_whole() -> None:
    marked = "    ### BEGIN SOLUTION\n    for y in x:\n        print(y)\n    return x\n    ### END SOLUTION"
    body = f"@app.function\ndef f(x):\n{marked}"
    text = notebook("check('Q1', [(f(1) == 1, 'one')])", body)
    deleted = [each for each in mutations(read_source(text, "hw1")) if each.before == "for y in x: …"]
    assert [each.text for each in deleted] == [text.replace("for y in x:\n        print(y)", "pass")]


def test_solutions_that_no_check_uses_are_named_and_not_mutated() -> None:
    written = '\nanswer = "..."\n### BEGIN SOLUTION\nanswer = "because"\n### END SOLUTION\n'
    helper = "\n### BEGIN SOLUTION\nstart = 40\n### END SOLUTION\n"
    source = read_source(
        notebook(MARKS, helper, written, CHECK_TOTAL, "total = start + 2", MEDIAN, CHECK_MEDIAN), "hw1"
    )
    assert unchecked(source) == ("answer",)
    assert {each.cell for each in mutations(source)} == {"start", "median"}
