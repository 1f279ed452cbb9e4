"""Runs the cells of a notebook one by one, each with the names that it reads from others, as marimo would.

A cell whose ancestors failed or stopped does not run. Names with a leading underscore stay in their cell, since each
cell has globals of its own: what it reads is copied in before, what it defines is copied out after.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import signal
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from . import errors

PATIENCE = 3
"""Wall time of a cell, as a multiple of its processor time."""

_AGAIN = 0.25  # seconds after which a cell that goes on is interrupted again


@dataclass(frozen=True)
class Cell:
    """A cell as it is sent: `index` is its place in the notebook."""

    index: int
    name: str
    code: str
    line: int
    refs: frozenset[str]
    defs: frozenset[str]
    check: bool = False


def read_cells(documents: Any) -> list[Cell]:
    return [
        Cell(each["i"], each["n"], each["c"], each["l"], frozenset(each["r"]), frozenset(each["d"]), bool(each["k"]))
        for each in documents
    ]


@dataclass(frozen=True)
class Failure:
    """Why a cell did not finish. `kind` is error, stopped, absent (a name that it reads is missing) or a limit."""

    kind: str
    text: str
    line: int | None = None
    traceback: str = ""
    student_line: int | None = None  # where it was raised in the submission, when a check called into it


class Cells:
    """Runs cells over one set of shared names. `seconds` bounds each of them (see `time_limit`)."""

    def __init__(self, filename: str, seconds: float, defined: Iterable[str]) -> None:
        self.filename = filename
        self.shared: dict[str, Any] = {}
        self.value: Any = None
        """The value of the last expression of the cell that ran last."""
        self._seconds = seconds
        self._defined = frozenset(defined)  # by any cell: if one of these is missing, its cell has failed
        self._main = types.ModuleType("__main__")
        self._main.__file__ = filename
        sys.modules["__main__"] = self._main
        self._stop = _stop_error()

    def run(self, cell: Cell) -> Failure | None:
        """Runs one cell and shares what it defines. None when it finished."""
        self.value = None
        absent = sorted(name for name in cell.refs if name in self._defined and name not in self.shared)
        if absent:
            return Failure("absent", ", ".join(absent))
        names = {name: self.shared[name] for name in cell.refs if name in self.shared}
        names |= {"__name__": "__main__", "__file__": self.filename, "__builtins__": builtins}
        failure = self._timed(cell, names)
        if failure is None:
            for name in cell.defs & names.keys():
                self.shared[name] = names[name]
                setattr(self._main, name, names[name])
        return failure

    def _timed(self, cell: Cell, names: dict[str, Any]) -> Failure | None:
        try:
            with time_limit(self._seconds):
                self._execute(cell, names)
        except BaseException as error:  # noqa: BLE001 - whatever a cell raises is its result
            return self._failure(error)
        return None

    def _execute(self, cell: Cell, names: dict[str, Any]) -> None:
        tree = ast.parse(cell.code)
        ast.increment_lineno(tree, cell.line - 1)
        code = compile(tree, self.filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if code.co_flags & inspect.CO_COROUTINE:
            self.value = asyncio.run(eval(code, names))  # noqa: S307 - running cells is what this process is for
        elif tree.body and isinstance(last := tree.body[-1], ast.Expr):
            tree.body.pop()
            exec(compile(tree, self.filename, "exec", dont_inherit=True), names)  # noqa: S102
            code = compile(ast.Expression(last.value), self.filename, "eval", dont_inherit=True)
            self.value = eval(code, names)  # noqa: S307
        else:
            exec(code, names)  # noqa: S102

    def _failure(self, error: BaseException) -> Failure:
        if self._stop is not None and type(error) is self._stop:
            return Failure("stopped", "")
        kinds: dict[type, str] = {
            errors.OutOfTime: "time", errors.TooMuchOutput: "output", MemoryError: "memory",
            errors.TooManyCalls: "calls", errors.AnswersGone: "gone", errors.TooLarge: "size",
        }  # fmt: skip
        kind = kinds.get(type(error), "error")
        if isinstance(error, BlockingIOError) or (isinstance(error, RuntimeError) and "new thread" in str(error)):
            kind = "processes"
        line = error.lineno if isinstance(error, SyntaxError) else None
        line = line or errors.line_of(error, self.filename)
        student = error.__dict__.get("student_line") if hasattr(error, "__dict__") else None
        return Failure(kind, errors.described(error), line, self._traceback(error), student)

    def _traceback(self, error: BaseException) -> str:
        frames = errors.frames_of(error, self.filename)
        shown = frames if len(frames) <= 12 else [*frames[:6], *frames[-6:]]
        lines = [f"line {frame.lineno}, in {frame.name}\n    {frame.line or ''}".rstrip() for frame in shown]
        return "\n".join([*lines, errors.described(error)])[:8_000]


class time_limit:  # noqa: N801 - reads as a statement
    """Raises OutOfTime in the main thread after that many seconds of processor time, and again while it is caught.

    On a busy machine the same work takes longer, so wall time may be PATIENCE times as much.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, _out_of_time)
        signal.setitimer(signal.ITIMER_PROF, self._seconds, _AGAIN)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE * self._seconds, _AGAIN)

    def __exit__(self, *error: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)


def _out_of_time(number: int, frame: object) -> None:
    raise errors.OutOfTime("out of time")


def _stop_error() -> type[BaseException] | None:
    """The class of the exception that `mo.stop` raises, None without marimo."""
    marimo: Any = sys.modules.get("marimo")
    stop: Callable[[bool], None] | None = getattr(marimo, "stop", None)
    if stop is None:
        return None
    try:
        stop(True)
    except BaseException as error:  # noqa: BLE001
        return type(error)
    return None
