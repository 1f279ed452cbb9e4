"""`mograder autograde`: grade submissions in a course folder, on this machine."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mograder.cli.arguments import IN_FILE, OUT_FILE, OUT_FOLDER, jobs_option
from mograder.cli.completion import local_names
from mograder.cli.output import STDOUT, check_stdout, clean, json_option, note, table, tell, tell_json, writing
from mograder.config import utc_now
from mograder.domain.errors import MograderError, Usage
from mograder.domain.names import counted

if TYPE_CHECKING:
    from mograder.coursework.autograding import Done
    from mograder.coursework.folders import Chosen
    from mograder.coursework.preparation import Wishes
    from mograder.domain.grading_record import GradingRecord

HARDEST = 5
"""The most questions that are named as those that most people missed."""

BAR = 40
"""Letters of the longest bar of the histogram."""


@click.command(short_help="Grade submissions: a signed record and a page for each.")
@click.argument("assignments", nargs=-1, metavar="[ASSIGNMENT|PATH]...", shell_complete=local_names)
@click.option("--source", type=IN_FILE, help="The notebook with solutions. [default: source/ASSIGNMENT/ASSIGNMENT.py]")
@click.option("--csv", "csv_file", type=OUT_FILE, help="Write a table of results here, a row a submission.")
@jobs_option
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Seconds that a submission may take."
)
@click.option("--max-memory", type=click.IntRange(1), metavar="MB", help="MiB of memory that a submission may use.")
@click.option(
    "-o",
    "--output-dir",
    type=OUT_FOLDER,
    help="Where records and pages go, in a folder for each assignment. [default: autograded/]",
)
@click.option("--twice", is_flag=True, help="Run each submission twice. What differs is named, and costs no points.")
@click.option("--force", is_flag=True, help="Grade everything again, also what has not changed.")
@click.option(
    "--no-sandbox", is_flag=True, help="Run submissions with all rights that you have: for files that you trust."
)
@json_option
def autograde(
    assignments: tuple[str, ...], source: Path | None, csv_file: Path | None, jobs: int, timeout: float | None,
    max_memory: int | None, output_dir: Path | None, twice: bool, force: bool, no_sandbox: bool, as_json: bool,
) -> None:  # fmt: skip
    """Grade the submissions of each ASSIGNMENT in submitted/, or those at each PATH; by default of all assignments.

    A submission is graded when it is new, or when it or the tests have changed. Each gets a signed record,
    autograded/ASSIGNMENT/USER.json, and a page to read, USER.html; checks.csv has every check of everybody. Where
    questions are marked by hand, marks/ASSIGNMENT.csv is a table to fill in; nothing in it is ever changed.

    The exit code is 0 when everything could be graded, whatever the marks, and 1 when something could not be graded for
    a reason that is not the student's. The next run tries those again.

    \b
    Examples:
      mograder autograde hw1 -j 2
      mograder autograde hw1 --csv results.csv
      mograder autograde submitted/hw1/alice.py --force
    """
    from mograder.coursework.folders import choose
    from mograder.coursework.preparation import Wishes

    chosen = choose(assignments, Path.cwd())
    if source and len(chosen) > 1:
        raise Usage("--source goes with one assignment: name one")
    if no_sandbox:
        note("warning: --no-sandbox: what is in the submissions runs with all rights that you have on this machine")
    check_stdout(csv_file, as_json)
    limits = {"total_seconds": timeout, "memory_mb": max_memory}
    wishes = Wishes({name: each for name, each in limits.items() if each is not None}, jobs, not no_sandbox, twice)
    found = [done for each in chosen for done in _grade(each, source, output_dir, force, wishes)]
    if csv_file:
        _write_results(csv_file, [each.record for each in found])
    if as_json:
        tell_json([_plain(each) for each in found])
    elif csv_file != STDOUT:
        _tell(found)
    failed = [each for each in found if each.record.report.outcome == "our_failure"]
    if failed:
        raise MograderError(
            f"{counted(len(failed), 'submission')} could not be graded: {failed[0].record.report.error}"
        )


def _grade(chosen: Chosen, source: Path | None, output: Path | None, force: bool, wishes: Wishes) -> list[Done]:
    """Grade an assignment's submissions and write the tables about all of them. The results are sorted by name."""
    from mograder.client.files import write_file
    from mograder.client.trust import check_written_inside
    from mograder.coursework.autograding import grade_all
    from mograder.coursework.feedback import add_to_marks, load_marks, marks_file
    from mograder.coursework.preparation import prepare_assignment
    from mograder.coursework.rendering.tables import checks_table
    from mograder.domain.marks import NOTHING_GIVEN

    folders, assignment = chosen.folders, chosen.assignment
    folder, marks = (output or folders.autograded) / assignment, marks_file(folders, assignment)
    check_written_inside(output or folders.course, folder / "checks.csv")
    check_written_inside(folders.course, marks)
    signer, own = folders.signer()
    if not own:
        note(f"{assignment}: records are signed by this machine's key, {signer.public_keys()[0]['kid']}")
    with (
        prepare_assignment(folders, assignment, source, wishes) as prepared,
        _progress(assignment, len(chosen.submissions)) as step,
    ):
        given = load_marks(marks, prepared.questions)
        found = []
        for done in grade_all(
            prepared, chosen.submissions, folder, signer, jobs=wishes.jobs, force=force, now=utc_now,
            given=lambda user: given.get(user, NOTHING_GIVEN),
        ):  # fmt: skip
            found.append(done)
            step()
    found.sort(key=lambda each: each.record.username)
    write_file(folder / "checks.csv", checks_table(each.record for each in found).encode(), private=True)
    if any(each.manual for each in prepared.questions) and add_to_marks(
        marks, prepared.questions, [s.user for s in chosen.submissions]
    ):
        note(f"to be marked by hand: {marks}")
    return found


def _write_results(path: Path, records: Sequence[GradingRecord]) -> None:
    from mograder.coursework.rendering.tables import results_table

    with writing(path) as file:
        file.write(results_table(records).encode())


def _plain(done: Done) -> dict[str, object]:
    from mograder.wire.records import claims_of

    return {**claims_of(done.record), "new": done.new}


# the summary at the end


_OUTCOMES = {
    "graded": "graded", "code_failed": "their code failed", "limit": "limit reached", "our_failure": "our failure",
}  # fmt: skip


def _tell(found: Sequence[Done]) -> None:
    by_assignment: dict[str, list[Done]] = {}
    for each in found:
        by_assignment.setdefault(each.record.assignment, []).append(each)
    for assignment, group in by_assignment.items():
        records = [each.record for each in group]
        new = sum(each.new for each in group)
        unchanged = f", {len(group) - new} unchanged" if new < len(group) else ""
        tell(f"{assignment}: graded {counted(new, 'submission')}{unchanged}")
        table(("Student", "Points", "Outcome", "Cells failed", "Changed cells"), [_row(each) for each in records])
        counts = [(words, sum(each.report.outcome == name for each in records)) for name, words in _OUTCOMES.items()]
        tell("  ".join(f"{words}: {count}" for words, count in counts))
        _histogram(records)
        _hardest(records)
        flaky = {label for each in records for label in each.report.flaky}
        if flaky:
            tell(f"came out differently in two runs: {', '.join(sorted(flaky))}")


def _row(record: GradingRecord) -> tuple[str, ...]:
    from mograder.domain.disclosure import summary
    from mograder.domain.marks import in_words

    marks = record.marks
    points = "-" if marks.automatic is None else f"{in_words(marks.automatic)}/{in_words(marks.possible_automatic)}"
    said = record.report.error if record.report.outcome == "our_failure" else summary(record.report)
    failed, changed = len(record.report.failures), len(record.report.changed_cells)
    return record.username, points, said, str(failed) if failed else "", str(changed) if changed else ""


def _histogram(records: Sequence[GradingRecord]) -> None:
    from mograder.domain.grade_statistics import spread
    from mograder.domain.marks import in_words

    marks = [each.marks for each in records]
    grades = [in_words(each.automatic) for each in marks if each.automatic is not None]
    found = spread(grades, max((each.possible_automatic for each in marks), default=0.0)) if len(grades) > 1 else None
    if found is None:
        return
    tell(f"points: mean {found.mean:.1f}, median {found.median:g}")
    most = max(each.count for each in found.bins)
    for each in found.bins:
        bar = "#" * -(-each.count * BAR // most)
        tell(f"  {each.low:6.1f} - {each.high:6.1f}  {each.count:4}  {bar}".rstrip())


def _hardest(records: Sequence[GradingRecord]) -> None:
    from mograder.coursework.autograding import hardest

    missed = [each for each in hardest(records) if each.missed][:HARDEST]
    if len(records) > 1 and missed:
        words = (f"{each.key} ({each.part} in part, {each.none} not at all)" for each in missed)
        tell(f"missed most: {', '.join(words)}")


@contextlib.contextmanager
def _progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr if that is a terminal. It gives a function to call after each submission."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(clean(label).replace("[", r"\["), total=total)
        yield lambda: bar.update(task, advance=1)
