"""`mograder generate`: releases from sources, checked before anything is written."""

from __future__ import annotations

from pathlib import Path

import click

from mograder.cli.arguments import OUT_FOLDER
from mograder.cli.completion import local_names
from mograder.cli.output import note, tell
from mograder.coursework.releasing import (
    BadSource,
    Planned,
    find_sources,
    plan,
    release_folder,
    summary,
    target_of,
    write,
)
from mograder.domain.errors import MograderError, Usage


@click.command(short_help="Make the release of an assignment from its source.")
@click.argument("assignments", nargs=-1, required=True, metavar="ASSIGNMENT|PATH…", shell_complete=local_names)
@click.option("-o", "--output-dir", type=OUT_FOLDER, help="Write releases here. "
              "[default: the course's release folder]")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--validate", "only_markers", is_flag=True, help="Only check the markers in the sources.")
@click.option("--no-validate", "no_run", is_flag=True, help="Do not run source and release before writing.")
@click.option(
    "--submit-url", default="", metavar="URL", help="Add cells to each notebook that submit it to this server."
)
@click.option("--lecture", is_flag=True, help="Make lectures: no checks, no hashes, the slide layout taken out.")
@click.option("--files/--flat", "in_files", default=None, help="Write ASSIGNMENT/files/FILE, as `serve` wants it, "
              "or ASSIGNMENT/FILE. [default: as the release folder has it, else flat]")  # fmt: skip
@click.pass_context
def generate(
    context: click.Context, assignments: tuple[str, ...], output_dir: Path | None, dry_run: bool, only_markers: bool,
    no_run: bool, submit_url: str, lecture: bool, in_files: bool | None,
) -> None:  # fmt: skip
    """Write what students get: each source of ASSIGNMENT (source/ASSIGNMENT/*.py), or the notebook at PATH, without
    its solutions and hidden tests, and the other files beside it.

    Before that the source and the release are run in the sandbox: the source must get all points that checks give, and
    the release must leave something to do in every question. Nothing is written for an assignment where a marker does
    not fit or where a line of a solution or hidden test would be left.

    \b
    Examples:
      mograder generate hw1
      mograder generate hw1 hw2 --dry-run
      mograder generate source/hw1/hw1.py -o elsewhere/
    """
    if only_markers and no_run:
        raise Usage("--validate checks the markers alone, --no-validate leaves out the run: give one of them")
    course = Path()
    release = release_folder(course, output_dir)
    failed = False
    flat: list[Path] = []
    for found in find_sources(assignments, course):
        target = target_of(release, found.assignment, in_files=in_files)
        try:
            planned = plan(found, target, lecture=lecture, submit_url=submit_url)
        except BadSource as error:
            for line in error.lines:
                note(line)
            note(f"{found.assignment}: nothing was written")
            failed = True
            continue
        if only_markers:
            for made in planned.notebooks:
                tell(f"{made.path}: the markers fit ({summary(made)})")
        elif no_run or lecture or _passes_trial(course, planned):
            _write(planned, output_dir or course, dry_run)
            flat += [target] * (not dry_run and target.name != "files")
        else:
            failed = True
    if failed:
        context.exit(1)
    if flat and release == course / "release":
        note("to serve it: mograder serve . in this folder; for mograder serve release/, write it with --files")


def _passes_trial(course: Path, planned: Planned) -> bool:
    """Whether source and release pass the trial run. Prints what is wrong."""
    from mograder.coursework.folders import GradingFolders
    from mograder.coursework.trial import try_out

    passes = True
    for made in planned.notebooks:
        try:
            problems = try_out(GradingFolders.of(course), planned.assignment, made)
        except MograderError as error:
            raise Usage(f"{made.path} could not be tried out: {error.message}; --no-validate leaves that out") from None
        for problem in problems:
            note(f"{made.path}: {problem}")
        passes = passes and not problems
    if not passes:
        note(f"{planned.assignment}: nothing was written (--no-validate writes it all the same)")
    return passes


def _write(planned: Planned, home: Path, dry_run: bool) -> None:
    names = [planned.target / name for name in planned.files]
    if dry_run:
        for made in planned.notebooks:
            tell(f"{made.path}: would write {planned.target / made.path.name} ({summary(made)})")
        for path in names[len(planned.notebooks) :]:
            tell(f"would write {path}")
        return
    written = write(planned, home)
    for made in planned.notebooks:
        path = planned.target / made.path.name
        tell(f"{made.path}: {'wrote' if path in written else 'unchanged:'} {path} ({summary(made)})")
    for path in names[len(planned.notebooks) :]:
        tell(f"{'wrote' if path in written else 'unchanged:'} {path}")
