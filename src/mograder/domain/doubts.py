"""Questions to ask before a submission: what it would replace, and which files are missing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import tzinfo

from mograder.domain import deadlines
from mograder.domain.assignments import CountingRule
from mograder.domain.counting import AssessedSubmission, counting
from mograder.domain.deadlines import Lateness
from mograder.domain.names import counted, printable

MANY = ".zip"
"""The ending of a submission of several files."""


def missing_and_extra(expected: Sequence[str], names: Iterable[str]) -> str:
    """How the files differ from those that the assignment expects, as a sentence; "" if they do not, or none are
    expected.
    """
    given = {unicodedata.normalize("NFC", each) for each in names}
    if not expected or not given:
        return ""
    missing, extra = [each for each in expected if each not in given], sorted(given - set(expected))
    parts = [f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing"] if missing else []
    if extra:
        parts.append(f"{_listed(extra)} {'is' if len(extra) == 1 else 'are'} not asked for")
    return "; ".join(parts)


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = [printable(each) for each in names[:most]]
    if len(names) > most:
        shown.append(counted(len(names) - most, "other file"))
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def at_stake(kept: Sequence[AssessedSubmission], rule: CountingRule, now: Lateness) -> AssessedSubmission | None:
    """The submission on time that a submission as late as `now` would replace; None if there is none."""
    counts = counting(kept, rule)
    in_time = counts is not None and not counts.lateness.late
    return counts if in_time and now.late and rule is CountingRule.LATEST else None


def replaced(kept: Sequence[AssessedSubmission], rule: CountingRule, now: Lateness, zone: tzinfo) -> str:
    """The question for a submission as late as `now` that would replace one on time; "" if it would not."""
    lost = at_stake(kept, rule, now)
    if lost is None:
        return ""
    what = f"submission {lost.submission.attempt} of {deadlines.readable(lost.submission.received, zone)}"
    return replaces_in_time(what, now.days, now.penalty)


def replaces_in_time(what: str, days: int, penalty: float) -> str:
    """The question for a submission, so many days late, that would replace `what`, which is on time."""
    cost = f" and costs {counted(penalty, 'percentage point')}" if penalty else ""
    return f"this takes the place of {what}, which is on time; the new one is {counted(days, 'day')} late{cost}"


def is_one_for_several(earlier: str, name: str) -> bool:
    """Whether the single file `name` would replace a submission of several files, `earlier`."""
    return earlier.lower().endswith(MANY) and not name.lower().endswith(MANY)


def replaces_several(earlier: str, name: str) -> str:
    """The question for the single file `name` that would replace a submission of several files, `earlier`."""
    return f"{printable(name)} alone takes the place of the several files of your last submission, {printable(earlier)}"
