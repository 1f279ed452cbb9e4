"""`mograder regrade`: what new tests change for everybody, before it is in force."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mograder.cli.arguments import FOLDER, PLACE, jobs_option
from mograder.cli.completion import local_names
from mograder.cli.output import is_sure, json_option, note, table, tell, tell_json
from mograder.domain.errors import MograderError
from mograder.domain.names import Username, counted

if TYPE_CHECKING:
    from mograder.domain.regrading import Regraded


@click.command(short_help="Show what new tests change for everybody, and put it in force.")
@click.argument("assignment", shell_complete=local_names)
@click.option(
    "--course", "place", type=PLACE, default=".", metavar="FOLDER|URL", help="The course. [default: this folder]"
)
@click.option(
    "--sources",
    type=FOLDER,
    metavar="FOLDER",
    help="The folder with source/ and mograder.toml. [default: the course's]",
)
@click.option("--user", default="", metavar="NAME", help="Only this person.")
@click.option("--twice", is_flag=True, help="Run each submission twice. What differs is named, and costs no points.")
@click.option("--apply", "applied", is_flag=True, help="Put the new results in force, without asking.")
@jobs_option
@json_option
def regrade(
    assignment: str, place: Path | str, sources: Path | None, user: str, twice: bool, applied: bool, jobs: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Grade everybody's submission that counts for ASSIGNMENT again with the current tests, and show what changes.

    Nothing changes before you say yes, or give --apply. Then students see the new results. Earlier results stay in the
    history, and so do marks that were given by hand. Submissions that come in later are graded with the new tests.

    \b
    Examples:
      mograder regrade hw1
      mograder regrade hw1 --user alice --twice
      mograder regrade hw1 --course 'postgresql://db/mograder#stats101' --apply
    """
    from mograder.coursework.preparation import Wishes, prepare_assignment
    from mograder.coursework.regrading import regrade as grade_again
    from mograder.coursework.sources import sources_of
    from mograder.domain.access import COURSE_INSTRUCTOR
    from mograder.domain.grading_jobs import Announced
    from mograder.domain.regrade_jobs import ImportedGrading
    from mograder.factory import open_existing
    from mograder.signing import Ed25519Signer

    course = open_existing(place)
    try:
        chosen = course.release.assignment(COURSE_INSTRUCTOR, assignment)
        with contextlib.ExitStack() as stack:
            folders = stack.enter_context(sources_of(course, place, sources)).folders
            kept = course.store.jobs.readiness().get(chosen.name)
            wishes = Wishes({}, jobs, twice=twice, locked=kept)
            prepared = stack.enter_context(prepare_assignment(folders, chosen.name, None, wishes))
            assert isinstance(course.signer, Ed25519Signer), "the factory gives a course this signer"
            person = Username.parse(user) if user else None
            results = grade_again(course, chosen, prepared, jobs, person, course.signer)
            made = [result for result, _ in results]
            found = course.regrades.compare(chosen, made)
            tests = prepared.tested.tests
        new = sum(each.is_new for each in found)
        if as_json:
            tell_json([_plain(each) for each in found])
        else:
            _tell(found)
        if not new:
            note("nothing to apply: every result in force was made with these tests")
        elif applied or (sys.stdin.isatty() and is_sure("Put the new results in force?")):
            announced = Announced(tests, folders.file.grading_rules(chosen.name).hidden)
            imported = ImportedGrading(announced, {result.receipt: notebook for result, notebook in results})
            course.regrades.apply_imported(COURSE_INSTRUCTOR, chosen, made, found, imported)
            note(f"{counted(new, 'new result')} {'is' if new == 1 else 'are'} in force")
        else:
            note("nothing was changed: --apply puts the new results in force")
    finally:
        course.close()
    failed = [each for each in found if each.failed]
    if failed:
        raise MograderError(f"{len(failed)} could not be graded: {failed[0].new.report.error}")


def _plain(each: Regraded) -> dict[str, object]:
    return {
        "user": each.username,
        "receipt": each.receipt,
        "old": None if each.old is None else each.old.points,
        "new": each.new.points,
        "change": each.change,
        "questions": [{"key": one.key, "old": one.old, "new": one.new} for one in each.questions],
        "flaky": list(each.new.report.flaky),
        "letters": [each.old_letter, each.new_letter],
        "outcome": each.new.report.outcome,
        "is_new": each.is_new,
    }


def _tell(found: Sequence[Regraded]) -> None:
    from mograder.domain.regrading import in_words

    rows = [_row(each) for each in found if each.says_something]
    if rows:
        table(("Student", "Before", "Now", "Change", "Questions"), rows)
    tell(in_words(found))


def _row(each: Regraded) -> tuple[str, ...]:
    before = None if each.old is None else each.old.points
    questions = ", ".join(f"{one.key or 'all'}: {_points(one.old)} -> {_points(one.new)}" for one in each.questions)
    flaky = f"differs between two runs: {', '.join(each.new.report.flaky)}" if each.new.report.flaky else ""
    letter = f"letter {each.old_letter or '-'} -> {each.new_letter or '-'}" if each.changes_letter else ""
    said = each.new.report.error if each.failed else "; ".join(filter(None, (questions, letter, flaky)))
    change = f"{each.change:+g}" if each.change else ""
    return each.username, _points(before), _points(each.new.points), change, said


def _points(points: float | None) -> str:
    return "-" if points is None else f"{points:g}"
