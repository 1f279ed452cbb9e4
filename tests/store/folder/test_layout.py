"""The folders of a course by its settings, and invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder.config import ServeSettings
from mograder.domain.errors import Unreadable, Usage
from mograder.store.folder.layout import find_folders, served_folders
from mograder.store.shared.manifest import load_json


def test_the_settings_name_the_folders_of_a_course(course_folder: Path) -> None:
    home = course_folder.parent
    (home / "flat").mkdir()
    (home / "mograder.toml").write_text("[dirs]\nrelease = 'flat'\nsubmitted = 'in'\n")
    for given in (course_folder, course_folder / ".." / "release"):
        found = served_folders(given)
        assert (found.root, found.course) == (course_folder, home)
        assert (found.release, found.submitted, found.grades) == (home / "flat", home / "in", course_folder)


def test_naming_the_served_folder_as_release_in_the_settings_means_the_usual_layout(course_folder: Path) -> None:
    (course_folder.parent / "mograder.toml").write_text("[dirs]\nrelease = 'release'\n")
    assert served_folders(course_folder).release is None
    settings = ServeSettings(release_dir=course_folder, given=frozenset({"release_dir"}))
    assert find_folders(course_folder, settings).release == course_folder


@pytest.mark.parametrize("key", ["release_dir", "submitted_dir", "grades_dir"])
def test_a_file_in_place_of_a_folder_is_an_error_with_its_path(course_folder: Path, key: str) -> None:
    path = course_folder / "hw1" / "files" / "hw1.py"
    settings = {key: path}
    with pytest.raises(Usage) as refused:
        find_folders(course_folder, ServeSettings(**settings))
    assert refused.value.message.startswith(f"{path} is not a folder: ")


def test_a_missing_release_folder_is_an_error_and_other_folders_are_created_later(course_folder: Path) -> None:
    gone = course_folder.parent / "gone"
    with pytest.raises(Usage, match="gone is not a folder: give an existing one"):
        find_folders(course_folder, ServeSettings(release_dir=gone))
    found = find_folders(course_folder, ServeSettings(submitted_dir=gone, grades_dir=gone))
    assert (found.submitted, found.grades) == (gone, gone)


@pytest.mark.parametrize("content", ["{", '["\\ud83d"]', "[" * 100_000])
def test_invalid_json_is_reported_with_its_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "grades.json"
    path.write_text(content)
    with pytest.raises(Unreadable, match=r"^grades\.json cannot be understood$") as refused:
        load_json(path)
    assert refused.value.place.startswith(f"{path}: ")
    assert refused.value.place.endswith(": mend it by hand")
