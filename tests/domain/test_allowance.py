"""Limits on the submissions of one person."""

from __future__ import annotations

import pytest

from mograder.domain.allowance import HOUR, MIB, Allowance, HourlyBound, Usage
from mograder.domain.errors import TooManySubmissions
from tests.parts import NOON, SECOND


def test_the_hour_ends_when_the_oldest_submission_is_an_hour_old() -> None:
    usage = Usage().plus(NOON, 1).plus(NOON + 9 * SECOND, 1)
    assert usage == Usage(2, NOON, 2)
    Allowance(per_hour=3).check(usage, 3, 1, NOON)
    with pytest.raises(TooManySubmissions, match=r"2 times within an hour.*taken in 1 minute$") as refused:
        Allowance(per_hour=2).check(usage, 3, 1, NOON + HOUR - 1)
    assert refused.value.headers == (("Retry-After", "1"),)


@pytest.mark.parametrize(
    ("allowance", "setting"), [(Allowance(attempts=2), "max_attempts"), (Allowance(size=MIB), "max_person_mb")]
)
def test_attempts_and_bytes_are_limited_and_the_error_names_the_setting(allowance: Allowance, setting: str) -> None:
    allowance.check(Usage(size=MIB - 5), 2, 5, NOON)
    with pytest.raises(TooManySubmissions, match=setting):
        allowance.check(Usage(size=MIB - 5), 3, 6, NOON)


def test_normal_work_does_not_reach_the_limits() -> None:
    every_half_minute = Usage(120, NOON, 120 * MIB)
    Allowance().check(every_half_minute, 1000, 20 * MIB, NOON)


MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("made", "now", "left", "free"),
    [
        ((), 0, 2, 0),
        ((0,), 1, 1, 1),
        ((0, 5), 10, 0, 60),
        ((5, 0), 59, 0, 60),
        ((0, 5), 60, 1, 60),
        ((0, 5), 65, 2, 65),
        ((5, 0, 3), 10, 0, 63),  # more than the limit, as after the limit was lowered
        ((-61, 30), 0, 1, 0),
    ],
)  # fmt: skip
def test_an_attempt_stops_counting_an_hour_after_it_was_made(
    made: tuple[int, ...], now: int, left: int, free: int
) -> None:
    bound, moments, moment = HourlyBound(2), [NOON + each * MINUTE for each in made], NOON + now * MINUTE
    assert (bound.left(moments, moment), bound.free(moments, moment)) == (left, NOON + free * MINUTE)


@pytest.mark.parametrize(
    ("made", "ends", "now", "left"),
    [
        ((0, 5), 60, 10, 0),  # the next attempt is possible before the due time
        ((0, 5), 59, 10, 1),  # it would be late, so one more is allowed
        ((0, 5, 10), 59, 11, 0),  # the additional attempt is used
        ((0, 5), 59, 60, 1),
        ((0, 5, 10), 59, 60, 0),  # already late: the normal limit
        ((0,), 30, 10, 1),
    ],
)
def test_the_hourly_limit_leaves_one_attempt_right_before_a_deadline(
    made: tuple[int, ...], ends: int, now: int, left: int
) -> None:
    bound = HourlyBound(2, NOON + ends * MINUTE)
    assert bound.left([NOON + each * MINUTE for each in made], NOON + now * MINUTE) == left


def test_with_no_attempt_left_the_error_says_when_the_next_one_is_possible() -> None:
    allowance, moments = Allowance(here=HourlyBound(2)), [NOON, NOON + MINUTE]
    with pytest.raises(
        TooManySubmissions, match=r"2 times within an hour.*Tue 2026-03-10 13:00 UTC, in 30 minutes$"
    ) as told:
        allowance.check(Usage(), 3, 1, NOON + 30 * MINUTE, lambda: moments)
    assert told.value.headers == (("Retry-After", "1800"),)
    allowance.check(Usage(), 3, 1, NOON + HOUR, lambda: moments)
