"""`mograder https feedback`: the state of a person's work, its checks, grade and feedback."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from mograder.cli.arguments import OUT_FILE
from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, find, named, reads_from_a_server
from mograder.cli.output import STDOUT, check_stdout, json_option, lateness, note, when, writing, written
from mograder.client.client import known
from mograder.domain.errors import MograderError, NotFound
from mograder.domain.marks import in_words
from mograder.domain.names import INSTRUCTOR
from mograder.wire import messages

if TYPE_CHECKING:
    from mograder.client.client import Client


@click.command(short_help="Show the state, grade and feedback of your work.")
@click.argument("assignment", shell_complete=assignment_names)
@click.option("--user", help="Read this student's, as an instructor.")
@click.option("--wait", is_flag=True, help="Wait until your newest submission is graded.")
@click.option("-o", "--output", type=OUT_FILE, help="Write the feedback page here.")
@reads_from_a_server
@json_option
def feedback(
    assignment: str,
    user: str | None,
    wait: bool,
    output: Path | None,
    server: Server,
    as_json: bool,
) -> None:
    """Show whether your work for ASSIGNMENT was received, what its checks say, its grade and feedback.

    A result is signed by the course. It is kept in .mograder/results/ beside the receipt of the submission that was
    graded, if that is in this folder or in ASSIGNMENT/; mograder https verify checks both.

    \b
    Examples:
      mograder https feedback hw1
      mograder https feedback hw1 --wait
      mograder https feedback hw1 -o feedback.html
    """
    check_stdout(output, as_json)
    with server.connect(user) as (client, name):
        named(name, client.url)
        chosen = find(client, assignment, name)
        grading = _grading(client, chosen.name, name, wait)
        _keep_proof(client, chosen.name, grading)
        status = client.status(chosen.name, name)
        if output == STDOUT:
            with writing(output) as file:
                file.write(client.feedback(chosen.name, name))
        elif output:
            page = client.feedback(chosen.name, name)
            if output.exists() and output.read_bytes() != page:
                raise MograderError(f"{output} exists and differs: remove it, or name another file with -o")
            with writing(output) as file:
                file.write(page)
    lines = [f"Assignment: {chosen.name}", f"Status: {status.status}", *_times(status, name)]
    if status.graded:
        lines.append(f"Grade: {status.grade}")
        if known(status.again):
            lines.append("The submission that counts came after this grade: it is to be graded again.")
        if status.feedback:
            lines += ["Feedback:", *(f"  {line}" for line in status.feedback.splitlines())]
    else:
        by_machine = "The grade is not released yet." if grading.result else "Not yet graded."
        lines.append("No submission yet." if status.status == "new" else by_machine)
    lines += [*_progress(grading), *attempts_left(chosen, status)]
    written(
        output,
        as_json,
        {
            "assignment": chosen.name,
            "user": name,
            **msgspec.to_builtins(status, enc_hook=str),
            "grading": msgspec.to_builtins(grading, enc_hook=str),
        },
        "\n".join(lines),
    )
    if output == STDOUT:
        return
    if output:
        note(f"the feedback page is in {output}")
    elif status.feedback_available:
        note(f"there is a feedback page: mograder https feedback {shlex.quote(assignment)} -o feedback.html")


def _keep_proof(client: Client, assignment: str, grading: messages.GradingInfo) -> None:
    """Keep the signed result where the receipt of its submission is: here, or in the assignment's folder.

    Raises VerificationFailed when the course has not signed it.
    """
    from mograder.cli.proof import keep_if_ours
    from mograder.client.extract import folder_name
    from mograder.client.proof import KnownKeys

    signer = KnownKeys().find(client.url)
    if grading.result is None or not grading.result.statement or signer is None:
        return
    for home in (Path(), Path(folder_name(assignment))):
        if (home / ".mograder").is_dir():
            keep_if_ours(home, client.url, assignment, grading.result.statement, signer)


def attempts_left(assignment: messages.AssignmentInfo, status: messages.Status) -> list[str]:
    """A line on the submissions left in this hour, if their number is limited."""
    left = known(status.attempts_left)
    if left is None:
        return []
    if after := known(status.next_attempt):
        return [f"No submission is left in this hour: the next is taken at {when(after, seconds=True)}"]
    return [f"Submissions left in this hour: {left} of {known(assignment.per_hour) or left}"]


LOOK_SECONDS = 1.0
"""The pause of `--wait` between two requests."""


def _grading(client: Client, assignment: str, user: str, wait: bool) -> messages.GradingInfo:
    """How far the grading is, or with `wait` how it ended."""
    while True:
        try:
            found = client.result(assignment, user)
        except NotFound:  # a server that grades nothing
            return messages.GradingInfo("nothing")
        if not wait or found.state not in ("waiting", "running"):
            return found
        time.sleep(LOOK_SECONDS)


def _progress(grading: messages.GradingInfo) -> list[str]:
    """Lines on the state of grading and on each check."""
    lines = {
        "waiting": [f"Grading: submission {grading.attempt} waits, place {grading.place} in the queue"],
        "running": [f"Grading: submission {grading.attempt} is being graded"],
        "failed": [f"Grading: submission {grading.attempt} could not be graded, for a reason that is not yours"],
    }.get(grading.state, [])
    if (withheld := known(grading.withheld)) and grading.state == "graded":
        once = "your mark is released" if withheld == "after-release" else "it is due"
        lines.append(f"Grading: submission {grading.attempt} is graded; you see the result once {once}")
    if grading.error:
        lines.append(f"  {grading.error}")
    found = grading.result
    if found is None:
        return lines
    points = "" if found.points is None else f", {in_words(found.points)} of {in_words(found.possible)} points"
    lines.append(f"Checks of submission {found.attempt}: {found.summary}{points}")
    for question in found.questions:
        of = in_words(question.available)
        earned = f"marked by hand, {of}" if question.points is None else f"{in_words(question.points)} of {of}"
        lines.append(f"  {question.key or 'all'}: {earned} points")
        lines += [line for check in question.checks for line in _check(check)]
        if question.concealed:
            lines.append("    (there are hidden checks)")
    lines += [line for check in found.other_checks for line in _check(check)]
    for failure in found.failures:
        lines.append(f"  {failure.cell}{'' if failure.line is None else f', line {failure.line}'}: {failure.error}")
    return lines + [f"  {limit}" for limit in found.limits]


def _check(check: messages.CheckInfo) -> list[str]:
    mark = {"success": "passed", "partial": "in part", "danger": "failed", "warn": "waits"}
    return [f"    {mark.get(check.status, 'not run')}  {check.label}", *(f"      {each}" for each in check.messages)]


def _times(status: messages.Status, user: str) -> list[str]:
    """Lines on the due time, the extension, and the submission that counts."""
    lines = []
    if due := known(status.duedate):
        lines.append(f"Due: {when(due)}")
    if extension := known(status.extension):
        asked = known(extension.wanted)
        said = f" until {when(asked)}" if asked else ""
        lines.append(f"Extension: {extension.state}{said}" + (f": {extension.note}" if extension.note else ""))
    if received := known(status.received):
        by = known(status.by) or user
        marked = "" if by == user else f" (submitted for you by {'your instructor' if by == INSTRUCTOR else by})"
        lines.append(f"Received: {when(received, seconds=True)}{marked}")
        if due or known(status.late):
            days, penalty = known(status.days_late) or 0, known(status.penalty) or 0
            lines.append(f"L{lateness(due, days, penalty)[1:]}" if days else "On time")
    if known(status.rule) == "on-time":
        which = "your last submission, as none was on time" if known(status.late) else "your last submission on time"
        lines.append(f"What counts: {which} ({known(status.counts) or 'none yet'})")
    return lines
