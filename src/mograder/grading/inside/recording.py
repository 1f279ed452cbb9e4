"""`mograder.runtime` as notebooks see it while they are graded: what `check` is told is recorded for who listens.

The semantics are those of the published runtime: (condition, message) or (condition, message, weight) a row; an empty
list means that there is nothing to check yet.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Condition:
    holds: bool
    message: str
    weight: float


Listener = Callable[[str, tuple[Condition, ...]], None]


class Shown:
    """What a check cell shows: nothing, since nobody looks."""

    def _mime_(self) -> tuple[str, str]:
        return ("text/plain", "")

    def __bool__(self) -> bool:
        return True


def install(listener: Listener) -> None:
    """Makes `from mograder.runtime import …` give functions that tell `listener`."""

    def check(label: str, checks: Sequence[Sequence[Any]] = (), **options: Any) -> Shown:
        listener(str(label), tuple(map(_condition, checks)))
        return Shown()

    class Grader:
        def __init__(self, *arguments: Any) -> None:
            marks = next((each for each in arguments if isinstance(each, Mapping)), {})
            self.marks = dict(marks)

        def check(self, label: str, checks: Sequence[Sequence[Any]] = (), **options: Any) -> Shown:
            return check(label, checks)

        def scores(self) -> Shown:
            return Shown()

    def hint(*texts: str) -> Shown:
        return Shown()

    def word_count(text: str, *arguments: Any, **options: Any) -> int:
        return len(re.findall(r"\S+", text))

    package = types.ModuleType("mograder")
    package.__path__ = []
    runtime = types.ModuleType("mograder.runtime")
    vars(runtime).update(check=check, Grader=Grader, hint=hint, word_count=word_count)
    vars(package)["runtime"] = runtime
    sys.modules["mograder"] = package
    sys.modules["mograder.runtime"] = runtime


def _condition(row: Sequence[Any]) -> Condition:
    condition, message = row[0], row[1] if len(row) > 1 else ""
    weight = float(row[2]) if len(row) > 2 else 1.0
    return Condition(bool(condition), str(message), weight)
