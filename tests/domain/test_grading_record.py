"""A grading record is consistent in itself, and states the files that it is about."""

from __future__ import annotations

from msgspec.structs import replace

from tests.grading_samples import BROKEN, record


def test_a_record_whose_points_do_not_follow_from_its_checks_is_faulty() -> None:
    assert record().faults() == ()
    assert record(BROKEN).faults() == ()
    (fault,) = replace(record(), points=30.0).faults()
    assert fault == "its checks earn 15.8 points, and it states 30.0"
