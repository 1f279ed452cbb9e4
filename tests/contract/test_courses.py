"""What every store of many courses promises (domain/store.py), in a folder and in a database."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.domain.audit import Event
from mograder.domain.errors import NameTaken, NotFound, Temporary
from mograder.domain.names import CourseName
from mograder.domain.store import CourseEntry, Courses
from mograder.store.folder.courses import CourseFolders
from mograder.store.folder.layout import served_folders
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.publication import read_publication
from tests.graded_course import SOURCE
from tests.parts import NOON, SECOND
from tests.postgres import fresh_database

ALGEBRA, LOGIC, SETS = CourseName("algebra"), CourseName("logic"), CourseName("sets")
MADE, CLOSED, OPENED = (
    Event(NOON + number * SECOND, "root", action, "algebra")
    for number, action in enumerate(("made", "closed", "opened"))
)


@pytest.fixture(params=["folder", "postgres"])
def courses(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Courses]:
    """A store without courses."""
    if request.param == "folder":
        found: Courses = CourseFolders(tmp_path)
    else:
        found = PostgresCourses(fresh_database(request.getfixturevalue("postgres_server")))
    yield found
    found.close()


def test_a_new_course_is_open_with_an_audit_log_and_a_secret_of_its_own(courses: Courses) -> None:
    assert courses.entries() == []
    for name in (LOGIC, ALGEBRA):
        courses.create(name, MADE)
    assert [(each.name, each.archived) for each in courses.entries()] == [(ALGEBRA, None), (LOGIC, None)]
    assert courses.open(ALGEBRA).audit.events() == [MADE]
    assert courses.open(ALGEBRA).keys.secrets() != courses.open(LOGIC).keys.secrets()


def test_a_course_name_can_be_used_once(courses: Courses) -> None:
    courses.create(ALGEBRA, MADE)
    with pytest.raises(NameTaken, match="there is a course 'algebra' already: choose another name"):
        courses.create(ALGEBRA, CLOSED)
    assert courses.open(ALGEBRA).audit.events() == [MADE]


def test_a_course_is_opened_once_even_by_simultaneous_requests(courses: Courses) -> None:
    courses.create(ALGEBRA, MADE)
    courses.create(LOGIC, MADE)
    together = threading.Barrier(4)

    def opened(_: int) -> int:
        together.wait()
        return id(courses.open(ALGEBRA))

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(opened, range(4))) == {id(courses.open(ALGEBRA))}
    assert courses.open(LOGIC) is not courses.open(ALGEBRA)


@pytest.mark.parametrize("closed", [0, NOON])
def test_an_archived_course_is_closed_and_keeps_everything_until_it_is_reopened(courses: Courses, closed: int) -> None:
    courses.create(ALGEBRA, MADE)
    secrets = courses.open(ALGEBRA).keys.secrets()
    for _ in range(2):  # archiving an archived course is allowed
        courses.archive(ALGEBRA, closed, CLOSED)
        assert [(each.name, each.archived) for each in courses.entries()] == [(ALGEBRA, closed)]
        with pytest.raises(NotFound, match="there is no course 'algebra'"):
            courses.open(ALGEBRA)
        with pytest.raises(NameTaken):
            courses.create(ALGEBRA, MADE)
    courses.archive(ALGEBRA, None, OPENED)
    assert [each.archived for each in courses.entries()] == [None]
    assert courses.open(ALGEBRA).keys.secrets() == secrets
    assert courses.open(ALGEBRA).audit.events() == [OPENED, CLOSED, CLOSED, MADE]


def test_an_unknown_course_is_not_found(courses: Courses) -> None:
    courses.create(LOGIC, MADE)
    asks: tuple[Callable[[], object], ...] = (
        lambda: courses.open(ALGEBRA),
        lambda: courses.archive(ALGEBRA, NOON, CLOSED),
        lambda: courses.archive(ALGEBRA, None, OPENED),
    )
    for ask in asks:
        with pytest.raises(NotFound, match="there is no course 'algebra'"):
            ask()
    assert [each.name for each in courses.entries()] == [LOGIC]


# courses in a folder


def test_only_visible_folders_with_a_release_are_courses(tmp_path: Path) -> None:
    for name in ("algebra", ".hidden", "a b"):
        (tmp_path / name / "release").mkdir(parents=True)
    (tmp_path / "logic").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    os.utime(tmp_path / "algebra" / "release", (1e9, 1e9))
    courses = CourseFolders(tmp_path)
    assert courses.entries() == [CourseEntry(ALGEBRA, 10**9 * SECOND, None)]
    with pytest.raises(NotFound):
        courses.open(LOGIC)
    with pytest.raises(NameTaken):
        courses.create(LOGIC, MADE)
    courses.close()


def test_closing_all_courses_closes_every_open_course(tmp_path: Path) -> None:
    courses = CourseFolders(tmp_path)
    for name in (ALGEBRA, LOGIC):
        courses.create(name, MADE)
    opened = [courses.open(name) for name in (ALGEBRA, LOGIC)]
    courses.close()
    for store in opened:
        with pytest.raises(Temporary, match="the course is closed"):
            store.audit.record(MADE)


def test_a_refusal_by_the_file_system_is_an_error_that_names_the_action(tmp_path: Path) -> None:
    gone, courses = CourseFolders(tmp_path / "gone"), CourseFolders(tmp_path)
    courses.create(ALGEBRA, MADE)
    (tmp_path / "algebra" / ".mograder-archived").mkdir()
    asks: dict[str, Callable[[], object]] = {
        "list the courses": gone.entries,
        "make the course": lambda: gone.create(ALGEBRA, MADE),
        "archive the course": lambda: courses.archive(ALGEBRA, NOON, CLOSED),
    }
    for doing, ask in asks.items():
        with pytest.raises(Temporary, match=f"cannot {doing}: "):
            ask()
    courses.close()


def test_courses_with_tests_are_the_open_ones_that_have_a_notebook_to_grade_with(
    courses: Courses, tmp_path: Path
) -> None:
    for name in (ALGEBRA, LOGIC, SETS):
        courses.create(name, MADE)
    assert courses.with_tests() == []
    for name in (ALGEBRA, LOGIC):
        bring_tests(courses, name, tmp_path)
    assert courses.with_tests() == [ALGEBRA, LOGIC]
    courses.archive(LOGIC, NOON, CLOSED)
    assert courses.with_tests() == [ALGEBRA]


def bring_tests(courses: Courses, name: CourseName, folder: Path) -> None:
    """Give the course tests: copy them into its folder, or publish them into its database."""
    home = folder / name
    (home / "release").mkdir(parents=True, exist_ok=True)
    (home / "solutions" / "hw1").mkdir(parents=True)
    (home / "mograder.toml").write_text('[dirs]\nsource = "solutions"\n')
    (home / "solutions" / "hw1" / "hw1.py").write_text(SOURCE)
    if isinstance(courses, PostgresCourses):
        courses.publish(name, read_publication(served_folders(home / "release")), MADE)
