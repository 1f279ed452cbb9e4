"""`mograder roster`: who is in the course; on the served folder itself, or over HTTP as an instructor."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mograder.cli.arguments import as_typed, read_table
from mograder.cli.connect import Server, course_option, reads_from_a_server
from mograder.cli.connect import somewhere as at
from mograder.cli.local import LocalCourse
from mograder.cli.output import note, table, tell_json
from mograder.client.client import Client, known
from mograder.domain.access import Role
from mograder.domain.errors import BadRequest
from mograder.domain.names import Username, parse_new_username
from mograder.wire import messages

if TYPE_CHECKING:
    from mograder.tables.people import Member
    from mograder.tables.rosters import RosterChanges, RosterTable

_ROLES = click.Choice([role.value for role in Role])


def _somewhere(command: Callable[..., list[messages.RosterEntry]]) -> Callable[..., None]:
    """Adds --course, the options of a server, and --json; the command gets `place` and returns what to show."""

    @course_option
    @reads_from_a_server
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    @functools.wraps(command)
    def somewhere(course: Path | str | None, server: Server, as_json: bool, **rest: Any) -> None:
        with at(course, server) as place:
            entries = command(place=place, **rest)
        _show(entries, as_json)

    return somewhere


def _show(entries: Sequence[messages.RosterEntry], as_json: bool) -> None:
    if as_json:
        tell_json(entries)
        return
    codes = [known(each.code) or "" for each in entries]
    rows = [(each.user, each.name, each.role.value, each.state) for each in entries]
    if any(codes):
        table(("User", "Name", "Role", "State", "Code"), [(*row, code) for row, code in zip(rows, codes, strict=True)])
        note("codes are shown only now; each registers its own user name, once: mograder https login --user USER")
    else:
        table(("User", "Name", "Role", "State"), rows)


def _name(_context: click.Context, _parameter: click.Parameter, text: str) -> Username:
    with as_typed():
        return parse_new_username(text)


_user = click.argument("user", callback=_name)


@click.group()
def roster() -> None:
    """Say who is in the course, hand out personal codes, and revoke tokens.

    With --course it works on the folder that is served, while a server runs or not; otherwise over HTTP, with an
    instructor's token, found as for mograder https. A personal code registers its own name and no other, once.

    \b
    Examples:
      mograder roster import students.csv --course course/release/
      mograder roster list --url https://course.example.org
      mograder roster reset alice
    """


@roster.command(name="list", short_help="List everybody.")
@_somewhere
def list_command(place: LocalCourse | Client) -> list[messages.RosterEntry]:
    """List everybody: user name, name, role, and whether the name is claimed.

    \b
    Example:
      mograder roster list --course course/release/
    """
    return place.roster()


@roster.command()
@_user
@click.option("--name", default="", help="What people call them.")
@click.option("--role", type=_ROLES, default=Role.STUDENT.value, show_default=True, help="What they may do.")
@_somewhere
def add(place: LocalCourse | Client, user: Username, name: str, role: str) -> list[messages.RosterEntry]:
    """Add USER and print the personal code. A user who is there already is not changed and gets none: see reset.

    \b
    Examples:
      mograder roster add alice --name "Alice Ames"
      mograder roster add tom --role instructor
    """
    return place.add_people([messages.NewPerson(user, name, Role(role))])


@roster.command(name="import", short_help="Add everybody in FILE, a list as other systems export it.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--encoding", default="", metavar="NAME", help="What the file is in, if it is not UTF-8.")
@click.option("--dry-run", is_flag=True, help="Say who is new, gone and renamed, and add nobody.")
@_somewhere
def import_command(place: LocalCourse | Client, file: Path, encoding: str, dry_run: bool) -> list[messages.RosterEntry]:
    """Add everybody in FILE, or nobody if a line is wrong; print each one's personal code.

    Takes our own lists and those of Canvas, Moodle, Gradescope, nbgrader, Autolab, Classroom 50 and GitHub Classroom,
    as CSV or .xlsx. The user name is the column username or SIS Login ID, else student_id, else the e-mail address; the
    name is name, or first_name and last_name. Import a longer list later: who is there already stays as they are.

    \b
    Examples:
      mograder roster import students.csv --course course/release/ --dry-run
      mograder roster import students.csv --course course/release/ --json > codes.json
    """
    from mograder.tables.rosters import compare_rosters

    found = _read_list(file, encoding)
    there = place.roster()
    members = [_member(each) for each in there if each.role is Role.STUDENT]
    changes = compare_rosters(found, members, frozenset(each.user for each in there if each.state == "removed"))
    for line in (*found.notes, *_in_words(changes)):
        note(line)
    renamed = {each.new.username for each in changes.renamed}
    people = [each for each in found.accepted() if each.username not in renamed]
    if dry_run:
        return [messages.RosterEntry(each.username, each.name, Role.STUDENT, "new") for each in changes.new]
    return place.add_people([messages.NewPerson(each.username, each.name, each.role) for each in people])


def _read_list(file: Path, encoding: str) -> RosterTable:
    """Raises Usage when the encoding would be a guess, BadRequest naming the line at fault."""
    from mograder.tables.rosters import read_roster

    sheet = read_table(file, encoding)
    try:
        found = read_roster(sheet)
        found.accepted()
    except BadRequest as error:
        raise BadRequest(f"{file}: {error.message}") from None
    return found


def _member(entry: messages.RosterEntry) -> Member:
    from mograder.tables.people import Member

    return Member(entry.user, entry.name, entry.user if "@" in entry.user else "")


def _in_words(changes: RosterChanges) -> list[str]:
    """What the list changes, for the person who imports it."""
    lines = [f"{each.old.username} is {each.new.username} in the list: not added again" for each in changes.renamed]
    back = "{0} was removed and stays so: 'mograder roster reset {0}' brings back"
    lines += [back.format(each.username) for each in changes.back]
    if changes.gone:
        names = ", ".join(each.username for each in changes.gone[:10])
        more = f" and {len(changes.gone) - 10} more" if len(changes.gone) > 10 else ""
        lines.append(f"not in the list, and left on the roster: {names}{more}")
    kept = changes.same + len(changes.updated)
    return [*lines, f"{len(changes.new)} new, {kept} on the roster already, {len(changes.gone)} not in the list"]


@roster.command(short_help="Revoke USER's token and print a new personal code.")
@_user
@_somewhere
def reset(place: LocalCourse | Client, user: Username) -> list[messages.RosterEntry]:
    """Revoke USER's token and print a new personal code: for a lost token, or one in the wrong hands.

    Brings back who was removed.

    \b
    Example:
      mograder roster reset alice
    """
    return [place.reset(user)]


@roster.command()
@_user
@click.argument("role", type=_ROLES)
@_somewhere
def role(place: LocalCourse | Client, user: Username, role: str) -> list[messages.RosterEntry]:
    """Make USER an instructor, or a student again. The token stays; the audit log names who did what.

    \b
    Example:
      mograder roster role tom instructor
    """
    return [place.set_role(user, Role(role))]


@roster.command()
@_user
@_somewhere
def remove(place: LocalCourse | Client, user: Username) -> list[messages.RosterEntry]:
    """Revoke USER's token for good. Submissions stay, and nobody else can claim the name.

    \b
    Example:
      mograder roster remove alice
    """
    return [place.remove(user)]
