"""Remembered browsers, and login codes for a person who does not have the token."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.audit import without_repeats
from mograder.domain.course import Course
from mograder.domain.devices import MOST_DEVICES, REMEMBERED
from mograder.domain.login_codes import CODES_A_WINDOW, WINDOW
from mograder.domain.names import INSTRUCTOR, Username
from mograder.web.pages import sessions
from mograder.web.pages.devices import browser_name
from mograder.wire.join_link import JoinLink
from tests.parts import ALICE, CODE, SECOND, Clock, Running, token_of
from tests.web.pages.test_sessions import OURS, Visitor

A_CODE = re.compile(r">([a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4})<")
DAY = 24 * 3600 * SECOND


@pytest.fixture
def alice(course: Course) -> Visitor:
    course.accounts.register("alice", CODE)
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, "alice"), remember="yes")
    return visitor


def code_from(visitor: Visitor, path: str = "/devices/code") -> str:
    found = A_CODE.search(visitor.post(path).text)
    assert found
    return found[1]


def test_a_remembered_browser_stays_logged_in_during_the_term_while_it_is_used(alice: Visitor, clock: Clock) -> None:
    assert f"max-age={REMEMBERED // SECOND}" in alice.set[0].lower()
    for _ in range(3):
        clock.now += REMEMBERED - SECOND
        assert alice.sees == "Your assignments"
    clock.now += REMEMBERED + SECOND
    assert alice.sees == "Join the course"


def test_sessions_of_instructors_and_graders_stay_short_despite_the_checkbox(
    alice: Visitor, course: Course, clock: Clock
) -> None:
    teacher = Visitor(course)
    teacher.post("/login", token=token_of(course, INSTRUCTOR), remember="yes")
    course.roster.set_role(COURSE_INSTRUCTOR, ALICE, Role.INSTRUCTOR)  # remembered while a student
    course.accounts.register("grace", CODE)
    course.roster.set_role(COURSE_INSTRUCTOR, Username("grace"), Role.GRADER)
    grader = Visitor(course)
    grader.post("/login", token=token_of(course, "grace"), remember="yes")
    clock.now += (sessions.SESSION_SECONDS + 1) * SECOND
    assert (teacher.sees, alice.sees, grader.sees) == ("Join the course",) * 3


def test_each_person_has_a_limited_number_of_remembered_browsers_and_repeats_are_one_audit_line(
    alice: Visitor, course: Course
) -> None:
    for _ in range(MOST_DEVICES - 1):
        Visitor(course).post("/login", token=token_of(course, "alice"), remember="yes")
    assert alice.sees == "Your assignments"
    for _ in range(MOST_DEVICES):
        Visitor(course).post("/login", token=token_of(course, "alice"), remember="yes")
    assert alice.sees == "Join the course"
    assert len(course.devices.of(Actor(ALICE, Role.STUDENT))) == MOST_DEVICES
    lines = [each for each in without_repeats(course.audit.events()) if each.event.action == "remember browser"]
    assert [each.count for each in lines] == [2 * MOST_DEVICES]


def test_a_person_can_end_one_of_their_remembered_browsers_from_another(
    alice: Visitor, course: Course, clock: Clock
) -> None:
    other = Visitor(course)
    agent = {**OURS, "User-Agent": "Mozilla/5.0 (iPhone; CPU) AppleWebKit Safari/605"}
    other.post("/login", agent, token=token_of(course, "alice"), remember="yes")
    page = alice.get("/devices").text
    assert "Safari on iPhone" in page
    assert page.count("this one") == 1
    phone = re.findall(r'name="device" value="(\w+)"', page)[0]  # the newest is first
    course.accounts.register("mallory", CODE)
    mallory = Visitor(course)
    mallory.post("/login", token=token_of(course, "mallory"))
    assert mallory.post("/devices/end", device=phone).status_code == 404
    assert other.sees == "Your assignments"
    assert alice.post("/devices/end", device=phone).status_code == 303
    assert (other.sees, alice.sees) == ("Join the course", "Your assignments")
    clock.now += 100 * DAY
    assert other.sees == "Join the course"
    assert alice.sees == "Your assignments"
    clock.now += 100 * DAY
    assert "Safari on iPhone" not in alice.get("/devices").text


def test_without_the_checkbox_the_browser_is_not_remembered(course: Course) -> None:
    course.accounts.register("alice", CODE)
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, "alice"))
    assert course.devices.of(Actor(ALICE, Role.STUDENT)) == ()
    assert "max-age=43200" in visitor.set[0].lower()


@pytest.mark.parametrize("spell", [str, str.upper, lambda code: code.replace("-", " ")])
@pytest.mark.parametrize("giver", ["alice", INSTRUCTOR])
def test_a_login_code_from_the_person_or_an_instructor_logs_another_device_in_once(
    alice: Visitor, course: Course, giver: str, spell: Callable[[str], str]
) -> None:
    teacher = Visitor(course)
    teacher.post("/login", token=token_of(course, INSTRUCTOR))
    code = code_from(alice) if giver == "alice" else code_from(teacher, "/people/alice/login-code")
    phone = Visitor(course)
    assert phone.post("/login", user=" Alice ", token=spell(code)).status_code == 303
    assert (phone.sees, alice.sees) == ("Your assignments",) * 2  # no other session was ended
    again = Visitor(course)
    assert again.post("/login", user="alice", token=code).status_code == 401
    assert code_from(alice) != code  # the next code is different
    assert ("give login code", "alice") in [(each.action, each.subject) for each in course.audit.events()]


def test_a_login_code_is_valid_for_its_person_and_for_at_most_an_hour(
    alice: Visitor, course: Course, clock: Clock
) -> None:
    course.accounts.register("bob", CODE)
    code = code_from(alice)
    visitor = Visitor(course)
    refusals = {visitor.post("/login", user=user, token=code).text.replace(user, "") for user in ("bobby", "bob")}
    assert len(refusals) == 1  # the answer does not tell who is enrolled
    clock.now += WINDOW
    late = code_from(alice)
    clock.now += WINDOW
    assert visitor.post("/login", user="alice", token=code).status_code == 401
    assert visitor.post("/login", user="alice", token=late).status_code == 303


def test_a_reset_or_a_removal_invalidates_login_codes(alice: Visitor, course: Course) -> None:
    code = code_from(alice)
    _, personal = course.roster.reset(COURSE_INSTRUCTOR, ALICE)
    assert Visitor(course).post("/login", user="alice", token=code).status_code == 401
    course.accounts.register("alice", personal)
    assert Visitor(course).post("/login", user="alice", token=code).status_code == 401


def test_login_codes_are_limited_in_number(alice: Visitor, course: Course) -> None:
    for _ in range(CODES_A_WINDOW):
        assert Visitor(course).post("/login", user="alice", token=code_from(alice)).status_code == 303
    assert alice.post("/devices/code").status_code == 429


def test_a_student_cannot_get_a_login_code_for_another_person(alice: Visitor, course: Course) -> None:
    course.accounts.register("bob", CODE)
    assert alice.post("/people/bob/login-code").status_code == 403


def test_a_token_is_accepted_without_the_user_name_before_it(course: Course) -> None:
    course.accounts.register("alice", CODE)
    digits = token_of(course, "alice").partition(":")[2]
    assert Visitor(course).post("/login", user="ALICE", token=digits).status_code == 303
    assert Visitor(course).post("/login", user="bob", token=digits).status_code == 401


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/121.0", "Firefox on Windows"),
        ("curl/8", "A browser"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_named_by_its_user_agent(agent: str, name: str) -> None:
    assert browser_name(agent) == name


def test_joining_offers_to_save_the_token_as_a_password_and_remembers_the_browser(
    tab: Tab, server: Running, tmp_path: Path
) -> None:
    tab.goto(JoinLink(server.url, CODE).text)
    tab.get_by_label("User name").fill("alice")
    tab.get_by_role("button", name="Join").click()
    expect(tab.locator("form input[autocomplete=username]")).to_have_value("alice")
    expect(tab.locator("form input[autocomplete=current-password]")).to_have_value(server.token("alice"))
    tab.screenshot(path=tmp_path / "joined.png", full_page=True)
    tab.get_by_label("Remember this browser").check()
    tab.get_by_role("button", name="Go to the assignments").click()
    tab.get_by_role("link", name="Devices").click()
    expect(tab.get_by_role("row", name="this one")).to_be_visible()
    tab.get_by_role("button", name="Log in on another device").click()
    expect(tab.get_by_label("Login code")).to_have_text(re.compile(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}"))
    tab.screenshot(path=tmp_path / "devices.png", full_page=True)
    code = tab.get_by_label("Login code").inner_text()
    tab.get_by_role("button", name="Log out").first.click()
    tab.goto("/login")
    tab.get_by_label("User name").fill("Alice")
    tab.get_by_label("Your token or a login code").fill(code)
    tab.screenshot(path=tmp_path / "login.png", full_page=True)
    tab.get_by_role("button", name="Log in").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Your assignments")
