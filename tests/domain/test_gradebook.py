"""The gradebook: grade, penalty and points by question of everybody in an assignment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from mograder.domain.access import COURSE_INSTRUCTOR, ExternalId, Role
from mograder.domain.course import Course
from mograder.domain.gradebook import GradebookRow, GradedQuestion
from mograder.domain.grading_jobs import LEASE, Announced, Result
from mograder.domain.grading_record import GradingRecord
from mograder.domain.names import Username
from mograder.domain.roster import Person
from mograder.signing import Ed25519Signer
from mograder.web.representations import gradebook_info
from mograder.wire.records import KIND, claims_of, record_of
from tests.grading_samples import FAILED, record
from tests.marked_course import TEACHER, give_all, marked_course, task
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, Clock, make_course_folder, open_course, submit_work

DUE = '[penalties]\nenabled = true\n\n[[assignments]]\nname = "hw1"\ndue = 2026-03-10T11:00:00Z\npoints = 35\n'
HOUR = 3600 * SECOND


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    root = make_course_folder(tmp_path)
    (root.parent / "mograder.toml").write_text(DUE)
    course = open_course(root, Clock())
    signer = course.signer
    assert isinstance(signer, Ed25519Signer)

    def read_record(text: str) -> GradingRecord:
        return record_of(signer.verify(text, KIND))

    made = replace(course, read_record=read_record)
    made.store.jobs.announce(HW1, Announced("t1"))
    yield made
    made.close()


def rows(course: Course) -> dict[str, GradebookRow]:
    found = course.gradebooks.of(course.release.assignment(COURSE_INSTRUCTOR, "hw1"))
    return {each.person.username: each for each in found.rows}


def give(course: Course, *entries: dict[str, object]) -> None:
    course.grades.upload(COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"), list(entries))


def finish(course: Course, signed: str = "", made: GradingRecord | None = None) -> None:
    """Grade the next submission: half right, unless `made` is another record."""
    job = course.store.jobs.claim("w", NOON, NOON + LEASE, [HW1])
    assert job is not None
    assert isinstance(course.signer, Ed25519Signer)
    claims = claims_of(replace(made or record(), username=job.username, receipt=job.receipt))
    text = signed or course.signer.sign(claims, KIND)
    assert course.store.jobs.finish(job, Result(job.receipt, "t1", HW1, job.username, NOON, text))


def test_the_gradebook_has_students_and_people_with_work_or_grades_but_no_removed_ones(course: Course) -> None:
    number = ExternalId("student_id", "007")
    people = [Person.parse("alice", "A", sections=["1"], ids=[number]), Person.parse("bob"), Person.parse("gone")]
    course.roster.add(COURSE_INSTRUCTOR, [*people, Person.parse("tom", role=Role.INSTRUCTOR)])
    give(course, {"username": "gone", "grade": "9"}, {"username": "eve", "grade": "1"}, {"username": "tom"})
    course.roster.remove(COURSE_INSTRUCTOR, Username("gone"))
    submit_work(course.store, course.signer, Username("zoe"), b"work", NOON - 2 * HOUR)
    found = rows(course)
    assert list(found) == ["alice", "bob", "eve", "zoe"]
    assert (found["alice"].person.ids, found["alice"].grade, found["alice"].received) == ((number,), None, None)
    assert (found["zoe"].received, found["zoe"].late) == (NOON - 2 * HOUR, 0)


def test_a_grade_is_given_before_and_after_the_penalty_and_drafts_are_marked(course: Course) -> None:
    for user, received in ((ALICE, NOON + HOUR), (BOB, NOON + HOUR), (Username("carl"), NOON - 2 * HOUR)):
        submit_work(course.store, course.signer, user, b"work", received)
    give(
        course,
        {"username": "alice", "grade": "8", "workflow_state": "marking"},
        {"username": "bob", "grade": "pass"},
        {"username": "carl", "grade": "8"},
        {"username": "dan", "grade": "7", "raw_grade": "10", "penalised_grade": "7", "penalty_pct": "30"},
    )
    found = rows(course)
    alice = found["alice"]
    assert (alice.grade, alice.draft, alice.late, alice.penalty > 0) == ("8", True, 2 * 3600, True)
    assert alice.penalised == f"{8 * (1 - alice.penalty / 100):g}"
    assert (found["bob"].grade, found["bob"].penalised, found["carl"].penalised) == ("pass", None, None)
    assert (found["dan"].grade, found["dan"].penalised) == ("10", "7")


def test_points_given_by_graders_count_once_they_are_released(course: Course, tmp_path: Path) -> None:
    (tmp_path / "marked").mkdir()
    with closing(marked_course(make_course_folder(tmp_path / "marked"), Clock())) as marked:
        give_all(marked, "s01", 8, 4.5)
        assert rows(marked)["s01"].points == {}
        marked.mark_release.release(TEACHER, task(marked), [Username("s01")])
        found = rows(marked)
        assert (found["s01"].points, found["s01"].grade) == ({"Essay": 8, "Plot": 4.5}, "12.5")
        assert found["s02"].points == {}
        give(marked, {"username": "s01", "Plot": 5})
        assert rows(marked)["s01"].points == {"Essay": 8, "Plot": 5}


def test_points_are_those_of_the_submission_that_counts_unless_grades_were_uploaded(course: Course) -> None:
    for user in (ALICE, BOB, Username("carl")):
        submit_work(course.store, course.signer, user, b"first", NOON - 3 * HOUR)
    finish(course, made=record(FAILED))
    finish(course)
    finish(course, signed="nonsense")
    submit_work(course.store, course.signer, ALICE, b"second", NOON - 2 * HOUR)
    assert rows(course)["alice"].points == {}  # the submission that counts is not graded yet
    finish(course)
    give(course, {"username": "bob", "grade": "9", "Q2": "7,5", "Q3": 4, "Q1": "?", "note": "1"})
    found = rows(course)
    assert found["alice"].points == {"Q1": 2.5, "Q2": 13.3}
    assert found["bob"].points == {"Q1": 2.5, "Q2": 7.5, "Q3": 4}
    assert found["carl"].points == {}
    book = course.gradebooks.of(course.release.assignment(COURSE_INSTRUCTOR, "hw1"))
    assert book.questions == (GradedQuestion("Q1", 10), GradedQuestion("Q2", 20), GradedQuestion("Q3", 5))
    told = gradebook_info(book)
    assert [(each.user, each.points) for each in told.people][:2] == [
        ("alice", {"Q1": 2.5, "Q2": 13.3}), ("bob", {"Q1": 2.5, "Q2": 7.5, "Q3": 4}),
    ]  # fmt: skip
