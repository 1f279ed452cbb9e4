"""Marking in a real browser: with the keyboard only, by two graders, without a connection, and the student's view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Response, expect
from playwright.sync_api import Page as Tab

from mograder.config import utc_now
from mograder.domain.names import INSTRUCTOR, Username
from mograder.signing import Ed25519Signer, new_private_key
from tests.marked_course import PLAN, marked_course
from tests.parts import SECOND, Clock, Running, make_course_folder, open_store, running, submit_work

ANOTHER = '[[assignments]]\nname = "hw2"\npoints = 20\n'

NOTHING_KEPT = "localStorage.length === 0"
"""True once no unsaved text is stored in the browser."""


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A course with two graders: hw1 with twenty submissions and two questions, hw2 with one submission and mark."""
    root = make_course_folder(tmp_path_factory.mktemp("marked"), "hw1", "hw2")
    course = marked_course(root, Clock(utc_now() - 60 * SECOND), PLAN + ANOTHER, 20)
    course.close()
    store = open_store(root)
    signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    hw2 = next(each.name for each in store.release.assignments() if each.name == "hw2")
    submit_work(store, signer, Username("s01"), b"print('nobody is named here')\n", utc_now() - SECOND, hw2)
    store.close()
    with running(root) as server:
        yield server
        assert server.stop() == 0


@contextmanager
def logged_in(browser: Browser, server: Running, name: str) -> Iterator[Tab]:
    """A tab of a new browser in which somebody is logged in; an error message of a script fails the test."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    tab.goto("/login")
    tab.locator("[name=token]").fill(server.token(name))
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{server.url}/")
    yield tab
    context.close()
    assert wrong == []


def test_twenty_submissions_are_marked_with_the_keyboard_only(browser: Browser, marked: Running) -> None:
    with logged_in(browser, marked, "grace") as tab:
        tab.goto("/marking/hw1/next")
        for number in range(1, 21):
            tab.wait_for_url(f"**/people/s{number:02}")
            expect(tab.locator("[name=points][inputmode]").first).to_be_focused()
            tab.keyboard.type(f"{number / 2:g}")
            tab.keyboard.press("Enter")
            tab.keyboard.type("4,5")
            tab.keyboard.press("Enter")
        tab.wait_for_url("**/marking/hw1")
        expect(tab.get_by_text("Nothing is left for you to mark.")).to_have_count(1)
        expect(tab.get_by_text("Essay: 20 of 20")).to_be_visible()
        tab.goto("/marking/hw1/people/s20")
        expect(tab.locator("#total")).to_have_text("14.5 of 15")
        tab.keyboard.press("Alt+s")
        tab.keyboard.type("s07")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/people/s07")
        expect(tab.locator("#total")).to_have_text("8 of 15")


def test_two_graders_on_two_servers_see_each_other_and_their_conflicting_marks_side_by_side(
    browser: Browser, marked: Running
) -> None:
    with (
        running(marked.root) as other,
        logged_in(browser, marked, "grace") as grace,
        logged_in(browser, other, "guy") as guy,
    ):
        grace.clock.install()
        for tab in (grace, guy):
            tab.goto("/marking/hw2/people/s01")
        expect(guy.locator("#present")).to_have_text("grace looks at this work now, too.")
        grace.clock.fast_forward("10")  # seconds after which a page asks who else looks at the work
        expect(grace.locator("#present")).to_have_text("guy looks at this work now, too.")
        points = "[name=points][inputmode]"
        grace.locator(points).fill("11")
        expect(guy.locator(points)).to_have_value("11")  # because nobody types there
        expect(guy.locator(".saved").first).to_contain_text("grace")
        guy.context.set_offline(True)
        guy.locator(points).fill("12")
        guy.locator("[name=comment]").fill("a good start")
        expect(guy.locator("#unsaved")).to_contain_text("kept in this browser")
        grace.locator(points).fill("13")
        expect(grace.locator(".saved").first).to_contain_text("Saved")
        guy.context.set_offline(False)
        both = guy.locator(".conflict:visible")
        expect(both).to_contain_text("12; a good start")
        expect(both).to_contain_text("13")
        both.get_by_role("button", name="Keep yours").click()
        expect(grace.locator(points)).to_have_value("12")
        expect(grace.locator("[name=comment]")).to_have_value("a good start")
        expect(guy.locator("#unsaved")).to_be_hidden()


def test_text_typed_without_a_connection_is_still_there_after_leaving_the_page(
    browser: Browser, marked: Running
) -> None:
    with logged_in(browser, marked, "grace") as tab:
        tab.goto("/marking/hw1/people/s02")
        tab.context.set_offline(True)
        tab.locator("#note").fill("typed in a tunnel")
        expect(tab.locator("#unsaved")).to_be_visible()
        tab.goto("about:blank")
        tab.context.set_offline(False)
        tab.goto("/marking/hw1/people/s02")
        expect(tab.locator("#note")).to_have_value("typed in a tunnel")
        tab.wait_for_function(NOTHING_KEPT)
        tab.reload()
        expect(tab.locator("#note")).to_have_value("typed in a tunnel")


def test_a_mark_that_was_saved_as_its_page_closed_is_neither_kept_locally_nor_a_conflict(
    browser: Browser, marked: Running
) -> None:
    with logged_in(browser, marked, "grace") as tab:
        tab.goto("/marking/hw1/people/s04")
        # As in a page that is closed before it gets the answer:
        tab.evaluate("Storage.prototype.removeItem = () => {}")
        tab.locator("#note").fill("sent at the end")
        expect(tab.locator(".saved").last).to_contain_text("Saved")
        tab.reload()
        tab.wait_for_function(NOTHING_KEPT)
        tab.locator("#note").fill("typed later")
        expect(tab.locator(".saved").last).to_contain_text("Saved")
        expect(tab.locator(".conflict:visible")).to_have_count(0)


def test_a_mark_is_drafted_released_disputed_changed_and_released_again(browser: Browser, marked: Running) -> None:
    with logged_in(browser, marked, INSTRUCTOR) as teacher, logged_in(browser, marked, "s03") as student:
        teacher.goto("/marking/hw1/people/s03")
        teacher.locator("[name=points][inputmode]").first.fill("1.5")
        teacher.locator("[name=points][inputmode]").last.fill("4.5")
        teacher.locator("[name=comment]").first.fill("the end is missing")
        expect(teacher.locator("#total")).to_have_text("6 of 15")
        expect(teacher.locator(".saved").first).to_contain_text("Saved")
        student.goto("/my/hw1")
        expect(student.locator("body")).not_to_contain_text("the end is missing")
        teacher.get_by_role("link", name="Release or withdraw").click()
        teacher.get_by_role("button", name="Release 1 mark").click()
        expect(teacher.get_by_role("status")).to_contain_text("1 mark is released")
        student.reload()
        expect(student.get_by_text("the end is missing")).to_be_visible()
        student.get_by_text("Ask to look at Essay again").click()
        student.locator("[name=reason]").first.fill("it is on page 3")
        student.get_by_role("button", name="Ask").first.click()
        expect(student.get_by_text("Your request waits for an answer")).to_be_visible()
        teacher.goto("/marking/hw1")
        teacher.get_by_role("link", name="s03: Essay").click()
        teacher.locator("[name=points][inputmode]").first.fill("9")
        teacher.locator("[id^=answer-]").fill("so it is")
        teacher.get_by_role("button", name="Answer, and close the request").click()
        teacher.goto("/marking/hw1/release?person=s03")
        teacher.get_by_role("button", name="Release 1 mark").click()
        student.reload()
        expect(student.get_by_text("Essay: 1.5 -> 9 points")).to_be_visible()
        expect(student.get_by_text("so it is")).to_be_visible()
        teacher.get_by_role("button", name="Withdraw 1 mark").click()
        student.reload()
        expect(student.locator("#mark")).to_have_count(0)


def test_anonymous_marking_shows_no_name_in_page_header_or_file_name(browser: Browser, marked: Running) -> None:
    with logged_in(browser, marked, INSTRUCTOR) as teacher, logged_in(browser, marked, "grace") as grace:
        teacher.goto("/marking/hw2")
        teacher.get_by_role("button", name="Hide names").click()
        expect(teacher.get_by_role("status")).to_contain_text("Names are hidden")
        said: list[str] = []

        def note(answer: Response) -> None:
            text = (
                ""
                if answer.status == 303 or "event-stream" in answer.headers.get("content-type", "")
                else answer.text()
            )
            said.append(" ".join([answer.url, str(answer.headers), text]) if "/marking" in answer.url else "")

        grace.on("requestfinished", lambda request: note(found) if (found := request.response()) else None)
        grace.goto("/marking/hw2")
        grace.locator("tbody a").first.click()
        grace.wait_for_url(re.compile(r"/people/[2-9A-Z]{8}$"))
        grace.goto("/marking/hw2")
        grace.get_by_role("row").filter(has_text=re.compile("nothing|the mark")).get_by_role("link").first.click()
        grace.locator("[name=points][inputmode]").fill("17")
        expect(grace.locator(".saved").first).to_contain_text("Saved")
        with grace.expect_download() as download:
            grace.get_by_role("link", name="Download").click()
        assert re.fullmatch(r"[2-9A-Z]{8}\.py", download.value.suggested_filename)
        said += [grace.content(), grace.title(), grace.url]
        assert len("".join(said)) > 5000
        assert re.findall(r"\bs[012]\d\b|Student \d", "".join(said)) == []
