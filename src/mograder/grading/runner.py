"""Grades submissions against one version of the tests: a few warm sandboxes, any number of submissions.

Whatever a submission does, `grade` returns a report with one of the four outcomes; it raises nothing for it.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType

from mograder.domain.results import RunReport
from mograder.grading import report
from mograder.grading.environment import Environment
from mograder.grading.limits import Limits, Tests, data_files
from mograder.grading.modules import preloaded
from mograder.grading.passes import plan_checks
from mograder.grading.plan import Plan, plan_submission
from mograder.grading.reading import check_cost
from mograder.grading.run import Course, Job, Run
from mograder.grading.sandbox import DataFile, Sandbox
from mograder.grading.warm import Setup, Warm, WarmFailed
from mograder.notebook.cells import Notebook, NotebookError, parse, read_text
from mograder.notebook.hashes import changed_cells
from mograder.notebook.release import make_release
from mograder.notebook.source import answer_names

__all__ = ["DataFile", "Grader", "Limits", "Tests", "data_files"]
_TRIES = 2  # of a run that failed for a reason of ours


class Grader:
    """`jobs` submissions at a time; `grade` may be called from as many threads. Use it as a context manager.

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
        self._slots: queue.SimpleQueue[tuple[Warm, Warm]] = queue.SimpleQueue()
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

    def grade(self, submission: bytes, filename: str) -> RunReport:
        """The report of one submission; `filename` is for messages."""
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
                model = self._known_model()
                course = self._run(answers, model)
            except (WarmFailed, OSError) as error:
                fault = str(error)
                continue
            made = report.compose(self._tests, model, course, answers, self._checks)
            seconds = round(time.monotonic() - began, 3)
            return replace(made, changed_cells=changed, cpu_seconds=round(course.cpu_seconds, 3), wall_seconds=seconds)
        return report.our_failure(fault)

    def _known_model(self) -> report.Model:
        """What the model solution does, found out once: with its own cells as the submission."""
        with self._model_lock:
            if self._model is None:
                with self._reading:
                    answers = plan_submission(self._tests.source.notebook, self._wanted)
                ran = self._run(answers, None)
                with self._reading:
                    self._model = report.model_of(ran, self._checks.plan)
            return self._model

    def _run(self, answers: Plan, model: report.Model | None) -> Course:
        job = Job(
            answers, self._checks.plan, self._checks.places, self._wanted, f"{self._tests.assignment}.py",
            None if model is None else model.policy, self._tests.isolate, self._tests.limits,
        )  # fmt: skip
        with self._slot() as (first, second):
            return Run(job, first, second).run()

    @contextmanager
    def _slot(self) -> Iterator[tuple[Warm, Warm]]:
        pair = self._slots.get()
        try:
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


def python_version() -> str:
    """Of the process that grades, for the record."""
    return ".".join(map(str, sys.version_info[:3]))
