"""Sample pages of a student in every state."""

from __future__ import annotations

from msgspec.structs import asdict, replace

from mograder.domain import deadlines
from mograder.domain.allowance import AttemptsLeft
from mograder.domain.assignments import USUALLY_ACCEPTED, Assignment, CountingRule, ReleaseFile, ResultsShown
from mograder.domain.counting import AssessedSubmission, counting
from mograder.domain.deadlines import UTC, Penalties, Schedule
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.grading_results import GradingState, Progress
from mograder.domain.mark_release import Released, ReleasedQuestion, ShownMark
from mograder.domain.marking import Request
from mograder.domain.names import INSTRUCTOR, AssignmentName, FileName, Username
from mograder.domain.receipts import Receipt, Submission
from mograder.domain.release import Upcoming
from mograder.domain.standings import Standing
from mograder.web.pages.page import Frame, Page
from mograder.web.pages.student import Home, Mine, MyAssignment, MyReceipts, NotOpen, WorkFile
from tests.web.sample_parts import ALICE, HOSTILE, HOUR, KEY, LONG, NOW, RIGHT_TO_LEFT, SCRIPT, TASKS, assignment

PENALTIES = Penalties(enabled=True)
DAY = 24 * HOUR
MIB = 1024 * 1024


def kept(
    task: Assignment, due: int | None, *moments: int, user: str = "alice", by: str = ""
) -> tuple[AssessedSubmission, ...]:
    found = []
    for attempt, moment in enumerate(moments, 1):
        filename = f"{user}_{deadlines.stamp(moment)}.py"
        taken = Submission(
            Username(user), task.name, attempt, filename, (f"{attempt:x}a" * 32)[:64], 2048 * attempt, moment,
            Username(by or user),
        )  # fmt: skip
        late = deadlines.lateness(due, moment, PENALTIES, UTC)
        found.append(AssessedSubmission(Receipt(attempt, "", taken, "signed"), late))
    return tuple(found)


def mine(
    task: Assignment, *moments: int, grade: str | None = None, said: str = "", page: bool = False,
    extension: Extension | None = None, rule: CountingRule = CountingRule.LATEST, fetched: bool = False, user: str =
    "alice", by: str = "",
) -> Mine:  # fmt: skip
    schedule = task.rules.schedule.extended(extension.until if extension else None)
    all_kept = kept(task, schedule.due, *moments, user=user, by=by)
    entry = GradeEntry({"username": user, "grade": grade, "feedback": said}) if grade is not None or said else None
    return Mine(task, Standing(
        bool(moments), entry, page, schedule, extension, all_kept, counting(all_kept, rule), rule, fetched
    ))  # fmt: skip


def files(*names: str, editors: tuple[tuple[str, str], ...] = ()) -> tuple[WorkFile, ...]:
    return tuple(
        WorkFile(ReleaseFile(FileName(name), 2048, "1a" * 32), ("hw1", name), editors if name.endswith(".py") else ())
        for name in names
    )


def task_page(
    found: Mine, given: tuple[WorkFile, ...] = files("homework.py"), frame: Frame = ALICE, zone: str = "Europe/Berlin"
) -> MyAssignment:
    now_late = deadlines.lateness(found.due, NOW, PENALTIES, UTC)
    return MyAssignment(frame, found, given, 100 * MIB, USUALLY_ACCEPTED, PENALTIES, zone, now_late)


LIMIT = (
    "you have submitted 240 times within an hour, which is the limit: your submissions are safe; the next is "
    "taken in 12 minutes"
)


def extension(name: str, until: int | None, wanted: int | None = None, declined: bool = False) -> Extension:
    return Extension(AssignmentName(name), Username("alice"), until, "get well soon", wanted, "ill", declined)


WORKS = (
    mine(TASKS[0], NOW - 210 * HOUR, grade="8.5", said="Well done.", page=True),
    mine(TASKS[1], NOW - 29 * HOUR),
    mine(TASKS[2], NOW - HOUR),
    mine(assignment("hw4", "Recursion", NOW + 170 * HOUR), fetched=True),
    mine(TASKS[3]),
)
MANY = tuple(
    mine(assignment(f"hw{number:02}", f"Exercise sheet {number}", NOW - (12 - number) * 7 * DAY),
         *([NOW - (12 - number) * 7 * DAY - HOUR] if number < 12 else []), grade="9" if number < 10 else None)
    for number in range(1, 25)
)  # fmt: skip
OFTEN = range(NOW - 60 * HOUR, NOW, HOUR)
HARD_WORKS = (
    mine(assignment("long", LONG, NOW + 700 * HOUR), NOW, grade="x" * 60),
    mine(assignment("rtl", RIGHT_TO_LEFT)),
    mine(assignment("script", SCRIPT), NOW - HOUR, grade=SCRIPT, said=SCRIPT),
)
MOLAB = (("molab", "https://molab.example/new#code/IZA"), ("local", "https://local.example/?file=homework.py"))
HARD_FILE = FileName(f"{SCRIPT.replace('/', '')}.py")

FRESH = task_page(mine(TASKS[2], fetched=True), files("homework.py", "data/measurements.csv", editors=MOLAB))
TAKEN = task_page(mine(TASKS[2], NOW - 2 * HOUR, NOW))
LATE = task_page(mine(TASKS[1], NOW - 31 * HOUR, NOW, rule=CountingRule.ON_TIME))
CLOSED = replace(TASKS[0], rules=replace(TASKS[0].rules, schedule=Schedule(None, NOW - DAY * 3, NOW - DAY)))
ASKED = "Tue 2026-03-10 23:59:59 CET is not after the due time of 'hw3', Wed 2026-03-11 18:00 CET: choose a later one"

EXAM = Upcoming(AssignmentName("exam"), "Final exam", NOW + HOUR)
ROWS = (
    ReleasedQuestion("Q1", 10, 2.5, False),
    ReleasedQuestion("Essay", 10, 6, True, (("no conclusion", -2), (f"{LONG} {SCRIPT}", 1)), f"fine {LONG} {SCRIPT}"),
    ReleasedQuestion("", 5, 0, True),
)
ASKING = Request(True, [
    {"by": "alice", "moment": NOW, "text": f"{SCRIPT} {LONG}", "student": True},
    {"by": INSTRUCTOR, "moment": NOW, "text": "I see", "student": False},
])  # fmt: skip
MARK = ShownMark(
    Released([asdict(each) for each in ROWS], 8.5, 25, 10, 7.65, 1, remarks=[["cell 1", f"{LONG} {SCRIPT}"]],
             changes=["Essay: 8 -> 6 points"]),
    NOW, (("Essay", ASKING),), NOW + DAY,
)  # fmt: skip

SAMPLES: dict[str, Page] = {
    "home": Home(ALICE, WORKS, (EXAM, Upcoming(AssignmentName("long"), LONG, NOW + 30 * DAY))),
    "home-empty": Home(ALICE, ()),
    "home-hard": Home(replace(HOSTILE, user=Username("o" * 60)), HARD_WORKS),
    "home-many": Home(ALICE, MANY),
    "not-open": NotOpen(ALICE, EXAM),
    "my-assignment": FRESH,
    "my-assignment-received": replace(TAKEN, received=TAKEN.mine.standing.kept[-1]),
    "my-assignment-withheld": replace(
        FRESH, grading=Progress(GradingState.GRADED, 2, withheld=ResultsShown.AFTER_DUE, until=NOW + HOUR)
    ),
    "my-assignment-attempts": replace(FRESH, attempts=AttemptsLeft(3, 1, NOW)),
    "my-assignment-no-attempts": replace(FRESH, attempts=AttemptsLeft(3, 0, NOW + HOUR // 2)),
    "my-assignment-repeated": replace(TAKEN, received=TAKEN.mine.standing.kept[-1], repeated=True),
    "my-assignment-unchanged": replace(
        TAKEN,
        received=TAKEN.mine.standing.kept[0],
        files=(WorkFile(ReleaseFile(FileName("a.py"), 1, "1a" * 32), None),),
    ),
    "my-assignment-late": replace(LATE, received=LATE.mine.standing.kept[-1]),
    "my-assignment-refused": replace(FRESH, problem="'essay.docx': 'hw3' takes .py, .zip"),
    "my-assignment-limit": replace(FRESH, problem=LIMIT),
    "my-assignment-closed": task_page(mine(CLOSED, NOW - 4 * DAY), ()),
    "my-assignment-graded": task_page(WORKS[0]),
    "my-assignment-marked": replace(task_page(WORKS[0]), mark=MARK),
    "my-assignment-marked-hard": replace(
        task_page(HARD_WORKS[2]), mark=replace(MARK, until=None), regrade_problem="the time is over"
    ),
    "my-assignment-extended": task_page(mine(TASKS[2], extension=extension("hw3", NOW + 40 * HOUR))),
    "my-assignment-asked": task_page(mine(TASKS[2], extension=extension("hw3", NOW + DAY, NOW + 3 * DAY))),
    "my-assignment-declined": task_page(mine(TASKS[2], extension=extension("hw3", None, None, True))),
    "my-assignment-asked-wrong": replace(FRESH, ask_problem=ASKED),
    "my-assignment-no-deadline": task_page(mine(TASKS[3], NOW - DAY, by=INSTRUCTOR)),
    "my-assignment-by-hand": task_page(Mine(TASKS[3], replace(mine(TASKS[3]).standing, submitted=True))),
    "my-assignment-hard": task_page(
        mine(assignment("script", SCRIPT), NOW, grade=SCRIPT, said=f"{LONG} {SCRIPT}", page=True, user="o" * 60),
        (
            WorkFile(ReleaseFile(HARD_FILE, 10**9), ("script", HARD_FILE), ((SCRIPT, "https://e.example/#code/x"),)),
            WorkFile(ReleaseFile(FileName(f"{RIGHT_TO_LEFT}.py"), 10), ("script", f"{RIGHT_TO_LEFT}.py")),
            WorkFile(ReleaseFile(FileName("elsewhere.csv"), url="https://cdn.example/elsewhere.csv"), None),
            WorkFile(ReleaseFile(FileName("nowhere.csv"), url="javascript:alert(1)"), None),
            WorkFile(ReleaseFile(FileName("x" * 150 + ".py"), 10), ("script", "x" * 150 + ".py")),
        ),
        replace(HOSTILE, user=Username("o" * 60)),
    ),
    "my-assignment-right-to-left": task_page(mine(assignment("rtl", RIGHT_TO_LEFT, NOW + HOUR), NOW - HOUR)),
    "my-assignment-many": task_page(mine(TASKS[2], *OFTEN)),
    "my-receipts": MyReceipts(ALICE, tuple(each.receipt for each in kept(TASKS[1], None, NOW - DAY, NOW)[::-1]), KEY),
    "my-receipts-many": MyReceipts(ALICE, tuple(each.receipt for each in kept(TASKS[2], None, *OFTEN)[::-1]), KEY),
    "my-receipts-empty": MyReceipts(ALICE, (), KEY),
}
