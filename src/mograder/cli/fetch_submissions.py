"""`mograder https fetch-submissions`: everybody's work, into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from mograder.cli.arguments import OUT_FOLDER
from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, choose, reads_from_a_server
from mograder.cli.output import json_option, note, result
from mograder.cli.people import here, section_option
from mograder.client.collecting import collect
from mograder.client.settings import submissions_folder
from mograder.domain.errors import MograderError


@click.command(name="fetch-submissions", short_help="Download every student's submission that counts.")
@click.argument("assignment", shell_complete=assignment_names)
@click.option("-o", "--output-dir", type=OUT_FOLDER, help="Where they go. [default: submitted/ASSIGNMENT]")
@click.option(
    "--which",
    type=click.Choice(["counts", "latest", "on-time"]),
    default="counts",
    show_default=True,
    help="Each person's submission that counts in the course, the latest, or the last on time, if there is one.",
)
@section_option
@click.option("--force", is_flag=True, help="Download everything again.")
@reads_from_a_server
@json_option
def fetch_submissions(
    assignment: str,
    output_dir: Path | None,
    which: str,
    section: str,
    force: bool,
    server: Server,
    as_json: bool,
) -> None:
    """Download every student's submission that counts, as USER.py.

    Only new submissions are downloaded. Of a zip submission, the largest .py becomes USER.py, and all of it is unpacked
    into a folder USER.

    \b
    Example:
      mograder https fetch-submissions hw1 -o submitted/hw1/
    """
    with server.connect() as (client, _):
        chosen = choose(client.assignments(), assignment)
        folder = output_dir or submissions_folder(Path(), chosen.name)
        results = []
        for each in collect(client, chosen.name, folder, force, which, here(client, section)):
            results.append(each)
            if each.problem:
                note(f"warning: {each.user}: {each.problem}")
            elif each.new:
                note(f"  {each.user}" + (f": {each.late}" if each.late else ""))
    new = sum(each.new for each in results)
    unchanged = sum(not each.new and not each.problem for each in results)
    failed = sum(each.failed for each in results)
    rest = f", skipped {unchanged} unchanged" if unchanged else ""
    result(as_json, results, f"Downloaded {new} submission(s) in {folder}{rest}")
    if failed:
        raise MograderError(f"{failed} submission(s) could not be downloaded")
