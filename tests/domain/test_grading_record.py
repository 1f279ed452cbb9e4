"""A grading record is consistent in itself, and states the files that it is about."""

from __future__ import annotations

from msgspec.structs import replace

from tests.grading_samples import BROKEN, record
from tests.parts import sha256


def test_a_record_whose_points_do_not_follow_from_its_checks_is_faulty() -> None:
    assert record().faults() == ()
    assert record(BROKEN).faults() == ()
    (fault,) = replace(record(), points=30.0).faults()
    assert fault == "its checks earn 15.8 points, and it states 30.0"


def test_a_record_names_files_that_it_is_not_about() -> None:
    given = {"alice.py": sha256(b"work"), "hw1.py": sha256(b"source"), "lock": sha256(b"environment"), "b.py": "00"}
    assert record().differences(given) == ("b.py",)
