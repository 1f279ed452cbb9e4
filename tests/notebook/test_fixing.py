"""Cells of the instructor are restored; a cell that may belong to the student is never changed."""

from __future__ import annotations

import itertools

import pytest

from mograder.notebook.cells import parse
from mograder.notebook.fixing import fix
from mograder.notebook.hashes import changed_cells
from mograder.notebook.release import make_release
from mograder.notebook.source import read_source
from tests.notebook.notebooks import CHECK_TOTAL, MARKS, SOURCE, TOTAL, notebook

RELEASE = parse(make_release(read_source(SOURCE, "hw1")).text)
BLANK = "    # YOUR CODE HERE\n    pass"
ANSWERED = RELEASE.text.replace(f"    total = ...\n{BLANK}", "    total = 6  # mine", 1).replace(
    BLANK, "    return sorted(xs)[len(xs) // 2]  # mine too", 1
)


def test_a_notebook_with_answers_only_is_not_changed() -> None:
    fixed = fix(parse(ANSWERED), RELEASE)
    assert fixed.text == ANSWERED
    assert (fixed.restored, fixed.removed, fixed.left) == ((), (), ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("total == 6", "True"),
        ('grader.check("Q2: median", [(median([3, 1, 2]) == 2, "of 3, 1, 2")])\n', ""),
        ('"Q2": 10', '"Q2": 1000'),
        ("import marimo as mo", "import marimo as mo, os"),
        ("    # HIDDEN TESTS\n", "    # HIDDEN TESTS\n    total_again = 3\n"),
    ],
)
def test_a_changed_cell_is_restored_and_answers_are_unchanged(old: str, new: str) -> None:
    broken = ANSWERED.replace(old, new, 1)
    assert broken != ANSWERED
    fixed = fix(parse(broken), RELEASE)
    assert changed_cells(RELEASE, parse(fixed.text)) == ()
    assert ("total = 6  # mine" in fixed.text, "# mine too" in fixed.text) == (True, True)
    assert len(fixed.restored) == 1


def test_every_missing_cell_of_the_instructor_is_restored_in_its_place() -> None:
    answered = parse(ANSWERED)
    lines = ANSWERED.split("\n")
    for cell in answered.cells:
        if "# mine" in cell.code:
            continue
        without = parse("\n".join([*lines[: cell.span[0] - 1], *lines[cell.span[1] :]]))
        fixed = parse(fix(without, RELEASE).text)
        assert sorted(each.code for each in fixed.cells) == sorted(each.code for each in answered.cells)
        assert [each.code for each in fixed.cells if "# mine" not in each.code] == [
            each.code for each in answered.cells if "# mine" not in each.code
        ]


def test_answers_survive_any_change_around_them() -> None:
    """The published --fix matches cells by position and overwrites answers if a cell was added or removed."""
    changes = [
        ("total == 6", "True"), ('"Q1": 5', '"Q1": 50'), ("of 3, 1, 2", "of nothing"),
        ("\n\n@app.function", "\n\n@app.cell\ndef _():\n    scratch = 1\n    return\n\n\n@app.function"),
    ]  # fmt: skip
    for chosen in itertools.chain.from_iterable(itertools.combinations(changes, n) for n in range(1, 5)):
        text = ANSWERED
        for old, new in chosen:
            text = text.replace(old, new, 1)
        fixed = fix(parse(text), RELEASE)
        codes = [cell.code for cell in parse(fixed.text).cells]
        assert changed_cells(RELEASE, parse(fixed.text)) == ()
        assert sum("# mine" in code for code in codes) == 2
        assert ("scratch = 1" in codes) == ("scratch = 1" in text)


def test_a_cell_of_the_student_that_calls_a_check_is_not_taken_for_the_check() -> None:
    mine = ANSWERED.replace("total = 6  # mine", 'total = 6  # mine\n    grader.check("Q1: total", [(True, "")])')
    mine = mine.replace("total == 6", "False", 1)
    fixed = fix(parse(mine), RELEASE)
    assert "total = 6  # mine\n" in fixed.text
    assert changed_cells(RELEASE, parse(fixed.text)) == ()


def test_an_answer_that_defines_a_name_of_the_instructor_is_kept_and_reported() -> None:
    release = parse(make_release(read_source(notebook("data = [1]", TOTAL, "print(data, total)"), "hw1")).text)
    text = release.text.replace("data = [1]", "note = 0").replace("pass", "data, total = [2], 6")
    fixed = fix(parse(text), release)
    assert "data, total = [2], 6" in fixed.text
    assert "data = [1]" in fixed.text
    (left,) = fixed.left
    assert "defines data too" in left


def test_a_changed_text_of_the_instructor_is_added_again_beside_it() -> None:
    """A changed text cannot be distinguished from an answer, so it is not removed."""
    release = parse(make_release(read_source(notebook('mo.md("Explain.")', TOTAL), "hw1")).text)
    fixed = fix(parse(release.text.replace("Explain.", "I explain.")), release)
    codes = [cell.code for cell in parse(fixed.text).cells]
    assert ('mo.md("I explain.")' in codes, 'mo.md("Explain.")' in codes) == (True, True)


def test_a_second_copy_of_a_check_is_removed() -> None:
    first, last = parse(ANSWERED).cells[3].span
    lines = ANSWERED.split("\n")
    fixed = fix(parse("\n".join([*lines[:last], "", "", *lines[first - 1 :]])), RELEASE)
    assert fixed.removed == ("the check “Q1: total”",)
    assert changed_cells(RELEASE, parse(fixed.text)) == ()


def test_the_metadata_of_the_release_is_restored_and_dependencies_are_kept() -> None:
    lost = ANSWERED.replace('# mograder-assignment = "hw1"\n', '# dependencies = ["numpy"]\n').replace(
        "# mograder-hidden-tests = true\n", ""
    )
    fixed = fix(parse(lost), RELEASE).text
    assert '# dependencies = ["numpy"]\n' in fixed
    assert ('# mograder-assignment = "hw1"\n' in fixed, "# mograder-hidden-tests = true\n" in fixed) == (True, True)


def test_fixing_again_changes_nothing() -> None:
    broken = ANSWERED.replace("total == 6", "True").replace('"Q2": 10', '"Q2": 1000')
    once = fix(parse(broken), RELEASE)
    twice = fix(parse(once.text), RELEASE)
    assert (twice.text, twice.restored) == (once.text, ())


def test_a_notebook_without_cells_gets_them_all() -> None:
    fixed = fix(parse("import marimo\n\napp = marimo.App()\n"), RELEASE)
    assert changed_cells(RELEASE, parse(fixed.text)) == ()
    assert len(fixed.restored) == len(parse(notebook(MARKS, CHECK_TOTAL, "x = 1")).cells)
