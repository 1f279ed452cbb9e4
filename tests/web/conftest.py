"""The real browser, for tests that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium, find_chromium


@pytest.fixture(scope="module")  # not longer: while it lives, no other module of this process may run an event loop
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        assert os.environ.get("CI", "").lower() != "true", "in CI the tests in a browser must run"
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with chromium(executable) as browser:
        yield browser
