"""A student's pages in every state."""

from __future__ import annotations

from dataclasses import replace

from mograder.domain.names import Username
from mograder.web.pages import Page
from mograder.web.student_pages import Home
from tests.web.sample_parts import ALICE, HOSTILE, HOUR, LONG, NOW, RIGHT_TO_LEFT, SCRIPT, TASKS, assignment, work

WORKS = (
    work(TASKS[0], received=NOW - 210 * HOUR, grade="8.5"),
    work(TASKS[1], received=NOW - 29 * HOUR),
    work(TASKS[2], received=NOW - HOUR),
    work(TASKS[3]),
)
HARD_WORKS = (
    work(assignment("long", LONG, NOW + 700 * HOUR), received=NOW, grade="x" * 60),
    work(assignment("rtl", RIGHT_TO_LEFT)),
    work(assignment("script", SCRIPT), received=NOW - HOUR, grade=SCRIPT),
)

SAMPLES: dict[str, Page] = {
    "home": Home(ALICE, WORKS),
    "home-empty": Home(ALICE, ()),
    "home-hard": Home(replace(HOSTILE, user=Username("o" * 60)), HARD_WORKS),
}
