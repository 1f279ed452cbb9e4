"""What every store promises about the audit log."""

from __future__ import annotations

from mograder.domain.audit import Event
from mograder.domain.store import Store
from tests.parts import (
    HW1,
    NOON,
)


def test_events_are_newest_first_and_limited_in_number(store: Store) -> None:
    for number in range(5):
        store.grades.put_feedback(HW1, {}, Event(NOON + number, "a", "act", f"s{number}", "d"))
    assert store.audit.events(2) == [Event(NOON + 4, "a", "act", "s4", "d"), Event(NOON + 3, "a", "act", "s3", "d")]
    assert len(store.audit.events()) == 5


def test_the_audit_log_is_read_in_pages(store: Store) -> None:
    for number in range(5):
        store.audit.record(Event(NOON, "x", "test", f"{number}"))
    assert [each.subject for each in store.audit.events(2, 1)] == ["3", "2"]
    assert [each.subject for each in store.audit.events(9, 4)] == ["0"]
    assert store.audit.events(9, 5) == []


def test_the_last_events_of_one_person_and_action_are_found_among_all_others(store: Store) -> None:
    for number in range(6):
        actor, action = ("x", "y")[number % 2], ("test", "other")[number // 4]
        store.audit.record(Event(NOON, actor, action, f"{number}"))
    assert [each.subject for each in store.audit.last("x", "test", 9)] == ["2", "0"]
    assert [each.subject for each in store.audit.last("x", "test", 1)] == ["2"]
    assert store.audit.last("z", "test", 9) == []
