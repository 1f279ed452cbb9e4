"""The pages of a student with the keyboard only; for submitting see test_student_journey.py."""

from __future__ import annotations

from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from tests.parts import Running
from tests.web.test_student_journey import grade, log_in


def go_to(tab: Tab, wanted: Locator) -> None:
    """Press Tab until the element has the focus. Its page must be loaded already."""
    expect(wanted).to_be_visible()
    for _ in range(40):
        tab.keyboard.press("Tab")
        if wanted.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")


def press(tab: Tab, wanted: Locator) -> None:
    go_to(tab, wanted)
    tab.keyboard.press("Enter")


def test_joining_with_a_personal_code_works_with_the_keyboard_only(tab: Tab, server: Running) -> None:
    roster = {"people": [{"user": "alice"}]}
    (alice,) = server.client.post("/roster", json=roster, headers=server.bearer()).raise_for_status().json()
    tab.goto("/login")
    press(tab, tab.get_by_role("link", name="a personal code"))
    go_to(tab, tab.get_by_label("User name"))
    tab.keyboard.type("alice")
    go_to(tab, tab.get_by_label("Enrollment code"))
    tab.keyboard.type(alice["code"])
    press(tab, tab.get_by_role("button", name="Join"))
    press(tab, tab.get_by_role("button", name="Go to the assignments"))
    expect(tab.get_by_role("heading", level=1)).to_have_text("Your assignments")


def test_reading_feedback_works_with_the_keyboard_only(tab: Tab, server: Running) -> None:
    server.submit("alice", b"x = 1\n").raise_for_status()
    grade(server, "<h1>Well done</h1><a href='#more'>More</a>")
    log_in(tab, server)
    press(tab, tab.get_by_role("link", name="Read"))
    expect(tab.get_by_role("heading", level=1)).to_have_text("hw1")
    expect(tab.frame_locator("iframe").get_by_role("link", name="More")).to_be_visible()
    alone = tab.get_by_role("link", name="on a page of its own")
    go_to(tab, alone)
    tab.keyboard.press("Tab")
    expect(tab.frame_locator("iframe").get_by_role("link", name="More")).to_be_focused()
    tab.keyboard.press("Shift+Tab")
    expect(alone).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Well done")


def test_requesting_more_time_works_with_the_keyboard_only(tab: Tab, server: Running) -> None:
    (server.root.parent / "mograder.toml").write_text('[[assignments]]\nname = "hw1"\ndue = 2099-02-08\n')
    log_in(tab, server)
    press(tab, tab.get_by_role("link", name="hw1"))
    press(tab, tab.locator("summary", has_text="More time"))
    go_to(tab, tab.get_by_label("Until the end of"))
    tab.keyboard.type("02202099")
    go_to(tab, tab.get_by_label("Why"))
    tab.keyboard.type("ill")
    press(tab, tab.get_by_role("button", name="Ask for more time"))
    asked = tab.get_by_text("You asked for more time")
    expect(asked.locator("time")).to_have_attribute("datetime", "2099-02-20T23:59:59.000000Z")
