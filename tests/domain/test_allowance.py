"""How much one person may submit."""

from __future__ import annotations

import pytest

from mograder.domain.allowance import HOUR, MIB, Allowance, Usage
from mograder.domain.errors import TooManySubmissions
from tests.parts import NOON, SECOND


def test_the_hour_is_over_when_the_oldest_submission_is_an_hour_old() -> None:
    usage = Usage().plus(NOON, 1).plus(NOON + 9 * SECOND, 1)
    assert usage == Usage(2, NOON, 2)
    Allowance(per_hour=3).check(usage, 3, 1, NOON)
    with pytest.raises(TooManySubmissions, match=r"2 times within an hour.*taken in 1 minute$") as refused:
        Allowance(per_hour=2).check(usage, 3, 1, NOON + HOUR - 1)
    assert refused.value.headers == (("Retry-After", "1"),)


@pytest.mark.parametrize(
    ("allowance", "setting"), [(Allowance(attempts=2), "max_attempts"), (Allowance(size=MIB), "max_person_mb")]
)
def test_attempts_and_bytes_are_bounded_and_the_setting_is_named(allowance: Allowance, setting: str) -> None:
    allowance.check(Usage(size=MIB - 5), 2, 5, NOON)
    with pytest.raises(TooManySubmissions, match=setting):
        allowance.check(Usage(size=MIB - 5), 3, 6, NOON)


def test_nobody_who_works_meets_a_bound() -> None:
    every_half_minute = Usage(120, NOON, 120 * MIB)
    Allowance().check(every_half_minute, 1000, 20 * MIB, NOON)
