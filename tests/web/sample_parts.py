"""Parts of the sample pages: people, assignments and difficult texts."""

from __future__ import annotations

from msgspec.structs import replace

from mograder.domain.assignments import Assignment, Rules
from mograder.domain.deadlines import Schedule
from mograder.domain.names import INSTRUCTOR, AssignmentName, Username
from mograder.domain.receipts import Submission
from mograder.web.pages.page import Frame

NOW = 1_773_144_000_000_000
"""2026-03-10T12:00:00Z, in Unix microseconds."""
HOUR = 3600 * 1_000_000

SCRIPT = "<script>document.title='taken'</script>"
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft " * 2
RIGHT_TO_LEFT = "מבוא למדעי המחשב"

KEY = "W2kqT4ZrX1gqk0m8y1yCw5a3dCwJq0bq7o2c9v6bQ4s"
"""The fingerprint of a key."""

NOBODY = Frame("Programming for physicists", NOW, "/course")
ALICE = replace(NOBODY, user=Username("alice"))
TEACHER = replace(NOBODY, user=INSTRUCTOR, is_instructor=True)
HOSTILE = replace(ALICE, course=SCRIPT)


def assignment(name: str, title: str = "", due: int | None = NOW, points: float | None = 10) -> Assignment:
    return Assignment(AssignmentName(name), name, rules=Rules(title, Schedule(due=due), points=points))


def work(task: Assignment, user: str, received: int) -> Submission:
    name, due = Username(user), task.rules.schedule.due
    late = due is not None and received > due
    return Submission(name, task.name, 1, f"{user}_20260310T100000.py", "0" * 64, 2048, received, name, late, due)


TASKS = (
    assignment("hw1", "Variables and functions", NOW - 200 * HOUR),
    assignment("hw2", "Loops", NOW - 30 * HOUR),
    assignment("hw3", "Plotting", NOW + 5 * HOUR),
    assignment("project", "", None, None),
)
