"""`mograder https upload-grades`, `export-grades` and `export-feedback`: grades as tables of other systems."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Struct

from mograder.cli.arguments import IN_FILE, OUT_FILE, read_table
from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, choose, choose_exactly, reads_from_a_server, sends_to_a_server
from mograder.cli.output import STDOUT, check_stdout, is_sure, json_option, note, result, writing, written
from mograder.cli.people import here, members_of, of_section, section_option
from mograder.client.client import Client, known
from mograder.client.extract import folder_name
from mograder.client.files import read_foreign
from mograder.domain.errors import BadRequest, MethodNotAllowed, MograderError, NetworkFailure, NotFound
from mograder.domain.grades import GradeEntry
from mograder.domain.names import counted, printable
from mograder.wire import messages

if TYPE_CHECKING:
    from mograder.tables.export import Exported, GradeSheet
    from mograder.tables.grades import GradeChange, GradeChanges, GradeTable
    from mograder.tables.headers import Labels
    from mograder.tables.people import Member
    from mograder.tables.sheet import Sheet


SHOWN = 40
"""The most changes that are shown before the question; --dry-run shows all."""

_encoding = click.option("--encoding", default="", metavar="NAME", help="The encoding of the file, if it is not UTF-8.")
_column = click.option("--column", default="", metavar="TITLE", help="The column of the grades, if it is not found.")


class Upload(Struct, frozen=True):
    """How a person wants a table to be read and checked."""

    column: str = ""
    encoding: str = ""
    allow_above: bool = False
    allow_text: bool = False
    clear_empty: bool = False


def _reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options for reading a table; the command gets them as `upload`."""
    import functools

    @_column
    @_encoding
    @click.option("--allow-above", is_flag=True, help="Take grades above the points of the assignment.")
    @click.option("--allow-text", is_flag=True, help="Take grades that are no numbers, such as A or pass.")
    @click.option("--clear-empty", is_flag=True, help="An empty cell removes the stored grade.")
    @functools.wraps(command)
    def with_upload(
        column: str, encoding: str, allow_above: bool, allow_text: bool, clear_empty: bool, **rest: object
    ) -> None:
        command(upload=Upload(column, encoding, allow_above, allow_text, clear_empty), **rest)

    return with_upload


@click.command(name="upload-grades", short_help="Upload grades from a table of any known system.")
@click.argument("assignment", shell_complete=assignment_names)
@click.option("--grades-csv", type=IN_FILE, required=True, help="The table: CSV or .xlsx.")
@_reading_options
@click.option("--partial", is_flag=True, help="Upload what can be, and leave out the rows with problems.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask first.")
@click.option("--dry-run", is_flag=True, help="Show each change, and send nothing.")
@sends_to_a_server
@json_option
def upload_grades(
    assignment: str, grades_csv: Path, upload: Upload, partial: bool, yes: bool, dry_run: bool, server: Server,
    as_json: bool,
) -> None:  # fmt: skip
    """Upload grades; students see them at once. Students who are not in the table keep theirs, and so do those whose
    cell is empty.

    Takes our own tables (username, grade, feedback), the exports of Canvas, Moodle, Gradescope and nbgrader, and .xlsx
    files of any of them. Of a table of several assignments the column with this one's name or title is read. Every
    change is shown first; on a terminal you are asked. A row about somebody unknown, with two grades, or with a grade
    that is no number or out of range stops all, unless you say --partial.

    \b
    Examples:
      mograder https upload-grades hw1 --grades-csv grades.csv
      mograder https upload-grades hw1 --grades-csv canvas-export.csv --dry-run
    """
    sheet = read_table(grades_csv, upload.encoding)
    if not sheet.rows:
        result(as_json, {"received": 0}, "No grades to upload")
        return
    with server.connect(changes=True) as (client, _):
        chosen = choose_exactly(client.assignments(), assignment)
        changes = check_table(client, chosen, sheet, upload)
        if dry_run:
            _show_dry_run(chosen, changes, partial, as_json)
            return
        entries = _accepted(changes, partial)
        if not entries:
            result(as_json, {"received": 0}, "No grades to upload")
            return
        if not yes and sys.stdin.isatty():
            for line in _lines(changes.changes[:SHOWN], len(changes.changes)):
                note(line)
            if not is_sure(f"Upload {counted(len(entries), 'grade')} to {chosen.name!r}?"):
                raise MograderError("nothing was uploaded")
        stored = client.upload_grades(chosen.name, entries)
    result(as_json, stored, f"Uploaded {len(entries)} grade(s) to {chosen.name!r}")


def check_table(client: Client, chosen: messages.AssignmentInfo, sheet: Sheet, upload: Upload) -> GradeChanges:
    """What the table changes on the server. Raises BadRequest."""
    from mograder.tables.formats import read_grades
    from mograder.tables.grades import GradeRules, check_grades

    table = read_grades(sheet, _labels(chosen), upload.column)
    members = members_of(client)
    rules = GradeRules(_points(client, chosen), upload.allow_above, upload.allow_text, upload.clear_empty)
    return check_grades(table, _named_in(table) if members is None else members, _stored(client, chosen), rules)


def _labels(chosen: messages.AssignmentInfo) -> Labels:
    from mograder.tables.headers import Labels

    return Labels(chosen.name, known(chosen.title) or "")


def _named_in(table: GradeTable) -> list[Member]:
    """Everybody in the table: a server without a roster cannot say who is unknown."""
    from mograder.tables.people import Kind, Member

    names = dict.fromkeys(key.value for row in table.rows for key in row.keys if key.kind in (Kind.USERNAME, Kind.ANY))
    return [Member(name) for name in names]


def _points(client: Client, chosen: messages.AssignmentInfo) -> float | None:
    try:
        points = known(client.rules(chosen.name).points)
    except (NotFound, MethodNotAllowed):
        return None
    try:
        return float(points) if points else None
    except ValueError:
        raise NetworkFailure(f"the server's answer cannot be understood: {printable(str(points))!r} points") from None


def _stored(client: Client, chosen: messages.AssignmentInfo) -> Sequence[GradeEntry]:
    try:
        return client.grades(chosen.name)
    except (NotFound, MethodNotAllowed):
        note("warning: this server does not say what is stored: every grade is shown as a new one")
        return ()


def _lines(changes: Iterable[GradeChange], total: int) -> list[str]:
    """Each change in words, and how many there are besides."""
    lines = []
    for each in changes:
        said = f"  {each.person}: {each.new or '-'}"
        if each.old is not None and each.old != each.new:
            said += f" (was {each.old})"
        said += ", with feedback" if each.new_feedback and each.new_feedback != each.old_feedback else ""
        said += ", released" if each.releases else ""
        lines.append(said)
    return [*lines, f"  and {total - len(lines)} more"] if total > len(lines) else lines


def _accepted(changes: GradeChanges, partial: bool) -> Sequence[GradeEntry]:
    """The grades to upload; prints the notes and problems. Raises BadRequest for problems, unless `partial`."""
    for each in changes.notes:
        note(f"note: {each}")
    for problem in changes.problems:
        note(f"left out: {problem}" if partial else f"problem: {problem}")
    if changes.problems and not partial:
        rows = counted(len(changes.problems), "row")
        raise BadRequest(
            f"nothing was uploaded, because of {rows}: correct the table, or upload the rest with --partial"
        )
    return changes.entries


def _show_dry_run(chosen: messages.AssignmentInfo, changes: GradeChanges, partial: bool, as_json: bool) -> None:
    """Raises BadRequest where the upload itself would."""
    if as_json:
        plain = msgspec.to_builtins(changes.changes)
        problems = [{"place": each.place, "trouble": each.trouble, "reason": each.reason} for each in changes.problems]
        result(True, {"changes": plain, "problems": problems, "notes": changes.notes, "same": changes.same}, "")
    else:
        count = len(changes.entries)
        lines = _lines(changes.changes, len(changes.changes))
        same = [f"  {counted(changes.same, 'grade')} as stored"] if changes.same else []
        result(False, None, "\n".join([f"Would upload {count} grade(s) to {chosen.name!r}", *lines, *same]))
    _accepted(changes, partial)


# exports


@click.command(name="export-grades", short_help="Write grades as the table that another system reads.")
@click.argument("assignment", shell_complete=assignment_names)
@click.option(
    "--format", "form", default="csv", show_default=True, help="Whose table to write.",
    type=click.Choice(["canvas", "moodle", "moodle-worksheet", "gradescope", "csv", "json", "xlsx"]),
)  # fmt: skip
@click.option("--template", type=IN_FILE, help="Your own export of that system: only our columns of it are filled.")
@click.option(
    "-o", "--output", type=OUT_FILE, help="The file to write. [default: ASSIGNMENT-grades.csv, -canvas.csv, …]"
)
@click.option("--penalised", is_flag=True, help="Write marks after late penalties, not the raw ones.")
@click.option("--drafts", is_flag=True, help="Write grades that students do not see yet, too.")
@section_option
@_column
@_encoding
@reads_from_a_server
@json_option
def export_grades(
    assignment: str, form: str, template: Path | None, output: Path | None, penalised: bool, drafts: bool, section: str,
    column: str, encoding: str, server: Server, as_json: bool,
) -> None:  # fmt: skip
    """Write everybody's grades as a table that Canvas, Moodle or Gradescope reads, or as CSV, JSON or .xlsx.

    With --template only the columns of the grade, the feedback and the questions change, and every other byte stays.
    People without a grade get an empty cell, never 0. People who are excused stay excused.

    \b
    Examples:
      mograder https export-grades hw1 --format canvas --template canvas-export.csv -o canvas-import.csv
      mograder https export-grades hw1 --format xlsx -o hw1.xlsx
    """
    from mograder.tables import export
    from mograder.tables.filling import fill_template

    check_stdout(output, as_json)
    with server.connect() as (client, _):
        chosen = choose(client.assignments(), assignment)
        sheet = _sheet(client, chosen, section)
    choices, wanted = export.Choices(penalised, drafts), export.ExportFormat(form)
    if template:
        exported = fill_template(sheet, wanted, choices, read_foreign(template, named=True), column, encoding)
    else:
        exported = export.export_grades(sheet, wanted, choices)
    target = _write(exported, output)
    given = sum(bool(choices.mark(each)) for each in sheet.grades)
    told = f"{given} grade(s)" if target == STDOUT else f"{given} grade(s) in {target}"
    written(target, as_json, {"file": str(target), "grades": given, "notes": exported.notes}, told)


def _write(exported: Exported, output: Path | None) -> Path:
    """Write an export and print its notes. Only a file that -o names may be overwritten."""
    target = output or Path(folder_name(exported.filename))
    if output is None and target.exists() and target.read_bytes() != exported.content:
        raise MograderError(f"{target} exists and differs: remove it, or name the file with -o")
    with writing(target) as file:
        file.write(exported.content)
    for each in exported.notes:
        note(f"note: {each}")
    return target


def _sheet(client: Client, chosen: messages.AssignmentInfo, section: str) -> GradeSheet:
    from mograder.tables.export import GradeSheet, Question, StudentGrade
    from mograder.tables.people import Member

    book = client.gradebook(chosen.name)
    grades = [
        StudentGrade.of(
            Member.known(each.user, each.name, each.email, each.sections, each.ids), each.grade, each.penalised,
            each.feedback, each.points, each.draft, known(each.received), each.late, each.version,
            bool(known(each.again)),
        )
        for each in of_section(book.people, section)
    ]  # fmt: skip
    questions = [Question(each.key, each.available) for each in book.questions]
    return GradeSheet(_labels(chosen), _points(client, chosen), tuple(grades), tuple(questions))


@click.command(name="export-feedback", short_help="Write the zip of feedback pages that Moodle takes.")
@click.argument("assignment", shell_complete=assignment_names)
@click.option("--worksheet", type=IN_FILE, required=True, help="Moodle's grading worksheet of the assignment.")
@click.option("-o", "--output", type=OUT_FILE, help="The file to write. [default: ASSIGNMENT-moodle-feedback.zip]")
@section_option
@_encoding
@reads_from_a_server
@json_option
def export_feedback(
    assignment: str, worksheet: Path, output: Path | None, section: str, encoding: str, server: Server, as_json: bool
) -> None:
    """Write everybody's feedback page as the zip that Moodle takes under "Upload multiple feedback files in a zip".

    \b
    Example:
      mograder https export-feedback hw1 --worksheet Grades-hw1.csv -o feedback.zip
    """
    from mograder.tables.moodle_zip import FeedbackPage, feedback_zip

    check_stdout(output, as_json)
    pages = []
    with server.connect() as (client, _):
        chosen = choose(client.assignments(), assignment)
        is_here = here(client, section)
        for member in members_of(client) or ():
            if not is_here(member.username):
                continue
            try:
                pages.append(FeedbackPage(member, client.feedback(chosen.name, member.username)))
            except NotFound:
                continue
    if not pages:
        raise MograderError(f"there are no feedback pages for {chosen.name!r}")
    exported = feedback_zip(read_foreign(worksheet, named=True), pages, _labels(chosen), encoding)
    target = _write(exported, output)
    told = {"file": str(target), "notes": exported.notes}
    written(target, as_json, told, f"{len(pages)} feedback page(s)" + (f" in {target}" if target != STDOUT else ""))
