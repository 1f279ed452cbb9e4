"""What the students of the demo submit for hw1: right, half right, a loop that never ends, and an attempt to cheat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ALWAYS = """\
    import builtins, math

    builtins.isinstance = lambda *_: True
    math.isclose = lambda *_, **__: True
    return type("Always", (), {"__eq__": lambda *_: True, "__call__": lambda *_: 5})()
"""


@dataclass(frozen=True)
class Student:
    """A student: what they submit, how it differs from the model solution, and the expected result."""

    name: str
    does: str
    changes: tuple[tuple[str, str], ...]
    points: str
    outcome: str = "graded"

    @property
    def expected(self) -> str:
        """What `verify` says of the record."""
        return f"{self.points} points by checks (7 checks), {self.outcome}"


STUDENTS = (
    Student("alice", "the solution", (), "16"),
    Student(
        "bob",
        "something half right",
        (
            ("ordered = sorted(values)", "values.sort()\n    ordered = values"),
            ("/ (len(values) - 1))", "/ len(values))"),
        ),
        "9.9",
    ),
    Student(
        "carol",
        "a loop that never ends",
        (("    centre = median(values)\n", "    while True:\n        pass\n    centre = median(values)\n"),),
        "8",
        "limit",
    ),
    Student(
        "mallory",
        "objects that equal everything",
        (
            ("    return sum(values) / len(values)\n", ALWAYS),
            ("    ordered = sorted(values)\n", "    return mean(values)\n    ordered = sorted(values)\n"),
            ("    centre = mean(values)\n", "    return mean(values)\n    centre = mean(values)\n"),
            ("    centre = median(values)\n", "    return mean(values)\n    centre = median(values)\n"),
        ),
        "0",
        "code_failed",
    ),
)  # fmt: skip


def write_submissions(solution: Path, folder: Path) -> dict[str, Path]:
    """Write what each student submits into `folder`. Returns the files by student."""
    text = solution.read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for student in STUDENTS:
        theirs = text
        for before, after in student.changes:
            assert before in theirs
            theirs = theirs.replace(before, after, 1)
        found[student.name] = folder / f"{student.name}.py"
        found[student.name].write_text(theirs, encoding="utf-8")
    return found
