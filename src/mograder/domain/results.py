"""The results of running one submission: checks, failed cells, limits. `marks` computes totals from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Outcome(StrEnum):
    """The outcome of a grading."""

    GRADED = "graded"
    CODE_FAILED = "code_failed"  # a cell of the student's, or the whole file, could not be run
    LIMIT = "limit"  # time, memory, output, …; the rest is graded
    OUR_FAILURE = "our_failure"  # the grader failed: tried again, then shown to the instructor; never 0 points


class CheckStatus(StrEnum):
    """The outcome of one check, as marimo callouts show it."""

    SUCCESS = "success"
    PARTIAL = "partial"
    DANGER = "danger"
    WARN = "warn"  # there is nothing to check yet
    NOT_RUN = "not_run"  # something that it needs is missing


@dataclass(frozen=True)
class CheckResult:
    """The result of one check. `messages` are those of failed conditions; weights are sums over all conditions.

    `unprotected`: the result relies on a comparison that one of the student's classes defines. `told` are the messages
    for the student, None if they are the same.
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
    """A cell that raised. `line` is that in the submitted file (1-based); `traceback` has only the student's cells."""

    cell: str
    line: int | None
    error: str
    traceback: str = ""


@dataclass(frozen=True)
class LimitReached:
    """A limit that was reached.

    `what` is time, memory, output, processes, calls or size; `where` is a cell or a question.
    """

    what: str
    where: str
    line: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class RunReport:
    """One run of one submission against one version of the tests.

    `changed_cells` names the instructor's cells that the submission changed, removed or duplicated. `isolated` is False
    if the checks ran in the same process as the answers. Times are in seconds. `error` says why the grader failed.
    `flaky` are the labels of checks whose results differed in two runs; the better result is kept.
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
    """One report of two runs of a submission: the better result of each check, with the differing ones in `flaky`.

    The student is not responsible for differences between runs.
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
