"""What a source contains: questions, hidden tests, the check notebook; mistakes are reported with their lines."""

from __future__ import annotations

import ast

import pytest

from mograder.notebook.cells import parse
from mograder.notebook.marks import Mistake, key_of
from mograder.notebook.source import Question, SourceErrors, answer_names, check_notebook, read_source
from tests.notebook.notebooks import CHECK_MEDIAN, CHECK_TOTAL, MARKS, MEDIAN, SAVED, SOURCE, TOTAL, line_of, notebook


def mistakes(text: str) -> list[Mistake]:
    with pytest.raises(SourceErrors) as caught:
        read_source(text, "hw1")
    return list(caught.value.mistakes)


def test_questions_are_the_keys_of_the_marks_with_their_checks() -> None:
    source = read_source((SAVED / "written_by_hand.py").read_text(encoding="utf-8"), "hw1")
    assert source.questions == (
        Question("Q1", 5.0, ("Q1: total",), manual=False),
        Question("Q2", 10.0, ("Q2: median", "Q2: more"), manual=False),
        Question("Q3", 4.0, ("Q3: norm",), manual=False),
        Question("Written", 6.0, (), manual=True),
    )
    assert source.has_marks
    assert source.hidden == {"Q2: more"}


def test_without_marks_the_questions_come_from_the_checks() -> None:
    text = notebook(TOTAL, 'check("Q1: total", [(total == 6, "six")])', 'check("Plain", [(True, "")])')
    source = read_source(text, "hw1")
    assert [(each.key, each.points, each.manual) for each in source.questions] == [
        ("Q1", 0, False),
        ("Plain", 0, False),
    ]
    assert not source.has_marks


@pytest.mark.parametrize(
    ("label", "key"), [("Q1: a: b", "Q1"), ("Q1", "Q1"), (" Q 1 : a", "Q 1"), (": a", ""), ("é:x", "é")]
)
def test_the_key_is_the_text_before_the_first_colon(label: str, key: str) -> None:
    assert key_of(label) == key


def test_every_cell_belongs_to_one_owner() -> None:
    source = read_source(SOURCE, "hw1")
    assert [cell.name for cell in source.solution_cells] == ["_", "median"]
    assert [cell.code.split("\n")[0][:10] for cell in source.check_cells] == ["mo.stop(to", "grader.che"]
    assert any("_marks =" in cell.code for cell in source.helpers)
    owned = [*source.solution_cells, *source.check_cells, *source.helpers]
    assert sorted(cell.line for cell in owned) == [cell.line for cell in source.notebook.cells]


def test_a_check_of_the_runtime_is_recognised_under_any_imported_name() -> None:
    setup = "from mograder.runtime import check as examine, Grader as G\nimport mograder.runtime as r\n"
    text = notebook(
        "g = G({'A': 1, 'B': 1, 'C': 1})", "examine('A: 1', [(1, '')])", "g.check('B: 1', [(1, '')])",
        "r.check('C: 1', [(1, '')])", "def check(name, *more): ...", "check('D: 1', [(1, '')])", setup=setup,
    )  # fmt: skip
    assert len(read_source(text, "hw1").check_cells) == 3


def test_a_computed_label_belongs_to_the_key_that_it_starts_with() -> None:
    text = notebook(MARKS, 'for _n in (1, 2):\n    grader.check(f"Q1: part {_n}", [(True, "")])')
    q1, q2 = read_source(text, "hw1").questions
    assert (q1.manual, q1.labels, q2.manual) == (False, (), True)


def test_the_check_notebook_has_hidden_tests_and_no_solution() -> None:
    source = read_source(SOURCE, "hw1")
    made = check_notebook(source)
    assert "in_order" not in made
    assert "sum(parts)" not in made
    assert "median([50, 10, 90]) == 50" in made
    assert answer_names(source) == {"total", "median"}
    ast.parse(made)
    names = [cell.code for cell in parse(made).cells]
    assert [code.split("\n")[0] for code in names[:2]] == ["import marimo as mo", "# === MOGRADER: MARKS ==="]


def test_the_check_notebook_has_only_the_helpers_that_checks_need() -> None:
    text = notebook(
        "import math", "def near(a, b):\n    return math.isclose(a, b)", "print('shown to students')",
        "@app.function\ndef twice(x):\n    return answer(x) * 2",
        "### BEGIN SOLUTION\nanswer = abs\nspare = 1\n### END SOLUTION",
        'check("Q1: a", [(near(twice(1), 2), "m")])',
    )  # fmt: skip
    source = read_source(text, "hw1")
    made = check_notebook(source)
    assert ("def near" in made, "import math" in made, "def twice" in made) == (True, True, True)
    assert "shown to students" not in made
    assert answer_names(source) == {"answer"}


def test_imports_in_the_cell_of_an_answer_are_in_the_check_notebook_too() -> None:
    text = notebook(
        "import statistics\n### BEGIN SOLUTION\nx = statistics.mean([1])\n### END SOLUTION",
        'check("Q1: a", [(x == statistics.mean([1]), "m")])',
    )
    source = read_source(text, "hw1")
    assert "import statistics" in check_notebook(source)
    assert answer_names(source) == {"x"}


def test_a_check_in_the_cell_of_the_answer_runs_without_the_solution() -> None:
    text = notebook('### BEGIN SOLUTION\nx = 3\n### END SOLUTION\ncheck("Q1: a", [(x == 3, "m")])')
    source = read_source(text, "hw1")
    assert answer_names(source) == {"x"}
    assert "x = 3" not in check_notebook(source)
    assert 'check("Q1: a"' in check_notebook(source)


def test_a_check_inside_a_function_runs_where_the_function_is_called() -> None:
    text = notebook(
        '@app.function\ndef examine(x):\n    return check("Q1: a", [(x == 3, "m")])',
        "### BEGIN SOLUTION\nx = 3\n### END SOLUTION", "examine(x)",
    )  # fmt: skip
    source = read_source(text, "hw1")
    assert "examine(x)" in check_notebook(source)
    assert answer_names(source) == {"x"}


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ("### BEGIN SOLUTION\nx = 1", "BEGIN SOLUTION", "has no END SOLUTION"),
        ("x = 1\n### END SOLUTION", "END SOLUTION", "has no BEGIN SOLUTION"),
        ("### BEGIN SOLUTION\n### BEGIN HIDDEN TESTS\n### END SOLUTION", "BEGIN HIDDEN", "inside the block SOLUTION"),
        ("### BEGIN SOLUTION\n### END HIDDEN TESTS\n### END SOLUTION", "END HIDDEN", "cannot end the block SOLUTION"),
        ("# BEGIN SOLUTION\nx = 1\n", "BEGIN SOLUTION", "is no marker"),
        ("### begin solutions\nx = 1\n", "begin solutions", "is no marker"),
        ("x = 1  ### BEGIN SOLUTION", "BEGIN SOLUTION", "is no marker"),
        ("### BEGIN HIDDEN TESTS\nassert True\n### END HIDDEN TESTS", "BEGIN HIDDEN", "calls no `check`"),
        ('check("Q3: a", [(True, "")])\n_marks = {"Q1": 5}', "Q3: a", "'Q3' has no marks"),
        ('check("A", [(1, "")])\ncheck("B", [])\ncheck("A", [(2, "")])', "(2,", "stands in line 13 already"),
        ('_marks = {"Q1": "five"}', "five", "numbers by question"),
        ('_marks = {"Q1": 1 + x}', "1 + x", "nothing can be computed"),
        ('_marks = {"Q1": -1}', "-1", "0 or more"),
        ('_marks = {"Q1": 1, "Q1 ": 2}', "_marks", "stands twice"),
        ("# === MOGRADER: MARKS ===\nx = 1", "MARKS", "has no `_marks"),
    ],
)
def test_an_invalid_marker_is_reported_with_its_line(body: str, place: str, words: str) -> None:
    text = notebook(body)
    (mistake,) = mistakes(text)
    assert words in mistake.message
    assert mistake.line == line_of(text, place) or "END" in place or "BEGIN" in place
    assert place in text.split("\n")[mistake.line - 1]


def test_a_block_that_continues_in_another_cell_is_a_mistake() -> None:
    text = notebook("### BEGIN SOLUTION\nx = 1", "y = 2\n### END SOLUTION")
    (mistake,) = mistakes(text)
    assert (mistake.line, mistake.message) == (line_of(text, "BEGIN"), "BEGIN SOLUTION has no END SOLUTION in its cell")


def test_a_block_outside_every_cell_is_a_mistake() -> None:
    text = "### BEGIN SOLUTION\n### END SOLUTION\n" + notebook(TOTAL)
    (mistake,) = mistakes(text)
    assert mistake == Mistake(1, "BEGIN SOLUTION stands outside every cell")


def test_all_mistakes_are_reported_in_the_order_of_the_file() -> None:
    text = notebook(MARKS, "### END SOLUTION", 'grader.check("Q9: x", [(True, "")])', "### BEGIN SOLUTION")
    assert [mistake.line for mistake in mistakes(text)] == [
        line_of(text, "END SOL"), line_of(text, "Q9"), line_of(text, "BEGIN SOL"),
    ]  # fmt: skip


def test_the_label_of_a_waiting_question_is_counted_once() -> None:
    assert read_source(notebook(MARKS, TOTAL, CHECK_TOTAL, MEDIAN, CHECK_MEDIAN), "hw1").questions[0].labels == (
        "Q1: total",
    )


def test_a_marker_inside_a_string_is_a_marker_too() -> None:
    source = read_source(notebook('mo.md("""\n### BEGIN SOLUTION\nmine\n### END SOLUTION\n""")'), "hw1")
    assert len(source.solution_cells) == 1
