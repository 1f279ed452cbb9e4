"""One course in a PostgreSQL database, for any number of servers at once.

The law of a submission: bytes, receipt and place in the chain are one transaction. The bytes go in first; then the row
of the course's chain is locked, and only for as long as it takes to place what this server has waiting.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from functools import partial
from typing import Any, TypeVar

from mograder import config
from mograder.domain import deadlines
from mograder.domain import grades as grading
from mograder.domain.access import Account
from mograder.domain.assignments import Assignment, Plan, ReleaseFile, find_assignment
from mograder.domain.chain import Link, Tombstone
from mograder.domain.commitments import Commitment
from mograder.domain.errors import BadRequest, Unreadable
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import Head, Issue, NewSubmission, Receipt, Submission, latest_filename, owner
from mograder.domain.rules import RuleChange
from mograder.domain.store import (
    Accepted,
    ChangeAccount,
    ChangeCommitments,
    ChangeExtension,
    Event,
    Fetched,
    LatestFile,
    MakeTombstone,
    StoredFile,
    Upload,
)
from mograder.store.folder.erase import erased_account
from mograder.store.folder.layout import parse_json
from mograder.store.folder.release import parse_manifest, shown, with_rules
from mograder.store.postgres import blobs
from mograder.store.postgres.blobs import Bodies, Incoming, split
from mograder.store.postgres.chain import ChainAppender
from mograder.store.postgres.database import Connection, Database, Row
from mograder.store.postgres.erase import ERASED_NAMES, erase
from mograder.store.postgres.rows import (
    ACCOUNT_COLUMNS,
    EXTENSION_COLUMNS,
    HAND_OUTS,
    MANIFEST,
    PLAN,
    SECRETS,
    Listing,
    account_of,
    commitments_place,
    extension_of,
    grades_place,
    lock_document,
    put_accounts,
    put_document,
    put_extension,
    read_commitments,
    read_grades,
    read_listing,
    read_secrets,
    record,
    write_commitments,
)
from mograder.store.shared.config_text import edited, tag_of
from mograder.store.shared.rows import RECEIPT_COLUMNS, receipt_of

T = TypeVar("T")

COMMITTING = 2
"""Transactions of submissions that one server has under way in a course: one sends its bytes while the other
commits.
"""

TOGETHER = 100
"""Submissions that share a transaction at most."""


@dataclass
class _PendingSubmission:
    """A submission that waits for its place, and what became of it."""

    submission: NewSubmission
    issue: Issue
    body: str = field(default_factory=blobs.new_body)
    promise: Future[Any] = field(default_factory=Future)
    accepted: Accepted | None = None
    error: BaseException | None = None


class PostgresStore:
    """A `Store` (domain/store.py): the course of this name."""

    waits = True

    def __init__(
        self, database: Database, files: Bodies, course: str, on_close: Callable[[], object] = lambda: None
    ) -> None:
        """The database is shared: `on_close` says what becomes of it."""
        self.course = course
        self._database = database
        self._files = files
        self._on_close = on_close
        self._parsed: dict[tuple[str, object], tuple[str, Any]] = {}
        self._queue: deque[_PendingSubmission] = deque()
        self._taking = threading.Lock()
        self._committers = ThreadPoolExecutor(COMMITTING, thread_name_prefix="commit")

    def close(self) -> None:
        self._committers.shutdown()
        self._on_close()

    def read(self, sql: str, *values: object) -> list[Row]:
        """All rows of a query whose first value is the course."""
        return self._database.read(sql, (self.course, *values))

    def pieces(self, body: str, size: int) -> Iterator[bytes]:
        """Bytes that the course keeps, `size` in all. Raises Unreadable."""
        return self._files.pieces(self.course, body, size)

    def write(self, work: Callable[[Connection], T]) -> T:
        """See `Database.write`."""
        return self._database.write(self.course, work)

    # keys and documents

    def signing_key(self, make: Callable[[], bytes]) -> bytes:
        sql = "SELECT signing_key FROM courses WHERE course = %s"
        (held,) = self.read(sql)[0]
        if held is None:
            new = make()  # of two servers that make one at once, one is kept
            put = "UPDATE courses SET signing_key = %s WHERE course = %s AND signing_key IS NULL"
            self.write(lambda connection: connection.execute(put, (new, self.course)))
            (held,) = self.read(sql)[0]
        return bytes(held)

    def _document(self, place: str, parse: Callable[[str], T], missing: T, given: object = None) -> T:
        """What `parse` makes of a document as it stands now; it does so once for each version, and once for `given`."""
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

    def document(self, place: str) -> str | None:
        """The text of a document (see database_rows.py), as it stands."""
        rows = self.read("SELECT content FROM documents WHERE course = %s AND place = %s", place)
        return rows[0][0] if rows else None

    def secrets(self) -> tuple[str, ...]:
        now = time.time() * deadlines.SECOND
        held: list[tuple[str, int]] = self._document(SECRETS, read_secrets, [])
        return tuple(secret for secret, until in held if not until or until > now)

    def change_secret(self, secret: str, until: int, event: Event) -> None:
        def work(connection: Connection) -> None:
            held = read_secrets(lock_document(connection, self.course, SECRETS, "[]"))
            now = time.time() * deadlines.SECOND
            kept = [[each, min(end or until, until)] for each, end in held if not end or end > now]
            put_document(connection, self.course, SECRETS, json.dumps([[secret, 0], *kept]))
            record(connection, self.course, [event])

        self.write(work)

    def plan(self) -> Plan:
        return self._document(PLAN, lambda text: config.parse_course_file(text).plan(), Plan())

    def plan_version(self) -> str:
        rows = self.read("SELECT content FROM documents WHERE course = %s AND place = %s", PLAN)
        return tag_of(rows[0][0] if rows else "")

    def change_rules(
        self, assignment: AssignmentName, changes: Sequence[RuleChange], plan_version: str, event: Event
    ) -> None:
        def work(connection: Connection) -> None:
            held = lock_document(connection, self.course, PLAN, "")
            text = edited(held, assignment, changes, plan_version, f"{PLAN} of course {self.course}")
            put_document(connection, self.course, PLAN, text)
            record(connection, self.course, [event])

        self.write(work)

    def config_errors(self) -> tuple[Unreadable, ...]:
        return ()  # a document is understood before it is kept

    def mark(self, assignment: AssignmentName | None = None) -> object:
        # Whatever changes records an event, but for a submission and a download. Counted, as of two transactions the
        # one with the lower number may be the later one; lines go when somebody is erased alone, who leaves a name.
        tables = ("events", "fetched", "erased_names")
        counts = (f"(SELECT count(*) FROM {table} WHERE course = %s)" for table in tables)
        sql = f"SELECT (SELECT number FROM chains WHERE course = %s), {', '.join(counts)}"
        return self.read(sql, *[self.course] * 3)

    # accounts

    def account(self, username: Username) -> Account | None:
        rows = self.read(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE course = %s AND key = %s", username.key)
        if not rows:
            return erased_account(self.read(ERASED_NAMES), username)
        account = account_of(rows[0])
        return account if account.username == username else None

    def accounts(self) -> list[Account]:
        rows = self.read(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE course = %s")
        return sorted(map(account_of, rows), key=lambda each: each.username)

    def change_account(self, username: Username, change: ChangeAccount, event: Event) -> Account:
        return self.change_accounts([(username, change, event)])[0]

    def change_accounts(self, changes: Sequence[tuple[Username, ChangeAccount, Event]]) -> list[Account]:
        def work(connection: Connection) -> list[Account]:
            # One at a time in a course: an account that is not there yet has no row of its own to lock.
            connection.execute("SELECT 1 FROM courses WHERE course = %s FOR UPDATE", (self.course,))
            keys = [username.key for username, _, _ in changes]
            rows = connection.execute(
                f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE course = %s AND key = ANY(%s)", (self.course, keys)
            ).fetchall()
            erased = connection.execute(ERASED_NAMES, (self.course,)).fetchall()
            held = {account.username.key: account for account in map(account_of, rows)}
            accounts, changed, events = [], [], []
            for username, change, event in changes:
                before = held.get(username.key) or erased_account(erased, username)
                account = change(before)
                accounts.append(account)
                if account != before:
                    held[username.key] = account
                    changed.append(account)
                    events.append(event)
            put_accounts(connection, self.course, changed)
            record(connection, self.course, events)
            return accounts

        return self.write(work)

    def spend(self, ticket: str, now: int, until: int) -> bool:
        def work(connection: Connection) -> bool:
            connection.execute("DELETE FROM spent WHERE course = %s AND until < %s", (self.course, now))
            spent = connection.execute(
                "INSERT INTO spent (course, ticket, until) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (self.course, ticket, until),
            )
            return spent.rowcount == 1

        return self.write(work)

    def note_failure(self, keys: Sequence[str], moment: int, keep: int) -> None:
        def work(connection: Connection) -> None:
            old = "DELETE FROM failures WHERE course = %s AND (moment < %s OR moment > %s)"
            connection.execute(old, (self.course, moment - keep, moment + keep))
            new = "INSERT INTO failures (course, key, moment) SELECT %s, unnest(%s::text[]), %s"
            connection.execute(new, (self.course, list(keys), moment))

        self.write(work)

    def failures(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        rows = self.read("SELECT key, moment FROM failures WHERE course = %s AND key = ANY(%s)", list(keys))
        return [(key, moment) for key, moment in rows]

    def forget_failures(self, keys: Sequence[str]) -> None:
        sql = "DELETE FROM failures WHERE course = %s AND key = ANY(%s)"
        self.write(lambda connection: connection.execute(sql, (self.course, list(keys))))

    # released files

    def _listing(self) -> Listing:
        return self._document(HAND_OUTS, read_listing, {})

    def assignments(self) -> tuple[Assignment, ...]:
        plan = self.plan()
        listed = self._document(MANIFEST, lambda text: parse_manifest(parse_json(text), plan.zone), None, plan.zone)
        if listed is None:
            listed = tuple(
                Assignment(name, str(name), tuple(ReleaseFile(each.name, each.size, each.sha256) for each in listing))
                for name, files in sorted(self._listing().items())
                for listing in [shown(files, lambda each: each.name)]
            )
        return with_rules(listed, plan)

    def cached_assignments(self) -> None:
        return None

    def find_assignment(self, text: str) -> Assignment | None:
        return find_assignment(self.assignments(), text)

    def release_file(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        for each in self._listing().get(assignment, ()):
            if each.name == name:
                return self._stored(name, each.size, each.modified, each.body)
        return None

    def note_fetched(self, notes: Sequence[Fetched]) -> None:
        # In one order, so that two servers that note the same people wait for each other in turn.
        rows = sorted((self.course, *astuple(each)) for each in notes)

        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO fetched (course, assignment, username, moment) VALUES (%s, %s, %s, %s) "
                    "ON CONFLICT DO NOTHING",
                    rows,
                )

        self.write(work)

    def fetched(self, username: Username | None = None) -> list[Fetched]:
        where, values = _where(username=username)
        rows = self.read(f"SELECT assignment, username, moment FROM fetched WHERE course = %s{where}", *values)
        return sorted(
            (Fetched(AssignmentName(assignment), Username(name), moment) for assignment, name, moment in rows),
            key=astuple,
        )

    def _stored(self, name: str, size: int, modified: int, body: str) -> StoredFile:
        bring = partial(self._files.bring, self.course, body, size)
        return StoredFile(name, size, modified / deadlines.SECOND, body, bring=bring)

    # submissions

    def upload(self) -> Upload:
        return Incoming()

    def accept(self, submission: NewSubmission, issue: Issue) -> Future[Accepted]:
        waiting = _PendingSubmission(submission, issue)
        assert isinstance(submission.body, Incoming), "a submission comes through `upload`"
        if submission.body.is_large:  # it takes its time, so nobody else waits for it
            self._commit([waiting])
        else:
            self._queue.append(waiting)
            self._committers.submit(self._commit_waiting)
        return waiting.promise

    def _commit_waiting(self) -> None:
        """Whoever comes first takes along what has queued up; who finds nothing has been taken along."""
        with self._taking:
            together = [self._queue.popleft() for _ in range(min(len(self._queue), TOGETHER))]
        if together:
            self._commit(together)

    def _commit(self, together: list[_PendingSubmission]) -> None:
        try:
            self.write(lambda connection: self._place(connection, together))
        except Exception as error:  # noqa: BLE001 (raised again by whoever waits for a promise)
            for each in together:
                each.error = each.error or error
        for each in together:
            if each.error is not None:
                each.promise.set_exception(each.error)
            else:
                each.promise.set_result(each.accepted)

    def _place(self, connection: Connection, together: list[_PendingSubmission]) -> None:
        """Append to the chain, in the open transaction. One submission that is refused takes nothing of the others'."""
        blobs.keep(connection, self.course, ((each.body, each.submission.body.pieces()) for each in together))  # type: ignore[attr-defined]
        chain = ChainAppender(connection, self.course, [each.submission for each in together])
        unused = []
        for each in together:
            each.accepted = each.error = None
            try:
                each.accepted = chain.append(each.submission, each.issue, each.body)
            except Exception as error:  # noqa: BLE001 (raised again by `result`)
                each.error = error
            if each.accepted is None or each.accepted.repeated:
                unused.append(each.body)
        chain.write()
        blobs.drop(connection, self.course, unused)

    def latest_files(self, assignment: AssignmentName) -> tuple[LatestFile, ...]:
        rows = self.read(
            f"SELECT DISTINCT ON (username) {RECEIPT_COLUMNS} FROM receipts WHERE course = %s AND assignment = %s "
            "ORDER BY username, attempt DESC",
            assignment,
        )
        found = [receipt_of(row).submission for row in rows]
        return tuple(
            LatestFile(
                each.username, latest_filename(each.username), each.size, each.received / deadlines.SECOND, each.sha256
            )
            for each in sorted(found, key=lambda each: each.username)
        )

    def cached_latest_files(self, assignment: AssignmentName) -> None:
        return None

    def submitted_file(self, assignment: AssignmentName, filename: FileName) -> StoredFile | None:
        username = owner(filename)
        which, value = ("username", username) if username else ("filename", filename)
        rows = self.read(
            f"SELECT size, received, body FROM receipts WHERE course = %s AND assignment = %s AND {which} = %s "
            "ORDER BY attempt DESC LIMIT 1",
            assignment, value,
        )  # fmt: skip
        return self._stored(filename, *rows[0]) if rows else None

    def head(self) -> Head:
        return Head(*self.read("SELECT number, head FROM chains WHERE course = %s")[0])

    def chain(self) -> Iterator[Link]:
        end, last = self.head().number, 0
        while last < end:
            # In this order: a receipt that is being erased is then in both or one, never in none.
            upto = min(last + 1000, end)
            where = "WHERE course = %s AND number > %s AND number <= %s"
            receipts = map(receipt_of, self.read(f"SELECT {RECEIPT_COLUMNS} FROM receipts {where}", last, upto))
            links: dict[int, Link] = {each.number: each for each in receipts}
            for row in self.read(f"SELECT number, previous, hash, statement FROM erased {where}", last, upto):
                links[row[0]] = Tombstone(*row)
            yield from sorted(links.values(), key=lambda link: link.number)
            last = upto

    def erase(self, username: Username, attest: MakeTombstone, event: Event) -> None:
        def work(connection: Connection) -> None:
            erase(connection, self.course, username, attest)
            record(connection, self.course, [event])

        self.write(work)

    def receipts(self, assignment: AssignmentName | None = None, username: Username | None = None) -> Iterator[Receipt]:
        where, values = _where(assignment=assignment, username=username)
        sql = f"SELECT {RECEIPT_COLUMNS} FROM receipts WHERE course = %s{where} AND number > %s ORDER BY number"
        last, more = 0, True
        while more:
            rows = self.read(f"{sql} LIMIT 1000", *values, last)
            yield from map(receipt_of, rows)
            more = len(rows) == 1000
            last = rows[-1][0] if rows else last

    def latest(self) -> list[Submission]:
        rows = self.read(
            f"SELECT DISTINCT ON (assignment, username) {RECEIPT_COLUMNS.replace('text', chr(39) * 2)} FROM receipts "
            "WHERE course = %s ORDER BY assignment, username, attempt DESC"
        )
        return [receipt_of(row).submission for row in rows]

    def received_since(self, moment: int) -> list[int]:
        sql = "SELECT received FROM receipts WHERE course = %s AND received >= %s"
        return [row[0] for row in self.read(sql, moment)]

    def free_space(self) -> int | None:
        return None

    def handed_in(self, assignment: AssignmentName) -> list[Username]:
        sql = "SELECT DISTINCT username FROM receipts WHERE course = %s AND assignment = %s"
        return [Username(username) for (username,) in self.read(sql, assignment)]

    # time

    def extensions(self, assignment: AssignmentName | None = None, username: Username | None = None) -> list[Extension]:
        where, values = _where(assignment=assignment, username=username)
        rows = self.read(f"SELECT {EXTENSION_COLUMNS} FROM extensions WHERE course = %s{where}", *values)
        return sorted(map(extension_of, rows), key=lambda each: (each.assignment, each.username))

    def change_extensions(
        self, changes: Sequence[tuple[AssignmentName, Username, ChangeExtension, Event]]
    ) -> list[Extension]:
        def work(connection: Connection) -> list[Extension]:
            connection.execute("SELECT 1 FROM courses WHERE course = %s FOR UPDATE", (self.course,))
            changed = []
            for assignment, username, change, event in changes:
                row = connection.execute(
                    f"SELECT {EXTENSION_COLUMNS} FROM extensions "
                    "WHERE course = %s AND assignment = %s AND username = %s",
                    (self.course, assignment, username),
                ).fetchone()
                changed.append(change(extension_of(row) if row else None))
                put_extension(connection, self.course, changed[-1])
                record(connection, self.course, [event])
            return changed

        return self.write(work)

    def commits(self, assignment: AssignmentName, username: Username) -> tuple[Commitment, ...]:
        place = commitments_place(assignment, username)
        return read_commitments(assignment, username, self.document(place) or "[]")

    def change_commitments(
        self, assignment: AssignmentName, username: Username, change: ChangeCommitments
    ) -> tuple[Commitment, ...]:
        place = commitments_place(assignment, username)

        def work(connection: Connection) -> tuple[Commitment, ...]:
            held = lock_document(connection, self.course, place, "[]")
            kept = change(read_commitments(assignment, username, held))
            put_document(connection, self.course, place, write_commitments(kept))
            return kept

        return self.write(work)

    # grades and feedback

    def grades(self, assignment: AssignmentName) -> tuple[GradeEntry, ...]:
        return self._document(grades_place(assignment), read_grades, ())

    def merge_grades(self, assignment: AssignmentName, entries: tuple[GradeEntry, ...], event: Event) -> int:
        place = grades_place(assignment)

        def work(connection: Connection) -> int:
            held = read_grades(lock_document(connection, self.course, place, "[]"))
            merged = grading.merge(held, entries)
            put_document(connection, self.course, place, json.dumps([dict(each.fields) for each in merged]))
            record(connection, self.course, [event])
            return len(merged)

        return self.write(work)

    def feedback(self, assignment: AssignmentName, username: Username) -> StoredFile | None:
        rows = self.read(
            "SELECT size, modified, body FROM feedback WHERE course = %s AND assignment = %s AND username = %s",
            assignment, username,
        )  # fmt: skip
        return self._stored(f"{username}.html", *rows[0]) if rows else None

    def put_feedback(self, assignment: AssignmentName, pages: dict[Username, bytes], event: Event) -> None:
        kept = {username: blobs.new_body() for username in pages}

        def work(connection: Connection) -> None:
            blobs.keep(connection, self.course, ((kept[user], split(page)) for user, page in pages.items()))
            # Two uploads of the same pages wait for each other, not for ever: each takes them in one order.
            for user in sorted(pages):
                row = connection.execute(
                    "SELECT body FROM feedback WHERE course = %s AND assignment = %s AND username = %s FOR UPDATE",
                    (self.course, assignment, user),
                ).fetchone()
                blobs.drop(connection, self.course, [row[0]] if row else [])
                connection.execute(
                    "INSERT INTO feedback (course, assignment, username, size, modified, body) "
                    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (course, assignment, username) DO UPDATE "
                    "SET size = excluded.size, modified = excluded.modified, body = excluded.body",
                    (self.course, assignment, user, len(pages[user]), event.moment, kept[user]),
                )
            record(connection, self.course, [event])

        self.write(work)

    # the trail

    def record(self, event: Event) -> None:
        self.write(lambda connection: record(connection, self.course, [event]))

    def events(self, limit: int = 1000) -> list[Event]:
        rows = self.read(
            "SELECT moment, actor, action, subject, detail FROM events WHERE course = %s ORDER BY number DESC LIMIT %s",
            limit,
        )
        return [Event(*row) for row in rows]


def _where(**asked: str | None) -> tuple[str, list[str]]:
    """A further condition on the columns that are asked for, and its values."""
    wanted = {column: value for column, value in asked.items() if value is not None}
    return "".join(f" AND {column} = %s" for column in wanted), list(wanted.values())
