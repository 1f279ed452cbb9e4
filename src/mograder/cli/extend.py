"""`mograder extend`: more time for single students; on the served folder itself, or over HTTP as an instructor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import click

from mograder.cli.arguments import IN_FILE, as_typed, read_table
from mograder.cli.connect import Server, course_option, reads_from_a_server, somewhere
from mograder.cli.output import json_option, note, table, tell_json, when
from mograder.client.client import known
from mograder.domain.deadlines import Schedule
from mograder.domain.errors import BadRequest, Usage
from mograder.domain.extensions import Decision, State, parse_until
from mograder.domain.names import counted
from mograder.wire import messages


@click.command(short_help="Give students more time.")
@click.argument("words", nargs=-1, metavar="[USER... ASSIGNMENT [UNTIL]]")
@click.option("--list", "listing", flag_value="all", help="List every extension that was asked for or given.")
@click.option("--requests", "listing", flag_value="asked", help="List what waits for an answer.")
@click.option("--grant", "decision", flag_value=Decision.GRANT.value, help="Grant what was asked for: no UNTIL.")
@click.option("--decline", "decision", flag_value=Decision.DECLINE.value, help="Decline what was asked for.")
@click.option("--withdraw", "decision", flag_value=Decision.WITHDRAW.value, help="Take an extension back.")
@click.option(
    "--csv",
    "list_file",
    type=IN_FILE,
    metavar="FILE",
    help="Extend everybody in FILE, with the columns username, assignment, until and reason; all or nobody.",
)
@click.option("--reason", default="", help="Why: it is in the audit log, and the student sees it.")
@course_option
@reads_from_a_server
@json_option
def extend(
    words: tuple[str, ...],
    listing: str | None,
    decision: str | None,
    list_file: Path | None,
    reason: str,
    course: Path | str | None,
    server: Server,
    as_json: bool,
) -> None:
    """Give students more time for an assignment: due, and open, until UNTIL.

    UNTIL is +3d (or +12h, +90m, +1w) after the due time, a date, or a date and time in the course's zone. Later
    extensions replace earlier ones. Whether earlier submissions are late is decided again.

    With --course it works on the folder that is served, while a server runs or not; otherwise over HTTP, with an
    instructor's token, found as for mograder https.

    \b
    Examples:
      mograder extend alice hw1 +3d --reason illness
      mograder extend alice bob hw1 2030-02-08T17:00
      mograder extend --requests
      mograder extend --grant alice hw1
      mograder extend --decline bob hw1 --reason "see the syllabus"
      mograder extend --withdraw alice hw1
      mograder extend --csv extensions.csv --course course/release/
    """
    if sum(map(bool, (listing, decision, list_file))) > 1 or (words and (listing or list_file)):
        raise Usage("give one of --list, --requests, --csv FILE, or USER... ASSIGNMENT with what is to be done")
    wanted = [] if listing else _read(list_file, reason) if list_file else _changes(words, decision, reason)
    with somewhere(course, server) as place:
        found = place.change_extensions(wanted) if wanted else place.extensions()
    if listing == "asked":
        found = [each for each in found if each.state == State.ASKED]
    _show(found, as_json, "nobody asks for more time" if listing == "asked" else "there are no extensions")


def _changes(words: Sequence[str], decision: str | None, reason: str) -> list[messages.ExtensionChange]:
    until = "" if decision else (words[-1] if words else "")
    rest = words if decision else words[:-1]
    if len(rest) < 2:
        raise Usage("say whom and what: USER... ASSIGNMENT" + ("" if decision else " UNTIL, such as alice hw1 +3d"))
    *users, assignment = rest
    check_until(until)
    what = Decision(decision or Decision.GRANT)
    return [messages.ExtensionChange(user, assignment, what, until, reason) for user in users]


def check_until(text: str) -> None:
    """Raises Usage unless `text` is a time for any assignment, or ""."""
    with as_typed():
        if text:
            parse_until(text, Schedule(due=0), UTC)


def _read(path: Path, reason: str) -> list[messages.ExtensionChange]:
    """The extensions in a table. Raises Usage and BadRequest."""
    sheet = read_table(path, None)
    wanted = ("username", "assignment", "until")
    missing = [name for name in wanted if not sheet.has(name)]
    if missing:
        raise BadRequest(
            f"{path} has no column {', '.join(sorted(missing))}: expected username, assignment, until, reason"
        )
    sheet.refuse_duplicate_columns()
    places = [sheet.find(name) for name in (*wanted, "reason")]
    changes = []
    for row in sheet.rows:
        if row.surplus:
            raise BadRequest(f"{path}: {row.place}: expected {counted(len(sheet.columns), 'cell')}")
        user, assignment, until, why = ("" if at is None else row.cells[at].strip() for at in places)
        if not until:
            raise BadRequest(f"{path}: {row.place}: has no time")
        changes.append(messages.ExtensionChange(user, assignment, Decision.GRANT, until, why or reason))
    if not changes:
        raise BadRequest(f"{path} names nobody")
    return changes


def _show(extensions: Sequence[messages.ExtensionInfo], as_json: bool, otherwise: str) -> None:
    if as_json:
        tell_json(extensions)
        return
    if not extensions:
        note(otherwise)
        return
    rows = []
    for each in extensions:
        until, wanted = (when(moment) if moment else "" for moment in (known(each.until), known(each.wanted)))
        rows.append((each.assignment, each.user, each.state, until, wanted, each.reason, each.note))
    columns = ("Assignment", "User", "State", "Due until", "Asked until", "Because", "Note")
    said = [at for at in range(len(columns)) if any(row[at] for row in rows)]
    table([columns[at] for at in said], [[row[at] for at in said] for row in rows])
