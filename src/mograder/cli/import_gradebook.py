"""`mograder course import-gradebook`: reads a gradebook of the published toolchain, and lists its wrong totals."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mograder.cli.arguments import FOLDER
from mograder.cli.output import json_option, note, table, tell, tell_json
from mograder.domain.errors import MograderError
from mograder.domain.names import counted

if TYPE_CHECKING:
    from mograder.coursework.folders import GradingFolders
    from mograder.coursework.published_gradebook import Gradebook
    from mograder.domain.grading_record import GradingRecord


@click.command("import-gradebook", short_help="Read a published gradebook.db; list wrong totals.")
@click.argument("folder", type=FOLDER, default=".")
@click.option("--dry-run", is_flag=True, help="List what differs, and write nothing.")
@json_option
def import_gradebook(folder: Path, dry_run: bool, as_json: bool) -> None:
    """Bring marks by hand and comments from FOLDER/gradebook.db into its marks/ASSIGNMENT.csv.

    Every total is computed again, from the records that mograder autograde made, else from the results that the
    gradebook and its grading copies hold. Those that differ are listed, with the reason. What is in marks/ already is
    left as it is, and the gradebook is not changed. mograder feedback makes pages and grades from there.

    \b
    Example:
      mograder autograde hw1
      mograder course import-gradebook
      mograder feedback hw1 --grades-csv grades.csv
    """
    from mograder.coursework.folders import GradingFolders
    from mograder.coursework.published_gradebook import NAME, compare, read_gradebook

    folders = GradingFolders.of(folder)
    book = read_gradebook(folder / NAME)
    records, labels = _records(folders, book), _labels(folders, book)
    differences = list(compare(book, folder, records, labels))
    added = {} if dry_run else _bring_marks(folders, book)
    if as_json:
        tell_json({"submissions": len(book.rows), "differences": differences, "marks": added})
        return
    if differences:
        rows = [
            (each.assignment, each.student, each.what, _shown(each.theirs), _shown(each.ours, "?"), each.why)
            for each in differences
        ]  # fmt: skip
        table(("Assignment", "Student", "What", "Gradebook", "Should be", "Why"), rows)
    for path, count in added.items():
        note(f"  {path}: {counted(count, 'row')} of marks and comments")
    same = counted(len(differences), "total") + (" differs" if len(differences) == 1 else " differ")
    tell(f"{counted(len(book.rows), 'submission')} in {counted(len(book.questions), 'assignment')}: {same}")


def _shown(points: float | None, otherwise: str = "-") -> str:
    from mograder.domain.marks import in_words

    return otherwise if points is None else in_words(points)


def _records(folders: GradingFolders, book: Gradebook) -> dict[tuple[str, str], GradingRecord]:
    from mograder.coursework.feedback import records_in

    signer, _ = folders.signer()
    found = {}
    for assignment in book.questions:
        for user, record in records_in(folders.autograded / assignment, signer)[0].items():
            found[assignment, user] = record
    return found


def _labels(folders: GradingFolders, book: Gradebook) -> dict[str, frozenset[str]]:
    """The labels of the checks of each source that is there and can be read."""
    from mograder.notebook.cells import read_text
    from mograder.notebook.source import read_source

    found = {}
    for assignment in book.questions:
        with contextlib.suppress(MograderError):
            source = read_source(read_text(folders.find_source(assignment).read_bytes()), assignment)
            found[assignment] = frozenset(label for each in source.questions for label in each.labels)
    return found


def _bring_marks(folders: GradingFolders, book: Gradebook) -> dict[str, int]:
    """How many rows were added to each table of marks."""
    from mograder.coursework.feedback import load_marks, marks_file, save_marks
    from mograder.coursework.published_gradebook import given_of
    from mograder.domain.marks import NOTHING_GIVEN

    added = {}
    for assignment, questions in book.questions.items():
        path = marks_file(folders, assignment)
        held = load_marks(path, questions)
        new = {
            each.student: given_of(each, questions)
            for each in book.rows
            if each.assignment == assignment and held.get(each.student, NOTHING_GIVEN) == NOTHING_GIVEN
        }
        new = {student: given for student, given in new.items() if given != NOTHING_GIVEN}
        if new:
            save_marks(path, questions, {**held, **new})
            added[str(path)] = len(new)
    return added
