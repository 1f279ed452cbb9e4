"""Parsing the text of a notebook, and the error for a text that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder.notebook.cells import CellKind, NotebookError, dedent, names_of, parse, read_text, text_bytes
from tests.notebook.notebooks import HEAD, SAVED, SOURCE, line_of, notebook

SIX_VERSIONS = sorted(SAVED.glob("marimo_*.py"))


@pytest.mark.parametrize("path", SIX_VERSIONS, ids=lambda path: path.stem)
def test_a_notebook_has_the_same_cells_for_every_marimo_version(path: Path) -> None:
    written = parse((SAVED / "written_by_hand.py").read_text(encoding="utf-8"))
    saved = parse(path.read_text(encoding="utf-8"))
    assert [cell.code for cell in saved.cells] == [cell.code for cell in written.cells]
    assert [(cell.refs, cell.defs) for cell in saved.cells] == [(cell.refs, cell.defs) for cell in written.cells]
    assert [cell.config for cell in saved.cells] == [cell.config for cell in written.cells]
    # marimo converts a cell that only defines a function into a function cell, and back
    names = [cell.name for cell in written.cells]
    assert [new for new, old in zip((c.name for c in saved.cells), names, strict=True) if new != old] in (
        [], ["median", "double", "Point"],
    )  # fmt: skip


def test_every_kind_of_cell_is_read_without_the_code_that_marimo_adds() -> None:
    text = notebook(
        "@app.cell(hide_code=True, column=1)\ndef named(mo, x):\n    # first\n\n    y = x\n    # last\n    return (y,)",
        "@app.cell\ndef __():\n    return",
        "@app.cell\nasync def _(mo):\n    await mo.sleep()\n",
        "@app.function(hide_code=True)\n@mo.cache\ndef f(a: int,\n      b=1):\n    return a\n    # after",
        "@app.class_definition\nclass C:\n    z = 1",
        "@app.cell(disabled=True)\ndef _(): z = 1; return (z,)",
    )
    setup, named, empty, waiting, function, klass, short = parse(text).cells
    assert (setup.kind, setup.code.split("\n")[0]) == (CellKind.SETUP, "import marimo as mo")
    assert (named.name, named.code, named.config) == (
        "named", "# first\n\ny = x\n# last", {"hide_code": True, "column": 1},
    )  # fmt: skip
    assert (named.refs, named.defs) == ({"x"}, {"y"})
    assert (empty.name, empty.code) == ("_", "")
    assert (waiting.is_async, waiting.code) == (True, "await mo.sleep()")
    assert (function.kind, function.name) == (CellKind.FUNCTION, "f")
    assert function.code == "@mo.cache\ndef f(a: int,\n      b=1):\n    return a\n    # after"
    assert (klass.kind, klass.defs) == (CellKind.CLASS, {"C"})
    assert (short.code, short.config) == ("z = 1", {"disabled": True})


def test_an_unparsable_cell_that_marimo_saved_as_text_is_read_but_defines_nothing() -> None:
    text = HEAD + '\napp._unparsable_cell(\n    r"""\n    q = = 1\n    """,\n    name="broken", hide_code=True\n)\n'
    (cell,) = parse(text).cells
    assert (cell.kind, cell.name, cell.code, cell.defs) == (CellKind.UNPARSABLE, "broken", "q = = 1", frozenset())
    assert cell.config == {"hide_code": True}


def test_a_cell_knows_its_lines_in_the_file() -> None:
    notebook = parse(SOURCE)
    for cell in notebook.cells:
        lines = SOURCE.split("\n")
        assert lines[cell.line - 1].strip() == cell.code.split("\n")[0].strip()
        assert cell.span[0] <= cell.line <= cell.span[1]
        assert notebook.cell_at(cell.line) is cell
    assert notebook.cell_at(1) is None


@pytest.mark.parametrize(
    ("code", "refs", "defs"),
    [
        ("x = y", "y", "x"),
        ("_x = y", "y", ""),
        ("__x = 1", "", "__x"),
        ("import a.b, c as d", "", "a d"),
        ("def f(n):\n    return g(n) + f(n - 1)", "g", "f"),
        ("squares = [n * scale for n in range(3)]", "range scale", "squares"),
        ("def f():\n    global shared\n    shared = 1", "", "f shared"),
        ("[last := n for n in many]", "many", "last"),
        ("try:\n    pass\nexcept ValueError as error:\n    print(error)", "ValueError print", ""),
        ("class A(B):\n    size = 1\n    def m(self):\n        return C", "B C", "A"),
        ("with open(name) as (a, b):\n    pass", "open name", "a b"),
        (
            "match q:\n    case {'k': k, **rest}:\n        pass\n    case [one, *_more]:\n        pass",
            "q",
            "k rest one",
        ),
        ("x: Number = 1", "Number", "x"),
        ("await gather(a)", "gather a", ""),
        ("x = (", "", ""),
    ],
)
def test_the_names_that_a_cell_reads_and_defines_are_found(code: str, refs: str, defs: str) -> None:
    assert names_of(code) == (frozenset(refs.split()), frozenset(defs.split()))


def test_text_inside_a_string_keeps_its_indentation() -> None:
    assert dedent('    a = """\n    b\n      c\n    """') == 'a = """\nb\n  c\n"""'
    assert dedent('    a = """\nb\n      c\n    """\n    d') == 'a = """\nb\n      c\n    """\nd'
    assert dedent('    a = f"""\nb {c}\n"""\n    d') == 'a = f"""\nb {c}\n"""\nd'


def test_bytes_are_decoded_by_their_declared_encoding() -> None:
    text = notebook("name = 'Zoë'")
    for data in (
        text.encode(),
        b"\xef\xbb\xbf" + text.encode(),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
    ):
        assert read_text(data) == text
    latin = "# -*- coding: latin-1 -*-\n" + text
    assert read_text(latin.encode("latin-1")) == latin


@pytest.mark.parametrize(
    "data",
    [
        "x = 'é'\n".encode(), b"\xef\xbb\xbf" + "x = 'é'\n".encode(), "x = 'é'\r\ny = 1\r\n".encode(),
        "# coding: latin-1\nx = 'é'\n".encode("latin-1"),
    ],
)  # fmt: skip
def test_a_text_is_encoded_to_its_original_bytes(data: bytes) -> None:
    assert text_bytes(read_text(data), data) == data


def test_a_character_that_the_encoding_of_the_file_lacks_is_an_error() -> None:
    with pytest.raises(NotebookError, match="save the file as UTF-8"):
        text_bytes("# coding: latin-1\nx = '“'\n", b"# coding: latin-1\nx = 1\n")


@pytest.mark.parametrize(
    ("data", "words", "line"),
    [
        (b"PK\x03\x04rest", "zip archive", None),
        (b"x = 1\nname = '\xe4'\n", "not utf-8", 2),
        (b"x = '\0'", "NUL", None),
        (b"\xff\xfex\0", "UTF-16", None),
        (b"# coding: klingon\n", "unknown encoding", None),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_one_sentence(data: bytes, words: str, line: int | None) -> None:
    with pytest.raises(NotebookError, match=words) as caught:
        read_text(data)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("", "empty", None),
        ("print('hello')\n", "not a marimo notebook", None),
        ('{"cells": [], "nbformat": 4}', "Jupyter notebook", None),
        ('{"cells": [{"source": ["x = null"], "outputs": true}]}', "Jupyter notebook", None),
        (HEAD + "\n@app.cell\ndef _():\n    x = (1\n    return\n", "not valid Python", 8),
        (HEAD + "x = " + "(" * 1000 + ")" * 1000, "valid Python|nested", None),
    ],
)
def test_a_text_that_is_no_notebook_is_refused_with_one_sentence(text: str, words: str, line: int | None) -> None:
    with pytest.raises(NotebookError, match=words) as caught:
        parse(text)
    if line:
        assert caught.value.line == line
        assert caught.value.message.startswith(f"line {line}: ")


def test_an_invalid_escape_sequence_in_a_submission_raises_no_warning() -> None:
    assert line_of(parse(notebook(r"x = '\d'")).text, r"\d")
