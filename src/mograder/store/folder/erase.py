"""Erases a person from a course: from the rows of the ledger, and from the folders."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from mograder.domain.audit import ERASED_NAME
from mograder.domain.chain import Tombstone
from mograder.domain.names import Username
from mograder.domain.receipts import latest_filename, owner, version_owner
from mograder.permissions import private_mode
from mograder.store.folder.layout import FEEDBACK, Folders, grading_folders
from mograder.store.shared import files
from mograder.store.shared.erased import name_digest, naming, new_salt, without_name


def erase_rows(connection: sqlite3.Connection, username: Username, tombstones: Iterable[Tombstone]) -> None:
    """Delete the person's rows; `tombstones` replace the receipts in the chain."""
    for erased in tombstones:
        connection.execute("DELETE FROM pending WHERE number = ?", (erased.number,))
        connection.execute(
            "INSERT INTO erased (number, previous, hash, statement) VALUES (?, ?, ?, ?)",
            (erased.number, erased.previous, erased.hash, erased.statement),
        )
    _keep_name_taken(connection, username)
    # Every table about people has a column `username`, so that tables added later are covered, too.
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    for table in tables:
        columns = {column[1] for column in connection.execute(f"PRAGMA table_info({table})").fetchall()}
        if "username" in columns:
            connection.execute(f"DELETE FROM {table} WHERE username = ?", (username,))
    _erase_from_marking(connection, username)
    _erase_from_audit_log(connection, username)


def _keep_name_taken(connection: sqlite3.Connection, username: Username) -> None:
    """Keep a salted hash of the name: it stays taken, and its tokens stay void."""
    held = connection.execute("SELECT generation FROM accounts WHERE username = ?", (username,)).fetchone()
    salt = new_salt()
    connection.execute(
        "INSERT INTO erased_names (salt, digest, generation) VALUES (?, ?, ?)",
        (salt, name_digest(salt, username), (held[0] if held else 0) + 1),
    )


def _erase_from_marking(connection: sqlite3.Connection, username: Username) -> None:
    """Remove the name where the person has marked others; those marks stay."""
    connection.execute("UPDATE marking SET actor = ? WHERE actor = ?", (ERASED_NAME, username))
    rows = connection.execute("SELECT number, content FROM marking WHERE instr(content, ?)", (username,)).fetchall()
    for number, content in rows:
        connection.execute("UPDATE marking SET content = ? WHERE number = ?", (without_name(content, username), number))


def _erase_from_audit_log(connection: sqlite3.Connection, username: Username) -> None:
    """Delete events about the person; remove the name from other events."""
    connection.execute("DELETE FROM events WHERE subject = ?", (username,))
    connection.execute("UPDATE events SET actor = ? WHERE actor = ?", (ERASED_NAME, username))
    named = naming(username)
    lines = "SELECT number, subject, detail FROM events WHERE instr(subject, ?1) OR instr(detail, ?1)"
    for number, *texts in connection.execute(lines, (username,)).fetchall():
        subject, detail = (named.sub(ERASED_NAME, text) for text in texts)
        connection.execute("UPDATE events SET subject = ?, detail = ? WHERE number = ?", (subject, detail, number))


def erase_files(connection: sqlite3.Connection, folders: Folders, username: Username) -> None:
    """Remove submissions, feedback and grading. A file with a receipt was submitted after the erasure, and stays."""
    for folder in _folders(folders.submitted):
        rows = connection.execute(
            "SELECT filename FROM receipts WHERE assignment = ? AND username = ?", (folder.name, username)
        ).fetchall()
        kept = {name for (name,) in rows} | ({latest_filename(username)} if rows else set())
        _remove([path for path in folder.iterdir() if _is_of(path.name, username) and path.name not in kept])
    for folder in _folders(folders.grades):
        _remove([folder / FEEDBACK / f"{username}.html"])
    erase_grading(folders.course, username)


def erase_grading(course: Path, username: Username) -> None:
    """Remove records, pages and table rows that grading wrote into the folder `course`."""
    places = grading_folders(course)
    for folder in [*_folders(places["autograded"]), *_folders(places["feedback"])]:
        _remove([folder / f"{username}{ending}" for ending in (".json", ".html")])
    for table in [*places["autograded"].glob("*/*.csv"), *places["marks"].glob("*.csv")]:
        _remove_rows(table, username)


def _remove_rows(table: Path, username: Username) -> None:
    """Remove the person's rows from a CSV file, if it is a table of students."""
    text = table.read_text(encoding="utf-8-sig", errors="replace")
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    if not rows or "student" not in rows[0]:
        return
    place = rows[0].index("student")
    kept = [row for row in rows if len(row) <= place or row[place].strip().casefold() != username.casefold()]
    if len(kept) < len(rows):
        written = io.StringIO(newline="")
        csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(kept)
        files.write_file(table, written.getvalue().encode(), private_mode(table.parent))


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _is_of(name: str, username: Username) -> bool:
    """Whether a file of submissions is the person's: a version or the latest, with or without a receipt."""
    return username in (version_owner(name), owner(name))


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    for parent in {path.parent for path in paths if path.parent.is_dir()}:
        files.sync_folder(parent)
