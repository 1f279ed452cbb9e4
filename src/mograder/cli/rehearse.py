"""`mograder rehearse`: an exam's load against a scratch copy of the course, on the machine that will serve it."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from mograder.domain.errors import MograderError, Usage, VerificationFailed
from mograder.domain.names import counted
from mograder.rehearsal.rehearsal import Outcome, Phase, Rehearsal, Server, Watch

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
    "--scratch", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the copy is made and removed. [default: beside the course]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def rehearse(
    course: str, students: int, minutes: float, assignment: str | None, scratch: Path | None, as_json: bool
) -> None:
    """Rehearse an exam with a copy of COURSE, the folder that you serve, on this machine.

    Students register, fetch, look at their status and submit, through the real protocol; at the end all submit at
    once. Every acknowledged submission is compared with the file on the disk. COURSE itself is only read; a course that
    is being served is refused, as its students would notice.

    \b
    Example:
      mograder rehearse course/release/ --students 300 --minutes 2
    """
    from mograder.rehearsal.load import run

    root = course_root(course)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving_copy(root, scratch))
        watch = stack.enter_context(display())
        rehearsal = Rehearsal(server, students, minutes, watch, random.Random(1))  # noqa: S311 (who submits when)
        outcome = run(rehearsal.run(assignment))
    if as_json:
        from mograder.cli.output import tell_json

        tell_json({**vars(outcome), "holds": outcome.holds})
    else:
        report(outcome)
    if outcome.lost:
        raise VerificationFailed(f"{counted(len(outcome.lost), 'acknowledged submission')} not on the disk")
    if not outcome.holds:
        raise MograderError("the rehearsal did not hold: see above")


def course_root(text: str) -> Path:
    """The folder that is served. Raises Usage for an address, a folder that is not there, and a course in use."""
    from mograder.domain.tokens import SECRET_NAME
    from mograder.rehearsal.rehearsal import is_in_use

    if "://" in text:
        raise Usage(
            f"{text} is a server: rehearse takes the course's folder on this machine, and works on a copy of it"
        )
    root = Path(text).resolve()
    if not root.is_dir():
        raise Usage(f"there is no folder {text}")
    if not (root / SECRET_NAME).exists() and (root / "release").is_dir():
        root = root / "release"
    if is_in_use(root):
        raise Usage(f"the course in {root} is in use: stop its server, or copy the folder and rehearse with the copy")
    return root


@contextlib.contextmanager
def serving_copy(root: Path, scratch: Path | None) -> Iterator[Server]:
    """A server on a scratch copy, on the same disk as the course, all gone at the end."""
    from mograder.cli.demo import free_port, serving
    from mograder.config import course_folder
    from mograder.rehearsal.rehearsal import copy_course

    place = scratch or course_folder(root).parent
    if scratch is None and not os.access(place, os.W_OK):
        raise Usage(f"no copy can be made in {place}: name a folder on the same disk with --scratch")
    with tempfile.TemporaryDirectory(prefix="mograder-rehearsal-", dir=place) as folder:
        copy, words = copy_course(root, Path(folder))
        port, code = free_port(0), secrets.token_hex(8)
        submitted = Path(folder, "submitted")
        submitted.mkdir()
        with serving(copy, port, code, *words) as pid:
            yield Server(("127.0.0.1", port), pid, submitted, code)


@contextlib.contextmanager
def display() -> Iterator[Watch]:
    """A bar for each phase on stderr, where a person is watching."""
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
    from mograder.cli.output import table, tell

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
