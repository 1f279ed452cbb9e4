"""Grades what comes in for one course or many: whoever is free takes a job of the course whose turn it is.

Invariant: no course waits for another whose tests are being made ready, whose storage is away, or that has more to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from mograder.coursework.worker import LOOK_SECONDS, Claimed, Worker
from mograder.domain.errors import MograderError

PREPARED_AT_ONCE = 2
"""Courses whose tests are made ready at the same time."""

BUILT_AT_ONCE = 2
"""Environments that are built at the same time, aside: a new one may take minutes."""

COURSES_IN_A_LOOK = 8
"""With more courses, one that had nothing to do is looked at less often than every LOOK_SECONDS."""


@dataclass
class _Line:
    """A course in the pool: `running` jobs of it, and its last `turn`; it is not looked at before `quiet_until`.

    `trouble` is why nothing could be claimed the last time.
    """

    worker: Worker
    running: int = 0
    turn: int = 0
    quiet_until: float = 0.0
    trouble: str = ""
    preparing: Future[None] | None = field(default=None)


class Pool:
    """Grades `jobs` at once for the courses that `courses` returns, by name, until `stop` is set.

    A course with the fewest jobs running is next, and among those the one whose last turn is longest ago. `say` gets
    a line for the person who runs it.
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
        """Grade until told to stop, or with `drain` until nothing waits; how many results were kept."""
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
        """Grade all that can be graded now; whether there was anything."""
        wait([each.preparing for each in self._lines.values() if each.preparing])
        for line in self._lines.values():
            line.quiet_until = 0.0
        return any(slots.map(lambda _: self._grade_what_waits(), range(self._jobs)))

    def _work(self) -> None:
        while not self._stop.is_set():
            if not self._grade_what_waits():
                self._stop.wait(LOOK_SECONDS)

    def _grade_what_waits(self) -> bool:
        """Grade until nothing waits; whether there was anything."""
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
        """The next job of the course whose turn it is; None when there is none in any."""
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
                line.turn = self._turns  # others that look now see another course first
            if (job := self._claimed_of(line)) is not None:
                return line, job
            with self._lock:
                line.running -= 1
                line.turn = before
                line.quiet_until = time.monotonic() + self._pause()

    def _claimed_of(self, line: _Line) -> Claimed | None:
        """None also while the course's storage is away, which stops no other."""
        job, trouble = None, ""
        try:
            job = line.worker.claim()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is tried again)
            trouble = error.message if isinstance(error, MograderError) else f"{type(error).__name__}: {error}"
        if trouble != line.trouble:
            line.worker.say(f"nothing can be graded now: {trouble}" if trouble else "goes on")
        line.trouble = trouble
        return job

    def _pause(self) -> float:
        """Seconds for which a course that had nothing to do is left alone; with the lock held."""
        return LOOK_SECONDS * max(1.0, len(self._lines) / COURSES_IN_A_LOOK)

    # tests

    def _prepare(self, preparing: ThreadPoolExecutor, building: ThreadPoolExecutor) -> None:
        """Make ready what has tests now, of every course that is not being made ready already."""
        try:
            found = self._courses()
        except MograderError:  # the storage is away for a while
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
        except MograderError:  # the storage is away for a while
            pass
        except Exception as error:  # noqa: BLE001 (one course's trouble is tried again, and stops no other)
            self._say(f"tests could not be made ready: {type(error).__name__}: {error}")
