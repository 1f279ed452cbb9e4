"""The settings of `serve`, and the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mograder.config import SERVE_SETTINGS, utc_now
from mograder.course_file import EMPTY, CourseFile
from mograder.domain.deadlines import microseconds


@pytest.mark.parametrize("setting", SERVE_SETTINGS, ids=lambda each: each.name)
def test_every_path_in_the_settings_table_exists_in_the_course_file(setting: object) -> None:
    place = setting.toml  # type: ignore[attr-defined]
    if place is None:
        return
    table, _, key = place.partition(".")
    assert table in CourseFile.__struct_fields__
    assert key in getattr(EMPTY, table).__struct_fields__


def test_the_clock_counts_microseconds() -> None:
    before, now, after = microseconds(datetime.now(UTC)), utc_now(), microseconds(datetime.now(UTC))
    assert before <= now <= after
