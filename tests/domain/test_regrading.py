"""A regrade is shown first, person by person, and then applied completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mograder.domain.course import Course
from mograder.domain.errors import BadRequest, ChangedMeanwhile
from mograder.domain.grading_jobs import LEASE, TRIES, Announced, Job, Result
from mograder.domain.names import Username
from mograder.domain.regrading import Regraded, RegradePreview
from mograder.domain.results import RunReport
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, claims_of
from tests.grading_samples import FAILED, HALF_RIGHT, LOOPING, TESTED, record
from tests.marked_course import GRACE, TEACHER, checked, give, marked_course, task
from tests.parts import HW1, NOON, Clock, submit_work

LETTERS = "[marking]\nletters = { A = 90, B = 70, C = 50, D = 0 }\n"
NEW = {"s01": FAILED, "s02": LOOPING, "s03": replace(HALF_RIGHT, flaky=("Q1: value",))}
"""The results of the new tests: s01 gains points, s02 loses some, s03 keeps them."""


@pytest.fixture
def desk(course_folder: Path, clock: Clock) -> Iterator[Course]:
    """Three people with results and 5 manual points each; new tests are announced."""
    course = checked(marked_course(course_folder, clock, LETTERS))
    for user in NEW:
        give(course, user, "Q3", 5)
    course.store.jobs.announce(HW1, Announced("t2"))
    yield course
    course.close()


def result(course: Course, user: str, receipt: int, report: RunReport, tests: str = "t2") -> Result:
    assert isinstance(course.signer, Ed25519Signer)
    made = record(report, username=user, receipt=receipt, tested=replace(TESTED, tests=tests))
    return Result(receipt, tests, HW1, Username(user), NOON, course.signer.sign(claims_of(made), KIND))


def work(course: Course) -> None:
    """Grade everything that can be graded, as workers do."""
    while job := course.store.regrades.claim("w", course.clock(), course.clock() + LEASE, [HW1]):
        course.store.regrades.finish(job, result(course, job.username, job.receipt, NEW[job.username]))


def look(course: Course) -> RegradePreview:
    found = course.regrades.look(task(course))
    assert found is not None
    return found


def regraded(course: Course, user: str = "") -> RegradePreview:
    held = course.regrades.look(task(course))
    course.regrades.start(TEACHER, task(course), user, False, held.id if held else "")
    work(course)
    return look(course)


def points(course: Course, user: str) -> float | None:
    shown = course.results.of(TEACHER, task(course), Username(user)).shown
    return shown.marks.automatic if shown else None


def row_of(found: RegradePreview, user: str) -> Regraded:
    return next(each for each in found.rows if each.username == user)


def test_the_preview_shows_gains_losses_and_changed_letters(desk: Course) -> None:
    assert desk.regrades.start(TEACHER, task(desk), "", False, "") == 3
    assert (look(desk).waiting, look(desk).total, look(desk).rows) == (3, 3, ())
    work(desk)
    found = look(desk)
    assert (found.waiting, found.new, found.failed) == (0, 3, ())
    assert found.summary == "1 gains points, 1 loses points, 1 stays as it is, 2 letters change"
    gains, loses, stays = (row_of(found, user) for user in NEW)
    assert [(each.key, each.old, each.new) for each in gains.questions] == [("Q1", 2.5, 0), ("Q2", 13.3, 20)]
    assert (gains.change, gains.old_letter, gains.new_letter) == (4.2, "C", "B")
    assert (loses.change, loses.old_letter, loses.new_letter) == (-5.8, "C", "D")
    assert (stays.change, stays.changes_letter, stays.says_something) == (0, False, True)
    assert [points(desk, user) for user in NEW] == [15.8] * 3
    assert desk.regrades.apply(TEACHER, task(desk), found.version) == 3
    assert [points(desk, user) for user in NEW] == [20, 10, 15.8]
    assert desk.marking.of(task(desk), Username("s01")).marks.total == 25  # with the points that grace gave
    assert desk.regrades.look(task(desk)) is None
    line = desk.audit.events()[0]
    assert (line.actor, line.action, line.subject) == (TEACHER.username, "regrade", "hw1")
    assert line.detail == f"tests t2: {found.summary}"


def test_a_manual_mark_keeps_its_letter(desk: Course) -> None:
    give(desk, "s01", "Q1", 10)
    give(desk, "s01", "Q2", 20)
    gains = row_of(regraded(desk, "s01"), "s01")
    assert (gains.change, gains.old_letter, gains.new_letter) == (4.2, "A", "A")


def test_without_a_scale_or_a_finished_mark_there_is_no_letter(desk: Course, course_folder: Path) -> None:
    give(desk, "s01", "Q3", None, 1)
    assert row_of(regraded(desk), "s01").new_letter == ""
    (course_folder.parent / "mograder.toml").write_text("")
    assert {each.new_letter for each in look(desk).rows} == {""}


def test_the_letter_of_a_newer_submission_comes_from_its_own_result(desk: Course) -> None:
    regraded(desk)
    submit_work(desk.store, desk.signer, Username("s01"), b"newer")
    gains = row_of(look(desk), "s01")
    assert (gains.change, gains.old_letter, gains.new_letter) == (4.2, "", "")


def test_a_regrade_of_one_person_changes_only_their_result(desk: Course) -> None:
    found = regraded(desk, " s02 ")
    assert [each.username for each in found.rows] == ["s02"]
    assert desk.regrades.apply(TEACHER, task(desk), found.version) == 1
    assert [points(desk, user) for user in NEW] == [15.8, 10, 15.8]


def test_an_unfinished_or_changed_regrade_is_not_applied(desk: Course) -> None:
    desk.regrades.start(TEACHER, task(desk), "", False, "")
    with pytest.raises(BadRequest, match="3 submissions still"):
        desk.regrades.apply(TEACHER, task(desk), look(desk).version)
    earlier = look(desk).version
    work(desk)
    seen = look(desk).version
    with pytest.raises(ChangedMeanwhile):
        desk.regrades.apply(TEACHER, task(desk), earlier)
    receipt = look(desk).rows[0].receipt
    kept = result(desk, "s01", receipt, LOOPING, "t9")
    late = Job(receipt, HW1, Username("s01"), 1, NOON)
    assert desk.store.jobs.finish(late, kept)  # by another worker
    with pytest.raises(ChangedMeanwhile, match="another result came"):
        desk.regrades.apply(TEACHER, task(desk), seen)
    assert points(desk, "s02") == 15.8
    assert desk.regrades.apply(TEACHER, task(desk), look(desk).version) == 3
    with pytest.raises(ChangedMeanwhile, match="nothing left"):
        desk.regrades.apply(TEACHER, task(desk), seen)


def test_when_tests_change_the_preview_is_outdated_and_cannot_be_applied(desk: Course) -> None:
    seen = regraded(desk).version
    desk.store.jobs.announce(HW1, Announced("t3"))
    assert look(desk).waiting == 3
    with pytest.raises(ChangedMeanwhile):
        desk.regrades.apply(TEACHER, task(desk), seen)


def test_submissions_without_a_valid_new_result_are_named_and_keep_the_old_one(desk: Course, clock: Clock) -> None:
    desk.regrades.start(TEACHER, task(desk), "", False, "")
    forged = result(desk, "s02", 2, FAILED)
    for _ in range(TRIES):
        job = desk.store.regrades.claim("w", clock(), clock() + LEASE, [HW1])
        assert job
        assert job.username == "s01"
        desk.store.regrades.fail(job, "no sandbox", clock())
    job = desk.store.regrades.claim("w", clock(), clock() + LEASE, [HW1])
    assert job
    desk.store.regrades.finish(job, replace(forged, signed=f"{forged.signed[:-4]}AAAA"))
    work(desk)
    found = look(desk)
    assert (found.waiting, found.failed) == (0, (("s01", "no sandbox"), ("s02", "its record cannot be believed")))
    assert found.summary == "0 gain points, 0 lose points, 1 stays as it is, 2 submissions could not be graded"
    assert desk.regrades.apply(TEACHER, task(desk), found.version) == 1
    assert [points(desk, user) for user in NEW] == [15.8] * 3


def test_a_regrade_needs_a_person_with_work_and_tests_and_does_not_replace_an_unseen_one(desk: Course) -> None:
    for user, said in (("nobody", "'nobody' has submitted nothing"), ("grace", "'grace' has submitted nothing")):
        with pytest.raises(BadRequest, match=said):
            desk.regrades.start(TEACHER, task(desk), user, False, "")
    desk.regrades.start(TEACHER, task(desk), "", True, "")
    with pytest.raises(ChangedMeanwhile):
        desk.regrades.start(GRACE, task(desk), "", False, "")
    assert look(desk).twice
    begun = look(desk).id
    desk.regrades.drop(TEACHER, task(desk), begun)
    with pytest.raises(ChangedMeanwhile):
        desk.regrades.drop(TEACHER, task(desk), begun)
    assert [each.action for each in desk.audit.events()[:2]] == ["drop regrade", "start regrade"]
