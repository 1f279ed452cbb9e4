"""Grades and feedback as files of a course folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.domain.audit import Event
from mograder.domain.grades import GradeEntry
from mograder.store.folder.store import FolderStore
from tests.parts import ALICE, HW1, NOON, open_store

NOTE = Event(NOON, "ta", "grades", "hw1")


@pytest.fixture
def store(course_folder: Path) -> Iterator[FolderStore]:
    before = os.umask(0o022)
    store = open_store(course_folder)
    yield store
    store.close()
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize(
    ("folder_mode", "file_mode"), [(0o755, 0o600), (0o777, 0o600), (0o2750, 0o640), (0o2775, 0o640)]
)
def test_other_users_cannot_read_grades_unless_the_folder_is_shared_with_its_group(
    store: FolderStore, course_folder: Path, folder_mode: int, file_mode: int
) -> None:
    folder = course_folder / "hw1"
    folder.chmod(folder_mode)
    for _ in range(2):  # also if they replace earlier files
        store.grades.merge(HW1, (GradeEntry({"username": "alice", "grade": 1}),), NOTE)
        store.grades.put_feedback(HW1, {ALICE: b"<p>fine"}, NOTE)
    (folder / "feedback").chmod(folder_mode)
    store.grades.put_feedback(HW1, {ALICE: b"<p>fine"}, NOTE)
    for path in (folder / "grades.json", folder / "feedback" / "alice.html"):
        assert (path.name, path.stat().st_mode & 0o777) == (path.name, file_mode)
