"""The example's hw1, solved in many styles: right and wrong answers to each exercise, and what they must earn."""

# ruff: noqa: E501  (its table is notebooks' code)

from __future__ import annotations

import itertools
import textwrap
from dataclasses import dataclass
from importlib import resources

from mograder.notebook.cells import parse
from mograder.notebook.marks import HIDDEN_COMMENT, BlockKind, find_blocks
from mograder.notebook.release import make_release
from mograder.notebook.source import read_source


@dataclass(frozen=True)
class Answer:
    """The code of an answer, and the points that it earns."""

    points: float
    code: str


ANSWERS = (
    (
        Answer(2, "return sum(values) / len(values)"),
        Answer(2, "total = 0.0\nfor value in values:\n    total += value\nreturn total / len(values)"),
        Answer(2, "return math.fsum(values) / len(values)"),
    ),
    (
        Answer(3, "s = sorted(values)\nn = len(s)\nreturn s[n // 2] if n % 2 else (s[n // 2 - 1] + s[n // 2]) / 2"),
        Answer(3, "values = list(values)\nvalues.sort()\nm = len(values) // 2\nreturn (values[m] + values[~m]) / 2"),
    ),
    (
        Answer(3, "m = mean(values)\nreturn math.sqrt(sum((v - m) ** 2 for v in values) / (len(values) - 1))"),
        Answer(0.8, "m = mean(values)\nreturn (sum((v - m) ** 2 for v in values) / len(values)) ** 0.5"),
        Answer(3, "m = mean(values)\nsquares = [(v - m) ** 2 for v in values]\nreturn (sum(squares) / (len(squares) - 1)) ** 0.5"),
    ),
    (
        Answer(4, "m = median(values)\nd = median([abs(v - m) for v in values])\nreturn [v for v in values if abs(v - m) > k * 1.4826 * d]"),
        Answer(0.7, "return []"),
        Answer(4, "m = median(values)\nd = 1.4826 * median([abs(v - m) for v in values])\nreturn list(filter(lambda v: not m - k * d <= v <= m + k * d, values))"),
    ),
    (
        Answer(4, "kept = [t for t in timings if t > 19]\nperiod = sum(kept) / len(kept) / 10\n"
                  "period_error = statistics.stdev(kept) / math.sqrt(len(kept)) / 10\n"
                  "gravity = 4 * math.pi**2 * length / period**2\ngravity_error = 2 * gravity * period_error / period"),
        Answer(0, "kept = period = period_error = gravity = gravity_error = ..."),
    ),
    (Answer(0, 'response_text = "It agrees."'), Answer(0, "pass")),
)  # fmt: skip


@dataclass(frozen=True)
class Submission:
    """`points` are those of the checks, without the question that a person marks."""

    text: str
    points: float


def source_text() -> str:
    """The example's source."""
    return (resources.files("mograder") / "example" / "source" / "hw1" / "hw1.py").read_text(encoding="utf-8")


def release_text() -> str:
    """What students get."""
    return make_release(read_source(source_text(), "hw1")).text


def class_of(size: int) -> list[Submission]:
    """Every student another mixture of styles, as far as there are others."""
    mixtures = list(itertools.product(*ANSWERS))
    step = 37  # has no factor in common with their number, so that neighbours differ in many answers
    return [_solved(mixtures[number * step % len(mixtures)]) for number in range(size)]


def _solved(chosen: tuple[Answer, ...]) -> Submission:
    text = source_text()
    blocks, _ = find_blocks(parse(text))
    lines, answers = text.split("\n"), list(chosen)
    for block in reversed(blocks):
        hidden = block.kind is BlockKind.HIDDEN_TESTS
        code = HIDDEN_COMMENT if hidden else answers.pop().code
        first = lines[block.begin - 1]
        indent = first[: len(first) - len(first.lstrip())]
        lines[block.begin - 1 : block.end] = textwrap.indent(code, indent).split("\n")
    return Submission("\n".join(lines), round(sum(each.points for each in chosen), 1))
