"""The files of a course's keys: the secret that signs tokens, earlier secrets that are accepted for a while, and the
key that signs receipts.

Invariant: their mode is 0600, and a file that cannot be understood is reported, never replaced.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mograder.domain.audit import Event
from mograder.domain.deadlines import SECOND
from mograder.domain.errors import Unreadable
from mograder.domain.tokens import SECRET_NAME, random_secret
from mograder.signing import public_pem
from mograder.store.folder.layout import NEW_KEY, SIGNING_KEY
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import record
from mograder.store.shared.files import make_once, storage_errors, write_file
from mograder.store.shared.stat_cache import Cached
from mograder.text import person_text

PREVIOUS_NAME = f"{SECRET_NAME}-previous"
"""The file of earlier secrets, newest first. A line holds the end (Unix seconds), a space, and the secret."""


def read_secret(path: Path) -> str:
    """The secret in a `.mograder-secret`. Raises Unreadable when the file is empty or other users may read it."""
    if path.is_dir():
        raise Unreadable(f"{path.name} is a folder: move it away, and restore the file from a backup", str(path))
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        raise Unreadable(f"{path.name} can be read by other users of this machine: run 'chmod 600 {path}'", str(path))
    try:
        secret = person_text(path.read_bytes()).strip()
    except ValueError:
        secret = ""
    if not secret:
        raise Unreadable(
            f"{path.name} is empty or not text: restore it, or remove it to have a new one made", str(path)
        )
    return secret


def read_previous(path: Path) -> list[tuple[int, str]]:
    """Earlier secrets, each with its end in Unix seconds. Raises Unreadable."""
    lines = [line.split() for line in read_secret(path).splitlines()]
    try:
        return [(int(until), secret) for until, secret in lines]
    except ValueError:
        raise Unreadable(
            f"{path.name} cannot be understood: mend it, or remove it, which ends the tokens of earlier secrets",
            str(path),
        ) from None


def secrets_of(root: Path) -> list[tuple[str, int]]:
    """The secrets of the course served from `root`, newest first, each with its end (Unix microseconds; 0: never)."""
    previous = root / PREVIOUS_NAME
    ending = read_previous(previous) if previous.exists() else []
    return [(read_secret(root / SECRET_NAME), 0), *((secret, until * SECOND) for until, secret in ending)]


class Secrets:
    """The current secrets of the course served from `root`. Other processes may change their files."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._current = root / SECRET_NAME
        self._previous = root / PREVIOUS_NAME
        self._clock = clock
        self._read_current = Cached(read_secret)
        self._read_previous = Cached(read_previous)

    def all(self) -> tuple[str, ...]:
        """Newest first. Raises Unreadable and OSError."""
        return (self._read_current.get(self._current), *(secret for _, secret in self._still_accepted()))

    def _still_accepted(self) -> list[tuple[int, str]]:
        try:
            previous = self._read_previous.get(self._previous)
        except FileNotFoundError:
            return []
        now = self._clock()
        return [(until, secret) for until, secret in previous if until > now]

    def change(self, secret: str, until: int) -> None:
        """Sign with `secret` from now on; earlier secrets are accepted until `until` (Unix microseconds) at most."""
        ends = until // SECOND
        kept = [(ends, read_secret(self._current))]
        kept += [(min(end, ends), each) for end, each in self._still_accepted()]
        # In this order: the old secret is accepted whatever a crash leaves behind.
        write_file(self._previous, "".join(f"{end} {each}\n" for end, each in kept).encode(), mode=0o600)
        write_file(self._current, f"{secret}\n".encode(), mode=0o600)


def make_secret(root: Path) -> None:
    """Make the secret of the course served from `root` on first use. Raises OSError."""
    make_once(root / SECRET_NAME, lambda: f"{random_secret()}\n".encode())


class FolderKeys:
    """A `KeysStore`."""

    def __init__(self, root: Path, ledger: Ledger, secrets: Secrets) -> None:
        self._root = root
        self._ledger = ledger
        self._secrets = secrets

    def secrets(self) -> tuple[str, ...]:
        with storage_errors("read the secret"):
            return self._secrets.all()

    def change_secret(self, secret: str, until: int, event: Event) -> None:
        def work(connection: sqlite3.Connection) -> None:
            record(connection, event)
            with storage_errors("change the secret"):
                self._secrets.change(secret, until)

        self._ledger.write(work)

    def signing_key(self, make: Callable[[], bytes]) -> bytes:
        # Before the file is looked for: another server may make the key and sign with it meanwhile.
        has_signed = self._ledger.read("SELECT 1 FROM receipts LIMIT 1")
        path = self._root / SIGNING_KEY
        if has_signed and not path.exists():
            raise Unreadable(f"the key that signed the course's receipts is missing: {NEW_KEY}", str(path))
        with storage_errors("read the signing key"):
            make_once(path, make)
            return path.read_bytes()

    def change_signing_key(self, key: bytes, event: Event) -> bytes:
        """Sign with the PEM `key` from the next start on. Returns it with the public PEMs of earlier keys, all kept."""

        def work(connection: sqlite3.Connection) -> bytes:
            record(connection, event)
            path = self._root / SIGNING_KEY
            with storage_errors("change the signing key"):
                keys = key + (public_pem(path.read_bytes()) if path.exists() else b"")
                write_file(path, keys, mode=0o600)
            return keys

        return self._ledger.write(work)
