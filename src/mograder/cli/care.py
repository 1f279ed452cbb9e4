"""`mograder doctor`, `backup`, `restore`: look after a course's folder, on the machine where it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mograder import config
from mograder.cli.output import clean, note, tell, tell_json
from mograder.domain.errors import Unreadable, VerificationFailed

if TYPE_CHECKING:
    from mograder.store.doctor import Finding
    from mograder.store.layout import Folders

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _elsewhere(command: Callable[..., None]) -> Callable[..., None]:
    """The folders that `serve` was told by flags."""
    for flag, help_text in (
        ("--grades-dir", "Where grades and feedback are, if serve was told so."),
        ("--submitted-dir", "Where hand-ins are, if serve was told so."),
        ("--release-dir", "The flat folder of hand-outs, if serve was told so."),
    ):
        command = click.option(flag, type=FOLDER, metavar="FOLDER", help=help_text)(command)
    return command


def _folders(folder: Path, release: Path | None, submitted: Path | None, grades: Path | None) -> Folders:
    """Those of the course at `folder`, which is the course or the folder that is served."""
    from mograder.domain.tokens import SECRET_NAME
    from mograder.store.layout import LEDGER, find_folders

    root = folder.resolve()
    served = any((root / name).exists() for name in (SECRET_NAME, LEDGER))
    if not served and (root / "release").is_dir():
        root = root / "release"
    home = config.course_folder(root)
    try:
        course = config.read_course_file(home / config.CONFIG_NAME)
    except Unreadable:
        course = config.EMPTY  # doctor says so; the layout tells the folders
    given = {"release_dir": release, "submitted_dir": submitted, "grades_dir": grades}
    return find_folders(root, config.resolve(given, course, home), release)


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--repair", is_flag=True, help="Mend what is safe to mend: no hand-in is deleted or altered.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@_elsewhere
def doctor(
    folder: Path, repair: bool, as_json: bool, release_dir: Path | None, submitted_dir: Path | None,
    grades_dir: Path | None,
) -> None:  # fmt: skip
    """Check the course in FOLDER, also while it is served; nothing is changed without --repair.

    Permissions, secret and key, settings, the ledger with its chain of signed receipts, every hand-in against the
    checksum in its receipt, links, leftovers, clock and free space. The exit code is 0 when nothing is wrong (notes
    do not count), 7 when something is.

    \b
    Examples:
      mograder doctor course/
      mograder doctor course/ --repair
    """
    from mograder.store import doctor as checkup

    folders = _folders(folder, release_dir, submitted_dir, grades_dir)
    findings = checkup.check(folders, config.utc_now())
    done: list[str] = []
    if repair:
        done = checkup.repair(folders, findings)
        for line in done:
            note(line)
        findings = checkup.check(folders, config.utc_now()) if done else findings
    if as_json:
        named = [{"severity": str(each.severity), "what": each.what, "where": each.where, "mend": each.mend,
                  "repairable": each.repair is not None} for each in findings]  # fmt: skip
        tell_json({"findings": named, "repaired": done})
    else:
        _report(findings)
    _conclude(findings)


def _report(findings: list[Finding]) -> None:
    for each in findings:
        tell(f"{each.severity}: {each.where}\n  {each.what}\n  {each.mend}")
    tell("nothing is wrong" if not _wrong(findings) else f"{len(_wrong(findings))} things are wrong")


def _wrong(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.severity != "note"]


def _conclude(findings: list[Finding]) -> None:
    if _wrong(findings):
        raise click.exceptions.Exit(VerificationFailed.exit_code)


@click.command()
@click.argument("folder", type=FOLDER)
@click.argument("file", type=click.Path(path_type=Path))
@_elsewhere
def backup(
    folder: Path, file: Path, release_dir: Path | None, submitted_dir: Path | None, grades_dir: Path | None
) -> None:
    """Archive the course in FOLDER as FILE, a .tar.gz, also while it is served.

    Every hand-in that was acknowledged before this began is in it, byte for byte. The archive holds the secret and the
    signing key: whoever has it can act as anybody, so keep it to yourself.

    \b
    Example:
      mograder backup course/ course-2030-02-08.tar.gz
    """
    from mograder.store.backup import write_backup

    folders = _folders(folder, release_dir, submitted_dir, grades_dir)
    written = write_backup(folders, file, config.utc_now(), note)
    note(f"{written.files} files, {written.receipts} receipts: keep it to yourself, the course's secret is in it")
    click.echo(clean(str(file)))


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def restore(file: Path, folder: Path) -> None:
    """Bring the course archived in FILE back, into FOLDER, which is new or empty.

    Every file is checked against the archive's list of checksums, and the course by mograder doctor; the exit code is 7
    when something is wrong.

    \b
    Example:
      mograder restore course-2030-02-08.tar.gz course/
    """
    from mograder.store import doctor as checkup
    from mograder.store.backup import read_backup

    restored = read_backup(file, folder, note)
    root = restored.folders.root
    findings = checkup.check(restored.folders, config.utc_now())
    _report(findings)
    tell(f"serve it with: mograder serve {root}" + restored.flags)
    _conclude(findings)
