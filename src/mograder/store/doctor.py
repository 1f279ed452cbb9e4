"""Looks a course over: what is wrong in the folder, where, and how to mend it.

The law: `check` changes nothing and may run beside a server; `repair` never deletes or alters a hand-in.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

from mograder import config
from mograder.domain import deadlines
from mograder.domain.errors import MograderError, Unreadable, VerificationFailed
from mograder.domain.names import is_history
from mograder.domain.receipts import Receipt, claims, latest_filename, owner
from mograder.domain.tokens import SECRET_NAME
from mograder.sealing import Ed25519Seal
from mograder.store import files
from mograder.store.authority import AUTHORITY, CERTIFICATE, Pair
from mograder.store.directory import (
    RECEIPT_COLUMNS,
    DirectoryStore,
    load_grades,
    receipt_of,
)
from mograder.store.files import Cached, sha256_of
from mograder.store.hand_outs import HandOuts
from mograder.store.layout import GRADES, LEDGER, LOCK, MANIFEST, SIGNING_KEY, Folders
from mograder.store.ledger import Ledger
from mograder.store.secret import read_secret
from mograder.store.snapshot import reading, stays_inside

STALE_SECONDS = 24 * 3600
SETTLES_WITHIN = 60
"""Seconds after which a hand-in that is still pending says that something keeps the server from finishing it."""
AUTHORITY_ENDS_SOON = timedelta(days=180)
LOW_SPACE, NO_SPACE = 1024**3, 100 * 1024**2  # bytes
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
_MOST_NAMED = 5


class Severity(StrEnum):
    ERROR = "error"  # something is lost, unsafe, or does not work
    WARNING = "warning"  # it works, and somebody should look at it
    NOTE = "note"  # good to know


Repair = Callable[[], str]
"""Mends one finding and says what it did."""


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and how to mend it. `repair` does so, where that is safe."""

    severity: Severity
    what: str
    where: str
    mend: str
    repair: Repair | None = field(default=None, compare=False, repr=False)


Findings = Iterator[Finding]


def error(what: str, where: object, mend: str, repair: Repair | None = None) -> Finding:
    return Finding(Severity.ERROR, what, str(where), mend, repair)


def warning(what: str, where: object, mend: str, repair: Repair | None = None) -> Finding:
    return Finding(Severity.WARNING, what, str(where), mend, repair)


def note(what: str, where: object, mend: str, repair: Repair | None = None) -> Finding:
    return Finding(Severity.NOTE, what, str(where), mend, repair)


def check(folders: Folders, now: int) -> list[Finding]:
    """Every finding, worst first. `now` is the wall clock, in Unix microseconds. Changes nothing."""
    looking = _Look(folders, now)
    found = list(looking.everything())
    if any(each.severity is not Severity.NOTE for each in found):
        # A server may have been between two steps of a hand-in. What is wrong is so at a second look as well.
        time.sleep(0.5)
        found = [each for each in looking.everything() if each in found]
    order = list(Severity)
    return sorted(dict.fromkeys(found), key=lambda each: order.index(each.severity))


def repair(folders: Folders, findings: list[Finding]) -> list[str]:
    """Mend what is safe to mend; what was done, and what could not be done."""
    done = []
    for finding in findings:
        if finding.repair is not None:
            try:
                done.append(finding.repair())
            except (MograderError, OSError, ValueError) as problem:
                done.append(f"could not mend {finding.where}: {problem}")
    return done


class _Look:
    def __init__(self, folders: Folders, now: int) -> None:
        self.folders = folders
        self.now = now
        self.sha256 = Cached(sha256_of)
        self.ledger = folders.root / LEDGER

    def everything(self) -> Findings:
        if not self.folders.root.is_dir():
            yield error("the folder is not there", self.folders.root, "give the folder of a course")
            return
        yield from self._places()
        yield from self._private_file(SECRET_NAME, read_secret)
        yield from self._certificates()
        yield from self._configuration()
        yield from self._space()
        # Names first, ledger second: whatever stood there when we looked has its receipt by then, if it gets one.
        names = self._names()
        if not self.ledger.exists():
            if any(names.values()):
                yield warning(
                    "there are hand-ins and no ledger: receipts and accounts are missing", self.ledger,
                    "restore it from a backup; without one, the next start makes an empty ledger",
                )  # fmt: skip
            else:
                yield note("the course has not been served yet", self.folders.root, "mograder serve it")
            return
        try:
            with reading(self.ledger) as connection:
                rows = connection.execute("PRAGMA quick_check(5)").fetchall()
                receipts = [
                    receipt_of(row)
                    for row in connection.execute(f"SELECT {RECEIPT_COLUMNS} FROM receipts ORDER BY number")
                ]
                pending = dict(connection.execute("SELECT number, spool FROM pending").fetchall())
        except Unreadable as problem:
            yield error(problem.message, problem.place, "restore it from a backup")
            return
        if rows != [("ok",)]:
            yield error(f"the ledger is damaged: {rows[0][0]}", self.ledger, "restore it from a backup")
        yield from self._chain(receipts)
        yield from self._clock(receipts)
        yield from self._pending(receipts, pending)
        for receipt in receipts:
            if not stays_inside(receipt.submission):
                what = f"receipt {receipt.number} was altered: it names a file that cannot be"
                yield error(what, self.ledger, "restore the ledger from a backup")
        receipts = [each for each in receipts if stays_inside(each.submission)]
        yield from self._versions(receipts, set(pending))
        yield from self._links(receipts, set(pending))
        yield from self._unknown(names, receipts)
        yield from self._leftovers(set(pending.values()))

    # the folder itself

    def _places(self) -> Findings:
        if sys.platform == "win32":
            return
        ours = self.folders.root.stat().st_uid
        for folder in dict.fromkeys((self.folders.root, self.folders.submitted, self.folders.grades)):
            if not folder.exists():
                continue
            found = folder.stat()
            if found.st_mode & stat.S_IWOTH:
                yield error("everybody on this machine may write here", folder, f"chmod o-w {folder}")
            if not found.st_mode & stat.S_IWUSR:
                yield error("the owner may not write here: hand-ins are refused", folder, f"chmod u+w {folder}")
        names = (SECRET_NAME, SIGNING_KEY, AUTHORITY, CERTIFICATE, LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", LOCK)
        for path in [self.folders.submitted, *(self.folders.root / name for name in names)]:
            if path.exists() and path.stat().st_uid != ours:
                yield warning(
                    "belongs to another user than the folder: the server may not be able to use it", path,
                    f"chown it to the owner of {self.folders.root}",
                )  # fmt: skip
        if os.geteuid() not in (0, ours):
            yield note("you are not the owner of the course", self.folders.root, "run the server as one user always")

    def _private_file(self, name: str, read: Callable[[Path], object]) -> Findings:
        path = self.folders.root / name
        if not path.exists():
            if self.ledger.exists():
                yield error(
                    f"{name} is missing", path, "restore it from a backup; the next start makes a new one, and what "
                    "the old one has signed (tokens, receipts) can no longer be verified",
                )  # fmt: skip
            return
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            yield error("can be read by other users of this machine", path, f"chmod 600 {path}", partial(_close, path))
            return
        try:
            read(path)
        except Unreadable as problem:
            yield error(problem.message, path, "restore it from a backup")
        except (OSError, ValueError) as problem:
            yield error(f"cannot be read: {problem}", path, "restore it from a backup")

    def _certificates(self) -> Findings:
        """Of a server without a domain."""
        if not any((self.folders.root / name).exists() for name in (AUTHORITY, CERTIFICATE)):
            return
        now = datetime.fromtimestamp(self.now / deadlines.SECOND, UTC)
        pairs: dict[str, Pair] = {}
        for name in (AUTHORITY, CERTIFICATE):
            yield from self._private_file(name, lambda path: pairs.__setitem__(path.name, Pair.read(path)))
        if AUTHORITY in pairs and pairs[AUTHORITY].ends < now + AUTHORITY_ENDS_SOON:
            yield warning(
                f"the authority that students have pinned ends on {pairs[AUTHORITY].ends:%Y-%m-%d}",
                self.folders.root / AUTHORITY, "between two terms, remove it: the next start makes a new one, which "
                "everybody pins by a new join link",
            )  # fmt: skip
        if CERTIFICATE in pairs and pairs[CERTIFICATE].ends < now:
            yield warning(
                f"the certificate ended on {pairs[CERTIFICATE].ends:%Y-%m-%d}", self.folders.root / CERTIFICATE,
                "serve makes a new one when it starts; one that is running could not",
            )  # fmt: skip

    def _configuration(self) -> Findings:
        path = self.folders.course / config.CONFIG_NAME
        course = config.EMPTY
        try:
            course = config.read_course_file(path)
        except Unreadable as problem:
            yield error(problem.message, path, "mend the file by hand: until then requests are answered 503")
        try:
            listed = HandOuts(self.folders).assignments(course.plan())
        except (MograderError, OSError) as problem:
            place = getattr(problem, "place", self.folders.root / MANIFEST)
            yield error(str(problem), place, "mend the file by hand: until then requests are answered 503")
        else:
            known = {each.name for each in listed}
            for rule in course.assignments:
                if rule.name not in known:
                    yield note(
                        f"names the assignment {rule.name!r}, which has no files yet", path, "make its folder, or "
                        "correct the name",
                    )  # fmt: skip
        for path in sorted(self.folders.grades.glob(f"*/{GRADES}")):
            try:
                load_grades(path)
            except Unreadable as problem:
                yield error(problem.message, problem.place, "mend the file by hand: it is not overwritten until then")
            except OSError as problem:
                yield error(f"cannot be read: {problem.strerror}", path, "look at its permissions")

    def _leftovers(self, spools: set[str | None]) -> Findings:
        grades = [self.folders.grades, *self.folders.grades.glob("*/"), *self.folders.grades.glob("*/feedback/")]
        found = {path for folder in [self.folders.root, *grades] for path in folder.glob(".*.tmp")}
        found |= set(self.folders.submitted.glob("**/.*"))
        for path in sorted(found):
            if not (path.name.startswith(files.SPOOL_PREFIX) or _LEFTOVER.fullmatch(path.name)):
                continue
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > STALE_SECONDS and path.name not in spools:
                    yield warning(
                        "was left by a write that was cut off", path, "mograder doctor --repair removes it",
                        partial(self._drop, path),
                    )  # fmt: skip

    def _drop(self, path: Path) -> str:
        with reading(self.ledger) as connection:
            if connection.execute("SELECT 1 FROM pending WHERE spool = ?", (path.name,)).fetchone():
                return f"kept {path}: a hand-in is still in it"
        path.unlink(missing_ok=True)
        return f"removed {path}"

    def _space(self) -> Findings:
        for folder in dict.fromkeys((self.folders.root, self.folders.submitted)):
            if folder.exists() and (free := shutil.disk_usage(folder).free) < LOW_SPACE:
                say = error if free < NO_SPACE else warning
                yield say(f"{free // 1024**2} MiB are free", folder, "make room: hand-ins are refused on a full disk")

    # receipts

    def _chain(self, receipts: list[Receipt]) -> Findings:
        seals: list[Ed25519Seal] = []
        if receipts or (self.folders.root / SIGNING_KEY).exists():
            yield from self._private_file(SIGNING_KEY, lambda path: seals.append(Ed25519Seal(path.read_bytes())))
        mend = "restore the ledger from a backup; the students' own receipts show what was handed in"
        before: Receipt | None = None
        unsigned = []
        for receipt in receipts:
            number = before.number + 1 if before else 1
            if receipt.number != number:
                yield error(f"receipts {number} to {receipt.number - 1} are missing from the ledger", self.ledger, mend)
            elif receipt.previous != (_hash(before) if before else ""):
                yield error(f"receipt {receipt.number} does not follow the one before it", self.ledger, mend)
            before = receipt
            try:
                stated = seals[0].verify(receipt.text) if seals else None
            except VerificationFailed:
                unsigned.append(str(receipt.number))
                continue
            if stated is not None and (differ := _differences(receipt, stated)):
                what = f"receipt {receipt.number} was altered: {', '.join(differ)} is not what was signed"
                yield error(what, self.ledger, mend)
        if unsigned:
            yield error(
                f"{len(unsigned)} of {len(receipts)} receipts are not signed with {SIGNING_KEY}: {_some(unsigned)}",
                self.ledger, f"restore {SIGNING_KEY}, or the ledger, from a backup",
            )  # fmt: skip

    def _clock(self, receipts: list[Receipt]) -> Findings:
        latest = max((each.submission.received for each in receipts), default=0)
        if latest > self.now + deadlines.SECOND:
            ahead = (latest - self.now) // deadlines.SECOND
            yield warning(
                f"the last receipt is {ahead} s ahead of the clock, {deadlines.iso(self.now)}", self.ledger,
                "set the clock right (timedatectl): due dates go by it",
            )  # fmt: skip
        ahead = int(self.ledger.stat().st_mtime) - self.now // deadlines.SECOND
        if ahead > 60:
            yield warning(
                f"the file system's time is {ahead} s ahead of the clock", self.ledger,
                "set the clock right, here or on the machine that has the disk",
            )  # fmt: skip

    def _pending(self, receipts: list[Receipt], pending: dict[int, str | None]) -> Findings:
        waiting = [each.submission.received for each in receipts if each.number in pending]
        if not waiting:
            return
        age = (self.now - min(waiting)) // deadlines.SECOND
        say = warning if age > SETTLES_WITHIN else note
        yield say(
            f"{len(waiting)} hand-ins are in the ledger and not yet known to be on the disk", self.ledger,
            "nothing is lost: the next start finishes them, or mograder doctor --repair", self._finish,
        )  # fmt: skip

    def _finish(self) -> str:
        DirectoryStore(self.folders).close()
        return f"finished the pending hand-ins of {self.ledger}"

    # files

    def _names(self) -> dict[str, list[str]]:
        """What stands in each assignment's folder of hand-ins."""
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

    def _versions(self, receipts: list[Receipt], pending: set[int]) -> Findings:
        for receipt in receipts:
            path, kept = self._version(receipt), receipt.submission
            who = f"attempt {kept.attempt} of {kept.username}"
            try:
                same = not path.is_symlink() and self.sha256.get(path) == kept.sha256
            except FileNotFoundError:
                if receipt.number not in pending:
                    yield error(f"{who} is missing", path, "restore the file from a backup, or ask for it again")
                continue
            except (OSError, ValueError) as problem:
                yield error(f"{who} cannot be read: {problem}", path, "look at its permissions")
                continue
            if not same and receipt.number not in pending:
                yield error(
                    f"{who} is not what was handed in: its checksum differs from the receipt's", path,
                    "restore the file from a backup, or ask for it again",
                )  # fmt: skip

    def _links(self, receipts: list[Receipt], pending: set[int]) -> Findings:
        versions: dict[Path, list[Receipt]] = {}
        for receipt in receipts:
            link = self._version(receipt).with_name(latest_filename(receipt.submission.username))
            versions.setdefault(link, []).append(receipt)
        for link, known in versions.items():
            if known[-1].number in pending:
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
            digest = self.sha256.get(link)
        except FileNotFoundError:
            yield error(
                f"is missing: the last accepted is {target!r}", link, "mograder doctor --repair makes it",
                partial(self._point, link),
            )  # fmt: skip
            return
        if digest == known[-1].submission.sha256:
            return
        if any(digest == each.submission.sha256 for each in known):
            yield warning(
                f"is a copy of an older version than {target!r}", link, "mograder doctor --repair points it there",
                partial(self._point, link),
            )  # fmt: skip
        else:
            yield note("was put there by hand and has no receipt", link, "it counts as the latest, as it stands")

    def _point(self, link: Path) -> str:
        """In a turn of the ledger's, so that a server that takes a hand-in meanwhile is not undone."""
        ledger = Ledger(self.ledger, self.folders.root / LOCK)
        try:
            return ledger.write(lambda connection: self._point_in_turn(connection, link))
        finally:
            ledger.close()

    def _point_in_turn(self, connection: object, link: Path) -> str:
        row = connection.execute(  # type: ignore[attr-defined]
            "SELECT filename FROM receipts WHERE assignment = ? AND username = ? ORDER BY attempt DESC LIMIT 1",
            (link.parent.name, link.name.removesuffix(".py")),
        ).fetchone()
        version = link.parent / Path(row[0]).name
        if not version.is_file():
            return f"left {link}: {version.name} is missing"
        files.point_latest(link, version)
        files.sync_folder(link.parent)
        return f"pointed {link} to {version.name}"

    def _unknown(self, names: dict[str, list[str]], receipts: list[Receipt]) -> Findings:
        known = {(each.submission.assignment, each.submission.filename) for each in receipts}
        known |= {(each.submission.assignment, latest_filename(each.submission.username)) for each in receipts}
        for assignment, found in names.items():
            folder = self.folders.submitted / assignment
            by_hand = []
            for name in found:
                if (assignment, name) in known or name.startswith(files.SPOOL_PREFIX) or _LEFTOVER.fullmatch(name):
                    continue
                path = folder / name
                if assignment and (owner(name) or (name.endswith(".py") and is_history(name[:-3]))):
                    if path.is_symlink() and not path.exists():
                        yield error("is a link that leads nowhere", path, "remove it, or restore what it named")
                    by_hand.append(name)
                else:
                    yield warning("is no hand-in", path, "look at it, and keep it elsewhere")
            if by_hand:
                yield note(
                    f"{len(by_hand)} files have no receipt: {_some(by_hand)}", folder, "they count as put there by hand"
                )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")


def _hash(receipt: Receipt) -> str:
    try:
        return receipt.hash
    except ValueError:  # a text that was altered to be no receipt at all
        return ""


def _differences(receipt: Receipt, stated: Mapping[str, object]) -> list[str]:
    """The keys of a receipt of which the ledger says something else than what was signed."""
    try:
        wanted = claims(receipt.submission, receipt.number, receipt.previous, "")
    except (ValueError, OverflowError, OSError):
        return ["received"]  # altered to be no time at all
    return [key for key in {**wanted, **stated} if key != "course" and stated.get(key) != wanted.get(key)]


def _close(path: Path) -> str:
    path.chmod(0o600)
    return f"chmod 600 {path}"
