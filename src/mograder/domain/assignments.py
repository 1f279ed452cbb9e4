"""What the course is made of: the plan that a lecturer writes and the assignments that students see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mograder.domain.deadlines import Schedule
from mograder.domain.names import AssignmentName, FileName


@dataclass(frozen=True)
class HandOut:
    """One file that students download. `url` is set when it lives elsewhere (object storage, a CDN)."""

    name: FileName
    size: int | None = None
    sha256: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Rules:
    """What the plan says about one assignment; None or empty where it says nothing."""

    title: str = ""
    schedule: Schedule = field(default_factory=Schedule)
    max_size: int | None = None  # bytes
    accepts: tuple[str, ...] = ()  # file endings, lower case with the dot: (".py", ".zip")
    points: float | None = None


@dataclass(frozen=True)
class Assignment:
    """One assignment. `entry` holds the keys of a manifest's own entry, passed on whole, or nothing."""

    name: AssignmentName
    id: str
    files: tuple[HandOut, ...] = ()
    rules: Rules = field(default_factory=Rules)
    entry: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Plan:
    """What the course's mograder.toml says about the course. `url` is where students reach it, "" if unsaid.

    `enrollment_code` "" means that it says none.
    """

    title: str = ""
    url: str = ""
    rules: Mapping[AssignmentName, Rules] = field(default_factory=dict)
    enrollment_code: str = ""


def find_assignment(known: tuple[Assignment, ...], text: str) -> Assignment | None:
    """The assignment called `text`, else the one whose id is `text`, else None."""
    by_name = next((each for each in known if each.name == text), None)
    return by_name or next((each for each in known if each.id == text), None)
