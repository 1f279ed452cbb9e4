"""The keys of a course in a database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from mograder.domain import deadlines
from mograder.domain.audit import Event
from mograder.store.postgres.database import Connection
from mograder.store.postgres.rows import SECRETS, lock_document, put_document, read_secrets, record
from mograder.store.postgres.tables import Adapter


class PostgresKeys(Adapter):
    """A `KeysStore`."""

    def signing_key(self, make: Callable[[], bytes]) -> bytes:
        sql = "SELECT signing_key FROM courses WHERE course = %s"
        (held,) = self._tables.read(sql)[0]
        if held is None:
            new = make()  # if two servers make a key at once, the first one stored stays
            put = "UPDATE courses SET signing_key = %s WHERE course = %s AND signing_key IS NULL"
            self._tables.write(lambda connection: connection.execute(put, (new, self._course)))
            (held,) = self._tables.read(sql)[0]
        return bytes(held)

    def secrets(self) -> tuple[str, ...]:
        now = time.time() * deadlines.SECOND
        held: list[tuple[str, int]] = self._tables.parsed(SECRETS, read_secrets, [])
        return tuple(secret for secret, until in held if not until or until > now)

    def change_secret(self, secret: str, until: int, event: Event) -> None:
        def work(connection: Connection) -> None:
            held = read_secrets(lock_document(connection, self._course, SECRETS, "[]"))
            now = time.time() * deadlines.SECOND
            kept = [[each, min(end or until, until)] for each, end in held if not end or end > now]
            put_document(connection, self._course, SECRETS, json.dumps([[secret, 0], *kept]))
            record(connection, self._course, [event])

        self._tables.write(work)
