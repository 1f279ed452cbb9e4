"""`mograder course` and `mograder store`: many courses, in a PostgreSQL database or in a folder of folders."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mograder.cli.adopt import adopt
from mograder.cli.arguments import FOLDER, OUT_FOLDER, PLACE, course_name
from mograder.cli.import_gradebook import import_gradebook
from mograder.cli.output import note, table, tell, tell_json, when
from mograder.config import utc_now
from mograder.domain import deadlines
from mograder.domain.audit import Event
from mograder.domain.errors import Usage
from mograder.domain.names import INSTRUCTOR, CourseName, printable
from mograder.domain.store import Courses
from mograder.domain.tokens import sign

if TYPE_CHECKING:
    from mograder.store.postgres.courses import PostgresCourses

Command = Callable[..., None]
_name = click.argument("name", callback=course_name)


def _in_store(command: Command) -> Command:
    """Adds --store; the command gets the open `courses`."""

    @click.option(
        "--store", "place", type=PLACE, required=True, envvar="MOGRADER_STORE", show_envvar=True, metavar="URL|FOLDER",
        help="The database (postgresql://…), or the folder that holds the courses.",
    )  # fmt: skip
    @functools.wraps(command)
    def with_courses(place: Path | str, **rest: Any) -> None:
        with opened(place) as courses:
            command(courses=courses, **rest)

    return with_courses


@contextlib.contextmanager
def opened(place: Path | str) -> Iterator[Courses]:
    from mograder.factory import open_courses

    courses = open_courses(place)
    try:
        yield courses
    finally:
        courses.close()


@click.group()
def course() -> None:
    """Make, list and close the courses of a server that has many.

    They are in a PostgreSQL database or, each in a subfolder with a release/, in a folder.

    \b
    Examples:
      export MOGRADER_STORE=postgresql://db.example.org/mograder
      mograder course create algebra --from course/release/
      mograder course publish algebra course/release/
      mograder course list
    """


course.add_command(import_gradebook)
course.add_command(adopt)


@course.command(short_help="Make a course and print its instructor's token.")
@_name
@click.option(
    "--from", "folder", type=FOLDER, metavar="FOLDER",
    help="Publish what students get from this folder at once. Its secret and people stay there.",
)  # fmt: skip
@_in_store
def create(courses: Courses, name: CourseName, folder: Path | None) -> None:
    """Make the course NAME, served at /c/NAME/, with a secret of its own, and print its instructor's token.

    With --from it begins with the mograder.toml and the released files of another course. Do not copy a course's
    folder: the copy would have the same secret, and a token of one would be valid in the other.
    """
    courses.create(name, Event(utc_now(), INSTRUCTOR, "create", name))
    tell(f"Made the course {name}, served at /c/{name}/")
    if folder:
        _publish(courses, name, folder)
    if not courses.open(name).config.plan().enrollment_code:
        note(
            f"{name} has no enrollment code: write one as enrollment_code of [server] in its mograder.toml, or put "
            "people on its roster"
        )
    elif folder:
        note(
            f"warning: {name} has the enrollment code of {folder}, and anybody who knows it can join: write "
            "another as enrollment_code of [server] in its mograder.toml"
        )
    tell(f"instructor: {sign(courses.open(name).keys.secrets()[0], INSTRUCTOR)}")


@course.command(short_help="Bring what an instructor has written into a course.")
@_name
@click.argument("folder", type=FOLDER)
@_in_store
def publish(courses: Courses, name: CourseName, folder: Path) -> None:
    """Bring what an instructor has written in FOLDER, or served from its release/, into the course NAME.

    That is mograder.toml, assignments.json, the released files and, where there is a source/, the notebooks with
    solutions and tests: they replace those that were there, as one step. Students never get what is in source/.
    Submissions, grades and people stay as they are. Running servers and workers notice; "mograder regrade" shows first
    what new tests change for submissions that have a result.
    """
    _publish(_database(courses), name, folder)


def _publish(courses: Courses, name: CourseName, folder: Path) -> None:
    from mograder.factory import is_postgres
    from mograder.store.folder.courses import CourseFolders
    from mograder.store.folder.layout import served_folders, served_root
    from mograder.store.folder.survey import FolderSurvey

    source, event = served_folders(served_root(folder)), Event(utc_now(), INSTRUCTOR, "publish", name)
    for each in FolderSurvey(source, lambda: False).handouts():
        note(f"left out: {each}" + ("" if each.expected else f"; {each.mend}"))
    if is_postgres(courses):
        from mograder.store.publication import read_publication

        publication = read_publication(source)
        count = courses.publish(name, publication, event)
        tested = sorted(publication.sources or ())
    else:
        assert isinstance(courses, CourseFolders)
        count, tested = courses.copy_from(name, source, event), []
    tell(f"Published {count} file(s) to {name}")
    if tested:
        tell(f"Tests of {', '.join(tested)} are there for workers: mograder worker 'postgresql://…#{name}'")


def _database(courses: Courses) -> PostgresCourses:
    """Raises Usage."""
    from mograder.factory import is_postgres

    if not is_postgres(courses):
        raise Usage("a course in a folder is edited in its folder: there is nothing to publish")
    return courses


@course.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@_in_store
def list_courses(courses: Courses, as_json: bool) -> None:
    """List the courses."""
    entries = courses.entries()
    if as_json:
        tell_json([
            {"name": each.name, "created": each.created / deadlines.SECOND, "archived": each.archived is not None}
            for each in entries
        ])  # fmt: skip
        return
    states = [
        "open" if each.archived is None else f"archived {when(each.archived / deadlines.SECOND)}" for each in entries
    ]
    table(
        ("Course", "Made", "State"),
        [
            (each.name, when(each.created / deadlines.SECOND), state)
            for each, state in zip(entries, states, strict=True)
        ],
    )


@course.command(short_help="Close a course, or open it again.")
@_name
@click.option("--undo", is_flag=True, help="Open the course again.")
@_in_store
def archive(courses: Courses, name: CourseName, undo: bool) -> None:
    """Close the course NAME to everybody: its address answers 404. Everything is kept, and --undo opens it again."""
    now = utc_now()
    courses.archive(name, None if undo else now, Event(now, INSTRUCTOR, "unarchive" if undo else "archive", name))
    tell(f"{name} is {'open again' if undo else 'archived'}")


@click.group()
def store() -> None:
    """Upgrade the database that a server's courses are in, and copy courses into it or out of it.

    \b
    Example:
      mograder store upgrade postgresql://db.example.org/mograder
    """


@store.command()
@click.argument("url", envvar="MOGRADER_STORE")
def upgrade(url: str) -> None:
    """Make or upgrade the tables of mograder in the database at URL. Servers may be running.

    \b
    Example:
      mograder store upgrade postgresql://db.example.org/mograder
    """
    from mograder.factory import upgrade_database

    before, after = upgrade_database(url)
    tell(f"The schema is {after} as before" if before == after else f"Upgraded the schema from {before} to {after}")


@store.command(short_help="Copy a course from a folder to a database, or back.")
@click.argument("source", type=PLACE)
@click.argument("target")
def copy(source: Path | str, target: str) -> None:
    """Copy a whole course from the served folder SOURCE to the database course TARGET, or the other way round.

    Submissions with their receipts, people, tokens, grades, feedback and the audit log go over as they are; at the end
    every checksum is compared. After an interruption, run it again: it continues. Stop the course's server first.

    \b
    Examples:
      mograder store copy course/release postgresql://db.example.org/mograder#algebra
      mograder store copy postgresql://db.example.org/mograder#algebra elsewhere/course/release
    """
    from mograder.factory import copy_course

    with progress() as say:
        copy_course(source, target, say)
    tell(f"Copied {_without_password(source)} to {_without_password(target)}: every checksum is right")


def _without_password(place: Path | str) -> str:
    return re.sub(r"(?<=://)[^@/]*@", "", str(place))


@click.command()
@click.argument("course", type=PLACE)
@click.argument("folder", type=OUT_FOLDER)
def mirror(course: Path | str, folder: Path) -> None:
    """Write the submissions of a database's COURSE (postgresql://…#name) into FOLDER, as a course folder has them.

    FOLDER/hw1/alice_20260310T200800.py and so on, and FOLDER/hw1/alice.py is the latest: for tools that grade files.
    Run again, it fetches what is new. Changes in FOLDER are never copied back.

    \b
    Example:
      mograder mirror postgresql://db.example.org/mograder#algebra submitted/
    """
    from mograder.factory import mirror_course

    with progress() as say:
        count = mirror_course(course, folder, say)
    tell(f"{count} new submission(s) in {folder}")


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Gives a function that shows a text on the same line of a terminal each time, and nothing elsewhere."""
    watched = sys.stderr.isatty()

    def say(text: str) -> None:
        if watched:
            click.echo(f"\r{printable(text, 70):70}", nl=False, err=True)

    yield say
    if watched:
        click.echo(f"\r{'':70}\r", nl=False, err=True)
