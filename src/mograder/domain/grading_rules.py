"""What an assignment says about its grading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mograder.domain import deadlines

LIMITS = ("cell_seconds", "total_seconds", "memory_mb", "processes", "file_mb", "output_kb", "calls")
"""The names of limits; the units are in them."""


class Hidden(StrEnum):
    """When students see titles and results of hidden tests."""

    NEVER = "never"
    AFTER_DUE = "after-due"
    AFTER_RELEASE = "after-release"

    def shown(self, now: int, due: int | None, released: bool) -> bool:
        """Whether they are seen at `now`; `due` is the time that applies to the student, in Unix microseconds."""
        if self is Hidden.AFTER_RELEASE:
            return released
        return self is Hidden.AFTER_DUE and deadlines.is_over(due, now)


@dataclass(frozen=True)
class GradingRules:
    """When hidden tests are shown, whether checks run apart from answers, and limits that are not the usual ones."""

    hidden: Hidden = Hidden.NEVER
    isolate: bool = True
    limits: Mapping[str, float] = field(default_factory=dict)
