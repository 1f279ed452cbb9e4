"""What came of running one submission: checks, failed cells, limits. Values only; totals are in `marks`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Outcome(StrEnum):
    """How a grading ends; exactly one of these."""

    GRADED = "graded"
    CODE_FAILED = "code_failed"  # a cell of the student's, or the whole file, could not be run
    LIMIT = "limit"  # time, memory, output, …; the rest is graded
    OUR_FAILURE = "our_failure"  # ours: tried again, then shown to the instructor; never a zero


class CheckStatus(StrEnum):
    """The outcome of one check, as marimo callouts show it."""

    SUCCESS = "success"
    PARTIAL = "partial"
    DANGER = "danger"
    WARN = "warn"  # waiting: nothing to check yet
    NOT_RUN = "not_run"  # what it needs is not there


@dataclass(frozen=True)
class CheckResult:
    """One check. `messages` are those of the conditions that failed; weights are sums over its conditions.

    `unprotected`: the result rests on a comparison that a class of the student's defines. `told` is what its student
    reads in the place of `messages`, None for the same.
    """

    label: str
    key: str
    hidden: bool
    status: CheckStatus
    messages: tuple[str, ...] = ()
    earned_weight: float = 0.0
    total_weight: float = 0.0
    unprotected: bool = False
    told: tuple[str, ...] | None = None


@dataclass(frozen=True)
class CellFailure:
    """A cell that raised. `line` is that in the submitted file (1-based); `traceback` is cut to the student's cells."""

    cell: str
    line: int | None
    error: str
    traceback: str = ""


@dataclass(frozen=True)
class LimitReached:
    """A limit that was reached.

    `what` is time, memory, output, processes, calls or size; `where` a cell or a question.
    """

    what: str
    where: str
    line: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class RunReport:
    """One run of one submission against one version of the tests.

    `changed_cells` names instructor's cells that the submission changed, removed or doubled. `isolated` is False where
    the checks ran beside the answers. Times are seconds. `error` says what went wrong when the outcome is our failure.
    `flaky` are the labels of checks that came out differently when the submission ran twice: the better one is kept.
    """

    outcome: Outcome
    checks: tuple[CheckResult, ...] = ()
    failures: tuple[CellFailure, ...] = ()
    limits: tuple[LimitReached, ...] = ()
    changed_cells: tuple[str, ...] = ()
    isolated: bool = True
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    error: str = ""
    flaky: tuple[str, ...] = ()


def better_of(first: RunReport, second: RunReport) -> RunReport:
    """One report of two runs of the same: of each check what came out better, and `flaky` names where they differ.

    What differs between two runs is not the student's to answer for.
    """
    if Outcome.OUR_FAILURE in (first.outcome, second.outcome):
        return second if first.outcome is Outcome.OUR_FAILURE else first
    again = {each.label: each for each in second.checks}
    kept = tuple(max((each, again.get(each.label, each)), key=_share) for each in first.checks)
    flaky = tuple(each.label for each in first.checks if _share(again.get(each.label, each)) != _share(each))
    base = second if len(second.failures) + len(second.limits) < len(first.failures) + len(first.limits) else first
    return replace(base, checks=kept, flaky=flaky)


def _share(check: CheckResult) -> float:
    if check.total_weight:
        return check.earned_weight / check.total_weight
    return float(check.status is CheckStatus.SUCCESS)
