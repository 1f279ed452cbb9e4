"""Sample pages of a regrade."""

from __future__ import annotations

from msgspec.structs import replace

from mograder.domain.names import Username
from mograder.domain.regrading import Regraded, RegradePreview
from mograder.web.pages.page import Page
from mograder.web.pages.regrade import RegradePage
from tests.grading_samples import FAILED, HALF_RIGHT, LOOPING, TESTED, record
from tests.web.sample_parts import HOUR, LONG, NOW, SCRIPT, TASKS, TEACHER

OLD = record(tested=replace(TESTED, tests="0" * 64))
ROWS = (
    Regraded(1, Username("alice"), OLD, record(FAILED), "C", "B"),
    Regraded(2, Username("bob"), OLD, record(LOOPING), "C", "D"),
    Regraded(3, Username("carl"), None, record(replace(HALF_RIGHT, flaky=("Q1: value", SCRIPT, LONG))), "", "C"),
)
DONE = RegradePreview("r1", "v1", NOW - HOUR, True, 4, 0, ((Username("dora"), f"no sandbox: {SCRIPT}"),), ROWS)
RUNNING = replace(DONE, waiting=2, failed=(), rows=ROWS[:2])
AT_ONCE = replace(TASKS[0], rules=replace(TASKS[0].rules, release_at_once=True))

SAMPLES: dict[str, Page] = {
    "regrade": RegradePage(TEACHER, TASKS[0], None, done="3 new results are in force"),
    "regrade-running": RegradePage(TEACHER, TASKS[0], RUNNING),
    "regrade-done": RegradePage(TEACHER, TASKS[0], DONE, True),
    "regrade-at-once": RegradePage(TEACHER, AT_ONCE, DONE, True),
    "regrade-nothing": RegradePage(
        TEACHER, TASKS[0], replace(DONE, failed=(), rows=()), problem=f"another result came: {SCRIPT}"
    ),
}
