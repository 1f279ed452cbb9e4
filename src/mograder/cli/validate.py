"""`mograder validate`: runs a notebook's visible checks, and puts an instructor's cells back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import click

from mograder.cli.arguments import IN_FILE
from mograder.cli.completion import local_names
from mograder.cli.output import note, tell
from mograder.client.extract import folder_name
from mograder.client.files import read_foreign, write_file
from mograder.course_file import CONFIG_NAME, read_course_file
from mograder.coursework.releasing import is_name
from mograder.coursework.validation import Validation
from mograder.coursework.validation import validate as run_checks
from mograder.domain.errors import NotFound, NothingToCheck, Usage
from mograder.domain.names import counted
from mograder.domain.results import CheckStatus
from mograder.notebook import pep723
from mograder.notebook.cells import Notebook, NotebookError, parse, read_text, text_bytes
from mograder.notebook.fixing import fix
from mograder.notebook.hashes import changed_cells, missing_hashes

_WORDS = {
    CheckStatus.SUCCESS: "passed", CheckStatus.PARTIAL: "in part", CheckStatus.DANGER: "failed",
    CheckStatus.WARN: "waits", CheckStatus.NOT_RUN: "not run",
}  # fmt: skip


@click.command(short_help="Run a notebook's visible checks, and put an instructor's cells back.")
@click.argument("assignments", nargs=-1, required=True, metavar="ASSIGNMENT|PATH…", shell_complete=local_names)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=60, show_default=True,
              metavar="SECONDS", help="How long a notebook may run.")  # fmt: skip
@click.option("--fix", "fixing", is_flag=True, help="First put changed and missing cells of the instructor's back; the "
              "notebook as it was stays beside it as FILE.bak.")  # fmt: skip
@click.option("--release", type=IN_FILE, metavar="FILE",
              help="The notebook as it was given out. [default: the copy that fetching has kept]")  # fmt: skip
@click.pass_context
def validate(
    context: click.Context, assignments: tuple[str, ...], timeout: float, fixing: bool, release: Path | None
) -> None:
    """Run the checks of each notebook in this Python environment, and say what fails and whether an instructor's cell
    was changed. Hidden tests are not among them; no server is asked.

    ASSIGNMENT stands for source/ASSIGNMENT/ASSIGNMENT.py, ASSIGNMENT/ASSIGNMENT.py or ASSIGNMENT.py, whichever is
    there. The exit code is 0 when all checks pass, 1 when one does not, 8 when there is none.

    \b
    Examples:
      mograder validate hw1.py
      mograder validate --fix hw1.py
    """
    empty: list[str] = []
    failed = False
    for path in [_path(word) for word in assignments]:
        notebook = _read(path)
        pristine = _pristine(path, notebook, release)
        if fixing:
            notebook = _fixed(path, notebook, pristine)
        found = run_checks(notebook, path, timeout)
        _report(path, notebook, pristine, found)
        if not found.checks:
            empty.append(str(path))
        failed = failed or any(check.status is not CheckStatus.SUCCESS for check in found.checks)
    if failed:
        context.exit(1)
    if empty:
        raise NothingToCheck(f"there is no check in {', '.join(empty)}")


def _path(word: str) -> Path:
    if not is_name(word):
        if not Path(word).is_file():
            raise NotFound(f"there is no file {word}")
        return Path(word)
    source = Path(read_course_file(Path(CONFIG_NAME)).dirs.source or "source")
    tried = [source / word / f"{word}.py", Path(word, f"{word}.py"), Path(f"{word}.py")]
    for path in tried:
        if path.is_file():
            return path
    raise NotFound(f"there is no notebook of {word!r}: looked for {', '.join(map(str, tried))}")


def _read(path: Path) -> Notebook:
    try:
        return parse(read_text(read_foreign(path)))
    except NotebookError as error:
        raise NotebookError(f"{path}:{error.line or 1}: {error.reason}") from None


def _pristine(path: Path, notebook: Notebook, given: Path | None) -> Notebook | None:
    """The notebook as it was given out, where it can be found."""
    for place in [given] if given else _pristine_places(path, notebook):
        if place.is_file() and (given or place.resolve() != path.resolve()):
            return _read(place)
    return None


def _pristine_places(path: Path, notebook: Notebook) -> Iterator[Path]:
    """The copies that fetching has kept in .mograder/release/<assignment>/, then the course's own release."""
    try:
        assignment = pep723.read_facts(notebook.text).assignment
    except NotebookError:
        assignment = ""
    files = list(dict.fromkeys([path.name, f"{assignment}.py"]))
    for folder in list(path.resolve().parents)[:3]:
        kept = folder / ".mograder" / "release"
        inside = path.resolve().relative_to(folder)
        if assignment:
            yield kept / folder_name(assignment) / inside
            yield from (kept / folder_name(assignment) / inside.with_name(name) for name in files)
        elif kept.is_dir():
            found = [each / inside for each in sorted(kept.iterdir()) if (each / inside).is_file()]
            yield from found if len(found) == 1 else []
    if assignment:
        release = Path(read_course_file(Path(CONFIG_NAME)).dirs.release or "release") / assignment
        yield from (release / name for name in files)
        yield from (release / "files" / name for name in files)


def _fixed(path: Path, notebook: Notebook, pristine: Notebook | None) -> Notebook:
    if pristine is None:
        raise Usage(f"{path}: the notebook as it was given out is not here: fetch it again, or name it with --release")
    fixed = fix(notebook, pristine)
    if fixed.text == notebook.text:
        tell(f"{path}: no cell of the instructor's was changed")
        return notebook
    mended, before = parse(fixed.text), path.read_bytes()
    after = text_bytes(fixed.text, before)
    backup = next(
        place for n in count(1)
        if not (place := path.with_name(f"{path.name}.bak{n if n > 1 else ''}")).exists()
    )  # fmt: skip
    write_file(backup, before)
    write_file(path, after)
    tell(f"{path}: the notebook as it was is in {backup}")
    for name in fixed.restored:
        tell(f"  put back {name}")
    for name in fixed.removed:
        tell(f"  removed a second copy of {name}")
    for line in fixed.left:
        note(f"  {line}")
    return mended


def _report(path: Path, notebook: Notebook, pristine: Notebook | None, found: Validation) -> None:
    tell(f"{path}")
    for check in found.checks:
        tell(f"  {_WORDS[check.status]:8} {check.label}")
        for message in check.messages:
            tell(f"             {message}")
    for failure in found.failures:
        tell(f"  line {failure.line}, {failure.cell}: {failure.error}")
        for line in failure.traceback.splitlines():
            tell(f"      {line}")
    if found.unfinished:
        why = "the time was over while this cell ran" if found.out_of_time else "Python ended while this cell ran"
        tell(f"  {why}: {found.unfinished}")
    _tell_changes(path, notebook, pristine)
    passed = sum(check.status is CheckStatus.SUCCESS for check in found.checks)
    if found.checks:
        tell(f"{passed} of {counted(len(found.checks), 'check')} passed")


def _tell_changes(path: Path, notebook: Notebook, pristine: Notebook | None) -> None:
    if pristine is not None:
        for change in changed_cells(pristine, notebook):
            tell(f"  changed: {change}")
        if changed_cells(pristine, notebook):
            tell(f"  `mograder validate --fix {path}` puts the instructor's cells back")
        return
    try:
        missing = missing_hashes(pep723.read_facts(notebook.text).cell_hashes, notebook)
    except NotebookError as error:
        tell(f"  line {error.line}: {error.reason}")
        return
    if missing:
        tell(f"  {counted(missing, 'cell')} of the instructor's {'was' if missing == 1 else 'were'} changed or removed")
