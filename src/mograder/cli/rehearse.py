"""`mograder rehearse`: an exam's load against a scratch copy of the course, on the machine that will serve it."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from mograder.cli.arguments import FOLDER
from mograder.cli.output import note, table, tell, tell_json
from mograder.domain.errors import MograderError, Usage, VerificationFailed
from mograder.domain.names import counted
from mograder.rehearsal.rehearsal import Outcome, Phase, Rehearsal, Server, Watch

if TYPE_CHECKING:
    from mograder.coursework.mutation_testing import MistakesTried
    from mograder.rehearsal.results import ResultsTimed

TITLES = {
    "register": "register", "assignments": "list", "release_file": "fetch a file", "status": "look",
    "submit": "submit",
}  # fmt: skip


@click.command()
@click.argument("course")
@click.option("--students", type=click.IntRange(1, 5000), default=300, show_default=True, help="How many take part.")
@click.option(
    "--minutes", type=click.FloatRange(0.05, 60), default=2, show_default=True,
    help="How long they fetch, look and submit, before all submit at once.",
)  # fmt: skip
@click.option("--assignment", help="The assignment to submit to. [default: the first]")
@click.option(
    "--grading-workers", type=click.IntRange(0, 64), default=1, show_default=True,
    help="How many submissions are graded at once, where there are tests; 0 for none.",
)  # fmt: skip
@click.option(
    "--mistakes", type=click.IntRange(0, 5000), default=40, show_default=True,
    help="How many mistakes in the model solution are tried against the tests; 0 for none.",
)  # fmt: skip
@click.option("--only-mistakes", is_flag=True, help="Try mistakes alone, without server and students.")
@click.option(
    "--scratch", type=FOLDER,
    help="Where the copy is made and removed. [default: beside the course]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def rehearse(
    course: str, students: int, minutes: float, assignment: str | None, grading_workers: int, mistakes: int,
    only_mistakes: bool, scratch: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Rehearse an exam with a copy of COURSE, the folder that you serve, on this machine.

    Students register, fetch, look at their status and submit, through the real protocol; at the end all submit at
    once. Every acknowledged submission is compared with the file on the disk. COURSE itself is only read; a course that
    is being served is refused, as its students would notice.

    Where the assignment has tests in source/, students submit its model solution, which the copy's server grades; the
    report says how long it takes until the last of them has a result. Then small mistakes are put into the model
    solution, one at a time: a comparison, a constant or an operator is changed, a bound moved by one, a returned value
    dropped, a statement deleted. The report shows the mistakes with which every check passes.

    \b
    Examples:
      mograder rehearse course/release/ --students 300 --minutes 2
      mograder rehearse course/ --assignment hw1 --only-mistakes --mistakes 500
    """
    if only_mistakes:
        root = _folder(course)
        tell_outcome(None, None, _tried(root, assignment or _first_source(root), mistakes), as_json)
        return
    from mograder.coursework.preparation import what_grading_lacks
    from mograder.rehearsal.load import run

    root = course_root(course)
    missing = what_grading_lacks()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving_copy(root, scratch, 0 if missing else grading_workers))
        watch = stack.enter_context(display())
        solution = _solutions(root)
        rehearsal = Rehearsal(server, students, minutes, watch, random.Random(1), solution)  # noqa: S311 (who submits when)
        outcome = run(rehearsal.run(assignment))
        has_tests = bool(solution(outcome.assignment))
        results = None
        if has_tests and grading_workers and not missing:
            results = _results(server, outcome.assignment, watch)
    tried = _tried(root, outcome.assignment, mistakes) if has_tests and mistakes and not missing else None
    if has_tests and missing:
        note(f"grading was not rehearsed: {missing}")
    tell_outcome(outcome, results, tried, as_json)
    if outcome.lost:
        raise VerificationFailed(f"{counted(len(outcome.lost), 'acknowledged submission')} not on the disk")
    if results is not None and (results.failures or not results.graded):
        raise MograderError(f"submissions could not be graded: {results.first_failure}")
    if not outcome.holds:
        raise MograderError("the rehearsal did not hold: see above")


def _solutions(root: Path) -> Callable[[str], bytes]:
    """A function that returns an assignment's model solution from the course's sources, b"" if it has none."""
    from mograder.config import course_folder
    from mograder.coursework.folders import GradingFolders
    from mograder.domain.errors import NotFound

    folders = GradingFolders.of(course_folder(root))

    def solution(assignment: str) -> bytes:
        with contextlib.suppress(NotFound):
            return folders.find_source(assignment).read_bytes()
        return b""

    return solution


def _first_source(root: Path) -> str:
    """The first assignment that has a source. Raises Usage if none has."""
    from mograder.config import course_folder
    from mograder.coursework.folders import GradingFolders

    source = GradingFolders.of(course_folder(root)).source
    found = sorted(path.parent.name for path in source.glob("*/*.py"))
    if not found:
        raise Usage(f"there is no source in {source}: mistakes are made from a model solution")
    return found[0]


def _results(server: Server, assignment: str, watch: Watch) -> ResultsTimed:
    from mograder.factory import open_existing
    from mograder.rehearsal.results import follow_results

    copied = open_existing(server.root)
    try:
        return follow_results(copied, assignment, lambda done, total: watch("results", done, total))
    finally:
        copied.store.close()


def _tried(root: Path, assignment: str, most: int) -> MistakesTried:
    from mograder.config import course_folder
    from mograder.coursework.folders import GradingFolders
    from mograder.coursework.mutation_testing import try_mistakes

    folders = GradingFolders.of(course_folder(root))
    with display() as watch:
        return try_mistakes(
            folders, assignment, most, os.cpu_count() or 1, lambda done, total: watch("mistakes", done, total)
        )


def tell_outcome(
    outcome: Outcome | None, results: ResultsTimed | None, tried: MistakesTried | None, as_json: bool
) -> None:
    """Print the outcome of a rehearsal in words or as JSON; parts that are None are left out."""
    if as_json:
        held = {} if outcome is None else {**asdict(outcome), "holds": outcome.holds}
        tell_json({**held, "results": results, "mistakes": tried})
        return
    if outcome is not None:
        report(outcome)
    if results is not None:
        tell(_of_results(results))
    if tried is not None:
        tell(_of_mistakes(tried))


def _of_results(results: ResultsTimed) -> str:
    if results.last is None or results.median is None:
        return f"Nothing was graded. {results.first_failure}".rstrip()
    speed = f"{results.a_minute:,.0f} submissions a minute were graded."
    if results.complete:
        return (
            f"Results: half of the students had theirs {results.median:,.0f} s after the last submission, all of them "
            f"after {results.last:,.0f} s; {speed}"
        )
    left = f"{results.failures} could not be graded: {results.first_failure}. " if results.failures else ""
    return (
        f"Results: {results.graded} of {counted(results.students, 'student')} had theirs when the rehearsal ended. "
        f"{left}At that pace all have one {results.last:,.0f} s after the last submission; {speed}"
    )


def _of_mistakes(tried: MistakesTried) -> str:
    lines = [
        f"Mistakes: {tried.tried} of the {tried.possible} that can be made in the model solution of "
        f"{tried.assignment!r} were tried; the tests do not notice {len(tried.unnoticed)} of them."
    ]
    for each in tried.unnoticed:
        lines.append(f"  {each.cell}, line {each.line}: {each.before}")
        lines.append(f"    {'-> ' + each.after if each.after else 'deleted'}")
    if tried.unnoticed:
        lines.append("Check whether each makes a difference: some do not change what the code does.")
    if tried.failed:
        lines.append(f"{counted(len(tried.failed), 'mistake')} could not be run: {tried.failed[0]}")
    if tried.unchecked:
        lines.append(f"No check uses what these cells define: {', '.join(tried.unchecked)}.")
    return "\n".join(lines)


def course_root(text: str) -> Path:
    """The folder that is served. Raises Usage for an address, a folder that is not there, and a course in use."""
    from mograder.rehearsal.rehearsal import is_in_use

    root = _folder(text)
    if is_in_use(root):
        raise Usage(f"the course in {root} is in use: stop its server, or copy the folder and rehearse with the copy")
    return root


def _folder(text: str) -> Path:
    from mograder.domain.tokens import SECRET_NAME

    if "://" in text:
        raise Usage(
            f"{text} is a server: rehearse takes the course's folder on this machine, and works on a copy of it"
        )
    root = Path(text).resolve()
    if not root.is_dir():
        raise Usage(f"there is no folder {text}")
    if not (root / SECRET_NAME).exists() and (root / "release").is_dir():
        root = root / "release"
    return root


@contextlib.contextmanager
def serving_copy(root: Path, scratch: Path | None, grading_workers: int) -> Iterator[Server]:
    """A server on a scratch copy of the course and its sources, on the same disk; the copy is removed at the end."""
    from mograder.cli.demo import free_port, serving
    from mograder.config import course_folder
    from mograder.rehearsal.rehearsal import copy_course

    place = scratch or course_folder(root).parent
    if scratch is None and not os.access(place, os.W_OK):
        raise Usage(f"no copy can be made in {place}: name a folder on the same disk with --scratch")
    with tempfile.TemporaryDirectory(prefix="mograder-rehearsal-", dir=place) as folder:
        copy, words = copy_course(root, Path(folder))
        port, code = free_port(0), secrets.token_hex(8)
        submitted = copy.parent / "submitted"
        submitted.mkdir()
        words += [] if any(copy.parent.glob("source/*/*.py")) else ["--grading-workers", "0"]
        with serving(copy, port, code, "--grading-workers", str(grading_workers), *words) as pid:
            yield Server(("127.0.0.1", port), pid, submitted, code, copy)


@contextlib.contextmanager
def display() -> Iterator[Watch]:
    """A progress bar for each phase on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda name, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bars:
        tasks = {}

        def watch(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        yield watch


def _line(phase: Phase) -> list[str]:
    times = (f"{seconds * 1000:,.0f} ms" for seconds in (phase.p50, phase.p99))
    return [
        TITLES.get(phase.name, phase.name),
        f"{phase.requests:,}",
        f"{phase.a_second:,.0f}",
        *times,
        str(phase.errors),
    ]


def report(outcome: Outcome) -> None:
    """The verdict in words."""
    table(["", "Requests", "A second", "p50", "p99", "Errors"], [_line(each) for each in outcome.phases])
    rush = outcome.phases[-1]
    acknowledged = outcome.kept + len(outcome.lost)
    students = counted(outcome.students, "student")
    kept = "every one of them is" if not outcome.lost else f"all but {len(outcome.lost)} are"
    lines = [
        "",
        f"{students} submitted to {outcome.assignment!r} at once: {rush.a_second:,.0f} a second; "
        f"half were answered within {rush.p50 * 1000:,.0f} ms, 99 of 100 within {rush.p99 * 1000:,.0f} ms.",
        f"Acknowledged: {acknowledged:,} submissions; {kept} on the disk, byte for byte.",
        f"What held it up: {outcome.bottleneck}.",
        f"This machine carries about {outcome.carries:,} students, if all submit twice in the last minute and look "
        "every ten seconds, with half of it in reserve. The network between it and them was not part of this.",
    ]
    failed = next((each for each in outcome.phases if each.errors), None)
    if failed is not None:
        lines.append(
            f"Errors: {outcome.errors}; the first: {TITLES.get(failed.name, failed.name)}: {failed.first_error}"
        )
    lines.append("It holds." if outcome.holds else f"It does not hold for {students}.")
    tell("\n".join(lines))
