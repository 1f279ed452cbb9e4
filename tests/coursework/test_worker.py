"""The worker: each submission gets one result, whatever happens to workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from mograder.config import utc_now
from mograder.coursework.folders import GradingFolders
from mograder.coursework.pool import Pool
from mograder.coursework.worker import Worker
from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.grading_jobs import LEASE, Announced, ReadyState
from mograder.domain.names import AssignmentName, Username
from mograder.signing import Ed25519Signer
from mograder.store.folder.doctor import check
from mograder.wire.records import KIND, record_of
from tests.fake_uv import put_fake_uv
from tests.graded_course import FAILING, HALF, RIGHT, SOURCE
from tests.parts import HW1, NOON, SECOND, Clock, make_course_folder, open_course, submit_work, until

STUDENTS = {"alice": (RIGHT, 30.0), "bob": (HALF, 9.2), "carl": (FAILING, 20.0)}


class LateClock:
    """A clock that is `ahead` by microseconds, so that leases have expired."""

    def __init__(self, ahead: int = 0) -> None:
        self._ahead = ahead

    def __call__(self) -> int:
        return utc_now() + self._ahead


@pytest.fixture
def root(tmp_path: Path) -> Path:
    served = make_course_folder(tmp_path)
    source = served.parent / "source" / "hw1"
    source.mkdir(parents=True)
    (source / "hw1.py").write_text(SOURCE)
    return served


@pytest.fixture
def opened(root: Path) -> Iterator[Callable[[int], Course]]:
    found: list[Course] = []

    def open_one(ahead: int = 0) -> Course:
        found.append(open_course(root, LateClock(ahead)))  # type: ignore[arg-type]
        return found[-1]

    yield open_one
    for each in found:
        each.store.close()


def work(course: Course, root: Path) -> tuple[int, list[str]]:
    """Grade all waiting submissions. Returns the number of results and the messages of the worker."""
    assert isinstance(course.signer, Ed25519Signer)
    said: list[str] = []
    numbers = count()
    worker = Worker(
        course, GradingFolders.of(root.parent), course.signer, jobs=2, stop=threading.Event(), say=said.append,
        new_claim=lambda: f"claim {next(numbers)}",
    )  # fmt: skip
    return drain(worker, said.append), said


def drain(worker: Worker, say: Callable[[str], None]) -> int:
    return Pool(lambda: {"": worker}, jobs=2, stop=threading.Event(), say=say).run(drain=True)


def points(course: Course) -> dict[str, list[float | None]]:
    assert isinstance(course.signer, Ed25519Signer)
    found: dict[str, list[float | None]] = {}
    for each in course.store.jobs.results(HW1):
        found.setdefault(each.username, []).append(record_of(course.signer.verify(each.signed, KIND)).points)
    return found


def test_waiting_submissions_are_graded_once_with_a_signed_record(root: Path, opened: Callable[[int], Course]) -> None:
    course = opened(0)
    for name, (text, _) in STUDENTS.items():
        submit_work(course.store, course.signer, Username(name), text.encode())
    assert work(course, root)[0] == 3
    assert work(course, root)[0] == 0
    assert points(course) == {name: [wanted] for name, (_, wanted) in STUDENTS.items()}
    assert course.store.jobs.waiting(course.clock()) == []


def test_a_file_that_differs_from_the_submission_is_not_graded(root: Path, opened: Callable[[int], Course]) -> None:
    course = opened(0)
    kept = submit_work(course.store, course.signer, Username("alice"), RIGHT.encode()).receipt.submission
    (root.parent / "submitted" / "hw1" / kept.filename).write_text(HALF)
    graded, said = work(course, root)
    assert graded == 0
    assert "alice" in said[-1]
    assert points(course) == {}
    assert "not what was submitted" in course.store.jobs.waiting(course.clock())[0].error


def test_an_unreadable_source_does_not_stop_the_grading_of_others(root: Path, opened: Callable[[int], Course]) -> None:
    broken = root.parent / "source" / "hw0"
    broken.mkdir()
    (broken / "hw0.py").write_text("no notebook")
    course = opened(0)
    submit_work(course.store, course.signer, Username("alice"), RIGHT.encode())
    graded, said = work(course, root)
    assert graded == 1
    assert "submissions for hw0 are not graded" in said[0]


def test_building_an_environment_does_not_delay_other_assignments_and_happens_once(
    root: Path, opened: Callable[[int], Course], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, hw0 = tmp_path / "pipe", AssignmentName("hw0")
    os.mkfifo(pipe)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = put_fake_uv(tmp_path, monkeypatch, pipe)
    broken = AssignmentName("broken")
    for name, package in ((hw0, "slow-package"), (AssignmentName("hw00"), "slow-package"), (broken, "broken-package")):
        folder = root.parent / "source" / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(SOURCE.replace('"marimo", ', f'"marimo", "{package}", '))
    course, signer = opened(0), opened(0).signer
    for assignment in (HW1, hw0):
        submit_work(course.store, signer, Username("alice"), RIGHT.encode(), assignment=assignment)
    with ThreadPoolExecutor(2) as workers:
        drained = [workers.submit(work, opened(0), root) for _ in range(2)]
        try:
            until(lambda: course.store.jobs.results(HW1))
            assert course.store.jobs.results(hw0) == []
            assert course.store.jobs.readiness()[hw0].state is ReadyState.BUILDING
        finally:
            pipe.write_text("go on")
        assert sum(each.result()[0] for each in drained) == 2
    assert calls.read_text().splitlines().count("pip install") == 1
    ready = course.store.jobs.readiness()
    assert ready[hw0].packages == ("marimo==1",)
    assert (ready[broken].state, "no solution found" in ready[broken].error) == (ReadyState.FAILED, True)


def test_instructors_see_whether_an_assignment_can_be_graded_and_failures_are_retried(root: Path, clock: Clock) -> None:
    course = open_course(root, clock)
    assert isinstance(course.signer, Ed25519Signer)
    source, said = root.parent / "source" / "hw1" / "hw1.py", list[str]()
    worker = Worker(
        course, GradingFolders.of(root.parent), course.signer, jobs=1, stop=threading.Event(), say=said.append,
        new_claim=lambda: "claim",
    )  # fmt: skip

    def state() -> tuple[ReadyState, int]:
        worker.prepare(building)
        found = course.store.jobs.readiness()[HW1]
        return found.state, found.moment

    def findings() -> list[str]:
        found = check(course.store.folders, clock())  # type: ignore[attr-defined]
        return [f"{each.severity}: {each.what}" for each in found if "hw1 " in each.what]

    building = ThreadPoolExecutor(1)  # no environment has to be built
    try:
        source.write_text(SOURCE.replace('["marimo"', '["marimo",, "x"'))
        assert state() == (ReadyState.FAILED, NOON)
        assert "PEP 723 block cannot be read" in course.store.jobs.readiness()[HW1].error
        assert findings()[0].startswith("warning: hw1 cannot be graded, tried last Tue 2026-03-10 12:00 UTC")
        clock.now += SECOND
        assert state() == (ReadyState.FAILED, NOON)  # it is not retried at once
        clock.now += 60 * SECOND
        assert state() == (ReadyState.FAILED, clock.now)
        source.write_text(SOURCE)
        assert state() == (ReadyState.READY, clock.now)
        assert findings() == ["note: hw1 is ready to be graded since Tue 2026-03-10 12:01:01 UTC"]
    finally:
        worker.close()
        course.store.close()


def test_a_worker_with_other_tests_than_the_announced_ones_grades_nothing(
    root: Path, opened: Callable[[int], Course]
) -> None:
    course = opened(0)
    assert isinstance(course.signer, Ed25519Signer)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        course.store.jobs.announce(HW1, Announced("newer tests"))

    worker = Worker(
        course, GradingFolders.of(root.parent), course.signer, jobs=1, stop=threading.Event(), say=say,
        new_claim=lambda: "claim",
    )  # fmt: skip
    submit_work(course.store, course.signer, Username("alice"), RIGHT.encode())
    assert drain(worker, said.append) == 0
    assert points(course) == {}
    assert "graded with other tests now" in said[-1]


def test_killed_workers_lose_no_submission_and_create_no_second_result(
    root: Path, opened: Callable[[int], Course]
) -> None:
    course = opened(0)
    names = [f"student{number}" for number in range(6)]
    for name in names:
        submit_work(course.store, course.signer, Username(name), HALF.encode())
    for wanted in (1, 2):
        child = subprocess.Popen([sys.executable, "-m", "mograder", "worker", str(root), "-j", "2"])
        try:
            until(lambda wanted=wanted: len(course.store.jobs.results(HW1)) >= wanted)  # type: ignore[misc]
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    work(opened(2 * LEASE), root)
    assert points(course) == {name: [9.2] for name in names}


def test_automatic_marks_are_released_at_once_if_the_assignment_says_so(
    root: Path, opened: Callable[[int], Course]
) -> None:
    source, plan = root.parent / "source" / "hw1" / "hw1.py", root.parent / "mograder.toml"
    course = opened(0)
    signer = course.signer
    assert isinstance(signer, Ed25519Signer)
    course = replace(course, read_record=lambda text: record_of(signer.verify(text, KIND)))
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    for name, (text, _) in STUDENTS.items():
        submit_work(course.store, course.signer, Username(name), text.encode())

    def grades() -> dict[str, tuple[str | None, bool]]:
        return {each.username: (each.grade, each.visible) for each in course.grades.of(hw1)}

    work(course, root)
    plan.write_text("[[assignments]]\nname = 'hw1'\nrelease_at_once = true\n")
    work(course, root)
    assert grades() == {}  # one question is marked by hand
    source.write_text(SOURCE.replace(', "Q3": 5', ""))
    course.grades.upload(COURSE_INSTRUCTOR, hw1, [{"username": "bob", "grade": "3"}])
    submit_work(course.store, course.signer, Username("alice"), HALF.encode())
    submit_work(course.store, course.signer, Username("dora"), RIGHT.encode())
    assert work(course, root)[0] == 2
    assert grades() == {"alice": ("9.2", True), "bob": ("3", True), "dora": ("30", True)}
    course.mark_release.withdraw(COURSE_INSTRUCTOR, hw1, {"dora"})
    submit_work(course.store, course.signer, Username("alice"), RIGHT.encode())
    submit_work(course.store, course.signer, Username("dora"), HALF.encode())
    work(course, root)
    assert grades() == {"alice": ("30", True), "bob": ("3", True), "dora": ("30", False)}
    shown = course.mark_release.shown(hw1, Username("alice")).released
    assert shown is not None
    assert "it is about submission 3 now" in shown.changes
    source.write_text(source.read_text().replace("double(0) == 0", "double(0) == 1"))
    course.regrades.start(COURSE_INSTRUCTOR, hw1, "alice", False, "")
    assert work(course, root)[0] == 1
    assert grades()["alice"] == ("30", True)
    seen = course.regrades.look(hw1)
    assert seen is not None
    assert seen.rows[0].change < 0
    assert course.regrades.apply(COURSE_INSTRUCTOR, hw1, seen.version) == 1
    assert grades()["alice"] == (f"{30 + seen.rows[0].change:g}", True)
