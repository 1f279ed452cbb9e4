"""`mograder course`, `store` and `mirror`, and courses of a database where a command takes a course."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mograder.cli import run
from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.factory import open_existing
from tests.parts import ALICE, filled, make_course_folder, names_in
from tests.postgres import Server, fresh_database


@pytest.fixture
def url(postgres_server: Server) -> str:
    return fresh_database(postgres_server, upgraded=False)


NOT_PUBLISHED = "left out: __marimo__, __pycache__ in 'hw1': hidden files, and what editors, Python and marimo leave"


def leave_what_is_not_published(files: Path) -> None:
    for name in ("__marimo__/hw1.json", "__pycache__/hw1.pyc"):
        (files / name).parent.mkdir()
        (files / name).write_text("outputs of the solution")


def leave_grades_and_solutions(root: Path) -> None:
    """Grades, feedback and a source in the course that is served from `root`, as after its first term."""
    (root / "hw1" / "grades.json").write_text('{"alice": {"grade": 7}}')
    (root / "hw1" / "feedback").mkdir()
    (root / "hw1" / "feedback" / "alice.html").write_text("for alice alone")
    (root.parent / "source" / "hw1").mkdir(parents=True)
    (root.parent / "source" / "hw1" / "hw1.py").write_text("### BEGIN SOLUTION\n")


def test_courses_in_a_database_are_created_published_and_used(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str, code: int = 0) -> str:
        assert run([str(word) for word in words]) == code
        out, err = capsys.readouterr()
        return out + err

    root = make_course_folder(tmp_path)
    monkeypatch.setenv("MOGRADER_STORE", url)
    assert "mograder store upgrade" in said("course", "list", code=1)
    assert "from 0 to" in said("store", "upgrade")
    made = said("course", "create", "algebra", "--from", root)
    assert "/c/algebra/" in made
    assert "Published 1 file(s)" in made
    assert "choose another name" in said("course", "create", "algebra", code=5)
    assert "lower-case" in said("course", "create", "Algebra", code=2)
    (root / "hw1" / "files" / "more.py").write_text("x")
    leave_what_is_not_published(root / "hw1" / "files")
    published = said("course", "publish", "algebra", root)
    assert "Published 2 file(s)" in published
    assert NOT_PUBLISHED in published
    place = f"{url}#algebra"
    leave_grades_and_solutions(root)
    for folder in (root, root.parent):
        said("course", "publish", "algebra", folder)
        course = open_existing(place)
        (released,) = course.store.release.assignments()
        course.close()
        assert [each.name for each in released.files] == ["hw1.py", "more.py"]
    token = said("token", "--course", place, "alice").splitlines()
    assert token[-1] in made.splitlines()  # the token of the instructor
    assert "alice" in said("roster", "list", "--course", place)
    assert "instructor:" in said("secret", "rotate", place)
    course = open_existing(place)
    upload = filled(course.submissions.upload(), b"work")
    course.submissions.submit(COURSE_INSTRUCTOR, course.store.release.assignments()[0], ALICE, upload, course.clock())
    upload.discard()
    course.close()
    verified = said("verify", place).splitlines()
    assert verified[0] == "1 receipt: everything is as it was signed"
    said("verify", place, "--head", verified[1].removeprefix("head "))
    assert "is another than the one that was kept" in said("verify", place, "--head", "1:" + 64 * "0", code=7)
    assert "has no folders" in said("verify", place, "--submitted-dir", root, code=2)
    said("course", "archive", "algebra")
    (listed,) = json.loads(said("course", "list", "--json"))
    assert (listed["name"], listed["archived"]) == ("algebra", True)
    assert "no course" in said("token", "--course", place, "alice", code=4)
    said("course", "archive", "algebra", "--undo")
    assert "every checksum is right" in said("store", "copy", place, tmp_path / "back" / "release")
    assert names_in(tmp_path / "back" / "release" / "hw1" / "files") == ["hw1.py", "more.py"]
    assert "every checksum is right" in said("store", "copy", tmp_path / "back", f"{url}#again")
    assert "1 new" in said("mirror", f"{url}#again", tmp_path / "mirror")


def test_courses_in_a_folder_are_created_listed_and_archived_like_those_in_a_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(tmp_path)]
    assert run(["course", "create", "logic", *store]) == 0
    assert "logic has no enrollment code" in capsys.readouterr().err
    assert (tmp_path / "logic" / "release" / ".mograder-secret").exists()
    (tmp_path / "logic" / "mograder.toml").write_text('[server]\nenrollment_code = "the code of last year"\n')
    assert run(["course", "create", "logic2", "--from", str(tmp_path / "logic" / "release"), *store]) == 0
    err = capsys.readouterr().err
    assert "logic2 has the enrollment code of" in err
    assert "no enrollment code" not in err
    leave_grades_and_solutions(make_course_folder(tmp_path / "old"))
    for given in ("course", "course/release"):
        name = f"from-{given.replace('/', '-')}"
        assert run(["course", "create", name, "--from", str(tmp_path / "old" / given), *store]) == 0
        made = tmp_path / name
        assert names_in(made) == ["release"]
        assert [each for each in names_in(made / "release") if not each.startswith(".")] == ["hw1"]
        assert names_in(made / "release" / "hw1") == ["files"]
        assert run(["course", "archive", name, *store]) == 0
    assert run(["course", "archive", "logic2", *store]) == 0
    assert run(["course", "archive", "logic", *store]) == 0
    assert run(["course", "publish", "logic", str(tmp_path / "logic" / "release"), *store]) == 2
    assert run(["course", "list", *store]) == 0
    out = capsys.readouterr().out
    assert "logic" in out
    assert "archived" in out


@pytest.mark.parametrize(
    "words",
    [
        ["store", "copy", "FOLDER", "elsewhere"],
        ["store", "copy", "FOLDER", "postgresql://127.0.0.1:1/x"],
        ["mirror", "FOLDER", "elsewhere"],
        ["store", "upgrade", "FOLDER"],
        ["token", "--course", "postgresql://127.0.0.1:1/x", "alice"],
    ],
)
def test_an_unsuitable_folder_or_url_is_a_one_line_error_with_exit_code_2(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([str(tmp_path) if word == "FOLDER" else word for word in words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["backup", "URL", "course.tar.gz"], "pg_dump"),
        (["serve", "URL"], "serve --store"),
    ],
)
def test_a_command_that_needs_a_folder_says_what_to_do_for_a_database_instead(
    words: list[str], instead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([word.replace("URL", "postgresql://me:secret@127.0.0.1:1/x#algebra") for word in words]) == 2
    said = capsys.readouterr().err
    assert instead in said
    assert said.count("\n") == 1
    assert "secret" not in said


def test_options_for_one_course_are_refused_with_many_courses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "--courses", str(tmp_path), "--enrollment-code", "x"]) == 2
    assert "--enrollment-code is for one course" in capsys.readouterr().err
