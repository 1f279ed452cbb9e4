"""`mograder https upload-grades` and `upload-feedback`: grades and pages, from tables and files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from mograder.cli.connect import Server, choose_exactly, sends_to_a_server
from mograder.cli.output import json_option, note, result
from mograder.client.client import Client
from mograder.client.collecting import strangers
from mograder.client.settings import feedback_folder
from mograder.domain.errors import BadName, MograderError, Usage
from mograder.domain.grades import GRADE_KEYS, GradeEntry, read_csv
from mograder.domain.names import parse_owner

_out_folder = click.Path(file_okay=False, path_type=Path)
_in_file = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)

NAMED = 10
"""How many names a warning lists at most."""


@click.command(name="upload-grades")
@click.argument("assignment")
@click.option("--grades-csv", type=_in_file, required=True, help="A table with username (or student), grade, feedback.")
@click.option("--dry-run", is_flag=True, help="Check, and send nothing.")
@sends_to_a_server
@json_option
def upload_grades(
    assignment: str,
    grades_csv: Path,
    dry_run: bool,
    server: Server,
    as_json: bool,
) -> None:
    """Upload grades; students see them at once. Students who are not in the table keep theirs.

    \b
    Example:
      mograder https upload-grades hw1 --grades-csv grades.csv
    """
    grades = _read_grades(grades_csv)
    if not grades:
        result(as_json, {"received": 0}, "No grades to upload")
        return
    with server.connect(changes=True) as (client, _):
        chosen = choose_exactly(client.assignments(), assignment)
        _warn_of_strangers(client, grades)
        if dry_run:
            lines = [f"  {each.person}: {each.grade if each.grade is not None else '-'}" for each in grades]
            rows = [each.fields for each in grades]
            result(as_json, rows, "\n".join([f"Would upload {_count(grades)} grade(s) to {chosen.name!r}", *lines]))
            return
        stored = client.upload_grades(chosen.name, grades)
    result(as_json, stored, f"Uploaded {_count(grades)} grade(s) to {chosen.name!r}")


def _read_grades(path: Path) -> tuple[GradeEntry, ...]:
    """The rows of a table. Raises MograderError when somebody has several; warns where none or no number is given."""
    try:
        grades = read_csv(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Usage(f"{path} is not UTF-8: save it as 'CSV UTF-8'") from None
    twice = [person for person, rows in Counter(each.person for each in grades).items() if rows > 1]
    if twice:
        raise MograderError(f"{path} has more than one row for {', '.join(twice)}: keep one for each person")
    if grades and not any(key in each.fields for each in grades for key in GRADE_KEYS):
        columns = " or ".join(repr(key) for key in GRADE_KEYS)
        note(f"warning: {path} has no column {columns}: no grades are in it")
    odd = [f"{each.person} {each.grade!r}" for each in grades if each.grade is not None and not _is_number(each.grade)]
    if odd:
        note(f"warning: these grades are not numbers: {', '.join(odd)}")
    return grades


def _warn_of_strangers(client: Client, grades: Iterable[GradeEntry], pages: Iterable[str] = ()) -> None:
    """Before anything is sent: a grade or page under a misspelt name is nobody's."""
    unknown = strangers(client, [*(each.username for each in grades), *(each.removesuffix(".html") for each in pages)])
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        names = ", ".join(unknown[:NAMED]) + more
        note(f"warning: nobody in the course is called {names}: correct the names, or let them register")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _count(grades: Sequence[GradeEntry]) -> int:
    return sum(each.says_something for each in grades)


@click.command(name="upload-feedback")
@click.argument("assignment")
@click.option(
    "--feedback-dir",
    type=_out_folder,
    help="Where the pages are. [default: feedback/ASSIGNMENT]",
)
@click.option("--grades-csv", type=_in_file, help="Upload these grades too.")
@click.option("--dry-run", is_flag=True, help="Check, and send nothing.")
@sends_to_a_server
@json_option
def upload_feedback(
    assignment: str,
    feedback_dir: Path | None,
    grades_csv: Path | None,
    dry_run: bool,
    server: Server,
    as_json: bool,
) -> None:
    """Upload feedback pages, one USER.html a student.

    \b
    Example:
      mograder https upload-feedback hw1 --feedback-dir feedback/hw1
    """
    grades = _read_grades(grades_csv) if grades_csv else ()
    with server.connect(changes=True) as (client, _):
        chosen = choose_exactly(client.assignments(), assignment)
        folder = feedback_dir or feedback_folder(Path(), chosen.name)
        pages = _read_pages(folder)
        _warn_of_strangers(client, grades, pages)
        if dry_run:
            names = [f"  {name}" for name in pages]
            said = "\n".join([f"Would upload {len(pages)} feedback page(s) to {chosen.name!r}", *names])
            result(as_json, {"files": list(pages)}, said)
            return
        stored = client.upload_feedback(chosen.name, pages)
        if grades:
            client.upload_grades(chosen.name, grades)
    also = f" and {_count(grades)} grade(s)" if grades else ""
    result(as_json, stored, f"Uploaded {len(pages)} feedback page(s){also} to {chosen.name!r}")


def _read_pages(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise MograderError(f"the folder {folder} does not exist")
    pages = {}
    for path in sorted(folder.glob("*.html")):
        if not path.name.startswith("."):
            if not path.resolve().is_relative_to(folder.resolve()):
                raise MograderError(f"{path} is a link that leads outside {folder}: nothing was sent")
            try:
                pages[f"{parse_owner(path.stem)}.html"] = path.read_bytes()
            except BadName as error:
                raise MograderError(f"{path}: {error.message}") from None
    if not pages:
        raise MograderError(f"no feedback pages (<user>.html) in {folder}")
    return pages
