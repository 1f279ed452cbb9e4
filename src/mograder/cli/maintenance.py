"""`mograder doctor`, `verify`, `erase`, `backup`, `restore`: look after a course's folder where it stands."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mograder import config, course_file
from mograder.cli.arguments import FOLDER, IN_FILE, PLACE, PLACE_OR_FILE, Folder, as_typed
from mograder.cli.output import clean, is_sure, note, tell, tell_json
from mograder.domain.errors import Unreadable, Usage, VerificationFailed
from mograder.domain.names import counted

if TYPE_CHECKING:
    from mograder.store.folder.evidence import Evidence
    from mograder.store.folder.layout import Folders
    from mograder.store.postgres.evidence import PostgresEvidence
    from mograder.store.shared.findings import Finding

BACK_UP = "back up a database with its own tools (pg_dump), or copy one course into a folder: mograder store copy"


def _elsewhere(command: Callable[..., None]) -> Callable[..., None]:
    """Adds options for the folders that flags of `serve` can name."""
    for flag, help_text in (
        ("--grades-dir", "Where grades and feedback are, if serve was told so."),
        ("--submitted-dir", "Where submissions are, if serve was told so."),
        ("--release-dir", "The flat folder of released files, if serve was told so."),
    ):
        command = click.option(flag, type=FOLDER, metavar="FOLDER", help=help_text)(command)
    return command


def _folders(folder: Path, release: Path | None, submitted: Path | None, grades: Path | None) -> Folders:
    """The folders of the course at `folder`, which is the course or the folder that is served."""
    from mograder.domain.tokens import SECRET_NAME
    from mograder.store.folder.layout import LEDGER, find_folders

    root = folder.absolute()  # as typed: see course_folder
    served = any((root / name).exists() for name in (SECRET_NAME, LEDGER))
    if not served and (root / "release").is_dir():
        root = root / "release"
    home = config.course_folder(root)
    try:
        course = course_file.read_course_file(home / course_file.CONFIG_NAME)
    except Unreadable:
        course = course_file.EMPTY  # doctor reports it; then the layout decides the folders
    given = {"release_dir": release, "submitted_dir": submitted, "grades_dir": grades}
    return find_folders(root, config.resolve(given, course, home))


@click.command()
@click.argument("place", type=PLACE, metavar="FOLDER|URL")
@click.option("--repair", is_flag=True, help="Repair what is safe to repair: no submission is deleted or altered.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@_elsewhere
def doctor(
    place: Path | str, repair: bool, as_json: bool, release_dir: Path | None, submitted_dir: Path | None,
    grades_dir: Path | None,
) -> None:  # fmt: skip
    """Check the course in FOLDER, also while it is served; nothing is changed without --repair.

    Given a folder of many courses, as for mograder serve --courses, it checks each, and names the folders in it that
    are not served.

    It checks permissions, secret and key, settings, the ledger with its chain of signed receipts, every submission
    against the checksum in its receipt, links, leftovers, clock and free space; whether each assignment can be graded,
    and what waits. The exit code is 0 when nothing is wrong (notes do not count), 7 when something is.

    In a database it checks one course, postgresql://…#course, or all of them without #course: the chain, every
    submission, what is not in force, and grading.

    \b
    Examples:
      mograder doctor course/
      mograder doctor course/ --repair
      mograder doctor courses/
      mograder doctor postgresql://db.example.org/mograder
    """
    elsewhere = (release_dir, submitted_dir, grades_dir)
    findings, done = _mixed_installation(), list[str]()
    if _in_database(place, *elsewhere):
        if repair:
            raise Usage("--repair mends folders: of a database, each finding says what to do")
        findings += _checked_database(str(place))
    else:
        found, done = _checked_folders(Path(place), repair, *elsewhere)
        findings += found
    if as_json:
        tell_json({"findings": _named(findings), "repaired": done})
    else:
        _report(findings)
    _conclude(findings)


def _checked_folders(folder: Path, repair: bool, *elsewhere: Path | None) -> tuple[list[Finding], list[str]]:
    """What is still wrong, and what was mended."""
    from mograder.store.folder import doctor as checkup

    several = _courses_in(folder)
    findings, done = list(several.findings if several else ()), list[str]()
    for place in several.courses if several else (folder,):
        folders = _folders(place, *elsewhere)
        found = checkup.check(folders, config.utc_now())
        mended = checkup.repair(found) if repair else []
        for line in mended:
            note(line)
        findings += checkup.check(folders, config.utc_now()) if mended else found
        findings += _grading_here(folders)
        done += mended
    return findings, done


def _grading_here(folders: Folders) -> list[Finding]:
    """A finding if there are tests that this machine cannot run."""
    from mograder.coursework.preparation import what_grading_lacks
    from mograder.store.shared.findings import warning

    if not config.has_tests(folders.root) or not (said := what_grading_lacks()):
        return []
    mend = "mend it here, or let a mograder worker grade on another machine"
    return [warning(f"submissions are not graded on this machine: {said}", folders.course, mend)]


def _checked_database(place: str) -> list[Finding]:
    from mograder.factory import database_courses

    with database_courses(place) as stores:
        from mograder.store.postgres.doctor import check

        return [finding for each in stores for finding in check(each, config.utc_now())]


class _Several(Struct, frozen=True):
    """The folders of many courses, and findings about what beside them is not served."""

    courses: tuple[Path, ...]
    findings: tuple[Finding, ...]


def _courses_in(folder: Path) -> _Several | None:
    """The courses in a folder of many; None if `folder` is one course."""
    from mograder.domain.tokens import SECRET_NAME
    from mograder.store.folder.courses import RELEASE, CourseFolders
    from mograder.store.folder.layout import LEDGER
    from mograder.store.shared.findings import warning

    own = (RELEASE, SECRET_NAME, LEDGER, course_file.CONFIG_NAME)
    if any((folder / name).exists() for name in own) or not any(folder.glob(f"*/{RELEASE}/")):
        return None
    courses = CourseFolders(folder)
    left = tuple(warning(f"left out: {each}", each.where, each.mend) for each in courses.left_out())
    return _Several(tuple(folder / each.name for each in courses.entries()), left)


def _mixed_installation() -> list[Finding]:
    from mograder.cli.installed import warning as mixed
    from mograder.store.shared.findings import warning

    said = mixed()
    return [warning(said, sys.prefix, "make a new environment, and install one of them there")] if said else []


def _named(findings: list[Finding]) -> list[dict[str, object]]:
    return [
        {"severity": str(each.severity), "what": each.what, "where": each.where, "mend": each.mend,
         "repairable": each.repair is not None} for each in findings
    ]  # fmt: skip


def _report(findings: list[Finding]) -> None:
    for each in findings:
        tell(f"{each.severity}: {each.where}\n  {each.what}\n  {each.mend}")
    tell("nothing is wrong" if not _wrong(findings) else f"{counted(len(_wrong(findings)), 'problem')} found")


def _wrong(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.severity != "note"]


def _conclude(findings: list[Finding]) -> None:
    if _wrong(findings):
        raise click.exceptions.Exit(VerificationFailed.exit_code)


@click.command(short_help="Verify a course, receipts and grading records.")
@click.argument("place", type=PLACE_OR_FILE, metavar="FOLDER|URL|FILE")
@click.argument("receipts", nargs=-1, type=IN_FILE)
@click.option("--head", "heads", multiple=True, metavar="NUMBER:HASH", help="A head that was printed or published.")
@click.option(
    "--keys",
    type=IN_FILE,
    help="The public keys to trust, as saved from /.well-known/jwks.json. [default: the course's own]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_elsewhere
def verify(
    place: Path | str, receipts: tuple[Path, ...], heads: tuple[str, ...], keys: Path | None, as_json: bool,
    release_dir: Path | None, submitted_dir: Path | None, grades_dir: Path | None,
) -> None:  # fmt: skip
    """Check every submission of a course against its chain of signed receipts.

    The course is in a folder, or in a copy of it, or in a database: postgresql://…#course. Reports every alteration,
    removal and insertion; the exit code is 7 when there is one. No server is needed, and one may run. At the end it
    prints the head of the chain: publish or keep it, and give it later as --head, which finds a chain that was cut
    short or made anew. RECEIPTS that people kept, as files, do the same.

    Given a RECORD that mograder autograde wrote, it checks the signature by the course's key, that the points follow
    from the checks, and that every other file given is what was graded or what it was graded with; by default it looks
    for those in the course.

    Given a receipt, or the result that a student has, among files of a submission, it checks them as
    mograder https verify --offline does: signed by the course (--keys, or the keys of your login), and the result, or
    a RECORD, of the very submission that the receipt is for.

    \b
    Examples:
      mograder verify course/
      mograder verify course/ --head 57:3f0c... --keys jwks.json
      mograder verify course/ receipts-of-alice/*.json
      mograder verify postgresql://db.example.org/mograder#algebra
      mograder verify autograded/hw1/alice.json
      mograder verify alice.json alice.py hw1.py --keys jwks.json
      mograder verify receipt.json result.json homework.py
    """
    from mograder.cli.connect import Server
    from mograder.cli.proof import check_own, is_of_a_person
    from mograder.cli.record_proof import verify_records
    from mograder.client.proof import read_keys, read_receipt
    from mograder.domain.chain import head_of, parse_head

    if Path(place).is_file():
        named = (Path(place), *receipts)
        if is_of_a_person(named):
            return check_own(named, True, keys, Server(None, None, 0.0), as_json)
        return verify_records(named, keys, as_json)
    with as_typed():
        kept = [parse_head(text) for text in heads]
    with _evidence(place, release_dir, submitted_dir, grades_dir) as evidence:
        signer = read_keys(keys) if keys else evidence.own_signer()
        for each in receipts:
            try:
                kept.append(head_of(read_receipt(each).text, signer))
            except VerificationFailed as error:
                raise VerificationFailed(f"{each}: {error.message}") from None
        verified = evidence.verify(signer, kept)
    head = f"{verified.head.number}:{verified.head.hash}"
    if as_json:
        tell_json({"findings": _named(verified.findings), "head": head, "receipts": verified.receipts,
                   "erased": verified.erased})  # fmt: skip
    else:
        for finding in verified.findings:
            tell(f"{finding.where}\n  {finding.what}")
        erased = f", {verified.erased} more erased" if verified.erased else ""
        found = counted(len(verified.findings), "difference") if verified.findings else "everything is as it was signed"
        tell(f"{counted(verified.receipts, 'receipt')}{erased}: {found}\nhead {head}")
    if verified.findings:
        raise click.exceptions.Exit(VerificationFailed.exit_code)


@contextlib.contextmanager
def _evidence(place: Path | str, *elsewhere: Path | None) -> Iterator[Evidence | PostgresEvidence]:
    if _in_database(place, *elsewhere):
        from mograder.factory import database_course
        from mograder.store.postgres.evidence import PostgresEvidence

        with database_course(str(place)) as store:
            yield PostgresEvidence(store)
    else:
        from mograder.store.folder.evidence import Evidence

        yield Evidence(_folders(Path(place), *elsewhere))


def _in_database(place: Path | str, *elsewhere: Path | None) -> bool:
    """Whether `place` is a database. Raises Usage if it is, and folders are named."""
    from mograder.factory import is_database

    if is_database(place) and any(elsewhere):
        raise Usage("a course in a database has no folders: leave out --grades-dir, --submitted-dir and --release-dir")
    return is_database(place)


@click.command(short_help="Erase a person's data; the chain of receipts stays valid.")
@click.argument("user")
@click.option(
    "--course",
    "place",
    required=True,
    type=PLACE,
    metavar="FOLDER|URL",
    help="The course's folder, or postgresql://…#course.",
)
@click.option("--dry-run", is_flag=True, help="Say what is held about the person, and erase nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_elsewhere
def erase(
    user: str, place: Path | str, dry_run: bool, yes: bool, release_dir: Path | None, submitted_dir: Path | None,
    grades_dir: Path | None,
) -> None:  # fmt: skip
    """Erase what a course holds about USER: submissions, feedback, grades, account, and their name in the audit log.

    A server may run. The chain of receipts stays valid: of each of the person's receipts its number and hashes stay,
    with a signed statement that it was erased. Nobody can take the name. This cannot be undone; backups made before
    still hold everything.

    \b
    Examples:
      mograder erase alice --course course/ --dry-run
      mograder erase alice --course course/
    """
    from mograder.domain.access import COURSE_INSTRUCTOR
    from mograder.domain.names import Username
    from mograder.factory import open_existing

    with as_typed():
        username = Username.parse(user)
    _in_database(place, release_dir, submitted_dir, grades_dir)
    course = open_existing(place, release_dir=release_dir, submitted_dir=submitted_dir, grades_dir=grades_dir)
    try:
        held = course.erasure.holdings(username)
        tell(f"{username}: {'an account' if held.account else 'no account'}, {counted(held.receipts, 'receipt')}")
        for what in ("submissions", "grades", "feedback"):
            names = getattr(held, what)
            tell(f"  {what}: {', '.join(names) or 'none'}")
        if dry_run:
            tell("nothing was erased")
            return
        if not yes:
            if not sys.stdin.isatty():
                raise Usage("erasing cannot be undone: give --yes")
            is_sure(f"Erase all of it for good? Backups are not touched. {username}", abort=True)
        course.erasure.erase(COURSE_INSTRUCTOR, username)
    finally:
        course.close()
    tell(f"{username} was erased")
    note("backups that were made before still hold this person: remove those, too, where the law asks for it")


@click.command()
@click.argument("folder", type=Folder(BACK_UP))
@click.argument("file", type=click.Path(path_type=Path))
@_elsewhere
def backup(
    folder: Path, file: Path, release_dir: Path | None, submitted_dir: Path | None, grades_dir: Path | None
) -> None:
    """Archive the course in FOLDER as FILE, a .tar.gz, also while it is served.

    Every submission that was acknowledged before this began is in it, byte for byte. The archive holds the secret and
    the signing key, with which anybody can act as anybody else: keep it to yourself.

    \b
    Example:
      mograder backup course/ course-2030-02-08.tar.gz
    """
    from mograder.store.folder.backup import write_backup

    folders = _folders(folder, release_dir, submitted_dir, grades_dir)
    written = write_backup(folders, file, config.utc_now(), note)
    held = f"{counted(written.files, 'file')}, {counted(written.receipts, 'receipt')}"
    note(f"{held}: keep it to yourself, the course's secret is in it")
    click.echo(clean(str(file)))


@click.command()
@click.argument("file", type=IN_FILE)
@click.argument("folder", type=click.Path(path_type=Path))
def restore(file: Path, folder: Path) -> None:
    """Restore the course archived in FILE into FOLDER, which is new or empty.

    Every file is checked against the archive's list of checksums, and the course by mograder doctor; the exit code is 7
    when something is wrong.

    \b
    Example:
      mograder restore course-2030-02-08.tar.gz course/
    """
    from mograder.store.folder import doctor as checkup
    from mograder.store.folder.backup import read_backup

    restored = read_backup(file, folder, note)
    root = restored.folders.root
    findings = checkup.check(restored.folders, config.utc_now(), is_copy=True)
    _report(findings)
    tell(f"serve it with: mograder serve {root}" + restored.flags)
    _conclude(findings)
