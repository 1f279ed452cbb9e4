"""A course folder for grading: who submitted what, where the sources are, and which key signs."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from mograder.coursework.folders import GradingFolders, choose
from mograder.domain.deadlines import MINUTE, SECOND
from mograder.domain.errors import MograderError, NotFound, Usage
from tests.parts import NOON, sha256


@pytest.fixture
def course(tmp_path: Path) -> Path:
    for name in ("source/hw1/hw1.py", "submitted/hw1/bob.py", "submitted/hw1/alice.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.stem)
    return tmp_path


def users(course: Path) -> list[str]:
    return [each.user for each in GradingFolders.of(course).submissions("hw1")]


def test_everybody_has_one_submission_and_versions_and_hidden_files_are_ignored(course: Path) -> None:
    for name in ("alice_20260310T200800.py", ".alice.py", "notes.txt", "carol.ipynb"):
        (course / "submitted" / "hw1" / name).write_text("x")
    assert users(course) == ["alice", "bob"]


def test_collected_files_that_are_no_notebooks_are_listed_too(course: Path) -> None:
    folder = course / "submitted" / "hw1"
    (folder / ".mograder").mkdir()
    (folder / ".mograder" / "collected.json").write_text(json.dumps({"carol": {}, "alice": {}, "../x": {}, "d*": {}}))
    for name in ("carol.ipynb", "alice.zip", "dave.zip"):
        (folder / name).write_text("x")
    assert users(course) == ["alice", "bob", "carol"]


def test_the_time_of_a_collected_file_is_known_while_the_file_is_unchanged(course: Path) -> None:
    folder = course / "submitted" / "hw1"
    (folder / ".mograder").mkdir()
    told = {"sha256": sha256(b"alice"), "timemodified": NOON / SECOND}
    (folder / ".mograder" / "collected.json").write_text(json.dumps({"alice": told, "bob": {**told, "sha256": "00"}}))
    due = "2026-03-10T11:00:00"
    (course / "mograder.toml").write_text(f"[penalties]\nenabled = true\n[[assignments]]\nname = 'hw1'\ndue = {due}\n")
    alice, bob = GradingFolders.of(course).submissions("hw1")
    assert (alice.received, alice.lateness.days, alice.lateness.penalty) == (NOON, 1, 5)
    assert (bob.received, bob.lateness.days) == (None, 0)
    assert GradingFolders.of(course).last_due("hw1") == NOON - 60 * MINUTE


def test_folders_are_named_as_the_course_says(course: Path) -> None:
    (course / "mograder.toml").write_text('[dirs]\nsubmitted = "in"\nmarks = "by-hand"\n')
    (course / "submitted").rename(course / "in")
    assert users(course) == ["alice", "bob"]
    assert GradingFolders.of(course).marks == course / "by-hand"


def test_the_source_has_the_name_of_the_assignment_or_is_the_only_notebook(course: Path) -> None:
    folders, source = GradingFolders.of(course), course / "source" / "hw1"
    (source / "helper.py").write_text("")
    assert folders.find_source("hw1") == source / "hw1.py"
    (source / "hw1.py").unlink()
    assert folders.find_source("hw1") == source / "helper.py"
    (source / "other.py").write_text("")
    with pytest.raises(NotFound, match="put it at"):
        folders.find_source("hw1")


def test_names_and_paths_select_each_submission_once(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course)
    (every,) = choose((), course)
    assert [each.user for each in every.submissions] == ["alice", "bob"]
    (one,) = choose(("submitted/hw1/bob.py",), course)
    assert (one.assignment, [each.user for each in one.submissions]) == ("hw1", ["bob"])
    (both,) = choose(("submitted/hw1/bob.py", "hw1", "hw1"), course)
    assert sorted(each.user for each in both.submissions) == ["alice", "bob"]
    version = course / "submitted" / "hw1" / "bob_20260310T200800.py"
    version.write_text("before")
    (old,) = choose((str(version),), course)
    assert [(each.user, each.path.name) for each in old.submissions] == [("bob", version.name)]


@pytest.mark.parametrize("word", ["nothing.py", "a/b", "hw2", "..", ".hidden"])
def test_an_ambiguous_or_unknown_name_is_refused(word: str, course: Path) -> None:
    with pytest.raises(MograderError):
        choose((word,), course)


def test_a_folder_with_nothing_to_grade_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="there is nothing to grade"):
        choose((), tmp_path)


def test_without_a_key_of_the_course_a_key_of_the_machine_is_created_once_and_signs(
    course: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    first, own = GradingFolders.of(course).signer()
    again, _ = GradingFolders.of(course).signer()
    assert not own
    assert again.public_keys() == first.public_keys()
    (key,) = (tmp_path / "home").rglob("grading-key.pem")
    if sys.platform != "win32":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
