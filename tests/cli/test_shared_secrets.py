"""Two courses with the same secret are reported, and a course created from another gets its own secret."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mograder.cli import run
from mograder.cli.listen import Listener
from mograder.cli.serve_many import banner, left_out_of, not_in_force, warn_of_shared_secrets
from mograder.config import ServeSettings
from mograder.factory import ManyCourses, open_course
from mograder.store.folder.courses import CourseFolders, same_secret
from mograder.store.folder.layout import served_root
from tests.courses import make_sound_course
from tests.parts import make_course_folder, names_in


@pytest.fixture
def algebra(tmp_path: Path) -> Path:
    """A course with people and work, in a folder that can hold more courses."""
    (tmp_path / "courses").mkdir()
    return make_sound_course(tmp_path / "courses").rename(tmp_path / "courses" / "algebra")


def test_a_copied_course_folder_is_reported_by_serve_and_doctor(
    algebra: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_course(algebra / "release").close()
    assert same_secret(algebra / "release") == []
    assert run(["doctor", str(algebra)]) == 0
    copy = algebra.with_name("geometry")
    shutil.copytree(algebra, copy, symlinks=True)
    assert same_secret(copy / "release") == [algebra / "release"]
    capsys.readouterr()
    warn_of_shared_secrets([copy / "release"])
    assert f"{copy / 'release'} and {algebra / 'release'} have the same secret" in capsys.readouterr().err
    assert run(["doctor", str(copy)]) == 7
    assert f"the same secret as {algebra / 'release'}" in capsys.readouterr().out
    assert run(["secret", "rotate", str(copy / "release"), "--grace", "0"]) == 0
    assert same_secret(copy / "release") == []


def test_doctor_checks_every_course_of_a_folder_and_names_what_is_not_served(
    algebra: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    courses = algebra.parent
    open_course(algebra / "release").close()
    make_sound_course(courses).rename(courses / "calculus")
    assert run(["doctor", str(courses)]) == 0
    for name in ("Algebra2", "empty"):
        (courses / name / ("release" if name == "Algebra2" else "files")).mkdir(parents=True)
    (courses / "calculus/submitted/hw1/alice.py").unlink()
    (algebra / "release/mograder.toml").write_text("")
    capsys.readouterr()
    assert run(["doctor", str(courses), "--json"]) == 7
    found = {each["where"]: each["what"] for each in json.loads(capsys.readouterr().out)["findings"]}
    assert "lower-case" in found[str(courses / "Algebra2")]
    assert "it has no folder release/" in found[str(courses / "empty")]
    assert "left out: mograder.toml inside release/" in found[str(algebra / "release/mograder.toml")]
    assert str(courses / "calculus/submitted/hw1/alice.py") in found
    run(["doctor", str(courses), "--repair"])
    assert (courses / "calculus/submitted/hw1/alice.py").is_symlink()


def test_invalid_settings_of_a_course_are_reported_when_many_courses_are_served(algebra: Path) -> None:
    courses = CourseFolders(algebra.parent)
    assert not_in_force(courses) == []
    courses.close()
    (algebra / "mograder.toml").write_text('title = "Algebra\n')
    courses = CourseFolders(algebra.parent)
    (found,) = not_in_force(courses)
    assert str(algebra / "mograder.toml") in found.what
    courses.close()


def test_a_course_created_from_another_has_its_files_and_none_of_its_people(
    algebra: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_course(algebra / "release").close()
    words = ["course", "create", "geometry", "--from", str(algebra / "release"), "--store", str(algebra.parent)]
    assert run(words) == 0
    assert "Published" in capsys.readouterr().out
    made = algebra.with_name("geometry")
    assert same_secret(made / "release") == []
    assert (made / "mograder.toml").read_text() == (algebra / "mograder.toml").read_text()
    assert names_in(made / "release/hw1") == ["files"]
    assert names_in(made) == ["mograder.toml", "release"]
    course = open_course(made / "release")
    assert course.store.accounts.all() == []
    assert course.store.submissions.head().number == 0
    course.close()


def test_a_course_is_not_started_around_a_folder_that_is_laid_out_to_be_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_course_folder(tmp_path)
    assert run(["serve", str(root.parent)]) == 2
    assert f"did you mean 'mograder serve {root}'?" in capsys.readouterr().err
    assert names_in(root.parent) == ["release"]
    (root / "hw1" / "hw1.py").write_text("x = 1\n")  # now files/ is a folder of a flat release
    assert served_root(root.parent) == root.parent


def test_a_second_course_is_not_started_in_release_when_its_parent_was_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "course"
    (home / "release/hw1/files").mkdir(parents=True)
    (home / "release/hw1/files/hw1.py").write_text("x = 1\n")
    open_course(home).close()
    assert run(["serve", str(home / "release")]) == 2
    assert f"was served from {home}" in capsys.readouterr().err
    assert not (home / "release/.mograder-secret").exists()


def test_the_start_of_many_courses_counts_what_is_not_in_force_in_each(algebra: Path) -> None:
    make_sound_course(algebra.parent).rename(algebra.parent / "calculus")
    (algebra / "release/mograder.toml").write_text("")
    (algebra / "release/hw1").rename(algebra / "release/hw2")  # the work for hw1 has no assignment now
    (algebra / "mograder.toml").write_text("[[assignments]]\nname = 'hw9'\n")  # possibly intended
    many = ManyCourses(CourseFolders(algebra.parent))
    assert left_out_of(many, ["algebra", "calculus"]) == {"algebra": 2}
    many.courses.close()
    front = Listener.of(ServeSettings(), "127.0.0.1", algebra.parent)
    said = banner("courses", "courses", front, False, ["algebra", "calculus"], [], {"algebra": 2})
    assert "  not in force    2 of algebra: the board of the course and mograder doctor name it" in said.splitlines()
    assert "not in force" not in banner("courses", "courses", front, False, ["calculus"])
