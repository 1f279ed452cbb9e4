"""`mograder https upload-feedback`: feedback pages from files, and the grades that go with them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mograder.cli.arguments import IN_FILE, OUT_FOLDER, read_table
from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, choose_exactly, sends_to_a_server
from mograder.cli.gradebook import Upload, check_table
from mograder.cli.output import is_sure, json_option, note, result
from mograder.client.client import Client
from mograder.client.collecting import strangers
from mograder.client.files import read_foreign
from mograder.client.settings import feedback_folder
from mograder.domain.errors import BadName, BadRequest, MograderError
from mograder.domain.grades import is_page
from mograder.domain.names import counted, parse_owner, some_of


def _of_people(client: Client, pages: dict[str, bytes], partial: bool) -> dict[str, bytes]:
    """The pages of people in the course. With `partial` all others are left out, else they raise BadRequest."""
    unknown = strangers(client, [each.removesuffix(".html") for each in pages])
    if unknown and not partial:
        raise BadRequest(
            f"nothing was uploaded: nobody in the course is called {some_of(unknown)}: correct the names, let them "
            "register, or upload the rest with --partial"
        )
    if unknown:
        note(f"left out: nobody in the course is called {some_of(unknown)}")
    return {name: page for name, page in pages.items() if name.removesuffix(".html") not in unknown}


@click.command(name="upload-feedback")
@click.argument("assignment", shell_complete=assignment_names)
@click.option("--feedback-dir", type=OUT_FOLDER, help="Where the pages are. [default: feedback/ASSIGNMENT]")
@click.option("--grades-csv", type=IN_FILE, help="Upload these grades too.")
@click.option("--partial", is_flag=True, help="Upload what can be, and leave out pages of nobody in the course.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask first.")
@click.option("--dry-run", is_flag=True, help="Check, and send nothing.")
@sends_to_a_server
@json_option
def upload_feedback(
    assignment: str,
    feedback_dir: Path | None,
    grades_csv: Path | None,
    partial: bool,
    yes: bool,
    dry_run: bool,
    server: Server,
    as_json: bool,
) -> None:
    """Upload feedback pages, one USER.html (or .htm) a student.

    Other files in the folder are named, and not sent. A page of somebody who has neither registered nor submitted stops
    all, unless you say --partial. On a terminal you are asked first.

    \b
    Example:
      mograder https upload-feedback hw1 --feedback-dir feedback/hw1
    """
    sheet = read_table(grades_csv, None) if grades_csv else None
    with server.connect(changes=True) as (client, _):
        chosen = choose_exactly(client.assignments(), assignment)
        folder = feedback_dir or feedback_folder(Path(), chosen.name)
        pages = _of_people(client, _read_pages(folder), partial)
        if not pages:
            result(as_json, {"files": []}, "No feedback pages to upload")
            return
        grades = check_table(client, chosen, sheet, Upload()).accepted() if sheet else ()
        if dry_run:
            names = [f"  {name}" for name in pages]
            said = "\n".join([f"Would upload {len(pages)} feedback page(s) to {chosen.name!r}", *names])
            result(as_json, {"files": list(pages)}, said)
            return
        if not yes and sys.stdin.isatty():
            for name in pages:
                note(f"  {name}")
            also = f" and {counted(len(grades), 'grade')}" if grades else ""
            if not is_sure(f"Upload {counted(len(pages), 'feedback page')}{also} to {chosen.name!r}?"):
                raise MograderError("nothing was uploaded")
        stored = client.upload_feedback(chosen.name, pages)
        if grades:
            client.upload_grades(chosen.name, grades)
    also = f" and {len(grades)} grade(s)" if grades else ""
    result(as_json, stored, f"Uploaded {len(pages)} feedback page(s){also} to {chosen.name!r}")


def _read_pages(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise MograderError(f"the folder {folder} does not exist")
    found: dict[str, Path] = {}
    others = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not is_page(path.name) or path.is_dir():
            others.append(f"{path.name}/" if path.is_dir() else path.name)
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            raise MograderError(f"{path} is a link that leads outside {folder}: nothing was sent")
        try:
            name = f"{parse_owner(path.stem)}.html"
        except BadName as error:
            raise MograderError(f"{path}: {error.message}") from None
        if name in found:
            raise MograderError(f"{found[name]} and {path} are two pages for {path.stem!r}: keep one of them")
        found[name] = path
    if others:
        note(f"warning: not sent, as they are no pages called USER.html: {some_of(others)}")
    if not found:
        raise MograderError(f"no feedback pages (<user>.html) in {folder}")
    return {name: read_foreign(path) for name, path in found.items()}
