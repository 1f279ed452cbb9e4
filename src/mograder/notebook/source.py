"""Reads an instructor's source: the roles of its cells, the questions and their points, and what the checks need."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msgspec import Struct

from mograder.domain.errors import BadRequest
from mograder.notebook.cells import Cell, CellKind, Notebook, names_of, parse
from mograder.notebook.marks import (
    MARKS_COMMENT,
    STUDENTS_COMMENT,
    Block,
    BlockKind,
    CheckCall,
    Mistake,
    check_calls,
    check_names,
    find_blocks,
)
from mograder.notebook.writing import write_notebook


class SourceErrors(BadRequest):
    """All mistakes of a source, in file order; the message has one a line."""

    code = "source"

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(f"line {mistake.line}: {mistake.message}" for mistake in mistakes))
        self.mistakes = mistakes


class Question(Struct, frozen=True):
    """A question. `points` are 0 where the source has no marks: the assignment is then marked as a whole. `labels` are
    those of its checks that the source has as text. `manual` says that no check has this key, so a person marks it."""

    key: str
    points: float
    labels: tuple[str, ...]
    manual: bool


class Source(Struct, frozen=True):
    """A source without mistakes.

    Each cell is in `solution_cells` (holds a solution or is the student's to write), `check_cells` (calls `check`; may
    hold a solution too), or `helpers` (the instructor's others, the setup cell and that of the marks among them).
    `hidden` are the labels of checks that stand in hidden tests, wholly or in part. `has_marks` is False where the
    assignment is marked as a whole.
    """

    notebook: Notebook
    assignment: str
    questions: tuple[Question, ...]
    blocks: tuple[Block, ...]
    solution_cells: tuple[Cell, ...]
    check_cells: tuple[Cell, ...]
    helpers: tuple[Cell, ...]
    hidden: frozenset[str]
    has_marks: bool


def read_source(text: str, assignment: str) -> Source:
    """The source of that assignment. Raises NotebookError, and SourceErrors with all mistakes in it."""
    notebook = parse(text)
    blocks, mistakes = find_blocks(notebook)
    calls = check_calls(notebook.text, check_names(notebook.text))
    found = list(mistakes)
    marks = _marks(notebook, found)
    found += _unparsable(notebook)
    found += _check_mistakes(calls, marks)
    found += _hidden_mistakes(notebook, blocks, calls)
    if found:
        raise SourceErrors(tuple(sorted(found, key=lambda mistake: mistake.line)))
    solutions = tuple(
        cell for cell in notebook.cells if STUDENTS_COMMENT in cell.code or blocks_in(cell, blocks, BlockKind.SOLUTION)
    )
    checks = _check_cells(notebook, calls)
    return Source(
        notebook,
        assignment,
        _questions(marks, calls),
        blocks,
        solutions,
        checks,
        tuple(cell for cell in notebook.cells if cell not in solutions and cell not in checks),
        frozenset(_hidden_labels(blocks, calls)),
        marks is not None,
    )


def blocks_in(cell: Cell, blocks: tuple[Block, ...], kind: BlockKind) -> tuple[Block, ...]:
    """The cell's blocks of that kind."""
    return tuple(block for block in blocks if block.kind is kind and cell.span[0] <= block.begin <= cell.span[1])


def answer_names(source: Source) -> frozenset[str]:
    """The names that students define and that the check notebook needs: its `defs`."""
    return _needed(source)[1]


def check_notebook(source: Source) -> str:
    """A marimo notebook of the checks and what they need of setup and helpers: hidden tests in, solutions out.

    It is run with `App.run(defs=…)`, a value for each of `answer_names`. Imports that a solution cell gives outside its
    solution, and that checks use, are in it.
    """
    return write_notebook(*_needed(source))


def without_solutions(cell: Cell, blocks: tuple[Block, ...]) -> Cell:
    """The cell with `pass` in the place of each solution."""
    return _without(cell, blocks_in(cell, blocks, BlockKind.SOLUTION))


def without_hidden_tests(cell: Cell, blocks: tuple[Block, ...]) -> Cell:
    """The cell with `pass` in the place of each solution, and of each block of hidden tests."""
    return _without(cell, tuple(each for kind in BlockKind for each in blocks_in(cell, blocks, kind)))


def _without(cell: Cell, blocks: tuple[Block, ...]) -> Cell:
    lines = cell.code.split("\n")
    for block in sorted(blocks, key=lambda each: -each.begin):
        first, last = block.begin - cell.line, block.end - cell.line
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        lines[first : last + 1] = [indent + "pass"]
    code = "\n".join(lines)
    refs, defs = names_of(code)
    return Cell(cell.kind, cell.name, code, cell.line, refs, defs, cell.span, cell.config, cell.is_async)


def _needed(source: Source) -> tuple[tuple[Cell, ...], frozenset[str]]:
    """The cells of the check notebook in file order, and the names that they take from the student."""
    checks = [without_solutions(cell, source.blocks) for cell in source.check_cells]
    setup = [without_solutions(cell, source.blocks) for cell in source.notebook.cells if cell.kind is CellKind.SETUP]
    given = [*source.helpers, *_given_imports(source)]
    chosen = {cell.line: cell for cell in [*checks, *setup]}
    todo = list(chosen.values())
    while todo:
        refs = todo.pop().refs
        for cell in given:
            if cell.line not in chosen and cell.defs & refs:
                chosen[cell.line] = cell
                todo.append(cell)
    cells = tuple(chosen[line] for line in sorted(chosen))
    refs, defs = (frozenset().union(*parts) for parts in ([c.refs for c in cells], [c.defs for c in cells]))
    students = frozenset().union(*(cell.defs for cell in source.solution_cells))
    return cells, (refs & students) - defs


def _given_imports(source: Source) -> Iterator[Cell]:
    """Cells of the imports that solution cells make outside their solutions: modules are not sent between processes."""
    for cell in source.solution_cells:
        if cell in source.check_cells or cell.kind is not CellKind.CELL:
            continue
        rest = without_solutions(cell, source.blocks)
        try:
            statements = ast.parse(rest.code).body
        except SyntaxError:
            continue
        for node in statements:
            if isinstance(node, ast.Import | ast.ImportFrom):
                code = ast.unparse(node)
                refs, defs = names_of(code)
                line = cell.line + node.lineno - 1
                yield Cell(CellKind.CELL, "_", code, line, refs, defs, cell.span)


def _check_cells(notebook: Notebook, calls: tuple[CheckCall, ...]) -> tuple[Cell, ...]:
    """The cells that call `check`, and those that use a function that calls it."""
    calling = {cell.line for call in calls if (cell := notebook.cell_at(call.line))}
    functions = [cell for cell in notebook.cells if cell.kind is CellKind.FUNCTION and cell.line in calling]
    names = frozenset().union(*(cell.defs for cell in functions))
    return tuple(cell for cell in notebook.cells if cell.line in calling or cell.refs & names)


def _questions(marks: dict[str, float] | None, calls: tuple[CheckCall, ...]) -> tuple[Question, ...]:
    labels: dict[str, list[str]] = {}
    for call in calls:
        if call.key:
            mine = labels.setdefault(call.key, [])
            mine += [call.label] if call.label is not None and call.label not in mine else []
    points = marks if marks is not None else dict.fromkeys(labels, 0.0)
    return tuple(Question(key, value, tuple(labels.get(key, ())), key not in labels) for key, value in points.items())


def _marks(notebook: Notebook, found: list[Mistake]) -> dict[str, float] | None:
    """Question keys with their points; mistakes go to `found`."""
    cells = [cell for cell in notebook.cells if MARKS_COMMENT in cell.code]
    if len(cells) > 1:
        found.append(Mistake(cells[1].line, f"a second cell has {MARKS_COMMENT}: put all marks into one"))
    for cell in cells or notebook.cells:
        node = _marks_statement(cell, any_name=bool(cells))
        if node is None:
            continue
        line = cell.line + node.lineno - 1
        try:
            return _points(node.value)
        except ValueError as error:
            found.append(Mistake(line, str(error)))
            return None
    if cells:
        found.append(Mistake(cells[0].line, "the marks cell has no `_marks = {…}`"))
    return None


def _marks_statement(cell: Cell, *, any_name: bool) -> ast.Assign | None:
    try:
        body = ast.parse(cell.code).body
    except SyntaxError:
        return None
    for node in body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        if node.targets[0].id == "_marks" or (any_name and isinstance(node.value, ast.Dict)):
            return node
    return None


def _points(node: ast.expr) -> dict[str, float]:
    if not isinstance(node, ast.Dict):
        raise ValueError('the marks are a dict written out, such as `_marks = {"Q1": 5}`')
    marks: dict[str, float] = {}
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        try:
            key, value = ast.literal_eval(key_node or value_node), ast.literal_eval(value_node)
        except ValueError:
            raise ValueError("the marks are texts and numbers written out; nothing can be computed there") from None
        if not isinstance(key, str) or isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"the marks are numbers by question, not {key!r}: {value!r}")
        if not 0 <= value <= 1e6:
            raise ValueError(f"{value} points for {key!r}: give 0 or more")
        if key.strip() in marks:
            raise ValueError(f"{key!r} stands twice in the marks")
        marks[key.strip()] = float(value)
    return marks


def _unparsable(notebook: Notebook) -> Iterator[Mistake]:
    for cell in notebook.cells:
        if cell.kind is CellKind.UNPARSABLE:
            yield Mistake(cell.line, "this cell is not valid Python (marimo saved it as text)")


def _check_mistakes(calls: tuple[CheckCall, ...], marks: dict[str, float] | None) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for call in calls:
        if marks is not None and call.key and call.key not in marks:
            yield Mistake(call.line, f"the check {call.key!r} has no marks: add {call.key!r} to `_marks`")
        if call.label is None or call.waiting:
            continue
        if call.label in seen:
            yield Mistake(call.line, f"the label {call.label!r} stands in line {seen[call.label]} already")
        seen.setdefault(call.label, call.line)


def _hidden_mistakes(notebook: Notebook, blocks: tuple[Block, ...], calls: tuple[CheckCall, ...]) -> Iterator[Mistake]:
    tested = {cell.line for call in calls if (cell := notebook.cell_at(call.line))}
    for block in blocks:
        cell = notebook.cell_at(block.begin)
        if block.kind is BlockKind.HIDDEN_TESTS and cell is not None and cell.line not in tested:
            yield Mistake(block.begin, "hidden tests stand in a cell that calls no `check`: no mark can come of them")


def _hidden_labels(blocks: tuple[Block, ...], calls: tuple[CheckCall, ...]) -> Iterator[str]:
    hidden = [block for block in blocks if block.kind is BlockKind.HIDDEN_TESTS]
    for call in calls:
        if call.label is not None and any(b.begin <= call.end and call.line <= b.end for b in hidden):
            yield call.label
