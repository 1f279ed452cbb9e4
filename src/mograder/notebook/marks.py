"""What an instructor marks in a source: solutions, hidden tests, marks, and the calls of `check`."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mograder.notebook.cells import Notebook, string_lines

STUDENTS_COMMENT = "# YOUR CODE HERE"
HIDDEN_COMMENT = "# HIDDEN TESTS"
MARKS_COMMENT = "# === MOGRADER: MARKS ==="
RUNTIME = "mograder.runtime"

_MARKER = re.compile(r"\s*### (?P<edge>BEGIN|END) (?P<what>SOLUTION|HIDDEN TESTS)\s*")
_NEARLY = re.compile(r"#\s*(?:BEGIN|END)[\s_-]+(?:SOLUTIONS?|HIDDEN[\s_-]*TESTS?)\b", re.IGNORECASE)


class BlockKind(StrEnum):
    SOLUTION = "SOLUTION"
    HIDDEN_TESTS = "HIDDEN TESTS"


@dataclass(frozen=True)
class Block:
    """A marked block: its first and last line in the file, 1-based, the markers included."""

    kind: BlockKind
    begin: int
    end: int


@dataclass(frozen=True)
class Mistake:
    """A mark that does not fit; `line` is 1-based."""

    line: int
    message: str


@dataclass(frozen=True)
class CheckCall:
    """A call of `check`. `label` is None when it is computed; `key` is its part before the first colon, "" when that is
    computed, too. `waiting` says that the list of conditions is empty. `line` and `end` count from 1 in the text that
    was read."""

    label: str | None
    key: str
    waiting: bool
    line: int
    end: int


def find_blocks(notebook: Notebook) -> tuple[tuple[Block, ...], tuple[Mistake, ...]]:
    """The marked blocks in file order, and the markers that do not fit. A block lies within one cell."""
    lines = notebook.text.split("\n")
    inside = {number + 1 for number in string_lines(notebook.text)}
    blocks: list[Block] = []
    mistakes: list[Mistake] = []
    opened: tuple[str, int] | None = None
    for number, line in enumerate(lines, 1):
        found = _MARKER.fullmatch(line)
        if found is None:
            if number not in inside and _NEARLY.search(line):
                mistakes.append(Mistake(number, f"`{line.strip()}` is no marker: write `### BEGIN SOLUTION` alone"))
            continue
        what, is_begin = found["what"], found["edge"] == "BEGIN"
        if is_begin and opened:
            mistakes.append(
                Mistake(number, f"BEGIN {what} stands inside the block {opened[0]} of line {opened[1]}: end that first")
            )
        elif is_begin:
            opened = (what, number)
        elif opened is None:
            mistakes.append(Mistake(number, f"END {what} has no BEGIN {what} before it"))
        elif opened[0] != what:
            mistakes.append(Mistake(number, f"END {what} cannot end the block {opened[0]} of line {opened[1]}"))
        else:
            blocks.append(Block(BlockKind(what), opened[1], number))
            opened = None
    if opened:
        mistakes.append(Mistake(opened[1], f"BEGIN {opened[0]} has no END {opened[0]} after it"))
    kept, astray = _in_cells(notebook, blocks)
    return tuple(kept), tuple(mistakes + astray)


def find_markers(text: str) -> tuple[int, ...]:
    """The lines (1-based) of any text that are markers."""
    return tuple(number for number, line in enumerate(text.splitlines(), 1) if _MARKER.fullmatch(line))


def _in_cells(notebook: Notebook, blocks: list[Block]) -> tuple[list[Block], list[Mistake]]:
    kept: list[Block] = []
    mistakes: list[Mistake] = []
    for block in blocks:
        first, last = notebook.cell_at(block.begin), notebook.cell_at(block.end)
        if first is None:
            mistakes.append(Mistake(block.begin, f"BEGIN {block.kind} stands outside every cell"))
        elif first is not last:
            mistakes.append(Mistake(block.begin, f"BEGIN {block.kind} has no END {block.kind} in its cell"))
        else:
            kept.append(block)
    return kept, mistakes


def check_calls(text: str, graders: frozenset[str] | None = None) -> tuple[CheckCall, ...]:
    """The calls of the runtime's `check` in a text, in order; none where it is no Python.

    `graders`: the names that stand for `check` and, with ".check", the graders ("check", "grader.check"). Without them
    every `check(…)` and `….check(…)` with a text first counts.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return ()
    return tuple(sorted(_calls(tree, graders), key=lambda call: call.line))


def _calls(tree: ast.AST, graders: frozenset[str] | None) -> Iterator[CheckCall]:
    ends = {"check"} if graders is None else {name.rpartition(".")[2] for name in graders}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        end = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        if end not in ends:
            continue
        name = ast.unparse(function)
        if name not in graders if graders is not None else name != "check" and not name.endswith(".check"):
            continue
        label = _argument(node, 0, "label")
        checks = _argument(node, 1, "checks")
        text = _text(label)
        if graders is None and text is None and not isinstance(label, ast.JoinedStr):
            continue
        waiting = isinstance(checks, ast.List | ast.Tuple) and not checks.elts
        yield CheckCall(text, _key(label), waiting, node.lineno, node.end_lineno or node.lineno)


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return next((word.value for word in call.keywords if word.arg == name), None)


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _key(label: ast.expr | None) -> str:
    if (text := _text(label)) is not None:
        return key_of(text)
    if isinstance(label, ast.JoinedStr) and label.values:
        start = _text(label.values[0]) or ""
        return key_of(start) if ":" in start else ""
    return ""


def key_of(label: str) -> str:
    """The question that a label belongs to: its part before the first colon, stripped; all of it without a colon."""
    return label.split(":", 1)[0].strip()


def check_names(text: str) -> frozenset[str]:
    """How a notebook calls `check`: "check", "check_it" (imported as), "grader.check", "runtime.check"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    names: set[str] = set()
    classes: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in (RUNTIME, "mograder") and not node.level:
            for alias in node.names:
                bound = alias.asname or alias.name
                names.update([bound] if alias.name == "check" else [])
                classes.update([bound] if alias.name == "Grader" else [])
                if alias.name == "runtime":
                    names.add(f"{bound}.check")
                    classes.add(f"{bound}.Grader")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == RUNTIME:
                    names.add(f"{alias.asname or RUNTIME}.check")
                    classes.add(f"{alias.asname or RUNTIME}.Grader")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        if ast.unparse(node.value.func) in classes:
            names.update(f"{ast.unparse(target)}.check" for target in node.targets)
    return frozenset(names)
