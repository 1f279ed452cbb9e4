"""The grading rules of an assignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mograder.domain import deadlines

LIMITS = ("cell_seconds", "total_seconds", "memory_mb", "processes", "file_mb", "output_kb", "calls")
"""The names of limits, with their units."""


class Hidden(StrEnum):
    """When students see titles and results of hidden tests."""

    NEVER = "never"
    AFTER_DUE = "after-due"
    AFTER_RELEASE = "after-release"

    def shown(self, now: int, due: int | None, released: bool) -> bool:
        """Whether students see them at `now`. `due` is the due time that applies; both are in Unix microseconds."""
        if self is Hidden.AFTER_RELEASE:
            return released
        return self is Hidden.AFTER_DUE and deadlines.is_over(due, now)


@dataclass(frozen=True)
class GradingRules:
    """When hidden tests are shown, whether checks run isolated from answers, and limits other than the usual ones."""

    hidden: Hidden = Hidden.NEVER
    isolate: bool = True
    limits: Mapping[str, float] = field(default_factory=dict)
