"""A real browser for tests and screenshots: Debian's Chromium driven by playwright, on this machine only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Page as Tab

from mograder.web.pages.page import Page, assets, render
from mograder.web.pages.page_request import SECURITY

NAMES = (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)  # fmt: skip
"""Names of Chromium's program; the headless one comes first, because it takes half the time."""

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-dev-shm-usage", "--disable-sync", "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip


PATIENCE = 90_000
"""The timeout of every step in milliseconds, generous for a busy machine."""

CACHED = {"Cache-Control": "public, max-age=3600"}

FEEDBACK = (
    "<!doctype html><html lang=en><title>Feedback</title><h1>Well done</h1><p>Only the last plot has no label.</p>"
)
"""The content of the frame of a sample page that shows feedback."""


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


class SampleSite(ThreadingHTTPServer):
    """Serves one sample page at a time, with the static files and the header fields of the real server."""

    daemon_threads = True

    def __init__(self, more: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _SampleRequest)
        self.more = more  # scripts are requested by their names
        self.content = b""

    def show(self, tab: Tab, page: Page) -> Tab:
        self.content = render(page).encode()
        tab.goto(f"http://localhost:{self.server_port}/")
        return tab


class _SampleRequest(BaseHTTPRequestHandler):
    server: SampleSite
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        name = path.rpartition("/")[2]
        asset = assets().get(name)
        if path == "/":
            self.answer(200, "text/html; charset=utf-8", self.server.content, SECURITY)
        elif asset is not None:
            self.answer(200, asset.kind, asset.content, CACHED)
        elif name in self.server.more:
            self.answer(200, "text/javascript", self.server.more[name], CACHED)
        elif "feedback" in path:
            self.answer(200, "text/html", FEEDBACK.encode())
        else:
            self.answer(404, "text/plain", b"")

    def answer(self, status: int, kind: str, body: bytes, fields: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in {**fields, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def sample_site(more: Mapping[str, bytes] = MappingProxyType({})) -> Iterator[SampleSite]:
    """A site for sample pages on the loopback interface, with scripts that the test adds."""
    with SampleSite(more) as site:
        serving = Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield site
        finally:
            site.shutdown()
            serving.join()
