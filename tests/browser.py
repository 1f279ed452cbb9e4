"""A real browser for tests and screenshots: Debian's Chromium, driven by playwright, never beyond this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, BrowserContext, Route, expect, sync_playwright
from playwright.sync_api import Page as Tab

from mograder.web.pages.page import Page, assets, render
from mograder.web.pages.page_request import SECURITY

NAMES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)  # fmt: skip
"""What Chromium is called, on the path or with it."""

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-dev-shm-usage", "--disable-sync", "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip


PATIENCE = 90_000
"""How long anything may take, in milliseconds: what is quick on a quiet machine is not on one that is busy."""

FEEDBACK = (
    "<!doctype html><html lang=en><title>Feedback</title><h1>Well done</h1><p>Only the last plot has no label.</p>"
)
"""What stands in the frame of a sample page that shows feedback."""


def find_chromium() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium(executable: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS), timeout=PATIENCE)
        browser.on("context", lambda context: context.set_default_timeout(PATIENCE))
        try:
            yield browser
        finally:
            browser.close()


def show(context: BrowserContext, page: Page) -> Tab:
    """A sample page in a new tab, with the static files and the header fields that the server sends, but no server."""

    def answer(route: Route) -> None:
        path = unquote(urlsplit(route.request.url).path)
        asset = assets().get(path.rpartition("/")[2])
        if path == "/":
            headers = {**SECURITY, "Content-Type": "text/html; charset=utf-8"}
            route.fulfill(body=render(page), headers=headers)
        elif asset is not None:
            route.fulfill(body=asset.content, content_type=asset.kind)
        elif "feedback" in path:
            route.fulfill(body=FEEDBACK, content_type="text/html")
        else:
            route.fulfill(status=404, body="")

    tab = context.new_page()
    tab.route("**/*", answer)
    tab.goto("http://localhost/")
    return tab
