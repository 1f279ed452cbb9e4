"""The workers that `serve` starts, and what it refuses to serve."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from mograder import factory
from mograder.cli import run
from mograder.cli.grading_workers import grading, one_course, refuse_served_sources
from mograder.course_file import EMPTY, read_course_file
from mograder.domain.errors import Usage
from mograder.domain.grading_jobs import LEASE, TRIES, Announced
from mograder.store.folder import doctor
from mograder.store.folder.layout import Folders
from mograder.store.shared import stat_cache
from tests.graded_course import RIGHT, SOURCE
from tests.parts import ALICE, HW1, NOON, Clock, make_course_folder, open_course, open_store, submit_work, until


@pytest.fixture
def root(tmp_path: Path) -> Path:
    served = make_course_folder(tmp_path)
    source = served.parent / "source" / "hw1"
    source.mkdir(parents=True)
    (source / "hw1.py").write_text(SOURCE)
    return served


def test_a_source_among_released_files_is_refused_with_its_path(root: Path) -> None:
    course = open_course(root, Clock())
    try:
        refuse_served_sources(root, course)
        (root / "hw1" / "files" / "extra.py").write_text(SOURCE)
        with pytest.raises(Usage, match=r"extra\.py of hw1 is the source .*source.hw1.hw1\.py"):
            refuse_served_sources(root, course)
    finally:
        course.store.close()


def test_a_folder_of_sources_inside_released_files_is_refused(root: Path) -> None:
    (root.parent / "mograder.toml").write_text('[dirs]\nsource = "release/hw1/files"\n')
    course = open_course(root, Clock())
    try:
        with pytest.raises(Usage, match="move it"):
            refuse_served_sources(root, course)
    finally:
        course.store.close()


def test_the_submissions_of_a_served_course_are_graded_also_where_they_are_kept_elsewhere(root: Path) -> None:
    elsewhere = root.parent / "inbox"
    course = factory.open_course(root, None, submitted_dir=elsewhere)
    try:
        submit_work(course.store, course.signer, ALICE, RIGHT.encode())
        assert list(elsewhere.rglob("*.py"))
        with grading(one_course(root, elsewhere), None):
            until(lambda: course.store.jobs.results(HW1))
    finally:
        course.store.close()


def test_doctor_reports_waiting_and_failed_grading_jobs(root: Path) -> None:
    course = open_course(root, Clock())
    try:
        submit_work(course.store, course.signer, ALICE, b"one")
        assert any("hw1 has tests, and no worker" in each.what for each in doctor.check(Folders.of(root), NOON))
        course.store.jobs.announce(HW1, Announced("t1"))
        assert any("waiting to be graded: 1" in each.what for each in doctor.check(Folders.of(root), NOON))
        assert any("the oldest since Tue 2026-03-10" in each.what for each in doctor.check(Folders.of(root), NOON))
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


def test_doctor_reports_that_a_machine_cannot_grade_a_course_that_has_tests(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    factory.open_course(root).close()
    run(["doctor", str(root)])
    assert "not graded on this machine" not in capsys.readouterr().out
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["doctor", str(root)]) == 7
    assert "submissions are not graded on this machine: bubblewrap is not installed" in capsys.readouterr().out
    (root.parent / "source" / "hw1" / "hw1.py").unlink()
    run(["doctor", str(root)])
    assert "not graded on this machine" not in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [((), 1), (("--child",), 0)])
def test_invalid_settings_are_logged_by_a_separate_worker_and_not_by_the_worker_of_a_server(
    words: tuple[str, ...], said: int, course_folder: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(stat_cache.log, "filters", [])
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    open_store(course_folder).close()
    assert run(["worker", str(course_folder.parent), *words, "--drain"]) == 0
    path = course_folder.parent / "mograder.toml"
    rules = stat_cache.LastGood(read_course_file, EMPTY)
    for text in ("", "title = "):
        path.write_text(text)
        rules.get(path)
    assert [path.name in each.getMessage() for each in caplog.records] == [True] * said
