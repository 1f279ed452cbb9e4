"""Backs up a course to one file and restores it: a .tar.gz of the ledger at one moment and all files that belong to it.

Invariant: the archive contains every submission that its ledger names (as a file, or as bytes in the ledger). A file
gets its final name once it is complete and on the disk. Nothing is restored unless all checksums are right.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import secrets
import shutil
import sqlite3
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import msgspec
from msgspec import Struct

from mograder.course_file import CONFIG_NAME
from mograder.domain import deadlines
from mograder.domain.errors import MograderError, NotFound, Usage, VerificationFailed
from mograder.domain.names import counted, printable
from mograder.domain.receipts import Submission, latest_filename
from mograder.store.folder.layout import LEDGER, LOCK, Folders, grading_folders, served_folders
from mograder.store.folder.snapshot import reading, stays_inside
from mograder.store.folder.store import FolderStore
from mograder.store.shared import files
from mograder.store.shared.files import is_scratch, sha256_of, sync_folder
from mograder.store.shared.rows import RECEIPT_COLUMNS, receipt_of

MANIFEST = ".mograder-manifest.json"
"""The archive's list of members; hidden, since a course may have a `manifest.json` of its own."""

FORMAT = 1
SAY_EVERY = 1000  # files

Say = Callable[[str], None]


class Member(Struct, frozen=True):
    """One file of an archive, a link to the file `link` in the same folder, or an empty folder (`path` ends in "/")."""

    path: str
    size: int = 0
    sha256: str = ""
    link: str = ""


class Manifest(Struct, frozen=True):
    """What is in an archive. `root`, `submitted`, `grades` and `release` are folders in it; `made` is an ISO time."""

    format: int
    made: str
    receipts: int
    root: str
    submitted: str
    grades: str
    release: str | None
    members: list[Member]


class Written(Struct, frozen=True):
    files: int
    receipts: int


class Restored(Struct, frozen=True):
    """A restored course. `flags` are the options that `serve` needs besides the root."""

    folders: Folders
    flags: str


# writing


def write_backup(folders: Folders, file: Path, now: int, say: Say) -> Written:
    """Archive a course, which may be served meanwhile. `now` is in Unix microseconds.

    Raises Usage when `file` exists or lies in the course, and NotFound when there is no ledger.
    """
    file = file.absolute()
    if os.path.lexists(file):
        raise Usage(f"{file} exists: choose another name")
    if not file.parent.is_dir():
        raise Usage(f"{file.parent} is not a folder")
    for folder in (folders.root, folders.submitted, folders.grades):
        if files.is_inside(file.parent, folder):
            raise Usage(f"{file} lies inside the course: the archive holds its secret and must be kept elsewhere")
    if not (folders.root / LEDGER).exists():
        raise NotFound(f"{folders.root} has no ledger: is it the folder that is served?")
    scratch = file.with_name(f".{file.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            written = _Writer(folders, say).write(target, now)
            target.flush()
            os.fsync(target.fileno())
        _name_for_good(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)
    sync_folder(file.parent)
    return written


def _name_for_good(scratch: Path, file: Path) -> None:
    """Publish the finished archive under its name. A hard link, unlike a rename, never replaces an existing file."""
    try:
        os.link(scratch, file)
    except FileExistsError:
        raise Usage(f"{file} exists: choose another name") from None
    except OSError:  # a file system without links
        if os.path.lexists(file):
            raise Usage(f"{file} exists: choose another name") from None
        scratch.replace(file)


class _Writer:
    def __init__(self, folders: Folders, say: Say) -> None:
        self.folders = folders
        self.say = say
        self.members: list[Member] = []
        self.places = _places(folders)

    def write(self, target: IO[bytes], now: int) -> Written:
        with (
            tempfile.TemporaryDirectory() as folder,
            tarfile.open(fileobj=target, mode="w:gz", compresslevel=6) as archive,
        ):
            copy = Path(folder) / LEDGER
            self._copy_ledger(copy)
            submissions, spools, last = _named(copy)
            self.say(f"{counted(len(submissions), 'submission')}, as the ledger stands now")
            self._add(archive, copy, self._place(self.folders.root, LEDGER))
            for spool in spools:
                self._add_spool(archive, spool)
            self._add_files(archive, submissions, last)
            manifest = Manifest(
                FORMAT, deadlines.iso(now), len(submissions), self.places[self.folders.root],
                self.places[self.folders.submitted], self.places[self.folders.grades],
                self.places[self.folders.release] if self.folders.release else None, self.members,
            )  # fmt: skip
            content = msgspec.json.format(msgspec.json.encode(manifest))
            member = _member(MANIFEST, now // deadlines.SECOND)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        return Written(len(self.members), len(submissions))

    def _place(self, folder: Path, *names: str) -> str:
        """The path in the archive of something in one of the course's folders."""
        return str(PurePosixPath(self.places[folder], *names))

    def _copy_ledger(self, copy: Path) -> None:
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with reading(self.folders.root / LEDGER) as live, contextlib.closing(sqlite3.connect(copy)) as target:
            live.execute("COMMIT")  # backup() in one step sees one moment by itself
            live.backup(target)
            # Without companion files, so that the copy is one file.
            target.execute("PRAGMA journal_mode = DELETE")
            if target.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise MograderError("the ledger is damaged: see mograder doctor")

    def _add_spool(self, archive: tarfile.TarFile, name: str) -> None:
        """Add the hidden file of a pending large submission. If it moves to its place first, `_add_files` finds it."""
        with contextlib.suppress(FileNotFoundError):
            self._add(archive, self.folders.submitted / name, self._place(self.folders.submitted, name))

    def _add_files(self, archive: tarfile.TarFile, submissions: list[Submission], last: int) -> None:
        """Add everything in the course's folders, but of the submissions only those in the ledger's copy, up to receipt
        `last`.
        """
        found = sorted(self._found())
        # Submissions that came after the copy and are in `found` have their receipts by now.
        with reading(self.folders.root / LEDGER) as live:
            later = {
                (row[0], row[1]): row[2]
                for row in live.execute("SELECT assignment, filename, sha256 FROM receipts WHERE number > ?", (last,))
            }
        latest: dict[tuple[str, str], str] = {
            (each.assignment, latest_filename(each.username)): each.filename for each in submissions
        }
        for path, place, target in found:
            key = (path.parent.name, path.name) if path.parent.parent == self.folders.submitted else ("", "")
            if key in later:
                continue
            self._add_found(archive, path, place, target, key, latest, later)
            if len(self.members) % SAY_EVERY == 0:
                self.say(f"{len(self.members)} of {len(found)} files")
        archived = {each.path for each in self.members}
        for each in submissions:
            place = self._place(self.folders.submitted, each.assignment, each.filename)
            if place not in archived:
                # It was placed after `_found`, or its bytes are in the ledger's copy, or it is missing in the course.
                with contextlib.suppress(FileNotFoundError):
                    # Links are followed: somebody may have moved the file elsewhere and left a link.
                    version = os.path.realpath(self.folders.submitted / each.assignment / each.filename)
                    self._add(archive, Path(version), place)
            link = latest_filename(each.username)
            place = self._place(self.folders.submitted, each.assignment, link)
            if place not in archived and latest[each.assignment, link] == each.filename:
                self._add_link(archive, place, each.filename)

    def _add_found(
        self, archive: tarfile.TarFile, path: Path, place: str, target: str | None, key: tuple[str, str],
        latest: dict[tuple[str, str], str], later: dict[tuple[str, str], str],
    ) -> None:  # fmt: skip
        try:
            if place.endswith("/"):
                self._add_folder(archive, place)
            elif target is not None:
                if (key[0], target) in later:
                    return  # changed after the copy: the link of the copy's time is added at the end
                if "/" in target or os.sep in target or target in (".", ".."):
                    self.say(f"left out: {path} is a link that leads elsewhere")
                    return
                self._add_link(archive, place, target)
            elif not stat.S_ISREG(path.lstat().st_mode):
                self.say(f"left out: {path} is no file")
            elif key in latest and later and sha256_of(path) in later.values():
                self._add_link(archive, place, latest[key])  # a file instead of a link, changed after the copy
            else:
                self._add(archive, path, place)
        except FileNotFoundError:
            return  # removed by hand meanwhile

    def _found(self) -> Iterator[tuple[Path, str, str | None]]:
        """Each file or empty folder with its path in the archive and, if it is a link, its present target."""
        settings = self.folders.course / CONFIG_NAME
        seen = set()
        if settings.exists() and not files.is_inside(settings.parent, self.folders.root):
            yield settings, CONFIG_NAME, None
        for folder in self.places:
            for base, folders, names in os.walk(folder):
                for each in [each for each in folders if not _is_text(each)]:
                    folders.remove(each)
                    self.say(f"left out: {printable(f'{base}/{each}', 1000)} has a name that is not UTF-8: rename it")
                for name in [*names, *(each for each in folders if (Path(base) / each).is_symlink())]:
                    path = Path(base) / name
                    if not _is_text(name):
                        self.say(f"left out: {printable(str(path), 1000)} has a name that is not UTF-8: rename it")
                        continue
                    if path in seen or name.startswith((LEDGER, LOCK)) or is_scratch(name):
                        continue
                    seen.add(path)
                    target = None
                    with contextlib.suppress(OSError):  # EINVAL: not a link
                        target = os.readlink(path)
                    yield path, self._place(folder, path.relative_to(folder).as_posix()), target
                path = Path(base)
                if not names and not folders and path != folder and path not in seen:
                    seen.add(path)  # one of the course's folders may stand in another
                    yield path, f"{self._place(folder, path.relative_to(folder).as_posix())}/", None

    def _add(self, archive: tarfile.TarFile, path: Path, place: str) -> None:
        source, found = files.open_below(str(path.parent), path.name)
        with source:
            member = _member(place, int(found.st_mtime))
            member.mode = stat.S_IMODE(found.st_mode)
            member.size = found.st_size
            reader = _Hashing(source)
            try:
                archive.addfile(member, reader)
            except OSError as error:
                if error.errno is None:  # raised by tarfile: the file ended too early
                    raise MograderError(f"{path} was changed while it was read: try again") from error
                raise
        self.members.append(Member(place, found.st_size, reader.hash.hexdigest()))

    def _add_folder(self, archive: tarfile.TarFile, place: str) -> None:
        member = _member(place, 0)
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(member)
        self.members.append(Member(place))

    def _add_link(self, archive: tarfile.TarFile, place: str, target: str) -> None:
        member = _member(place, 0)
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)
        self.members.append(Member(place, link=target))


def _is_text(name: str) -> bool:
    """Whether a name on the disk can be encoded in UTF-8, as the archive's list is."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


class _Hashing:
    """A reader for tarfile that hashes what it reads, so that the checksum is that of the archived bytes."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self.source.read(size)
        self.hash.update(content)
        return content


def _member(place: str, modified: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(place)
    member.mtime = modified
    member.mode = 0o600
    return member


def _places(folders: Folders) -> dict[Path, str]:
    """The path in the archive of each of the course's folders. Folders outside the course get a name of their own."""
    named = {
        "release": folders.root, "submitted": folders.submitted, "grades": folders.grades,
        "released files": folders.release,
    }  # fmt: skip
    given = {name: folder for name, folder in named.items() if folder is not None}
    places = {
        folder: folder.relative_to(folders.course).as_posix()
        for folder in given.values()
        if folder.is_relative_to(folders.course)
    }
    for folder in grading_folders(folders.course).values():
        if folder.is_dir() and folder.is_relative_to(folders.course):
            places.setdefault(folder, folder.relative_to(folders.course).as_posix())
    for name, folder in given.items():
        if folder not in places:
            places[folder] = name if name not in places.values() else f"{name}-elsewhere"
    return places


def _named(ledger: Path) -> tuple[list[Submission], list[str], int]:
    """What a copy of the ledger names: the submissions, the hidden files of pending large ones, and the last number."""
    with reading(ledger) as connection:
        rows = connection.execute(f"SELECT {RECEIPT_COLUMNS} FROM receipts ORDER BY number").fetchall()
        waiting = dict(connection.execute("SELECT number, spool FROM pending WHERE spool IS NOT NULL").fetchall())
    receipts = [receipt_of(row) for row in rows]
    for each in receipts:
        if not stays_inside(each.submission) or "/" in (waiting.get(each.number) or ""):  # somebody altered the ledger
            raise MograderError(f"receipt {each.number} names a file that cannot be: see mograder doctor")
    spools = [waiting[each.number] for each in receipts if each.number in waiting]
    return [each.submission for each in receipts], spools, receipts[-1].number if receipts else 0


# restoring


def read_backup(file: Path, folder: Path, say: Say) -> Restored:
    """Restore into `folder`, which is new or empty. Raises VerificationFailed and Usage; then nothing is left of it."""
    folder = folder.absolute()
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir() or any(folder.iterdir())):
        raise Usage(f"{folder} is there and not empty: give a new folder")
    if not folder.parent.is_dir():
        raise Usage(f"{folder.parent} is not a folder")
    scratch = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.tmp")
    scratch.mkdir(mode=0o700)
    try:
        manifest = _extract(file, scratch, say)
        _verify(scratch, manifest)
        if manifest.root == "." and folder.name == "release":
            raise Usage("this course is served from its own folder, which must not be called 'release'")
        _sync_below(scratch)
        scratch.chmod(stat.S_IMODE(folder.stat().st_mode) if folder.exists() else 0o755)
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    say(f"{counted(len(manifest.members), 'file')} back, with the right checksums")
    restored = _restored(folder, manifest)
    try:
        FolderStore(restored.folders).close()  # writes the files of pending submissions
    except MograderError as error:
        say(f"the course does not open: {error}")  # nor did the archived course: doctor says more
    return restored


def _extract(file: Path, folder: Path, say: Say) -> Manifest:
    links = []
    seen: set[str] = set()
    try:
        with tarfile.open(file, "r:gz") as archive:
            for member in archive:
                name = member.name
                parts = PurePosixPath(name).parts
                if name in seen or not parts or ".." in parts or str(PurePosixPath(name)) != name:
                    raise VerificationFailed(f"the archive has a name that cannot be: {name!r}")
                seen.add(name)
                if member.issym() and not any(each in member.linkname for each in ("/", "\\", "\0")):
                    links.append(member)
                elif member.isreg() or member.isdir():
                    archive.extract(member, folder, filter="data")
                else:
                    raise VerificationFailed(
                        f"the archive has a member that is neither file nor link of ours: {name!r}"
                    )
                if len(seen) % SAY_EVERY == 0:
                    say(f"{len(seen)} files")
            for member in links:  # last, so that nothing is written through a link
                archive.extract(member, folder, filter="data")
        content = (folder / MANIFEST).read_bytes()
        (folder / MANIFEST).unlink()
        return msgspec.json.decode(content, type=Manifest)
    except (
        tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, msgspec.MsgspecError, FileNotFoundError, ValueError,
    ) as error:  # fmt: skip
        raise VerificationFailed(f"{file} is no whole archive of a course: {error}") from error


def _verify(folder: Path, manifest: Manifest) -> None:
    """Raises VerificationFailed unless the files are exactly those of the manifest."""
    if manifest.format != FORMAT:
        raise VerificationFailed(f"the archive was made by a newer mograder (format {manifest.format}): upgrade")
    listed: dict[str, Any] = {each.path: each for each in manifest.members}
    found = set(_files_below(folder))
    if found != set(listed):
        name = min(found ^ set(listed))
        raise VerificationFailed(f"the archive is not whole: {name!r} is {'extra' if name in found else 'missing'}")
    for member in manifest.members:
        path = folder / member.path
        if member.path.endswith("/"):
            right = path.is_dir()
        elif path.is_symlink():
            right = os.readlink(path) == member.link
        elif member.link:  # a copy
            target = path.parent / member.link
            right = target.is_file() and sha256_of(path) == sha256_of(target)
        else:
            right = (path.stat().st_size, sha256_of(path)) == (member.size, member.sha256)
        if not right:
            raise VerificationFailed(f"{member.path!r} is not as it was archived: its checksum is wrong")
    for place in (manifest.root, manifest.submitted, manifest.grades, manifest.release or "."):
        if ".." in PurePosixPath(place).parts or PurePosixPath(place).is_absolute():
            raise VerificationFailed(f"the archive has a folder that cannot be: {place!r}")


def _files_below(folder: Path) -> Iterator[str]:
    """Files, links, and empty folders with a "/" at the end."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_dir():
            yield name
        elif not any(path.iterdir()):
            yield f"{name}/"


def _sync_below(folder: Path) -> None:
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base) / name
            if not path.is_symlink():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
        sync_folder(Path(base))


def _restored(folder: Path, manifest: Manifest) -> Restored:
    root = folder / manifest.root
    root.mkdir(exist_ok=True)
    places = {"submitted": manifest.submitted, "grades": manifest.grades, "release": manifest.release}
    given = {name: folder / place if place else None for name, place in places.items()}
    folders = Folders.of(root, **given)
    try:
        settled = served_folders(root)
    except MograderError:  # settings that cannot be understood
        settled = Folders.of(root)
    flags = "".join(
        f" --{name}-dir {getattr(folders, name)}"
        for name in ("release", "submitted", "grades")
        if getattr(folders, name) != getattr(settled, name)
    )
    return Restored(folders, flags)
