"""Lists that many ask for at once: never older than the question, read once for all who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mograder.web.lists import Gathered, Written


def test_who_asks_while_a_reading_is_under_way_gets_the_next_one_and_shares_it() -> None:
    async def ask() -> tuple[list[int], int]:
        begun, go_on = asyncio.Event(), asyncio.Event()
        readings = 0

        async def run(read: Callable[[], int]) -> int:
            begun.set()
            await go_on.wait()
            return read()

        def read() -> int:
            nonlocal readings
            readings += 1
            return readings

        lists: Gathered[int] = Gathered(run)
        first = asyncio.create_task(lists.get("list", read))
        await begun.wait()
        later = [asyncio.create_task(lists.get("list", read)) for _ in range(3)]
        other = asyncio.create_task(lists.get("another", lambda: -1))
        await asyncio.sleep(0)
        later[0].cancel()  # who goes away takes nobody's answer along
        go_on.set()
        answers = [await first, *await asyncio.gather(*later[1:])]
        return answers, await other

    assert asyncio.run(ask()) == ([1, 2, 2], -1)


def test_a_reading_that_fails_fails_for_those_who_waited_for_it_alone() -> None:
    async def ask() -> int:
        async def run(read: Callable[[], int]) -> int:
            return read()

        lists: Gathered[int] = Gathered(run)
        with pytest.raises(ZeroDivisionError):
            await lists.get("list", lambda: 1 // 0)
        return await lists.get("list", lambda: 5)

    assert asyncio.run(ask()) == 5


def test_what_was_written_is_kept_until_the_value_changes() -> None:
    written: Written[str] = Written(most=2)
    assert written.get("list", (1,), lambda: "one") == "one"
    assert written.get("list", (1,), lambda: "again") == "one"
    assert written.get("list", (2,), lambda: "two") == "two"
    assert [written.get(key, (), lambda key=key: key) for key in "abc"] == ["a", "b", "c"]  # type: ignore[misc]
