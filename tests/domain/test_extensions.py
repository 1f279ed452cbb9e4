"""Extensions: notations of times; requesting, granting, declining and withdrawing."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.assignments import Assignment
from mograder.domain.course import Course
from mograder.domain.deadlines import Schedule, readable
from mograder.domain.errors import BadRequest, Closed, NotFound
from mograder.domain.extensions import Change, Decision, Extension, State, parse_until
from mograder.domain.names import Username
from tests.parts import ALICE, BOB, CODE, HW1, NOON, SECOND, Clock, filled

STUDENT = Actor(ALICE, Role.STUDENT)
DAY = 86400 * SECOND
PLAN = """
timezone = "Europe/Berlin"
[[assignments]]
name = "hw1"
due = 2026-03-27T17:00:00
closes = 2026-03-30T17:00:00
"""
DUE = 1_774_627_200 * SECOND  # 2026-03-27 17:00 CET; clocks go forward on the 29th


@pytest.fixture
def hw1(course: Course, course_folder: Path) -> Assignment:
    (course_folder.parent / "mograder.toml").write_text(PLAN)
    course.accounts.register("alice", CODE)
    course.accounts.register("bob", CODE)
    return course.release.assignment(STUDENT, "hw1")


def grant(course: Course, hw1: Assignment, until: str, *users: Username, note: str = "") -> list[Extension]:
    return course.extensions.decide(
        COURSE_INSTRUCTOR, [Change(hw1, user, Decision.GRANT, until, note) for user in users or (ALICE,)]
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [("+3d", "Mon 2026-03-30 17:00 CEST"), (" +1w ", "Fri 2026-04-03 17:00 CEST"),
     ("+48h", "Sun 2026-03-29 18:00 CEST"),
     ("+90m", "Fri 2026-03-27 18:30 CET"), ("2026-04-01", "Wed 2026-04-01 23:59:59 CEST"),
     ("2026-04-01T08:00", "Wed 2026-04-01 08:00 CEST"), ("2026-04-01 08:00:00+00:00", "Wed 2026-04-01 10:00 CEST")],
)  # fmt: skip
def test_a_time_is_understood_as_it_is_usually_meant(text: str, meant: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert readable(parse_until(text, Schedule(due=DUE), berlin), berlin) == meant


@pytest.mark.parametrize("text", ["", "soon", "3d", "+3", "+3y", "-3d", "+999999d", "2026-13-01", "0x10", "+3d +1h"])
def test_an_invalid_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadRequest, match=r"write \+3d, \+12h, 2030-02-08 or"):
        parse_until(text, Schedule(due=DUE), UTC)


def test_a_relative_time_requires_a_due_or_closing_time() -> None:
    with pytest.raises(BadRequest, match="no due time"):
        parse_until("+3d", Schedule(), UTC)
    assert parse_until("+3d", Schedule(closes=NOON), UTC) == NOON + 3 * DAY


def test_a_closing_time_alone_can_be_extended_but_not_an_assignment_without_times(
    course: Course, hw1: Assignment, course_folder: Path
) -> None:
    plan = course_folder.parent / "mograder.toml"
    plan.write_text("[[assignments]]\nname = 'hw1'\ncloses = 2026-03-10T12:00:00Z\n")
    grant(course, course.release.assignment(STUDENT, "hw1"), "+1d")
    assert course.release.assignments(STUDENT)[0].rules.schedule == Schedule(closes=NOON + DAY)
    plan.write_text("")
    with pytest.raises(BadRequest, match="'hw1' has no due time"):
        grant(course, course.release.assignment(STUDENT, "hw1"), "2026-03-11")


def test_an_extension_moves_due_and_closing_time_for_one_person_only(course: Course, hw1: Assignment) -> None:
    (given,) = grant(course, hw1, "+1w", note=" ill \n since Monday ")
    assert (given.state, given.note) == (State.GRANTED, "ill since Monday")
    assert course.extensions.schedule(hw1, ALICE) == Schedule(None, given.until, given.until)
    assert course.extensions.schedule(hw1, BOB) == hw1.rules.schedule
    assert [course.standings.of(hw1, user).extension for user in (ALICE, BOB)] == [given, None]
    assert [len(course.extensions.own(Actor(ALICE, role))) for role in (Role.STUDENT, Role.INSTRUCTOR)] == [1, 0]
    bob = Actor(BOB, Role.STUDENT)
    bobs = course.submissions.submit(
        bob, hw1, BOB, filled(course.submissions.upload(), b"work"), DUE + DAY
    ).receipt.submission
    assert (bobs.late, bobs.due) == (True, DUE)
    for actor, closes in ((STUDENT, given.until), (bob, hw1.rules.schedule.closes)):
        assert course.release.assignments(actor)[0].rules.schedule.closes == closes
        assert closes is not None
        course.submissions.check_open(actor, hw1, actor.username, closes)
        shown, arrived = (readable(each, ZoneInfo("Europe/Berlin")) for each in (closes, closes + SECOND))
        with pytest.raises(Closed, match=f"^'hw1' closed at {shown}; this arrived at {arrived}$"):
            course.submissions.check_open(actor, hw1, actor.username, closes + SECOND)
        course.submissions.check_open(COURSE_INSTRUCTOR, hw1, actor.username, closes + SECOND)


def test_lateness_is_explained_in_the_time_zone_of_the_course(course: Course, hw1: Assignment) -> None:
    said = "3 days late: due Fri 27 Mar 17:00 CET, received Mon 30 Mar 17:00 CEST"  # 71 hours: the clocks go forward
    assert course.submissions.late_policy(hw1.name).lateness(DUE, DUE + 71 * 3600 * SECOND).explanation == said
    course.submissions.submit(
        STUDENT, hw1, ALICE, filled(course.submissions.upload(), b"work"), DUE + 71 * 3600 * SECOND
    )
    assert [each.lateness.explanation for each in course.standings.of(hw1, ALICE).kept] == [said]


def test_granting_an_extension_makes_a_late_submission_on_time_and_withdrawing_it_late_again(
    course: Course, hw1: Assignment
) -> None:
    course.submissions.submit(STUDENT, hw1, ALICE, filled(course.submissions.upload(), b"work"), DUE + DAY)
    assert [each.lateness.days for each in course.standings.of(hw1, ALICE).kept] == [1]
    grant(course, hw1, "+1d")
    assert [each.lateness.days for each in course.standings.of(hw1, ALICE).kept] == [0]
    assert course.submissions.collect(hw1)[0].assessed == course.standings.of(hw1, ALICE).counting
    course.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, ALICE, Decision.WITHDRAW)])
    assert [each.lateness.days for each in course.standings.of(hw1, ALICE).kept] == [1]
    assert course.standings.of(hw1, ALICE).extension == Extension(HW1, ALICE)


def test_the_audit_log_records_who_extended_whom_and_why(course: Course, hw1: Assignment, clock: Clock) -> None:
    clock.now = NOON + 5
    grant(course, hw1, "+3d", ALICE, BOB, note="ill")
    course.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, BOB, Decision.WITHDRAW, note="was not")])
    course.extensions.ask(STUDENT, hw1, ALICE, "+4d", "still ill")
    grant(course, hw1, "+3d", BOB)
    found = [(each.moment, each.action, each.subject, each.detail) for each in course.audit.events()[:5]]
    until = "hw1 until 2026-03-30T15:00:00.000000Z"
    assert found == [
        (NOON + 5, "grant extension", "bob", until),
        (NOON + 5, "ask extension", "alice", "hw1 until 2026-03-31T15:00:00.000000Z: still ill"),
        (NOON + 5, "withdraw extension", "bob", "hw1: was not"),
        (NOON + 5, "grant extension", "bob", f"{until}: ill"),
        (NOON + 5, "grant extension", "alice", f"{until}: ill"),
    ]


def test_several_people_are_extended_together_or_not_at_all(course: Course, hw1: Assignment) -> None:
    course.submissions.submit(STUDENT, hw1, ALICE, filled(course.submissions.upload(), b"work"), DUE)
    with pytest.raises(NotFound, match="nobody called 'alcie'"):
        grant(course, hw1, "+3d", BOB, Username("alcie"))
    assert course.extensions.all() == []
    assert [each.username for each in grant(course, hw1, "+3d", BOB, ALICE)] == ["bob", "alice"]
    assert [each.username for each in course.extensions.all()] == ["alice", "bob"]


def test_a_person_requests_an_extension_and_is_granted_the_requested_time(course: Course, hw1: Assignment) -> None:
    asked = course.extensions.ask(STUDENT, hw1, ALICE, "+2d", "my\0\x1b train\n")
    assert (asked.state, asked.until) == (State.ASKED, None)
    assert course.extensions.schedule(hw1, ALICE) == hw1.rules.schedule
    theirs = course.extensions.ask(Actor(BOB, Role.STUDENT), hw1, BOB, "+5d", "")
    assert grant(course, hw1, "", BOB)[0].until == theirs.wanted
    (given,) = grant(course, hw1, "")
    assert (given.state, given.until, given.wanted, given.reason) == (State.GRANTED, asked.wanted, None, "my train")
    more = course.extensions.ask(STUDENT, hw1, ALICE, "+9d", "again")
    assert (more.state, more.until) == (State.ASKED, asked.wanted)
    (declined,) = course.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, ALICE, Decision.DECLINE, note="enough")])
    assert (declined.state, declined.until, declined.note) == (State.DECLINED, asked.wanted, "enough")
    assert not course.extensions.ask(STUDENT, hw1, ALICE, "+8d", "please").declined


@pytest.mark.parametrize("decision", [Decision.GRANT, Decision.DECLINE])
def test_a_request_that_changes_during_the_decision_is_decided_again(
    course: Course, hw1: Assignment, decision: Decision
) -> None:
    grant(course, hw1, "+1d")
    course.extensions.ask(STUDENT, hw1, ALICE, "+2d", "ill")

    def asked_meanwhile() -> int:
        course.extensions.ask(STUDENT, hw1, ALICE, f"+{len(course.audit.events())}d", "worse")
        return NOON

    meanwhile = replace(course.extensions, clock=asked_meanwhile)
    with pytest.raises(BadRequest, match="'alice' has asked for another time meanwhile: look again"):
        meanwhile.decide(COURSE_INSTRUCTOR, [Change(hw1, ALICE, decision)])
    for said in (Change(hw1, ALICE, decision, "+4d"), Change(hw1, ALICE, Decision.WITHDRAW)):
        meanwhile.decide(COURSE_INSTRUCTOR, [said])  # neither depends on the request


@pytest.mark.parametrize("decision", list(Decision))
def test_a_request_or_extension_that_does_not_exist_cannot_be_decided(
    course: Course, hw1: Assignment, decision: Decision
) -> None:
    with pytest.raises((NotFound, BadRequest), match=r"'alice' (asks for|has) no extension of 'hw1'"):
        course.extensions.decide(COURSE_INSTRUCTOR, [Change(hw1, ALICE, decision)])
    assert course.extensions.all() == []


@pytest.mark.parametrize(
    ("until", "said", "wanted"),
    [
        ("2026-03-27T17:00", "Fri 2026-03-27 17:00 CET is not after", "later"),
        ("2026-01-01", "Thu 2026-01-01 23:59:59 CET is not after", "later"),
        ("2031-03-31T17:00:01", "Mon 2031-03-31 17:00:01 CEST is too long after", "nearer"),
        ("9999-12-31T23:59Z", "too long after", "nearer"),
    ],
)
def test_a_new_due_time_is_later_than_the_old_one_but_not_by_years(
    course: Course, hw1: Assignment, until: str, said: str, wanted: str
) -> None:
    said += f" the due time of 'hw1', Fri 2026-03-27 17:00 CET: choose a {wanted} one"
    with pytest.raises(BadRequest, match=f"{said} for 'alice'$"):
        grant(course, hw1, until)
    with pytest.raises(BadRequest, match=f"{said}$"):  # in the words for the student
        course.extensions.ask(STUDENT, hw1, ALICE, until, "")
    assert grant(course, hw1, "2031-03-31T17:00")[0].until == grant(course, hw1, "+1830d")[0].until


def test_a_reason_has_at_most_500_characters(course: Course, hw1: Assignment) -> None:
    assert course.extensions.ask(STUDENT, hw1, ALICE, "+1d", "x" * 500).reason == "x" * 500
    with pytest.raises(BadRequest, match="501 characters: at most 500"):
        course.extensions.ask(STUDENT, hw1, ALICE, "+1d", "x" * 501)
