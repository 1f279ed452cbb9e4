"""Killed workers and servers, full disks, a missing sandbox: each submission gets exactly one result."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace

from mograder import factory
from mograder.config import utc_now
from mograder.coursework.graded_courses import worker_maker
from mograder.coursework.pool import Pool
from mograder.coursework.sources import sources_of
from mograder.domain.course import Course
from mograder.domain.grading_jobs import LEASE
from mograder.domain.grading_record import GradingRecord
from mograder.domain.names import INSTRUCTOR, Username
from mograder.domain.results import Outcome
from mograder.domain.tokens import sign
from mograder.grading.sandbox import find_sandbox
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, record_of
from tests.course_store import CourseStore, course_store
from tests.graded_course import HALF, LOOPING, RIGHT, SOURCE
from tests.parts import HW1, PATIENCE, environment, make_course_folder, serving, submit_work, until
from tests.postgres import fresh_database
from tests.web.test_disk import small_disk

ALICE, BOB = Username("alice"), Username("bob")
COURSE, ROUNDS = "algebra", 3


# kill -9


@pytest.mark.parametrize("store", ["folder", "postgres"])
def test_killing_server_and_worker_repeatedly_gives_each_submission_exactly_one_result(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = fresh_database(request.getfixturevalue("postgres_server")) if store == "postgres" else ""
    with course_store(tmp_path, url) as courses:
        courses.make(COURSE)
        course = courses.course(COURSE)
        acknowledged: set[int] = set()
        for round_ in range(ROUNDS):
            kill_in_a_rush(courses, course, round_, acknowledged)
        assert acknowledged
        grade_what_is_left(courses, course)
        receipts = {each.number for each in course.store.submissions.receipts()}
        assert acknowledged <= receipts
        found = Counter(each.receipt for each in course.store.jobs.results(HW1))
        assert found == dict.fromkeys(receipts, 1), "every submission has exactly one result"
        assert {each.points for each in records(course)} == {9.2}, "and nobody has a zero"


def kill_in_a_rush(courses: CourseStore, course: Course, round_: int, acknowledged: set[int]) -> None:
    """Kill server and workers while three people submit without a pause and their work is graded."""
    before = len(course.store.jobs.results(HW1))
    token = sign(course.store.keys.secrets()[0], INSTRUCTOR)
    with serving(*courses.serve, "--grading-workers", "2") as (process, port, _), ThreadPoolExecutor(3) as pool:
        over = threading.Event()

        def send(name: str) -> None:
            at = f"http://127.0.0.1:{port}/c/{COURSE}/assignments/hw1/submit"
            headers = {"Authorization": f"Bearer {token}"}
            with contextlib.suppress(httpx2.TransportError), httpx2.Client(timeout=PATIENCE) as client:
                for number in range(2):
                    content = f"{HALF}\n# {round_} {number}\n".encode()
                    reply = client.post(at, params={"user": name}, content=content, headers=headers)
                    assert reply.status_code == 200, reply.text
                    acknowledged.add(numbered(course, reply.json()["version"]))
                    if over.is_set():
                        return

        sending = [pool.submit(send, f"s{number}") for number in range(3)]
        until(lambda: len(course.store.jobs.results(HW1)) > before + round_)
        workers = children(process.pid)
        process.kill()
        for each in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        over.set()
        for one in sending:
            one.result()


def numbered(course: Course, version: str) -> int:
    return next(each.number for each in course.store.submissions.receipts() if each.submission.filename == version)


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


class LateClock:
    """A clock for which every lease has expired."""

    def __call__(self) -> int:
        return utc_now() + 2 * LEASE


def grade_what_is_left(courses: CourseStore, course: Course) -> None:
    later, stop = replace(course, clock=LateClock()), threading.Event()
    make = worker_maker(2, stop, lambda _: None, iter(map(str, range(1000))).__next__)
    with sources_of(course, courses.of(COURSE), None) as sources:
        sources.refresh()
        worker = make(later, sources, "")
        Pool(lambda: {"": worker}, jobs=2, stop=stop, say=lambda _: None).run(drain=True)
    assert course.store.jobs.waiting(course.clock()) == []


def records(course: Course) -> list[GradingRecord]:
    assert isinstance(course.signer, Ed25519Signer)
    return [record_of(course.signer.verify(each.signed, KIND)) for each in course.store.jobs.results(HW1)]


# one worker, and faults of its machine


class RunningWorker:
    """A `mograder worker` in its own process; `said` has the lines it has printed so far."""

    def __init__(self, root: Path, **variables: str) -> None:
        self.said: list[str] = []
        command = [sys.executable, "-m", "mograder", "worker", str(root)]
        variables = {**environment(), **variables}
        self.process = subprocess.Popen(command, env=variables, text=True, stderr=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def has_printed(self, text: str) -> bool:
        return any(text in line for line in list(self.said))

    def __enter__(self) -> RunningWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextlib.contextmanager
def course_to_grade(folder: Path) -> Iterator[tuple[Path, Course]]:
    root = make_course_folder(folder)
    source = root.parent / "source" / "hw1"
    source.mkdir(parents=True)
    (source / "hw1.py").write_text(SOURCE)
    (root.parent / "mograder.toml").write_text("[grading]\ncell_seconds = 2\n")
    with closing(factory.open_course(root)) as course:
        yield root, course


def submit(course: Course, user: Username, text: str) -> None:
    submit_work(course.store, course.signer, user, text.encode())


def test_a_result_that_does_not_fit_on_the_disk_is_kept_until_there_is_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk, course_to_grade(disk) as (root, course):
        submit(course, ALICE, LOOPING)
        with RunningWorker(root) as worker:
            until(lambda: any(each.lease for each in course.store.jobs.waiting(course.clock())))
            worker.process.send_signal(signal.SIGSTOP)
            filler = fill(disk, root)
            worker.process.send_signal(signal.SIGCONT)
            until(lambda: worker.has_printed("waits to be stored"))
            assert course.store.jobs.results(HW1) == []
            filler.unlink()
            until(lambda: course.store.jobs.results(HW1))
            submit(course, BOB, RIGHT)
            until(lambda: len(course.store.jobs.results(HW1)) == 2)
        first, second = records(course)
        assert (first.report.outcome, second.points) == (Outcome.LIMIT, 30)
        assert first.points == 10, "the question with the endless loop costs its own points alone"


def fill(disk: Path, root: Path) -> Path:
    """Fill the disk completely, so that not even the ledger's write-ahead log can grow."""
    with closing(sqlite3.connect(root / ".mograder.db")) as connection:
        until(lambda: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def test_a_worker_without_its_sandbox_gives_no_zero_and_continues_when_it_is_back(tmp_path: Path) -> None:
    real = find_sandbox().program
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "bwrap"
    program.symlink_to(real)
    with course_to_grade(tmp_path) as (root, course):
        with RunningWorker(root, PATH=f"{programs}{os.pathsep}{os.environ['PATH']}") as worker:
            submit(course, ALICE, RIGHT)
            until(lambda: course.store.jobs.results(HW1))
            program.unlink()
            for each in children_of_all_threads(worker.process.pid):  # the sandbox processes
                os.kill(each, signal.SIGKILL)
            submit(course, BOB, HALF)
            until(lambda: worker.has_printed("cannot be graded on this machine now"))
            (job,) = course.store.jobs.waiting(course.clock())
            assert "sandbox cannot be started" in job.error
            assert job.not_before > utc_now() - LEASE
            assert [each.username for each in course.store.jobs.results(HW1)] == ["alice"]
            program.symlink_to(real)
            until(lambda: len(course.store.jobs.results(HW1)) == 2)
        assert [each.points for each in records(course)] == [30, 9.2]


def children_of_all_threads(process: int) -> list[int]:
    return [int(each) for path in Path(f"/proc/{process}/task").glob("*/children") for each in path.read_text().split()]


def test_tests_that_change_while_a_submission_runs_apply_to_the_next_one(tmp_path: Path) -> None:
    with course_to_grade(tmp_path) as (root, course), RunningWorker(root):
        submit(course, ALICE, LOOPING)
        until(lambda: any(each.lease for each in course.store.jobs.waiting(course.clock())))
        before = course.store.jobs.announced()[HW1].tests
        source = root.parent / "source" / "hw1" / "hw1.py"
        source.write_text(SOURCE.replace("double(0) == 0", "double(0) is not None"))
        until(lambda: course.store.jobs.announced()[HW1].tests != before)
        submit(course, BOB, RIGHT)
        until(lambda: len(course.store.jobs.results(HW1)) == 2)
        after = course.store.jobs.announced()[HW1].tests
        assert [(each.username, each.tests) for each in course.store.jobs.results(HW1)] == [
            ("alice", before), ("bob", after)
        ]  # fmt: skip
