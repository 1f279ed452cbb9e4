"""Reads a marimo notebook's cells from its text, as marimo 0.20 and newer write them; imports and runs nothing."""

from __future__ import annotations

import ast
import codecs
import functools
import io
import json
import re
import symtable
import textwrap
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mograder.domain.errors import BadRequest

_DECORATORS = {"cell": "CELL", "function": "FUNCTION", "class_definition": "CLASS"}
_LINE_END = re.compile(r"\r\n|\r|\n")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class NotebookError(BadRequest):
    """The text is no notebook that can be read. `reason` is a sentence for its author, `line` is 1-based or None."""

    code = "notebook"

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.reason = reason
        self.line = line


class CellKind(StrEnum):
    SETUP = "setup"  # with app.setup:
    CELL = "cell"  # @app.cell
    FUNCTION = "function"  # @app.function
    CLASS = "class"  # @app.class_definition
    UNPARSABLE = "unparsable"  # app._unparsable_cell("…"): marimo's form of a cell with a syntax error


@dataclass(frozen=True)
class Cell:
    """One cell.

    `code` is what its author sees in marimo: dedented, without the signature and the last `return` that marimo writes;
    of a function or class cell the whole definition. `line` is the 1-based line of the file where `code` begins, `span`
    the first and last line of all that belongs to the cell, decorators included. `refs` are the names that the code
    reads and does not define (built-in ones too), `defs` those that it defines for other cells; names with one leading
    underscore belong to the cell alone and are in neither. `name` is "_" when the cell has none. `config` holds the
    decorator's constants (hide_code, disabled, column, …).
    """

    kind: CellKind
    name: str
    code: str
    line: int
    refs: frozenset[str]
    defs: frozenset[str]
    span: tuple[int, int]
    config: Mapping[str, object] = field(default_factory=dict, hash=False)
    is_async: bool = False


@dataclass(frozen=True)
class Notebook:
    """The cells in file order, the setup cell first where there is one; `text` is the file with "\\n" line ends."""

    cells: tuple[Cell, ...]
    text: str

    def cell_at(self, line: int) -> Cell | None:
        """The cell that this line of the file (1-based) belongs to."""
        return next((cell for cell in self.cells if cell.span[0] <= line <= cell.span[1]), None)


def title(cell: Cell) -> str:
    """How messages call a cell: by its name, what it defines, or its line."""
    if cell.name not in ("_", ""):
        return cell.name
    names = sorted(cell.defs)
    return ", ".join(names[:3]) if names else f"line {cell.line}"


def read_text(data: bytes) -> str:
    """The text of a notebook file, without a byte order mark, line ends as "\\n".

    UTF-8, or what a coding line (PEP 263) names. Raises NotebookError with a sentence for the author.
    """
    if data.startswith(b"PK\x03\x04"):
        raise NotebookError("this is a zip archive, not a notebook: submit the .py file itself")
    if data.startswith(_UTF16):
        raise NotebookError("the file is UTF-16 text: save it as UTF-8")
    if b"\0" in data:
        raise NotebookError("the file has NUL bytes, so it is not a text: submit the notebook's .py file")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, LookupError):
        raise NotebookError("the coding line at the top names an unknown encoding: save the file as UTF-8") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NotebookError(f"byte 0x{data[error.start]:02x} is not {error.encoding}: save as UTF-8", line) from None
    return _LINE_END.sub("\n", text.removeprefix("\ufeff"))


MOST_CELLS = 1_000
"""The most statements at the top level of a notebook: sorting its cells takes time that grows with their square."""


def text_bytes(text: str, like: bytes) -> bytes:
    """The bytes of a text in the encoding, and with the mark and line ends, of a file that `read_text` has read.

    Raises NotebookError when that encoding cannot encode a character.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(like).readline)
    ends = "\r\n" if b"\r\n" in like else "\n"
    try:
        return text.replace("\n", ends).encode(encoding)
    except UnicodeEncodeError as error:
        sign = text[error.start]
        raise NotebookError(f"{sign!r} cannot be written as {encoding}: save the file as UTF-8") from None


def parse(text: str) -> Notebook:
    """The cells of a notebook. Raises NotebookError: a syntax error, or not a marimo notebook."""
    text = _LINE_END.sub("\n", text.removeprefix("\ufeff"))
    module = _parsed(text)
    if not any(_is_app(statement) for statement in module.body):
        raise NotebookError(_not_marimo(text))
    if len(module.body) > MOST_CELLS:
        raise NotebookError(f"it has more than {MOST_CELLS} cells: a notebook of that length is not read")
    lines = text.split("\n")
    try:
        return Notebook(tuple(_cells(module, lines)), text)
    except RecursionError:
        raise NotebookError("an expression is nested too deeply to be read") from None


@functools.lru_cache(256)  # most cells of a submission are the instructor's, and the same in all of them
def names_of(code: str) -> tuple[frozenset[str], frozenset[str]]:
    """(refs, defs) of a cell's code, as in `Cell`; both empty where the code is no Python of its own."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
            top = symtable.symtable(code, "<cell>", "exec")
    except (SyntaxError, ValueError, MemoryError):
        return frozenset(), frozenset()
    caught = _only_caught(tree)
    defs = _defined(top) - caught
    read = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    read.update(
        symbol.get_name()
        for scope in _scopes_inside(top)
        for symbol in scope.get_symbols()
        if symbol.is_global() and symbol.is_referenced()
    )
    return frozenset(_shared(read - defs - caught)), frozenset(_shared(defs))


@functools.lru_cache(256)
def dedent(code: str) -> str:
    """The code without the indentation of its first line, as marimo does it.

    The inside of a string of several lines moves with the code around it, unless one of its lines is further left than
    the code: then the string is left as it is.
    """
    lines = code.split("\n")
    inside = string_lines(code)
    first = next((line for number, line in enumerate(lines) if line.strip() and number not in inside), None)
    if first is None:
        return textwrap.dedent(code)
    indent = len(first) - len(first.lstrip(" \t"))
    keep = {
        number
        for block in _runs(inside)
        if any(lines[n].strip() and len(lines[n]) - len(lines[n].lstrip(" \t")) < indent for n in block)
        for number in block
    }
    return "\n".join(line if n in keep else _shifted(line, indent) for n, line in enumerate(lines))


def string_lines(code: str) -> set[int]:
    """The lines (0-based) that begin inside a string of several lines; none where the code cannot be read."""
    inside: set[int] = set()
    starts: list[int] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            kind = tokenize.tok_name[token.type]
            if kind == "STRING":
                inside.update(range(token.start[0], token.end[0]))
            elif kind in ("FSTRING_START", "TSTRING_START"):
                starts.append(token.start[0])
            elif kind in ("FSTRING_END", "TSTRING_END"):
                inside.update(range(starts.pop(), token.end[0]))
    except (tokenize.TokenError, SyntaxError, IndexError):
        return set()
    return inside


def _parsed(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a student's text is no warning of ours
            return ast.parse(text)
    except SyntaxError as error:
        if _is_jupyter(text):
            raise NotebookError(_not_marimo(text)) from None
        raise NotebookError(f"this is not valid Python: {error.msg}", error.lineno) from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise NotebookError(f"this cannot be read as Python: {str(error) or 'nested too deeply'}") from None


def _not_marimo(text: str) -> str:
    if _is_jupyter(text):
        return "this is a Jupyter notebook: `marimo convert it.ipynb -o it.py` makes a marimo notebook of it"
    if not text.strip():
        return "the file is empty"
    return "this is not a marimo notebook: there is no `app = marimo.App()` in it"


def _is_jupyter(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        return "cells" in json.loads(text)
    except (ValueError, RecursionError):
        return False


def _is_app(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Assign)
        and [getattr(target, "id", None) for target in node.targets] == ["app"]
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr == "App"
    )


def _cells(module: ast.Module, lines: list[str]) -> Iterator[Cell]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                kind = _DECORATORS.get(_of_app(decorator) or "")
                if kind == "CELL" and not isinstance(node, ast.ClassDef):
                    yield _body_cell(node, decorator, lines)
                elif kind:
                    yield _definition_cell(CellKind[kind], node, decorator, lines)
                if kind:
                    break
        elif isinstance(node, ast.With | ast.AsyncWith) and _of_app(node.items[0].context_expr) == "setup":
            yield _setup_cell(node, lines)
        elif isinstance(node, ast.Expr) and _of_app(node.value) == "_unparsable_cell":
            yield _unparsable_cell(node)


def _of_app(node: ast.expr) -> str | None:
    """ "cell" of `app.cell` and of `app.cell(…)`; None when it is nothing of the app's."""
    function = node.func if isinstance(node, ast.Call) else node
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "app":
        return function.attr
    return None


def _config(node: ast.expr) -> dict[str, object]:
    if not isinstance(node, ast.Call):
        return {}
    return {word.arg: word.value.value for word in node.keywords if word.arg and isinstance(word.value, ast.Constant)}


def _body_cell(node: ast.FunctionDef | ast.AsyncFunctionDef, decorator: ast.expr, lines: list[str]) -> Cell:
    line, column = _after_colon(node, lines)
    last = node.body[-1]
    if isinstance(last, ast.Return):
        end_line, end_column = last.lineno, _characters(lines[last.lineno - 1], last.col_offset)
    else:
        end_line = _with_comments(node, lines)
        end_column = len(lines[end_line - 1])
    body = [lines[number - 1] for number in range(line, end_line + 1)]
    if body:
        body[-1] = body[-1][:end_column]
        body[0] = body[0][column:]
    if column and body:
        body[0] = " " * node.body[0].col_offset * (len(body) > 1) + body[0].lstrip()
        body[-1] = body[-1].rstrip(" ;") if isinstance(last, ast.Return) else body[-1]
    name = "_" if node.name == "__" else node.name
    span = (_first_line(node), max(end_line, node.end_lineno or end_line))
    return _cell(
        CellKind.CELL, name, dedent("\n".join(body)), line, span, decorator, isinstance(node, ast.AsyncFunctionDef)
    )


def _definition_cell(
    kind: CellKind, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, decorator: ast.expr, lines: list[str]
) -> Cell:
    """The definition with its own decorators, which are below marimo's."""
    line, end = (decorator.end_lineno or decorator.lineno) + 1, _with_comments(node, lines)
    code = dedent("\n".join(lines[line - 1 : end]))
    return _cell(kind, node.name, code, line, (_first_line(node), end), decorator)


def _setup_cell(node: ast.With | ast.AsyncWith, lines: list[str]) -> Cell:
    header = node.items[0].context_expr
    line = (header.end_lineno or header.lineno) + 1
    if node.body[0].lineno < line:  # with app.setup: import math
        line = node.body[0].lineno
        code = lines[line - 1][_characters(lines[line - 1], node.body[0].col_offset) :]
        end = line
    else:
        end = _with_comments(node, lines)
        code = dedent("\n".join(lines[line - 1 : end]))
    only_pass = all(not part.strip() or part.strip().startswith("#") for part in code.split("\n")[:-1])
    if only_pass and code.split("\n")[-1].strip() == "pass":
        code = code[: -len("pass")]  # marimo's filling of a setup cell that has only comments
    return _cell(CellKind.SETUP, "setup", code, line, (node.lineno, end), header, isinstance(node, ast.AsyncWith))


def _unparsable_cell(node: ast.Expr) -> Cell:
    call = node.value
    assert isinstance(call, ast.Call)
    text = call.args[0] if call.args else None
    code = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
    config = _config(call)
    name = str(config.pop("name", "_"))
    line = text.lineno if text else node.lineno
    span = (node.lineno, node.end_lineno or node.lineno)
    code, line = _stripped(dedent(code), line)
    return Cell(CellKind.UNPARSABLE, name, code, line, frozenset(), frozenset(), span, config)


def _cell(
    kind: CellKind, name: str, code: str, line: int, span: tuple[int, int], header: ast.expr, is_async: bool = False
) -> Cell:
    code, line = _stripped(code, line)
    refs, defs = names_of(code)
    return Cell(kind, name, code, line, refs, defs, span, _config(header), is_async)


def _stripped(code: str, line: int) -> tuple[str, int]:
    """The code without blank lines at both ends, and the line where it then begins."""
    code = code.rstrip()
    bare = re.sub(r"\A(?:[ \t\f]*\n)+", "", code)
    return bare, line + code[: len(code) - len(bare)].count("\n")


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _after_colon(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> tuple[int, int]:
    """Where the body begins: (line, 0), or the column too when it stands on the line of the signature."""
    depth = 0
    source = iter([line + "\n" for line in lines[node.lineno - 1 :]])
    for token in tokenize.generate_tokens(lambda: next(source, "")):
        if token.type != tokenize.OP:
            continue
        depth += (token.string in "([{") - (token.string in ")]}")
        if token.string == ":" and not depth:
            line, column = node.lineno + token.end[0] - 1, token.end[1]
            rest = lines[line - 1][column:].strip()
            return (line + 1, 0) if not rest or rest.startswith("#") else (line, column)
    raise NotebookError("a cell's signature cannot be read", node.lineno)


def _with_comments(node: ast.stmt, lines: list[str]) -> int:
    """The last line of a block with the comments that follow it at its indentation: they are no part of the tree."""
    end = node.end_lineno or node.lineno
    body: ast.stmt = getattr(node, "body")[0]  # noqa: B009 - of the five kinds of statement that have one
    first = lines[body.lineno - 1]
    indent = first[: len(first) - len(first.lstrip(" \t"))]
    if not indent:
        return end
    last = end
    for number in range(end + 1, len(lines) + 1):
        line = lines[number - 1]
        if line.strip() and not line.startswith(indent):
            break
        last = number if line.strip() else last
    return last


def _characters(line: str, offset: int) -> int:
    """Columns of `ast` count the bytes of UTF-8."""
    return len(line.encode()[:offset].decode(errors="ignore"))


def _runs(numbers: set[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _shifted(line: str, indent: int) -> str:
    """The line without up to `indent` leading blanks."""
    blanks = len(line) - len(line.lstrip(" \t"))
    return line[min(indent, blanks) :]


def _defined(top: symtable.SymbolTable) -> set[str]:
    names = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    for scope in _scopes_inside(top):  # `global x` in a function, `x := …` in a comprehension
        names.update(s.get_name() for s in scope.get_symbols() if s.is_declared_global() and s.is_assigned())
    return names


def _scopes_inside(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _scopes_inside(child)


def _only_caught(tree: ast.Module) -> set[str]:
    """Names that are bound by `except … as name` alone: Python deletes them again."""
    caught: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.name:
            caught.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    return caught - bound


def _shared(names: Iterable[str]) -> Iterator[str]:
    """The names that other cells can see: one leading underscore makes a name the cell's own."""
    return (name for name in names if not name.startswith("_") or name.startswith("__"))
