"""`mograder worker`: grades submissions as they come in."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

import click

from mograder.cli.arguments import PLACE
from mograder.cli.output import note, tell
from mograder.domain.errors import Temporary, Usage
from mograder.domain.names import counted


@click.command(short_help="Grade submissions as they come in.")
@click.argument("place", type=PLACE, metavar="COURSE_FOLDER|URL")
@click.option(
    "--sources",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder with source/ and mograder.toml. [default: the course's]",
)
@click.option("-j", "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="How many at once.")
@click.option("--drain", is_flag=True, help="End when nothing waits to be graded.")
@click.option("--retry", is_flag=True, help="Try again what was given up, too.")
@click.option(
    "--submitted-dir", type=click.Path(file_okay=False, path_type=Path),
    help="Where submissions are kept, if `serve` was told so. [default: as mograder.toml says]",
)  # fmt: skip
@click.option("--child", is_flag=True, hidden=True, help="Low priority; end when standard input is closed.")
def worker(
    place: Path | str, sources: Path | None, jobs: int, drain: bool, retry: bool, submitted_dir: Path | None,
    child: bool,
) -> None:  # fmt: skip
    """Grade the submissions of a course as they come in, in a sandbox, until interrupted.

    COURSE_FOLDER has source/ASSIGNMENT/ASSIGNMENT.py beside the folder that is served. Of a course in a database,
    postgresql://…#name, the sources that were brought there with "mograder course publish" are used, anew when they
    are published anew. Any number of workers may run, on any machine that reaches the course; a submission is graded
    once.

    \b
    Examples:
      mograder worker course/
      mograder worker course/ -j 2 --drain
      mograder worker 'postgresql://db/mograder#stats101'
    """
    from mograder.coursework.sources import sources_of
    from mograder.coursework.worker import Worker
    from mograder.factory import open_existing
    from mograder.signing import Ed25519Signer

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if child:
        with contextlib.suppress(OSError):
            os.nice(15)
        threading.Thread(target=_wait_for_the_end, args=(stop,), name="parent", daemon=True).start()
    course = open_existing(place, submitted_dir=submitted_dir)
    try:
        assert isinstance(course.signer, Ed25519Signer), "the factory gives a course this signer"
        if retry:
            for name in course.store.jobs.announced():
                course.store.jobs.retry(name)
        with sources_of(course, place, sources) as found:
            if not found.refresh():
                note("no tests are published for this course yet: mograder course publish")
            grading = Worker(
                course, found.folders, course.signer, jobs=jobs, stop=stop, say=note,
                new_claim=lambda: secrets.token_hex(8), refresh=found.refresh,
            )  # fmt: skip
            graded = grading.run(drain)
    except Temporary as error:
        raise Usage(error.message) from error
    finally:
        course.store.close()
    if not child:
        tell(f"graded {counted(graded, 'submission')}")


def _wait_for_the_end(stop: threading.Event) -> None:
    sys.stdin.buffer.read()  # nobody writes to it: it ends with the process that started this one
    stop.set()
