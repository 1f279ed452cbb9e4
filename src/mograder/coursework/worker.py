"""Grades a course's new submissions, and when none waits, those of a regrade.

A worker claims a job, runs it, and stores the signed record as its result.

Invariant: a job that this worker has claimed is renewed while it runs and then finished or given back; if the worker
dies instead, the lease ends and another worker claims it.
"""

from __future__ import annotations

import contextlib
import platform
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from mograder.course_file import CONFIG_NAME, read_course_file
from mograder.coursework.autograding import Prepared, grade_one, read_submitted
from mograder.coursework.folders import GradingFolders
from mograder.coursework.preparation import NeededEnvironment, Twice, Wishes, prepare_assignment, source_text
from mograder.domain.course import Course
from mograder.domain.errors import BadName, MograderError, NotFound, Temporary, Unreadable, reason_of
from mograder.domain.grading_jobs import (
    LEASE,
    Announced,
    Job,
    JobQueue,
    Readiness,
    ReadyState,
    Result,
    pause_after,
)
from mograder.domain.names import AssignmentName
from mograder.domain.receipts import Receipt
from mograder.domain.regrade_jobs import RegradeJob
from mograder.domain.rendered import RenderedNotebook
from mograder.domain.results import Outcome
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, claims_of
from mograder.wire.rendered import pack

if TYPE_CHECKING:
    from mograder.grading.environment import Environment

AnyJob = TypeVar("AnyJob", Job, RegradeJob)

LOOK_SECONDS = 0.5
"""Seconds that an idle worker waits before it looks for a job again."""

RENEW_SECONDS = LEASE / 3e6
"""Seconds between renewals of a claimed job: a third of the lease."""

REST_SECONDS = 600.0
"""Seconds without a submission after which an assignment's processes are ended. The next submission starts them."""

LONGEST_ERROR = 2000
"""Characters of an error message that are kept."""


@runtime_checkable
class Rests(Protocol):
    """A runner that can end its idle processes and start them again when they are needed."""

    def rest(self) -> None: ...


Stamp = tuple[tuple[str, int, int], ...]


class _Open(Struct):
    """An assignment that is prepared for grading, or could not be: then `prepared` is None, and `trouble` says why.

    `stamp` tells whether its files have changed. `told`: it was said that the course is graded with other tests now.
    `running` is how many jobs use it, and `used` when the last one ended (monotonic seconds). If it is `retired`, it is
    closed after the last of them. `failures` counts this machine's own failures in a row. After one, no job is claimed
    until `resting_until` (Unix microseconds), when the assignment is tried again.
    """

    stamp: Stamp
    prepared: Prepared | None
    stack: contextlib.ExitStack
    source: Path | None = None
    told: bool = False
    running: int = 0
    retired: bool = False
    used: float = 0.0
    failures: int = 0
    resting_until: int = 0
    trouble: str = ""

    def is_due(self, now: int) -> bool:
        """Whether it failed and is to be tried again at `now` (Unix microseconds)."""
        return self.failures > 0 and now >= self.resting_until

    def rest(self, now: int) -> int:
        """Count a failure and set `resting_until`. Returns the pause in microseconds, longer after each failure."""
        self.failures += 1
        pause = pause_after(self.failures)
        self.resting_until = now + pause
        return pause


class _Build(Struct, frozen=True):
    """An environment that is being built for the assignment whose files have this `stamp`."""

    stamp: Stamp
    environment: Future[Environment]


class Claimed(Struct, frozen=True):
    """A job that this worker has claimed, the assignment prepared for it, and the operations of its queue on it.

    With `twice`, the submission runs twice, to see what differs between the runs.
    """

    job: Job | RegradeJob
    twice: bool
    opened: _Open
    prepared: Prepared
    renew: Callable[[int], bool]
    fail: Callable[[str, int], bool]
    finish: Callable[[Result, bytes], bool]


class Worker:
    """Grades the submissions of `course` with the tests in `folders`, at most `jobs` at once, until `stop` is set.

    `say` prints a line; `new_claim` makes a name that no other claim has; `refresh` updates the files in `folders`.
    Methods may be called from many threads, `prepare` from one at a time.
    """

    def __init__(
        self, course: Course, folders: GradingFolders, signer: Ed25519Signer, *, jobs: int, stop: threading.Event,
        say: Callable[[str], None], new_claim: Callable[[], str], refresh: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self._refresh = refresh
        self._course, self._folders, self._signer = course, folders, signer
        self._jobs, self._stop, self.say, self._new_claim = jobs, stop, say, new_claim
        self._store = course.store
        self._open: dict[AssignmentName, _Open] = {}
        self._builds: dict[AssignmentName, _Build] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Claim no more jobs. Running jobs are finished."""
        for name in list(self._open):
            self._retire(name)

    # tests

    @property
    def is_building(self) -> bool:
        """Whether an assignment waits until its environment is built. Call `prepare` again to see."""
        return bool(self._builds)

    def prepare(self, building: Executor) -> None:
        """Prepare the assignments that are new, have changed, or are to be tried again.

        Running jobs end with the tests they started with. `building` builds missing environments, and `prepare` does
        not wait for it. Raises MograderError.
        """
        self._refresh()
        try:
            file = read_course_file(self._folders.course / CONFIG_NAME)
        except Unreadable:
            file = self._folders.file  # an error in mograder.toml must not stop grading: the last good settings hold
        if file != self._folders.file:
            self._folders = GradingFolders.of(self._folders.course)
        found = dict(self._sources())
        self._builds = {name: each for name, each in self._builds.items() if found.get(name) == each.stamp}
        for name in set(self._open) - set(found):
            self._retire(name)
        for name, stamp in found.items():
            held = self._open.get(name)
            if held is None or held.stamp != stamp or (held.prepared is None and held.is_due(self._course.clock())):
                if (opened := self._ready(name, stamp, held, building)) is None:
                    continue
                self._retire(name)
                with self._lock:
                    self._open[name] = opened
            elif held.prepared is not None:
                self._look_after(name, held, held.prepared)

    def _look_after(self, name: AssignmentName, opened: _Open, prepared: Prepared) -> None:
        """End processes that have been idle for REST_SECONDS, and try again what this machine could not run."""
        with self._lock:
            unused = opened.used and not opened.running and time.monotonic() - opened.used > REST_SECONDS
            opened.used = 0.0 if unused else opened.used
        if unused and isinstance(prepared.runs, Rests):
            prepared.runs.rest()
        if opened.is_due(self._course.clock()):
            if fault := self._own_fault(opened, prepared):
                self._let_rest(name, opened, fault)
            else:
                opened.failures = 0
                self.say(f"{name} is graded again")
                self._report(name, ReadyState.READY, wanted=prepared.wanted, lock=prepared.lock)

    def _retire(self, name: AssignmentName) -> None:
        with self._lock:
            opened = self._open.pop(name, None)
            if opened is None:
                return
            opened.retired = True
            unused = not opened.running
        if unused:
            opened.stack.close()

    def _sources(self) -> Iterator[tuple[AssignmentName, Stamp]]:
        settings = _stamp(self._folders.course / CONFIG_NAME)
        with contextlib.suppress(OSError):
            for each in sorted(self._folders.source.iterdir()):
                with contextlib.suppress(BadName, NotFound):
                    name = AssignmentName.parse(each.name)
                    self._folders.find_source(name)
                    files = sorted(path for path in each.rglob("*") if "__pycache__" not in path.parts)
                    yield name, tuple(stamp for path in files for stamp in _stamp(path)) + settings

    def _ready(
        self, name: AssignmentName, stamp: Stamp, before: _Open | None, building: Executor
    ) -> _Open | None:  # fmt: skip
        """Prepare an assignment before its first job. Returns None while its environment is built.

        Raises MograderError if the storage fails.
        """
        again = before if before is not None and before.stamp == stamp else None
        stack = contextlib.ExitStack()
        if again is None and name not in self._builds:  # after a failure it stays "failed" until it works
            self._report(name, ReadyState.BUILDING)
        locked = self._store.jobs.readiness().get(name)
        try:
            environment = self._environment(name, stamp, locked, building)
            if environment is None:
                return None
            wishes = Wishes({}, self._jobs, locked=locked, environment=environment)
            prepared = stack.enter_context(prepare_assignment(self._folders, name, None, wishes))
        except Exception as error:  # noqa: BLE001 (any failure: it must not stop the other assignments)
            stack.close()
            said = reason_of(error)
            failed = _Open(stamp, None, stack, failures=again.failures if again else 0, trouble=said)
            failed.rest(self._course.clock())
            if again is None or again.trouble != said:
                self.say(f"submissions for {name} are not graded: {said}")
            self._report(name, ReadyState.FAILED, said)
            return failed
        try:
            hidden = self._folders.file.grading_rules(name).hidden
            self._store.jobs.announce(name, Announced(prepared.tested.tests, hidden))
            self._report(name, ReadyState.READY, wanted=prepared.wanted, lock=prepared.lock)
        except BaseException:
            stack.close()
            raise
        if before is None or before.prepared is None or before.prepared.tested.tests != prepared.tested.tests:
            self.say(f"submissions for {name} are graded, with the tests {prepared.tested.tests[:12]}")
        self._release(name)
        return _Open(stamp, prepared, stack, self._folders.find_source(name))

    def _environment(
        self, name: AssignmentName, stamp: Stamp, locked: Readiness | None, building: Executor
    ) -> Environment | None:
        """The assignment's environment, or None while it is built. Raises MograderError."""
        build = self._builds.get(name)
        if build is None:
            needed = NeededEnvironment(source_text(self._folders.find_source(name)), locked)
            if (found := needed.find()) is not None:
                return found
            self._builds[name] = _Build(stamp, building.submit(needed.build))
            return None
        if not build.environment.done():
            return None
        del self._builds[name]
        return build.environment.result()

    def _report(
        self, name: AssignmentName, state: ReadyState, error: str = "", wanted: str = "", lock: str = ""
    ) -> None:
        """Store the assignment's state for instructors. Of a long `error` the end is kept: it says what failed."""
        said = Readiness(name, state, self._course.clock(), platform.node(), error[-LONGEST_ERROR:], wanted, lock)
        self._store.jobs.report(said)

    # jobs

    def claim(self) -> Claimed | None:
        """The next job, or None. The caller must `grade` it. Raises MograderError."""
        ready, clock = dict(self._announced_open()), self._course.clock
        if not ready:
            return None
        claim = self._new_claim(), clock(), clock() + LEASE, list(ready)
        if (job := self._store.jobs.claim(*claim)) is not None:
            return self._claimed(self._store.jobs, job, ready[job.assignment], twice=False)
        if (again := self._store.regrades.claim(*claim)) is not None:
            return self._claimed(self._store.regrades, again, ready[again.assignment], again.twice)
        return None

    def _claimed(self, queue: JobQueue[AnyJob], job: AnyJob, opened: _Open, twice: bool) -> Claimed | None:
        with self._lock:
            if not opened.retired and opened.prepared is not None:
                opened.running += 1
                own = (partial(each, job) for each in (queue.renew, queue.fail, queue.finish))
                return Claimed(job, twice, opened, opened.prepared, *own)
        queue.fail(job, "", self._course.clock())  # the tests have just changed
        return None

    def _announced_open(self) -> Iterator[tuple[AssignmentName, _Open]]:
        """The assignments with the announced tests. If other tests are announced, another worker has newer ones."""
        announced = self._store.jobs.announced() if self._open else {}
        with self._lock:
            held = list(self._open.items())
        for name, each in held:
            if each.prepared is None or each.failures:
                continue
            if name in announced and announced[name].tests == each.prepared.tested.tests:
                yield name, each
            elif not each.told:
                each.told = True
                self.say(f"{name} is graded with other tests now: this worker waits until it has them")

    def grade(self, claimed: Claimed) -> bool:
        """Grade a claimed job. Returns whether its result was kept. Raises nothing: a failure gives the job back."""
        opened = claimed.opened
        try:
            with self._renewing(claimed):
                return self._grade(claimed)
        except Exception as error:  # noqa: BLE001 (any failure here is ours and must not stop the others)
            return self._give_back(claimed, reason_of(error))
        finally:
            with self._lock:
                opened.running -= 1
                opened.used = time.monotonic()
                over = opened.retired and not opened.running
            if over:
                opened.stack.close()

    def _grade(self, claimed: Claimed) -> bool:
        """Grade a submission. The result of a regrade does not come into force yet. Raises MograderError."""
        job, prepared = claimed.job, claimed.prepared
        receipt = self._receipt(job)
        content = read_submitted(self._store.submissions, receipt)
        if claimed.twice:
            prepared = replace(prepared, runs=Twice(prepared.runs))
        ran: list[RenderedNotebook] = []
        record = grade_one(
            prepared, job.username, receipt.submission.filename, content, job.receipt, self._course.clock, ran.append
        )
        if record.report.outcome is Outcome.OUR_FAILURE:
            self._give_back(claimed, record.report.error)
            if fault := self._own_fault(claimed.opened, claimed.prepared):
                self._let_rest(job.assignment, claimed.opened, fault)
            return False
        signed = self._signer.sign(claims_of(record), KIND)
        result = Result(job.receipt, prepared.tested.tests, job.assignment, job.username, record.graded, signed)
        return self._finish(claimed, result, pack(ran[-1]) if ran else b"")

    def _finish(self, claimed: Claimed, result: Result, notebook: bytes) -> bool:
        """Store the result. If the storage is full or fails, try again for as long as a lease. Raises MograderError."""
        until, told = time.monotonic() + LEASE / 1e6, False
        while True:
            try:
                kept = claimed.finish(result, notebook)
                self._release(result.assignment, [result.username])
                return kept
            except Temporary as error:
                if self._stop.is_set() or time.monotonic() > until:
                    raise
                if not told:
                    self.say(f"the result of submission {result.receipt} waits to be stored: {error.message}")
                told = True
                self._stop.wait(LOOK_SECONDS)

    def _own_fault(self, opened: _Open, prepared: Prepared) -> str:
        """Why this machine cannot run even the model solution now; "" if it can."""
        try:
            assert opened.source is not None, "a prepared assignment has a source"
            ran = prepared.runs.grade(opened.source.read_bytes(), opened.source.name)
        except Exception as error:  # noqa: BLE001 (as in a run of a submission)
            return reason_of(error)
        return ran.error or "unknown" if ran.outcome is Outcome.OUR_FAILURE else ""

    def _let_rest(self, name: AssignmentName, opened: _Open, fault: str) -> None:
        """Claim no jobs of the assignment for a while: each would fail and be given up in the end."""
        seconds = opened.rest(self._course.clock()) / 1e6
        self.say(f"{name} cannot be graded on this machine now, tried again in {seconds:.0f} s: {fault}")
        with contextlib.suppress(MograderError):  # the next failure is reported again
            prepared = opened.prepared
            assert prepared is not None, "it was run"
            self._report(name, ReadyState.FAILED, fault, prepared.wanted, prepared.lock)

    def _give_back(self, claimed: Claimed, error: str) -> bool:
        job = claimed.job
        self.say(f"submission {job.receipt} of {job.username} for {job.assignment} could not be graded: {error}")
        with contextlib.suppress(MograderError):  # otherwise the lease ends
            claimed.fail(error[:1000], self._course.clock() + pause_after(job.tries))
        return False

    def _release(self, name: AssignmentName, users: Collection[str] | None = None) -> None:
        """Release the marks that are released automatically. After a failure, the next preparation does it."""
        try:
            self._course.mark_release.release_automatic(name, users)
        except MograderError as error:
            self.say(f"marks of {name} could not be released: {error.message}")

    def _receipt(self, job: Job | RegradeJob) -> Receipt:
        """The receipt of a job's submission. Raises NotFound."""
        for receipt in self._store.submissions.receipts(job.assignment, job.username):
            if receipt.number == job.receipt:
                return receipt
        raise NotFound(f"receipt {job.receipt} is gone")

    @contextlib.contextmanager
    def _renewing(self, claimed: Claimed) -> Iterator[None]:
        over = threading.Event()

        def renew() -> None:
            while not over.wait(RENEW_SECONDS):
                with contextlib.suppress(MograderError):  # the next renewal may work, or another worker claims the job
                    claimed.renew(self._course.clock() + LEASE)

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
