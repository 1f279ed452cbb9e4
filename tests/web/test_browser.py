"""The pages in a real browser with a real server."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from mograder.wire.join_link import JoinLink
from tests.parts import CODE, Running


def log_out(tab: Tab) -> None:
    tab.get_by_role("button", name="Log out").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_student_joins_by_the_link_and_logs_in_again_with_the_token(tab: Tab, server: Running) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(JoinLink(server.url, CODE).text)
    expect(tab.get_by_label("Enrollment code")).to_have_value(CODE)
    expect(tab).not_to_have_url(re.compile(CODE))
    tab.get_by_label("User name").fill("alice")
    tab.get_by_role("button", name="Join").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("You have joined")
    expect(tab.get_by_text("You are logged in here as alice.")).to_be_visible()
    expect(tab.get_by_role("link", name="Log in")).to_have_count(0)
    token = tab.get_by_label("Your token").inner_text()
    assert token == server.token("alice")
    tab.context.grant_permissions(["clipboard-write"])  # a headless browser gives no page the focus by itself
    tab.get_by_role("button", name="Copy").first.click()
    expect(tab.get_by_role("button", name="Copied")).to_be_visible()
    tab.get_by_role("button", name="Go to the assignments").click()
    expect(tab.get_by_role("row", name="hw1")).to_contain_text("new")
    log_out(tab)
    tab.get_by_label("Your token").fill(token)
    tab.get_by_role("button", name="Log in").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Your assignments")
    assert not [url for url in asked if token in url or f"={CODE}" in url.partition("#")[0]]


def test_a_page_that_waits_for_an_exam_reloads_itself_when_the_exam_opens(tab: Tab, server: Running) -> None:
    settings = server.root.parent / "mograder.toml"
    settings.write_text('[[assignments]]\nname = "hw1"\ntitle = "Exam"\nopens = 2090-02-01T09:00:00Z\n')
    server.client.post("/register", json={"user": "alice", "enrollment_code": CODE}).raise_for_status()
    tab.clock.install()
    tab.goto(server.client.post("/login-link", headers=server.bearer("alice")).json()["url"])
    expect(tab.get_by_role("row", name="Exam")).to_contain_text("not open")
    tab.get_by_role("link", name="Exam").click()
    expect(tab.get_by_text("This page opens by itself")).to_be_visible()
    expect(tab.locator("[data-reload]")).to_contain_text("days")
    settings.write_text('[[assignments]]\nname = "hw1"\n')
    for _ in range(2):  # to the opening time, and past the random delay of each browser
        tab.clock.fast_forward(70 * 366 * 24 * 3600 * 1000)
    expect(tab.get_by_role("button", name="Submit", exact=True)).to_be_visible()


def test_a_submission_and_its_grade_are_shown_to_the_student_and_on_the_board(tab: Tab, server: Running) -> None:
    server.client.post("/register", json={"user": "alice", "enrollment_code": CODE}).raise_for_status()
    server.submit("alice", b"x = 1\n").raise_for_status()
    link = server.client.post("/login-link", headers=server.bearer("alice")).json()["url"]
    tab.goto(link)
    expect(tab.get_by_role("row", name="hw1")).to_contain_text("submitted")
    grades = [{"username": "alice", "grade": "9"}]
    server.client.post("/assignments/hw1/grades", json=grades, headers=server.bearer()).raise_for_status()
    tab.reload()
    expect(tab.get_by_role("row", name="hw1")).to_contain_text("graded")
    log_out(tab)
    tab.goto(server.client.post("/login-link", headers=server.bearer()).json()["url"])
    expect(tab.get_by_role("row", name="alice")).to_contain_text("9")
    log_out(tab)
    tab.goto(link)
    expect(tab.get_by_role("alert")).to_contain_text("used already")


def test_joining_works_with_the_keyboard_only(tab: Tab) -> None:
    tab.goto("/join")
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="Skip to the content")).to_be_focused()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    tab.keyboard.type("alice")
    tab.keyboard.press("Tab")
    tab.keyboard.type(CODE)
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("You have joined")


def test_an_instructor_changes_times_and_the_student_sees_them(tab: Tab, server: Running) -> None:
    plan = server.root.parent / "mograder.toml"
    plan.write_text('timezone = "Asia/Kathmandu" # ours\n[[assignments]]\nname = "hw1"\ndue = 2030-02-08\n')
    server.client.post("/register", json={"user": "alice", "enrollment_code": CODE}).raise_for_status()
    tab.goto(server.client.post("/login-link", headers=server.bearer()).json()["url"])
    tab.get_by_role("link", name="hw1").click()
    tab.get_by_role("link", name="Change title, times and limits").click()
    expect(tab.get_by_label("Due", exact=True)).to_have_value("2030-02-08T23:59:59")
    tab.get_by_label("Title").fill("Loops & <b>more</b>")
    tab.get_by_label("Due", exact=True).fill("2030-02-09T17:30")
    tab.get_by_label("Points").fill("12")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("status")).to_contain_text("Saved")
    expect(tab.get_by_label("Due", exact=True)).to_have_value("2030-02-09T17:30")
    assert plan.read_text() == (
        'timezone = "Asia/Kathmandu" # ours\n[[assignments]]\nname = "hw1"\ndue = 2030-02-09T17:30:00\n'
        'title = "Loops & <b>more</b>"\npoints = 12\n'
    )
    tab.get_by_label("Closes").fill("2030-02-01T08:00")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("alert")).to_contain_text("out of order")
    expect(tab.get_by_label("Closes")).to_have_value("2030-02-01T08:00")
    tab.get_by_role("link", name="Back to the assignment").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Loops & <b>more</b>")
    log_out(tab)
    tab.goto(server.client.post("/login-link", headers=server.bearer("alice")).json()["url"])
    row = tab.get_by_role("row", name="Loops & <b>more</b>")
    assert row.locator("time").first.get_attribute("datetime") == "2030-02-09T11:45:00.000000Z"


def test_two_instructors_who_edit_at_the_same_time_do_not_overwrite_each_other(
    browser: Browser, server: Running
) -> None:
    """Without scripts."""
    plan = server.root.parent / "mograder.toml"
    plan.write_text('[[assignments]]\nname = "hw1"\n')
    with browser.new_context(base_url=server.url, java_script_enabled=False) as context:
        first = context.new_page()
        first.goto("/login")
        first.get_by_label("Your token").fill(server.token("__instructor__"))
        first.get_by_role("button", name="Log in").click()
        expect(first.get_by_role("heading", level=1)).to_have_text("Board")
        second = context.new_page()
        for tab in (first, second):
            tab.goto("/board/hw1/rules")
        first.get_by_label("Points").fill("5")
        first.get_by_role("button", name="Save").click()
        expect(first.get_by_role("status")).to_contain_text("Saved")
        second.get_by_label("Title").fill("Mine")
        second.get_by_role("button", name="Save").click()
        expect(second.get_by_role("alert")).to_contain_text("changed meanwhile")
        expect(second.get_by_label("Points")).to_have_value("5")
        second.get_by_label("Title").fill("Mine")
        second.get_by_role("button", name="Save").click()
        expect(second.get_by_role("status")).to_contain_text("Saved")
    assert plan.read_text() == '[[assignments]]\nname = "hw1"\npoints = 5\ntitle = "Mine"\n'


def test_a_feedback_page_cannot_act_as_its_reader(tab: Tab, server: Running) -> None:
    """A sandboxed page, like feedback, can neither read the session nor send a form that is accepted."""
    tab.goto(server.client.post("/login-link", headers=server.bearer("alice")).json()["url"])
    expect(tab.get_by_role("heading", level=1)).to_have_text("Your assignments")
    form = "<form method=post action=/logout></form><script>document.forms[0].submit()</script>"
    files = {"files": ("alice.html", form.encode(), "text/html")}
    server.client.post("/assignments/hw1/feedback", files=files, headers=server.bearer()).raise_for_status()
    feedback = server.client.get("/assignments/hw1/feedback/alice", headers=server.bearer("alice"))
    fields = {name: feedback.headers[name] for name in ("content-type", "content-security-policy")}
    evil = tab.context.new_page()
    evil.route("**/stolen", lambda route: route.fulfill(body=feedback.text, headers=fields))
    evil.goto("/stolen")
    assert evil.evaluate("(() => { try { return document.cookie } catch (error) { return error.name } })()") == (
        "SecurityError"
    )
    evil.close()
    tab.reload()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Your assignments")
