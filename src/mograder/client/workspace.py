"""A student's side on disk: fetched files and receipts.

Invariant: nothing that a student wrote is overwritten, and nothing lands outside the folder that was named.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from mograder.client.client import Client, Progress, known
from mograder.client.extract import Places, folder_name, safe_name, unpack
from mograder.client.files import read_foreign_json, replacing, sha256_of
from mograder.client.trust import inside
from mograder.domain.receipts import stem_of
from mograder.wire import messages

# fetched files


class Outcome(StrEnum):
    """What a fetch did with one released file."""

    NEW = "new"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"  # changed here, unchanged in the course
    BESIDE = "beside"  # changed on both sides: the course's version stands beside the student's
    NO_ADDRESS = "no address"  # the server does not say where it is

    @property
    def arrived(self) -> bool:
        return self in (Outcome.NEW, Outcome.UPDATED, Outcome.BESIDE)


@dataclass(frozen=True)
class Fetched:
    """`path` is where the file is, `listed` the file of the listing that it came from (a zip brings several)."""

    path: Path
    outcome: Outcome
    listed: str


class Release:
    """What the course has given out for one assignment: `<out>/.mograder/release/<name>/`.

    It holds a pristine copy of every .py file, and .fetched.json with the SHA-256 of every file.
    """

    def __init__(self, out: Path, assignment: str) -> None:
        self.folder = out / ".mograder" / "release" / folder_name(assignment)
        self.out = out
        self._path = self.folder / ".fetched.json"
        self._files: dict[str, str] = {}
        self._archives: dict[str, dict[str, Any]] = {}
        # A record that is lost or damaged makes every file look changed by the student: nothing is overwritten.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = read_foreign_json(self._path)
            self._files, self._archives = dict(record["files"]), dict(record["archives"])

    def save(self) -> None:
        with replacing(self._path) as file:
            file.write(json.dumps({"files": self._files, "archives": self._archives}, indent=2).encode())

    def checksums(self) -> set[str]:
        """Of every file that was given out as it is."""
        return set(self._files.values())

    def checksum(self, path: PurePosixPath) -> str | None:
        """Of the version given out last, also by the published client, which keeps the pristine copy alone."""
        pristine = self.folder / path
        if str(path) not in self._files and pristine.is_file():
            return sha256_of(pristine)
        return self._files.get(str(path))

    def compare(self, path: PurePosixPath, sha256: str) -> Outcome:
        """What is to be done with a file that the course has as `sha256`."""
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
        """UNCHANGED or KEPT when nothing has to arrive to have the course's version, else None."""
        outcome = self.compare(path, sha256)
        if outcome is Outcome.UNCHANGED:
            self._remember(path, sha256, self.out / path)
        return None if outcome.arrived else outcome

    def place(self, path: PurePosixPath, arrived: Path, listed: str) -> Fetched:
        """Move a file that has arrived (in a folder of ours on the same disk) to where it belongs."""
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
        """homework.new.py, or the next of its kind that the student has not made their own."""
        for number in count(1):
            beside = path.with_name(f"{path.stem}.new{number if number > 1 else ''}{path.suffix}")
            if self.compare(beside, sha256) in (Outcome.NEW, Outcome.UNCHANGED, Outcome.UPDATED):
                return beside
        raise AssertionError("unreachable")

    def archive(self, file: messages.ReleaseFileInfo) -> list[PurePosixPath] | None:
        """The files that an archive brought, if it is still the same and they are all there."""
        record = self._archives.get(file.filename, {})
        paths = [PurePosixPath(path) for path in record.get("files", [])]
        same = known(file.sha256) is not None and record.get("sha256") == known(file.sha256)
        return paths if same and all((self.out / path).exists() for path in paths) else None

    def remember_archive(self, file: messages.ReleaseFileInfo, sha256: str, paths: list[PurePosixPath]) -> None:
        self._archives[file.filename] = {"sha256": sha256, "files": [str(path) for path in paths]}


def fetch(
    client: Client, assignment: messages.AssignmentInfo, out: Path, progress: Progress | None = None
) -> Iterator[Fetched]:
    """Bring the files of an assignment into `out`, one after the other; what is unchanged is not downloaded.

    Raises VerificationFailed at a name that leads outside or an archive that is refused; files before it stay.
    """
    release, places = Release(out, assignment.name), Places()
    inside(out, release.folder.relative_to(out) / "any")  # before anything is made there
    release.folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=release.folder, prefix=".arriving-") as scratch:
            for number, file in enumerate(assignment.files):
                if not file.url:
                    yield Fetched(out / safe_name(file.filename), Outcome.NO_ADDRESS, file.filename)
                    continue
                arriving = Path(scratch) / str(number)
                bring = _archive if file.filename.lower().endswith(".zip") else _file
                yield from bring(client, file, release, places, arriving, progress)
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
    members = [(member, places.take(str(member))) for member in unpack(arriving, unpacked, file.filename, client.room)]
    for member, path in members:
        yield release.place(path, unpacked / member, file.filename)
    release.remember_archive(file, sha256_of(arriving), [path for _, path in members])


# submitting


def is_release_file(sha256: str, assignment: messages.AssignmentInfo, folder: Path) -> bool:
    """Whether a file is what the course gave out, by the listing or by what was fetched into `folder`."""
    listed = {known(file.sha256) for file in assignment.files}
    return sha256 in listed | Release(folder, assignment.name).checksums()


def keep_receipt(file: Path, url: str, submitted: messages.Submitted | messages.ReceiptInfo) -> Path | None:
    """Keep the receipt of a submission in `.mograder/receipts/` beside the file; None when the server gave none."""
    if not submitted.receipt:
        return None
    name = folder_name(f"{submitted.assignment}_{stem_of(submitted.version)}.json")
    path = inside(file.parent, Path(".mograder", "receipts", name))
    with replacing(path) as kept:
        kept.write(
            json.dumps(
                {"server": url, **msgspec.to_builtins(submitted, enc_hook=str)}, indent=2, ensure_ascii=False
            ).encode()
        )
    return path
