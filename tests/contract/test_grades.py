"""What every store promises about grades and feedback."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.assignments import CountingRule
from mograder.domain.board import Show
from mograder.domain.course import Course
from mograder.domain.errors import ChangedMeanwhile
from mograder.domain.store import Store
from tests.contract.parts import NOTE, SIGNER, Open, graded
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, Clock, submit_work


def test_grades_are_merged_by_person_and_keep_unknown_keys(store: Store) -> None:
    assert store.grades.of(HW1) == ()
    assert store.grades.merge(HW1, (graded(username="alice", grade="1", tutor="T"), graded(username="bob")), NOTE) == 2
    assert store.grades.merge(HW1, (graded(username="alice", grade="2"),), NOTE) == 2
    assert [dict(each.fields) for each in store.grades.of(HW1)] == [
        {"username": "alice", "grade": "2", "tutor": "T"},
        {"username": "bob"},
    ]


def test_grades_merged_by_many_threads_are_all_stored(store: Store) -> None:
    def one(number: int) -> int:
        return store.grades.merge(HW1, (graded(username=f"s{number}", grade="ä"),), NOTE)

    with ThreadPoolExecutor(20) as threads:
        counts = list(threads.map(one, range(60)))
    assert sorted(counts) == list(range(1, 61))
    assert {each.person for each in store.grades.of(HW1)} == {f"s{number}" for number in range(60)}


def test_feedback_is_kept_for_each_person_and_replaced(store: Store) -> None:
    assert store.grades.feedback(HW1, ALICE) is None
    store.grades.put_feedback(HW1, {ALICE: b"first", BOB: b"bob"}, NOTE)
    store.grades.put_feedback(HW1, {ALICE: b"second"}, NOTE)
    pages = [store.grades.feedback(HW1, user) for user in (ALICE, BOB)]
    assert [page.read() if page else None for page in pages] == [b"second", b"bob"]


def test_grades_that_have_changed_since_are_not_merged(open_again: Open) -> None:
    one, other = open_again(), open_again()
    first = one.grades.version(HW1)
    one.grades.merge(HW1, (graded(username="alice", grade=1),), NOTE, first)
    with pytest.raises(ChangedMeanwhile):
        other.grades.merge(HW1, (graded(username="alice", grade=2),), NOTE, first)
    assert [each.grade for each in other.grades.of(HW1)] == ["1"]
    assert (other.audit.events(), other.grades.version(HW1)) == ([NOTE], one.grades.version(HW1))
    assert other.grades.version(HW1) != first


def test_of_many_simultaneous_merges_into_one_version_one_succeeds(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    version = stores[0].grades.version(HW1)

    def merge(number: int) -> bool:
        try:
            stores[number % 2].grades.merge(HW1, (graded(username=f"s{number}", grade=1),), NOTE, version)
        except ChangedMeanwhile:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(merge, range(16))) == 1
    assert len(stores[0].grades.of(HW1)) == len(stores[0].audit.events()) == 1


@pytest.mark.parametrize("rule", ["latest", "on-time"])
def test_a_resubmission_after_the_grade_counts_as_ungraded_until_it_is_graded(store: Store, rule: str) -> None:
    course = Course(store, SIGNER, Clock())
    course.rules.count(COURSE_INSTRUCTOR, CountingRule(rule))
    assert course.plan.counts is CountingRule(rule)
    task = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    submit_work(store, SIGNER, BOB, b"his")

    def upload(grade: str) -> None:
        document = [{"username": "alice", "grade": grade}, {"username": "bob", "grade": "3"}]
        course.grades.upload(COURSE_INSTRUCTOR, task, document)

    def states() -> list[tuple[str, str]]:
        found = [(row.username, row.cells[0]) for row in course.standings.board().rows]
        shown = [course.standings.of(task, user) for user in (ALICE, BOB)]
        assert [cell.state(NOON) for _, cell in found] == [each.state(NOON) for each in shown]
        assert [Show.UNGRADED.fits(cell) for _, cell in found] == [each.again for each in shown]
        return [(user, cell.state(NOON)) for user, cell in found]

    submit_work(store, SIGNER, ALICE, b"one")
    upload("5")
    assert states() == [("alice", "graded"), ("bob", "graded")]
    submit_work(store, SIGNER, ALICE, b"two", NOON + SECOND)
    assert states() == [("alice", "to grade again"), ("bob", "graded")]
    upload("5")  # uploading the same table again does not grade the new submission
    assert states() == [("alice", "to grade again"), ("bob", "graded")]
    course.grades.confirm(COURSE_INSTRUCTOR, task, ALICE)
    assert states() == [("alice", "graded"), ("bob", "graded")]
    submit_work(store, SIGNER, ALICE, b"three", NOON + 2 * SECOND)
    assert states() == [("alice", "to grade again"), ("bob", "graded")]
    upload("6")
    assert states() == [("alice", "graded"), ("bob", "graded")]
