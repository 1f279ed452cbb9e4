"""An instructor's pages in every state."""

from __future__ import annotations

from dataclasses import replace

from mograder.domain.assignments import Assignment
from mograder.domain.board import Board, Cell, Order, Row, Show, Wanted, find, missing
from mograder.domain.names import AssignmentName, Username
from mograder.domain.planning import Planned
from mograder.domain.rules import RuleTexts
from mograder.web.instructor_pages import BoardPage, RulesPage
from mograder.web.instructor_views import PEOPLE_A_PAGE, part_of
from mograder.web.pages import Frame, Page
from mograder.wire import MIB
from tests.web.sample_parts import HOUR, LONG, NOBODY, NOW, SCRIPT, TASKS, TEACHER, assignment, work

HW1 = AssignmentName("hw1")
EVERYTHING = Wanted()


def board(people: list[tuple[str, str]], tasks: tuple[Assignment, ...] = TASKS) -> Board:
    rows = []
    for number, (user, name) in enumerate(people):
        cells = []
        for index, task in enumerate(tasks):
            received = NOW - (number * 7 + index * 31) % 300 * HOUR if (number + index) % 4 else None
            grade = str((number + index) % 11) if (number + index) % 3 == 1 else None
            sample = work(task, user, received, grade)
            by_hand = received is None and (number + index) % 8 == 4
            cells.append(Cell(sample.latest, by_hand, sample.late, grade, index % 2 == 0))
        rows.append(Row(Username(user), name, tuple(cells)))
    return Board(tasks, tuple(rows))


def board_page(frame: Frame, everybody: Board, wanted: Wanted = EVERYTHING, page: int = 1) -> BoardPage:
    found = find(everybody, wanted)
    rows, part = part_of(found.rows, {"page": str(page)}, PEOPLE_A_PAGE)
    gone = missing(everybody, wanted.assignment) if wanted.assignment else ()
    shown = Board(found.assignments, tuple(rows))
    return BoardPage(frame, everybody.assignments, len(everybody.rows), wanted, shown, part, gone)


FEW = [("alice", "Alice Example"), ("bob", ""), ("carol@uni.example", "Carol")]
HARD_PEOPLE = [("long" + "o" * 50, LONG), ("rtl", "عائشة بنت محمد"), ("script", SCRIPT)]
MANY = [(f"student{number:03}", f"Student Number {number}") for number in range(500)]
MANY_TASKS = tuple(assignment(f"hw{number:02}", "", NOW - number * HOUR) for number in range(12))

RULES = Planned(
    HW1, RuleTexts("Variables", "", "2026-03-02T04:00", "2026-03-04T23:59:59", "10 MiB", ".py .zip", "10"),
    "Europe/Berlin", "a" * 64,
)  # fmt: skip
HARD_RULES = replace(RULES, texts=RuleTexts(f'"{SCRIPT}', "soon", *[SCRIPT] * 5), zone="America/Argentina/Buenos_Aires")

SAMPLES: dict[str, Page] = {
    "board": board_page(TEACHER, board(FEW)),
    "board-nobody": board_page(TEACHER, Board(TASKS, ())),
    "board-no-assignments": board_page(TEACHER, board(FEW, ())),
    "board-hard": board_page(replace(TEACHER, course=LONG), board(HARD_PEOPLE)),
    "board-many": board_page(TEACHER, board(MANY, MANY_TASKS), page=2),
    "board-unchecked": board_page(replace(NOBODY, is_instructor=True, checked=False), board(FEW)),
    "board-missing": board_page(TEACHER, board(MANY[:30]), Wanted("", HW1, Show.MISSING, Order.LATEST)),
    "rules": RulesPage(TEACHER, RULES, 100 * MIB),
    "rules-nothing": RulesPage(TEACHER, replace(RULES, texts=RuleTexts()), 100 * MIB),
    "rules-saved": RulesPage(TEACHER, RULES, 100 * MIB, saved=True),
    "rules-refused": RulesPage(TEACHER, HARD_RULES, 100 * MIB, f"'{SCRIPT}' is no time: write 2030-02-08"),
    "rules-long": RulesPage(TEACHER, replace(RULES, texts=replace(RULES.texts, title=LONG)), 100 * MIB),
    "board-none-found": board_page(TEACHER, board(FEW), Wanted(f'"{SCRIPT}')),
}
