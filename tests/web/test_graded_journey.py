"""Submitting, watching the result appear, and the effect of new tests, in a real browser with a real server."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from mograder.cli import run
from tests.graded_course import HALF, RIGHT, SOURCE
from tests.parts import PATIENCE, Running
from tests.web.test_broadcast import log_in as headers_of
from tests.web.test_instructor import log_in as log_in_instructor
from tests.web.test_student_journey import log_in

STRICTER = SOURCE.replace("x == 41", "x == 42")


def write_source(server: Running, text: str) -> None:
    folder = server.root.parent / "source" / "hw1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hw1.py").write_text(text)


def submit_text(tab: Tab, work: Path, text: str) -> None:
    work.write_text(text)
    tab.get_by_label("Your work").set_input_files(work)
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("region", name="Received")).to_be_visible()


def grade_what_waits(server: Running) -> None:
    assert run(["worker", str(server.root), "--drain"]) == 0


def test_a_student_sees_the_result_appear_and_the_points_of_new_tests(
    tab: Tab, browser: Browser, server: Running, tmp_path: Path
) -> None:
    write_source(server, SOURCE)
    grade_what_waits(server)
    log_in(tab, server)
    tab.goto("/my/hw1")
    result = tab.get_by_role("region", name="Result")
    expect(result).to_have_count(0)

    with tab.expect_request("**/my/hw1/live"):
        submit_text(tab, tmp_path / "hw1.py", HALF)
    expect(result).to_contain_text("place 1 in the queue")
    tab.evaluate("window.stayed = true")
    grade_what_waits(server)
    expect(result).to_contain_text("9.2 of 30 points")
    expect(result).to_contain_text("x must be 41")
    assert tab.evaluate("window.stayed"), "the page was loaded again"

    submit_text(tab, tmp_path / "hw1.py", RIGHT)
    expect(result).to_contain_text("Submission 2 waits")
    expect(result).to_contain_text("9.2 of 30 points")
    grade_what_waits(server)
    expect(result).to_contain_text("30 of 30 points")

    write_source(server, STRICTER)
    (server.root.parent / "mograder.toml").write_text("[marking]\nletters = { A = 80, B = 60, C = 0 }\n")
    grade_what_waits(server)
    context = browser.new_context()
    instructor = context.new_page()
    log_in_instructor(instructor, server)
    instructor.goto(f"{server.url}/board/hw1")
    instructor.get_by_role("link", name="Grade again").click()
    with instructor.expect_request("**/board/hw1/regrade/live"):
        instructor.get_by_role("button", name="Grade again").click()
    changes = instructor.get_by_role("region", name="What changes")
    expect(changes).to_contain_text("0 of 1 submission graded")
    instructor.evaluate("window.stayed = true")
    grade_what_waits(server)
    expect(changes).to_contain_text("0 gain points, 1 loses points, 0 stay as they are")
    row = changes.get_by_role("row").filter(has_text="alice")
    expect(row).to_contain_text("30")
    expect(row).to_contain_text("Q1: 10 → 5")
    assert instructor.evaluate("window.stayed"), "the page was loaded again"
    tab.reload()
    expect(result).to_contain_text("30 of 30 points")
    changes.get_by_role("button", name="Apply 1 new result").click()
    expect(instructor.get_by_role("status")).to_have_text("1 new result is in force.")
    context.close()
    tab.reload()
    expect(result).to_contain_text("25 of 30 points")


def test_the_stream_of_a_waiting_student_ends_with_the_result(server: Running) -> None:
    write_source(server, SOURCE)
    grade_what_waits(server)
    server.submit("alice", RIGHT.encode()).raise_for_status()
    headers, events, first = headers_of(server, "alice"), list[str](), threading.Event()

    def read() -> None:
        with httpx2.stream("GET", f"{server.url}/my/hw1/live", headers=headers, timeout=PATIENCE) as answer:
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    events.append(line.removeprefix("event: "))
                    first.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert first.wait(PATIENCE)
    assert events[:1] == ["changed"]
    grade_what_waits(server)
    reader.join(PATIENCE)
    assert not reader.is_alive()
    assert events[-2:] == ["changed", "done"]
