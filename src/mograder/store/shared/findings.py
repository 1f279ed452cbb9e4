"""Findings: what is wrong in a course, where, and how to mend it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

SECOND_LOOK = 0.5
"""Seconds before a second look: a running server finishes a submission within this time."""


class Severity(StrEnum):
    ERROR = "error"  # something is lost, unsafe, or does not work
    WARNING = "warning"  # it works, and somebody should look at it
    NOTE = "note"  # good to know


Repair = Callable[[], str]
"""Mends one finding and returns what it did, for people."""


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and how to mend it. `repair` mends it, if that is safe."""

    severity: Severity
    what: str
    where: str
    mend: str
    repair: Repair | None = field(default=None, compare=False, repr=False)


Findings = Iterator[Finding]


def error(what: str, where: object, mend: str, repair: Repair | None = None) -> Finding:
    return Finding(Severity.ERROR, what, str(where), mend, repair)


def warning(what: str, where: object, mend: str, repair: Repair | None = None) -> Finding:
    return Finding(Severity.WARNING, what, str(where), mend, repair)


def note(what: str, where: object, mend: str, repair: Repair | None = None) -> Finding:
    return Finding(Severity.NOTE, what, str(where), mend, repair)


def lasting(look: Callable[[], Findings]) -> list[Finding]:
    """What `look` finds, worst first. Unless all are notes, it must be found twice: a server may be between two steps
    of a submission.
    """
    found = list(look())
    if any(each.severity is not Severity.NOTE for each in found):
        time.sleep(SECOND_LOOK)
        again = list(look())
        found = [each for each in again if each in found]
    order = list(Severity)
    return sorted(dict.fromkeys(found), key=lambda each: order.index(each.severity))
