"""Which cells of the instructor a submission changed: compared as a multiset, independent of their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder.notebook import pep723
from mograder.notebook.cells import Notebook, parse
from mograder.notebook.hashes import cell_hash, changed_cells, instructor_hashes, missing_hashes
from mograder.notebook.release import make_release
from mograder.notebook.source import read_source
from tests.notebook.notebooks import SAVED, SOURCE, notebook

RELEASE = parse(make_release(read_source(SOURCE, "hw1")).text)


def changed(*edits: tuple[str, str]) -> tuple[str, ...]:
    text = RELEASE.text
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return changed_cells(RELEASE, parse(text))


def test_hashes_equal_those_of_the_published_mograder() -> None:
    # The output of `mograder generate` 0.3.16 for these cells.
    (first, second, third) = parse(
        'import marimo\napp = marimo.App()\n@app.cell\ndef _():\n    data = [1, 2, 3]\n    return (data,)\n'
        "@app.function\ndef helper(xs):\n    return [x * 2 for x in xs]\n@app.cell\ndef _(grader):\n"
        "    grader.scores()\n    return\n"
    ).cells  # fmt: skip
    assert [cell_hash(cell) for cell in (first, second, third)] == ["2a226832", "8ea03649", "b5f5459d"]


def test_an_answer_is_no_change() -> None:
    assert changed(("# YOUR CODE HERE\n    pass", "total = 6"), ("# YOUR CODE HERE\n    pass", "return 2")) == ()


def test_adding_or_moving_cells_is_no_change() -> None:
    assert changed(("\n\n@app.cell", "\n\n@app.cell\ndef _():\n    mine = 1\n    return\n\n\n@app.cell")) == ()
    lines = RELEASE.text.split("\n")
    first, last = RELEASE.cells[1].span
    moved = [*lines[: first - 1], *lines[last : RELEASE.cells[-1].span[1]], "", *lines[first - 1 : last]]
    assert changed_cells(RELEASE, parse("\n".join(moved))) == ()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("total == 6", "total == total", ("the check “Q1: total”",)),
        ('"Q2": 10', '"Q2": 99', ("the cell that begins with `# === MOGRADER: MARKS ===`",)),
        ("import marimo as mo", "import marimo as mo, sys", ("the setup cell",)),
        ("    # HIDDEN TESTS", "", ("the check “Q2: median”",)),
    ],
)
def test_a_changed_cell_is_named(old: str, new: str, named: tuple[str, ...]) -> None:
    assert changed((old, new)) == named


def test_a_missing_or_duplicated_cell_is_named() -> None:
    first, last = RELEASE.cells[3].span
    lines = RELEASE.text.split("\n")
    assert changed_cells(RELEASE, parse("\n".join([*lines[: first - 1], *lines[last:]]))) == ("the check “Q1: total”",)
    twice = "\n".join([*lines[:last], *lines[first - 1 :]])
    assert changed_cells(RELEASE, parse(twice)) == ("the check “Q1: total” (2 times)",)


@pytest.mark.parametrize("path", sorted(SAVED.glob("*.py")), ids=lambda path: path.stem)
def test_saving_with_any_marimo_version_changes_no_hash(path: Path) -> None:
    release = parse(make_release(read_source((SAVED / "written_by_hand.py").read_text("utf-8"), "hw1")).text)
    saved = parse(make_release(read_source(path.read_text("utf-8"), "hw1")).text)
    assert instructor_hashes(saved) == instructor_hashes(release)
    assert changed_cells(release, saved) == ()


def test_without_the_release_the_hashes_tell_how_many_cells_are_missing() -> None:
    def missing(notebook: Notebook) -> int:
        return missing_hashes(pep723.read_facts(notebook.text).cell_hashes, notebook)

    assert missing(RELEASE) == 0
    assert missing(parse(RELEASE.text.replace("total == 6", "True"))) == 1


def test_of_two_equal_cells_both_must_be_present() -> None:
    release = parse(notebook("print('again')", "x = 1", "print('again')"))
    once = parse(notebook("print('again')", "x = 1"))
    assert changed_cells(release, release) == ()
    assert changed_cells(release, once) == ("the cell that begins with `print('again')`",)
