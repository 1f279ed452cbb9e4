"""Everything a course stores about a person, and what remains when it is erased."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.audit import ERASED_NAME, Event
from mograder.domain.chain import Tombstone, find_breaks
from mograder.domain.course import Course
from mograder.domain.erasure import Holdings
from mograder.domain.errors import NameTaken, NotFound
from mograder.domain.names import INSTRUCTOR, Username
from tests.parts import ALICE, BOB, CODE, HW1, NOON, Clock, filled

TUTOR = Actor(Username("tutor"), Role.INSTRUCTOR)


def submit_work(course: Course, user: Username, content: bytes) -> None:
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.submissions.submit(Actor(user, Role.STUDENT), hw1, user, filled(course.submissions.upload(), content), NOON)


@pytest.fixture
def full(course: Course) -> Course:
    """A course with every kind of data about alice, and only a grade and a page of feedback of bob."""
    course.accounts.register("alice", CODE)
    submit_work(course, ALICE, b"one")
    submit_work(course, ALICE, b"two")
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.grades.upload(COURSE_INSTRUCTOR, hw1, [{"username": "alice", "grade": 1}, {"username": "bob", "grade": 2}])
    course.grades.upload_feedback(COURSE_INSTRUCTOR, hw1, {ALICE: b"good", BOB: b"better"})
    return course


def test_everything_stored_about_a_person_is_listed(full: Course) -> None:
    assert full.erasure.holdings(ALICE) == Holdings(True, 2, (HW1,), (HW1,), (HW1,))
    assert full.erasure.holdings(BOB) == Holdings(False, 0, (), (HW1,), (HW1,))


@pytest.mark.parametrize("name", ["nobody", INSTRUCTOR])
def test_of_an_unknown_person_nothing_is_stored_and_nothing_is_erased(full: Course, name: str) -> None:
    submit_work(full, INSTRUCTOR, b"trying it out")
    before = full.audit.events()
    for attempt in (lambda: full.erasure.holdings(Username(name)), lambda: full.erasure.erase(TUTOR, Username(name))):
        with pytest.raises(NotFound, match=f"holds nothing about '{name}'"):
            attempt()
    assert full.audit.events() == before


def test_erasing_a_person_leaves_tombstones_and_a_taken_name(full: Course, clock: Clock) -> None:
    submit_work(full, BOB, b"bobs")
    clock.now = NOON + 7
    assert full.erasure.erase(TUTOR, ALICE) == Holdings(True, 2, (HW1,), (HW1,), (HW1,))
    links = list(full.store.submissions.chain())
    assert [type(each) is Tombstone for each in links] == [True, True, False]
    assert list(find_breaks(links, full.signer, [full.submissions.head()])) == []
    stated = full.signer.verify(links[0].statement) if isinstance(links[0], Tombstone) else {}
    assert (stated["course"], stated["erased"]) == (full.name, "2026-03-10T12:00:00.000007Z")
    assert full.audit.events()[0] == Event(NOON + 7, "tutor", "erase", ERASED_NAME, "2 receipts")
    assert full.erasure.holdings(BOB) == Holdings(False, 1, (HW1,), (HW1,), (HW1,))
    with pytest.raises(NameTaken):
        full.accounts.register("alice", CODE)
    assert full.erasure.holdings(ALICE) == Holdings()  # and nothing else, although the name is known


def test_an_account_alone_is_stored_data(course: Course) -> None:
    replace(course, clock=Clock()).accounts.register("alice", CODE)
    assert course.erasure.holdings(ALICE) == Holdings(account=True)
