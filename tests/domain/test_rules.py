"""Rules as people write them: accepted and refused notations, and unchanged values."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mograder.domain.assignments import CountingRule, Rules
from mograder.domain.deadlines import SECOND, OwnPenalties, Schedule, moment_of
from mograder.domain.errors import BadRequest
from mograder.domain.names import printable
from mograder.domain.rules import RuleTexts, Value

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.none() | st.integers(31_536_000, 250_000_000_000).map(lambda second: second * SECOND)
RULES = st.builds(
    Rules,
    st.text(max_size=30),
    st.builds(Schedule, MOMENTS, MOMENTS, MOMENTS),
    st.none() | st.integers(1, 10**15 - 1),  # the maximum number of digits of a size
    st.lists(st.sampled_from([".py", ".zip", ".tar.gz", ".c++"]), unique=True).map(tuple),
    st.none() | st.floats(0, 1e6),
    st.booleans(),
    expects=st.lists(st.sampled_from(["part1.py", "part 2.py", "data.csv"]), unique=True).map(tuple),
    penalties=st.builds(
        OwnPenalties,
        st.none() | st.booleans(),
        st.none() | st.integers(0, 10**7).map(lambda second: second * SECOND),
        *[st.none() | st.floats(0, 1e5)] * 2,
        st.none() | st.booleans(),
    ),
    counts=st.none() | st.sampled_from(CountingRule),
)


@given(rules=RULES, zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]))
def test_an_unchanged_value_is_no_change(rules: Rules, zone: str) -> None:
    texts = RuleTexts.of(rules, ZoneInfo(zone))
    assert texts.changes_to(texts) == ()


@given(rules=RULES)
def test_every_value_is_read_as_it_is_shown(rules: Rules) -> None:
    texts = replace(RuleTexts.of(rules, ZoneInfo("UTC")), title="")
    values = {each.key: each.value for each in RuleTexts().changes_to(texts)}
    assert values.get("max_size") == rules.max_size
    assert values.get("accepts", ()) == rules.accepts
    for key in ("opens", "due", "closes"):
        moment, value = getattr(rules.schedule, key), values.get(key)
        assert moment == (moment_of(value, UTC) if isinstance(value, datetime) else None)
    assert values.get("points") == (None if rules.points is None else pytest.approx(rules.points))


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("title", "  Loops \n and more ", "Loops and more"), ("title", "x" * 200, "x" * 200),
        ("due", "2030-02-08", date(2030, 2, 8)),
        ("due", "2030-02-08T17:00", datetime.fromisoformat("2030-02-08T17:00")),
        ("due", "2030-02-08 17:00:30", datetime.fromisoformat("2030-02-08T17:00:30")),
        ("due", "2030-02-08T17:00:30.9", datetime.fromisoformat("2030-02-08T17:00:30")),
        ("closes", "2030-02-08T17:00+01:00", datetime.fromisoformat("2030-02-08T17:00+01:00")),
        ("max_size", "10 MiB", 10 * 2**20), ("max_size", "1.5kb", 1500), ("max_size", "77", 77), ("max_size", "1", 1),
        ("accepts", ".py, ZIP *.tar.gz .py", (".py", ".zip", ".tar.gz")),
        ("points", "20", 20), ("points", "7.5", 7.5), ("points", "0", 0),
        ("hidden", "yes", True), ("files", " part 1.py\r\n\n data.csv , x.py", ("part 1.py", "data.csv", "x.py")),
        ("counts", "on-time", "on-time"),
    ],
)  # fmt: skip
def test_usual_notations_are_understood(key: str, text: str, value: Value) -> None:
    (change,) = RuleTexts().changes_to(RuleTexts(**{key: text}))
    assert (change.key, change.value) == (key, value)
    assert type(change.value) is type(value)


def test_rules_for_late_work_have_a_table_of_their_own() -> None:
    said = RuleTexts(penalties="yes", grace_minutes="2.5", per_day="10 %", max_penalty="50", apply_penalties="no")
    assert {each.key: each.value for each in RuleTexts().changes_to(said)} == {
        "penalties.enabled": True, "penalties.grace_minutes": 2.5, "penalties.per_day": 10, "penalties.max": 50,
        "penalties.apply": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("title", "x" * 201), ("title", "a\x1b[31mb"), ("opens", "soon"), ("due", "2030-13-01"), ("due", "1969-01-01"),
        ("closes", "9999-12-31"), ("closes", "+3d"), ("max_size", "0"), ("max_size", "-1"), ("max_size", "10 apples"),
        ("max_size", "0.1"), ("max_size", "9" * 400), ("accepts", "."), ("accepts", "../x"), ("points", "many"),
        ("points", "-1"), ("points", "nan"), ("points", "inf"), ("hidden", "maybe"), ("files", "noending"),
        ("counts", "first"), ("penalties", "5"), ("per_day", "-1"), ("grace_minutes", "1 h"),
        ("max_penalty", "1e9"),
    ],
)  # fmt: skip
def test_an_invalid_value_is_refused_and_repeated_in_the_error(key: str, text: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(printable(text[:4]))):
        RuleTexts().changes_to(RuleTexts(**{key: text}))


@pytest.mark.parametrize(
    ("size", "shown"), [(2**31, "2 GiB"), (10 * 2**20, "10 MiB"), (2**20 + 2**10, "1025 KiB"), (1000, "1000")]
)
def test_sizes_and_titles_are_shown_as_people_write_them(size: int, shown: str) -> None:
    texts = RuleTexts.of(Rules(" Loops \n and more ", max_size=size), UTC)
    assert (texts.title, texts.max_size) == ("Loops and more", shown)


def test_times_are_shown_in_the_time_zone_of_the_course() -> None:
    day = Schedule(due=1_774_627_200 * SECOND, closes=1_774_627_259 * SECOND)
    texts = RuleTexts.of(Rules(schedule=day), BERLIN)
    assert (texts.opens, texts.due, texts.closes) == ("", "2026-03-27T17:00", "2026-03-27T17:00:59")
