"""Moments: exact to the microsecond, in UTC, whatever zone they came from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.deadlines import iso, microseconds, stamp, utc
from tests.parts import NOON

MOMENTS = st.integers(-(10**16), 2 * 10**17)  # the years 1653 to 8307
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moment=MOMENTS, zone=ZONES)
def test_a_moment_survives_the_way_through_any_zone(moment: int, zone: timezone) -> None:
    assert microseconds(utc(moment).astimezone(zone)) == moment
    assert datetime.fromisoformat(iso(moment)) == utc(moment)


def test_moments_are_read_and_written_as_people_do() -> None:
    assert microseconds(datetime(2026, 3, 10, 12, tzinfo=UTC)) == NOON
    assert iso(NOON + 1) == "2026-03-10T12:00:00.000001Z"
    assert stamp(NOON + 999_999) == "20260310T120000"
    assert utc(NOON).utcoffset() == timedelta(0)


@given(moments=st.lists(MOMENTS.filter(lambda moment: moment > 0)))
def test_moments_sort_as_their_texts_do(moments: list[int]) -> None:
    assert [iso(moment) for moment in sorted(moments)] == sorted(map(iso, moments))
