"""Every page in every state that it can be in, for the tests and for tools/screenshots.py."""

from __future__ import annotations

from dataclasses import replace

from mograder.domain.assignments import Assignment, Rules
from mograder.domain.board import Board, Row, Work
from mograder.domain.deadlines import Schedule
from mograder.domain.grades import GradeEntry
from mograder.domain.names import INSTRUCTOR, AssignmentName, Username
from mograder.domain.receipts import Submission
from mograder.web.pages import BoardPage, Frame, Home, Join, Joined, Login, Once, Page, Problem

NOW = 1_773_144_000_000_000
"""2026-03-10T12:00:00Z, in Unix microseconds."""
HOUR = 3600 * 1_000_000

SCRIPT = "<script>document.title='taken'</script>"
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft " * 2
RIGHT_TO_LEFT = "מבוא למדעי המחשב"

NOBODY = Frame("Programming for physicists", NOW, "/course")
ALICE = replace(NOBODY, user=Username("alice"))
TEACHER = replace(NOBODY, user=INSTRUCTOR, is_instructor=True)
HOSTILE = replace(ALICE, course=SCRIPT)


def assignment(name: str, title: str = "", due: int | None = NOW, points: float | None = 10) -> Assignment:
    return Assignment(AssignmentName(name), name, rules=Rules(title, Schedule(due=due), points=points))


def work(task: Assignment, user: str = "alice", received: int | None = None, grade: str | None = None) -> Work:
    latest = None
    if received is not None:
        name = Username(user)
        due = task.rules.schedule.due
        late = due is not None and received > due
        latest = Submission(name, task.name, 1, f"{user}_20260310T100000.py", "0" * 64, 2048, received, name, late, due)
    entry = GradeEntry({"username": user, "grade": grade}) if grade is not None else None
    return Work(task, latest is not None, latest, entry, feedback=grade is not None)


TASKS = (
    assignment("hw1", "Variables and functions", NOW - 200 * HOUR),
    assignment("hw2", "Loops", NOW - 30 * HOUR),
    assignment("hw3", "Plotting", NOW + 5 * HOUR),
    assignment("project", "", None, None),
)
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


def board(people: list[tuple[str, str]], tasks: tuple[Assignment, ...] = TASKS) -> Board:
    rows = []
    for number, (user, name) in enumerate(people):
        works = tuple(
            work(
                task,
                user,
                NOW - (number * 7 + index * 31) % 300 * HOUR if (number + index) % 4 else None,
                str((number + index) % 11) if (number + index) % 3 == 1 else None,
            )
            for index, task in enumerate(tasks)
        )
        rows.append(Row(Username(user), name, works))
    return Board(tasks, tuple(rows))


FEW = [("alice", "Alice Example"), ("bob", ""), ("carol@uni.example", "Carol")]
HARD_PEOPLE = [("long" + "o" * 50, LONG), ("rtl", "عائشة بنت محمد"), ("script", SCRIPT)]
MANY = [(f"student{number:03}", f"Student Number {number}") for number in range(500)]
MANY_TASKS = tuple(assignment(f"hw{number:02}", "", NOW - number * HOUR) for number in range(12))

SAMPLES: dict[str, Page] = {
    "join": Join(NOBODY, True),
    "join-taken": Join(NOBODY, True, "alice", "swordfish", "the name 'alice' is taken: choose another name"),
    "join-hostile": Join(replace(NOBODY, course=SCRIPT), True, f'"{SCRIPT}', f'"{SCRIPT}', f"wrong: {SCRIPT}"),
    "join-off": Join(NOBODY, False),
    "joined": Joined(ALICE, "alice:" + "5f0c" * 16, "https://course.example.org/course"),
    "login": Login(NOBODY, True),
    "login-wrong": Login(NOBODY, False, "wrong token: log in again, or ask your instructor for a new one"),
    "once": Once(NOBODY),
    "once-spent": Once(NOBODY, "this link was used already or is too old: ask for a new one"),
    "home": Home(ALICE, WORKS),
    "home-empty": Home(ALICE, ()),
    "home-hard": Home(replace(HOSTILE, user=Username("o" * 60)), HARD_WORKS),
    "board": BoardPage(TEACHER, board(FEW)),
    "board-nobody": BoardPage(TEACHER, Board(TASKS, ())),
    "board-no-assignments": BoardPage(TEACHER, board(FEW, ())),
    "board-hard": BoardPage(replace(TEACHER, course=LONG), board(HARD_PEOPLE)),
    "board-many": BoardPage(TEACHER, board(MANY, MANY_TASKS)),
    "board-unchecked": BoardPage(replace(NOBODY, is_instructor=True, checked=False), board(FEW)),
    "problem": Problem(ALICE, 404, "there is no page at this address"),
    "problem-place": Problem(TEACHER, 503, "grades.json cannot be understood", f"hw1/grades.json: line 3: {SCRIPT}"),
}
"""By name: the page's, and after a dash the state's."""
