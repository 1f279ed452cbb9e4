"""`mograder https feedback`: what became of a person's work, its grade and feedback."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, choose, named, reads_from_a_server
from mograder.cli.output import json_option, note, result, when
from mograder.client.client import known
from mograder.client.files import replacing
from mograder.domain.errors import MograderError
from mograder.wire import messages


@click.command(short_help="Show the state, grade and feedback of your work.")
@click.argument("assignment", shell_complete=assignment_names)
@click.option("--user", help="Read this student's, as an instructor.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the feedback page here.")
@reads_from_a_server
@json_option
def feedback(
    assignment: str,
    user: str | None,
    output: Path | None,
    server: Server,
    as_json: bool,
) -> None:
    """Show whether your work for ASSIGNMENT was received, its grade and feedback.

    \b
    Examples:
      mograder https feedback hw1
      mograder https feedback hw1 -o feedback.html
    """
    with server.connect(user) as (client, name):
        named(name, client.url)
        chosen = choose(client.assignments(), assignment)
        status = client.status(chosen.name, name)
        if output:
            page = client.feedback(chosen.name, name)
            if output.exists() and output.read_bytes() != page:
                raise MograderError(f"{output} is there and differs: remove it, or name another file with -o")
            with replacing(output) as file:
                file.write(page)
    lines = [f"Assignment: {chosen.name}", f"Status: {status.status}", *_times(status, name)]
    if status.graded:
        lines.append(f"Grade: {status.grade}")
        if status.feedback:
            lines += ["Feedback:", *(f"  {line}" for line in status.feedback.splitlines())]
    else:
        lines.append("No submission yet." if status.status == "new" else "Not yet graded.")
    result(
        as_json,
        {"assignment": chosen.name, "user": name, **msgspec.to_builtins(status, enc_hook=str)},
        "\n".join(lines),
    )
    if output:
        note(f"the feedback page is in {output}")
    elif status.feedback_available:
        note(f"there is a feedback page: mograder https feedback {chosen.name!r} -o feedback.html")


def _times(status: messages.Status, user: str) -> list[str]:
    """Due time, extension, and what is to be said of the submission that counts."""
    lines = []
    if due := known(status.duedate):
        lines.append(f"Due: {when(due)}")
    if extension := known(status.extension):
        asked = known(extension.wanted)
        said = f" until {when(asked)}" if asked else ""
        lines.append(f"Extension: {extension.state}{said}" + (f": {extension.note}" if extension.note else ""))
    if received := known(status.received):
        by = known(status.by) or user
        marked = "" if by == user else f" (submitted for you by {by})"
        lines.append(f"Received: {when(received, seconds=True)}{marked}")
        if due or known(status.late):
            lines.append(known(status.explanation) or "On time")
    if known(status.rule) == "on-time":
        which = "your last submission, as none was on time" if known(status.late) else "your last submission on time"
        lines.append(f"What counts: {which} ({known(status.counts) or 'none yet'})")
    return lines
