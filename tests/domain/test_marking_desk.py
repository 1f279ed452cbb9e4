"""Marking: permissions, versions, rubric items, assignment of work to graders, and progress."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.domain.access import Actor, Role
from mograder.domain.course import Course
from mograder.domain.errors import BadRequest, Forbidden, NotFound
from mograder.domain.marking import GivenMark, Kind, MarkingConflict, RubricItem
from mograder.domain.names import Username
from tests.marked_course import GRACE, GUY, TEACHER, checked, give, give_all, marked_course, task
from tests.parts import Clock, submit_work

S1 = Username("s01")


@pytest.fixture
def desk(course_folder: Path, clock: Clock) -> Iterator[Course]:
    course = marked_course(course_folder, clock)
    yield course
    course.close()


def test_a_mark_names_its_submission_and_grader_and_gives_the_total(desk: Course) -> None:
    give_all(desk, "s01", 8, 4.5)
    found = desk.marking.of(task(desk), S1)
    assert (found.marks.total, found.marks.available, found.finished) == (12.5, 15, True)
    assert [(each.key, each.mark.points, each.by, each.given.attempt) for each in found.questions] == [
        ("Essay", 8, "grace", 1),
        ("Plot", 4.5, "grace", 1),
    ]
    assert found.outdated == ()
    submit_work(desk.store, desk.signer, S1, b"better")
    again = desk.marking.of(task(desk), S1)
    assert (again.attempt, again.outdated) == (2, ("Essay", "Plot"))


def test_a_mark_based_on_an_outdated_version_is_refused_with_the_current_one(desk: Course) -> None:
    give(desk, "s01", "Essay", 8)
    with pytest.raises(MarkingConflict) as refused:
        give(desk, "s01", "Essay", 5, actor=GUY)
    (theirs,) = refused.value.current
    assert (theirs.actor, GivenMark.read(theirs).points, theirs.version) == ("grace", 8, 1)
    assert give(desk, "s01", "Essay", 8, actor=GUY) == theirs  # the same mark again is no conflict
    give(desk, "s01", "Essay", 5, 1, GUY)
    history = desk.marking.history(task(desk), S1)
    assert [(each.actor, GivenMark.read(each).points) for each in history] == [("grace", 8), ("guy", 5)]


@pytest.mark.parametrize(
    ("question", "points"), [("Essay", -1.0), ("Essay", 10.5), ("Essay", float("nan")), ("Plot", float("inf"))]
)
def test_invalid_points_are_refused(desk: Course, question: str, points: float) -> None:
    with pytest.raises(BadRequest):
        give(desk, "s01", question, points)
    assert desk.marking.history(task(desk), S1) == []


def test_an_unknown_question_and_an_unknown_person_are_refused(desk: Course) -> None:
    with pytest.raises(NotFound, match="no question"):
        give(desk, "s01", "Essai", 1)
    with pytest.raises(NotFound, match="nobody"):
        give(desk, "s99", "Essay", 1)


def test_without_questions_there_is_one_mark_and_with_checks_the_questions_marked_by_hand(
    course_folder: Path, clock: Clock
) -> None:
    course = marked_course(course_folder, clock, '[[assignments]]\nname = "hw1"\npoints = 20\n')
    give(course, "s01", "", 17)
    assert course.marking.of(task(course), S1).marks.total == 17
    graded = checked(course)
    found = graded.marking.of(task(graded), S1)
    assert [(each.key, each.to_do) for each in found.questions] == [("Q1", False), ("Q2", False), ("Q3", True)]
    give(graded, "s01", "Q3", 4)
    assert graded.marking.of(task(graded), S1).marks.total == 2.5 + 13.3 + 4
    give(graded, "s01", "Q1", 9)  # a person may correct the points of the checks
    assert graded.marking.of(task(graded), S1).marks.total == 9 + 13.3 + 4
    course.close()


def test_changing_a_rubric_item_changes_the_points_of_everybody_who_has_it(desk: Course) -> None:
    item = desk.marking.put_item(GRACE, task(desk), "", RubricItem("Essay", "no conclusion", -2), 0)
    for user in ("s01", "s02"):
        give(desk, user, "Essay", None, items=(item.key,))
    give(desk, "s03", "Essay", 7, items=(item.key,))
    assert desk.marking.who_has(task(desk), item.key) == ("s01", "s02", "s03")
    desk.marking.put_item(GUY, task(desk), item.key, RubricItem("Essay", "no conclusion", -3), item.version)
    points = [desk.marking.of(task(desk), Username(user)).questions[0].mark.points for user in ("s01", "s02", "s03")]
    assert points == [7, 7, 7]
    with pytest.raises(MarkingConflict):
        desk.marking.put_item(GRACE, task(desk), item.key, RubricItem("Essay", "none", -1), item.version)
    desk.marking.put_item(GRACE, task(desk), item.key, None, 2)
    assert desk.marking.of(task(desk), S1).questions[0].to_do
    with pytest.raises(BadRequest):
        desk.marking.put_item(GRACE, task(desk), "", RubricItem("Essay", "much", 11), 0)


def test_work_assigned_to_one_grader_can_be_marked_only_by_them_and_instructors(desk: Course) -> None:
    desk.marking.hand_out(TEACHER, task(desk), {("s01", ""): "grace", ("", "Plot"): "guy"})
    for refused in (("s01", GUY, "Essay"), ("s01", GRACE, "Plot"), ("s02", GRACE, "Plot")):
        with pytest.raises(Forbidden):
            give(desk, refused[0], refused[2], 1, actor=refused[1])
    give(desk, "s01", "Essay", 1, actor=GRACE)
    give(desk, "s02", "Essay", 1, actor=GUY)  # assigned to nobody, so open to all graders
    give(desk, "s01", "Plot", 1, actor=TEACHER)
    left = desk.marking.overview(GUY, task(desk)).to_do
    assert left == {"s02": ("Plot",), "s03": ("Essay", "Plot")}
    with pytest.raises(BadRequest, match="neither a grader"):
        desk.marking.hand_out(TEACHER, task(desk), {("s01", ""): "s02"})


def test_random_assignment_gives_every_grader_a_share(desk: Course) -> None:
    assert desk.marking.at_random(TEACHER, task(desk), ["grace", "guy"]) == 3
    shares = sorted(desk.marking.sheet(task(desk)).by_person.values())
    assert shares in (["grace", "grace", "guy"], ["grace", "guy", "guy"])


def test_graders_cannot_mark_their_own_work(desk: Course) -> None:
    own = Actor(S1, Role.GRADER)
    with pytest.raises(Forbidden):
        give(desk, "s01", "Essay", 10, actor=own)
    with pytest.raises(Forbidden, match="own work"):
        desk.marking.write_text(own, task(desk), S1, Kind.NOTE, "", "fine", 0)


def test_progress_is_counted_by_question_and_by_grader(desk: Course) -> None:
    desk.marking.hand_out(TEACHER, task(desk), {("", "Plot"): "guy"})
    give(desk, "s01", "Essay", 1)
    give(desk, "s01", "Plot", 1, actor=GUY)
    found = desk.marking.overview(TEACHER, task(desk))
    assert [(each.name, each.done, each.total) for each in found.by_question] == [("Essay", 1, 3), ("Plot", 1, 3)]
    assert [(each.name, each.done, each.total) for each in found.by_grader] == [("grace", 1, 1), ("guy", 1, 3)]
    assert (found.done, sorted(found.to_do)) == (1, ["s02", "s03"])


def test_hiding_names_again_gives_the_same_pseudonyms(desk: Course) -> None:
    desk.marking.set_anonymous(TEACHER, task(desk), True)
    salt = desk.marking.sheet(task(desk)).settings.salt
    desk.marking.set_anonymous(TEACHER, task(desk), False)
    assert desk.marking.sheet(task(desk)).settings.salt == ""
    desk.marking.set_anonymous(TEACHER, task(desk), True)
    assert desk.marking.sheet(task(desk)).settings.salt == salt != ""
    assert [each.action for each in desk.audit.events(3)] == ["hide names", "show names", "hide names"]
