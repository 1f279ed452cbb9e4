"""What an assignment says about its grading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mograder.domain.disclosure import Hidden

LIMITS = ("cell_seconds", "total_seconds", "memory_mb", "processes", "file_mb", "output_kb", "calls")
"""The names of limits; the units are in them."""


@dataclass(frozen=True)
class GradingRules:
    """When hidden tests are shown, whether checks run apart from answers, and limits that are not the usual ones."""

    hidden: Hidden = Hidden.NEVER
    isolate: bool = True
    limits: Mapping[str, float] = field(default_factory=dict)
