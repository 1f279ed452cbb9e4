"""From drafts to what a student sees: release, change, withdrawal, conflicts, penalties, regrade requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.domain.access import Actor, Role
from mograder.domain.course import Course
from mograder.domain.errors import BadRequest, ChangedMeanwhile, Forbidden, NotFound
from mograder.domain.mark_release import DAY, Released, ReleaseState
from mograder.domain.marking import Kind
from mograder.domain.marking_statistics import numbers_of
from mograder.domain.names import Username
from tests.marked_course import GRACE, PLAN, TEACHER, give, give_all, marked_course, task
from tests.parts import NOON, Clock, submit_work

S1 = Username("s01")
STUDENT = Actor(S1, Role.STUDENT)


@pytest.fixture
def desk(course_folder: Path, clock: Clock) -> Iterator[Course]:
    course = marked_course(course_folder, clock)
    give_all(course, "s01", 8, 4.5)
    yield course
    course.close()


def grades(course: Course) -> dict[str, tuple[str | None, bool]]:
    return {each.username: (each.grade, each.visible) for each in course.grades.of(task(course))}


def shown(course: Course) -> Released | None:
    return course.mark_release.shown(task(course), S1).released


def test_a_draft_is_no_grade_and_a_release_leaves_out_unfinished_marks(desk: Course) -> None:
    give(desk, "s02", "Essay", 3)
    assert (grades(desk), shown(desk)) == ({}, None)
    planned = desk.mark_release.release(TEACHER, task(desk))
    assert [(each.candidate.username, each.state) for each in planned.rows] == [
        ("s01", ReleaseState.NEW),
        ("s02", ReleaseState.UNFINISHED),
        ("s03", ReleaseState.UNFINISHED),
    ]
    assert grades(desk) == {"s01": ("12.5", True)}
    released = shown(desk)
    assert released is not None
    assert (released.total, released.attempt, [each.points for each in released.rows]) == (12.5, 1, [8, 4.5])
    assert desk.audit.events(1)[0].detail == "hw1"


def test_a_changed_mark_reaches_the_student_with_the_next_release_and_says_what_changed(desk: Course) -> None:
    desk.mark_release.release(TEACHER, task(desk))
    give(desk, "s01", "Essay", 9, 1, comment="more than I saw")
    assert (grades(desk)["s01"], shown(desk) and shown(desk).total) == (("12.5", True), 12.5)  # type: ignore[union-attr]
    desk.mark_release.release(TEACHER, task(desk))
    released = shown(desk)
    assert released is not None
    assert (grades(desk)["s01"], released.total) == (("13.5", True), 13.5)
    assert list(released.changes) == ["Essay: 8 -> 9 points", "Essay: the comment has changed"]
    assert released.feedback == "Essay: more than I saw"
    before = desk.store.marking.count()
    assert desk.mark_release.release(TEACHER, task(desk)).of(ReleaseState.SAME)
    assert desk.store.marking.count() == before


def test_a_withdrawn_mark_is_hidden_and_can_be_released_again(desk: Course) -> None:
    desk.mark_release.release(TEACHER, task(desk))
    assert desk.mark_release.withdraw(TEACHER, task(desk), {"s02"}) == 0
    assert desk.mark_release.withdraw(TEACHER, task(desk)) == 1
    assert (grades(desk)["s01"], shown(desk)) == (("12.5", False), None)
    assert desk.mark_release.withdraw(TEACHER, task(desk)) == 0
    assert [each.state for each in desk.mark_release.release(TEACHER, task(desk), {"s01"}).rows] == [ReleaseState.NEW]
    assert grades(desk)["s01"] == ("12.5", True)


def test_a_grade_from_elsewhere_is_overwritten_only_on_request(desk: Course) -> None:
    desk.grades.upload(TEACHER, task(desk), [{"username": "s01", "grade": "10", "tutor": "T"}])
    assert desk.mark_release.release(TEACHER, task(desk)).rows[0].state is ReleaseState.CONFLICT
    assert (grades(desk)["s01"], shown(desk)) == (("10", True), None)
    desk.mark_release.release(TEACHER, task(desk), over=True)
    assert grades(desk)["s01"] == ("12.5", True)
    assert desk.grades.of(task(desk))[0].fields["tutor"] == "T"
    desk.grades.upload(TEACHER, task(desk), [{"username": "s01", "grade": "11"}])  # as an edit by hand does
    assert desk.mark_release.plan(task(desk)).rows[0].state is ReleaseState.CONFLICT
    assert desk.mark_release.withdraw(TEACHER, task(desk)) == 1
    assert grades(desk)["s01"] == ("11", True)  # a grade from elsewhere is not withdrawn


def test_marks_that_changed_since_the_preview_are_not_released(desk: Course) -> None:
    seen = desk.mark_release.plan(task(desk)).seen
    give(desk, "s01", "Essay", 1, 1)
    with pytest.raises(ChangedMeanwhile):
        desk.mark_release.release(TEACHER, task(desk), seen=seen)
    assert grades(desk) == {}


@pytest.mark.parametrize(("apply", "expected"), [(False, "12.5"), (True, "11.25")])
def test_a_penalty_is_applied_only_if_the_course_says_so_and_both_marks_are_kept(
    course_folder: Path, clock: Clock, apply: bool, expected: str
) -> None:
    rules = f"[penalties]\nenabled = true\nper_day = 10\napply = {str(apply).lower()}\n"
    due = PLAN.replace('name = "hw1"', 'name = "hw1"\ndue = 2026-03-10T10:00:00Z')
    course = marked_course(course_folder, clock, rules + due)
    give_all(course, "s01", 8, 4.5)
    course.mark_release.release(TEACHER, task(course))
    (entry,) = course.grades.of(task(course))
    said = [entry.fields[key] for key in ("grade", "raw_grade", "penalty_pct", "penalised_grade")]
    assert said == [expected, "12.5", "10", "11.25"]
    course.close()


def test_a_newer_submission_and_marks_for_an_earlier_one_are_reported(desk: Course) -> None:
    submit_work(desk.store, desk.signer, S1, b"better")
    row = desk.mark_release.plan(task(desk), {"s01"}).rows[0]
    assert (row.outdated, row.then and row.then.attempt) == (("Essay", "Plot"), 2)


def test_a_regrade_request_and_its_answer_are_both_kept(desk: Course, clock: Clock) -> None:
    ask = desk.mark_release.ask
    with pytest.raises(NotFound):
        ask(STUDENT, task(desk), "Essay", "unfair")
    desk.mark_release.release(TEACHER, task(desk))
    with pytest.raises(BadRequest):
        ask(STUDENT, task(desk), "Essay", "  ")
    ask(STUDENT, task(desk), "Essay", "you missed page 2")
    assert desk.marking.overview(GRACE, task(desk)).open_requests == (("s01", "Essay"),)
    (_, _, version) = desk.marking.of(task(desk), S1).requests[0]
    desk.marking.answer(GRACE, task(desk), S1, "Essay", "so I did", version)
    request = desk.mark_release.shown(task(desk), S1).request("Essay")
    assert request is not None
    assert [(each.by, each.text) for each in request.thread] == [("s01", "you missed page 2"), ("grace", "so I did")]
    assert not request.open
    clock.now = NOON + 7 * DAY + 1
    with pytest.raises(Forbidden, match="over"):
        ask(STUDENT, task(desk), "Essay", "again")
    assert [each.actor for each in desk.marking.history(task(desk), S1) if each.kind is Kind.REQUEST] == [
        "s01",
        "grace",
    ]


def test_the_statistics_of_an_assignment_summarise_its_marks(desk: Course) -> None:
    give_all(desk, "s02", 4, 2)
    give_all(desk, "s03", 0, 0)
    found = numbers_of(desk.mark_release.everybody(task(desk)))
    assert found.spread is not None
    assert (found.people, found.finished, found.spread.mean, found.spread.median) == (3, 3, 18.5 / 3, 6)
    essay = found.questions[0]
    assert (essay.key, essay.count, essay.mean, essay.share) == ("Essay", 3, 4, 0.4)
    assert essay.discrimination == pytest.approx(0.998, abs=0.002)
    assert [(each.grader, each.key, each.count, each.mean) for each in found.graders] == [
        ("grace", "Essay", 3, 4),
        ("grace", "Plot", 3, 6.5 / 3),
    ]
