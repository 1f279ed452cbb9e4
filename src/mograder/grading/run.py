"""One run of a submission: its cells in the answer process, then the checks. A process that fails is replaced.

A cell that ends its process, or that cannot be interrupted, is left out and the others run again. A check that does so
is reported, and the next ones go on with new processes. Messages of the answer process are checked field by field. If
the warm process ends, or a process is killed, an earlier cell or the kernel may have done it: so the cells run once
more with a pause after each, to find the one that does it again. On a busy machine a pause costs the time until four
processes have had their turn, so there is none in a usual run.
"""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from mograder.grading.inside.cells import PATIENCE
from mograder.grading.inside.frames import Channel, FrameError
from mograder.grading.inside.showing import LARGEST, TEXT
from mograder.grading.limits import Limits
from mograder.grading.plan import Plan
from mograder.grading.sandbox import WORK
from mograder.grading.warm import Ended, Warm, WarmFailed

_GRACE = 1.5  # seconds after a cell's time in which its process may still react
_FRAME = 10.0  # seconds for a frame that has begun
_MAX_FRAME = 16 << 20
_FROM_ANSWERS = 1 << 20  # bytes of a message from a submission, which may send anything
_RETRIES = 2
MOST_SHOWN = 512 * 1024
"""The most characters of the output of a submission's cells that are kept."""


class Stop(Struct, frozen=True):
    """Why a cell did not finish. `kind`: error, stopped, absent, time, memory, output, processes, calls, size, gone."""

    kind: str
    text: str = ""
    line: int | None = None
    traceback: str = ""
    student_line: int | None = None


class Row(Struct, frozen=True):
    """One condition of a check."""

    holds: bool
    message: str
    weight: float


class CheckCell(Struct, frozen=True):
    """The result of one check cell: rows by label, why it stopped, and how it used a student's objects."""

    rows: Mapping[str, tuple[Row, ...]]
    stop: Stop | None = None
    unprotected: bool = False
    used: frozenset[str] = frozenset()
    limits: tuple[tuple[str, str], ...] = ()


class Shown(Struct, frozen=True):
    """The output of a cell: media type and text of its value, and what it printed. All of it comes from the student."""

    kind: str = ""
    value: str = ""
    printed: str = ""


class RunState(Struct):
    """What is known of a run so far; it grows during the run. Keys are places of cells."""

    cells: dict[int, Stop] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    checks: dict[int, CheckCell] = field(default_factory=dict)
    helpers: dict[int, Stop] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    out_of_time: bool = False
    shown: dict[int, Shown] = field(default_factory=dict)


class Job(Struct, frozen=True):
    """What is run. `policy` None records what the model does. `filename` is that of the notebook in the work folder."""

    answers: Plan
    checks: Plan
    check_places: frozenset[int]
    wanted: frozenset[str]
    filename: str
    policy: Mapping[int, frozenset[str]] | None
    isolate: bool
    limits: Limits
    show: bool = False


class Broken(Exception):
    """The answer process is gone, or breaks the protocol.

    `unclear` says that an earlier cell, or something outside of the sandbox, may have done it.
    """

    def __init__(self, kind: str, text: str, *, unclear: bool = False) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.unclear = unclear


def _warm_gone() -> Broken:
    return Broken("ended", "the cell ended the program that runs it", unclear=True)


class Run:
    """One run in the processes of one slot. Raises WarmFailed for a failure of our own."""

    def __init__(self, job: Job, answers: Warm, checks: Warm) -> None:
        self._job = job
        self._answers = answers
        self._checks = checks
        self._skip: set[int] = set()
        self._left_out: set[int] = set()  # the instructor's cells that cannot finish with this submission
        self._current: int | None = None
        self._careful = False
        self.state = RunState()
        self._until = 0.0

    def run(self) -> RunState:
        self._answers.start()
        if self._job.isolate:
            self._checks.start()
        pending = [place for place in self._job.checks.order if place in self._job.check_places]
        failed = 0
        try:
            while True:
                answering = self._answer()
                if answering is None:
                    return self.state
                before = len(pending), len(self._left_out)
                if self._job.isolate:
                    self._check(answering, pending)
                else:
                    self._listen(answering, self._answers, pending)
                    answering.close()
                pending = [place for place in pending if place not in self.state.checks]
                if not pending or self.state.out_of_time:
                    return self.state
                failed = failed + 1 if (len(pending), len(self._left_out)) == before else 0
                if failed > _RETRIES:
                    raise WarmFailed("the checks end without a result")
                self._finish(self._answers)
        finally:
            self._finish(self._answers)
            if self._job.isolate:
                self._finish(self._checks)

    def _finish(self, warm: Warm) -> None:
        ended = warm.finish()
        if ended is not None:
            self.state.cpu_seconds += ended.cpu_seconds

    # the submission's cells

    def _answer(self) -> Channel | None:
        """The connection to an answer process that has run the cells; None when the time is over."""
        if not self._until:
            self._until = time.monotonic() + self._job.limits.total_seconds
        while not self._over():
            channel = self._started()
            try:
                self._current = None
                if self._through(channel):
                    return channel
            except WarmFailed:
                channel.close()
                raise
            channel.close()
            self._finish(self._answers)
        self.state.out_of_time = True
        return None

    def _started(self) -> Channel:
        """The connection to a new answer process. The time to start it does not count as the submission's."""
        began = time.monotonic()
        ours = self._answers.run()
        self._until += time.monotonic() - began
        return Channel(ours, _MAX_FRAME, _FROM_ANSWERS)

    def _through(self, channel: Channel) -> bool:
        """Whether the process has finished all cells. If not, the reason is noted."""
        try:
            channel.send(self._job_for_answers())
            self._cells(channel)
        except Broken as broken:
            if not self._over() or self._current is not None:
                self._lost(broken)
            return False
        except (FrameError, OSError):
            self._lost(self._how_ended())
            return False
        return True

    def _over(self) -> bool:
        return time.monotonic() >= self._until

    def _lost(self, broken: Broken) -> None:
        """The process is gone: the cell that it was in is left out from now on."""
        if self._current is None:
            self._answers.stop()  # it may be damaged: the next run starts a new one
            raise WarmFailed(f"the answer process ends before the first cell: {broken.text}")
        if broken.unclear and not self._careful:
            self._careful = True
            return
        self.state.cells[self._current] = Stop(broken.kind, broken.text)
        self._skip.add(self._current)

    def _how_ended(self) -> Broken:
        try:
            self._answers.ping()  # on a busy machine it may not have had its turn since the child ended
            until = time.monotonic() + _GRACE
            while time.monotonic() < until:
                ended = self._answers.ended()
                if ended is not None:
                    self.state.cpu_seconds += ended.cpu_seconds
                    return Broken(*_reason(ended), unclear=ended.code == -signal.SIGKILL and not ended.memory)
                select.select([self._answers.control], [], [], 0.05)
        except WarmFailed:
            return _warm_gone()
        return Broken("ended", "the cell closed what it does not own")

    def _cells(self, channel: Channel) -> None:
        """Read the results of the cells until all are done. Raises Broken, FrameError, OSError."""
        limits = self._job.limits
        known = set(self._job.answers.order)
        left = 3 * len(known) + 10
        wait = PATIENCE * limits.cell_seconds + _GRACE
        while True:
            left -= 1
            seconds = min(wait, self._until - time.monotonic())
            document = self._next(channel, self._answers, seconds)
            if document is None:
                raise Broken("time", "the cell ran too long")
            if "ready" in document:
                names = document["ready"]
                if type(names) is not list:
                    raise Broken("ended", "the cell writes where it should not")
                self._still_there()
                self.state.names = frozenset(each for each in names if type(each) is str and len(each) < 1_000)
                return
            place = document.get("start", document.get("done"))
            if type(place) is not int or place not in known or left < 0:
                raise Broken("ended", "the cell writes where it should not")
            self._current = place
            if "done" in document:
                if self._careful:
                    self._still_there()
                self._keep_shown(place, document)
                stop = _stop(document.get("failure"))
                if stop is not None:
                    self.state.cells[place] = stop
                else:
                    self.state.cells.pop(place, None)
                if self._careful:
                    channel.send({"next": True})

    def _keep_shown(self, place: int, document: dict[str, Any]) -> None:
        """Keep the output of a cell, if there is room."""
        if not self._job.show:
            return
        given = document.get("shown")
        kind, value = given if type(given) is list and len(given) == 2 else ("", "")
        made = Shown(_text(kind, 40), _text(value, LARGEST), _text(document.get("printed"), TEXT))
        before = sum(len(each.value) + len(each.printed) for at, each in self.state.shown.items() if at != place)
        if before + len(made.value) + len(made.printed) > MOST_SHOWN:
            made = Shown("text/plain", "(this is left out: the notebook shows too much)")
        self.state.shown[place] = made

    def _still_there(self) -> None:
        """Raises Broken if the cell has ended the warm process, before another cell starts and is blamed for it."""
        try:
            self._answers.ping()
        except WarmFailed:
            raise _warm_gone() from None

    def _next(self, channel: Channel, warm: Warm, seconds: float) -> dict[str, Any] | None:
        """The next message of a child; None when there is none in time. Raises FrameError when it has ended."""
        until = time.monotonic() + max(0.0, seconds)
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([channel.fileno(), warm.control.fileno()], [], [], left)
            if channel.fileno() in ready:
                channel.settimeout(_FRAME)
                document, _ = channel.receive()
                if type(document) is not dict:
                    raise FrameError("not a message")
                return document
            if ready:
                try:
                    ended = warm.ended()
                except WarmFailed:
                    if warm is self._answers and self._current is not None:  # a cell has ended what it was forked from
                        raise _warm_gone() from None
                    raise
                if ended is not None:
                    self.state.cpu_seconds += ended.cpu_seconds
                    if warm is self._answers:
                        raise Broken(*_reason(ended))
                    raise FrameError("memory" if ended.memory else f"ended with {ended.code}")
        return None

    def _job_for_answers(self) -> dict[str, Any]:
        job = self._job
        document: dict[str, Any] = {
            "cells": job.answers.documents(), "skip": sorted(self._skip), "filename": job.filename,
            "text": job.answers.notebook.text, "limits": self._limits(), "careful": self._careful, "show": job.show,
        }  # fmt: skip
        if not job.isolate:
            todo = [place for place in job.check_places if place not in self.state.checks]
            names = sorted(job.wanted)
            document["together"] = self._job_for_checks(todo, names)
        return document

    def _limits(self) -> dict[str, Any]:
        limits = self._job.limits
        return {
            "cell_seconds": limits.cell_seconds, "total_seconds": limits.total_seconds, "memory_mb": limits.memory_mb,
            "processes": limits.processes if self._answers.contained else 0, "file_mb": limits.file_mb,
            "output_kb": limits.output_kb, "calls": limits.calls,
        }  # fmt: skip

    # the checks

    def _job_for_checks(self, todo: list[int], names: list[str]) -> dict[str, Any]:
        job = self._job
        policy = None if job.policy is None else {str(place): sorted(used) for place, used in job.policy.items()}
        return {
            "cells": job.checks.documents(job.check_places), "todo": todo, "names": names, "policy": policy,
            "left_out": sorted(self._left_out), "wanted": sorted(job.wanted), "tests": f"{WORK}/.tests.py",
            "filename": f"{WORK}/{job.filename}",
            "text": job.answers.dedented(), "limits": self._limits(),
        }  # fmt: skip

    def _check(self, answering: Channel, pending: list[int]) -> None:
        try:
            channel = Channel(self._checks.run(answering.fileno()), _MAX_FRAME)
        finally:
            answering.close()
        try:
            channel.send(self._job_for_checks(pending, sorted(self.state.names & self._job.wanted)))
            self._listen(channel, self._checks, pending)
        finally:
            channel.close()
            self._finish(self._checks)

    def _listen(self, channel: Channel, warm: Warm, pending: list[int]) -> None:
        """Read the results of the check cells until all are done, or a process must be replaced."""
        current: int | None = None
        helping: int | None = None
        wait = 2 * PATIENCE * self._job.limits.cell_seconds + 2 * _GRACE  # a check cell may run twice
        while True:
            seconds = min(wait, self._until - time.monotonic())
            try:
                document = self._next(channel, warm, seconds)
            except (Broken, FrameError, OSError) as error:
                stop = Stop("memory" if "memory" in str(error) else "gone", str(error))
                if helping is not None:
                    self._leave_out(helping, stop)
                elif current is not None or not self._job.isolate:
                    self._unchecked(current, pending, stop)
                return
            if document is None:
                self.state.out_of_time = self._over()
                stop = Stop("time", "the check ran too long")
                if helping is not None and not self.state.out_of_time:
                    self._leave_out(helping, stop)
                else:
                    self._unchecked(current, pending, stop)
                return
            if "end" in document:
                return
            if "start" in document:
                current = document["start"]
            elif "helping" in document:
                helping = document["helping"]
            elif "helper" in document:
                failure = _stop(document["failure"])
                if failure is not None:
                    self.state.helpers[document["helper"]] = failure
                if document["gone"]:
                    self._leave_out(document["helper"], failure or Stop("gone"))
                helping = None
            else:
                self.state.checks[document["check"]] = _check_cell(document)
                current = None
            if document.get("gone"):
                return

    def _leave_out(self, place: int, stop: Stop) -> None:
        """Leave out a cell of the instructor's in which a process was lost. Checks that need its names do not run."""
        self._left_out.add(place)
        self.state.helpers[place] = stop

    def _unchecked(self, current: int | None, pending: list[int], stop: Stop) -> None:
        place = current if current is not None else next((p for p in pending if p not in self.state.checks), None)
        if place is not None and place not in self.state.checks:
            self.state.checks[place] = CheckCell({}, stop)


def _reason(ended: Ended) -> tuple[str, str]:
    if ended.memory:
        return "memory", "the cell took more memory than it may"
    if ended.code == -9:
        return "ended", "the cell ended the program that runs it (or it ran out of memory)"
    if ended.code == -24:
        return "time", "the cell took more processor time than it may"
    if ended.code < 0:
        return "ended", f"the cell crashed the program that runs it (signal {-ended.code})"
    return "ended", "the cell ended the program that runs it (exit)"


def _stop(document: Any) -> Stop | None:
    if type(document) is not dict:
        return None
    return Stop(
        _text(document.get("kind"), 20), _text(document.get("text"), 2_000), _line(document.get("line")),
        _text(document.get("traceback"), 8_000), _line(document.get("student_line")),
    )  # fmt: skip


def _text(value: Any, limit: int) -> str:
    """A text from a submission, cut and valid as UTF-8; "" for anything else."""
    return value[:limit].encode(errors="replace").decode() if type(value) is str else ""


def _line(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < 10_000_000 else None


def _check_cell(document: dict[str, Any]) -> CheckCell:
    rows = {
        str(each["label"]): tuple(
            Row(holds is True, _text(message, 4_000), float(weight)) for holds, message, weight in each["rows"]
        )
        for each in document["results"]
    }
    limits = tuple((str(what), _text(detail, 500)) for what, detail in document["limits"])
    used = frozenset(map(str, document["used"]))
    return CheckCell(rows, _stop(document["failure"]), bool(document["unprotected"]), used, limits)
