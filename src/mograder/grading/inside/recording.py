"""`mograder.runtime` as notebooks see it while they are graded: it passes what `check` is told to a listener.

The semantics are those of the published runtime: a row is (condition, message) or (condition, message, weight); an
empty list means that there is nothing to check yet.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Condition:
    """One row of a check."""

    holds: bool
    message: str
    weight: float


Rows = Iterable[Sequence[Any]] | None
Listener = Callable[[str, tuple[Condition, ...]], None]


class Shown:
    """What a check cell shows: nothing, since nobody looks."""

    def _mime_(self) -> tuple[str, str]:
        return ("text/plain", "")

    def __bool__(self) -> bool:
        return True


def install(listener: Listener) -> None:
    """Makes `from mograder.runtime import …` give functions that call `listener`."""

    def check(label: str, checks: Rows = None) -> Shown:
        listener(str(label), tuple(map(_condition, checks or ())))
        return Shown()

    class Grader:
        def __init__(self, *arguments: Any, marks: Mapping[str, float] | None = None) -> None:
            given = next((each for each in (*arguments, marks) if isinstance(each, Mapping)), {})
            self.marks = dict(given)

        def check(self, label: str, checks: Rows = None) -> Shown:
            return check(label, checks)

        def scores(self) -> Shown:
            return Shown()

    def nothing(*arguments: Any, **options: Any) -> Shown:
        return Shown()

    package = types.ModuleType("mograder")
    package.__path__ = []
    runtime = types.ModuleType("mograder.runtime")
    vars(runtime).update(check=check, Grader=Grader, hint=nothing, word_count=nothing, submit=nothing)
    vars(package)["runtime"] = runtime
    sys.modules["mograder"] = package
    sys.modules["mograder.runtime"] = runtime


def _condition(row: Sequence[Any]) -> Condition:
    condition, message, *rest = row
    if len(rest) > 1:
        raise ValueError(f"a condition has a message and at most a weight, not {len(row)} parts")
    weight = float(rest[0]) if rest else 1.0
    return Condition(bool(condition), str(message), weight)
