"""Makes the report of a run: each check, each failed cell, each limit, in words that a student understands."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from mograder.domain.results import CellFailure, CheckResult, CheckStatus, LimitReached, Outcome, RunReport
from mograder.grading.limits import Limits, Tests
from mograder.grading.passes import CheckPlan
from mograder.grading.plan import Plan
from mograder.grading.run import CheckCell, Row, RunState, Stop
from mograder.notebook.marks import check_calls, check_names, key_of

_LIMITS = ("time", "memory", "output", "processes", "calls", "size")


class Model(Struct, frozen=True):
    """What the model solution does, by the place of the check cell: weights by label, and how its objects are used."""

    labels: Mapping[int, Mapping[str, float]]
    policy: Mapping[int, frozenset[str]]


def model_of(state: RunState, checks: Plan) -> Model:
    """The model by a run of the solution. A label in a check cell that the run did not finish has the weight 1."""
    labels: dict[int, dict[str, float]] = {}
    graders = check_names(checks.notebook.text)
    for place in checks.order:
        calls = check_calls(checks.notebook.cells[place].code, graders)
        labels[place] = {call.label: 1.0 for call in calls if call.label is not None}
        if place in state.checks:
            rows = state.checks[place].rows
            labels[place] |= {label: sum(row.weight for row in each) for label, each in rows.items() if each}
    return Model(labels, {place: cell.used for place, cell in state.checks.items()})


def unreadable(reason: str, line: int | None, filename: str) -> RunReport:
    """The report on a file that is no notebook."""
    return RunReport(Outcome.CODE_FAILED, failures=(CellFailure(filename, line, reason),))


def our_failure(error: str) -> RunReport:
    return RunReport(Outcome.OUR_FAILURE, error=error)


def compose(tests: Tests, model: Model, state: RunState, answers: Plan, checks: CheckPlan) -> RunReport:
    """The report of a run, to which the caller adds `changed_cells` and times."""
    writer = _Writer(tests, model, state, answers, checks)
    results = writer.checks()
    failures = (*answers.failures, *writer.failures())
    limits = tuple(dict.fromkeys(writer.limits))
    outcome = Outcome.LIMIT if limits else Outcome.CODE_FAILED if failures else Outcome.GRADED
    return RunReport(outcome, results, failures, limits, isolated=tests.isolate)


class _Writer:
    def __init__(self, tests: Tests, model: Model, state: RunState, answers: Plan, checks: CheckPlan) -> None:
        self._tests = tests
        self._model = model
        self._state = state
        self._answers = answers
        self._checks = checks.plan
        self._again = checks.again
        self.limits: list[LimitReached] = []

    def failures(self) -> list[CellFailure]:
        """Cells of the student's that raised; what a limit stopped goes to `limits`."""
        found = []
        for place in self._answers.order:
            stop = self._state.cells.get(place)
            if stop is None or stop.kind in ("stopped", "absent"):
                continue
            name = self._answers.title(place)
            line = stop.line or self._answers.notebook.cells[place].line
            if stop.kind in _LIMITS:
                self.limits.append(LimitReached(stop.kind, name, line, _limit_text(stop, self._tests.limits)))
            else:
                found.append(CellFailure(name, line, stop.text, stop.traceback))
        if self._state.out_of_time:
            text = f"the notebook took longer than {self._tests.limits.total_seconds:g} s in all"
            self.limits.append(LimitReached("time", "the notebook", None, text))
        return found

    def checks(self) -> tuple[CheckResult, ...]:
        found: dict[str, CheckResult] = {}
        for place in self._checks.order:
            cell = self._state.checks.get(place)
            expected = self._model.labels.get(place, {})
            labels = dict.fromkeys([*expected, *(cell.rows if cell else ())])
            labels = dict.fromkeys(label for label in labels if self._counts(label, place))
            for label in labels:
                found[label] = self._check(label, cell, expected.get(label, 1.0))
            if cell is not None:
                self._limits_of(cell, labels)
        for question in self._tests.source.questions:
            for label in question.labels:
                if label not in found:
                    found[label] = self._result(
                        label, CheckStatus.NOT_RUN, ("this check did not run",), 0.0, 1.0, False
                    )
        return tuple(found.values())

    def _counts(self, label: str, place: int) -> bool:
        """Whether this cell gives the result of a check. A cell that runs in both passes gives its visible checks in
        the first, and its hidden ones in the second.
        """
        hidden = label in self._tests.source.hidden
        if place in self._again:
            return hidden or label not in self._model.labels.get(self._again[place], {})
        return not hidden or place not in self._again.values()

    def _check(self, label: str, cell: CheckCell | None, total: float) -> CheckResult:
        rows = cell.rows.get(label) if cell is not None else None
        stop = cell.stop if cell is not None else Stop("time" if self._state.out_of_time else "gone")
        unprotected = cell is not None and cell.unprotected
        if rows is None:
            status, text = self._missing(stop)
            return self._result(label, status, (text,) if text else (), 0.0, total, unprotected)
        if not rows:
            return self._result(label, CheckStatus.WARN, (), 0.0, total, unprotected)
        return self._recorded(label, rows, unprotected)

    def _recorded(self, label: str, rows: tuple[Row, ...], unprotected: bool) -> CheckResult:
        weight = sum(row.weight for row in rows)
        earned = sum(row.weight for row in rows if row.holds)
        messages = tuple(row.message for row in rows if not row.holds)
        status = CheckStatus.SUCCESS if not messages else CheckStatus.PARTIAL if earned > 0 else CheckStatus.DANGER
        return self._result(label, status, messages, earned, weight, unprotected)

    def _result(
        self, label: str, status: CheckStatus, messages: tuple[str, ...], earned: float, total: float, unprotected: bool
    ) -> CheckResult:
        key = key_of(label)
        hidden = label in self._tests.source.hidden
        return CheckResult(label, key, hidden, status, messages, earned, total, unprotected)

    def _missing(self, stop: Stop | None) -> tuple[CheckStatus, str]:
        """Why a check has no result."""
        if stop is None:
            return CheckStatus.NOT_RUN, "this check did not run"
        if stop.kind == "stopped":
            return CheckStatus.WARN, ""
        if stop.kind == "absent":
            return CheckStatus.NOT_RUN, self._absent(stop.text)
        if stop.kind == "gone":
            return CheckStatus.DANGER, "your code ended the program while this check ran"
        if stop.kind in _LIMITS:
            return CheckStatus.DANGER, _limit_text(stop, self._tests.limits)
        number = self._student_line(stop)
        line = "" if number is None else f" (your line {number})"
        return CheckStatus.DANGER, f"{stop.text}{line}"

    def _student_line(self, stop: Stop) -> int | None:
        """The line that the submission reports, None if it has no such line: another number could carry a message."""
        line, lines = stop.student_line, self._answers.notebook.text.count("\n") + 1
        return line if line is not None and line <= lines else None

    def _absent(self, names: str) -> str:
        """A text that says which name is not there, and which cell of the student's should have defined it."""
        for name in names.split(", "):
            for place, stop in self._state.helpers.items():
                if name in self._checks.notebook.cells[place].defs and stop.kind in ("gone", *_LIMITS):
                    gone = stop.kind == "gone"
                    what = "ended the program" if gone else _limit_text(stop, self._tests.limits)
                    return f"`{name}` is not there: your code, which the cell that makes it calls, {what}"
            for place, cell in enumerate(self._answers.notebook.cells):
                if name in cell.defs:
                    reason = "did not run to its end" if place in self._state.cells else "did not run"
                    return f"`{name}` is not there: the cell in line {cell.line} {reason}"
        return f"`{names.split(', ')[0]}` is not there: no cell defines it"

    def _limits_of(self, cell: CheckCell, labels: Mapping[str, None]) -> None:
        where = ", ".join(dict.fromkeys(key_of(label) for label in labels)) or "a check"
        if cell.stop is not None and cell.stop.kind in _LIMITS:
            text = _limit_text(cell.stop, self._tests.limits)
            self.limits.append(LimitReached(cell.stop.kind, where, self._student_line(cell.stop), text))
        for what, detail in cell.limits:
            if cell.stop is None or cell.stop.kind != what:
                stop = Stop(what, detail)
                self.limits.append(LimitReached(what, where, None, _limit_text(stop, self._tests.limits)))


def _limit_text(stop: Stop, limits: Limits) -> str:
    return {
        "time": f"took longer than {limits.cell_seconds:g} s: is there a loop that never ends?",
        "memory": f"took more than {limits.memory_mb} MB of memory",
        "output": f"printed more than {limits.output_kb} kB",
        "processes": f"started more than {limits.processes} processes or threads",
        "calls": f"the checks had to ask more than {limits.calls} times: is there a generator that never ends?",
        "size": f"gives too large a value: {stop.text}",
    }[stop.kind]
