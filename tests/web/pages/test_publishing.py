"""Who may publish files, by which forms, under which names; and viewing the course as a student."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from tests.parts import CODE, token_of
from tests.web.in_process import everything_in
from tests.web.pages.test_sessions import OURS, Visitor


@pytest.fixture
def visitor(course: Course) -> Visitor:
    """The course's instructor, logged in."""
    course.accounts.register("alice", CODE)
    visitor = Visitor(course)
    assert visitor.post("/login", token=token_of(course, INSTRUCTOR)).status_code == 303
    return visitor


def put(visitor: Visitor, path: str, file: str, headers: dict[str, str] | None = None, **fields: str) -> int:
    files = {"files": (file, b"x = 1")}
    return visitor.send("POST", path, OURS if headers is None else headers, data=fields, files=files).status_code


def test_a_published_file_stays_in_its_folder_and_forms_of_other_sites_are_refused(
    visitor: Visitor, course_folder: Path
) -> None:
    before = everything_in(course_folder.parent)
    for name in ("..", ".x", "a\\.."):
        assert put(visitor, "/board/hw1/files", name) == 400
    for name in ("../x", "hw1", ""):
        assert put(visitor, "/new-assignment", "a.py", name=name) == 400
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert put(visitor, "/board/hw1/files", "a.py", elsewhere) == 403
    assert put(visitor, "/new-assignment", "a.py", elsewhere, name="hw2") == 403
    assert everything_in(course_folder.parent) == before
    assert put(visitor, "/board/hw1/files", "../../up.py") == 303  # only the last component is used
    assert (course_folder / "hw1" / "files" / "up.py").read_bytes() == b"x = 1"


def test_an_instructor_who_views_as_a_student_submits_nothing_and_a_student_gains_no_rights(
    course: Course, visitor: Visitor
) -> None:
    assert visitor.post("/as-student", assignment="hw1").headers["location"] == "/my/hw1"
    assert visitor.get("/my/hw1/files/hw1.py").status_code == 200
    assert visitor.get("/people").status_code == 403
    assert visitor.post("/my/hw1/extension", until="2030-01-01").status_code == 403
    assert visitor.post("/logout").status_code == 403
    assert course.store.release.fetched() == []
    assert visitor.post("/as-student", leave="").headers["location"] == "/"
    assert visitor.get("/people").status_code == 200
    student = Visitor(course)
    student.post("/login", token=token_of(course, "alice"))
    assert student.post("/as-student").status_code == 403
    student.cookies[f"{next(iter(student.cookies))}-view"] = "student"
    assert "You see the course as a student" not in student.get("/").text
    for path in ("/new-assignment", "/board/hw1/files"):
        assert put(student, path, "a.py", name="hw9") == 403
