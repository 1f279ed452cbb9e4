"""One pool of workers for many courses, in `serve` and in `mograder worker`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.cli import run
from tests.course_store import CourseStore, course_store
from tests.parts import serving, until
from tests.postgres import fresh_database

BUSY, QUIET, LATER = "busy", "quiet", "later"


@pytest.fixture(params=["folder", "postgres"])
def courses(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CourseStore]:
    url = fresh_database(request.getfixturevalue("postgres_server")) if request.param == "postgres" else ""
    with course_store(tmp_path, url) as made:
        for name in (BUSY, QUIET):
            made.make(name)
        yield made


def test_courses_take_turns_and_a_course_that_gets_tests_later_is_graded_too(
    courses: CourseStore, capsys: pytest.CaptureFixture[str]
) -> None:
    courses.submit(BUSY, "alice", "bob", "carl")
    courses.submit(QUIET, "alice")
    assert run(["worker", *courses.worker, "--drain"]) == 0
    busy, quiet = sorted(courses.graded(BUSY)), courses.graded(QUIET)
    assert (len(busy), len(quiet)) == (3, 1)
    assert quiet[0] < busy[1], "courses take turns, one submission each"
    capsys.readouterr()
    courses.submit(QUIET, "bob")
    run(["doctor", courses.worker[0], "--json"])  # bob's file may not be on the disk yet
    said = [(each["severity"], each["where"].rsplit("/")[-1].removeprefix("course "), each["what"].split(":")[0])
            for each in json.loads(capsys.readouterr().out)["findings"] if "grade" in each["what"]]  # fmt: skip
    assert [(severity, name, what.partition(" since")[0]) for severity, name, what in said] == [
        ("note", BUSY, "hw1 is ready to be graded"), ("note", QUIET, "hw1 is ready to be graded"),
        ("note", QUIET, "waiting to be graded"),
    ]  # fmt: skip
    with serving(*courses.serve):
        courses.make(LATER)
        courses.submit(LATER, "alice")
        courses.submit(BUSY, "dora")
        until(lambda: courses.graded(LATER) and len(courses.graded(BUSY)) == 4)
