"""Sample pages of an instructor in every state."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from msgspec.structs import replace

from mograder.domain.allowance import MIB
from mograder.domain.assignments import Assignment, CountingRule
from mograder.domain.board import Board, BoardFilter, Cell, Order, Row, Show, find, missing
from mograder.domain.contents import LeftOut
from mograder.domain.counting import AssessedSubmission
from mograder.domain.deadlines import Lateness, Penalties
from mograder.domain.disclosure import for_instructor
from mograder.domain.extensions import Extension
from mograder.domain.files import StoredFile
from mograder.domain.grade_statistics import spread
from mograder.domain.grades import GradeEntry
from mograder.domain.grading_jobs import Job, Readiness, ReadyState
from mograder.domain.grading_results import Brief, GradingState, Progress, Queue
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Receipt
from mograder.domain.results import CellFailure, CheckResult, CheckStatus, LimitReached, Outcome
from mograder.domain.rule_editor import RulesAsText
from mograder.domain.rules import RuleTexts
from mograder.domain.standings import Standing
from mograder.tables.export import CSV_TYPE, Exported
from mograder.tables.formats import read_grades
from mograder.tables.grades import GradeChanges, GradeRules, check_grades
from mograder.tables.headers import Labels
from mograder.tables.people import Member
from mograder.tables.sheet import read_sheet
from mograder.web.api import Failure
from mograder.web.pages.assignment import AssignmentPage, GradesPage, PersonPage, SourcePage
from mograder.web.pages.board import PEOPLE_A_PAGE, BoardPage, RulesPage, Rush, part_of
from mograder.web.pages.gradebook import ExportPage
from mograder.web.pages.page import Frame, Page
from mograder.web.pages.rendered import RenderedPage
from mograder.web.pages.source import Contents, look_into
from tests.grading_samples import HALF_RIGHT, record
from tests.web.sample_parts import HOUR, LONG, NOBODY, NOW, SCRIPT, TASKS, TEACHER, assignment, work

HW1 = AssignmentName("hw1")
EVERYTHING = BoardFilter()


def board(people: list[tuple[str, str]], tasks: tuple[Assignment, ...] = TASKS) -> Board:
    rows = []
    for number, (user, name) in enumerate(people):
        cells = []
        for index, task in enumerate(tasks):
            received = NOW - (number * 7 + index * 31) % 300 * HOUR if (number + index) % 4 else None
            grade = str((number + index) % 11) if (number + index) % 3 == 1 else None
            latest = work(task, user, received) if received is not None else None
            by_hand = received is None and (number + index) % 8 == 4
            cells.append(Cell(latest, by_hand, bool(latest and latest.late), grade, index % 2 == 0))
        rows.append(Row(Username(user), name, tuple(cells)))
    return Board(tasks, tuple(rows))


RUSH = Rush(
    tuple(range(0, 120, 2)),
    1500,
    True,
    (Failure(NOW, f"/assignments/{SCRIPT}/submit", f"closed: {SCRIPT} {LONG}"),),
    7 * 1024**3,
)


def board_page(frame: Frame, everybody: Board, wanted: BoardFilter = EVERYTHING, page: int = 1) -> BoardPage:
    found = find(everybody, wanted)
    rows, part = part_of(found.rows, {"page": str(page)}, PEOPLE_A_PAGE)
    gone = missing(everybody, wanted.assignment) if wanted.assignment else ()
    shown = Board(found.assignments, tuple(rows))
    return BoardPage(frame, everybody.assignments, len(everybody.rows), wanted, shown, part, RUSH, gone)


LEFT_OUT = (
    LeftOut("the work of 3 people for 'hw0'", "there is no assignment of this name", "give it its name 'hw0' back"),
    LeftOut(f"{SCRIPT} in 'hw1'", "a name that cannot be served", LONG, f"/srv/{SCRIPT}"),
)
FEW = [("alice", "Alice Example"), ("bob", ""), ("carol@uni.example", "Carol")]
HARD_PEOPLE = [("long" + "o" * 50, LONG), ("rtl", "عائشة بنت محمد"), ("script", SCRIPT)]
MANY = [(f"student{number:03}", f"Student Number {number}") for number in range(500)]
MANY_TASKS = tuple(
    assignment(f"hw{number:02}", "Reading measurement data", NOW - number * HOUR) for number in range(20)
)

RULES = RulesAsText(
    HW1, RuleTexts("Variables", "", "2026-03-02T04:00", "2026-03-04T23:59:59", "10 MiB", ".py .zip", "10",
                   "yes", "part1.py\npart2.py", "on-time", "yes", "2.5", "10"),
    "Europe/Berlin", "a" * 64,
)  # fmt: skip
HARD_RULES = replace(
    RULES, texts=RuleTexts(f'"{SCRIPT}', "soon", *[SCRIPT] * 14), zone="America/Argentina/Buenos_Aires"
)


def assignment_page(everybody: Board, show: Show = Show.ALL, grades: tuple[str, ...] = (), **more: Any) -> Page:
    everybody = find(everybody, BoardFilter(assignment=HW1))
    rows, part = part_of(find(everybody, BoardFilter("", HW1, show)).rows, {}, PEOPLE_A_PAGE)
    cells = [row.cells[0] for row in everybody.rows]
    counts = tuple((each, sum(map(each.fits, cells))) for each in Show)
    numbers = spread(grades or [each.grade for each in cells if each.grade], 10)
    penalties = Penalties(enabled=True)
    return AssignmentPage(
        TEACHER, everybody.assignments[0], tuple(rows), part, show, counts, numbers, penalties, **more
    )


WAITING = Job(3, HW1, Username("alice"), 1, NOW)
DOUBTFUL = Brief(Outcome.LIMIT, 2.5, 30.0, ("changed cells", "unprotected", "differs between runs", "slow"))
RESULTS = {Username("alice"): Brief(Outcome.GRADED, 15.8, 30.0, ()), Username("bob"): DOUBTFUL}
QUEUE = Queue(1, NOW, (WAITING,))
HARD_TASK = assignment("hw1", f"{SCRIPT} {LONG}", NOW - HOUR)
TABLE = f"""username,grade,feedback
alice,9,well done
bob,eleven,
carol@uni.example,12,
{SCRIPT},3,
bob,4,
"""
STORED = (GradeEntry({"username": "alice", "grade": "8"}),)


def preview(table: str, people: list[str]) -> GradeChanges:
    rows = read_grades(read_sheet(table.encode()), Labels("hw1"))
    return check_grades(rows, [Member(user) for user in people], STORED, GradeRules(10))


FOUND = preview(TABLE, [user for user, _ in FEW])
HARD_FOUND = preview(f"username,grade,feedback\nscript,{SCRIPT},\nlong,1,{SCRIPT}\n", ["script", "long"])


def person_page(task: Assignment = TASKS[0], name: str = "Alice Example", **standing: Any) -> PersonPage:
    grade = GradeEntry({"username": "alice", "grade": "9", "feedback": f"fine {SCRIPT}", "workflow_state": "marking"})
    first, last = (assessed(task, number) for number in (1, 2))
    before = Standing(True, grade, True, task.rules.schedule, None, (first, last), last, CountingRule.LATEST)
    return PersonPage(TEACHER, task, ALICE, name, replace(before, **standing), grade, "Europe/London")


def hard_result() -> Progress:
    """A result with everything that is shown to an instructor."""
    checks = (*HALF_RIGHT.checks, CheckResult("Q2: own", "Q2", False, CheckStatus.DANGER, (SCRIPT,), 0, 1, True))
    failure = CellFailure("answer", 12, f"ValueError: {SCRIPT}", f"line 12, in answer\n    {SCRIPT}")
    report = replace(
        HALF_RIGHT, outcome=Outcome.CODE_FAILED, checks=checks, failures=(failure,), changed_cells=(SCRIPT,),
        limits=(LimitReached("time", "Q2", 40),), flaky=("Q2: more",), isolated=False,
    )  # fmt: skip
    made = record(report)
    return Progress(GradingState.FAILED, 3, None, for_instructor(made, made.marks), 2, f"no sandbox {SCRIPT}")


def assessed(task: Assignment, attempt: int) -> AssessedSubmission:
    kept = work(task, "alice", NOW - 199 * HOUR + attempt * HOUR)
    late = Lateness(1, 5, "1 day late: due Tue 10 Mar 12:00, received Tue 10 Mar 13:00 UTC, 1 x 5 %")
    return AssessedSubmission(
        Receipt(attempt, "", replace(kept, attempt=attempt), "x"), late if attempt == 2 else Lateness()
    )


ALICE = Username("alice")
ASKED = Extension(TASKS[0].name, ALICE, None, "", NOW + 99 * HOUR, f"ill {SCRIPT}")
GRANTED = Extension(TASKS[0].name, ALICE, NOW + 99 * HOUR, "get well")
CODE = f"import marimo\n\n# {SCRIPT}\ndef mean(values):\n    return sum(values) / len(values)  # {'long ' * 60}\n"
ZIP = (*((f"project/{'deep/' * 9}file{number}.csv", 1000 * number) for number in range(5)), (SCRIPT, 7))


def source_page(contents: Contents, task: Assignment = TASKS[0]) -> SourcePage:
    return SourcePage(TEACHER, task, ALICE, "alice_20260310T100000.py", 2048, contents)


RAN = TEACHER.at("/board", TASKS[0].name, "people", "alice", "alice_20260310T100000.py")
SAMPLES: dict[str, Page] = {
    "assignment": assignment_page(board(FEW), kept="the grades are stored: 3 in all"),
    "assignment-nobody": assignment_page(Board(TASKS, ())),
    "assignment-hard": assignment_page(board(HARD_PEOPLE, (HARD_TASK,)), problem=f"line 3: {SCRIPT}"),
    "assignment-graded": replace(assignment_page(board(FEW)), results=RESULTS, queue=QUEUE),
    "assignment-building": assignment_page(board(FEW), readiness=Readiness(HW1, ReadyState.BUILDING, NOW, "lab")),
    "assignment-locked": assignment_page(
        board(FEW),
        readiness=Readiness(HW1, ReadyState.READY, NOW, "lab", "", "w", f"numpy==2.1 --hash=sha256:0\n{LONG}==1"),
    ),
    "assignment-broken": assignment_page(
        board(FEW), readiness=Readiness(HW1, ReadyState.FAILED, NOW, SCRIPT, f"uv pip could not:\n{SCRIPT} {LONG}")
    ),
    "assignment-many": assignment_page(board(MANY, (TASKS[0],)), Show.SUBMITTED),
    "assignment-sections": assignment_page(board(FEW), sections=("1", SCRIPT, LONG), section="1", drafts=3),
    "export": ExportPage(TEACHER, TASKS[0], Exported(b"x", "hw1-canvas.csv", CSV_TYPE, ("2 grades: left out",))),
    "export-hard": ExportPage(TEACHER, HARD_TASK, Exported(b"x", f"{SCRIPT}{LONG}.csv", CSV_TYPE, (SCRIPT, LONG))),
    "grades-preview": GradesPage(TEACHER, TASKS[0], FOUND, "0" * 64),
    "grades-same": GradesPage(TEACHER, TASKS[0], preview("username,grade\nalice,8\n", []), "0" * 64),
    "grades-hard": GradesPage(TEACHER, HARD_TASK, HARD_FOUND, "0" * 64),
    "person": person_page(),
    "person-asked": person_page(extension=ASKED),
    "person-extended": person_page(extension=GRANTED),
    "person-nothing": person_page(submitted=False, kept=(), counting=None, feedback_available=False, grade=None),
    "person-by-hand": replace(person_page(kept=(), counting=None), by_hand="alice.py", problem="no data"),
    "person-graded": replace(person_page(), grading=hard_result()),
    "person-hard": person_page(HARD_TASK, LONG),
    "source": source_page(look_into(StoredFile("a.py", len(CODE), 0, "", data=CODE.encode()))),
    "source-ran": replace(source_page(Contents(Markup("x = 1\n"))), ran=True),
    "rendered": RenderedPage(TEACHER, "alice", RAN, f"{RAN}/notebook/content"),
    "source-cut": source_page(Contents(Markup("x = 1\n"), cut=True), HARD_TASK),
    "source-zip": source_page(Contents(files=ZIP, cut=True)),
    "source-broken": source_page(Contents(problem="this zip is damaged: download it to look at it")),
    "board": board_page(TEACHER, board(FEW)),
    "board-sections": replace(board_page(TEACHER, board(FEW)), sections=("1", SCRIPT, LONG)),
    "board-left-out": replace(board_page(TEACHER, board(FEW)), left_out=LEFT_OUT),
    "board-nobody": board_page(TEACHER, Board(TASKS, ())),
    "board-no-assignments": board_page(TEACHER, board(FEW, ())),
    "board-hard": board_page(replace(TEACHER, course=LONG), board(HARD_PEOPLE)),
    "board-many": board_page(TEACHER, board(MANY, MANY_TASKS), page=2),
    "board-unchecked": board_page(replace(NOBODY, is_instructor=True, checked=False), board(FEW)),
    "board-missing": board_page(TEACHER, board(MANY[:30]), BoardFilter("", HW1, Show.MISSING, Order.LATEST)),
    "rules": RulesPage(TEACHER, RULES, 100 * MIB),
    "rules-nothing": RulesPage(TEACHER, replace(RULES, texts=RuleTexts()), 100 * MIB),
    "rules-saved": RulesPage(TEACHER, RULES, 100 * MIB, saved=True),
    "rules-refused": RulesPage(TEACHER, HARD_RULES, 100 * MIB, f"'{SCRIPT}' is no time: write 2030-02-08"),
    "rules-long": RulesPage(TEACHER, replace(RULES, texts=replace(RULES.texts, title=LONG)), 100 * MIB),
    "board-none-found": board_page(TEACHER, board(FEW), BoardFilter(f'"{SCRIPT}')),
}
