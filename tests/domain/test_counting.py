"""Which submission counts: the counting rule, late submissions, submissions by instructors, files placed by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.assignments import CountingRule
from mograder.domain.course import Course
from mograder.domain.extensions import Change, Decision
from mograder.domain.names import INSTRUCTOR, Username
from tests.parts import ALICE, BOB, NOON, SECOND, filled, until

CARL = Username("carl")
HOUR = 3600 * SECOND


def set_rule(course_folder: Path, rule: str) -> None:
    (course_folder.parent / "mograder.toml").write_text(
        f"counts = '{rule}'\n[penalties]\nenabled = true\n[[assignments]]\nname = 'hw1'\ndue = 2026-03-10T12:00:00\n"
    )


def submit(course: Course, user: Username, content: bytes, received: int, actor: Actor | None = None) -> str:
    """Submit. Returns the file name of the version that counts afterwards."""
    hw1, body = course.release.assignment(COURSE_INSTRUCTOR, "hw1"), filled(course.submissions.upload(), content)
    accepted = course.submissions.submit(actor or Actor(user, Role.STUDENT), hw1, user, body, received)
    return course.submissions.assessed(accepted.receipt)[1]


def collected(course: Course, which: CountingRule | None) -> dict[str, bytes]:
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    return {
        each.file.username: course.submissions.file(hw1, each.file.filename).read()
        for each in course.submissions.collect(hw1, which)
    }


@pytest.fixture
def three(course: Course, course_folder: Path) -> Course:
    """Alice has submitted on time and late, Bob only late, Carl only on time."""
    set_rule(course_folder, "latest")
    submit(course, ALICE, b"a1", NOON - HOUR)
    submit(course, ALICE, b"a2", NOON)
    submit(course, ALICE, b"a3", NOON + HOUR)
    submit(course, BOB, b"b1", NOON + HOUR)
    submit(course, CARL, b"c1", NOON - HOUR)
    return course


LATEST = {"alice": b"a3", "bob": b"b1", "carl": b"c1"}


@pytest.mark.parametrize(("rule", "alices"), [("latest", b"a3"), ("on-time", b"a2")])
def test_the_counting_rule_decides_what_counts_and_every_version_is_kept(
    three: Course, course_folder: Path, rule: str, alices: bytes
) -> None:
    set_rule(course_folder, rule)
    assert collected(three, None) == {**LATEST, "alice": alices}
    assert collected(three, CountingRule.LATEST) == LATEST
    assert collected(three, CountingRule.ON_TIME) == {"alice": b"a2", "carl": b"c1"}
    for which in (None, *CountingRule):
        alice = three.submissions.collect(three.release.assignment(COURSE_INSTRUCTOR, "hw1"), which)[0]
        assert alice.counts == ("alice_20260310T130000.py" if rule == "latest" else "alice_20260310T120000.py")
        assert alice.assessed is not None
        assert alice.file.size == 2
        assert alice.file.sha256 == hashlib.sha256(collected(three, which)["alice"]).hexdigest()
        assert alice.file.filename == "alice.py" or alice.file.modified == alice.assessed.submission.received / SECOND
    standing = three.standings.of(three.release.assignment(COURSE_INSTRUCTOR, "hw1"), ALICE)
    assert (standing.rule, [each.lateness.days for each in standing.kept]) == (rule, [0, 0, 1])
    assert standing.counting == standing.kept[1 if rule == "on-time" else 2]
    assert standing.kept[2].lateness.explanation.endswith("1 x 5 %")
    files = course_folder.parent / "submitted" / "hw1"
    assert sorted(path.read_bytes() for path in files.glob("alice_*.py")) == [b"a1", b"a2", b"a3"]
    assert (files / "alice.py").read_bytes() == b"a3"


def test_the_answer_to_a_late_submission_names_the_one_on_time_that_counts(course: Course, course_folder: Path) -> None:
    set_rule(course_folder, "on-time")
    assert submit(course, ALICE, b"a1", NOON) == "alice_20260310T120000.py"
    assert submit(course, ALICE, b"a2", NOON + HOUR) == "alice_20260310T120000.py"
    assert submit(course, BOB, b"b1", NOON + HOUR) == "bob_20260310T130000.py"


def test_a_submission_by_an_instructor_for_a_student_is_never_late_and_marked_as_such(
    three: Course, course_folder: Path
) -> None:
    set_rule(course_folder, "on-time")
    submit(three, BOB, b"b1", NOON + 9 * HOUR, COURSE_INSTRUCTOR)  # the same bytes as his late submission
    (bobs,) = (
        each
        for each in three.submissions.collect(three.release.assignment(COURSE_INSTRUCTOR, "hw1"))
        if each.file.username == BOB
    )
    assert bobs.assessed is not None
    kept = bobs.assessed.submission
    assert (kept.by, kept.late, kept.attempt, bobs.assessed.lateness.late) == (INSTRUCTOR, False, 2, False)
    assert collected(three, CountingRule.ON_TIME)["bob"] == b"b1"


def test_a_file_placed_by_hand_counts_as_it_is(three: Course, course_folder: Path) -> None:
    set_rule(course_folder, "on-time")
    latest = course_folder.parent / "submitted" / "hw1" / "alice.py"
    latest.unlink()
    for path in (latest, latest.with_name("dora.py")):
        path.write_bytes(b"by mail")
    for which in (None, CountingRule.LATEST, CountingRule.ON_TIME):
        found = collected(three, which)
        assert found["alice"] == found["dora"] == b"by mail"
    for each in three.submissions.collect(three.release.assignment(COURSE_INSTRUCTOR, "hw1")):
        assert each.assessed is not None or each.counts == each.file.filename


def test_extensions_and_submissions_of_another_assignment_change_nothing_here(
    three: Course, course_folder: Path
) -> None:
    set_rule(course_folder, "on-time")
    (course_folder / "hw2" / "files").mkdir(parents=True)
    with (course_folder.parent / "mograder.toml").open("a") as plan:
        plan.write("[[assignments]]\nname = 'hw2'\ndue = 2026-03-10T12:00:00\n")
    hw2, before = three.release.assignment(COURSE_INSTRUCTOR, "hw2"), collected(three, None)
    three.extensions.decide(COURSE_INSTRUCTOR, [Change(hw2, user, Decision.GRANT, "+9d") for user in (ALICE, BOB)])
    three.submissions.submit(
        Actor(ALICE, Role.STUDENT), hw2, ALICE, filled(three.submissions.upload(), b"hw2"), NOON + 5 * SECOND
    )
    assert collected(three, None) == before
    assert submit(three, ALICE, b"a4", NOON + 2 * HOUR) == "alice_20260310T120000.py"


def test_versions_of_submissions_and_standings_change_with_everything_they_depend_on(
    three: Course, course_folder: Path
) -> None:
    hw1 = three.release.assignment(COURSE_INSTRUCTOR, "hw1")
    by_hand = course_folder.parent / "submitted" / "hw1" / "dora.py"

    def standing() -> object:
        return three.standings.version(hw1), three.standings.number(hw1, BOB)

    for change in (
        lambda: submit(three, BOB, b"b2", NOON + 2 * HOUR), lambda: set_rule(course_folder, "on-time"),
        lambda: by_hand.write_bytes(b"by mail"),
        lambda: three.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, BOB, Decision.GRANT, "+1d")]),
    ):  # fmt: skip
        seen = three.standings.listing_version(hw1), standing()
        assert three.standings.listing_version(hw1) == seen[0]
        change()
        assert three.standings.listing_version(hw1) != seen[0]
        assert standing() != seen[1]
    before = standing()
    (course_folder / "hw1" / "grades.json").write_text('[{"username": "alice", "grade": "1"}]')
    assert standing() != before


def test_a_submission_does_not_change_versions_of_other_people_and_assignments(
    three: Course, course_folder: Path
) -> None:
    (course_folder / "hw2" / "files").mkdir(parents=True)
    hw1, hw2 = (three.release.assignment(COURSE_INSTRUCTOR, name) for name in ("hw1", "hw2"))
    three.submissions.submit(COURSE_INSTRUCTOR, hw2, BOB, filled(three.submissions.upload(), b"0"), NOON)

    def versions() -> tuple[object, ...]:
        return three.version(), three.standings.number(hw1, ALICE), three.standings.listing_version(hw1)

    until(lambda: versions() == versions())
    before = versions()
    submitted = three.submissions.submit(COURSE_INSTRUCTOR, hw2, ALICE, filled(three.submissions.upload(), b"1"), NOON)
    assert versions() == before
    assert three.standings.number(hw2, ALICE) == submitted.receipt.number


def test_an_assignment_may_have_its_own_grace_period_penalty_and_counting_rule(
    three: Course, course_folder: Path
) -> None:
    plan = course_folder.parent / "mograder.toml"
    plan.write_text(
        plan.read_text() + "counts = 'on-time'\npenalties = { per_day = 20, max = 30, grace_minutes = 90 }\n"
    )
    (course_folder / "hw2" / "files").mkdir(parents=True)
    with plan.open("a") as text:
        text.write("[[assignments]]\nname = 'hw2'\ndue = 2026-03-10T12:00:00\n")
    hw1, hw2 = (three.release.assignment(COURSE_INSTRUCTOR, name) for name in ("hw1", "hw2"))
    for task in (hw1, hw2):
        actor = Actor(ALICE, Role.STUDENT)
        for moment in (NOON, NOON + HOUR, NOON + 30 * HOUR):
            body = filled(three.submissions.upload(), str(moment).encode())
            three.submissions.submit(actor, task, ALICE, body, moment)
    own, others = (three.standings.of(task, ALICE) for task in (hw1, hw2))
    assert [each.lateness.penalty for each in own.kept[-3:]] == [0, 0, 30]  # 2 x 20 %, at most 30
    assert [each.lateness.penalty for each in others.kept[-3:]] == [0, 5, 10]
    assert (own.rule, own.counting) == ("on-time", own.kept[-2])
    assert (others.rule, others.counting) == ("latest", others.kept[-1])
    (row,) = (each for each in three.standings.board().rows if each.username == ALICE)
    assert [each.late for each in row.cells] == [True, True]
    assert [each.counts for each in three.submissions.collect(hw1) if each.file.username == ALICE] == [
        own.kept[-2].submission.filename
    ]
