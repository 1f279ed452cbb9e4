"""`mograder course adopt`: brings over a course that the published server served, in its own folder."""

from __future__ import annotations

from pathlib import Path

import click

from mograder.cli.arguments import FOLDER
from mograder.cli.output import json_option, note, result
from mograder.domain.names import counted


@click.command(short_help="Bring over a course that the published server served.")
@click.argument("folder", type=FOLDER)
@json_option
def adopt(folder: Path, as_json: bool) -> None:
    """Bring over the work of a course that the published server served. FOLDER is the folder that serve is given.

    That server keeps submissions beside what students download (hw1/alice_20260310T200800.py). Each becomes a
    submission of this course with a receipt. The receipt says when it was submitted, as its file name has it, and when
    an instructor brought it over. Grades and feedback stay where they are, and are read there. The originals are moved
    into the hidden folder .adopted; files that are not understood stay, and are named. Running it again does no harm.

    \b
    Example:
      mograder course adopt course/release/
    """
    from mograder.factory import adopt_course

    done = adopt_course(folder, note)
    for each in done.left:
        note(f"warning: left where it is: {each}")
    said = (
        f"Brought over {counted(done.submissions, 'submission')} of "
        f"{counted(done.people, 'person', 'people')}, with receipts; in place: {counted(done.grades, 'table')} of "
        f"grades, {counted(done.feedback, 'feedback page')}"
    )
    result(as_json, done, said)
