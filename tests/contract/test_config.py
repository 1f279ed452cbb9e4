"""What every store promises about the configuration."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest

from mograder.domain.assignments import Rules
from mograder.domain.deadlines import Schedule, microseconds
from mograder.domain.errors import ChangedMeanwhile
from mograder.domain.rules import RuleChange, Value
from tests.contract.parts import NOTE, Open
from tests.parts import (
    HW1,
)


def rule(key: str, value: Value | None) -> RuleChange:
    return RuleChange(key, "", str(value), value)


def test_changed_rules_are_recorded_and_seen_by_every_server_at_once(open_again: Open) -> None:
    one, other = open_again(), open_again()
    assert (one.config.plan().rules, other.config.plan().rules) == ({}, {})
    one.config.change_rules(
        HW1,
        [rule("due", datetime.fromisoformat("2030-02-08T17:00")), rule("accepts", (".py",))],
        one.config.version(),
        NOTE,
    )
    other.config.change_rules(
        HW1, [rule("due", date(2030, 2, 9)), rule("title", 'A "title"')], other.config.version(), NOTE
    )
    for store in (one, other):
        due = microseconds(datetime(2030, 2, 9, 23, 59, 59, tzinfo=UTC))
        assert store.config.plan().rules == {HW1: Rules('A "title"', Schedule(due=due), accepts=(".py",))}
        assert [each.rules for each in store.release.assignments()] == [store.config.plan().rules[HW1]]
        assert store.audit.events() == [NOTE, NOTE]


def test_rules_that_have_changed_since_are_not_overwritten(open_again: Open) -> None:
    one, other = open_again(), open_again()
    tag = other.config.version()
    one.config.change_rules(HW1, [rule("points", 5)], tag, NOTE)
    with pytest.raises(ChangedMeanwhile):
        other.config.change_rules(HW1, [rule("points", 7)], tag, NOTE)
    assert (other.config.plan().rules[HW1].points, other.audit.events()) == (5, [NOTE])
    assert other.config.version() != tag


def test_of_many_simultaneous_changes_of_one_version_one_succeeds(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    tag = stores[0].config.version()

    def change(number: int) -> bool:
        try:
            stores[number % 2].config.change_rules(HW1, [rule("points", number)], tag, NOTE)
        except ChangedMeanwhile:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(change, range(16))) == 1
    assert len(stores[0].audit.events()) == 1
