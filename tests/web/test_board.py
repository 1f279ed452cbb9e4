"""The board of the instructor over HTTP: search, order and pages, without scripts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.domain.roster import Person
from tests.parts import ALICE, BOB, NOON, submit_work, token_of
from tests.web.pages.test_sessions import Visitor


@pytest.fixture
def teacher(course: Course) -> Visitor:
    """A browser in which the instructor is logged in."""
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, INSTRUCTOR))
    return visitor


def rows(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a [^>]*><bdi>(.*?)</bdi>', text)


def test_only_instructors_see_the_board(teacher: Visitor, course: Course) -> None:
    student = Visitor(course)
    assert student.get("/board").headers["location"] == "/login?next=%2Fboard"
    student.post("/login", token=token_of(course, "alice"))
    assert student.get("/board").status_code == 403
    assert teacher.get("/board").status_code == 200


def test_a_long_board_is_split_into_pages_that_link_to_each_other(teacher: Visitor, course: Course) -> None:
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse(f"student{number:03}") for number in range(250)])
    first, last = teacher.get("/"), teacher.get("/board?page=3")
    assert (len(rows(first.text)), rows(last.text)[0], len(rows(last.text))) == (100, "student200", 50)
    assert ">250 people, times in" in first.text
    link = re.search(r'href="([^"]*page=2)" rel="next"', first.text)
    assert link
    assert rows(teacher.get(link[1].replace("&amp;", "&")).text)[0] == "student100"
    assert rows(teacher.get("/board?page=99").text) == rows(last.text)
    assert rows(teacher.get("/board?page=x").text) == rows(first.text)


def test_the_search_finds_people_and_missing_students_are_listed_for_copying(teacher: Visitor, course: Course) -> None:
    course.roster.add(
        COURSE_INSTRUCTOR, [Person.parse("alice", "Alice Example"), Person.parse("bob"), Person.parse("eve")]
    )
    submit_work(course.store, course.signer, ALICE, b"x", NOON)
    found = teacher.get("/board?q=example").text
    assert rows(found) == ["Alice Example"]
    assert ">1 of 3 people, times in" in found
    page = teacher.get("/board?assignment=hw1&show=missing&order=name").text
    assert rows(page) == ["bob", "eve"]
    assert re.search(r'<output id="missing"[^>]*>bob\neve</output>', page)
    submit_work(course.store, course.signer, BOB, b"x", NOON)  # the cached board is not shown again
    assert rows(teacher.get("/board?assignment=hw1&show=missing").text) == ["eve"]
    assert teacher.get("/board?show=purple").status_code == 400
    assert rows(teacher.get("/board?assignment=gone").text) == ["Alice Example", "bob", "eve"]


def test_one_person_is_written_in_the_singular(teacher: Visitor, course: Course, course_folder: Path) -> None:
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("alice")])
    assert ">1 person, times in" in teacher.get("/board").text
    assert ">0 of 1 person<" in teacher.get("/board?q=nobody").text
    shutil.rmtree(course_folder / "hw1")
    assert "There are no assignments yet, and 1 person." in teacher.get("/board").text


def test_the_board_says_from_when_on_a_submission_is_late_with_the_grace_period(
    teacher: Visitor, course_folder: Path
) -> None:
    plan = course_folder.parent / "mograder.toml"
    due = '[[assignments]]\nname = "hw1"\ndue = 2126-03-10T11:00:00Z\n'
    plan.write_text(due)
    assert "<dt>Late</dt><dd>5 minutes after that</dd>" in teacher.get("/board/hw1").text
    plan.write_text(f"[penalties]\ngrace_minutes = 0\n{due}")
    assert "<dt>Late</dt><dd>from then on</dd>" in teacher.get("/board/hw1").text
