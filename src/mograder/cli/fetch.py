"""`mograder https fetch`: the files of an assignment, and the list of assignments."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import click

from mograder.cli.arguments import OUT_FOLDER
from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, find, reads_from_a_server
from mograder.cli.output import json_option, note, progress, result, table, tell_json, when
from mograder.client.client import known
from mograder.client.workspace import Outcome, fetch
from mograder.domain.errors import MograderError, Usage
from mograder.domain.names import printable
from mograder.wire import messages


@click.command(name="fetch", short_help="Download the files of ASSIGNMENT, or list what there is.")
@click.argument("assignment", required=False, shell_complete=assignment_names)
@click.option("--list", "list_only", is_flag=True, help="List the assignments and fetch nothing.")
@click.option("-o", "--output-dir", type=OUT_FOLDER, default=".", help="Where the files go. [default: here]")
@reads_from_a_server
@json_option
def fetch_command(
    assignment: str | None,
    list_only: bool,
    output_dir: Path,
    server: Server,
    as_json: bool,
) -> None:
    """Download the files of ASSIGNMENT: its name, its id, or a unique part of its name or title.

    A file that you have changed is never overwritten: a newer version is put beside it (homework.new.py). What is
    unchanged is not downloaded again; zip files are unpacked.

    \b
    Examples:
      mograder https fetch --list
      mograder https fetch hw1 -o hw1/
    """
    if assignment is None and not list_only:
        raise Usage("name an assignment, or give --list to see them")
    with server.connect() as (client, name):
        if assignment is None or list_only:
            _list(client.assignments(), as_json)
            return
        chosen = find(client, assignment, name)
        if not chosen.files:
            result(as_json, [], f"No files attached to assignment {chosen.name!r}")
            return
        fetched = []
        with progress(chosen.name) as bar:
            for file in fetch(client, chosen, output_dir, bar):
                fetched.append(file)
                note(_SAID[file.outcome].format(path=file.path))
    arrived = len({file.listed for file in fetched if file.outcome.arrived})
    missing = [file.listed for file in fetched if file.outcome is Outcome.NO_ADDRESS]
    skipped = len({file.listed for file in fetched}) - arrived - len(set(missing))
    files = [{"path": str(file.path), "outcome": file.outcome.value} for file in fetched]
    rest = f", skipped {skipped} unchanged" if skipped else ""
    result(as_json, files, f"Fetched {arrived} file(s) for {chosen.name!r}{rest}")
    if missing:
        raise MograderError(
            f"the server's list has no address for {', '.join(map(printable, missing))}: tell your instructor"
        )


_SAID = {
    Outcome.NEW: "  {path}",
    Outcome.UPDATED: "  {path}: a newer version",
    Outcome.UNCHANGED: "  {path}: unchanged",
    Outcome.KEPT: "  {path}: kept as you changed it",
    Outcome.NO_ADDRESS: "  {path}: not fetched: the server's list has no address for it",
    Outcome.BESIDE: "  {path}: the course's version, put beside yours, which has changes",
}


def _list(listing: Sequence[messages.AssignmentInfo], as_json: bool) -> None:
    if as_json:
        tell_json(listing)
        return
    titled = any(known(each.title) not in (None, "", each.name) for each in listing)
    rows = []
    for each in sorted(listing, key=lambda each: known(each.duedate) or math.inf):
        title = [known(each.title) or ""] if titled else []
        rows.append((each.id, each.name, *title, _due(each), str(len(each.files))))
    table(("ID", "Name", *(["Title"] if titled else []), "Due date", "Files"), rows)


def _due(assignment: messages.AssignmentInfo) -> str:
    moment, closes = known(assignment.duedate), known(assignment.closes)
    closed = ", closed" if closes and closes < time.time() else ""
    return f"{when(moment) if moment else 'No deadline'}{closed}"
