"""The workers that `serve` starts, and what it refuses to serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder import factory
from mograder.cli.grading_workers import grading, one_course, refuse_served_sources
from mograder.domain.errors import Usage
from mograder.domain.grading_jobs import LEASE, TRIES, Announced
from mograder.store.folder import doctor
from mograder.store.folder.layout import Folders
from tests.graded_course import RIGHT, SOURCE
from tests.parts import ALICE, HW1, NOON, Clock, make_course_folder, open_course, submit_work, until


@pytest.fixture
def root(tmp_path: Path) -> Path:
    served = make_course_folder(tmp_path)
    source = served.parent / "source" / "hw1"
    source.mkdir(parents=True)
    (source / "hw1.py").write_text(SOURCE)
    return served


def test_a_source_among_what_students_download_is_refused_with_its_path(root: Path) -> None:
    course = open_course(root, Clock())
    try:
        refuse_served_sources(root, course)
        (root / "hw1" / "files" / "extra.py").write_text(SOURCE)
        with pytest.raises(Usage, match=r"extra\.py of hw1 is the source .*source.hw1.hw1\.py"):
            refuse_served_sources(root, course)
    finally:
        course.store.close()


def test_a_folder_of_sources_inside_of_released_files_is_refused(root: Path) -> None:
    (root.parent / "mograder.toml").write_text('[dirs]\nsource = "release/hw1/files"\n')
    course = open_course(root, Clock())
    try:
        with pytest.raises(Usage, match="move it"):
            refuse_served_sources(root, course)
    finally:
        course.store.close()


def test_while_a_course_is_served_its_submissions_are_graded_wherever_they_are_kept(root: Path) -> None:
    elsewhere = root.parent / "inbox"
    course = factory.open_course(root, None, submitted_dir=elsewhere)
    try:
        submit_work(course.store, course.signer, ALICE, RIGHT.encode())
        assert list(elsewhere.rglob("*.py"))
        with grading(one_course(root, elsewhere), None):
            until(lambda: course.store.jobs.results(HW1))
    finally:
        course.store.close()


def test_doctor_says_what_waits_and_what_was_given_up(root: Path) -> None:
    course = open_course(root, Clock())
    try:
        submit_work(course.store, course.signer, ALICE, b"one")
        course.store.jobs.announce(HW1, Announced("t1"))
        assert any("waiting to be graded: 1" in each.what for each in doctor.check(Folders.of(root), NOON))
        assert any("the oldest since Tue 2026-" in each.what for each in doctor.check(Folders.of(root), NOON))
        for number in range(TRIES):
            job = course.store.jobs.claim("w", NOON + number, NOON + LEASE, [HW1])
            assert job is not None
            course.store.jobs.fail(job, "no sandbox", NOON)
            if number == 0:
                tried = [each.what for each in doctor.check(Folders.of(root), NOON)]
                assert any("will be tried again: no sandbox" in each for each in tried)
        found = [each.what for each in doctor.check(Folders.of(root), NOON + LEASE)]
        assert any("could not be graded" in each and "no sandbox" in each for each in found)
    finally:
        course.store.close()
