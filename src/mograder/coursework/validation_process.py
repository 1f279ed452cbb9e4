"""Runs a student's notebook cell by cell, in a process that validation.py starts.

Each cell has globals of its own, so that names with a leading underscore stay in it: the names it reads from other
cells are put in before it runs, the names it defines are taken out after it.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import json
import linecache
import sys
import traceback
import types
from pathlib import Path
from typing import IO, Any


def main() -> None:
    """Read the task from the first file of the command line; write a line of JSON for each event to the second."""
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    with open(sys.argv[2], "a", encoding="utf-8") as results:
        _run(task, results)


def _run(task: dict[str, Any], results: IO[str]) -> None:
    sys.path.insert(0, str(Path(task["file"]).parent))  # after our own imports: a student may have a json.py
    main_module = types.ModuleType("__main__")
    main_module.__file__ = task["file"]
    sys.modules["__main__"] = main_module  # marimo's notebook_dir() and pickle look up names there
    sys.argv = [task["file"]]
    linecache.cache[task["file"]] = (len(task["text"]), None, task["text"].splitlines(keepends=True), task["file"])
    shared: dict[str, Any] = {}
    known = set(task["known"])  # the names that any cell defines, also one that does not run
    for cell in task["cells"]:
        absent = sorted(name for name in cell["refs"] if name in known and name not in shared)
        _write(results, {"event": "start", "line": cell["line"]})
        if absent:
            event: dict[str, Any] = {"event": "absent", "names": absent}
        else:
            event = _run_cell(cell, task["file"], shared, main_module)
        _write(results, event | {"line": cell["line"]})


def _run_cell(cell: dict[str, Any], file: str, shared: dict[str, Any], main_module: types.ModuleType) -> dict[str, Any]:
    names = {name: shared[name] for name in cell["refs"] if name in shared}
    names |= {"__name__": "__main__", "__file__": file, "__builtins__": builtins}
    try:
        tree = ast.increment_lineno(ast.parse(cell["code"]), cell["line"] - 1)
        code = compile(tree, file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, names))  # noqa: S307 - running a person's own notebook is what this is for
        else:
            exec(code, names)  # noqa: S102
    except BaseException as error:  # noqa: BLE001 - whatever a cell raises is its result
        if type(error).__name__ == "MarimoStopError":
            return {"event": "stopped"}
        return _failed(error, file)
    for name in cell["defs"]:
        if name in names:
            shared[name] = names[name]
            setattr(main_module, name, names[name])
    return {"event": "ran"}


def _failed(error: BaseException, file: str) -> dict[str, Any]:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    at = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    try:
        text = "".join(traceback.format_exception_only(error)).strip()
    except Exception:  # noqa: BLE001 - an exception of the student's may fail while it is shown
        text = type(error).__name__
    shown = frames if len(frames) <= 8 else [*frames[:4], *frames[-4:]]
    lines = [f"line {frame.lineno}: {frame.line or ''}".rstrip() for frame in shown]
    return {"event": "failed", "at": at, "error": text[-2000:], "trace": lines}


def _write(results: IO[str], event: dict[str, Any]) -> None:
    results.write(json.dumps(event) + "\n")
    results.flush()


if __name__ == "__main__":
    main()
