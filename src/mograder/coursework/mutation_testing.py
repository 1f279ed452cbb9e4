"""Grades variants of the model solution, each with one mistake, to find mistakes that the tests do not notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from mograder.coursework.autograding import Runs
from mograder.coursework.folders import GradingFolders
from mograder.coursework.preparation import Wishes, prepare_assignment
from mograder.domain.errors import MograderError, Usage
from mograder.domain.results import CheckStatus, Outcome, RunReport
from mograder.notebook.cells import read_text
from mograder.notebook.mutations import Mutation, mutations, unchecked
from mograder.notebook.source import read_source

T = TypeVar("T")

CELL_SECONDS = 2.0
"""Seconds of processor time for each cell, because a mistake may cause an endless loop. If the model solution needs
more, the assignment's own limit holds.
"""


class Unnoticed(Struct, frozen=True):
    """A mistake with which every check passes. `line` is a line of the source; `after` is "" if `before` is deleted."""

    cell: str
    line: int
    before: str
    after: str


class MistakesTried(Struct, frozen=True):
    """The result: how many mistakes are `possible`, and how many were `tried`. `failed` says why some could not be run.

    `unchecked` are cells with a solution that no check uses. No mistakes are made in them.
    """

    assignment: str
    possible: int
    tried: int
    unnoticed: tuple[Unnoticed, ...]
    failed: tuple[str, ...]
    unchecked: tuple[str, ...]


def try_mistakes(
    folders: GradingFolders, assignment: str, most: int, jobs: int, step: Callable[[int, int], None]
) -> MistakesTried:
    """Grade up to `most` variants of the model solution, `jobs` at once. Each variant has one mistake.

    If more mistakes are possible, the tried ones are spread evenly over the file. `step` is called with how many
    variants are graded and how many there are. Raises MograderError if there is no source or no sandbox, or if the
    model solution does not pass every check.
    """
    path = folders.find_source(assignment)
    source = read_source(read_text(path.read_bytes()), assignment)
    possible = mutations(source)
    chosen = spread(possible, most)
    reports = _run_all(folders, path, assignment, chosen, jobs, step)
    failed = (report.error for report in reports if report.outcome is Outcome.OUR_FAILURE)
    unnoticed = tuple(
        Unnoticed(each.cell, each.line, each.before, each.after)
        for each, report in zip(chosen, reports, strict=True)
        if _passes(report)
    )
    return MistakesTried(assignment, len(possible), len(chosen), unnoticed, tuple(failed), unchecked(source))


def spread(possible: Sequence[T], most: int) -> list[T]:
    """`most` of the items at even distances, or all items."""
    if len(possible) <= most:
        return list(possible)
    return [possible[number * len(possible) // most] for number in range(most)]


def _run_all(
    folders: GradingFolders, path: Path, assignment: str, chosen: Sequence[Mutation], jobs: int,
    step: Callable[[int, int], None],
) -> list[RunReport]:  # fmt: skip
    """The reports, in the order of `chosen`. Raises Usage if the model solution itself does not pass."""
    for limits in ({"cell_seconds": CELL_SECONDS}, {}):
        with (
            prepare_assignment(folders, assignment, None, Wishes(limits, jobs)) as prepared,
            ThreadPoolExecutor(jobs) as pool,
        ):
            model = prepared.runs.grade(path.read_bytes(), path.name)
            if _passes(model):
                futures = [pool.submit(_grade, prepared.runs, each.text, path.name) for each in chosen]
                for done, _ in enumerate(as_completed(futures), 1):
                    step(done, len(futures))
                return [future.result() for future in futures]
            if not model.limits:
                break
    raise Usage(
        f"the model solution of {assignment} does not pass every check: mograder generate {assignment} --dry-run "
        "--validate says which"
    )


def _grade(runs: Runs, text: str, name: str) -> RunReport:
    try:
        return runs.grade(text.encode(), name)
    except MograderError as error:
        return RunReport(Outcome.OUR_FAILURE, error=error.message)


def _passes(report: RunReport) -> bool:
    return bool(report.checks) and all(each.status is CheckStatus.SUCCESS for each in report.checks)
