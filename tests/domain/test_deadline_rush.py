"""Three hundred students around a deadline, with a server clock that is set back in the middle of it.

The results of the course are compared with an independent computation from the same actions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.assignments import Assignment, CountingRule
from mograder.domain.course import Course
from mograder.domain.errors import Closed
from mograder.domain.extensions import Change, Decision
from mograder.domain.names import Username
from mograder.domain.roster import Person
from tests.parts import SECOND, Clock, filled, sha256

BERLIN = ZoneInfo("Europe/Berlin")
PLAN = """
timezone = "Europe/Berlin"
counts = "{rule}"
[penalties]
enabled = true
grace_minutes = 2
per_day = 30
max = 50
[[assignments]]
name = "hw1"
due = 2026-03-27T17:00:00
closes = 2026-03-30T17:00:00
"""
# In seconds, computed by hand: the night to the 29th is an hour shorter.
DUE, CLOSES, GRACE, DAY, LIFE = 1_774_627_200, 1_774_627_200 + 71 * 3600, 120, 86_400, 3600
SET_BACK_AT, SET_BACK_BY = DUE + 60, 90


@dataclass
class Expected:
    """The expected state of one student, computed independently of the course."""

    due: int = DUE
    closes: int = CLOSES
    announced: dict[bytes, float] = field(default_factory=dict)
    kept: list[tuple[bytes, float, bool, bool]] = field(default_factory=list)  # bytes, time, by instructor, was late
    refused: int = 0

    def extend(self, until: int | None) -> None:
        self.due, self.closes = (DUE, CLOSES) if until is None else (max(DUE, until), max(CLOSES, until))

    def announce(self, content: bytes, now: float) -> bool:
        if int(now) > self.closes:
            return False
        if not (content in self.announced and abs(now - self.announced[content]) <= LIFE):
            self.announced[content] = now
        return True

    def submit_work(self, content: bytes, now: float, teacher: bool) -> bool:
        """Returns whether it is accepted."""
        moment, used = now, None
        still = {each: when for each, when in self.announced.items() if abs(now - when) <= LIFE}
        if content in still and not any(self.replaces(when, still[content]) for when in still.values()):
            used = still[content]
            moment = min(now, used)
        if int(moment) > self.closes and not teacher:
            self.refused += 1
            return False
        late = int(moment) > self.due + GRACE and not teacher
        same = bool(self.kept) and self.kept[-1][0] == content
        if not same or (self.kept[-1][3] and not late):
            self.kept.append((content, moment, teacher, late))
        self.announced.pop(content, None)
        if used is not None:
            self.announced = {each: when for each, when in self.announced.items() if when > used}
        return True

    def replaces(self, later: float, earlier: float) -> bool:
        """Whether a file announced at `later` supersedes one announced at `earlier`."""
        limits = (self.due + GRACE, self.closes)
        return later > earlier and [int(later) > each for each in limits] == [int(earlier) > each for each in limits]

    def days(self) -> list[int]:
        """Days late of every submission, counted day by day in the time zone of Berlin."""
        found = []
        for _, moment, teacher, _ in self.kept:
            days = 0
            if not teacher and int(moment) > self.due + GRACE:
                wall = datetime.fromtimestamp(self.due, BERLIN).replace(tzinfo=None)
                while int(moment) > (wall + timedelta(days)).replace(tzinfo=BERLIN).timestamp():
                    days += 1
            found.append(days)
        return found


def actions_of(rng: random.Random, number: int) -> list[tuple[float, str, bytes, float]]:
    """The actions of one student: time (seconds), action, bytes, and duration of the upload."""
    actions: list[tuple[float, str, bytes, float]] = []
    for attempt in range(rng.randint(1, 3)):
        content = b"%d/%d" % (number, attempt)
        around = [rng.gauss(0, 240), rng.gauss(0, 240), rng.uniform(-DAY, 3 * DAY), rng.gauss(CLOSES - DUE, 600)]
        when = DUE + rng.choice([*around, rng.randint(-1, 180)])
        slow = rng.choice([0.0, rng.uniform(0, 30), rng.uniform(0, 1200)])
        if rng.random() < 0.3:
            actions.append((when - rng.uniform(0, 60), "announce", content, 0))
            when += rng.choice([0, 600, LIFE - 60, LIFE + 600])
        actions.append((when, "submit", content, slow))
        if rng.random() < 0.3:  # the answer was lost
            actions.append((when + rng.uniform(1, 300), "submit", content, 0))
    if rng.random() < 0.1:
        actions.append((DUE + rng.uniform(-DAY, 5 * DAY), "extend", b"", 0))
        if rng.random() < 0.3:
            actions.append((DUE + rng.uniform(0, 5 * DAY), "withdraw", b"", 0))
    if rng.random() < 0.05:
        actions.append((DUE + rng.uniform(0, 4 * DAY), "teacher", b"%d/0" % number, 0))
    return actions


def shown_time(true: float) -> float:
    """The time on the clock of the server."""
    return true - SET_BACK_BY if true >= SET_BACK_AT else true


def act(course: Course, hw1: Assignment, user: Username, action: str, content: bytes, now: int) -> bool:
    student = Actor(user, Role.STUDENT)
    try:
        if action == "announce":
            course.commitments.announce(student, hw1, user, sha256(content), len(content), now)
        elif action in ("extend", "withdraw"):
            decision = Decision.GRANT if action == "extend" else Decision.WITHDRAW
            course.extensions.decide(
                COURSE_INSTRUCTOR, [Change(hw1, user, decision, "+2d" if action == "extend" else "")]
            )
        else:
            actor, body = (
                COURSE_INSTRUCTOR if action == "teacher" else student,
                filled(course.submissions.upload(), content),
            )
            try:
                course.submissions.check_open(actor, hw1, user, now)
                course.submissions.submit(actor, hw1, user, body, now)
            finally:
                body.discard()
    except Closed:
        return False
    return True


@pytest.fixture
def expected(course: Course, course_folder: Path, clock: Clock) -> dict[Username, Expected]:
    """Performs the actions in the course. Returns the expected state of each student."""
    (course_folder.parent / "mograder.toml").write_text(PLAN.format(rule="latest"))
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    rng = random.Random(20260327)
    students = {Username(f"s{number}"): Expected() for number in range(300)}
    course.roster.add(COURSE_INSTRUCTOR, [Person(user) for user in students])
    # In the order in which uploads are complete; the time of arrival counts.
    everything = [
        (when + slow, user, when, action, content)
        for number, user in enumerate(students)
        for when, action, content, slow in actions_of(rng, number)
    ]
    for _, user, when, action, content in sorted(everything):
        now, model = shown_time(when), students[user]
        moment = int(now * SECOND)
        clock.now = moment
        if action == "withdraw" and model.due == DUE:
            continue
        taken = act(course, hw1, user, action, content, moment)
        if action in ("extend", "withdraw"):
            model.extend(DUE + 2 * DAY - 3600 if action == "extend" else None)
        elif action == "announce":
            assert model.announce(content, moment / SECOND) == taken
        else:
            assert model.submit_work(content, moment / SECOND, action == "teacher") == taken, (user, action, when)
    return students


def test_a_simulated_rush_gives_the_results_of_an_independent_computation(
    course: Course, course_folder: Path, expected: dict[Username, Expected]
) -> None:
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    for user, model in expected.items():
        kept = course.standings.of(hw1, user).kept
        assert [(each.submission.sha256, each.submission.received, each.submission.late) for each in kept] == [
            (sha256(content), round(moment * SECOND), late) for content, moment, _, late in model.kept
        ], user
        days = model.days()
        assert [each.lateness.days for each in kept] == days
        assert [each.lateness.penalty for each in kept] == [min(30 * each, 50) for each in days]
    # Every kind of outcome occurs, so that each comparison above is meaningful.
    all_days = [day for model in expected.values() for day in model.days()]
    assert {0, 1, 2, 3} <= set(all_days)
    assert sum(model.refused for model in expected.values()) > 30
    assert sum(any(teacher for _, _, teacher, _ in model.kept) for model in expected.values()) > 5
    assert sum(len(model.kept) > 1 for model in expected.values()) > 50
    assert sum(each.submission.arrived is not None for each in course.store.submissions.receipts()) > 30
    for rule in CountingRule:
        assert_collected(course, course_folder, expected, rule)


def assert_collected(
    course: Course, course_folder: Path, expected: dict[Username, Expected], rule: CountingRule
) -> None:
    (course_folder.parent / "mograder.toml").write_text(PLAN.format(rule=rule))
    hw1 = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    for which in (*CountingRule, None):
        wanted = {}
        for user, model in expected.items():
            kept = [content for content, _, _, _ in model.kept]
            in_time = [content for content, day in zip(kept, model.days(), strict=True) if day == 0]
            strict = which is CountingRule.ON_TIME
            chosen = in_time if strict or (which is None and rule is CountingRule.ON_TIME and in_time) else kept
            if chosen:
                wanted[user] = chosen[-1]
        found = course.submissions.collect(hw1, which)
        assert {each.file.username: each.file.sha256 for each in found} == {
            user: sha256(content) for user, content in wanted.items()
        }
        for each in found[::10]:
            assert course.submissions.file(hw1, each.file.filename).read() == wanted[each.file.username]
