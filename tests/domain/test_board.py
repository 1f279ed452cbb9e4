"""The board: who has submitted what and when, and search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR, Role
from mograder.domain.board import Board, BoardFilter, Order, Row, Show, find, missing
from mograder.domain.course import Course
from mograder.domain.deadlines import Penalties
from mograder.domain.extensions import Change, Decision
from mograder.domain.names import AssignmentName, Username
from mograder.domain.release import Download
from mograder.domain.roster import Person
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, Clock, filled, make_course_folder, open_course

HW2 = AssignmentName("hw2")
DUE = '[[assignments]]\nname = "hw1"\ndue = 2026-03-10T11:00:00Z\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_course_folder(tmp_path, "hw1", "hw2")
    (root.parent / "mograder.toml").write_text(DUE)
    return root


@pytest.fixture
def course(root: Path) -> Iterator[Course]:
    course = open_course(root, Clock())
    people = [Person.parse("alice", "Zoe Alice"), Person.parse("bob"), Person.parse("carol", "Ann Carol")]
    course.roster.add(COURSE_INSTRUCTOR, [*people, Person.parse("tom", "Tutor", Role.INSTRUCTOR)])
    yield course
    course.close()


def submit(course: Course, user: Username, received: int, assignment: AssignmentName = HW1) -> None:
    body = filled(course.submissions.upload(), f"{user} {received}".encode())
    actor = course.accounts.resume(user, 0)
    course.submissions.submit(actor, course.release.assignment(actor, assignment), user, body, received)
    body.discard()


def states(board: Board, now: int = NOON) -> dict[str, list[str]]:
    return {row.username: [cell.state(now) for cell in row.cells] for row in board.rows}


def test_everybody_who_takes_part_is_on_the_board_with_their_states(course: Course, root: Path) -> None:
    submit(course, ALICE, NOON - 7200 * SECOND)
    submit(course, BOB, NOON)
    submit(course, BOB, NOON, HW2)
    course.grades.upload(
        COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw2"), [{"student": "bob", "mark": 7}]
    )
    course.roster.remove(COURSE_INSTRUCTOR, Username("carol"))
    course.release.note_downloads([Download(course.accounts.resume(ALICE, 0), "hw2", "hw2.py", NOON)])
    assert states(course.standings.board()) == {"alice": ["submitted", "fetched"], "bob": ["late", "graded"]}
    submit(course, BOB, NOON - 3600 * SECOND + Penalties().grace)
    assert states(course.standings.board())["bob"] == ["submitted", "graded"]


def test_without_a_submission_the_state_depends_on_opening_due_and_closing_time(course: Course, root: Path) -> None:
    times = "opens = 2026-03-10T09:00:00Z\ndue = 2026-03-10T11:00:00Z\ncloses = 2026-03-10T13:00:00Z\n"
    (root.parent / "mograder.toml").write_text(f'[[assignments]]\nname = "hw1"\n{times}')
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, BOB, Decision.GRANT, "+1d")])
    board, hour = course.standings.board(), 3600 * SECOND
    alice, bob = zip(*(
        [states(board, NOON + hours * hour)[user][0] for user in ("alice", "bob")] for hours in (-4, -2, 0, 2)
    ), strict=True)  # fmt: skip
    assert alice == ("not open", "new", "overdue", "missed")
    assert bob == ("not open", "new", "new", "new")  # with an extension
    mine = course.standings.of(hw1, ALICE)
    assert [mine.state(NOON + hours * hour) for hours in (-4, -2, 0, 2)] == list(alice)


def test_assignments_are_in_the_order_of_their_due_times(course: Course, root: Path) -> None:
    (root.parent / "mograder.toml").write_text(DUE.replace("hw1", "hw2"))
    assert [each.name for each in course.standings.board().assignments] == ["hw2", "hw1"]


def test_a_file_placed_by_hand_is_a_submission(course: Course, root: Path) -> None:
    folder = root.parent / "submitted" / "hw1"
    folder.mkdir(parents=True)
    (folder / "dora.py").write_bytes(b"by mail")
    ((name, (cell, other)),) = [
        (row.name, row.cells) for row in course.standings.board().rows if row.username == "dora"
    ]
    assert (name, cell.state(NOON), cell.by_hand, cell.latest, other.state(NOON)) == (
        "",
        "submitted",
        True,
        None,
        "new",
    )
    assert "dora" not in missing(course.standings.board(), HW1)


def test_a_later_extension_makes_a_late_submission_on_time(course: Course) -> None:
    submit(course, BOB, NOON)
    assert states(course.standings.board())["bob"][0] == "late"
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, BOB, Decision.GRANT, "+1d")])
    assert states(course.standings.board())["bob"][0] == "submitted"


def test_a_submission_by_an_instructor_for_a_student_is_not_late(course: Course) -> None:
    body = filled(course.submissions.upload(), b"on paper")
    course.submissions.submit(COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"), BOB, body, NOON)
    assert states(course.standings.board())["bob"][0] == "submitted"


def test_people_are_searched_by_name_assignment_and_state_and_sorted(course: Course) -> None:
    submit(course, ALICE, NOON - 7200 * SECOND)
    submit(course, BOB, NOON)
    grades = [{"username": "alice", "grade": "9"}, {"username": "bob", "grade": "10,5"}, {"username": "carol"}]
    course.grades.upload(COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"), grades)
    board = course.standings.board()

    def found(*wanted: object) -> list[str]:
        return [row.username for row in find(board, BoardFilter(*wanted)).rows]  # type: ignore[arg-type]

    assert found() == ["alice", "bob", "carol"]
    assert (found("ANN"), found("bO"), found("nobody")) == (["carol"], ["bob"], [])
    assert (found("", HW1, Show.MISSING), found("", HW2, Show.MISSING)) == (["carol"], ["alice", "bob", "carol"])
    assert found("", HW1, Show.LATE) == found("", None, Show.LATE) == ["bob"]
    assert (found("", HW1, Show.GRADED), found("", HW1, Show.UNGRADED)) == (["alice", "bob"], [])
    assert found("", None, Show.SUBMITTED) == ["alice", "bob"]
    assert found("", None, Show.ALL, Order.NAME) == ["carol", "bob", "alice"]
    assert found("", None, Show.ALL, Order.LATEST) == ["bob", "alice", "carol"]
    assert found("", HW1, Show.ALL, Order.GRADE) == ["bob", "alice", "carol"]
    part = find(board, BoardFilter(assignment=HW2))
    assert [each.name for each in part.assignments] == [HW2]
    assert [(row.name, len(row.cells)) for row in part.rows] == [("Zoe Alice", 1), ("", 1), ("Ann Carol", 1)]
    assert missing(board, HW1) == ("carol",)


def test_sections_can_be_searched_and_a_dropped_person_disappears_from_lists_but_keeps_the_work(course: Course) -> None:
    submit(course, ALICE, NOON)
    submit(course, BOB, NOON)
    listed = [Person.parse("alice", sections=["1", "2"]), Person.parse("carol", sections=["2"])]
    course.roster.add(COURSE_INSTRUCTOR, listed, update=True, dropped=[BOB])
    board = course.standings.board()
    assert board.sections == ("1", "2")
    assert [row.username for row in board.rows] == ["alice", "carol"]
    for section, names in (("1", ["alice"]), ("2", ["alice", "carol"]), ("3", []), ("", ["alice", "carol"])):
        assert [row.username for row in find(board, BoardFilter(section=section)).rows] == names
    dropped = board.row_of(BOB)
    assert dropped is not None
    assert [cell.submitted for cell in dropped.cells] == [True, False]
    assert board.row_of(Username("nobody")) is None


@pytest.mark.parametrize("order", Order)
def test_people_are_sorted_even_without_assignments(order: Order) -> None:
    people = (Row(BOB, "Zoe", ()), Row(ALICE, "Zoe", ()))
    assert find(Board((), people), BoardFilter(order=order)) == Board((), people[::-1])


def test_an_unchanged_board_is_reused_and_only_changed_rows_are_recomputed(course: Course, root: Path) -> None:
    submit(course, ALICE, NOON)
    before = course.standings.board()
    assert course.standings.board() is before
    submit(course, BOB, NOON)
    now = course.standings.board()
    assert [row is held for row, held in zip(now.rows, before.rows, strict=True)] == [True, False, True]
    assert now.rows[1].cells[1] is before.rows[1].cells[1]
    (root / "hw1" / "grades.json").write_text('[{"username": "alice", "grade": "1"}]')
    assert states(course.standings.board())["alice"] == ["graded", "new"]


def test_a_person_who_is_not_on_the_roster_is_on_the_board_while_they_have_work(course: Course, root: Path) -> None:
    course.standings.board()
    submit(course, Username("aaron"), NOON)
    folder = root.parent / "submitted" / "hw2"
    folder.mkdir(parents=True)
    (folder / "dora.py").write_bytes(b"by mail")
    people = [row.username for row in course.standings.board().rows]
    assert people == sorted(people) == ["aaron", "alice", "bob", "carol", "dora"]
    (folder / "dora.py").unlink()
    assert [row.username for row in course.standings.board().rows] == ["aaron", "alice", "bob", "carol"]
