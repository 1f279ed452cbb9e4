"""Erases a person from a course in a database, in an open transaction."""

from __future__ import annotations

import json

from mograder.domain.audit import ERASED_NAME
from mograder.domain.chain import MakeTombstone
from mograder.domain.names import Username
from mograder.domain.receipts import Receipt
from mograder.store.postgres import blobs
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import count_change, lock_document, put_document, read_grades
from mograder.store.shared.erased import name_digest, naming, new_salt, without_name
from mograder.store.shared.rows import RECEIPT_COLUMNS, receipt_of


def erase(connection: Connection, course: str, username: Username, make_tombstone: MakeTombstone) -> None:
    """Replace the person's receipts by what `make_tombstone` makes of them, and delete everything else."""
    # The order of these locks is that of a change of an account, so that the two cannot deadlock.
    connection.execute("SELECT 1 FROM courses WHERE course = %s FOR UPDATE", (course,))
    for noun in ("downloads", "results", "regrades"):
        count_change(connection, course, noun)
    # No submission is appended to the chain until the transaction ends.
    connection.execute("SELECT 1 FROM chains WHERE course = %s FOR UPDATE", (course,))
    own = (course, username)
    for row in connection.execute(
        f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE course = %s AND username = %s", own
    ).fetchall():
        _keep_place(connection, course, receipt_of(row), make_tombstone)
    for table in ("receipts", "feedback"):
        found = connection.execute(f"SELECT body FROM {table} WHERE course = %s AND username = %s", own).fetchall()
        blobs.drop(connection, course, [body for (body,) in found])
    _keep_name_taken(connection, course, username)
    for table in (
        "receipts",
        "feedback",
        "extensions",
        "fetched",
        "accounts",
        "grading_jobs",
        "grading_results",
        "regrade_jobs",
        "marking",
    ):
        connection.execute(f"DELETE FROM {table} WHERE course = %s AND username = %s", own)
    _erase_from_documents(connection, course, username)
    _erase_from_marking(connection, course, username)
    _erase_from_audit_log(connection, course, username)


def _keep_place(connection: Connection, course: str, receipt: Receipt, make_tombstone: MakeTombstone) -> None:
    erased = make_tombstone(receipt)
    connection.execute(
        "INSERT INTO erased (course, number, previous, hash, statement) VALUES (%s, %s, %s, %s, %s)",
        (course, erased.number, erased.previous, erased.hash, erased.statement),
    )


def _keep_name_taken(connection: Connection, course: str, username: Username) -> None:
    row = connection.execute(
        "SELECT generation FROM accounts WHERE course = %s AND username = %s", (course, username)
    ).fetchone()
    salt = new_salt()
    connection.execute(
        "INSERT INTO erased_names (course, salt, digest, generation) VALUES (%s, %s, %s, %s)",
        (course, salt, name_digest(salt, username), (row[0] if row else 0) + 1),
    )


def _erase_from_documents(connection: Connection, course: str, username: Username) -> None:
    """Erase from documents of grades and commitments."""
    places = connection.execute("SELECT place FROM documents WHERE course = %s", (course,)).fetchall()
    for (place,) in places:
        if place.startswith("commits/") and place.endswith(f"/{username}"):
            connection.execute("DELETE FROM documents WHERE course = %s AND place = %s", (course, place))
        elif place.startswith("grades/"):
            held = read_grades(lock_document(connection, course, place, "[]"))
            others = [dict(entry.fields) for entry in held if entry.username != username]
            if len(others) < len(held):
                put_document(connection, course, place, json.dumps(others))


def _erase_from_marking(connection: Connection, course: str, username: Username) -> None:
    """Remove the name where the person has marked others; those marks stay."""
    own = (course, username)
    connection.execute("UPDATE marking SET actor = %s WHERE course = %s AND actor = %s", (ERASED_NAME, *own))
    rows = connection.execute(
        "SELECT number, content FROM marking WHERE course = %s AND strpos(content, %s) > 0", own
    ).fetchall()
    for number, content in rows:
        connection.execute(
            "UPDATE marking SET content = %s WHERE course = %s AND number = %s",
            (without_name(content, username), course, number),
        )


def _erase_from_audit_log(connection: Connection, course: str, username: Username) -> None:
    own = (course, username)
    connection.execute("DELETE FROM events WHERE course = %s AND subject = %s", own)
    connection.execute("UPDATE events SET actor = %s WHERE course = %s AND actor = %s", (ERASED_NAME, *own))
    named = naming(username)
    lines = connection.execute(
        "SELECT number, subject, detail FROM events WHERE course = %s AND strpos(subject || ' ' || detail, %s) > 0", own
    ).fetchall()
    for number, *texts in lines:
        subject, detail = (named.sub(ERASED_NAME, text) for text in texts)
        connection.execute(
            "UPDATE events SET subject = %s, detail = %s WHERE course = %s AND number = %s",
            (subject, detail, course, number),
        )
