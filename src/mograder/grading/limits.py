"""Values: the limits of a run, and the tests of an assignment."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

from msgspec import Struct

from mograder.grading.sandbox import DataFile
from mograder.notebook.source import Source, read_source

_LEFT_OUT = frozenset(("__pycache__", "__marimo__", "node_modules"))
_MARKERS = ("### BEGIN SOLUTION", "### BEGIN HIDDEN TESTS")


class Limits(Struct, frozen=True):
    """What a run may use; names end in their unit. `cell_seconds` is processor time of a cell (three times that of wall
    time), `total_seconds` wall time in all, `calls` the calls from one check cell into a submission."""

    cell_seconds: float = 10.0
    total_seconds: float = 60.0
    memory_mb: int = 1024
    processes: int = 64
    file_mb: int = 64
    output_kb: int = 256
    calls: int = 100_000
    frame_mb: int = 64  # the largest message between the two processes
    notebook_kb: int = 2048


class Tests(Struct, frozen=True, dict=True):
    """An assignment's source, and the files beside its notebook. With `isolate` False the checks run in the process of
    the answers, unprotected."""

    __test__: ClassVar[bool] = False  # not for pytest, in spite of its name

    text: str
    assignment: str
    files: tuple[DataFile, ...] = ()
    isolate: bool = True
    limits: Limits = Limits()

    @cached_property
    def source(self) -> Source:
        """The parsed source. Raises NotebookError and SourceErrors."""
        return read_source(self.text, self.assignment)


def data_files(folder: Path, notebook: str) -> tuple[DataFile, ...]:
    """The files of an assignment's source folder that students have too: not the notebook, hidden files, other sources
    with solutions or hidden tests, or what tools leave behind."""
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_file() or any(part.startswith(".") or part in _LEFT_OUT for part in parts):
            continue
        if parts == (notebook,) or (path.suffix in (".py", ".md", ".ipynb") and _is_source(path)):
            continue
        found.append(DataFile("/".join(parts), path.resolve()))
    return tuple(found)


def _is_source(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(marker in text for marker in _MARKERS)
