"""Sources of a course in a database: published, used by workers on any machine, and never shown to students."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder import factory
from mograder.cli import run
from mograder.coursework.sources import sources_of
from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from tests.graded_course import HALF, SOURCE
from tests.parts import ALICE, HW1, make_course_folder, names_in, submit_work
from tests.postgres import Server, fresh_database

EASIER = SOURCE.replace("double(0) == 0", "double(0) is not None")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The course folder on the machine of an instructor; `[dirs]` names the folder of sources."""
    root = make_course_folder(tmp_path)
    (root.parent / "mograder.toml").write_text('title = "Algebra"\n[dirs]\nsource = "solutions"\n')
    (root.parent / "solutions" / "hw1" / "__pycache__").mkdir(parents=True)
    (root.parent / "solutions" / "hw1" / "__pycache__" / "x.pyc").write_bytes(b"")
    (root.parent / "solutions" / "hw1" / "hw1.py").write_text(SOURCE)
    (root.parent / "solutions" / "hw1" / "data.csv").write_text("1,2\n")
    return root


@pytest.fixture
def place(postgres_server: Server, folder: Path) -> str:
    url = fresh_database(postgres_server)
    assert run(["course", "create", "algebra", "--from", str(folder), "--store", url]) == 0
    return f"{url}#algebra"


def publish(place: str, folder: Path) -> int:
    url, _, name = place.partition("#")
    return run(["course", "publish", name, str(folder), "--store", url])


@pytest.fixture
def course(place: str) -> Iterator[Course]:
    opened = factory.open_existing(place)
    yield opened
    opened.close()


def test_workers_and_regrade_need_no_local_folder_of_sources(
    place: str, course: Course, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit_work(course.store, course.signer, ALICE, HALF.encode())
    assert run(["worker", place, "--drain"]) == 0
    (first,) = course.store.jobs.results(HW1)
    (folder.parent / "solutions" / "hw1" / "hw1.py").write_text(EASIER)
    assert publish(place, folder) == 0
    assert "Tests of hw1" in capsys.readouterr().out
    assert run(["regrade", "hw1", "--course", place, "--apply", "--json"]) == 0
    (changed,) = json.loads(capsys.readouterr().out)
    assert (changed["user"], changed["is_new"]) == ("alice", True)
    assert changed["new"] > changed["old"]
    assert course.store.jobs.announced()[HW1].tests not in (first.tests, "")


def test_published_sources_are_written_unchanged_and_updated(place: str, course: Course, folder: Path) -> None:
    with sources_of(course, place, None) as found:
        source = found.folders.find_source("hw1")
        assert source.read_text() == SOURCE
        assert names_in(source.parent) == ["data.csv", "hw1.py"]
        untouched = source.stat().st_mtime_ns
        (folder.parent / "solutions" / "hw1" / "data.csv").unlink()
        (folder.parent / "solutions" / "hw2").mkdir()
        (folder.parent / "solutions" / "hw2" / "hw2.py").write_text(EASIER)
        assert publish(place, folder) == 0
        assert found.refresh()
        assert names_in(source.parent) == ["hw1.py"]
        assert source.stat().st_mtime_ns == untouched
        assert found.folders.find_source("hw2").read_text() == EASIER
        for each in (folder.parent / "solutions").rglob("*.py"):
            each.unlink()
        assert publish(place, folder) == 0
        assert not found.refresh()
    assert not found.folder.exists()


def test_publishing_a_folder_without_sources_keeps_the_published_ones(place: str, course: Course, folder: Path) -> None:
    (folder.parent / "mograder.toml").unlink()
    assert publish(place, folder) == 0
    with sources_of(course, place, None) as found:
        assert found.folders.find_source("hw1").read_text() == SOURCE


def test_no_student_can_download_a_source(
    place: str, course: Course, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    student = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    listed = {file.name: course.store.release.file(student.name, file.name) for file in student.files}
    assert listed
    assert not any(file and b"s3cret" in file.read() for file in listed.values())
    (folder / "hw1" / "files" / "more.py").write_text(SOURCE)
    assert publish(place, folder) == 2
    said = capsys.readouterr().err
    assert "more.py of hw1 is the source" in said
    assert str(folder.parent / "solutions" / "hw1" / "hw1.py") in said


def test_a_worker_of_a_course_without_tests_says_what_to_do(
    postgres_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    url = fresh_database(postgres_server)
    assert run(["course", "create", "empty", "--store", url]) == 0
    assert run(["worker", f"{url}#empty", "--drain"]) == 0
    assert "mograder course publish" in capsys.readouterr().err
