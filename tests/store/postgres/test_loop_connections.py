"""Reading in an event loop, on a connection of its own, with a real database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from mograder.domain.store import Versions
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.database import Database, Row
from mograder.store.postgres.loop_connections import LoopConnections
from mograder.store.postgres.store import PostgresStore
from tests.parts import until
from tests.postgres import new_course

PID = ("SELECT pg_backend_pid()", ())


def number(value: int) -> tuple[str, Sequence[object]]:
    return ("SELECT %s::int", (value,))


async def pid_of(connections: LoopConnections) -> int:
    (((pid,),),) = await connections.read([PID])
    return int(pid)


def test_rows_of_several_queries_come_in_one_answer_with_the_session_settings(postgres_url: str) -> None:
    connections = LoopConnections(postgres_url, {"statement_timeout": "60s"})
    setting = ("SELECT current_setting('statement_timeout')", ())
    assert asyncio.run(connections.read([number(1), setting])) == [[(1,)], [("1min",)]]
    connections.close()


def test_an_event_loop_keeps_its_connection_and_another_gets_its_own(postgres_url: str) -> None:
    connections = LoopConnections(postgres_url, {})
    reading, done = threading.Barrier(2), threading.Barrier(2)
    pids: list[set[int]] = []

    async def read() -> None:
        found = {await pid_of(connections), await pid_of(connections)}
        reading.wait()  # both event loops have read before either ends
        pids.append(found)
        done.wait()

    threads = [threading.Thread(target=lambda: asyncio.run(read())) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [len(found) for found in pids] == [1, 1]
    assert pids[0].isdisjoint(pids[1])
    connections.close()


def test_the_connection_of_an_event_loop_that_has_ended_is_closed(postgres_url: str) -> None:
    connections = LoopConnections(postgres_url, {})
    first = asyncio.run(pid_of(connections))
    second = asyncio.run(pid_of(connections))
    assert first != second
    with psycopg.connect(postgres_url, autocommit=True) as other:
        held = "SELECT pid FROM pg_stat_activity WHERE pid = %s"
        until(lambda: not other.execute(held, (first,)).fetchall())  # the database notices it by itself
    connections.close()


def test_a_connection_whose_settings_are_refused_is_closed(postgres_url: str) -> None:
    connections = LoopConnections(f"{postgres_url}?application_name=refused", {"no_such_setting": "1"})
    with pytest.raises(psycopg.Error) as error:
        asyncio.run(connections.read([PID]))
    with psycopg.connect(postgres_url, autocommit=True) as other:
        held = "SELECT pid FROM pg_stat_activity WHERE application_name = 'refused'"
        until(lambda: not other.execute(held).fetchall())
    assert "no_such_setting" in str(error.value)
    connections.close()


def test_a_cancelled_read_leaves_no_answer_to_the_next_one(postgres_url: str) -> None:
    connections = LoopConnections(postgres_url, {})

    async def cancel_and_read() -> list[list[Row]]:
        await connections.read([number(0)])
        slow = asyncio.create_task(connections.read([("SELECT 1 FROM pg_sleep(60)", ())]))
        while not connections._of[asyncio.get_running_loop()].lock.locked():
            await asyncio.sleep(0)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        return await connections.read([number(2)])

    assert asyncio.run(cancel_and_read()) == [[(2,)]]
    connections.close()


def test_a_lost_connection_is_replaced_and_the_request_is_answered_meanwhile(
    courses: PostgresCourses, postgres_url: str
) -> None:
    database: Database = courses.open(new_course(courses)).tables._database

    async def lose_and_read() -> list[Any]:
        (((pid,),),) = await database.read_together([PID])
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        answers = [await database.read_together([number(value), PID]) for value in range(3)]
        assert pid not in [row[1][0][0] for row in answers]
        assert answers[1][1] == answers[2][1]  # one connection again
        return [row[0] for row in answers]

    assert asyncio.run(lose_and_read()) == [[(0,)], [(1,)], [(2,)]]


def test_after_another_connection_was_lost_the_next_read_connects_anew(postgres_url: str) -> None:
    connections = LoopConnections(postgres_url, {})

    async def renew_and_read() -> tuple[int, int]:
        before = await pid_of(connections)
        connections.renew()
        return before, await pid_of(connections)

    before, after = asyncio.run(renew_and_read())
    assert before != after
    connections.close()


def test_an_older_answer_never_replaces_a_newer_one(
    courses: PostgresCourses, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two event loops may ask for the versions of one course at once."""
    store: PostgresStore = courses.open(new_course(courses))
    read_together = Database.read_together

    async def ask_twice() -> None:
        newer_is_there, reads = asyncio.Event(), 0

        async def delayed(self: Database, queries: Any) -> list[list[Row]]:
            nonlocal reads
            reads += 1
            is_first, rows = reads == 1, await read_together(self, queries)
            if is_first:  # read before the change, and delivered after the newer answer
                older_was_read.set()
                await newer_is_there.wait()
            return rows

        older_was_read = asyncio.Event()
        monkeypatch.setattr(Database, "read_together", delayed)
        older = asyncio.create_task(store.refresh((), ()))
        await older_was_read.wait()
        await asyncio.to_thread(change)
        await store.refresh((), ())
        newer_is_there.set()
        await older
        assert reads == 3  # the first question was asked again

    def change() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("UPDATE courses SET changes = changes + 1 WHERE course = %s", (store.course,))

    asyncio.run(ask_twice())
    with psycopg.connect(postgres_url, autocommit=True) as other:
        row = other.execute("SELECT changes FROM courses WHERE course = %s", (store.course,)).fetchone()
    assert row is not None
    seen = store.recalled(store.versions, wait=True)
    assert isinstance(seen, Versions)
    assert seen.people == (0, row[0])
