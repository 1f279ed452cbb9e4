"""`mograder https upload-feedback`: feedback pages from files, and the grades that go with them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from mograder.cli.arguments import read_table
from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, choose_exactly, sends_to_a_server
from mograder.cli.gradebook import Upload, check_table
from mograder.cli.output import json_option, note, result
from mograder.client.client import Client
from mograder.client.collecting import strangers
from mograder.client.settings import feedback_folder
from mograder.domain.errors import BadName, MograderError
from mograder.domain.names import parse_owner

_out_folder = click.Path(file_okay=False, path_type=Path)
_in_file = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)

NAMED = 10
"""How many names a warning lists at most."""


def _warn_of_strangers(client: Client, pages: Iterable[str]) -> None:
    """Before anything is sent: a page under a misspelt name is nobody's."""
    unknown = strangers(client, [each.removesuffix(".html") for each in pages])
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        names = ", ".join(unknown[:NAMED]) + more
        note(f"warning: nobody in the course is called {names}: correct the names, or let them register")


@click.command(name="upload-feedback")
@click.argument("assignment", shell_complete=assignment_names)
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
    sheet = read_table(grades_csv, None) if grades_csv else None
    with server.connect(changes=True) as (client, _):
        chosen = choose_exactly(client.assignments(), assignment)
        folder = feedback_dir or feedback_folder(Path(), chosen.name)
        pages = _read_pages(folder)
        _warn_of_strangers(client, pages)
        grades = check_table(client, chosen, sheet, Upload()).accepted(False) if sheet else ()
        if dry_run:
            names = [f"  {name}" for name in pages]
            said = "\n".join([f"Would upload {len(pages)} feedback page(s) to {chosen.name!r}", *names])
            result(as_json, {"files": list(pages)}, said)
            return
        stored = client.upload_feedback(chosen.name, pages)
        if grades:
            client.upload_grades(chosen.name, grades)
    also = f" and {len(grades)} grade(s)" if grades else ""
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
