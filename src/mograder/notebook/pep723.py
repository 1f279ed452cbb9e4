"""Reads and writes the PEP 723 block at the top of a notebook; what is not changed keeps every byte."""

from __future__ import annotations

import re
from dataclasses import dataclass

import tomlkit
from tomlkit.exceptions import TOMLKitError

from mograder.notebook.cells import NotebookError

ASSIGNMENT = "mograder-assignment"
HIDDEN_TESTS = "mograder-hidden-tests"
CELL_HASHES = "mograder-cell-hashes"
TYPE = "mograder-type"

_BLOCK = re.compile(r"(?m)^# /// script[ \t]*\n(?P<content>(?:^#(?:| .*)\n)+)^# ///[ \t]*(?:\n|\Z)")


@dataclass(frozen=True)
class Facts:
    """What a release says about itself. `cell_hashes` are those of the instructor's cells, in file order."""

    assignment: str = ""
    hidden_tests: bool = False
    cell_hashes: tuple[str, ...] = ()
    type: str = ""


def read_block(text: str) -> str | None:
    """The TOML of the block, None where there is none. Raises NotebookError when there are two."""
    found = list(_BLOCK.finditer(text))
    if len(found) > 1:
        raise NotebookError("there are two `# /// script` blocks: keep one", _line(text, found[1].start()))
    return _uncommented(found[0]["content"]) if found else None


def read_facts(text: str) -> Facts:
    """Our keys in the block. Raises NotebookError when it is no TOML; keys of a wrong type count as absent."""
    block = read_block(text)
    if block is None:
        return Facts()
    document = _toml(block, text).unwrap()
    hashes = document.get(CELL_HASHES, "")
    assignment, kind = document.get(ASSIGNMENT, ""), document.get(TYPE, "")
    return Facts(
        assignment if isinstance(assignment, str) else "",
        document.get(HIDDEN_TESTS) is True,
        tuple(part.strip() for part in hashes.split(",") if part.strip()) if isinstance(hashes, str) else (),
        kind if isinstance(kind, str) else "",
    )


def write_facts(text: str, facts: Facts) -> str:
    """The text with these facts in its block and all else as it was; without a block one is made at the top."""
    block = read_block(text)
    document = tomlkit.document() if block is None else _toml(block, text)
    values: dict[str, object] = {
        ASSIGNMENT: facts.assignment,
        HIDDEN_TESTS: facts.hidden_tests,
        CELL_HASHES: ",".join(facts.cell_hashes),
        TYPE: facts.type,
    }
    for key, value in values.items():
        if value:
            document[key] = value
        else:
            document.pop(key, None)
    content = "".join(f"# {line}".rstrip() + "\n" for line in document.as_string().strip("\n").split("\n"))
    written = f"# /// script\n{content}# ///\n"
    if found := _BLOCK.search(text):
        return text[: found.start()] + written + text[found.end() :]
    shebang = re.match(r"#!.*\n", text)
    start = shebang.end() if shebang else 0
    return text[:start] + written + "\n" + text[start:].lstrip("\n")


def _uncommented(content: str) -> str:
    return "".join(line[2:] + "\n" for line in content.split("\n")[:-1])


def _toml(block: str, text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(block)
    except TOMLKitError as error:
        found = _BLOCK.search(text)
        line = _line(text, found.start("content")) if found else 0
        raise NotebookError(
            f"the `# /// script` block is no TOML: {error}", line + getattr(error, "line", 1) - 1
        ) from None


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
