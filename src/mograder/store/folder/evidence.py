"""Compares a course's ledger and files with its chain of receipts: finds every alteration, removal and insertion.

Invariant: nothing is changed, a server may run meanwhile, and only signatures and checksums are trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

from msgspec import Struct

from mograder.domain.chain import Tombstone
from mograder.domain.errors import Unreadable
from mograder.domain.grading_jobs import Result
from mograder.domain.names import counted, some_of
from mograder.domain.receipts import Head, Receipt, Signer, latest_filename, owner, version_owner
from mograder.signing import Ed25519Signer
from mograder.store.folder.layout import LEDGER, LOCK, SIGNING_KEY, Folders, named_version
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.snapshot import reading, stays_inside
from mograder.store.shared import files
from mograder.store.shared.evidence import Record, Verified, broken_chain, broken_results
from mograder.store.shared.files import sha256_of
from mograder.store.shared.findings import Findings, error, lasting, note, warning
from mograder.store.shared.grading_rows import RESULT_COLUMNS, result_of
from mograder.store.shared.rows import ERASED_COLUMNS, RECEIPT_COLUMNS, receipt_of
from mograder.store.shared.stat_cache import Cached


class Pending(Struct, frozen=True):
    """A submission whose file is not yet known to be on the disk. Its bytes are in the ledger, or in the hidden file
    `spool`; `sha256` is that of bytes in the ledger, else "".
    """

    sha256: str
    spool: str | None


class LedgerRecord(Record, frozen=True, dict=True):
    """What a ledger says at one moment. `damage` is what SQLite says of the file, "" if it is sound."""

    pending: dict[int, Pending]
    results: list[Result]
    damage: str

    @cached_property
    def named(self) -> list[Receipt]:
        """The receipts whose file name is valid."""
        return [each for each in self.receipts if stays_inside(each.submission)]


def read_record(ledger: Path) -> LedgerRecord:
    """Raises Unreadable and FileNotFoundError."""
    with reading(ledger) as connection:
        damage = connection.execute("PRAGMA quick_check(5)").fetchall()
        return LedgerRecord(
            [receipt_of(row) for row in _rows(connection, RECEIPT_COLUMNS, "receipts")],
            [Tombstone(*row) for row in _rows(connection, ERASED_COLUMNS, "erased")],
            {
                number: Pending(hashlib.sha256(body).hexdigest() if body is not None else "", spool)
                for number, body, spool in _rows(connection, "number, body, spool", "pending")
            },
            [
                result_of(row)
                for row in connection.execute(f"SELECT {RESULT_COLUMNS} FROM grading_results ORDER BY receipt, graded")
            ],
            "" if damage == [("ok",)] else str(damage[0][0]),
        )


def _rows(connection: sqlite3.Connection, columns: str, table: str) -> sqlite3.Cursor:
    return connection.execute(f"SELECT {columns} FROM {table} ORDER BY number")


class Evidence:
    """One course's folders. It may be read repeatedly; a file that has not changed is read once."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.ledger = folders.root / LEDGER
        self._sha256 = Cached(sha256_of)

    def own_signer(self) -> Ed25519Signer:
        """A signer with the course's key. Raises Unreadable when the key is missing or invalid."""
        path = self.folders.root / SIGNING_KEY
        try:
            return Ed25519Signer(path.read_bytes())
        except (OSError, ValueError) as problem:
            raise Unreadable(
                "the course's key cannot be read", f"{path}: {problem}: restore it, or give --keys"
            ) from None

    def verify(self, signer: Signer | None, kept: Sequence[Head] = ()) -> Verified:
        """Compare everything with the chain, and the chain with the heads that were `kept` elsewhere.

        `signer` holds the keys to trust, None means the course's own. Raises Unreadable and FileNotFoundError.
        """
        trusted = signer or self.own_signer()

        def look() -> Findings:
            names = self.names()
            yield from self.everything(read_record(self.ledger), names, trusted, kept)

        findings = lasting(look)
        record = read_record(self.ledger)
        return Verified(findings, record.head, len(record.receipts), len(record.erased))

    def everything(
        self, record: LedgerRecord, names: dict[str, list[str]], signer: Signer | None, kept: Sequence[Head] = ()
    ) -> Findings:
        """All findings. `names` is what `names()` returned before the record was read."""
        if record.damage:
            yield error(f"the ledger is damaged: {record.damage}", self.ledger, "restore it from a backup")
        yield from self._chain(record, signer, kept)
        yield from self._versions(record)
        yield from self._links(record)
        yield from self._unknown(names, record)

    def _chain(self, record: LedgerRecord, signer: Signer | None, kept: Sequence[Head]) -> Findings:
        mend = "restore the ledger from a backup; the students' own receipts show what was submitted"
        yield from broken_chain(record.links, signer, kept, self.ledger, mend)
        for receipt in record.receipts:
            if not stays_inside(receipt.submission):
                what = f"receipt {receipt.number} was altered: it names a file that cannot be"
                yield error(what, self.ledger, "restore the ledger from a backup")
        if signer is not None:
            mend = "restore the ledger from a backup, or grade again with 'mograder regrade'"
            yield from broken_results(record.results, record.receipts, signer, self.ledger, mend)

    # files

    def names(self) -> dict[str, list[str]]:
        """The file names in each assignment's folder of submissions; "" for files beside those folders.

        Call it before the ledger is read: then each of these files has its receipt, if it gets one.
        """
        found: dict[str, list[str]] = {}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.folders.submitted):
                if entry.is_dir(follow_symlinks=False):
                    found[entry.name] = sorted(os.listdir(entry.path))
                else:
                    found.setdefault("", []).append(entry.name)
        return found

    def _version(self, receipt: Receipt) -> Path:
        return self.folders.submitted / receipt.submission.assignment / receipt.submission.filename

    def _versions(self, record: LedgerRecord) -> Findings:
        for receipt in record.named:
            path, kept = self._version(receipt), receipt.submission
            who = f"submission {kept.attempt} of {kept.username}"
            pending = record.pending.get(receipt.number)
            try:
                same = not path.is_symlink() and self._sha256.get(path) == kept.sha256
            except FileNotFoundError:
                yield from self._unplaced(receipt, pending)
                continue
            except (OSError, ValueError) as problem:
                yield error(f"{who} cannot be read: {problem}", path, "look at its permissions")
                continue
            if not same and pending is None:
                yield error(
                    f"{who} is not what was submitted: its checksum differs from the receipt's", path,
                    "restore the file from a backup, or ask for it again",
                )  # fmt: skip

    def _unplaced(self, receipt: Receipt, pending: Pending | None) -> Findings:
        path, kept = self._version(receipt), receipt.submission
        who, mend = (
            f"submission {kept.attempt} of {kept.username}",
            "restore the file from a backup, or ask for it again",
        )
        if pending is None:
            yield error(f"{who} is missing", path, mend)
            return
        digest = pending.sha256
        if pending.spool is not None:
            with contextlib.suppress(OSError):
                digest = self._sha256.get(self.folders.submitted / Path(pending.spool).name)
        if digest != kept.sha256:
            yield error(f"{who} waits for its place, and is not what was submitted", path, mend)

    def _links(self, record: LedgerRecord) -> Findings:
        versions: dict[Path, list[Receipt]] = {}
        for receipt in record.named:
            link = self._version(receipt).with_name(latest_filename(receipt.submission.username))
            versions.setdefault(link, []).append(receipt)
        for link, known in versions.items():
            if known[-1].number in record.pending:
                continue
            target = known[-1].submission.filename
            if not link.is_symlink():
                yield from self._plain_latest(link, known)
            elif os.readlink(link) != target:
                yield error(
                    f"points to {os.readlink(link)!r}, and the last accepted is {target!r}", link,
                    "mograder doctor --repair points it there", partial(self._point, link),
                )  # fmt: skip

    def _plain_latest(self, link: Path, known: list[Receipt]) -> Findings:
        target = known[-1].submission.filename
        try:
            digest = self._sha256.get(link)
        except FileNotFoundError:
            yield error(
                f"is missing: the last accepted is {target!r}", link, "mograder doctor --repair makes it",
                partial(self._point, link),
            )  # fmt: skip
            return
        if digest == known[-1].submission.sha256:
            return
        if named := named_version(str(link)):
            yield error(
                f"is a text that says {named!r}, where a link should be: links were lost in a copy", link,
                "mograder doctor --repair makes the link", partial(self._point, link),
            )  # fmt: skip
            return
        if any(digest == each.submission.sha256 for each in known):
            yield warning(
                f"is a copy of an older version than {target!r}", link, "mograder doctor --repair points it there",
                partial(self._point, link),
            )  # fmt: skip
        else:
            yield note("was put there by hand and has no receipt", link, "it counts as the latest, as it stands")

    def _point(self, link: Path) -> str:
        """Repair a link under the process lock, so that a submission that a server accepts meanwhile is not undone."""
        ledger = Ledger(self.ledger, self.folders.root / LOCK)
        try:
            return ledger.write(lambda connection: self._point_locked(connection, link))
        finally:
            ledger.close()

    def _point_locked(self, connection: sqlite3.Connection, link: Path) -> str:
        row = connection.execute(
            "SELECT filename FROM receipts WHERE assignment = ? AND username = ? ORDER BY attempt DESC LIMIT 1",
            (link.parent.name, link.name.removesuffix(".py")),
        ).fetchone()
        version = link.parent / Path(row[0]).name
        if not version.is_file():
            return f"left {link}: {version.name} is missing"
        files.point_latest(link, version)
        files.sync_folder(link.parent)
        return f"pointed {link} to {version.name}"

    def _unknown(self, names: dict[str, list[str]], record: LedgerRecord) -> Findings:
        known = {(each.submission.assignment, each.submission.filename) for each in record.named}
        known |= {(each.submission.assignment, latest_filename(each.submission.username)) for each in record.named}
        for assignment, found in names.items():
            folder = self.folders.submitted / assignment
            by_hand = []
            for name in found:
                if (assignment, name) in known or files.is_scratch(name):
                    continue
                path = folder / name
                if assignment and (owner(name) or version_owner(name)):
                    if path.is_symlink() and not path.exists():
                        yield error("is a link that leads nowhere", path, "remove it, or restore what it named")
                    by_hand.append(name)
                else:
                    yield warning("is not a submission", path, "look at it, and move it elsewhere")
            if by_hand:
                yield note(
                    f"{counted(len(by_hand), 'file')} without a receipt: {some_of(by_hand)}", folder,
                    "files without a receipt count as put there by hand",
                )  # fmt: skip
