"""An instructor creates assignments and publishes files, over a real course folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.course import Course
from mograder.domain.errors import BadName, BadRequest, ChangedMeanwhile, NotFound
from mograder.domain.names import AssignmentName, FileName
from mograder.domain.publishing import tag_of
from mograder.domain.release import NewFile
from mograder.domain.rules import RuleTexts
from tests.parts import ALICE, HW1
from tests.web.in_process import everything_in

WORK = NewFile(FileName("work.py"), b"x = 1\n")
ALICE_ASKS = Actor(ALICE, Role.STUDENT)


def test_an_assignment_is_created_with_its_rules_before_its_files(course: Course, course_folder: Path) -> None:
    wanted = RuleTexts(title="Loops", opens="2030-03-01T08:00", due="2030-03-10T12:00")
    name = course.publishing.create(COURSE_INSTRUCTOR, " hw2 ", wanted, [WORK])
    assert (course_folder / "hw2" / "files" / "work.py").read_bytes() == WORK.content
    assert course.rules.of(name).texts == wanted
    assert [each.name for each in course.release.assignments(ALICE_ASKS)] == ["hw1"]  # it opens later
    assert [(each.action, each.subject) for each in course.audit.events()] == [("put up", "hw2"), ("rules", "hw2")]


@pytest.mark.parametrize("name", [
    "", ".", "..", "a/b", "../x", ".hidden", "release", "Submitted", "hw1", "HW1", "a\\b", "a\nb", "__pycache__",
    "x\u202ey",
])  # fmt: skip
def test_a_name_that_leads_outside_or_hides_another_assignment_is_refused(
    course: Course, course_folder: Path, name: str
) -> None:
    before = everything_in(course_folder.parent)
    with pytest.raises((BadName, BadRequest)):
        course.publishing.create(COURSE_INSTRUCTOR, name, RuleTexts(title="x"), [WORK])
    assert everything_in(course_folder.parent) == before


@pytest.mark.parametrize("file", [
    NewFile(FileName("hw.py"), b"### BEGIN SOLUTION\n"), NewFile(FileName("hw.py"), b"# begin hidden tests"),
    NewFile(FileName("x.pyc"), b""),
])  # fmt: skip
def test_files_that_students_must_not_get_are_refused_with_all_others(
    course: Course, course_folder: Path, file: NewFile
) -> None:
    before = everything_in(course_folder.parent)
    with pytest.raises(BadRequest):
        course.publishing.put(COURSE_INSTRUCTOR, HW1, [WORK, file])
    with pytest.raises(BadRequest):
        course.publishing.create(COURSE_INSTRUCTOR, "hw2", RuleTexts(title="x"), [file])
    assert everything_in(course_folder.parent) == before


def test_nothing_is_written_or_removed_through_a_link(course: Course, course_folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "work.py").write_text("mine")
    (course_folder / "hw1" / "files" / "work.py").symlink_to(elsewhere / "work.py")
    (course_folder / "hw1" / "files" / "data").symlink_to(elsewhere)
    (course_folder / "hw3").symlink_to(elsewhere)
    for name, file in ((HW1, "work.py"), (HW1, "data/work.py"), (AssignmentName("hw3"), "work.py")):
        with pytest.raises((BadRequest, NotFound)):
            course.publishing.put(COURSE_INSTRUCTOR, name, [NewFile(FileName(file), b"theirs")])
        with pytest.raises((BadRequest, NotFound)):
            course.publishing.remove(COURSE_INSTRUCTOR, name, file)
    with pytest.raises(BadRequest):
        course.publishing.create(COURSE_INSTRUCTOR, "hw3", RuleTexts(), [WORK])
    assert everything_in(elsewhere) == {"work.py": b"mine"}


def test_files_cannot_be_published_where_a_manifest_lists_them(course: Course, course_folder: Path) -> None:
    (course_folder / "assignments.json").write_text('[{"name": "hw1", "files": []}]')
    with pytest.raises(BadRequest, match=r"assignments\.json"):
        course.publishing.put(COURSE_INSTRUCTOR, HW1, [WORK])


def test_instructions_are_written_changed_and_removed_without_overwriting_the_change_of_another(course: Course) -> None:
    write = course.publishing.write_instructions
    write(COURSE_INSTRUCTOR, HW1, "# Do\r\nit\r\n", tag_of(""))
    held = course.publishing.instructions(HW1)
    assert held == "# Do\nit\n"
    with pytest.raises(ChangedMeanwhile):
        write(COURSE_INSTRUCTOR, HW1, "other", tag_of(""))
    events = len(course.audit.events())
    write(COURSE_INSTRUCTOR, HW1, held, tag_of(held))
    assert len(course.audit.events()) == events  # nothing has changed
    with pytest.raises(BadRequest, match="too long"):
        write(COURSE_INSTRUCTOR, HW1, "x" * 70_000, tag_of(held))
    write(COURSE_INSTRUCTOR, HW1, " ", tag_of(held))
    assert course.publishing.instructions(HW1) == ""
