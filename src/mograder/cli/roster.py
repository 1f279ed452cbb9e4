"""`mograder roster`: who is in the course; on the served folder itself, or over HTTP as an instructor."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mograder.cli.arguments import IN_FILE, OUT_FILE, as_typed, read_table
from mograder.cli.connect import Server, course_option, reads_from_a_server
from mograder.cli.connect import somewhere as at
from mograder.cli.local import LocalCourse
from mograder.cli.output import STDOUT, is_sure, note, table, tell, tell_json, writing
from mograder.cli.people import in_section, member_of, section_option
from mograder.client.client import Client, known
from mograder.domain.access import Account, Role
from mograder.domain.errors import BadRequest, MograderError, Usage
from mograder.domain.names import Username, counted, parse_new_username, some_of
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


_STATES = {"claimed": "registered", "unclaimed": "has a personal code"}
"""The protocol's states in the words of the page."""


def _show(entries: Sequence[messages.RosterEntry], as_json: bool) -> None:
    if as_json:
        tell_json(entries)
    if as_json or not entries:
        return
    columns = {
        "User": [each.user for each in entries],
        "Name": [each.name for each in entries],
        "Role": [each.role.value for each in entries],
        "State": [_STATES.get(each.state, each.state) for each in entries],
        "Sections": [", ".join(known(each.sections) or ()) for each in entries],
        "Code": [known(each.code) or "" for each in entries],
    }
    shown = [name for name, cells in columns.items() if name not in ("Sections", "Code") or any(cells)]
    table(shown, list(zip(*(columns[name] for name in shown), strict=True)))
    if "Code" in shown:
        note("codes are shown only now; each registers its own user name, once: mograder https login --user USER")


def _name(_context: click.Context, _parameter: click.Parameter, text: str) -> Username:
    with as_typed():
        return parse_new_username(text)


_user = click.argument("user", callback=_name)


@click.group()
def roster() -> None:
    """Manage the people of a course: personal codes, roles and tokens.

    With --course it works on the folder that is served, while a server runs or not; otherwise over HTTP, with an
    instructor's token, found as for mograder https. A personal code registers its own name and no other, once.

    \b
    Examples:
      mograder roster import students.csv --course course/release/
      mograder roster list --url https://course.example.org
      mograder roster reset alice
    """


@roster.command(name="list", short_help="List everybody.")
@section_option
@_somewhere
def list_command(place: LocalCourse | Client, section: str) -> list[messages.RosterEntry]:
    """List everybody: user name, name, role, sections, and whether the name is claimed.

    \b
    Examples:
      mograder roster list --course course/release/
      mograder roster list --section "Sec 1"
    """
    found = in_section(place.roster(), section)
    if not found:
        note("nobody is on the roster, and nobody has joined")
    return found


@roster.command()
@_user
@click.option("--name", default="", help="Their name.")
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
@click.argument("file", type=IN_FILE)
@click.option("--encoding", default="", metavar="NAME", help="The encoding of the file, if it is not UTF-8.")
@click.option("--drop", is_flag=True, help="Remove students who are not in FILE. Their work stays.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask first.")
@click.option("--dry-run", is_flag=True, help="Say who is new, gone and renamed, and change nothing.")
@_somewhere
def import_command(
    place: LocalCourse | Client, file: Path, encoding: str, drop: bool, yes: bool, dry_run: bool
) -> list[messages.RosterEntry]:
    """Add everybody in FILE, or nobody if a line is wrong; print each one's personal code.

    Takes our own lists and those of Canvas, Moodle, Gradescope, nbgrader, Autolab, Classroom 50 and GitHub Classroom,
    as CSV or .xlsx. The user name is the column username or SIS Login ID, else student_id, else the e-mail address; the
    name is name, or first_name and last_name. E-mail addresses, sections and ids are kept, and updated when you import
    a newer list. The changes are shown first; on a terminal you are asked.

    \b
    Examples:
      mograder roster import students.csv --course course/release/ --dry-run
      mograder roster import students.csv --course course/release/ --json > codes.json
    """
    found = _read_list(file, encoding)
    changes = _changes(place.roster(), found)
    for line in (*found.notes, *_in_words(changes, drop)):
        note(line)
    people, gone = changes.people, [each.username for each in changes.gone] if drop else []
    if dry_run:
        return [_would_be(each) for each in changes.new]
    if not people and not gone:
        return []
    if not yes and sys.stdin.isatty() and not is_sure("Change the roster so?"):
        raise MograderError("nothing was changed")
    return place.add_people(map(messages.new_person, people), update=True, remove=gone)


@roster.command(name="export", short_help="Write everybody as a table that roster import reads.")
@click.option("-o", "--output", type=OUT_FILE, help="The file. [default: stdout]")
@section_option
@course_option
@reads_from_a_server
def export_command(output: Path | None, section: str, course: Path | str | None, server: Server) -> None:
    """Write everybody who was not removed as CSV: user name, name, e-mail address, sections, ids of other systems.

    \b
    Example:
      mograder roster export -o roster.csv
    """
    from mograder.tables.rosters import write_roster

    with at(course, server) as place:
        entries = in_section(place.roster(), section)
    content = write_roster(member_of(each) for each in entries if each.state != "removed")
    with writing(output or STDOUT) as file:
        file.write(content)
    if output not in (None, STDOUT):
        tell(f"The roster is in {output}")


def _would_be(member: Member) -> messages.RosterEntry:
    return messages.roster_entry(member.person.merged_into(Account(Username(member.username))))


def _changes(entries: Sequence[messages.RosterEntry], found: RosterTable) -> RosterChanges:
    from mograder.tables.rosters import compare_rosters

    removed = frozenset(each.user for each in entries if each.state == "removed")
    staff = frozenset(each.user for each in entries if each.role is not Role.STUDENT)
    return compare_rosters(found, list(map(member_of, entries)), removed, staff)


def _read_list(file: Path, encoding: str) -> RosterTable:
    """The list in a file. Raises Usage when the encoding would be a guess, and BadRequest, which names the line."""
    from mograder.tables.rosters import read_roster

    sheet = read_table(file, encoding)
    try:
        found = read_roster(sheet)
        found.accepted()
    except BadRequest as error:
        raise BadRequest(f"{file}: {error.message}") from None
    return found


def _in_words(changes: RosterChanges, drop: bool) -> list[str]:
    """What the list changes, for the person who imports it."""
    lines = [f"{each.old.username} is {each.new.username} in the list: stays {each.old.username}"
             for each in changes.renamed]  # fmt: skip
    back = "{0} was removed and stays so: 'mograder roster reset {0}' brings the person back"
    lines += [back.format(each.username) for each in changes.back]
    if changes.updated:
        lines.append(f"with other details in the list: {_some(each.old for each in changes.updated)}")
    if changes.gone:
        done = "removed, their work stays" if drop else "left on the roster (--drop removes)"
        lines.append(f"not in the list, and {done}: {_some(changes.gone)}")
    kept = changes.same + len(changes.updated) + len(changes.renamed)
    return [*lines, f"{len(changes.new)} new, {kept} on the roster already, {len(changes.gone)} not in the list"]


def _some(members: Iterable[Member]) -> str:
    return some_of([each.username for each in members])


@roster.command(short_help="Revoke USER's token and print a new personal code.")
@_user
@_somewhere
def reset(place: LocalCourse | Client, user: Username) -> list[messages.RosterEntry]:
    """Revoke USER's token and print a new personal code: for a lost token, or one in the wrong hands.

    A removed person is back in the course after it.

    \b
    Example:
      mograder roster reset alice
    """
    return [place.reset(user)]


@roster.command(short_help="Revoke everybody's token, and write new personal codes as a table.")
@click.option("-o", "--output", type=OUT_FILE, help="The file. [default: stdout]")
@click.option("-y", "--yes", is_flag=True, help="Do not ask first.")
@course_option
@reads_from_a_server
def new_codes(output: Path | None, yes: bool, course: Path | str | None, server: Server) -> None:
    """Revoke the tokens and logins of everybody but yourself, and write new personal codes for a mail merge.

    Use it after mograder secret rotate, or when tokens have become known. The table is CSV with the columns username,
    name, email and code; only this table has the codes. Submissions and grades stay.

    \b
    Example:
      mograder roster new-codes -o codes.csv --course course/release/
    """
    from mograder.tables.export import to_csv

    if not yes:
        if not sys.stdin.isatty():
            raise Usage("this ends everybody's token and login: say so with --yes")
        if not is_sure("End everybody's token and login, and make new personal codes?"):
            raise MograderError("nothing was changed")
    with contextlib.ExitStack() as stack:
        # Opened first: codes that could be written nowhere would be lost.
        file = stack.enter_context(writing(output or STDOUT, shared=False))
        with at(course, server) as place:
            entries = place.reset_everybody()
        rows = [(each.user, each.name, known(each.email) or "", known(each.code) or "") for each in entries]
        file.write(to_csv([("username", "name", "email", "code"), *rows]))
    note(f"{counted(len(entries), 'new personal code')}" + (f" in {output}" if output not in (None, STDOUT) else ""))


@roster.command()
@_user
@click.argument("name")
@_somewhere
def rename(place: LocalCourse | Client, user: Username, name: str) -> list[messages.RosterEntry]:
    """Change the name of USER to NAME; "" removes it. The user name stays.

    \b
    Example:
      mograder roster rename alice "Alice Ames"
    """
    return [place.rename(user, name)]


@roster.command()
@_user
@click.argument("role", type=_ROLES)
@_somewhere
def role(place: LocalCourse | Client, user: Username, role: str) -> list[messages.RosterEntry]:
    """Make USER a student, a grader or an instructor. The token stays; the audit log names who did what.

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
