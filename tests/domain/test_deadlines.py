"""Times, exact to the microsecond in any time zone; how late a submission is, and the penalty."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mograder.domain.deadlines import (
    IN_TIME,
    MINUTE,
    Penalties,
    Schedule,
    days_later,
    from_local,
    is_over,
    iso,
    lateness,
    local,
    microseconds,
    readable,
    stamp,
    utc,
)
from tests.parts import NOON, SECOND

MOMENTS = st.integers(-(10**16), 2 * 10**17)  # the years 1653 to 8307
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moment=MOMENTS, zone=ZONES)
def test_a_moment_is_unchanged_by_conversion_to_any_time_zone_and_back(moment: int, zone: timezone) -> None:
    assert microseconds(utc(moment).astimezone(zone)) == moment
    assert datetime.fromisoformat(iso(moment)) == utc(moment)


@pytest.mark.parametrize("text", ["Mon 0001-01-01T00:00:00.000001Z", "Fri 9999-12-31T23:59:59.999999Z"])
def test_the_first_and_last_moment_of_the_calendar_are_exact_to_the_microsecond(text: str) -> None:
    moment = microseconds(datetime.fromisoformat(text[4:]))
    assert iso(moment) == text[4:]
    assert readable(moment).startswith(text[:14])


def test_moments_are_read_and_written_in_usual_formats() -> None:
    assert microseconds(datetime(2026, 3, 10, 12, tzinfo=UTC)) == NOON
    assert iso(NOON + 1) == "2026-03-10T12:00:00.000001Z"
    assert stamp(NOON + 999_999) == "20260310T120000"
    assert utc(NOON).utcoffset() == timedelta(0)


@given(moments=st.lists(MOMENTS.filter(lambda moment: moment > 0)))
def test_moments_sort_like_their_texts(moments: list[int]) -> None:
    assert [iso(moment) for moment in sorted(moments)] == sorted(map(iso, moments))


# lateness and penalty

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
ZONED = st.sampled_from(
    [UTC, BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia"), ZoneInfo("Asia/Kathmandu")]
)
DUE = st.integers(1_200_000_000, 2_000_000_000).map(lambda second: second * SECOND)  # 2008 to 2033
AFTER = st.integers(-3 * 86400 * SECOND, 40 * 86400 * SECOND)
PENALTIES = st.builds(
    Penalties, st.just(True), st.integers(0, 3000).map(lambda each: each * MINUTE), st.integers(0, 30),
    st.integers(0, 120),
)  # fmt: skip
HARSH = Penalties(enabled=True, grace=0)


def moment(text: str, zone: ZoneInfo) -> int:
    return from_local(datetime.fromisoformat(text), zone)


def test_the_explanation_has_days_times_and_penalty() -> None:
    due, received = moment("2027-03-12T17:00", BERLIN), moment("2027-03-14T09:12", BERLIN)
    found = lateness(due, received, Penalties(enabled=True), BERLIN)
    assert (found.late, found.days, found.penalty) == (True, 2, 10)
    assert found.explanation == "2 days late: due Fri 12 Mar 17:00, received Sun 14 Mar 09:12 CET, 2 x 5 %"
    free = lateness(due, received, Penalties(), BERLIN)
    assert (free.days, free.penalty) == (2, 0)
    assert free.explanation == "2 days late: due Fri 12 Mar 17:00, received Sun 14 Mar 09:12 CET"
    spring = moment("2027-03-27T17:00", BERLIN)
    said = lateness(spring, moment("2027-03-28T09:12", BERLIN), Penalties(), BERLIN).explanation
    assert said == "1 day late: due Sat 27 Mar 17:00 CET, received Sun 28 Mar 09:12 CEST"


def test_the_explanation_adds_seconds_or_years_where_needed_and_names_the_maximum() -> None:
    due = moment("2026-12-31T23:59:00", BERLIN)
    assert lateness(due, due + SECOND, HARSH, BERLIN).explanation == (
        "1 day late: due Thu 31 Dec 23:59:00, received Thu 31 Dec 23:59:01 CET, 1 x 5 %"
    )
    assert lateness(due, due + 30 * 86400 * SECOND, HARSH, BERLIN).explanation == (
        "30 days late: due Thu 31 Dec 2026 23:59, received Sat 30 Jan 2027 23:59 CET, 30 x 5 %, at most 100 %"
    )
    assert lateness(due, due + 20 * 86400 * SECOND, HARSH, BERLIN).explanation.endswith("20 x 5 %")


def test_the_year_is_shown_if_it_differs_in_the_time_zone_of_the_course() -> None:
    texts = ("2026-12-31T20:00", "2027-01-01T00:10", "2027-01-01T09:00")  # the second is still 2026 in UTC
    old, night, new = (moment(text, BERLIN) for text in texts)
    assert "due Fri 01 Jan 00:10, received Fri 01 Jan 09:00" in lateness(night, new, HARSH, BERLIN).explanation
    assert "Thu 31 Dec 2026 20:00, received Fri 01 Jan 2027 00:10" in lateness(old, night, HARSH, BERLIN).explanation


@given(due=DUE, part=st.integers(0, SECOND - 1), penalties=PENALTIES, zone=ZONED)
def test_the_whole_second_of_due_time_plus_grace_period_is_on_time(
    due: int, part: int, penalties: Penalties, zone: ZoneInfo
) -> None:
    assert lateness(due, due + penalties.grace + part, penalties, zone) == IN_TIME
    assert lateness(due, due + penalties.grace + SECOND, penalties, zone).late
    assert not lateness(None, due, penalties, zone).late


@given(due=DUE, after=AFTER, more=AFTER, penalties=PENALTIES, zone=ZONED)
def test_a_later_submission_never_costs_less_and_a_longer_extension_never_more(
    due: int, after: int, more: int, penalties: Penalties, zone: ZoneInfo
) -> None:
    first, second = (lateness(due, due + each, penalties, zone) for each in sorted((after, more)))
    assert (first.days, first.penalty) <= (second.days, second.penalty)
    assert 0 <= first.penalty <= max(penalties.most, 0)
    extended = Schedule(due=due).extended(due + more).due
    assert extended is not None
    assert extended >= due
    with_time = lateness(extended, due + after, penalties, zone)
    plain = lateness(due, due + after, penalties, zone)
    assert (with_time.days, with_time.penalty) <= (plain.days, plain.penalty)
    assert with_time.penalty == min(with_time.days * penalties.per_day, penalties.most)


@given(due=DUE, part=st.integers(0, SECOND - 1), days=st.integers(0, 400), zone=ZONED)
def test_adding_days_keeps_the_fraction_of_a_second(due: int, part: int, days: int, zone: ZoneInfo) -> None:
    assert days_later(due + part, days, zone) == days_later(due, days, zone) + part


@given(due=DUE, days=st.integers(1, 400), zone=ZONED)
@example(due=moment("2027-03-27T02:30", BERLIN), days=1, zone=BERLIN)  # 02:30 of the next day is skipped
@example(due=moment("2027-10-30T02:30", BERLIN), days=1, zone=BERLIN)  # and here it occurs twice
def test_each_started_day_ends_at_the_due_time_of_day_despite_clock_changes(
    due: int, days: int, zone: ZoneInfo
) -> None:
    end = days_later(due, days, zone)
    assert lateness(due, end, HARSH, zone).days <= days
    assert lateness(due, end + SECOND, HARSH, zone).days >= days + 1
    wall, start = local(end, zone), local(due, zone)
    skipped = utc(microseconds(start.replace(tzinfo=None).replace(tzinfo=zone) + timedelta(days)))
    assert wall.time() == start.time() or skipped.astimezone(zone).time() != start.time()


@pytest.mark.parametrize(
    ("due", "in_time_for_a_day", "hours"),
    [("2027-03-27T17:00", "2027-03-28T17:00", 23), ("2027-10-30T17:00", "2027-10-31T17:00", 25),
     ("2027-05-01T17:00", "2027-05-02T17:00", 24),
     ("2027-03-27T02:30", "2027-03-28T03:30", 24)],  # 02:30 is skipped that night: the later interpretation counts
)  # fmt: skip
def test_a_day_has_23_or_25_hours_when_the_clocks_change(due: str, in_time_for_a_day: str, hours: int) -> None:
    start, end = moment(due, BERLIN), moment(in_time_for_a_day, BERLIN)
    assert end - start == hours * 3600 * SECOND
    assert [lateness(start, end + each, HARSH, BERLIN).days for each in (0, SECOND)] == [1, 2]


def test_an_ambiguous_local_time_means_the_later_moment() -> None:
    assert readable(moment("2027-10-31T02:30", BERLIN), BERLIN) == "Sun 2027-10-31 02:30 CET"
    assert readable(moment("2027-03-28T02:30", BERLIN), BERLIN) == "Sun 2027-03-28 03:30 CEST"
    assert readable(NOON + SECOND, ZoneInfo("Asia/Kathmandu")) == "Tue 2026-03-10 17:45:01 UTC+0545"


@pytest.mark.parametrize(
    ("text", "zone", "shown"),
    [("9999-12-31T23:59", "Europe/Berlin", "9999-12-31 23:59 UTC"), ("0001-01-01", "America/New_York", "0001-01-01")],
)  # fmt: skip
def test_the_first_and_last_day_of_the_calendar_can_be_shown_in_every_time_zone(
    text: str, zone: str, shown: str
) -> None:
    far = moment(text, UTC)
    assert lateness(far, NOON, HARSH, ZoneInfo(zone)).late == (far < NOON)
    assert local(far, ZoneInfo(zone)).isoformat(" ").startswith(shown.removesuffix(" UTC"))


@given(due=st.none() | DUE, closes=st.none() | DUE, until=st.none() | DUE)
def test_an_extension_never_shortens_and_adds_no_deadline(
    due: int | None, closes: int | None, until: int | None
) -> None:
    schedule = Schedule(None, due, closes)
    extended = schedule.extended(until)
    for before, after in ((due, extended.due), (closes, extended.closes)):
        assert (after is None) == (before is None)
        assert before is None or after == max(before, until or 0)
    assert extended.extended(until) == extended
    assert not is_over(None, NOON)
