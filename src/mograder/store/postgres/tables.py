"""One course's part of a database: rows, documents and stored files, for the adapters of each noun."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from mograder.domain import deadlines
from mograder.domain.errors import BadRequest, Unreadable
from mograder.domain.files import StoredFile
from mograder.store.postgres.blobs import Blobs
from mograder.store.postgres.database import Connection, Database, Row
from mograder.store.postgres.recall import Recall, check_may_wait

T = TypeVar("T")


class CourseTables:
    """The rows of the course of this name."""

    def __init__(self, database: Database, blobs: Blobs, course: str) -> None:
        self.course = course
        self._database = database
        self._blobs = blobs
        self._parsed: dict[tuple[str, object], tuple[str, Any]] = {}
        self.memory = Recall()

    def read(self, sql: str, *values: object) -> list[Row]:
        """All rows of a query whose first value is the course."""
        check_may_wait()
        return self._database.read(sql, (self.course, *values))

    async def read_together(self, *queries: tuple[str, Sequence[object]]) -> list[list[Row]]:
        """The rows of each query, in one round trip. The course is put before each query's values."""
        return await self._database.read_together([(sql, (self.course, *values)) for sql, values in queries])

    def recall(self, sql: str, *values: object) -> list[Row]:
        """As `read`, from memory if possible (recall.py), for rows that no submission, download or result changes."""
        return self.memory.get((sql, values), lambda: self.read(sql, *values))

    def write(self, work: Callable[[Connection], T], *, together: bool = False) -> T:
        """See `Database.write`."""
        check_may_wait()
        return self._database.write(self.course, work, together=together)

    def pieces(self, body: str, size: int) -> Iterator[bytes]:
        """The bytes named `body`, `size` in all. Raises Unreadable."""
        return self._blobs.pieces(self.course, body, size)

    def document(self, place: str) -> str | None:
        """The text of a document (see rows.py), None without one."""
        rows = self.read("SELECT content FROM documents WHERE course = %s AND place = %s", place)
        return rows[0][0] if rows else None

    def parsed(self, place: str, parse: Callable[[str], T], missing: T, given: object = None) -> T:
        """The current document, parsed; `missing` without one. Cached by the document's version and `given`.

        Raises Unreadable when `parse` raises ValueError, RecursionError or BadRequest.
        """
        return self.memory.get((place, given), lambda: self._parse(place, parse, missing, given))

    def _parse(self, place: str, parse: Callable[[str], T], missing: T, given: object) -> T:
        check_may_wait()
        version, value = self._parsed.get((place, given), ("", missing))
        rows = self._database.read(
            "SELECT version, CASE WHEN version = %s THEN NULL ELSE content END "
            "FROM documents WHERE course = %s AND place = %s",
            (version, self.course, place),
        )
        if not rows:
            return missing
        found, content = rows[0]
        if content is not None:
            try:
                value = parse(content)
            except (ValueError, RecursionError, BadRequest) as error:
                where = f"{place} of course {self.course}: {error}"
                raise Unreadable(f"the course's {place} cannot be understood", where) from error
            self._parsed[place, given] = (found, value)
        return value  # type: ignore[no-any-return]

    def stored_file(self, name: str, size: int, modified: int, body: str) -> StoredFile:
        """A file whose bytes are the blob `body`; `modified` is Unix microseconds."""
        fetch = partial(self._blobs.fetch, self.course, body, size)
        return StoredFile(name, size, modified / deadlines.SECOND, body, fetch=fetch)


class Adapter:
    """Stores one noun of a course in the tables."""

    def __init__(self, tables: CourseTables) -> None:
        self._tables = tables
        self._course = tables.course
