"""The application of a course in this process, and a real browser, for tests that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from mograder.domain.course import Course
from tests.browser import chromium, find_chromium
from tests.parts import Running
from tests.web.in_process import Web


@pytest.fixture(scope="module")  # not longer, because no other module of this process may run an event loop meanwhile
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        assert os.environ.get("CI", "").lower() != "true", "in CI the tests in a browser must run"
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with chromium(executable) as browser:
        yield browser


@pytest.fixture
def tab(browser: Browser, server: Running) -> Iterator[Tab]:
    """A tab of a new browser; an error message of a script of the page fails the test."""
    context = browser.new_context(base_url=server.url, viewport={"width": 800, "height": 900})
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    yield tab
    context.close()
    assert wrong == []


@pytest.fixture
def web(course: Course) -> Web:
    return Web(course, authority="a certificate")
