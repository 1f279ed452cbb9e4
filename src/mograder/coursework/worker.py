"""Grades a course's submissions as they come in, and when none waits, those that are graded again.

It claims a job, runs it, and keeps the signed record as its result.

Invariant: a job that this worker has claimed is renewed while it runs and then finished or given back; if the worker
dies instead, the lease ends and another worker claims it.
"""

from __future__ import annotations

import contextlib
import platform
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mograder.course_file import CONFIG_NAME, read_course_file
from mograder.coursework.autograding import Exam, grade_one, read_submitted
from mograder.coursework.exams import Twice, Wishes, opened_exam
from mograder.coursework.folders import GradingFolders
from mograder.domain.course import Course
from mograder.domain.errors import BadName, MograderError, NotFound, Unreadable
from mograder.domain.grading_jobs import LEASE, Announced, Job, Readiness, ReadyState, Result, pause_after
from mograder.domain.names import AssignmentName
from mograder.domain.receipts import Receipt
from mograder.domain.regrade_jobs import RegradeJob
from mograder.domain.results import Outcome
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, claims_of

LOOK_SECONDS = 0.5
"""The pause of a worker that has found nothing to do."""

RENEW_SECONDS = LEASE / 3e6
"""How often a claimed job is renewed."""

LONGEST_ERROR = 2000
"""Characters of what failed that are kept."""

Stamp = tuple[tuple[str, int, int], ...]


@dataclass
class _Open:
    """An assignment that is ready to be graded, or not (`exam` is None). `stamp` is of its files.

    `told`: it has been said that the course is graded with other tests now. One that is not ready is tried again from
    `again` on, in Unix microseconds; it has failed `tries` times.
    """

    stamp: Stamp
    exam: Exam | None
    stack: contextlib.ExitStack
    told: bool = False
    again: int = 0
    tries: int = 0


class Worker:
    """Grades the submissions of `course` with the tests in `folders`, `jobs` at once, until `stop` is set.

    `say` gets a line for the person who runs it; `new_claim` makes a name that no other claim has; `refresh` brings the
    files in `folders` up to date.
    """

    def __init__(
        self, course: Course, folders: GradingFolders, signer: Ed25519Signer, *, jobs: int, stop: threading.Event,
        say: Callable[[str], None], new_claim: Callable[[], str], refresh: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self._refresh = refresh
        self._course, self._folders, self._signer = course, folders, signer
        self._jobs, self._stop, self._say, self._new_claim = jobs, stop, say, new_claim
        self._store = course.store
        self._open: dict[AssignmentName, _Open] = {}

    def run(self, drain: bool = False) -> int:
        """Grade until told to stop, or with `drain` until nothing waits; how many results were kept."""
        graded = 0
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                while not self._stop.is_set():
                    done = 0
                    with contextlib.suppress(MograderError):  # the store is away for a while
                        self._open_exams()
                        done = sum(pool.map(lambda _: self._grade_while_unchanged(), range(self._jobs)))
                    graded += done
                    if not done:
                        if drain:
                            break
                        self._stop.wait(LOOK_SECONDS)
            finally:
                for each in self._open.values():
                    each.stack.close()
        return graded

    # tests

    def _open_exams(self) -> None:
        """Make ready what has tests now, anew where they have changed."""
        self._refresh()
        try:
            file = read_course_file(self._folders.course / CONFIG_NAME)
        except Unreadable:
            file = self._folders.file  # a slip in mograder.toml stops no grading: what was said before holds
        if file != self._folders.file:
            self._folders = GradingFolders.of(self._folders.course)
        found = dict(self._sources())
        for name in set(self._open) - set(found):
            self._open.pop(name).stack.close()
        for name, stamp in found.items():
            held = self._open.get(name)
            changed = held is None or held.stamp != stamp
            if held is not None and (changed or (held.exam is None and held.again <= self._course.clock())):
                self._open.pop(name).stack.close()
                self._open[name] = self._ready(name, stamp, 0 if changed else held.tries)
            elif held is None:
                self._open[name] = self._ready(name, stamp, 0)

    def _sources(self) -> Iterator[tuple[AssignmentName, Stamp]]:
        settings = _stamp(self._folders.course / CONFIG_NAME)
        with contextlib.suppress(OSError):
            for each in sorted(self._folders.source.iterdir()):
                with contextlib.suppress(BadName, NotFound):
                    name = AssignmentName.parse(each.name)
                    self._folders.find_source(name)
                    files = sorted(path for path in each.rglob("*") if "__pycache__" not in path.parts)
                    yield name, tuple(stamp for path in files for stamp in _stamp(path)) + settings

    def _ready(self, name: AssignmentName, stamp: Stamp, tries: int) -> _Open:
        """Read the source, build the environment, try the sandbox: before there is anything to grade."""
        stack = contextlib.ExitStack()
        if not tries:  # what is tried again has failed until it is there
            self._report(name, ReadyState.BUILDING)
        try:
            wishes = Wishes({}, self._jobs, locked=self._store.jobs.readiness().get(name))
            exam = stack.enter_context(opened_exam(self._folders, name, None, wishes))
        except Exception as error:  # noqa: BLE001 (whatever it is, it must not stop what is graded beside it)
            stack.close()
            said = error.message if isinstance(error, MograderError) else f"{type(error).__name__}: {error}"
            self._say(f"{name} is not graded: {said}")
            self._report(name, ReadyState.FAILED, said)
            return _Open(stamp, None, stack, again=self._course.clock() + pause_after(tries + 1), tries=tries + 1)
        self._store.jobs.announce(name, Announced(exam.tested.tests, self._folders.file.grading_rules(name).hidden))
        self._report(name, ReadyState.READY, wanted=exam.wanted, lock=exam.lock)
        self._say(f"{name} is graded, tests {exam.tested.tests[:12]}")
        self._release(name)
        return _Open(stamp, exam, stack)

    def _report(
        self, name: AssignmentName, state: ReadyState, error: str = "", wanted: str = "", lock: str = ""
    ) -> None:
        """Tell instructors how far it is. `error` may be long: its end says what failed."""
        said = Readiness(name, state, self._course.clock(), platform.node(), error[-LONGEST_ERROR:], wanted, lock)
        self._store.jobs.report(said)

    # jobs

    def _grade_while_unchanged(self) -> int:
        """Grade what waits; how many results were kept. Between two jobs, tests that have changed are seen."""
        if self._stop.is_set():
            return 0
        ready, clock = dict(self._announced_exams()), self._course.clock
        if not ready:
            return 0
        job = self._store.jobs.claim(self._new_claim(), clock(), clock() + LEASE, list(ready))
        if job is not None:
            with self._renewing(partial(self._store.jobs.renew, job)):
                return int(self._grade(job, ready[job.assignment]))
        again = self._store.regrades.claim(self._new_claim(), clock(), clock() + LEASE, list(ready))
        if again is None:
            return 0
        with self._renewing(partial(self._store.regrades.renew, again)):
            return int(self._grade_again(again, ready[again.assignment]))

    def _announced_exams(self) -> Iterator[tuple[AssignmentName, Exam]]:
        """Those with the tests that the course is graded with. Who announced others since has newer ones."""
        announced = self._store.jobs.announced() if self._open else {}
        for name, each in self._open.items():
            if each.exam is None:
                continue
            if name in announced and announced[name].tests == each.exam.tested.tests:
                yield name, each.exam
            elif not each.told:
                each.told = True
                self._say(f"{name} is graded with other tests now: this worker waits until it has them")

    def _grade(self, job: Job, exam: Exam) -> bool:
        result, error = self._run(job, exam)
        if result is not None:
            kept = self._store.jobs.finish(job, result)
            self._release(job.assignment, [job.username])
            return kept
        self._store.jobs.fail(job, error, self._course.clock() + pause_after(job.tries))
        return False

    def _grade_again(self, job: RegradeJob, exam: Exam) -> bool:
        """Grade a submission for a regrade: nothing is in force by that."""
        result, error = self._run(job, replace(exam, runs=Twice(exam.runs)) if job.twice else exam)
        if result is not None:
            return self._store.regrades.finish(job, result)
        self._store.regrades.fail(job, error, self._course.clock() + pause_after(job.tries))
        return False

    def _run(self, job: Job | RegradeJob, exam: Exam) -> tuple[Result | None, str]:
        """The result, or None and what went wrong on our side."""
        try:
            receipt = self._receipt(job)
            content = read_submitted(self._store.submissions, receipt)
        except MograderError as error:
            return None, self._told(job, error.message)
        record = grade_one(exam, job.username, receipt.submission.filename, content, job.receipt, self._course.clock)
        if record.report.outcome is Outcome.OUR_FAILURE:
            return None, self._told(job, record.report.error)
        signed = self._signer.sign(claims_of(record), KIND)
        return Result(job.receipt, exam.tested.tests, job.assignment, job.username, record.graded, signed), ""

    def _release(self, name: AssignmentName, users: Collection[str] | None = None) -> None:
        """Release marks that are released at once. What is missed now is done when the tests are opened again."""
        try:
            self._course.mark_release.release_automatic(name, users)
        except MograderError as error:
            self._say(f"marks of {name} could not be released: {error.message}")

    def _told(self, job: Job | RegradeJob, error: str) -> str:
        self._say(f"submission {job.receipt} of {job.username} for {job.assignment} could not be graded: {error}")
        return error[:1000]

    def _receipt(self, job: Job | RegradeJob) -> Receipt:
        """Raises NotFound."""
        for receipt in self._store.submissions.receipts(job.assignment, job.username):
            if receipt.number == job.receipt:
                return receipt
        raise NotFound(f"receipt {job.receipt} is gone")

    @contextlib.contextmanager
    def _renewing(self, renew_until: Callable[[int], bool]) -> Iterator[None]:
        over = threading.Event()

        def renew() -> None:
            while not over.wait(RENEW_SECONDS):
                with contextlib.suppress(MograderError):  # the next time, or another worker claims it
                    renew_until(self._course.clock() + LEASE)

        thread = threading.Thread(target=renew, name="renew", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return ()
    return ((str(path), found.st_mtime_ns, found.st_size),)
