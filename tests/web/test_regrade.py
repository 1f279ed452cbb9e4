"""A regrade over HTTP: an instructor applies exactly what the page has shown."""

from __future__ import annotations

import re

from mograder.domain.course import Course
from mograder.domain.grading_jobs import Announced
from mograder.domain.names import INSTRUCTOR
from mograder.web.pages.page import render
from tests.domain.test_regrading import desk as desk
from tests.domain.test_regrading import points, regraded, work
from tests.parts import HW1, token_of
from tests.web.pages.test_sessions import Visitor
from tests.web.regrade_samples import SAMPLES

PAGE = "/board/hw1/regrade"


def seen(page: str, path: str) -> str:
    found = re.search(rf'action="[^"]*{path}"[^>]*>\s*<input type="hidden" name="seen" value="(\w*)"', page)
    assert found, page
    return found[1]


def test_the_page_says_what_happens_to_released_marks() -> None:
    assert "stay until you" in render(SAMPLES["regrade-done"])
    at_once = render(SAMPLES["regrade-at-once"])
    assert ("stay until you" in at_once, "change with them, even where they are released" in at_once) == (False, True)


def test_a_regrade_is_applied_or_dropped_only_as_the_page_has_shown_it(desk: Course) -> None:
    visitor = Visitor(desk)
    visitor.post("/login", token=token_of(desk, INSTRUCTOR))
    assert 'value="nobody"' not in visitor.get(PAGE).text
    refused = visitor.post(PAGE, user="nobody", seen="")
    assert (refused.status_code, "has submitted nothing" in refused.text) == (400, True)
    assert visitor.post(PAGE, user="", twice="yes", seen=seen(visitor.get(PAGE).text, "/regrade")).status_code == 303
    assert "each submission runs twice" in visitor.get(PAGE).text
    assert "/regrade/apply" not in visitor.get(PAGE).text  # not everything is graded yet
    work(desk)
    page = visitor.get(PAGE).text
    for said in ("Q2</bdi>: 13.3 → 20", "<bdi>C</bdi> → <bdi>B</bdi>", "−5.8", "Q1: value", "Apply 3 new results"):
        assert said in page
    conflict = visitor.post(PAGE, user="s01", seen="")  # from a page that does not show the running regrade
    assert (conflict.status_code, "somebody else has started" in conflict.text.lower()) == (409, True)
    desk.store.jobs.announce(HW1, Announced("t3"))
    conflict = visitor.post(f"{PAGE}/apply", seen=seen(page, "/apply"))
    assert (conflict.status_code, "look at what changes now" in conflict.text) == (409, True)
    assert points(desk, "s01") == 15.8
    desk.store.jobs.announce(HW1, Announced("t2"))
    assert visitor.post(f"{PAGE}/apply", seen=seen(page, "/apply")).headers["location"].endswith("?applied=3")
    assert "3 new results are in force" in visitor.get(f"{PAGE}?applied=3").text
    assert points(desk, "s01") == 20
    regraded(desk)
    page = visitor.get(PAGE).text
    assert "There is nothing to apply" in page
    assert visitor.post(f"{PAGE}/drop", seen=seen(page, "/drop")).status_code == 303
    assert visitor.post(f"{PAGE}/drop", seen=seen(page, "/drop")).status_code == 409
