"""Files in a course folder that have no effect are reported, wherever they are."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest

from mograder.domain.assignments import Plan
from mograder.domain.contents import Contents, contents
from mograder.domain.names import AssignmentName, FileName
from mograder.store.folder import doctor
from mograder.store.folder.layout import Folders, served_folders
from mograder.store.folder.release import ReleaseFolder
from mograder.store.folder.survey import FolderSurvey
from mograder.store.shared import findings
from tests.courses import versions
from tests.parts import open_store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links as on POSIX")


@pytest.fixture
def course(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "course", symlinks=True))


def report(course: Path, has_receipts: bool = True) -> Contents:
    folders = served_folders(course / "release")
    plan = Plan()
    return contents(ReleaseFolder(folders).assignments(plan), plan, FolderSurvey(folders, lambda: has_receipts).look())


def left(course: Path, has_receipts: bool = True) -> str:
    return "\n".join(map(str, report(course, has_receipts).left_out))


def test_a_sound_course_has_no_report(course: Path) -> None:
    found = report(course)
    assert found.left_out == ()
    assert found.settings == str(course / "mograder.toml")


LITTER = [
    "__marimo__/session/hw1.py.json", "__pycache__/hw1.cpython-311.pyc", ".ipynb_checkpoints/hw1-checkpoint.ipynb",
    ".DS_Store", "Thumbs.db", "hw1.py~", ".venv/pyvenv.cfg", "venv/pyvenv.cfg", "data/__MACOSX/x", "~$notes.docx",
    "#hw1.py#", "data/desktop.ini", "old.PYC",
]  # fmt: skip


@pytest.mark.parametrize("name", LITTER)
def test_files_that_programs_leave_behind_are_reported_and_neither_listed_nor_served(course: Path, name: str) -> None:
    path = course / "release/hw1/files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("the outputs of the solution")
    release = ReleaseFolder(Folders.of(course / "release"))
    assert [file.name for file in release.assignments(Plan())[0].files] == ["hw1.py"]
    assert [str(file) for file, _ in release.everything()[AssignmentName("hw1")]] == ["hw1.py"]
    assert release.release_file(AssignmentName("hw1"), FileName(name)) is None
    assert "are never handed out" in left(course)
    first = name.split("/")[0]
    assert (name if first == "data" else first).removesuffix("/x") in left(course)


@pytest.mark.parametrize("name", ["homework~1.py", "pycache.py", "thumbs.csv", "venv.py", "a#b.csv"])
def test_a_file_with_a_name_similar_to_a_leftover_is_served(course: Path, name: str) -> None:
    (course / "release/hw1/files" / name).write_text("x")
    assert left(course) == ""
    assert ReleaseFolder(Folders.of(course / "release")).release_file(AssignmentName("hw1"), FileName(name)) is not None


def test_files_beside_a_zip_are_reported(course: Path) -> None:
    (course / "release/hw1/files/data.zip").write_bytes(b"")
    assert "hw1.py in 'hw1': where there is a zip, students are shown zips alone (data.zip)" in left(course)


@pytest.mark.parametrize("name", ["caf\udce9.csv", "\\evil.py", "x" * 201])
def test_a_file_that_cannot_be_served_is_reported(course: Path, name: str) -> None:
    (course / "release/hw1/files" / name).write_text("x")
    assert "a name that cannot be served" in left(course)


def test_settings_inside_the_served_folder_are_reported(course: Path) -> None:
    (course / "release/mograder.toml").write_text("title = 'Other'")
    assert f"the settings of this course are read from {course / 'mograder.toml'}" in left(course)
    (course / "mograder.toml").unlink()
    assert report(course).settings == ""
    assert "mograder.toml inside release/" in left(course)


def test_a_link_named_release_belongs_to_the_course_beside_it(course: Path, tmp_path: Path) -> None:
    (course / "release").rename(tmp_path / "elsewhere")
    (course / "release").symlink_to(tmp_path / "elsewhere")
    folders = served_folders(course / "release")
    assert (folders.course, folders.submitted) == (course, course / "submitted")
    assert report(course).settings == str(course / "mograder.toml")
    (tmp_path / "current").symlink_to(course / "release")
    assert served_folders(tmp_path / "current").root == tmp_path / "elsewhere"


@pytest.mark.parametrize("what", ["renamed", "emptied", "grades alone"])
def test_work_and_grades_of_a_missing_assignment_are_reported(course: Path, what: str) -> None:
    if what == "renamed":
        (course / "release/hw1").rename(course / "release/homework1")
    elif what == "emptied":
        shutil.rmtree(course / "release/hw1")
    else:
        shutil.rmtree(course / "release/hw1/files")
        shutil.rmtree(course / "submitted/hw1")
    said = left(course)
    assert ("the work of 2 people for 'hw1'" in said) == (what != "grades alone")
    assert ("grades and feedback of 'hw1'" in said) == (what == "grades alone")


@pytest.mark.parametrize("name", ["bob.HTML", "carol.htm", "group1", "notes.txt"])
def test_a_feedback_page_that_is_shown_to_nobody_is_reported(course: Path, name: str) -> None:
    pages = course / "release/hw1/feedback"
    pages.mkdir()
    (pages / "alice.html").write_text("<p>")
    (pages / name).write_text("<p>")
    assert f"{name} in the feedback of 'hw1'" in left(course)


def test_missing_hidden_files_after_a_copy_are_reported(course: Path) -> None:
    assert "5 submissions: the ledger knows none of them" in left(course, has_receipts=False)
    assert "alice" not in left(course)


@pytest.mark.parametrize("text", ["{}", "{}\n", "\ufeff{}\r\n", "./{}"])
def test_a_text_file_in_place_of_a_link_is_read_as_the_link_and_repaired(
    course: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "SECOND_LOOK", 0)
    link, last = course / "submitted/hw1/alice.py", versions(course)[-1]
    link.unlink()
    link.write_text(text.format(last.name))
    store = open_store(course / "release")
    latest = {each.username: each for each in store.submissions.latest_files(AssignmentName("hw1"))}
    file = store.submissions.file(AssignmentName("hw1"), FileName("alice.py"))
    store.close()
    assert latest["alice"].size == last.stat().st_size
    assert file is not None
    assert file.read() == last.read_bytes()
    assert "texts stand in their place" in left(course)
    folders = served_folders(course / "release")
    found = [each for each in doctor.check(folders, 2**60) if "is a text that says" in each.what]
    doctor.repair(found)
    assert os.readlink(link) == last.name


@pytest.mark.parametrize("text", ["x = 1\n", "nobody_20260310T200800.py", "alice_20000101T000000.py", "{bob}"])
def test_a_text_file_that_names_no_version_of_its_person_is_a_submission(course: Path, text: str) -> None:
    link = course / "submitted/hw1/alice.py"
    link.unlink()
    link.write_text(text.format(bob=versions(course, "bob")[-1].name))
    assert left(course) == ""


def test_missing_links_after_a_copy_are_reported_and_the_last_version_is_the_latest(course: Path) -> None:
    for user in ("alice", "bob"):
        (course / f"submitted/hw1/{user}.py").unlink()
    assert "the links to the latest submissions of 2 people: they were not copied" in left(course)
    store = open_store(course / "release")
    latest = store.submissions.latest_files(AssignmentName("hw1"))
    file = store.submissions.file(AssignmentName("hw1"), FileName("bob.py"))
    users = store.submissions.users(AssignmentName("hw1"))
    store.close()
    assert [each.username for each in latest] == users == ["alice", "bob"]
    assert file is not None
    assert file.read() == versions(course, "bob")[-1].read_bytes()


def test_work_of_a_course_of_the_published_server_is_reported(course: Path) -> None:
    shutil.move(course / "submitted/hw1/alice.py", course / "release/hw1/alice.py")
    shutil.move(versions(course)[-1], course / "release/hw1")
    assert "the work of 1 person in hw1/" in left(course)


def test_an_assignment_in_another_unicode_form_has_its_rules_and_no_second_entry(course: Path) -> None:
    name = "übung"
    (course / "release" / unicodedata.normalize("NFD", name) / "files").mkdir(parents=True)
    written = f"[[assignments]]\nname = '{unicodedata.normalize('NFC', name)}'\ntitle = 'Tee'\n"
    (course / "mograder.toml").write_text(written)
    store = open_store(course / "release")
    rules = {each.name.key: each.rules.title for each in store.release.assignments()}
    by_either = [store.release.find(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")]
    store.close()
    assert rules[unicodedata.normalize("NFC", name)] == "Tee"
    assert [each.rules.title for each in by_either if each] == ["Tee", "Tee"]


def test_files_beside_the_folder_of_released_files_are_reported(course: Path) -> None:
    for name in ("hw9/homework.py", "hw9/notes.md", "hw9/.hidden.py", "homework.ipynb"):
        (course / "release" / name).parent.mkdir(exist_ok=True)
        (course / "release" / name).write_text("x = 1")
    assert left(course).splitlines() == [
        "homework.py in hw9/: students get only what is in hw9/files/",
        "homework.ipynb in release/: students get only what is in hw1/files/",
    ]
    (course / "release/assignments.json").write_text("[]")
    assert "students get what is in" not in left(course)
