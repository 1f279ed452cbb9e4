"""An instructor's pages in every state."""

from __future__ import annotations

from dataclasses import replace

from mograder.domain.assignments import Assignment
from mograder.domain.board import Board, Row
from mograder.domain.names import Username
from mograder.web.instructor_pages import BoardPage
from mograder.web.pages import Page
from tests.web.sample_parts import HOUR, LONG, NOBODY, NOW, SCRIPT, TASKS, TEACHER, assignment, work


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
    "board": BoardPage(TEACHER, board(FEW)),
    "board-nobody": BoardPage(TEACHER, Board(TASKS, ())),
    "board-no-assignments": BoardPage(TEACHER, board(FEW, ())),
    "board-hard": BoardPage(replace(TEACHER, course=LONG), board(HARD_PEOPLE)),
    "board-many": BoardPage(TEACHER, board(MANY, MANY_TASKS)),
    "board-unchecked": BoardPage(replace(NOBODY, is_instructor=True, checked=False), board(FEW)),
}
