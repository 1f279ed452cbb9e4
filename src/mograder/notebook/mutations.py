"""Mutation testing of an assignment: small mistakes put into the model solution, one at a time. Runs nothing.

Invariant: a mutation changes one place inside a solution; every other byte of the source stays.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mograder.notebook.cells import Cell, title
from mograder.notebook.marks import BlockKind
from mograder.notebook.source import Source

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"), ast.Pow: ("**", "*"), ast.MatMult: ("@", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip
_DELETED = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.While, ast.With, ast.Raise, ast.Break,
    ast.Continue, ast.Delete,
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """One mistake. `line` is that of the source (1-based), `before` and `after` are the code there.

    `after` is empty where a statement was deleted. `text` is the whole source with the mistake.
    """

    cell: str
    line: int
    before: str
    after: str
    text: str


@dataclass(frozen=True)
class _Edit:
    """Characters of the text that are replaced."""

    begin: int
    end: int
    new: str
    deletes: bool = False


def mutations(source: Source) -> tuple[Mutation, ...]:
    """The mistakes that can be made in what the checks use of the model solution, in the order of the file.

    A comparison, an operator or a constant is changed, a `not` or a minus left out, a bound moved by one, a returned
    value dropped, a statement deleted. Some of them make no difference to what the code does.
    """
    used = _used(source)
    text = source.notebook.text
    found: dict[str, Mutation] = {}
    for edit in sorted(_edits(source), key=lambda each: (each.begin, -each.end)):
        made = text[: edit.begin] + edit.new + text[edit.end :]
        line = text.count("\n", 0, edit.begin) + 1
        cell = source.notebook.cell_at(line)
        if cell is not None and cell in used and made not in found and _is_python(made):
            before, after = _shown(text, made, edit)
            found[made] = Mutation(title(cell), line, before, after, made)
    return tuple(found.values())


def unchecked(source: Source) -> tuple[str, ...]:
    """The cells with a solution that no check uses: no test notices a mistake there."""
    used = _used(source)
    return tuple(title(cell) for cell in source.solution_cells if cell not in used)


def _used(source: Source) -> tuple[Cell, ...]:
    """The cells that the checks need, directly or through others."""
    chosen = list(source.check_cells)
    todo = list(chosen)
    while todo:
        refs = todo.pop().refs
        more = [cell for cell in source.notebook.cells if cell not in chosen and cell.defs & refs]
        chosen += more
        todo += more
    return tuple(chosen)


def _edits(source: Source) -> Iterator[_Edit]:
    text = source.notebook.text
    places = _Places(text)
    blocks = [block for block in source.blocks if block.kind is BlockKind.SOLUTION]
    for node in _nodes(ast.parse(text)):
        line, end = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if any(block.begin < line and end < block.end for block in blocks):
            yield from _of_node(node, places)


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but docstrings and the inside of f-strings, whose positions Python does not report."""
    if isinstance(node, ast.JoinedStr) or type(node).__name__ == "TemplateStr":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        if not _is_text(child):
            yield from _nodes(child)


def _is_text(node: ast.AST) -> bool:
    """Whether it is a string that stands alone: a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class _Places:
    """The positions of nodes in the text, in characters: `ast` counts the bytes of a line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = text.split("\n")
        self._begins = [0]
        for line in self._lines:
            self._begins.append(self._begins[-1] + len(line) + 1)

    def begin(self, node: ast.AST) -> int:
        return self._at(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        return self._at(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def _at(self, line: int, column: int) -> int:
        return self._begins[line - 1] + len(self._lines[line - 1].encode()[:column].decode())

    def between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> Iterator[_Edit]:
        """Another operator between two operands; none if there is a comment, which may contain the old one."""
        first, last = self.end(left), self.begin(right)
        if "#" not in self.text[first:last]:
            pattern = r"\s+".join(map(re.escape, old.split()))
            if found := re.search(pattern, self.text[first:last]):
                yield _Edit(first + found.start(), first + found.end(), new)

    def whole(self, node: ast.AST, new: str, *, deletes: bool = False) -> _Edit:
        return _Edit(self.begin(node), self.end(node), new, deletes)

    def after(self, node: ast.AST, new: str) -> _Edit:
        return _Edit(self.end(node), self.end(node), new)


def _of_node(node: ast.AST, places: _Places) -> Iterator[_Edit]:
    if isinstance(node, ast.Compare):
        yield from places.between(node.left, node.comparators[0], *_COMPARISONS[type(node.ops[0])])
    elif isinstance(node, ast.BinOp):
        yield from places.between(node.left, node.right, *_OPERATORS[type(node.op)])
    elif isinstance(node, ast.AugAssign):
        yield from places.between(node.target, node.value, *_OPERATORS[type(node.op)])
    elif isinstance(node, ast.BoolOp):
        swapped = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        yield from places.between(node.values[0], node.values[1], *swapped)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        size = len("not ") if isinstance(node.op, ast.Not) else 1
        yield _Edit(places.begin(node), places.begin(node) + size, "")
    elif isinstance(node, ast.Constant):
        yield from (places.whole(node, new) for new in _other_constant(node.value))
    elif isinstance(node, ast.Return) and node.value is not None:
        yield places.whole(node.value, "None")
    else:
        yield from _off_by_one(node, places)
    if isinstance(node, _DELETED):
        yield places.whole(node, "pass", deletes=True)


def _off_by_one(node: ast.AST, places: _Places) -> Iterator[_Edit]:
    """Bounds of `range` and in brackets, moved by one. Constants are left out: they are changed as constants."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        stop = node.args[:2][-1:]
    elif isinstance(node, ast.Subscript):
        index = node.slice
        parts = [index.lower, index.upper] if isinstance(index, ast.Slice) else [index]
        stop = [each for each in parts if isinstance(each, ast.Name)]
    else:
        return
    yield from (places.after(each, " - 1") for each in stop if not isinstance(each, ast.Constant | ast.Starred))


def _other_constant(value: object) -> Sequence[str]:
    if isinstance(value, bool):
        return [repr(not value)]
    if isinstance(value, int):
        return [repr(value + 1)]
    if isinstance(value, float):
        return [repr(value * 2 if value else 1.0)]
    if isinstance(value, str) and "\n" not in value:
        return [repr(value + "x")]
    return []


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def _shown(text: str, made: str, edit: _Edit) -> tuple[str, str]:
    """The lines of the change, before and after, as one line each."""
    begin = text.rfind("\n", 0, edit.begin) + 1
    if edit.deletes:
        first, _, more = text[edit.begin : edit.end].partition("\n")
        return first + (" …" if more else ""), ""
    ends = text.find("\n", edit.end), made.find("\n", edit.begin + len(edit.new))
    return _joined(text[begin : ends[0]]), _joined(made[begin : ends[1]])


def _joined(lines: str) -> str:
    return " ".join(line.strip() for line in lines.split("\n"))
