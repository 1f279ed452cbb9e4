"""Makes the release of a source: removes solutions and hidden tests, adds what students need. Other lines stay."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from mograder.notebook import pep723
from mograder.notebook.cells import Cell, CellKind, NotebookError, names_of, parse, string_lines
from mograder.notebook.hashes import instructor_hashes
from mograder.notebook.marks import HIDDEN_COMMENT, STUDENTS_COMMENT, Block, BlockKind, Mistake
from mograder.notebook.source import Source, SourceErrors, blocks_in, without_solutions
from mograder.notebook.writing import return_line, signature

SUBMIT_COMMENT = "# === MOGRADER: SUBMIT ==="
_SUBMIT_CELLS = """\
@app.cell(hide_code=True)
def _():
    {comment}
    import marimo as _mo

    submit_token = _mo.ui.text(label="Token", kind="password", full_width=True)
    submit_button = _mo.ui.run_button(label="Submit")
    _mo.vstack([_mo.md("Save the notebook before you submit it."), submit_token, submit_button])
    return submit_button, submit_token


@app.cell(hide_code=True)
def _(submit_button, submit_token):
    {comment}
    import marimo as _mo
    from mograder.runtime import submit as _submit

    _mo.stop(not submit_button.value)
    _user = submit_token.value.partition(":")[0]
    _mo.md(_submit({url}, {assignment}, __file__, _user, submit_token.value))
    return


"""


@dataclass(frozen=True)
class Release:
    """The text of a release. `solutions` and `hidden_tests` are how many blocks were removed."""

    text: str
    solutions: int
    hidden_tests: int


def make_release(source: Source, *, lecture: bool = False, submit_url: str = "") -> Release:
    """The release. A lecture gets no hashes, and loses its slide layout; `submit_url` adds cells that submit there.

    Names that other cells read and that a solution alone defines are set to `...`. Raises SourceErrors when a cell is
    no Python without its blocks.
    """
    text = _without_blocks(source)
    try:
        text = _tidied(text, source)
    except NotebookError as error:
        raise SourceErrors((_culprit(source, error),)) from None
    if lecture:
        text = _without_layout(text)
    if submit_url:
        text = _with_submit_cells(text, submit_url, source.assignment)
    hidden = [block for block in source.blocks if block.kind is BlockKind.HIDDEN_TESTS]
    if lecture:
        facts = pep723.Facts(type="lecture")
    else:
        facts = pep723.Facts(source.assignment, bool(hidden), instructor_hashes(parse(text)))
    return Release(pep723.write_facts(text, facts), len(source.blocks) - len(hidden), len(hidden))


def _without_blocks(source: Source) -> str:
    lines = source.notebook.text.split("\n")
    inside = string_lines(source.notebook.text)
    placeholders = dict(_placeholders(source))
    for block in sorted(source.blocks, key=lambda block: -block.begin):
        first = lines[block.begin - 1]
        indent = first[: len(first) - len(first.lstrip())]
        if block.kind is BlockKind.HIDDEN_TESTS:
            new = [HIDDEN_COMMENT]
        elif block.begin - 1 in inside:
            new = [STUDENTS_COMMENT]
        else:
            new = [*(f"{name} = ..." for name in placeholders.get(block, ())), STUDENTS_COMMENT, "pass"]
        lines[block.begin - 1 : block.end] = [indent + line for line in new]
    return "\n".join(lines)


def _placeholders(source: Source) -> Iterator[tuple[Block, tuple[str, ...]]]:
    """For each block the names that it defines, that nothing else does, and that other cells read."""
    lines = source.notebook.text.split("\n")
    stubs = {cell.line: without_solutions(cell, source.blocks) for cell in source.notebook.cells}
    for cell in source.solution_cells:
        if cell.kind not in (CellKind.CELL, CellKind.SETUP):
            continue
        wanted = frozenset().union(*(stub.refs for line, stub in stubs.items() if line != cell.line))
        missing = sorted((cell.defs - stubs[cell.line].defs) & wanted)
        blocks = blocks_in(cell, source.blocks, BlockKind.SOLUTION)
        owners = {block: names_of(_dedented(lines[block.begin : block.end - 1]))[1] for block in blocks}
        given: dict[Block, list[str]] = {}
        for name in missing:
            owner = next((block for block in blocks if name in owners[block]), blocks[0])
            given.setdefault(owner, []).append(name)
        yield from ((block, tuple(names)) for block, names in given.items())


def _dedented(lines: list[str]) -> str:
    filled = [line for line in lines if line.strip()]
    indent = min((len(line) - len(line.lstrip()) for line in filled), default=0)
    return "\n".join(line[indent:] for line in lines)


def _tidied(text: str, source: Source) -> str:
    """The signatures and `return` lines of cells that lost a block, without names that only the block used.

    Raises NotebookError when the text is no notebook any more.
    """
    notebook = parse(text)
    lines = text.split("\n")
    touched = [
        new
        for old, new in zip(source.notebook.cells, notebook.cells, strict=True)
        if any(old.span[0] <= block.begin <= old.span[1] for block in source.blocks) and new.kind is CellKind.CELL
    ]
    nodes = {_first_line(node): node for node in ast.parse(text).body if isinstance(node, _Function)}
    for cell in reversed(touched):
        node = nodes[cell.span[0]]
        _tidy_return(node, cell, lines)
        _tidy_signature(node, cell, lines)
    return "\n".join(lines)


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min(part.lineno for part in [node, *node.decorator_list])


def _tidy_return(node: ast.FunctionDef | ast.AsyncFunctionDef, cell: Cell, lines: list[str]) -> None:
    last = node.body[-1]
    if not isinstance(last, ast.Return) or last.value is None or last.lineno <= cell.line - 1:
        return
    names = [part.id for part in ast.walk(last.value) if isinstance(part, ast.Name)]
    kept = [name for name in names if name in cell.defs]
    before = lines[last.lineno - 1][: last.col_offset]
    if kept != names and not before.strip():
        lines[last.lineno - 1 : last.end_lineno] = return_line(kept, before).split("\n")


def _tidy_signature(node: ast.FunctionDef | ast.AsyncFunctionDef, cell: Cell, lines: list[str]) -> None:
    kept = [argument for argument in node.args.args if argument.arg in cell.refs]
    last = max([node.lineno, *(argument.end_lineno or argument.lineno for argument in node.args.args)])
    end = next(
        (number for number in range(last, node.body[0].lineno) if lines[number - 1].rstrip().endswith(":")), None
    )
    if len(kept) == len(node.args.args) or end is None:
        return
    is_async = isinstance(node, ast.AsyncFunctionDef)
    lines[node.lineno - 1 : end] = signature(node.name, map(ast.unparse, kept), is_async=is_async).split("\n")


def _culprit(source: Source, error: NotebookError) -> Mistake:
    """The block without which its cell is no Python: the last one before the error."""
    removed, culprit = 0, source.blocks[0]
    for block in source.blocks:
        if error.line is not None and block.begin - removed > error.line:
            break
        culprit = block
        removed += block.end - block.begin + 1 - (1 if block.kind is BlockKind.HIDDEN_TESTS else 2)
    return Mistake(culprit.begin, f"without this {culprit.kind.lower()} the cell is no Python: {error.reason}")


def _without_layout(text: str) -> str:
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and ast.unparse(node.targets[0]) == "app":
            kept = [word for word in node.value.keywords if word.arg != "layout_file"]
            if len(kept) < len(node.value.keywords):
                words = ", ".join(ast.get_source_segment(text, word) or "" for word in kept)
                lines = text.split("\n")
                lines[node.lineno - 1 : node.end_lineno] = [f"app = {ast.unparse(node.value.func)}({words})"]
                return "\n".join(lines)
    return text


def _with_submit_cells(text: str, url: str, assignment: str) -> str:
    cells = _SUBMIT_CELLS.format(comment=SUBMIT_COMMENT, url=_quoted(url), assignment=_quoted(assignment))
    guard = text.rfind('\nif __name__ == "__main__":')
    if guard < 0:
        return text.rstrip("\n") + "\n\n\n" + cells.rstrip("\n") + "\n"
    return text[: guard + 1] + cells + text[guard + 1 :]


def _quoted(text: str) -> str:
    """A Python string in double quotes, as marimo's formatter has it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
