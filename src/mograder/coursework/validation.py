"""Runs the visible checks of a person's own notebook in their own Python, in a process with a time limit.

It needs no sandbox, because the notebook is theirs. The result is for them alone and never becomes a mark.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from mograder import DISTRIBUTION
from mograder.domain.errors import Usage
from mograder.domain.results import CellFailure, CheckResult, CheckStatus
from mograder.grading.environment import without_settings
from mograder.grading.plan import plan
from mograder.notebook.cells import Cell, Notebook
from mograder.notebook.hashes import describe
from mograder.notebook.marks import check_calls, check_names, key_of

_SIDECAR = "MOGRADER_SIDECAR_PATH"
_SIZE = 4_000_000  # bytes of results that are read


class Validation(Struct, frozen=True):
    """The result of a run. `checks` has one result for each label, in file order; one that did not run is NOT_RUN.

    `failures` are cells that raised, and cells that marimo would not run: syntax errors, names defined twice, cycles.

    `unfinished` names the cell in which the run ended, because the time was over (`out_of_time`) or because the cell
    ended the process; "" if no cell was left.
    """

    checks: tuple[CheckResult, ...]
    failures: tuple[CellFailure, ...]
    unfinished: str = ""
    out_of_time: bool = False


def validate(notebook: Notebook, path: Path, seconds: float) -> Validation:
    """Run `notebook`, which is in the file `path`, for at most `seconds` of wall time.

    Raises Usage if marimo is not installed.
    """
    if importlib.util.find_spec("marimo") is None:
        raise Usage(f"marimo is not installed beside mograder: {_how_to_add('marimo')}")
    planned = plan(notebook)
    cells = [notebook.cells[place] for place in planned.order if notebook.cells[place].code]
    with tempfile.TemporaryDirectory(prefix="mograder-") as folder:
        events, told, in_time = _run(notebook, path.resolve(), cells, Path(folder), seconds)
    by_line = {cell.line: cell for cell in notebook.cells}
    started = [event["line"] for event in events if event["event"] == "start"]
    ended = {event["line"] for event in events if event["event"] != "start"}
    last = next((line for line in started if line not in ended), None)
    if last is None and len(ended) < len(cells):
        last = next(cell.line for cell in cells if cell.line not in ended)  # marimo itself had not started
    return Validation(
        tuple(_checks(notebook, told)),
        (
            *planned.failures,
            *(_failure(by_line[event["line"]], event) for event in events if event["event"] == "failed"),
        ),
        "" if last is None else f"line {last}: {describe(by_line[last])}",
        not in_time,
    )


def _how_to_add(package: str) -> str:
    """How a person adds a package to the environment that mograder runs in, by who made it: uv, pipx or pip."""
    home = Path(sys.prefix)
    if (home / "uv-receipt.toml").exists():
        return f"install again with `uv tool install --with {package}` and the address on the course's page /install"
    if (home / "pipx_metadata.json").exists():
        return f"`pipx inject {DISTRIBUTION} {package}`"
    return f"`{sys.executable} -m pip install {package}`"


def _run(
    notebook: Notebook, path: Path, cells: list[Cell], folder: Path, seconds: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bool]:
    """(events, results of checks, whether the run ended in time)."""
    task, results, sidecar = folder / "task.json", folder / "results.jsonl", folder / "checks.jsonl"
    wanted = [
        {"line": cell.line, "code": cell.code, "refs": sorted(cell.refs), "defs": sorted(cell.defs)} for cell in cells
    ]
    known = sorted(frozenset().union(*(cell.defs for cell in notebook.cells)))
    said = {"file": str(path), "text": notebook.text, "cells": wanted, "known": known}
    task.write_text(json.dumps(said), encoding="utf-8")
    process = subprocess.Popen(  # noqa: S603 - this Python, and a module of ours
        [sys.executable, "-P", "-m", "mograder.coursework.validation_process", str(task), str(results)],
        cwd=path.parent,
        env={**without_settings(), _SIDECAR: str(sidecar), "MPLBACKEND": "Agg", "MARIMO_SKIP_UPDATE_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    in_time = True
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        in_time = False
    finally:
        _stop(process)
    return list(_lines(results)), list(_lines(sidecar)), in_time


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and the processes it started."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
    else:
        process.kill()
    process.wait()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects in a file, one on a line. Other lines, such as a last line that was cut off, are left out."""
    try:
        with path.open("rb") as file:
            text = file.read(_SIZE).decode("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def _checks(notebook: Notebook, told: Iterable[dict[str, Any]]) -> Iterator[CheckResult]:
    seen = {str(line.get("label")): line for line in told}
    labels = [call.label for call in check_calls(notebook.text, check_names(notebook.text)) if call.label is not None]
    for label in dict.fromkeys([*labels, *seen]):
        yield (
            _check(label, seen[label])
            if label in seen
            else CheckResult(label, key_of(label), False, CheckStatus.NOT_RUN)
        )


def _check(label: str, line: dict[str, Any]) -> CheckResult:
    try:
        status = CheckStatus(str(line.get("status")))
    except ValueError:
        status = CheckStatus.NOT_RUN
    details = line.get("details")
    messages = tuple(str(each) for each in details) if isinstance(details, list) else ()
    earned, total = line.get("earned_weight"), line.get("total_weight")
    return CheckResult(
        label,
        key_of(label),
        False,
        status,
        messages,
        float(earned) if isinstance(earned, int | float) else 0.0,
        float(total) if isinstance(total, int | float) else 0.0,
    )


def _failure(cell: Cell, event: dict[str, Any]) -> CellFailure:
    return CellFailure(describe(cell), event.get("at") or cell.line, str(event["error"]), "\n".join(event["trace"]))
