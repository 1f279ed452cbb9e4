"""The audit log as it is shown: repeated events are one line, and no event is missing."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.audit import Event, all_events, without_repeats
from tests.parts import NOON, SECOND

MINUTE = 60 * SECOND


def asked(number: int, assignment: str = "hw1", user: str = "mallory") -> Event:
    return Event(NOON - number * SECOND, user, "ask extension", user, f"{assignment} until 2030-01-01: {number}")


def test_a_thousand_requests_of_one_student_are_one_line_and_hide_no_other_event() -> None:
    before = Event(NOON - 2000 * SECOND, "tom", "grades", "hw1", "3 grades")
    between = Event(NOON - 500 * SECOND, "alice", "register", "alice")
    flood = [asked(number) for number in range(1000)]
    lines = without_repeats([*flood[:500], between, *flood[500:], before])
    assert [(line.event.actor, line.count) for line in lines] == [("mallory", 1000), ("alice", 1), ("tom", 1)]
    assert (lines[0].event, lines[0].first) == (flood[0], flood[-1].moment)


def test_alternating_requests_about_several_assignments_are_one_line_each() -> None:
    lines = without_repeats(asked(number, f"hw{number % 3}") for number in range(900))
    assert [line.count for line in lines] == [300, 300, 300]


def test_different_events_and_events_more_than_an_hour_apart_are_separate_lines() -> None:
    grants = [Event(NOON - each, "tom", "grant extension", "alice", f"hw1 until {each}") for each in range(3)]
    assert [line.count for line in without_repeats(grants)] == [1, 1, 1]
    hours = [Event(NOON - each * 61 * MINUTE, "tom", "grades", "hw1", "3 grades") for each in range(3)]
    assert [line.count for line in without_repeats(hours)] == [1, 1, 1]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 10**11)), max_size=60))
def test_every_event_is_in_exactly_one_line(found: list[tuple[str, str, int]]) -> None:
    events = [Event(moment, actor, action, "") for actor, action, moment in sorted(found, key=lambda each: -each[2])]
    assert sum(line.count for line in without_repeats(events)) == len(events)


class Log:
    def __init__(self, count: int) -> None:
        self.kept = [asked(number) for number in range(count)]

    def record(self, event: Event) -> None:
        self.kept.insert(0, event)

    def events(self, limit: int = 1000, skip: int = 0) -> list[Event]:
        return self.kept[skip : skip + limit]


def test_the_whole_log_is_read_even_if_events_are_recorded_meanwhile() -> None:
    log = Log(2500)
    before = list(log.kept)
    reading = all_events(log)
    read = list(islice(reading, 1))
    log.record(asked(-1))
    assert set(before) <= {*read, *reading}
