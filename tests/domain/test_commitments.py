"""A commitment has at most the effect of submitting the same bytes at the same time, and expires."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.assignments import Assignment
from mograder.domain.commitments import LIFE, MOST, Commitment, announced
from mograder.domain.course import Course
from mograder.domain.errors import BadRequest, Closed, Throttled, TooLarge
from mograder.domain.extensions import Change, Decision
from mograder.domain.names import Username
from mograder.domain.receipts import Submission
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, filled, sha256

STUDENT = Actor(ALICE, Role.STUDENT)
MINUTE = 60 * SECOND
CLOSES = NOON + 10 * MINUTE


@pytest.fixture
def hw1(course: Course, course_folder: Path) -> Assignment:
    times = "due = 2026-03-10T12:00:00\ncloses = 2026-03-10T12:10:00"
    (course_folder.parent / "mograder.toml").write_text(
        f"counts = 'on-time'\n[penalties]\ngrace_minutes = 0\n[[assignments]]\nname = 'hw1'\n{times}\n"
    )
    return course.release.assignment(STUDENT, "hw1")


def commit(course: Course, hw1: Assignment, content: bytes, now: int, user: Actor = STUDENT) -> Commitment:
    return course.commitments.announce(user, hw1, user.username, sha256(content), len(content), now)


def submit(course: Course, hw1: Assignment, content: bytes, now: int, user: Actor = STUDENT) -> Submission:
    body = filled(course.submissions.upload(), content)
    try:
        course.submissions.check_open(user, hw1, user.username, now)
        return course.submissions.submit(user, hw1, user.username, body, now).receipt.submission
    finally:
        body.discard()


def announced_by(course: Course, assignment: Assignment, user: Username) -> tuple[Commitment, ...]:
    return course.store.commitments.of(assignment.name, user)


def test_the_time_of_the_commitment_counts_and_the_receipt_states_both_times(course: Course, hw1: Assignment) -> None:
    assert not announced_by(course, hw1, ALICE)
    made = commit(course, hw1, b"work", NOON)
    assert made == Commitment(HW1, ALICE, sha256(b"work"), 4, NOON)
    assert (announced_by(course, hw1, ALICE), announced_by(course, hw1, BOB)) == ((made,), ())
    kept = submit(course, hw1, b"work", CLOSES + 40 * MINUTE)
    assert (kept.received, kept.arrived, kept.late, kept.due) == (NOON, CLOSES + 40 * MINUTE, False, NOON)
    assert kept.filename == "alice_20260310T120000.py"
    assert submit(course, hw1, b"unannounced", CLOSES).arrived is None
    assert not announced_by(course, hw1, ALICE)


@pytest.mark.parametrize("arrives", [CLOSES + 1 * MINUTE, NOON + LIFE, NOON + LIFE + SECOND])
def test_a_commitment_is_valid_for_the_exact_bytes_of_one_person_for_one_hour(
    course: Course, hw1: Assignment, arrives: int
) -> None:
    commit(course, hw1, b"work", NOON)
    for content, user in ((b"work!", STUDENT), (b"work", Actor(BOB, Role.STUDENT))):
        with pytest.raises(Closed):
            submit(course, hw1, content, arrives, user)
    if arrives > NOON + LIFE:
        with pytest.raises(Closed):
            submit(course, hw1, b"work", arrives)
    else:
        assert submit(course, hw1, b"work", arrives).received == NOON


def test_a_commitment_is_valid_for_one_submission(course: Course, hw1: Assignment) -> None:
    commit(course, hw1, b"one", NOON)
    assert submit(course, hw1, b"one", NOON + 2 * MINUTE).late is False
    assert submit(course, hw1, b"two", NOON + 3 * MINUTE).late is True
    assert submit(course, hw1, b"one", NOON + 4 * MINUTE).late is True
    counting = course.standings.of(hw1, ALICE).counting
    assert counting is not None
    assert (counting.submission.sha256, counting.submission.attempt) == (sha256(b"one"), 1)


def test_a_repeated_commitment_keeps_its_first_time_and_a_retry_its_receipt(course: Course, hw1: Assignment) -> None:
    first = commit(course, hw1, b"work", NOON)
    assert commit(course, hw1, b"work", NOON + 5 * MINUTE) == first
    kept = submit(course, hw1, b"work", NOON + 6 * MINUTE)
    assert submit(course, hw1, b"work", NOON + 7 * MINUTE) == kept


def test_the_number_of_open_commitments_is_limited(course: Course, hw1: Assignment) -> None:
    for number in range(MOST):
        commit(course, hw1, b"%d" % number, NOON + number * MINUTE)
    with pytest.raises(Throttled, match="5 files of yours are announced") as refused:
        commit(course, hw1, b"more", NOON + 6 * MINUTE)
    assert refused.value.retry_after == 60
    submit(course, hw1, b"0", NOON + 7 * MINUTE)
    commit(course, hw1, b"more", NOON + 8 * MINUTE)
    new = Commitment(HW1, ALICE, "f" * 64, 1, NOON + MINUTE + LIFE + SECOND)
    held = course.store.commitments.of(HW1, ALICE)
    assert len(announced(held, new)) == MOST
    assert announced(held, replace(new, moment=NOON + 3 * LIFE)) == (replace(new, moment=NOON + 3 * LIFE),)


def test_after_closing_only_the_last_announced_file_is_accepted(course: Course, hw1: Assignment) -> None:
    for number in range(1, MOST + 1):
        commit(course, hw1, b"%d" % number, NOON + number * SECOND)
    with pytest.raises(Closed):  # a later one was announced
        submit(course, hw1, b"3", CLOSES + MINUTE)
    kept = submit(course, hw1, b"5", CLOSES + 2 * MINUTE)
    assert (kept.received, kept.attempt) == (NOON + 5 * SECOND, 1)
    for number in range(1, MOST):
        with pytest.raises(Closed):
            submit(course, hw1, b"%d" % number, CLOSES + 3 * MINUTE)
    assert [each.submission.sha256 for each in course.submissions.history(hw1, ALICE)] == [sha256(b"5")]


def test_an_announced_file_that_was_superseded_needs_a_new_commitment(course: Course, hw1: Assignment) -> None:
    commit(course, hw1, b"one", NOON - 2 * SECOND)
    commit(course, hw1, b"two", NOON - SECOND)
    assert submit(course, hw1, b"one", NOON + MINUTE).late is True  # as without a commitment
    assert submit(course, hw1, b"two", NOON + 2 * MINUTE).late is False


def test_a_file_announced_on_time_is_on_time_whatever_was_announced_later(course: Course, hw1: Assignment) -> None:
    commit(course, hw1, b"in time", NOON)
    commit(course, hw1, b"late", NOON + MINUTE)
    assert submit(course, hw1, b"in time", CLOSES + MINUTE).late is False
    assert submit(course, hw1, b"late", CLOSES + 2 * MINUTE).late is True


def test_a_commitment_is_accepted_until_closing_and_only_for_a_file_that_would_be_accepted(
    course: Course, hw1: Assignment
) -> None:
    with pytest.raises(Closed, match="closed at Tue 2026-03-10 12:10 UTC; this arrived at Tue 2026-03-10 12:10:01 UTC"):
        commit(course, hw1, b"work", CLOSES + SECOND)
    for digest, size, said in (
        ("F" * 64, 1, "64 lower-case hex"), ("f" * 63, 1, "64 lower-case hex"), ("f" * 64, 0, "has 0 bytes"),
        ("f" * 64, -1, "has -1 bytes"),
    ):  # fmt: skip
        with pytest.raises(BadRequest, match=said):
            course.commitments.announce(STUDENT, hw1, ALICE, digest, size, NOON)
    with pytest.raises(TooLarge):
        course.commitments.announce(STUDENT, hw1, ALICE, "f" * 64, course.max_upload + 1, NOON)
    assert course.store.commitments.of(HW1, ALICE) == ()


def test_a_commitment_is_accepted_until_the_closing_time_of_the_person(course: Course, hw1: Assignment) -> None:
    course.roster.enrol([ALICE])
    course.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, ALICE, Decision.GRANT, "+1h")])
    assert commit(course, hw1, b"work", CLOSES + SECOND).moment == CLOSES + SECOND
    with pytest.raises(Closed):
        commit(course, hw1, b"work", CLOSES + SECOND, Actor(BOB, Role.STUDENT))


def test_a_clock_that_is_set_back_invalidates_no_commitment_and_dates_nothing_later(
    course: Course, hw1: Assignment
) -> None:
    commit(course, hw1, b"work", NOON)
    kept = submit(course, hw1, b"work", NOON - MINUTE)
    assert (kept.received, kept.late) == (NOON - MINUTE, False)
