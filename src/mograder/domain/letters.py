"""Letters for marks, by a scale that the course may set."""

from __future__ import annotations

from dataclasses import dataclass

from mograder.domain.names import printable

NEAR = 1e-9
"""A mark that misses a letter by less than this was rounded there."""


@dataclass(frozen=True)
class LetterScale:
    """Letters with the least per cent of the points for each, sorted from the highest. Raises ValueError.

    A mark below the lowest has no letter.
    """

    steps: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for letter, percent in self.steps:
            if not letter.strip() or printable(letter) != letter:
                raise ValueError(f"{printable(letter)!r} is no letter: write something such as A or 1.3")
            if not 0 <= percent <= 100:
                raise ValueError(f"{letter} is from {percent:g} %: give 0 to 100")
        percents = [percent for _, percent in self.steps]
        if len(set(percents)) < len(percents):
            raise ValueError("two letters begin at the same percentage: which one is given?")
        object.__setattr__(self, "steps", tuple(sorted(self.steps, key=lambda each: -each[1])))

    def letter(self, points: float | None, available: float) -> str:
        """The letter for `points` of `available`, "" for none."""
        if points is None or available <= 0:
            return ""
        percent = 100 * points / available + NEAR
        return next((letter for letter, least in self.steps if percent >= least), "")
