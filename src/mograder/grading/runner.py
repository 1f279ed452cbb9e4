"""Grades any number of submissions against one version of the tests, in a few warm sandboxes.

Whatever a submission does, `grade` returns a report with one of the four outcomes; it raises nothing for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType

from msgspec.structs import replace

from mograder.domain.rendered import RenderedCell, RenderedNotebook
from mograder.domain.results import RunReport
from mograder.grading import report
from mograder.grading.environment import Environment
from mograder.grading.limits import Tests
from mograder.grading.modules import preloaded
from mograder.grading.passes import plan_checks
from mograder.grading.plan import Plan, plan_submission
from mograder.grading.reading import check_cost
from mograder.grading.run import Job, Run, RunState, Shown
from mograder.grading.sandbox import Sandbox
from mograder.grading.warm import Setup, Warm, WarmFailed
from mograder.notebook.cells import Notebook, NotebookError, parse, read_text
from mograder.notebook.hashes import changed_cells
from mograder.notebook.release import make_release
from mograder.notebook.source import answer_names

Show = Callable[[RenderedNotebook], None]
_TRIES = 2  # of a run that fails for a reason of ours


class Grader:
    """Grades `jobs` submissions at a time; as many threads may call `grade`. Use it as a context manager.

    `sandbox` None runs everything without one: only for files that the caller trusts.
    """

    def __init__(self, tests: Tests, environment: Environment, sandbox: Sandbox | None, jobs: int) -> None:
        self._tests = tests
        self._environment = environment
        self._sandbox = sandbox
        source = tests.source
        self._wanted = answer_names(source)
        self._release = parse(make_release(source).text)
        self._checks = plan_checks(source)
        # A sandbox dies with the thread that has started it: this one lives as long as the grader.
        self._starter = ThreadPoolExecutor(1, "mograder-grading")
        self._slots: queue.LifoQueue[tuple[Warm, Warm]] = queue.LifoQueue()  # so that a warm pair is taken first
        self._all: list[tuple[Warm, Warm]] = []
        for slot in range(jobs):
            pair = self._warm("answers", 2 * slot), self._warm("checks", 2 * slot + 1)
            self._all.append(pair)
            self._slots.put(pair)
        self._model: report.Model | None = None
        self._model_lock = threading.Lock()
        self._reading = threading.Lock()  # Python 3.11 cannot parse in two threads: SystemError, AST recursion depth

    def __enter__(self) -> Grader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all processes. No `grade` may be running."""
        for pair in self._all:
            for warm in pair:
                warm.stop()
        self._starter.shutdown()

    def rest(self) -> None:
        """Ends the processes that are idle; the next `grade` starts them again."""
        for _ in self._all:
            try:
                pair = self._slots.get_nowait()
            except queue.Empty:
                return
            try:
                for warm in pair:
                    warm.stop()
            finally:
                self._slots.put(pair)

    def grade(self, submission: bytes, filename: str, show: Show | None = None) -> RunReport:
        """The report of one submission; `filename` is for messages. `show` gets the notebook as it ran."""
        began = time.monotonic()
        try:
            if len(submission) > self._tests.limits.notebook_kb << 10:
                raise NotebookError(f"the file is larger than {self._tests.limits.notebook_kb} kB: it is no notebook")
            check_cost(submission)
            with self._reading:
                notebook = parse(read_text(submission))
                answers = plan_submission(notebook, self._wanted)
                changed = changed_cells(self._release, notebook)
        except NotebookError as error:
            return report.unreadable(error.reason, error.line, filename)
        except (RecursionError, MemoryError):
            return report.unreadable("an expression is nested too deeply to be read", None, filename)
        fault = ""
        for _ in range(_TRIES):
            try:
                with self._slot() as pair:
                    model = self._known_model(pair)
                    state = self._run(answers, pair, model, show is not None)
            except (WarmFailed, OSError) as error:
                fault = str(error)
                continue
            made = report.compose(self._tests, model, state, answers, self._checks)
            if show is not None:
                show(rendered(answers, state))
            seconds = round(time.monotonic() - began, 3)
            return replace(made, changed_cells=changed, cpu_seconds=round(state.cpu_seconds, 3), wall_seconds=seconds)
        return report.our_failure(fault)

    def _known_model(self, pair: tuple[Warm, Warm]) -> report.Model:
        """What the model solution does, found once by running it as a submission."""
        with self._model_lock:
            if self._model is None:
                with self._reading:
                    answers = plan_submission(self._tests.source.notebook, self._wanted)
                ran = self._run(answers, pair, None)
                with self._reading:
                    self._model = report.model_of(ran, self._checks.plan)
            return self._model

    def _run(self, answers: Plan, pair: tuple[Warm, Warm], model: report.Model | None, show: bool = False) -> RunState:
        job = Job(
            answers, self._checks.plan, self._checks.places, self._wanted, f"{self._tests.assignment}.py",
            None if model is None else model.policy, self._tests.isolate, self._tests.limits, show,
        )  # fmt: skip
        return Run(job, *pair).run()

    @contextmanager
    def _slot(self) -> Iterator[tuple[Warm, Warm]]:
        """Two processes for the caller alone, both starting at the same time."""
        pair = self._slots.get()
        try:
            for warm in pair[: 1 + self._tests.isolate]:
                warm.start()
            yield pair
        finally:
            self._slots.put(pair)

    def _warm(self, role: str, slot: int) -> Warm:
        notebook: Notebook = self._checks.plan.notebook if role == "checks" else self._tests.source.notebook
        leave = self._tests.source.check_cells if role == "answers" else ()
        own = {file.name.split("/")[0].removesuffix(".py") for file in self._tests.files}
        modules = tuple(name for name in preloaded(notebook, leave) if name.split(".")[0] not in own)
        setup = Setup(role, self._environment, self._sandbox, self._tests.files, modules, self._tests.limits, slot)
        return Warm(setup, lambda start: self._starter.submit(start).result())


def rendered(answers: Plan, state: RunState) -> RenderedNotebook:
    """The submission's cells with their output."""

    def cell(place: int) -> RenderedCell:
        own = answers.notebook.cells[place]
        seen, stop = state.shown.get(place, Shown()), state.cells.get(place)
        problem = "" if stop is None or stop.kind == "stopped" else stop.traceback or stop.text or stop.kind
        name = "" if own.name == "_" else own.name
        ran = place in state.shown or stop is not None
        return RenderedCell(name, own.line, own.code, ran, seen.kind, seen.value, seen.printed, problem)

    return RenderedNotebook(tuple(map(cell, range(len(answers.notebook.cells)))))
