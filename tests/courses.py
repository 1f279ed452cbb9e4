"""A course that is not served, with submissions, grades and settings, and ways to damage it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mograder.config import utc_now
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.shared.files import write_file
from tests.parts import ALICE, BOB, make_course_folder, open_store, submit_work


def make_sound_course(parent: Path) -> Path:
    """Make a course with five submissions of two people, grades and a title. Returns its folder."""
    root = make_course_folder(parent)
    store = open_store(root)
    signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    now = utc_now() - 3600 * 1_000_000
    for number in range(3):
        submit_work(store, signer, ALICE, b"alice %d" % number, now + number)
    for number in range(2):
        submit_work(store, signer, BOB, b"bob %d" % number, now + number)
    store.close()
    write_file(root / "hw1" / "grades.json", b'[{"username": "alice", "grade": 7}]', mode=0o600)
    (root.parent / "mograder.toml").write_text('title = "Tea"\n')
    return root.parent


def everything(folder: Path) -> dict[str, object]:
    """Each name below `folder` with its mode, modification time, inode, and bytes or link target."""
    found: dict[str, object] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, status.st_ino, content)
    return found


def versions(course: Path, user: str = "alice") -> list[Path]:
    return sorted((course / "submitted" / "hw1").glob(f"{user}_*.py"))


def ledger(course: Path, sql: str) -> None:
    with closing(sqlite3.connect(course / "release" / ".mograder.db")) as connection:
        connection.execute(sql)
        connection.commit()


def forget_file(course: Path, user: str = "bob", body: str = "") -> None:
    """Leave a submission as a crash does: in the ledger, but not yet in its file. `body` (hex) replaces its bytes."""
    path = versions(course, user)[-1]
    body = body or path.read_bytes().hex()
    ledger(course, f"INSERT INTO pending SELECT number, x'{body}', NULL FROM receipts WHERE filename = '{path.name}'")
    path.unlink()


def damage_row(course: Path) -> None:
    """Damage the ledger so that it can be read and SQLite reports the damage."""
    with closing(sqlite3.connect(course / "release" / ".mograder.db")) as connection:
        connection.executescript(
            "CREATE TABLE x (y); INSERT INTO x VALUES (NULL); PRAGMA writable_schema = ON;"
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE x (y NOT NULL)' WHERE name = 'x'"
        )
