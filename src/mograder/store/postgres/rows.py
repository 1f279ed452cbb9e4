"""Rows of a course's database as values, and values as rows of an open transaction."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

from mograder.domain.access import Account
from mograder.domain.audit import Event
from mograder.domain.commitments import Commitment
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.store.postgres.database import Connection
from mograder.store.shared.rows import ACCOUNT_COLUMNS, EXTENSION_COLUMNS, account_values, extension_values

PLAN, RELEASED, SOURCES, SECRETS = "mograder.toml", "released files", "sources", "secrets"
"""Places of documents; those of grades and commitments are below."""


def grades_place(assignment: AssignmentName) -> str:
    return f"grades/{assignment}"


def commitments_place(assignment: AssignmentName, username: Username) -> str:
    return f"commits/{assignment}/{username}"


# documents


def put_document(connection: Connection, course: str, place: str, content: str) -> None:
    connection.execute(
        "INSERT INTO documents (course, place, version, content) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (course, place) DO UPDATE SET version = excluded.version, content = excluded.content",
        (course, place, secrets.token_hex(8), content),
    )


def lock_document(connection: Connection, course: str, place: str, missing: str) -> str:
    """Lock a document until the transaction ends, and return its content; `missing` is that of a new document."""
    connection.execute(
        "INSERT INTO documents (course, place, version, content) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (course, place, secrets.token_hex(8), missing),
    )
    row = connection.execute(
        "SELECT content FROM documents WHERE course = %s AND place = %s FOR UPDATE", (course, place)
    ).fetchone()
    assert row is not None
    return str(row[0])


def read_secrets(text: str) -> list[tuple[str, int]]:
    """Secrets, newest first, each with its end in Unix microseconds (0: never)."""
    return [(secret, until) for secret, until in json.loads(text)]


def read_grades(text: str) -> tuple[GradeEntry, ...]:
    return tuple(GradeEntry(entry) for entry in json.loads(text))


@dataclass(frozen=True)
class StoredReleaseFile:
    """A released file or a source. `modified` is in Unix microseconds; `body` names the bytes."""

    name: FileName
    size: int
    sha256: str
    modified: int
    body: str


Listing = Mapping[AssignmentName, tuple[StoredReleaseFile, ...]]


def read_listing(text: str) -> Listing:
    return {
        AssignmentName(name): tuple(StoredReleaseFile(FileName(first), *rest) for first, *rest in files)
        for name, files in json.loads(text).items()
    }


def write_listing(listing: Listing) -> str:
    return json.dumps({name: [astuple(each) for each in files] for name, files in sorted(listing.items())})


def read_commitments(assignment: AssignmentName, username: Username, text: str) -> tuple[Commitment, ...]:
    """Oldest first."""
    found = [Commitment(assignment, username, *rest) for rest in json.loads(text)]
    return tuple(sorted(found, key=lambda each: (each.moment, each.sha256)))


def write_commitments(commits: Sequence[Commitment]) -> str:
    return json.dumps([(each.sha256, each.size, each.moment) for each in commits])


# accounts, extensions and events

ERASED_NAMES = "SELECT salt, digest, generation FROM erased_names WHERE course = %s ORDER BY generation DESC"


def put_extension(connection: Connection, course: str, extension: Extension) -> None:
    connection.execute(
        f"INSERT INTO extensions (course, {EXTENSION_COLUMNS}) VALUES (%s, {places(EXTENSION_COLUMNS)}) "
        f"ON CONFLICT (course, assignment, username) DO UPDATE SET {_new_values(EXTENSION_COLUMNS)}",
        (course, *extension_values(extension)),
    )


def places(columns: str) -> str:
    """A placeholder for each of the columns."""
    return ", ".join("%s" for _ in columns.split(", "))


def settings(columns: Iterable[str]) -> str:
    """The SET clause of these columns, with a placeholder for each value."""
    return ", ".join(f"{each} = %s" for each in columns)


def _new_values(columns: str) -> str:
    """The SET clause of DO UPDATE for these columns."""
    return ", ".join(f"{name} = excluded.{name}" for name in columns.split(", "))


def put_accounts(connection: Connection, course: str, accounts: Sequence[Account]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO accounts (course, key, {ACCOUNT_COLUMNS}) VALUES (%s, %s, {places(ACCOUNT_COLUMNS)}) "
            f"ON CONFLICT (course, key) DO UPDATE SET {_new_values(ACCOUNT_COLUMNS)}",
            [(course, each.username.key, *account_values(each)) for each in accounts],
        )


VERSIONS = "SELECT changes, downloads, results, number FROM courses JOIN chains USING (course) WHERE course = %s"


def count_change(connection: Connection, course: str, noun: str = "changes") -> None:
    """Give a noun (a column of `courses`) a new version. The course's row stays locked until the transaction ends."""
    connection.execute(f"UPDATE courses SET {noun} = {noun} + 1 WHERE course = %s", (course,))


def record(connection: Connection, course: str, events: Sequence[Event]) -> None:
    """Add events to the audit log. They make a new version of the course's people, rules and release."""
    if events:
        count_change(connection, course)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO events (course, moment, actor, action, subject, detail) VALUES (%s, %s, %s, %s, %s, %s)",
            [(course, each.moment, each.actor, each.action, each.subject, each.detail) for each in events],
        )


def where_asked(**asked: str | None) -> tuple[str, list[str]]:
    """A further condition on those columns that are not None, and its values."""
    wanted = {column: value for column, value in asked.items() if value is not None}
    return "".join(f" AND {column} = %s" for column in wanted), list(wanted.values())
