"""`mograder audit`: who did what in the course; on the served folder itself, or over HTTP as an instructor."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import islice
from pathlib import Path

import click

from mograder.cli.connect import Server, course_option, reads_from_a_server, somewhere
from mograder.cli.output import json_option, table, tell_json, when
from mograder.client.client import known

_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@click.command(short_help="Say who did what: the audit log.")
@click.option("--last", type=click.IntRange(1), default=100, show_default=True, help="How many lines.")
@click.option("--all", "everything", is_flag=True, help="Every line, from the beginning of the course on.")
@course_option
@reads_from_a_server
@json_option
def audit(last: int, everything: bool, course: Path | str | None, server: Server, as_json: bool) -> None:
    """Show who did what to whom or to what, newest first. Repeats within an hour are one line.

    With --course it works on the folder that is served, while a server runs or not; otherwise over HTTP, with an
    instructor's token, found as for mograder https.

    \b
    Examples:
      mograder audit
      mograder audit --all --json --course course/release/
    """
    with somewhere(course, server) as place:
        found = list(islice(place.events(), None if everything else last))
    if as_json:
        tell_json(found)
        return
    rows = []
    for each in found:
        count, first = known(each.count), known(each.first)
        repeats = f" ({count} times since {when(first, seconds=True)})" if count and first is not None else ""
        detail = _MOMENT.sub(_by_this_clock, each.detail)
        rows.append((when(each.moment, seconds=True), each.actor, each.action + repeats, each.subject, detail))
    table(("When", "Who", "What", "About", "Details"), rows)


def _by_this_clock(found: re.Match[str]) -> str:
    """A moment in UTC, shown as the other moments are."""
    try:
        return when(datetime.fromisoformat(found[0]).timestamp())
    except ValueError:  # not a moment: a person wrote it
        return found[0]
