"""`mograder worker`: grades submissions as they come in."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mograder.cli.arguments import FOLDER, OUT_FOLDER, PLACE
from mograder.cli.output import note, tell
from mograder.domain.errors import Temporary, Usage
from mograder.domain.names import counted

if TYPE_CHECKING:
    from mograder.coursework.graded_courses import MakeWorker
    from mograder.coursework.worker import Worker
    from mograder.domain.course import Course

Find = Callable[[], "Mapping[str, Worker]"]


@click.command(short_help="Grade submissions as they come in.")
@click.argument("place", type=PLACE, metavar="COURSE_FOLDER|URL", envvar="MOGRADER_STORE")
@click.option(
    "--sources",
    type=FOLDER,
    metavar="FOLDER",
    help="The folder with source/ and mograder.toml of one course. [default: the course's]",
)
@click.option("--courses", is_flag=True, help="The folder holds many courses, as for serve --courses.")
@click.option("-j", "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="How many at once.")
@click.option("--drain", is_flag=True, help="End when nothing waits to be graded.")
@click.option("--retry", is_flag=True, help="Also try again submissions that were given up.")
@click.option(
    "--submitted-dir", type=OUT_FOLDER,
    help="Where submissions are kept, if `serve` was told so. [default: as mograder.toml says]",
)  # fmt: skip
@click.option("--child", is_flag=True, hidden=True, help="Low priority; end when standard input is closed.")
def worker(
    place: Path | str, sources: Path | None, courses: bool, jobs: int, drain: bool, retry: bool,
    submitted_dir: Path | None, child: bool,
) -> None:  # fmt: skip
    """Grade the submissions of a course as they come in, in a sandbox, until interrupted.

    COURSE_FOLDER has source/ASSIGNMENT/ASSIGNMENT.py beside the folder that is served. For a course in a database,
    postgresql://…#name, the worker uses the sources that "mograder course publish" has brought there, and notices when
    they are published again. Any number of workers may run, on any machine that reaches the course; a submission is
    graded once.

    With --courses, or for a database without #name, all courses are graded, also those made later. The course with the
    fewest running submissions is next, so that no course waits for another. $MOGRADER_STORE can name the database.

    \b
    Examples:
      mograder worker course/
      mograder worker course/ -j 2 --drain
      mograder worker --courses courses/
      mograder worker 'postgresql://db/mograder#stats101'
    """
    from mograder.coursework.graded_courses import worker_maker
    from mograder.coursework.pool import Pool
    from mograder.factory import is_database
    from mograder.store.shared import stat_cache

    many = courses or (is_database(place) and "#" not in str(place))
    if courses and is_database(place):
        raise Usage("--courses is for a folder: in a database all courses are graded unless #name says which")
    if many and (sources is not None or submitted_dir is not None):
        raise Usage("--sources and --submitted-dir are of one course: with many, each has its own")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if child:
        with contextlib.suppress(OSError):
            os.nice(15)
        stat_cache.log.addFilter(lambda _: False)  # the server reads the same files, and its log says it
        threading.Thread(target=_wait_for_the_end, args=(stop,), name="parent", daemon=True).start()
    make = worker_maker(jobs, stop, note, lambda: secrets.token_hex(8))
    try:
        with _many(place, make, retry) if many else _one(place, sources, make, retry, submitted_dir) as found:
            graded = Pool(found, jobs=jobs, stop=stop, say=note).run(drain)
    except Temporary as error:
        raise Usage(error.message) from error
    if not child:
        tell(f"graded {counted(graded, 'submission')}")


@contextlib.contextmanager
def _one(
    place: Path | str, sources: Path | None, make: MakeWorker, retry: bool, submitted_dir: Path | None
) -> Iterator[Find]:
    from mograder.coursework.sources import sources_of
    from mograder.factory import open_existing

    course = open_existing(place, submitted_dir=submitted_dir)
    try:
        if retry:
            _retry(course)
        with sources_of(course, place, sources) as found:
            if not found.refresh():
                note("no tests are published for this course yet: mograder course publish")
            only = {"": make(course, found, "")}
            yield lambda: only
    finally:
        course.store.close()


@contextlib.contextmanager
def _many(place: Path | str, make: MakeWorker, retry: bool) -> Iterator[Find]:
    from mograder.coursework.graded_courses import GradedCourses
    from mograder.factory import ManyCourses, open_courses

    courses = open_courses(place)
    try:
        many = ManyCourses(courses)
        with_tests = courses.with_tests()
        if not with_tests:
            note("no course here has tests yet: each is graded once it has some")
        if retry:
            for name in with_tests:
                _retry(many.course(name))
        with GradedCourses(many, place, make, note) as graded:
            yield graded.workers
    finally:
        courses.close()


def _retry(course: Course) -> None:
    for name in course.store.jobs.announced():
        course.store.jobs.retry(name)


def _wait_for_the_end(stop: threading.Event) -> None:
    sys.stdin.buffer.read()  # nobody writes to it: it ends with the process that started this one
    stop.set()
