"""What every store promises about tickets and failures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.contract.parts import Open
from tests.parts import (
    NOON,
    SECOND,
)


def test_a_ticket_is_used_once_across_all_servers_until_it_is_forgotten(open_again: Open) -> None:
    first, second = open_again(), open_again()
    assert first.guard.spend("ticket", NOON, NOON + SECOND)
    assert not second.guard.spend("ticket", NOON, NOON + SECOND)
    assert second.guard.spend("another", NOON + 2 * SECOND, NOON + 3 * SECOND)
    assert not first.guard.spend("another", NOON + 2 * SECOND, NOON + 3 * SECOND)


def test_which_of_many_tickets_are_used_is_read_at_once(open_again: Open) -> None:
    first, second = open_again(), open_again()
    for ticket in ("a", "c"):
        first.guard.spend(ticket, NOON, NOON + SECOND)
    assert second.guard.spent(["a", "b", "c"]) == {"a", "c"}
    assert second.guard.spent([]) == frozenset()


def test_of_many_simultaneous_uses_of_one_ticket_one_succeeds(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    with ThreadPoolExecutor(8) as pool:
        spent = list(pool.map(lambda number: stores[number % 2].guard.spend("ticket", NOON, NOON), range(32)))
    assert spent.count(True) == 1


def test_failures_are_seen_by_all_servers_until_they_are_forgotten_or_old(open_again: Open) -> None:
    first, second = open_again(), open_again()
    assert second.guard.failures(["a", "b"]) == []
    for store in (first, second):
        store.guard.note_failure(["a", "b"], NOON, SECOND)  # two failures at the same time are counted twice
    second.guard.note_failure(["a"], NOON + SECOND, SECOND)
    assert sorted(first.guard.failures(["a"])) == [("a", NOON), ("a", NOON), ("a", NOON + SECOND)]
    assert len(first.guard.failures(["a", "b", "c"])) == 5
    first.guard.forget_failures(["a", "c"])
    assert second.guard.failures(["a", "b"]) == [("b", NOON)] * 2
    second.guard.note_failure(["c"], NOON + SECOND + 1, SECOND)
    assert first.guard.failures(["a", "b"]) == []
    first.guard.note_failure(["a"], NOON, SECOND)  # as after a clock that was set back
    assert second.guard.failures(["a", "c"]) == [("a", NOON)]
    first.guard.note_failure([], NOON, SECOND)


def test_simultaneous_failures_are_all_counted(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: stores[number % 2].guard.note_failure(["a"], NOON + number, SECOND), range(32)))
    assert sorted(moment for _, moment in stores[0].guard.failures(["a"])) == [NOON + number for number in range(32)]
