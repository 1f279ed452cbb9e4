"""`mograder schedule`, in the served folder and over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_submissions import Run, mograder
from tests.parts import CODE, Running

__all__ = ["mograder"]  # a fixture

PLAN = """\
timezone = "Europe/Berlin"
[[assignments]]
name = "hw1"
due = 2030-02-08T17:00:00 # a Friday
"""


@pytest.fixture
def plan(server: Running) -> Path:
    path = server.root.parent / "mograder.toml"
    path.write_text(PLAN)
    return path


def test_an_instructor_changes_times_over_http_and_in_the_folder(mograder: Run, server: Running, plan: Path) -> None:
    there = ("--url", server.url, "--token", server.token("__instructor__"))
    here = ("--course", str(server.root.parent))
    out, _ = mograder("schedule", "hw1", *there)
    assert "Due:        2030-02-08 17:00 (Europe/Berlin)" in out
    assert "Closes:     -" in out
    found = mograder("schedule", "hw1", "--due", "2030-02-09", "--closes", "2030-02-10T08:00", *there, "--json")
    assert (found["due"], found["closes"]) == ("2030-02-09T23:59:59", "2030-02-10T08:00")
    changed = PLAN.replace("2030-02-08T17:00:00", "2030-02-09") + "closes = 2030-02-10T08:00:00\n"
    assert plan.read_text() == changed
    assert "Title:      Loops" in mograder("schedule", "hw1", "--title", "Loops", "--closes", "", *here)[0]
    assert plan.read_text() == changed.replace("closes = 2030-02-10T08:00:00", 'title = "Loops"')
    listed = server.client.get("/assignments", headers=server.bearer("alice")).json()
    assert (listed[0]["title"], "closes" in listed[0]) == ("Loops", False)


def test_an_invalid_change_is_a_one_line_error(mograder: Run, server: Running, plan: Path) -> None:
    here = ("--course", str(server.root))
    assert "'soon' is no time" in mograder("schedule", "hw1", "--due", "soon", *here, code=2)[1]
    assert "out of order" in mograder("schedule", "hw1", "--closes", "2030-02-01", *here, code=1)[1]
    mograder("schedule", "hw9", *here, code=4)
    plan.write_text("[[assignments")
    _, err = mograder("schedule", "hw1", "--due", "2030-02-09", *here, code=1)
    assert f"cannot be understood ({plan}" in err
    assert plan.read_text() == "[[assignments"


@pytest.mark.parametrize("words", [("schedule", "hw1"), ("audit",), ("extend", "--list"), ("roster", "list")])
def test_without_a_course_and_without_a_login_the_error_names_both_ways(mograder: Run, words: tuple[str, ...]) -> None:
    _, err = mograder(*words, code=2)
    assert err == "error: no course: give --course FOLDER, or --url, or log in with mograder https login\n"


def test_a_student_cannot_change_the_schedule(mograder: Run, server: Running, plan: Path) -> None:
    mograder("https", "login", "--url", server.url, "--user", "alice", "--code", CODE)
    mograder("schedule", "hw1", code=3)
    mograder("schedule", "hw1", "--due", "2031-01-01", code=3)
    assert plan.read_text() == PLAN
