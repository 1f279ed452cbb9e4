"""For any content of cells: notebooks are read as they were written, releases parse and leak nothing, hashes agree."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mograder.notebook import pep723
from mograder.notebook.cells import Cell, CellKind, NotebookError, names_of, parse, read_text
from mograder.notebook.fixing import fix
from mograder.notebook.hashes import cell_hash, changed_cells, instructor_hashes
from mograder.notebook.leaks import leaks
from mograder.notebook.release import make_release
from mograder.notebook.source import read_source
from mograder.notebook.writing import write_notebook
from tests.notebook.notebooks import notebook

NAMES = st.sampled_from(["alpha", "beta", "gamma", "_own", "delta"])
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n \t#'\"\\{}"), max_size=30)


@st.composite
def statements(draw: st.DrawFn, depth: int = 0) -> str:
    """A statement that is hard to parse: strings of several lines, comments, nested blocks, unusual spacing."""
    kind = draw(st.sampled_from(["assign", "string", "raw", "comment", "import"] + ["block", "function"] * (depth < 2)))
    name = draw(NAMES)
    if kind == "assign":
        return f"{name} = {draw(NAMES)} + {draw(st.integers(0, 999))}"
    if kind == "string":
        return f"{name} = {draw(TEXTS)!r}"
    if kind == "raw":
        text = draw(TEXTS).replace('"', "'").replace("\\", "/").replace("{", "(").replace("}", ")")
        return f'{name} = {draw(st.sampled_from(["", "f", "r"]))}"""{text}"""'
    if kind == "comment":
        return f"# {draw(TEXTS)}".replace("\n", " ").replace("BEGIN", "").replace("END", "")
    if kind == "import":
        return draw(st.sampled_from(["import math", "from os import path as p"]))
    body = draw(st.lists(statements(depth + 1), min_size=1, max_size=3))
    indent = draw(st.sampled_from(["    ", "  ", "\t"]))
    lines = "\n".join(_indented(part, indent) for part in body) + f"\n{indent}pass"
    head = f"def {name}(x, *more):" if kind == "function" else "for _i in range(2):"
    return f"{head}\n{lines}"


def _indented(code: str, indent: str) -> str:
    """Indent every line, also inside strings, whose content does not matter."""
    return "\n".join(indent + line if line else line for line in code.split("\n"))


bodies = st.lists(statements(), min_size=1, max_size=4).map("\n".join)


def valid(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return code == code.strip() and not code.endswith("\\")


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    code = draw(bodies.filter(valid))
    return Cell(CellKind.CELL, "_", code, 1, *names_of(code), (1, 1))


@given(st.lists(cells(), min_size=1, max_size=4))
def test_written_cells_are_read_back(wanted: list[Cell]) -> None:
    text = write_notebook(wanted)
    ast.parse(text)
    read = parse(text).cells
    assert [cell.code for cell in read] == [cell.code for cell in wanted]
    assert [cell_hash(cell) for cell in read] == [cell_hash(cell) for cell in wanted]
    assert write_notebook(read) == text


@given(st.lists(st.tuples(bodies.filter(valid), bodies.filter(valid)), min_size=1, max_size=3), st.booleans())
def test_every_release_can_be_parsed_leaks_nothing_and_is_unchanged_by_answers(
    parts: list[tuple[str, str]], check: bool
) -> None:
    given_code = [before for before, _ in parts]
    solved = [f"{before}\n### BEGIN SOLUTION\n{secret}\n### END SOLUTION" for before, secret in parts]
    text = notebook(*solved, *(["check('Q1: a', [(True, '')])"] if check else []))
    source = read_source(text, "hw1")
    release = parse(make_release(source).text)
    assert len(release.cells) == len(source.notebook.cells)
    for cell, before in zip(release.cells[1:], given_code, strict=False):
        assert cell.code.endswith("# YOUR CODE HERE\npass")
        assert cell.code.startswith(before)
    assert pep723.read_facts(release.text).cell_hashes == instructor_hashes(release)
    assert changed_cells(release, source.notebook) == ()
    assert fix(source.notebook, release).restored == ()
    for leak in leaks(source, release.text):
        # a remaining line can only be one that the author also shows outside the solution
        assert any(leak.secret in " ".join(line.split()) for before in given_code for line in before.split("\n"))


@given(bodies.filter(valid))
def test_names_do_not_depend_on_the_indentation_of_a_cell(code: str) -> None:
    body = _indented(code, "        ")
    (cell,) = parse(f"import marimo\napp = marimo.App()\n@app.cell\ndef _():\n{body}\n        return\n").cells
    assert (cell.refs, cell.defs) == names_of(code)


@given(
    st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20),
    st.booleans(),
    st.lists(st.text("0123456789abcdef", min_size=8, max_size=8), max_size=5),
    st.sampled_from(["", '# dependencies = ["numpy"]\n', "# x = 1\n#\n# [tool.uv]\n# y = 'é'\n"]),
)
def test_written_facts_are_read_back(name: str, hidden: bool, hashes: list[str], block: str) -> None:
    facts = pep723.Facts(name, hidden, tuple(hashes))
    text = (f"# /// script\n{block}# ///\n" if block else "") + notebook("x = 1")
    made = pep723.write_facts(text, facts)
    assert pep723.read_facts(made) == facts
    assert pep723.write_facts(made, facts) == made
    assert made.endswith(text.split("# ///\n")[-1])
    for line in block.splitlines():
        assert line in made.splitlines()


def refusal(read: Callable[[], object]) -> str | None:
    """The sentence with which the input is refused; None if it is accepted."""
    try:
        read()
    except NotebookError as error:
        return error.reason
    return None


@given(st.text(max_size=200))
def test_any_text_is_a_notebook_or_refused_with_one_sentence(text: str) -> None:
    for whole in (text, notebook("x = 1").replace("x = 1", text)):
        reason = refusal(lambda whole=whole: parse(whole))  # type: ignore[misc]
        assert reason is None or (reason and "\n" not in reason)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_text_or_refused_with_one_sentence(data: bytes) -> None:
    reason = refusal(lambda: read_text(data))
    assert reason is None or (reason and "\n" not in reason)


def test_a_string_with_less_indentation_than_its_cell_is_written_unchanged() -> None:
    code = textwrap.dedent('x = """\nleft\n  right\n"""\nif x:\n    y = """\nfar left\n    """')
    cell = Cell(CellKind.CELL, "_", code, 1, *names_of(code), (1, 1))
    assert parse(write_notebook([cell])).cells[0].code == code
