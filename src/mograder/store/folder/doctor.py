"""Examines a course folder: what is wrong, where, and how to mend it.

Invariant: `check` changes nothing and may run beside a server; `repair` never deletes or alters a submission.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from mograder.config import source_folder
from mograder.course_file import CONFIG_NAME, EMPTY, read_course_file
from mograder.domain import deadlines
from mograder.domain.codes import CAN_BE_GUESSED, HARDER, is_hard_to_guess
from mograder.domain.contents import Contents, contents
from mograder.domain.errors import MograderError, Unreadable
from mograder.domain.names import counted
from mograder.domain.receipts import Receipt
from mograder.domain.tokens import SECRET_NAME
from mograder.permissions import private_mode
from mograder.signing import Ed25519Signer
from mograder.store.folder.authority import AUTHORITY, CERTIFICATE, Pair
from mograder.store.folder.courses import same_secret
from mograder.store.folder.evidence import Evidence, LedgerRecord, read_record
from mograder.store.folder.grades import load_grades
from mograder.store.folder.jobs import GRADED
from mograder.store.folder.keys import PREVIOUS_NAME, read_previous, read_secret
from mograder.store.folder.layout import BEGIN_ANEW, FEEDBACK, GRADES, LEDGER, LOCK, NEW_KEY, SIGNING_KEY, Folders
from mograder.store.folder.process_lock import queue_of
from mograder.store.folder.release import ReleaseFolder
from mograder.store.folder.snapshot import reading
from mograder.store.folder.store import FolderStore
from mograder.store.folder.survey import FolderSurvey
from mograder.store.shared import files
from mograder.store.shared.findings import Finding, Findings, error, lasting, note, warning
from mograder.store.shared.grading_rows import JOB_COLUMNS, READINESS_COLUMNS, job_of, readiness_of
from mograder.store.shared.grading_state import grading_state
from mograder.store.shared.manifest import MANIFEST

SETTLES_WITHIN = 60
"""Seconds after which a submission that is still pending is reported: something keeps the server from finishing it."""
AUTHORITY_ENDS_SOON = timedelta(days=180)
UNGRADED = f"SELECT {JOB_COLUMNS} FROM grading_jobs WHERE finished = 0 AND assignment IN (%s) ORDER BY receipt"
LOW_SPACE, NO_SPACE = 1024**3, 100 * 1024**2  # bytes


def check(folders: Folders, now: int, is_copy: bool = False) -> list[Finding]:
    """Every finding, worst first. `now` is the wall clock, in Unix microseconds. Changes nothing.

    `is_copy` says that the course was just restored from an archive, so that it may share the original's secret.
    """
    return lasting(_Look(folders, now, is_copy).everything)


def repair(findings: list[Finding]) -> list[str]:
    """Mend the findings that are safe to mend; returns what was done and what could not be done, for people."""
    done = []
    for finding in findings:
        if finding.repair is not None:
            try:
                done.append(finding.repair())
            except (MograderError, OSError, ValueError) as problem:
                done.append(f"could not mend {finding.where}: {problem}")
    return done


PERMISSIONS = "look at its permissions"
FROM_BACKUP = "restore it from a backup"
MADE_ANEW = "the next start makes a new one"
MISSING = {
    SECRET_NAME: f"{FROM_BACKUP}; {MADE_ANEW}, and tokens of the old one are no longer accepted",
    SIGNING_KEY: NEW_KEY,
    AUTHORITY: f"{FROM_BACKUP}; {MADE_ANEW}, which everybody has to pin by a new join link",
}
"""How to replace a file that is missing."""
MEND_BY_HAND = (
    "mend the file by hand: until then a running server keeps its earlier content in force, and no server starts"
)


class _Look:
    def __init__(self, folders: Folders, now: int, is_copy: bool = False) -> None:
        self.is_copy = is_copy
        self.folders = folders
        self.now = now
        self.evidence = Evidence(folders)
        self.ledger = folders.root / LEDGER
        self.survey = FolderSurvey(folders, self._has_receipts)

    def _has_receipts(self) -> bool:
        """Also True when the ledger cannot be read: another finding reports that."""
        try:
            with reading(self.ledger) as connection:
                return connection.execute("SELECT 1 FROM receipts LIMIT 1").fetchone() is not None
        except FileNotFoundError:
            return False
        except (Unreadable, sqlite3.Error):
            return True

    def everything(self) -> Findings:
        if not self.folders.root.is_dir():
            yield error("the folder is not there", self.folders.root, "give the folder of a course")
            return
        yield from self._places()
        yield from self._private_file(SECRET_NAME, read_secret)
        if (self.folders.root / PREVIOUS_NAME).exists():
            yield from self._private_file(PREVIOUS_NAME, read_previous)
        yield from self._shared_secret()
        yield from self._open_work()
        if outside := self.folders.outside:
            yield note(
                "released files are served from a folder outside the course: students can download all that is in it",
                outside, "if that is not meant, take [dirs] release out of mograder.toml",
            )  # fmt: skip
        yield from self._certificates()
        yield from self._configuration()
        yield from self._space()
        names = self.evidence.names()
        if not self.ledger.exists():
            if (self.folders.root / SIGNING_KEY).exists():
                yield error("the ledger is missing: it has accounts and receipts", self.ledger, BEGIN_ANEW)
            elif any(names.values()):
                yield warning(
                    "there are submissions and no ledger: receipts and accounts are missing", self.ledger,
                    "restore it from a backup; without one, the next start makes an empty ledger",
                )  # fmt: skip
            elif not self._is_course():
                yield error("there is no course here", self.folders.root, "give the folder that is served")
            else:
                yield note("the course has not been served yet", self.folders.root, "mograder serve it")
            return
        try:
            record = read_record(self.ledger)
        except Unreadable as problem:
            yield error(problem.message, problem.place, FROM_BACKUP)
            return
        seals: list[Ed25519Signer] = []
        if record.links or (self.folders.root / SIGNING_KEY).exists():
            yield from self._private_file(SIGNING_KEY, lambda path: seals.append(Ed25519Signer(path.read_bytes())))
        yield from self.evidence.everything(record, names, seals[0] if seals else None)
        yield from self._clock(record.receipts)
        yield from self._pending(record)
        yield from self._grading()
        yield from self._leftovers({each.spool for each in record.pending.values()})

    def _is_course(self) -> bool:
        """Whether there is any file of a course here, even one that cannot be parsed."""
        ours = (
            self.folders.root / SECRET_NAME,
            self.folders.root / MANIFEST,
            self.folders.course / CONFIG_NAME,
        )
        with contextlib.suppress(OSError):
            return any(path.exists() for path in ours) or bool(ReleaseFolder(self.folders).assignments(EMPTY.plan()))
        return True

    def _shared_secret(self) -> Findings:
        for other in () if self.is_copy else same_secret(self.folders.root):
            yield warning(
                f"it has the same secret as {other}: a token of one is valid in the other",
                self.folders.root / SECRET_NAME, "make a new secret for one of them: mograder secret rotate --grace 0",
            )  # fmt: skip

    def _open_work(self) -> Findings:
        """Submissions, grades and feedback that other users of this machine can open, and the folder does not allow
        (chmod g+s).
        """
        if sys.platform == "win32":
            return
        for path in sorted(self.folders.grades.glob(f"*/{GRADES}")):
            if _is_open(path):
                yield warning(
                    "grades that other users of this machine can open",
                    path,
                    f"chmod 600 {path}",
                    partial(_hide, [path]),
                )
        for what, names, pattern, folders in (
            ("feedback page", "*.html", "*.html", self.folders.grades.glob(f"*/{FEEDBACK}")),
            ("submission", "*", "*_????????T??????*", self.folders.submitted.glob("[!.]*/")),
        ):
            for folder in sorted(folders):
                found = [path for path in sorted(folder.glob(pattern)) if _is_open(path)]
                if found:
                    yield warning(
                        f"{counted(len(found), what)} that other users of this machine can open", folder,
                        f"chmod 600 {folder}/{names}", partial(_hide, found),
                    )  # fmt: skip

    def _grading(self) -> Findings:
        """Assignments that cannot be graded, and submissions that wait or were given up."""
        with reading(self.ledger) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'grading_jobs'").fetchall():
                return  # an older ledger, which the next start upgrades
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'grading_readiness'").fetchall()
            graded = GRADED if known else "SELECT assignment FROM grading_tests"
            jobs = list(map(job_of, connection.execute(UNGRADED % graded)))
            ready = connection.execute(f"SELECT {READINESS_COLUMNS} FROM grading_readiness").fetchall() if known else []
        sources = source_folder(self.folders.root).glob("*/*.py")
        with_tests = {path.stem for path in sources if path.stem == path.parent.name}
        yield from grading_state(map(readiness_of, ready), with_tests, jobs, self.now, self.folders.course)

    # the folder itself

    def _places(self) -> Findings:
        if sys.platform == "win32":
            return
        ours = self.folders.root.stat().st_uid
        places = dict.fromkeys((self.folders.root, self.folders.submitted, self.folders.grades))
        for folder in filter(Path.exists, places):
            found = folder.stat()
            if found.st_mode & stat.S_IWOTH:
                yield error("everybody on this machine may write here", folder, f"chmod o-w {folder}")
            if not found.st_mode & stat.S_IWUSR:
                yield error("the owner may not write here: submissions are refused", folder, f"chmod u+w {folder}")
        secrets = (SECRET_NAME, PREVIOUS_NAME, SIGNING_KEY, AUTHORITY, CERTIFICATE)
        locked = (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", LOCK, queue_of(Path(LOCK)).name)
        names = (*secrets, *locked)
        for path in [self.folders.submitted, *(self.folders.root / name for name in names)]:
            if path.exists() and path.stat().st_uid != ours:
                yield warning(
                    "belongs to another user than the folder: the server may not be able to use it", path,
                    f"chown it to the owner of {self.folders.root}",
                )  # fmt: skip
        for path in filter(Path.exists, (self.folders.root / name for name in locked)):
            if path.stat().st_mode & 0o077:
                yield error(
                    "can be opened by other users of this machine: they can lock it, and so stop all submissions", path,
                    f"chmod 600 {path}", partial(_close, path),
                )  # fmt: skip
        if os.geteuid() not in (0, ours):
            yield note(
                "you are not the owner of the course", self.folders.root, "always run the server as the same user"
            )

    def _private_file(self, name: str, read: Callable[[Path], object]) -> Findings:
        path = self.folders.root / name
        mend = MADE_ANEW if name == CERTIFICATE else FROM_BACKUP
        if not path.exists():
            if self.ledger.exists():
                yield error(f"{name} is missing", path, MISSING.get(name, mend))
            return
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            yield error("can be read by other users of this machine", path, f"chmod 600 {path}", partial(_close, path))
            return
        try:
            read(path)
        except Unreadable as problem:
            yield error(problem.message, path, mend)
        except (OSError, ValueError) as problem:
            yield error(f"cannot be read: {problem}", path, mend)

    def _certificates(self) -> Findings:
        """Findings about the certificate of a server without a domain."""
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
                "serve makes a new one when it starts; a running server has failed to",
            )  # fmt: skip

    def _configuration(self) -> Findings:
        path = self.folders.course / CONFIG_NAME
        course = EMPTY
        try:
            course = read_course_file(path)
        except Unreadable as problem:
            yield error(problem.message, path, MEND_BY_HAND)
        if (code := course.plan().enrollment_code) and not is_hard_to_guess(code):
            yield note(CAN_BE_GUESSED, path, HARDER)
        try:
            listed = ReleaseFolder(self.folders).assignments(course.plan())
        except Unreadable as problem:
            yield error(problem.message, problem.place, MEND_BY_HAND)
        except OSError as problem:
            yield error(f"cannot be read: {problem.strerror}", problem.filename, PERMISSIONS)
        else:
            for each in listed:
                due, closes = each.rules.schedule.due, each.rules.schedule.closes
                if due is not None and closes is not None and closes < due:
                    yield warning(
                        f"{each.name!r} closes before it is due: mograder.toml gives one time, {MANIFEST} the other",
                        path, "give both times in one of them: mograder.toml overrides the other",
                    )  # fmt: skip
            yield from self._left_out(contents(listed, course.plan(), self.survey.look()), path)
        for path in sorted(self.folders.grades.glob(f"*/{GRADES}")):
            try:
                load_grades(path)
            except Unreadable as problem:
                yield error(problem.message, problem.place, "mend the file by hand: it is not overwritten until then")
            except OSError as problem:
                yield error(f"cannot be read: {problem.strerror}", path, PERMISSIONS)

    def _left_out(self, found: Contents, settings: Path) -> Findings:
        told = not self.ledger.exists() or self._has_receipts()
        for each in found.left_out:
            if each.itemised and told:
                continue
            say = note if each.expected else warning
            yield say(f"left out: {each}", each.where or settings, each.mend)

    def _leftovers(self, spools: set[str | None]) -> Findings:
        grades = [self.folders.grades, *self.folders.grades.glob("*/"), *self.folders.grades.glob("*/feedback/")]
        found = {path for folder in [self.folders.root, *grades] for path in folder.glob(".*.tmp")}
        found |= set(self.folders.submitted.glob("**/.*"))
        for path in sorted(each for each in found if files.is_scratch(each.name)):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > files.CUT_OFF_AFTER and path.name not in spools:
                    yield warning(
                        "was left by a write that was cut off", path, "mograder doctor --repair removes it",
                        partial(self._drop, path),
                    )  # fmt: skip

    def _drop(self, path: Path) -> str:
        with reading(self.ledger) as connection:
            if connection.execute("SELECT 1 FROM pending WHERE spool = ?", (path.name,)).fetchone():
                return f"kept {path}: a submission is still in it"
        path.unlink(missing_ok=True)
        return f"removed {path}"

    def _space(self) -> Findings:
        for folder in dict.fromkeys((self.folders.root, self.folders.submitted)):
            if folder.exists() and (free := shutil.disk_usage(folder).free) < LOW_SPACE:
                say = error if free < NO_SPACE else warning
                yield say(
                    f"{free // 1024**2} MiB are free", folder, "make room: submissions are refused on a full disk"
                )

    # receipts

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

    def _pending(self, record: LedgerRecord) -> Findings:
        waiting = [each.submission.received for each in record.receipts if each.number in record.pending]
        if not waiting:
            return
        age = (self.now - min(waiting)) // deadlines.SECOND
        say = warning if age > SETTLES_WITHIN else note
        yield say(
            f"{counted(len(waiting), 'submission')} in the ledger, not yet known to be on the disk", self.ledger,
            "nothing is lost: the next start finishes them, or mograder doctor --repair", self._finish,
        )  # fmt: skip

    def _finish(self) -> str:
        FolderStore(self.folders).close()
        return f"finished the pending submissions of {self.ledger}"


def _is_open(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and bool(found.st_mode & 0o077 & ~private_mode(path.parent))


def _hide(paths: list[Path]) -> str:
    for path in filter(_is_open, paths):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & private_mode(path.parent))
    return f"chmod 600 {paths[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _close(path: Path) -> str:
    path.chmod(0o600)
    return f"chmod 600 {path}"
