"""Copies a whole course from a folder into a database, and back: submissions, receipts, people and audit log.

Invariant: receipts are copied in their order, each with its bytes, so that an interrupted copy can be continued.
At the end the whole copy is compared with the source.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from mograder import config, course_file
from mograder.domain.audit import Event
from mograder.domain.chain import Link, Tombstone
from mograder.domain.deadlines import SECOND
from mograder.domain.errors import BadName, NameTaken, Usage, VerificationFailed
from mograder.domain.names import INSTRUCTOR, AssignmentName, CourseName, Username, counted, printable
from mograder.domain.receipts import Head, Receipt, latest_filename, version_owner
from mograder.domain.tokens import SECRET_NAME
from mograder.permissions import make_private, private_mode
from mograder.signing import new_private_key as new_key
from mograder.store.folder.keys import PREVIOUS_NAME, secrets_of
from mograder.store.folder.layout import FEEDBACK, GRADES, SIGNING_KEY, Folders, grading_folders, served_folders
from mograder.store.folder.store import FolderStore
from mograder.store.postgres import blobs
from mograder.store.postgres.blobs import new_body, pieces_of
from mograder.store.postgres.chain import APPEND
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import (
    PLAN,
    RELEASED,
    SECRETS,
    SOURCES,
    grades_place,
    put_document,
    read_listing,
    read_secrets,
)
from mograder.store.postgres.store import PostgresStore
from mograder.store.publication import read_publication
from mograder.store.shared import files
from mograder.store.shared.evidence import check_bytes
from mograder.store.shared.grading_rows import READINESS_COLUMNS, RESULT_COLUMNS
from mograder.store.shared.manifest import MANIFEST
from mograder.store.shared.marking_rows import MARKING_COLUMNS
from mograder.store.shared.rows import (
    ACCOUNT_COLUMNS,
    ERASED_COLUMNS,
    EVENT_COLUMNS,
    EXTENSION_COLUMNS,
    RECEIPT_COLUMNS,
    receipt_values,
)

TOGETHER = 50
"""Chain positions that are written in one transaction."""


TABLES = {
    "accounts": (f"key, {ACCOUNT_COLUMNS}", "key"),
    "erased_names": ("salt, digest, generation", "salt"),
    "extensions": (EXTENSION_COLUMNS, "assignment, username"),
    "fetched": ("assignment, username, moment", "assignment, username"),
    "events": (EVENT_COLUMNS, "number"),
    "marking": (f"{MARKING_COLUMNS}, latest", "number"),
    "grading_tests": ("assignment, tests, hidden", "assignment"),
    "grading_jobs": (  # without the claims: the workers that hold them work for the source
        "receipt, assignment, username, attempt, received, tries, not_before, error, finished", "receipt"
    ),
    "grading_results": (f"{RESULT_COLUMNS}, notebook", "receipt, tests"),
    "grading_readiness": (READINESS_COLUMNS, "assignment"),
    "regrade_jobs": (  # without claims as well
        "receipt, assignment, username, regrade, started, twice, tries, not_before, error, tests, graded, signed, "
        "notebook",
        "receipt",
    ),
}  # fmt: skip
"""The tables that both places have: the columns to copy, and those to order by."""

FLAGS = {"bound", "removed", "declined"}

Page = tuple[AssignmentName, Username, bytes, int]
Say = Callable[[str], None]


class Place(Protocol):
    """One course as it can be copied."""

    def head(self) -> Head: ...

    def links(self) -> Iterator[Link]: ...

    def pieces(self, receipt: Receipt) -> Iterator[bytes]:
        """The bytes of a submission."""
        ...

    def append(self, links: list[Link], source: Place) -> None:
        """Append `links` to the chain, with the bytes of their submissions from `source`."""
        ...

    def rows(self, table: str) -> list[tuple[Any, ...]]: ...

    def grades(self) -> dict[AssignmentName, list[dict[str, Any]]]: ...

    def pages(self) -> Iterator[Page]:
        """Feedback pages: assignment, user, HTML and time of the last change (Unix microseconds)."""
        ...

    def fill(self, source: Place) -> None:
        """Replace everything but submissions (the rows of `TABLES`, grades and feedback) by that of `source`."""
        ...


def copy(source: Place, target: Place, say: Say) -> None:
    """Copy what `target` lacks, then compare both.

    Raises NameTaken when `target` holds another course, VerificationFailed when the copy differs from the source.
    """
    done = target.head()
    links = list(source.links())
    if done.number and not any((each.number, each.hash) == (done.number, done.hash) for each in links):
        raise NameTaken("what is there already is not an earlier part of this course: choose another name or folder")
    left = [each for each in links if each.number > done.number]
    for part in _parts(left):
        target.append(part, source)
        say(f"{part[-1].number} of {counted(links[-1].number, 'receipt')}")
    target.fill(source)
    _compare(source, target)


def _parts(links: list[Link]) -> Iterator[list[Link]]:
    for start in range(0, len(links), TOGETHER):
        yield links[start : start + TOGETHER]


def _compare(source: Place, target: Place) -> None:
    """Raises VerificationFailed naming what differs."""
    kept = list(target.links())
    if kept != list(source.links()):
        raise VerificationFailed("the receipts of the copy are not those of the source: run it again")
    for link in kept:
        if isinstance(link, Receipt):
            check_bytes(link, target.pieces(link))
    for table in TABLES:
        if source.rows(table) != target.rows(table):
            raise VerificationFailed(f"{table} of the copy are not those of the source: run it again")
    if source.grades() != target.grades() or _by_person(source) != _by_person(target):
        raise VerificationFailed("grades or feedback of the copy are not those of the source: run it again")


def _by_person(place: Place) -> dict[tuple[str, str], str]:
    return {(name, user): hashlib.sha256(page).hexdigest() for name, user, page, _ in place.pages()}


class FolderPlace:
    """A course folder. The store is open; a server may be running on it."""

    def __init__(self, store: FolderStore) -> None:
        self.store = store

    def head(self) -> Head:
        return self.store.submissions.head()

    def links(self) -> Iterator[Link]:
        return self.store.submissions.chain()

    def _path(self, receipt: Receipt) -> Path:
        kept = receipt.submission
        return self.store.folders.submitted / kept.assignment / kept.filename

    def pieces(self, receipt: Receipt) -> Iterator[bytes]:
        return pieces_in(self._path(receipt))

    def append(self, links: list[Link], source: Place) -> None:
        receipts = [each for each in links if isinstance(each, Receipt)]
        for receipt in receipts:
            write_pieces(self._path(receipt), source.pieces(receipt))
            check_bytes(receipt, self.pieces(receipt))
        erased = [each for each in links if isinstance(each, Tombstone)]

        def work(connection: sqlite3.Connection) -> None:
            places = ", ".join("?" * len(RECEIPT_COLUMNS.split(", ")))
            values = [receipt_values(each) for each in receipts]
            connection.executemany(f"INSERT INTO receipts ({RECEIPT_COLUMNS}) VALUES ({places})", values)
            connection.executemany(
                f"INSERT INTO erased ({ERASED_COLUMNS}) VALUES (?, ?, ?, ?)",
                [(each.number, each.previous, each.hash, each.statement) for each in erased],
            )

        self.store.ledger.write(work)
        for receipt in receipts:
            path = self._path(receipt)
            files.point_latest(path.with_name(latest_filename(receipt.submission.username)), path)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        columns, order = TABLES[table]
        flags = [column in FLAGS for column in columns.split(", ")]
        return [
            tuple(bool(value) if flag else value for value, flag in zip(row, flags, strict=True))
            for row in self.store.ledger.read(f"SELECT {columns} FROM {table} ORDER BY {order}")
        ]

    def grades(self) -> dict[AssignmentName, list[dict[str, Any]]]:
        return {
            name: [dict(each.fields) for each in self.store.grades.of(name)]
            for path in sorted(self.store.folders.grades.glob(f"*/{GRADES}"))
            if (name := _assignment(path.parent)) is not None
        }

    def pages(self) -> Iterator[Page]:
        for path in sorted(self.store.folders.grades.glob(f"*/{FEEDBACK}/[!.]*.html")):
            name, user = _assignment(path.parent.parent), _user(path)
            if name is not None and user is not None:
                yield name, user, path.read_bytes(), int(path.stat().st_mtime * SECOND)

    def left_behind(self) -> Iterator[Path]:
        """Files of grades and feedback whose path names no assignment or no person."""
        for path in sorted(self.store.folders.grades.glob(f"*/{GRADES}")):
            if _assignment(path.parent) is None:
                yield path
        for path in sorted(self.store.folders.grades.glob(f"*/{FEEDBACK}/[!.]*.html")):
            if _assignment(path.parent.parent) is None or _user(path) is None:
                yield path

    def fill(self, source: Place) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for table, (columns, _) in TABLES.items():
                places = ", ".join("?" * len(columns.split(", ")))
                connection.execute(f"DELETE FROM {table}")
                connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", source.rows(table))

        self.store.ledger.write(work)
        for name, entries in source.grades().items():
            path = self.store.folders.grades / name / GRADES
            files.make_folder(path.parent)
            files.write_file(
                path,
                json.dumps(entries, ensure_ascii=False, indent=2).encode() + b"\n",
                private_mode(path.parent),
            )
        for name, user, page, moment in source.pages():
            path = self.store.folders.grades / name / FEEDBACK / f"{user}.html"
            files.make_folder(path.parent)
            files.write_file(path, page, private_mode(path.parent))
            os.utime(path, (moment / SECOND, moment / SECOND))


def _assignment(folder: Path) -> AssignmentName | None:
    try:
        return AssignmentName.parse(folder.name)
    except BadName:
        return None


def _user(page: Path) -> Username | None:
    try:
        return Username.parse(page.stem)
    except BadName:
        return None


def pieces_in(path: Path) -> Iterator[bytes]:
    """The bytes of a file. A missing file has none, so that a check of its checksum reports it."""
    try:
        with path.open("rb") as file:
            yield from pieces_of(file)
    except FileNotFoundError:
        return


def write_pieces(path: Path, pieces: Iterable[bytes], *, private: bool = True) -> None:
    """Replace `path` atomically and durably; no more than a piece is in memory.

    Without `private` other users of the machine can read it, as the umask says.
    """
    files.make_folder(path.parent)
    scratch = path.with_name(f".copying.{secrets.token_hex(6)}.tmp")
    try:
        with scratch.open("wb") as file:
            if private:
                make_private(scratch, path.parent)
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    files.sync_folder(path.parent)


class DatabasePlace:
    """A course in a database."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store

    def head(self) -> Head:
        return self.store.submissions.head()

    def links(self) -> Iterator[Link]:
        return self.store.submissions.chain()

    def pieces(self, receipt: Receipt) -> Iterator[bytes]:
        return self.store.submissions.pieces(receipt)

    def append(self, links: list[Link], source: Place) -> None:
        course, kept = self.store.course, [(new_body(), each) for each in links if isinstance(each, Receipt)]
        for _, receipt in kept:
            check_bytes(receipt, source.pieces(receipt))

        def work(connection: Connection) -> None:
            blobs.keep(connection, course, ((body, source.pieces(receipt)) for body, receipt in kept))
            with connection.cursor() as cursor:
                cursor.executemany(APPEND, [(course, body, *receipt_values(each)) for body, each in kept])
                cursor.executemany(
                    f"INSERT INTO erased (course, {ERASED_COLUMNS}) VALUES (%s, %s, %s, %s, %s)",
                    [
                        (course, each.number, each.previous, each.hash, each.statement)
                        for each in links
                        if isinstance(each, Tombstone)
                    ],
                )
            end = (links[-1].number, links[-1].hash, course)
            connection.execute("UPDATE chains SET number = %s, head = %s WHERE course = %s", end)

        self.store.tables.write(work)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        columns, order = TABLES[table]
        return self.store.tables.read(f"SELECT {columns} FROM {table} WHERE course = %s ORDER BY {order}")

    def grades(self) -> dict[AssignmentName, list[dict[str, Any]]]:
        prefix = grades_place(AssignmentName(""))
        rows = self.store.tables.read("SELECT place, content FROM documents WHERE course = %s")
        return {
            AssignmentName(place.removeprefix(prefix)): json.loads(content)
            for place, content in sorted(rows)
            if place.startswith(prefix)
        }

    def pages(self) -> Iterator[Page]:
        sql = "SELECT assignment, username, size, modified, body FROM feedback WHERE course = %s"
        for assignment, username, size, modified, body in self.store.tables.read(sql):
            content = b"".join(self.store.tables.pieces(body, size))
            yield AssignmentName(assignment), Username(username), content, modified

    def fill(self, source: Place) -> None:
        course, pages = self.store.course, list(source.pages())

        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                for table, (columns, _) in TABLES.items():
                    places = ", ".join(["%s"] * (len(columns.split(", ")) + 1))
                    cursor.execute(f"DELETE FROM {table} WHERE course = %s", (course,))
                    rows = [(course, *row) for row in source.rows(table)]
                    cursor.executemany(f"INSERT INTO {table} (course, {columns}) VALUES ({places})", rows)
            for name, entries in source.grades().items():
                put_document(connection, course, grades_place(name), json.dumps(entries))
            self._put_pages(connection, pages)

        self.store.tables.write(work)

    def _put_pages(self, connection: Connection, pages: list[Page]) -> None:
        course = self.store.course
        held = connection.execute("SELECT body FROM feedback WHERE course = %s", (course,)).fetchall()
        blobs.drop(connection, course, [body for (body,) in held])
        connection.execute("DELETE FROM feedback WHERE course = %s", (course,))
        kept = [(new_body(), *page) for page in pages]
        blobs.keep(connection, course, ((body, blobs.split(page)) for body, _, _, page, _ in kept))
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO feedback (course, assignment, username, size, modified, body) "
                "VALUES (%s, %s, %s, %s, %s, %s)",
                [(course, name, user, len(page), moment, body) for body, name, user, page, moment in kept],
            )


# whole courses: also keys, rules, released files and sources

COPYING = ".mograder-copying"
"""Marks a folder into which a course is being copied, so that an interrupted copy can be continued."""


def to_database(folders: Folders, courses: PostgresCourses, name: CourseName, now: int, say: Say) -> None:
    """Copy the course in `folders` into a database, as `name`. `now` is in Unix microseconds.

    The copy is archived until it is complete, so that nobody submits to a part of it. Raises NameTaken when the course
    of this name is open, or is another one.
    """
    event = Event(now, INSTRUCTOR, "copy", name, printable(str(folders.root), 1000))
    known = {each.name: each.archived for each in courses.entries()}
    if name not in known:
        courses.create(name, event)
        courses.archive(name, now, event)
    elif known[name] is None:
        raise NameTaken(f"there is a course {name!r} and it is open: archive it, or choose another name")
    source, target = FolderStore(folders), courses.open_anyway(name)
    try:
        key = source.keys.signing_key(new_key)
        if target.keys.signing_key(lambda: key) != key:
            raise NameTaken(f"{name!r} is another course: choose another name")
        held = json.dumps([(secret, until) for secret, until in secrets_of(folders.root)])
        target.tables.write(lambda connection: put_document(connection, name, SECRETS, held))
        courses.publish(name, read_publication(folders), event)
        here = FolderPlace(source)
        for path in here.left_behind():
            say(f"left out: {printable(str(path), 1000)} has a name that no assignment or person has: rename it")
        copy(here, DatabasePlace(target), say)
    finally:
        source.close()
    courses.archive(name, None, event)


def to_folder(store: PostgresStore, root: Path, now: int, say: Say) -> None:
    """Copy a course into the folder `root`, which `mograder serve` can serve then. `now` is in Unix microseconds.

    Raises Usage when `root` holds a course that is no unfinished copy.
    """
    if (root / SECRET_NAME).exists() and not (root / COPYING).exists():
        raise Usage(f"there is a course in {root}: name a new folder")
    files.make_folder(root)
    files.write_file(root / COPYING, b"")
    _write_course(store, root)
    target = FolderStore(served_folders(root))
    try:
        # The ledger exists by now: there is never a key without one.
        files.write_file(root / SIGNING_KEY, store.keys.signing_key(new_key), mode=0o600)
        copy(DatabasePlace(store), FolderPlace(target), say)
        target.audit.record(Event(now, INSTRUCTOR, "copy", store.course))
    finally:
        target.close()
    (root / COPYING).unlink()


def _write_course(store: PostgresStore, root: Path) -> None:
    """Write secrets, plan, manifest, released files and sources."""
    (current, *previous) = read_secrets(store.tables.document(SECRETS) or "[]")
    files.write_file(root / SECRET_NAME, f"{current[0]}\n".encode(), mode=0o600)
    if previous:
        lines = "".join(f"{until // SECOND} {secret}\n" for secret, until in previous)
        files.write_file(root / PREVIOUS_NAME, lines.encode(), mode=0o600)
    home = config.course_folder(root)
    for place, path in ((PLAN, home / course_file.CONFIG_NAME), (MANIFEST, root / MANIFEST)):
        if (text := store.tables.document(place)) is not None:
            files.write_file(path, text.encode())
    for assignment, listed in read_listing(store.tables.document(RELEASED) or "{}").items():
        files.make_folder(root / assignment / "files")
        for each in listed:
            path = root / assignment / "files" / each.name
            write_pieces(path, store.tables.pieces(each.body, each.size), private=False)
    sources = grading_folders(home)["source"]
    for assignment, listed in read_listing(store.tables.document(SOURCES) or "{}").items():
        for each in listed:
            write_pieces(sources / assignment / each.name, store.tables.pieces(each.body, each.size))


def mirror(store: PostgresStore, folder: Path, say: Say) -> int:
    """Write every submission to folder/<assignment>/<user>_<time>.<ending>, with a link <user>.py to the latest.

    Returns how many were new. Files that are there are not fetched again; those of erased submissions are removed.
    """
    place, new, latest = DatabasePlace(store), 0, dict[Path, Path]()
    kept = set()
    for receipt in store.submissions.receipts():
        submission = receipt.submission
        path = folder / submission.assignment / submission.filename
        latest[path.with_name(latest_filename(submission.username))] = path
        kept.add(path)
        if not (path.is_file() and path.stat().st_size == submission.size):
            write_pieces(path, place.pieces(receipt))
            check_bytes(receipt, pieces_in(path))
            new += 1
            say(f"{submission.assignment}/{submission.filename}")
    for link, path in latest.items():
        if not link.is_symlink() or os.readlink(link) != path.name:
            files.point_latest(link, path)
    for path in folder.glob("*/*.*"):
        if (version_owner(path.name) and path not in kept) or (path.is_symlink() and path not in latest):
            path.unlink()
    return new
