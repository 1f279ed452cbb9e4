"""A student's folder: fetched files, and receipts.

Invariant: files that a student wrote are never overwritten, and nothing is written outside the given folder.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from msgspec import Struct

from mograder.client.client import Client, Progress, known
from mograder.client.extract import Places, folder_name, safe_name, unpack
from mograder.client.files import read_foreign_json, replacing, sha256_of, write_file
from mograder.client.trust import inside
from mograder.domain.receipts import stem_of
from mograder.wire import messages

# fetched files


class Outcome(StrEnum):
    """The outcome of fetching one released file."""

    NEW = "new"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"  # changed here, unchanged in the course
    BESIDE = "beside"  # changed on both sides: the course's version is written beside the student's
    NO_ADDRESS = "no address"  # the listing has no address

    @property
    def arrived(self) -> bool:
        return self in (Outcome.NEW, Outcome.UPDATED, Outcome.BESIDE)


class Fetched(Struct, frozen=True):
    """`path` is where the file is, `listed` its name in the listing (that of the zip for its files)."""

    path: Path
    outcome: Outcome
    listed: str


class Release:
    """The record of the fetched files of one assignment: `<out>/.mograder/release/<name>/`.

    It holds a pristine copy of every .py file, and .fetched.json with the SHA-256 of every file.
    """

    def __init__(self, out: Path, assignment: str) -> None:
        self.folder = out / ".mograder" / "release" / folder_name(assignment)
        self.out = out
        self._path = self.folder / ".fetched.json"
        self._files: dict[str, str] = {}
        self._archives: dict[str, dict[str, Any]] = {}
        # Without a readable record, every file counts as changed by the student, so nothing is overwritten.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = read_foreign_json(self._path)
            self._files, self._archives = dict(record["files"]), dict(record["archives"])

    def save(self) -> None:
        write_file(self._path, json.dumps({"files": self._files, "archives": self._archives}, indent=2).encode())

    def checksums(self) -> set[str]:
        """The SHA-256 of every fetched file."""
        return set(self._files.values())

    def checksum(self, path: PurePosixPath) -> str | None:
        """The SHA-256 of the version that was fetched last. The published client leaves only its pristine copy."""
        pristine = self.folder / path
        if str(path) not in self._files and pristine.is_file():
            return sha256_of(pristine)
        return self._files.get(str(path))

    def compare(self, path: PurePosixPath, sha256: str) -> Outcome:
        """What fetching would do with a file whose version in the course has this SHA-256."""
        here, before = self.out / path, self.checksum(path)
        if not here.exists() and not here.is_symlink():
            return Outcome.NEW
        now = sha256_of(here) if here.is_file() else None
        if now == sha256:
            return Outcome.UNCHANGED
        if now is not None and now == before:
            return Outcome.UPDATED
        return Outcome.KEPT if before == sha256 else Outcome.BESIDE

    def settled(self, path: PurePosixPath, sha256: str) -> Outcome | None:
        """UNCHANGED or KEPT if the file does not have to be downloaded, else None."""
        outcome = self.compare(path, sha256)
        if outcome is Outcome.UNCHANGED:
            self._remember(path, sha256, self.out / path)
        return None if outcome.arrived else outcome

    def place(self, path: PurePosixPath, arrived: Path, listed: str) -> Fetched:
        """Move a downloaded file, which is in a folder of ours on the same disk, to its place."""
        sha256 = sha256_of(arrived)
        outcome = self.compare(path, sha256)
        target = self._beside(path, sha256) if outcome is Outcome.BESIDE else path
        self._remember(path, sha256, arrived)
        if outcome.arrived:
            self._files[str(target)] = sha256
            there = inside(self.out, target)
            there.parent.mkdir(parents=True, exist_ok=True)
            arrived.replace(there)
        return Fetched(self.out / target, outcome, listed)

    def _remember(self, path: PurePosixPath, sha256: str, source: Path) -> None:
        self._files[str(path)] = sha256
        if path.suffix == ".py":
            with source.open("rb") as original, replacing(inside(self.folder, path)) as pristine:
                shutil.copyfileobj(original, pristine)

    def _beside(self, path: PurePosixPath, sha256: str) -> PurePosixPath:
        """homework.new.py, or homework.new2.py and so on if the student has changed that."""
        for number in count(1):
            beside = path.with_name(f"{path.stem}.new{number if number > 1 else ''}{path.suffix}")
            if self.compare(beside, sha256) in (Outcome.NEW, Outcome.UNCHANGED, Outcome.UPDATED):
                return beside
        raise AssertionError("unreachable")

    def archive(self, file: messages.ReleaseFileInfo) -> list[PurePosixPath] | None:
        """The files of an archive that was fetched, if it is still the same and they are all there; else None."""
        record = self._archives.get(file.filename, {})
        paths = [PurePosixPath(path) for path in record.get("files", [])]
        same = known(file.sha256) is not None and record.get("sha256") == known(file.sha256)
        return paths if same and all((self.out / path).exists() for path in paths) else None

    def remember_archive(self, file: messages.ReleaseFileInfo, sha256: str, paths: list[PurePosixPath]) -> None:
        self._archives[file.filename] = {"sha256": sha256, "files": [str(path) for path in paths]}


def fetch(
    client: Client, assignment: messages.AssignmentInfo, out: Path, progress: Progress | None = None
) -> Iterator[Fetched]:
    """Fetch the files of an assignment into `out`, one after the other. Unchanged files are not downloaded.

    Raises VerificationFailed for a name that leads outside or a refused archive; files before it stay.
    """
    release, places = Release(out, assignment.name), Places()
    inside(out, release.folder.relative_to(out) / "any")  # checked before any folder is made
    release.folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=release.folder, prefix=".arriving-") as scratch:
            for number, file in enumerate(assignment.files):
                if not file.url:
                    yield Fetched(out / safe_name(file.filename), Outcome.NO_ADDRESS, file.filename)
                    continue
                arriving = Path(scratch) / str(number)
                fetch_one = _archive if file.filename.lower().endswith(".zip") else _file
                yield from fetch_one(client, file, release, places, arriving, progress)
    finally:
        release.save()


def _file(
    client: Client,
    file: messages.ReleaseFileInfo,
    release: Release,
    places: Places,
    arriving: Path,
    progress: Progress | None,
) -> Iterator[Fetched]:
    path, sha256 = places.take(file.filename), known(file.sha256)
    if sha256 and (outcome := release.settled(path, sha256)):
        yield Fetched(release.out / path, outcome, file.filename)
        return
    with arriving.open("w+b") as target:
        client.release_file(file, target, progress)
    yield release.place(path, arriving, file.filename)


def _archive(
    client: Client,
    file: messages.ReleaseFileInfo,
    release: Release,
    places: Places,
    arriving: Path,
    progress: Progress | None,
) -> Iterator[Fetched]:
    safe_name(file.filename)
    if (paths := release.archive(file)) is not None:
        for path in paths:
            places.take(str(path))
            outcome = release.compare(path, release.checksum(path) or "")
            yield Fetched(release.out / path, outcome, file.filename)
        return
    with arriving.open("w+b") as target:
        client.release_file(file, target, progress)
    unpacked = arriving.with_name(f"{arriving.name}-unpacked")
    members = [
        (member, places.take(str(member))) for member in unpack(arriving, unpacked, file.filename, client.disk_budget)
    ]
    for member, path in members:
        yield release.place(path, unpacked / member, file.filename)
    release.remember_archive(file, sha256_of(arriving), [path for _, path in members])


# submitting


def is_release_file(sha256: str, assignment: messages.AssignmentInfo, folder: Path) -> bool:
    """Whether a file is a released file, by the listing or by the record of files fetched into `folder`."""
    listed = {known(file.sha256) for file in assignment.files}
    return sha256 in listed | Release(folder, assignment.name).checksums()


def keep_receipt(file: Path, url: str, submitted: messages.Submitted | messages.ReceiptInfo) -> Path | None:
    """Store the receipt of a submission in `.mograder/receipts/` beside `file`; returns its path, or None."""
    if not submitted.receipt:
        return None
    name = folder_name(f"{submitted.assignment}_{stem_of(submitted.version)}.json")
    path = inside(file.parent, Path(".mograder", "receipts", name))
    document = {"server": url, **msgspec.to_builtins(submitted, enc_hook=str)}
    write_file(path, json.dumps(document, indent=2, ensure_ascii=False).encode())
    return path
