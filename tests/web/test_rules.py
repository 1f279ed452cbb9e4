"""The rules of an assignment in the protocol and on the page of the instructor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mograder.domain.course import Course
from tests.parts import CODE
from tests.web.in_process import Web, problem
from tests.web.pages.test_sessions import Visitor

PLAN = """\
timezone = "Europe/Berlin"
[[assignments]]
name = "hw1"
due = 2026-03-27T17:00:00 # a Friday
"""
ADDRESS = "/assignments/hw1/rules"


@pytest.fixture
def plan(course: Course, course_folder: Path) -> Path:
    course.accounts.register("alice", CODE)
    path = course_folder.parent / "mograder.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def web(course: Course, plan: Path) -> Web:
    return Web(course)


def test_rules_are_read_and_changed_and_students_see_them_at_once(web: Web, plan: Path) -> None:
    before = web("GET", ADDRESS).json()
    assert (before["due"], before["timezone"], before["points"]) == ("2026-03-27T17:00", "Europe/Berlin", "")
    wanted = {"tag": before["tag"], "due": "2026-03-28T18:00", "title": "Loops", "max_size": "2 KiB"}
    after = web("POST", ADDRESS, json=wanted).json()
    assert after == {**before, **wanted, "tag": after["tag"]} == web("GET", ADDRESS).json()
    (listed,) = web("GET", "/assignments", "alice").json()
    assert (listed["title"], listed["max_size"], listed["duedate"]) == ("Loops", 2048, 1_774_717_200)
    problem(web.submit(content=b"x" * 2049), 413, "too_large")
    assert "due = 2026-03-28T18:00:00 # a Friday" in plan.read_text()
    assert web("GET", "/events").json()[0]["action"] == "rules"


def test_a_change_based_on_outdated_rules_is_409_and_changes_nothing(web: Web, plan: Path) -> None:
    tag = web("GET", ADDRESS).json()["tag"]
    assert web("POST", ADDRESS, json={"tag": tag, "points": "5"}).status_code == 200
    message = problem(web("POST", ADDRESS, json={"tag": tag, "points": "7"}), 409, "changed")
    assert message == "the rules of 'hw1' were changed meanwhile: look at them, and try again"
    assert web("GET", ADDRESS).json()["points"] == "5"


@pytest.mark.parametrize("change", [{"due": "soon"}, {"closes": "2026-03-01"}, {"due": 12}, {"max_size": "1 TiB"}])
def test_an_invalid_change_is_400_and_changes_nothing(web: Web, plan: Path, change: dict[str, object]) -> None:
    tag = web("GET", ADDRESS).json()["tag"]
    problem(web("POST", ADDRESS, json={"tag": tag, **change}), 400, "bad_request")
    assert plan.read_text() == PLAN


def test_an_invalid_course_file_is_503_and_is_not_changed(web: Web, plan: Path) -> None:
    tag = web("GET", ADDRESS).json()["tag"]
    plan.write_text("[[assignments")
    problem(web("GET", ADDRESS), 503, "unreadable")
    reply = web("POST", ADDRESS, json={"tag": tag, "points": "5"})
    assert "cannot be understood" in problem(reply, 503, "unreadable")
    assert str(plan) in reply.json()["place"]
    assert plan.read_text() == "[[assignments"


# the page


def tag_on(page: str) -> str:
    found = re.search(r'name="tag" value="(\w+)"', page)
    assert found
    return found[1]


@pytest.fixture
def teacher(course: Course, plan: Path) -> Visitor:
    teacher = Visitor(course)
    teacher.post("/login", token=Web(course).bearer("__instructor__")["Authorization"].removeprefix("Bearer "))
    return teacher


SHOWN = {"title": "", "opens": "", "due": "2026-03-27T17:00", "closes": "", "max_size": "", "accepts": "", "points": ""}
PAGE = "/board/hw1/rules"


def test_the_page_writes_only_the_changed_fields(teacher: Visitor, plan: Path) -> None:
    page = teacher.get(PAGE).text
    assert 'value="2026-03-27T17:00"' in page
    assert "Europe/Berlin" in page
    answer = teacher.post(PAGE, **{**SHOWN, "tag": tag_on(page), "closes": "2026-03-30T17:00"})
    assert answer.status_code == 303
    page = teacher.get(answer.headers["location"].removeprefix(teacher.root)).text
    assert "Saved." in page
    assert 'value="2026-03-30T17:00"' in page
    assert plan.read_text() == PLAN + "closes = 2026-03-30T17:00:00\n"


def test_the_page_keeps_the_input_when_it_is_refused(teacher: Visitor, plan: Path) -> None:
    tag = tag_on(teacher.get(PAGE).text)
    answer = teacher.post(PAGE, **{**SHOWN, "tag": tag, "title": "Mine", "points": "many"})
    assert answer.status_code == 400
    assert "is no number of points" in answer.text
    assert 'value="Mine"' in answer.text
    assert "Mine: title" not in answer.text
    assert tag_on(answer.text) == tag
    assert plan.read_text() == PLAN


def test_the_page_shows_changes_made_by_others_meanwhile(teacher: Visitor, plan: Path) -> None:
    tag = tag_on(teacher.get(PAGE).text)
    plan.write_text(PLAN + 'title = "Theirs"\n')
    answer = teacher.post(PAGE, **{**SHOWN, "tag": tag, "title": "Mine"})
    assert answer.status_code == 409
    assert "changed meanwhile" in answer.text
    assert 'value="Theirs"' in answer.text
    assert tag_on(answer.text) == tag_on(teacher.get(PAGE).text)
    assert "Mine" not in plan.read_text()


def test_a_student_cannot_read_or_change_rules(course: Course, plan: Path) -> None:
    student = Visitor(course)
    student.post("/login", token=Web(course).bearer("alice")["Authorization"].removeprefix("Bearer "))
    assert student.get(PAGE).status_code == 403
    assert student.post(PAGE, **SHOWN).status_code == 403
    assert plan.read_text() == PLAN


def test_one_button_makes_the_last_submission_on_time_count(teacher: Visitor, plan: Path) -> None:
    assert "a late submission takes the place of one on time" in teacher.get(PAGE).text
    answer = teacher.post("/board/hw1/counting", counts="on-time")
    assert answer.status_code == 303
    assert "The last one on time, or the last if none is." in teacher.get(PAGE).text
    assert plan.read_text().splitlines()[:2] == ['timezone = "Europe/Berlin"', 'counts = "on-time"']
    assert teacher.post("/board/hw1/counting", counts="sometimes").status_code == 400
