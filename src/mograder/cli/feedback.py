"""`mograder feedback`: pages and grades for students, from records, marks by hand and comments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mograder.cli.arguments import OUT_FILE, OUT_FOLDER
from mograder.cli.completion import local_names
from mograder.cli.output import check_stdout, json_option, note, writing, written
from mograder.config import utc_now
from mograder.domain.errors import MograderError
from mograder.domain.names import counted, some_of

if TYPE_CHECKING:
    from mograder.coursework.feedback import Returned
    from mograder.coursework.folders import Chosen


@click.command(short_help="Make a feedback page a student, and the table of grades.")
@click.argument("assignments", nargs=-1, required=True, metavar="ASSIGNMENT|PATH...", shell_complete=local_names)
@click.option(
    "-o", "--output-dir", type=OUT_FOLDER,
    help="Where pages go, in a folder for each assignment. [default: feedback/]",
)  # fmt: skip
@click.option("--grades-csv", type=OUT_FILE, help="Write the table of grades here, for upload.")
@click.option("--no-penalties", is_flag=True, help="Leave out what late work costs.")
@json_option
def feedback(
    assignments: tuple[str, ...], output_dir: Path | None, grades_csv: Path | None, no_penalties: bool, as_json: bool
) -> None:
    """Make feedback/ASSIGNMENT/USER.html for everybody whose submission was graded.

    Marks by hand and comments are in marks/ASSIGNMENT.csv, a table that mograder autograde creates. It has a column for
    each question that is marked by hand, where you may add other questions, and one called feedback. While a part is
    not marked yet, the grade is empty in the table of grades, and the page says what is missing.

    Late work costs what mograder.toml says for the assignment, or in [penalties]. The table of grades has the cost in
    columns of its own beside the mark.

    \b
    Examples:
      mograder feedback hw1
      mograder feedback hw1 --grades-csv grades.csv
      mograder https upload-feedback hw1 --grades-csv grades.csv
    """
    from mograder.client.files import write_file
    from mograder.client.trust import check_written_inside
    from mograder.coursework.folders import choose
    from mograder.coursework.rendering.tables import grades_table

    check_stdout(grades_csv, as_json)
    grades, failed, report = [], 0, []
    for chosen in choose(assignments, Path.cwd()):
        folder = (output_dir or chosen.folders.feedback) / chosen.assignment
        check_written_inside(output_dir or chosen.folders.course, folder / "user.html")
        if marked := chosen.folders.marked_in_browser(chosen.assignment):
            note(
                f"warning: {chosen.assignment}: what was marked in the browser, for {counted(marked, 'student')}, "
                "is not in these pages and grades: release it there"
            )
        for each in _returned(chosen, no_penalties):
            if each.problem:
                note(f"warning: {each.user}: {each.problem}")
            if each.grade is None:
                failed += 1
                continue
            grades.append(each.grade)
            write_file(folder / f"{each.user}.html", each.page.encode(), private=True)
            marks = each.grade.marks
            report.append({
                "assignment": chosen.assignment, "user": each.user, "mark": marks.total, "auto_mark": marks.automatic,
                "waiting": marks.waiting, "penalised_mark": each.grade.penalised,
                "page": str(folder / f"{each.user}.html"),
            })  # fmt: skip
    if grades_csv:
        with writing(grades_csv) as file:
            file.write(grades_table(grades).encode())
    waiting = sum(each.marks.total is None for each in grades)
    rest = f", {waiting} without a mark yet" if waiting else ""
    written(grades_csv, as_json, report, f"Made {counted(len(grades), 'feedback page')}{rest}")
    if failed:
        raise MograderError(f"{counted(failed, 'submission')} could not be given back")


def _returned(chosen: Chosen, no_penalties: bool) -> list[Returned]:
    from mograder.coursework.feedback import give_back, records_in, unknown_times

    signer, _ = chosen.folders.signer()
    records, wrong = records_in(chosen.folders.autograded / chosen.assignment, signer)
    users = {each.user for each in chosen.submissions}
    for user, problem in wrong.items():
        if user in users:
            note(f"warning: {chosen.assignment}/{user}.json: {problem}")
    costs = not no_penalties and chosen.folders.late_policy(chosen.assignment).penalties.enabled
    untimed = unknown_times(chosen.submissions) if costs and chosen.folders.last_due(chosen.assignment) else []
    if untimed:
        note(f"warning: it is unknown when {some_of(untimed)} submitted: no penalty is taken")
    return give_back(
        chosen.folders, chosen.assignment, chosen.submissions, records, now=utc_now(), with_penalties=not no_penalties
    )
