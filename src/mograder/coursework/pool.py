"""Grades the submissions of one course or of many: a free thread takes a job of the course whose turn it is.

Invariant: no course waits for another course whose tests are prepared, whose storage fails, or that has more jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from msgspec import Struct, field

from mograder.coursework.worker import LOOK_SECONDS, Claimed, Worker
from mograder.domain.errors import MograderError, reason_of

PREPARED_AT_ONCE = 2
"""Courses whose tests are prepared at the same time."""

BUILT_AT_ONCE = 2
"""Environments that are built at the same time. They have threads of their own: a new one may take minutes."""

COURSES_IN_A_LOOK = 8
"""With more courses, an idle course is asked for jobs less often than every LOOK_SECONDS."""


class _Line(Struct):
    """A course in the pool: how many of its jobs are `running`, and its last `turn`.

    It is not asked for jobs before `quiet_until` (monotonic seconds). `trouble` is why the last claim failed.
    """

    worker: Worker
    running: int = 0
    turn: int = 0
    quiet_until: float = 0.0
    trouble: str = ""
    preparing: Future[None] | None = field(default=None)


class Pool:
    """Grades `jobs` submissions at once for the courses that `courses` returns, by name, until `stop` is set.

    The next job is of the course with the fewest running jobs, and among equals of the course whose last turn is
    longest ago. `say` prints a line.
    """

    def __init__(
        self, courses: Callable[[], Mapping[str, Worker]], *, jobs: int, stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._courses, self._jobs, self._stop, self._say = courses, jobs, stop, say
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()
        self._turns = 0
        self._graded = 0

    def run(self, drain: bool = False) -> int:
        """Grade until `stop` is set, with `drain` until nothing waits. Returns how many results were kept."""
        try:
            with (
                ThreadPoolExecutor(self._jobs, "grade") as slots,
                ThreadPoolExecutor(PREPARED_AT_ONCE, "prepare") as preparing,
                ThreadPoolExecutor(BUILT_AT_ONCE, "build") as building,
            ):
                if not drain:
                    for _ in range(self._jobs):
                        slots.submit(self._work)
                while not self._stop.is_set():
                    self._prepare(preparing, building)
                    if drain and self._drained(slots):
                        continue
                    if drain and not any(each.worker.is_building for each in self._lines.values()):
                        break
                    self._stop.wait(LOOK_SECONDS)
                building.shutdown(wait=False, cancel_futures=True)
        finally:
            for line in self._lines.values():
                line.worker.close()
        return self._graded

    def _drained(self, slots: ThreadPoolExecutor) -> bool:
        """Grade everything that can be graded now. Returns whether there was a job."""
        wait([each.preparing for each in self._lines.values() if each.preparing])
        for line in self._lines.values():
            line.quiet_until = 0.0
        return any(slots.map(lambda _: self._grade_what_waits(), range(self._jobs)))

    def _work(self) -> None:
        while not self._stop.is_set():
            if not self._grade_what_waits():
                self._stop.wait(LOOK_SECONDS)

    def _grade_what_waits(self) -> bool:
        """Grade until nothing waits. Returns whether there was a job."""
        found = False
        while not self._stop.is_set() and (claimed := self._claim()) is not None:
            found = True
            line, job = claimed
            try:
                kept = line.worker.grade(job)
            finally:
                with self._lock:
                    line.running -= 1
            with self._lock:
                self._graded += kept
        return found

    def _claim(self) -> tuple[_Line, Claimed] | None:
        """The next job of the course whose turn it is; None if no course has one."""
        tried: set[int] = set()
        while True:
            with self._lock:
                now = time.monotonic()
                ready = [each for each in self._lines.values() if each.quiet_until <= now and id(each) not in tried]
                if not ready:
                    return None
                line = min(ready, key=lambda each: (each.running, each.turn))
                tried.add(id(line))
                line.running += 1
                before, self._turns = line.turn, self._turns + 1
                line.turn = self._turns  # so that other threads ask another course first
            if (job := self._claimed_of(line)) is not None:
                return line, job
            with self._lock:
                line.running -= 1
                line.turn = before
                line.quiet_until = time.monotonic() + self._pause()

    def _claimed_of(self, line: _Line) -> Claimed | None:
        """A job of the course; None if it has none, or if claiming fails, which must not stop the other courses."""
        job, trouble = None, ""
        try:
            job = line.worker.claim()
        except Exception as error:  # noqa: BLE001 (after any failure the course is asked again)
            trouble = reason_of(error)
        if trouble != line.trouble:
            line.worker.say(f"nothing can be graded now: {trouble}" if trouble else "goes on")
        line.trouble = trouble
        return job

    def _pause(self) -> float:
        """Seconds before an idle course is asked again. The caller holds the lock."""
        return LOOK_SECONDS * max(1.0, len(self._lines) / COURSES_IN_A_LOOK)

    # tests

    def _prepare(self, preparing: ThreadPoolExecutor, building: ThreadPoolExecutor) -> None:
        """Start to prepare the tests of each course, unless it is being prepared already."""
        try:
            found = self._courses()
        except MograderError:  # the storage fails for a while
            return
        with self._lock:
            gone = [name for name, line in self._lines.items() if found.get(name) is not line.worker]
            ended = [self._lines.pop(name).worker for name in gone]
            for name, worker in found.items():
                self._lines.setdefault(name, _Line(worker))
            lines = list(self._lines.values())
        for worker in ended:
            worker.close()
        for line in lines:
            if line.preparing is None or line.preparing.done():
                line.preparing = preparing.submit(self._prepare_one, line.worker, building)

    def _prepare_one(self, worker: Worker, building: ThreadPoolExecutor) -> None:
        try:
            worker.prepare(building)
        except MograderError:  # the storage fails for a while
            pass
        except Exception as error:  # noqa: BLE001 (one course's failure must not stop the others; it is tried again)
            self._say(f"tests could not be prepared: {type(error).__name__}: {error}")
