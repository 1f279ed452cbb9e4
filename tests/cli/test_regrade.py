"""`mograder regrade`: the effect of new tests is shown first, then applied for everybody at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder import factory
from mograder.cli import run
from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.names import Username
from tests.graded_course import HALF, RIGHT, SOURCE
from tests.parts import HW1, make_course_folder, submit_work

FLAKY = RIGHT.replace("return a * 2", "import secrets\n    return a * 2 if secrets.randbelow(2) else 0")
EASIER = SOURCE.replace("double(0) == 0", "double(0) is not None")


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    """A course with three graded submissions, two of them by alice."""
    served = make_course_folder(tmp_path)
    write_source(served.parent, SOURCE)
    course = factory.open_course(served)
    for user, text in (("alice", HALF), ("alice", RIGHT), ("bob", HALF)):
        submit_work(course.store, course.signer, Username(user), text.encode())
    assert run(["worker", str(served), "--drain"]) == 0
    yield course
    course.close()


def write_source(folder: Path, text: str) -> None:
    (folder / "source" / "hw1").mkdir(parents=True, exist_ok=True)
    (folder / "source" / "hw1" / "hw1.py").write_text(text)


def regraded(course: Course, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert run(["regrade", "hw1", "--course", str(root_of(course)), "--json", "-j", "1", *words]) == 0
    return {each["user"]: each for each in json.loads(capsys.readouterr().out)}


def root_of(course: Course) -> Path:
    root: Path = course.store.folders.root  # type: ignore[attr-defined]
    return root


def points_of(course: Course, user: str) -> float | None:
    shown = course.results.of(COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"), Username(user))
    return None if shown.shown is None else shown.shown.marks.automatic


def test_results_of_new_tests_are_shown_beside_the_old_ones_and_in_force_once_applied(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {user: points_of(course, user) for user in ("alice", "bob")}
    assert {each["is_new"] for each in regraded(course, capsys).values()} == {False}

    write_source(root_of(course).parent, SOURCE.replace("x == 41", "x in (40, 41)"))
    shown = regraded(course, capsys)
    assert (shown["alice"]["change"], shown["alice"]["questions"]) == (0, [])
    assert shown["bob"]["old"] == before["bob"]
    (change,) = shown["bob"]["questions"]  # type: ignore[misc]
    assert change["key"] == "Q1"
    assert change["new"] > change["old"]
    assert {user: points_of(course, user) for user in before} == before

    assert set(regraded(course, capsys, "--user", "alice")) == {"alice"}
    regraded(course, capsys, "--apply")
    assert points_of(course, "alice") == before["alice"]
    assert points_of(course, "bob") == shown["bob"]["new"]
    # alice: two old results, and a new one of the submission that counts; bob: an old and a new one.
    assert len(course.store.jobs.results(HW1, Username("alice"))) == 3
    assert len(course.store.jobs.results(HW1, Username("bob"))) == 2
    line = next(each for each in course.audit.events() if each.action == "regrade")
    assert (line.actor, line.subject) == (COURSE_INSTRUCTOR.username, "hw1")
    assert "1 gains points, 0 lose points, 1 stays as it is" in line.detail
    assert {each["is_new"] for each in regraded(course, capsys).values()} == {False}


def test_twice_finds_a_submission_whose_result_differs_between_two_runs(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    # In every second pair, the two runs differ and the points stay the same.
    submit_work(course.store, course.signer, Username("carl"), FLAKY.encode())
    for _ in range(40):
        found = regraded(course, capsys, "--user", "carl", "--twice")["carl"]
        if found["flaky"] and found["new"] == 30:
            return
    pytest.fail(f"no run of 40 differed from the one before: {found}")
