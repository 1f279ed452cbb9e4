"""Exceptions sent to the other process: the same built-in type, plain arguments, and the line in the student's file."""

from __future__ import annotations

import builtins
import sys
import traceback
from typing import Any

_TEXT = 2_000
_BUILTIN = {
    name: each for name, each in vars(builtins).items() if isinstance(each, type) and issubclass(each, BaseException)
}


class OutOfTime(BaseException):
    """The time of a cell is over."""


class AnswersGone(BaseException):
    """The answer process is gone, or does not speak the protocol any more."""


class TooManyCalls(BaseException):
    """More calls between the processes than are allowed."""


class TooMuchOutput(BaseException):
    """A cell prints more than is allowed."""


class NoValue(ValueError):
    """The other process sent something that is no value."""


class TooLarge(ValueError):
    """A value that is too large to be sent."""


def text_of(error: BaseException) -> str:
    """str(error), cut, whatever its class makes of it."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - a class of the student's
        text = ""
    return text[:_TEXT] if type(text) is str else ""


def described(error: BaseException) -> str:
    """ "ZeroDivisionError: division by zero" """
    name, text = type(error).__name__, text_of(error)
    return f"{name}: {text}" if text else str(name)


def frames_of(error: BaseException, filename: str) -> list[traceback.FrameSummary]:
    """The frames that are in the notebook, outermost first."""
    try:
        frames = traceback.extract_tb(error.__traceback__, limit=-200)
    except Exception:  # noqa: BLE001 - a traceback that a student has built
        return []
    return [frame for frame in frames if frame.filename == filename]


def line_of(error: BaseException, filename: str) -> int | None:
    """The line of the innermost frame in the notebook, also for a syntax error (such as one of eval)."""
    frames = frames_of(error, filename)
    return frames[-1].lineno if frames else None


def describe(error: BaseException, filename: str) -> dict[str, Any]:
    """The error as a document without values; a caller that can encode its `args` adds them."""
    kinds = [[kind.__module__, kind.__qualname__] for kind in type(error).__mro__ if kind is not object]
    return {"kinds": kinds[:20], "text": text_of(error), "line": line_of(error, filename)}


def class_of(kinds: Any) -> type[BaseException]:
    """The nearest class that this process has too: built in, or of a library that is loaded; never a student's."""
    if type(kinds) is not list:
        return RuntimeError
    for each in kinds:
        if type(each) is not list or len(each) != 2 or not all(type(part) is str for part in each):
            return RuntimeError
        module, name = each
        if module == "builtins" and name in _BUILTIN:
            found: Any = _BUILTIN[name]
        elif module.startswith("__") or module.split(".")[0] in ("mograder", "inside"):
            continue
        else:
            found = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if isinstance(found, type) and issubclass(found, BaseException):
            return found if issubclass(found, (Exception, SystemExit)) else RuntimeError
    return RuntimeError


def rebuild(kind: type[BaseException], arguments: tuple[Any, ...], text: str, line: Any) -> BaseException:
    """An exception of that class. A library's or a student's `__init__` is not run."""
    error: BaseException
    try:
        error = kind(*arguments) if kind.__module__ == "builtins" else kind.__new__(kind, *arguments)
        error.args = arguments or ((text,) if text else ())
    except Exception:  # noqa: BLE001 - arguments that this class does not take
        error = RuntimeError(text)
    error.__dict__["student_line"] = line if type(line) is int else None
    return error
