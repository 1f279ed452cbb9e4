"""The database of the courses: its schema, and commits whose answer is lost."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from urllib.parse import urlsplit

import psycopg
import pytest
from msgspec.structs import replace

from mograder.domain.access import Account
from mograder.domain.audit import Event
from mograder.domain.errors import NameTaken, StorageFull, Temporary, Unreadable
from mograder.domain.grades import GradeEntry
from mograder.domain.names import Username
from mograder.domain.receipts import NewSubmission, issue_receipt
from mograder.domain.store import Store
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.postgres import database
from mograder.store.postgres.chain import LockedEnd, write_receipts
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.database import MIGRATIONS, upgrade
from mograder.store.shared.chain import ChainAppender
from tests.parts import ALICE, BOB, HW1, NOON, PATIENCE, SECOND, filled, free_port, submit_work, until
from tests.postgres import CuttingProxy, Server, fresh_database, new_course

SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "alice", "test", "hw1")


@pytest.fixture
def empty_url(postgres_server: Server) -> str:
    return fresh_database(postgres_server, upgraded=False)


def test_every_migration_script_is_listed() -> None:
    scripts = sorted(each.name for each in resources.files("mograder.store.postgres").iterdir())
    assert list(MIGRATIONS) == [each for each in scripts if each.endswith(".sql")]


def test_a_database_without_tables_is_refused_until_it_is_upgraded(empty_url: str) -> None:
    with pytest.raises(Unreadable, match="mograder store upgrade"):
        PostgresCourses(empty_url)
    assert upgrade(empty_url) == (0, len(MIGRATIONS))
    assert upgrade(empty_url) == (len(MIGRATIONS), len(MIGRATIONS))
    PostgresCourses(empty_url).close()


def test_an_older_or_newer_schema_is_refused_and_not_changed(empty_url: str) -> None:
    upgrade(empty_url)
    for version, message in ((len(MIGRATIONS) - 1, "store upgrade"), (len(MIGRATIONS) + 1, "upgrade mograder")):
        with psycopg.connect(empty_url) as connection:
            connection.execute("UPDATE schema_version SET version = %s", (version,))
        with pytest.raises(Unreadable, match=message) as said:
            PostgresCourses(empty_url)
        assert said.value.place == "the table schema_version"
    with pytest.raises(Unreadable, match="newer mograder"):
        upgrade(empty_url)


def test_an_upgrade_keeps_the_rows_of_an_older_schema(
    empty_url: str, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = fresh_database(postgres_server)
    with contextlib.closing(PostgresCourses(current)) as courses:
        name = new_course(courses)
        receipt = submit_work(courses.open(name), SIGNER, ALICE, b"one").receipt
        with monkeypatch.context() as before:
            before.setattr("mograder.store.postgres.database.MIGRATIONS", MIGRATIONS[:1])
            assert upgrade(empty_url) == (0, 1)
        copy_rows(current, empty_url)
    with pytest.raises(Unreadable, match="schema 1 and this mograder needs"):
        PostgresCourses(empty_url)
    assert upgrade(empty_url) == (1, len(MIGRATIONS))
    with contextlib.closing(PostgresCourses(empty_url)) as courses:
        assert list(courses.open(name).submissions.receipts()) == [receipt]
        courses.open(name).guard.note_failure(["a"], NOON, 1)
        assert courses.open(name).guard.failures(["a"]) == [("a", NOON)]


def copy_rows(source: str, target: str) -> None:
    """Copy the rows of every table of `source` to `target`, as far as `target` has the columns."""
    listed = (
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND is_generated = 'NEVER' AND table_name <> 'schema_version'"
    )
    with psycopg.connect(source) as old, psycopg.connect(target) as new:
        known = set(old.execute(listed))
        columns: dict[str, list[str]] = {}
        for table, column in new.execute(listed):
            if (table, column) in known:
                columns.setdefault(table, []).append(column)
        for table, names in columns.items():
            rows = old.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
            with new.cursor() as cursor:
                places = ", ".join(["%s"] * len(names))
                cursor.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", rows)


def test_simultaneous_upgrades_create_the_tables_once(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(lambda _: upgrade(empty_url), range(4)))
    assert {after for _, after in outcomes} == {len(MIGRATIONS)}
    PostgresCourses(empty_url).close()


def test_an_unreachable_database_is_reported_with_the_reason() -> None:
    url = f"postgresql://postgres:secret@127.0.0.1:{free_port()}/none"
    for ask, message in (
        (PostgresCourses, "the database is away: connection failed.* refused"),
        (upgrade, "the database is away or busy: connection failed.* refused.*: run it again$"),
    ):
        with pytest.raises(Temporary, match=message) as said:
            ask(url)
        assert "secret" not in said.value.message
        assert "\n" not in said.value.message


def test_losing_and_regaining_the_database_is_logged_once_each(
    empty_url: str, postgres_server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(empty_url)
    courses, leaving = PostgresCourses(empty_url), PostgresCourses(empty_url)
    name = urlsplit(empty_url).path[1:]
    with psycopg.connect(postgres_server.url(), autocommit=True) as other:
        other.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        with pytest.raises(Temporary, match="away"):
            courses.entries()
        # Once one connection attempt has timed out, the others do not wait.
        monkeypatch.setattr(database, "READ_PATIENCE", 2 * PATIENCE)
        with ThreadPoolExecutor() as threads, pytest.raises(Temporary, match="away"):
            threads.submit(courses.entries).result(PATIENCE)
        leaving.close()
        other.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        until(lambda: reads(courses))
    courses.close()
    said = [record.getMessage() for record in caplog.records if record.name != "psycopg.pool"]
    assert [each.partition(":")[0] for each in said if "connection to the database was lost" not in each] == [
        "the database is away", "the database is back",
    ]  # fmt: skip
    assert not [each for each in caplog.messages if each.startswith(("error connecting", "reconnection attempt"))]


def reads(courses: PostgresCourses) -> bool:
    with contextlib.suppress(Temporary):
        return courses.entries() == []
    return False


def test_commits_are_synchronous_even_if_the_database_defaults_to_asynchronous(postgres_server: Server) -> None:
    url = fresh_database(postgres_server)
    with psycopg.connect(url, autocommit=True) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    courses = PostgresCourses(url)
    assert courses._database.read("SELECT current_setting('synchronous_commit')") == [("on",)]
    courses.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has this timeout")
def test_a_database_that_falls_silent_is_given_up_after_seconds(postgres_url: str) -> None:
    courses = PostgresCourses(postgres_url)
    with courses._database._pool.connection() as connection, socket.socket(fileno=os.dup(connection.fileno())) as held:
        assert held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        idle, interval, count, unanswered = (held.getsockopt(socket.IPPROTO_TCP, name) for name in names)
    assert (idle + interval * count, unanswered) == (5, 5000)
    courses.close()


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        ("40001", Temporary, "the course's database is busy: try again"),
        ("40P01", Temporary, "the course's database is busy: try again"),
        ("55P03", Temporary, "the course's database is busy: try again"),
        ("57014", Temporary, "the course's database is busy: try again"),
        ("53200", Temporary, "the course's database is busy: try again"),
        ("53100", StorageFull, "the database's disk is full"),
        ("42P01", Unreadable, "the database's schema is not the one that is known: of the test"),
        ("25006", Temporary, "the course's database is away: try again"),
        ("57P01", Temporary, "the course's database is away: try again"),
    ],
)
def test_a_refusal_by_the_database_is_reported_with_what_to_do(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, state: str, kind: type[Temporary], message: str
) -> None:
    courses = PostgresCourses(postgres_url)
    store = courses.open(new_course(courses))
    refusing = f"DO $$ BEGIN RAISE EXCEPTION 'of the test' USING ERRCODE = '{state}'; END $$"
    monkeypatch.setattr(database, "WRITE_PATIENCE", 0)
    with pytest.raises(kind) as said:
        store.tables.write(lambda connection: connection.execute(refusing))
    monkeypatch.undo()
    assert said.value.message.splitlines()[0] == message
    assert (type(said.value), said.value.retry_after > 0) == (kind, True)
    store.audit.record(NOTE)
    courses.close()


def test_file_names_given_in_one_batch_are_seen_by_the_rest_of_the_batch(postgres_url: str) -> None:
    courses = PostgresCourses(postgres_url)
    store = courses.open(new_course(courses))
    user = Username("A")
    submit_work(store, SIGNER, user, b"before")
    uploads = [filled(store.submissions.upload(), b"%d" % number) for number in range(3)]
    moments = [NOON + 9 * SECOND, NOON, NOON + 9 * SECOND]
    together = [NewSubmission(user, HW1, user, *each) for each in zip(moments, uploads, strict=True)]

    def work(connection: database.Connection) -> list[str]:
        chain = ChainAppender(LockedEnd(connection, store.course, together))
        placed = [chain.append(each, issue_receipt(each, SIGNER, "course")) for each in together]
        write_receipts(connection, store.course, chain.head, [("body", each) for each in chain.new])
        return [each.receipt.submission.filename.partition("T")[2] for each in placed]

    assert store.tables.write(work) == ["120009.py", "120010.py", "120011.py"]
    for upload in uploads:
        upload.discard()
    courses.close()


# commits whose answer is lost


@pytest.fixture(params=["before", "after"])
def cut(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[tuple[Store, CuttingProxy]]:
    """A store behind a proxy that cuts the connection at the next COMMIT, before or after the database gets it."""
    direct = PostgresCourses(postgres_url)
    name = new_course(direct)
    with CuttingProxy(postgres_url, request.param) as proxy:
        courses = PostgresCourses(proxy.url)
        yield courses.open(name), proxy
        courses.close()
    direct.close()


def test_a_submission_whose_commit_lost_its_answer_is_kept_once_and_gets_its_receipt(
    cut: tuple[Store, CuttingProxy],
) -> None:
    store, proxy = cut
    first = submit_work(store, SIGNER, ALICE, b"one").receipt
    proxy.arm()
    second = submit_work(store, SIGNER, ALICE, b"two")
    assert proxy.has_cut
    assert not second.repeated
    assert list(store.submissions.receipts()) == [first, second.receipt]
    third = submit_work(store, SIGNER, BOB, b"three").receipt
    assert (third.number, third.previous) == (3, second.receipt.hash)


def test_a_registration_whose_commit_lost_its_answer_does_not_conflict_with_itself(
    cut: tuple[Store, CuttingProxy],
) -> None:
    store, proxy = cut

    def claim(held: Account | None) -> Account:
        if held is not None:
            raise NameTaken("taken")
        return Account(ALICE, bound=True)

    proxy.arm()
    assert store.accounts.change(ALICE, claim, NOTE) == Account(ALICE, bound=True)
    assert proxy.has_cut
    assert store.audit.events() == [NOTE]
    with pytest.raises(NameTaken):
        store.accounts.change(ALICE, claim, NOTE)


def test_grades_whose_commit_lost_its_answer_are_recorded_once(cut: tuple[Store, CuttingProxy]) -> None:
    store, proxy = cut
    proxy.arm()
    assert store.grades.merge(HW1, (GradeEntry({"username": "alice"}),), NOTE) == 1
    assert proxy.has_cut
    assert store.audit.events() == [NOTE]


def test_rows_that_identify_commits_do_not_accumulate(postgres_url: str) -> None:
    courses = PostgresCourses(postgres_url)
    name = new_course(courses)
    store = courses.open(name)
    for number in range(10):
        store.audit.record(replace(NOTE, moment=number))
    courses.close()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM marks WHERE course = %s", (name,)).fetchone() == (0,)
