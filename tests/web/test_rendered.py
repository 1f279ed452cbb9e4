"""The outputs of a submission in a real browser with a real server: shown completely, nothing executed, no links."""

from __future__ import annotations

from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from playwright.sync_api import Browser, Route, expect
from playwright.sync_api import Page as Tab

from mograder import factory
from mograder.domain.grading_jobs import LEASE, Announced
from mograder.domain.rendered import RenderedCell, RenderedNotebook
from mograder.signing import Ed25519Signer
from mograder.web.pages.highlight import highlight_python
from mograder.web.pages.page import Frame, render
from mograder.web.pages.rendered import RenderedCells, ShownCell
from mograder.wire.rendered import pack
from tests.grading_samples import signed_result
from tests.parts import HW1, NOON, Running
from tests.web.test_accessibility import AXE, CHECK, DARK, LIGHT, UNSEEN
from tests.web.test_instructor import log_in

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
AWAY = "http://127.0.0.1:9/away"
HOSTILE = f"""<table id=t><tr><td>honest 42</td></tr></table>
<script>parent.document.title = 'taken'; top.location = '{AWAY}'; fetch('/board')</script>
<meta http-equiv="refresh" content="0;url={AWAY}"><link rel="stylesheet" href="{AWAY}">
<img src=x onerror="top.location='{AWAY}'"><iframe src="{AWAY}"></iframe>
<form action="/board/hw1/feedback" method="post"><button id=b>Give me points</button></form>
<a id=a href="{AWAY}" target="_top">Click</a>
<a id=here href="{AWAY}">here</a></div></section></main><h1>30 of 30 points"""

CONTROLS = """<marimo-callout-output data-html='"take care"'></marimo-callout-output>
<marimo-slider data-initial-value='3' data-label='"the number"'></marimo-slider><iframe></iframe>
<marimo-table data-initial-value='[]' data-label='"All"' data-data='[{"a": 1}]'></marimo-table>
<marimo-mime-renderer data-mime='"image/png"' data-data='"data:image/png;base64,iVBORw0="'></marimo-mime-renderer>"""


def grade_as_ran(server: Running, notebook: RenderedNotebook) -> None:
    with closing(factory.open_existing(server.root)) as course:
        assert isinstance(course.signer, Ed25519Signer)
        course.store.jobs.announce(HW1, Announced("t1"))
        job = course.store.jobs.claim("w", NOON, NOON + LEASE, [HW1])
        assert job is not None
        assert course.store.jobs.finish(job, signed_result(course.store, course.signer, job), pack(notebook))


def test_the_output_of_cells_is_shown_to_graders_and_none_of_it_is_executed(tab: Tab, server: Running) -> None:
    version = server.submit("alice", b"import marimo\n").json()["version"]
    cells = (
        RenderedCell("answer", 5, "x = 41\nx", True, "text/html", HOSTILE, "printed <b>this</b>"),
        RenderedCell("", 9, "plot()", True, "image/png", PIXEL),
        RenderedCell("", 12, "1 / 0", True, problem="ZeroDivisionError: division by zero"),
    )
    grade_as_ran(server, RenderedNotebook(cells))
    log_in(tab, server)
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"/board/hw1/people/alice/{version}")
    tab.get_by_role("link", name="As it ran, with outputs").click()
    frame = tab.frame_locator("iframe")
    expect(frame.get_by_text("honest 42")).to_be_visible()
    expect(frame.get_by_text("printed <b>this</b>")).to_be_visible()
    expect(frame.get_by_alt_text("Picture that cell 2 shows")).to_be_visible()
    expect(frame.get_by_text("ZeroDivisionError: division by zero")).to_be_visible()
    for what in ("script", "form", "a", "iframe", "meta[http-equiv]", "link"):
        expect(frame.locator(what)).to_have_count(0)
    tab.goto("/marking/hw1/people/alice")
    tab.get_by_role("link", name="As it ran, with outputs").click()
    expect(tab.frame_locator("iframe").get_by_text("honest 42")).to_be_visible()
    assert tab.url.endswith("/marking/hw1/people/alice/notebook")
    assert "taken" not in tab.title()
    assert all(each.startswith((server.url, "data:")) for each in asked), asked


class OtherServer(BaseHTTPRequestHandler):
    """A server of somebody else, which records its requests."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Counting)
        self.server.heard.append(self.path)
        self.send_response(204)
        self.end_headers()

    do_POST = do_GET  # noqa: N815 (http.server calls it so)

    def log_message(self, *_: object) -> None:
        return None


class Counting(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OtherServer)
        self.heard: list[str] = []


def test_even_without_the_filter_nothing_in_the_frame_runs_sends_or_navigates_away(
    browser: Browser, server: Running
) -> None:
    """Tests only the policies of the page, with the original bytes of a student."""
    version = server.submit("alice", b"import marimo\n").json()["version"]
    grade_as_ran(server, RenderedNotebook((RenderedCell("", 1, "x", True, "text/plain", "PLACE"),)))
    outside = Counting()
    Thread(target=outside.serve_forever, daemon=True).start()
    hostile = HOSTILE.replace(AWAY, f"http://127.0.0.1:{outside.server_port}/away")
    context = browser.new_context(base_url=server.url)
    tab = context.new_page()
    log_in(tab, server)
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)

    def with_hostile_bytes(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, body=real.text().replace("PLACE", f"</pre>{hostile}<p id=end>END</p>"))

    tab.route("**/notebook/content", with_hostile_bytes)
    page = f"{server.url}/board/hw1/people/alice/{version}/notebook"
    tab.goto(page)
    frame = tab.frame_locator("iframe[title='The notebook as it ran']")
    expect(frame.locator("#end")).to_be_attached()
    frame.locator("#b").click()
    frame.locator("#a").click()  # navigate the top frame, which a sandbox forbids
    frame.locator("#here").click()  # navigate the frame, whose addresses the page restricts
    expect(frame.locator("#end")).to_have_count(0)
    assert tab.url == page
    assert "taken" not in tab.title()
    tab.goto(f"{page}/content")  # opened outside the frame
    expect(tab.locator("#end")).to_be_attached()
    tab.locator("#b").click()
    assert tab.url == f"{page}/content"
    assert "taken" not in tab.title()
    context.close()
    outside.shutdown()
    outside.server_close()
    assert (outside.heard, sent) == ([], [])


def test_axe_finds_no_violation_in_the_frame_and_focus_is_visible(browser: Browser) -> None:
    cells = tuple(
        ShownCell(f"cell {number}", highlight_python(each.code), each)
        for number, each in enumerate((
            RenderedCell("", 1, "x = 'a'  # b", True, "text/html", "<table><tr><th>a</th></tr></table>", "out"),
            RenderedCell("", 9, "def f(): ...", True, "image/png", PIXEL),
            RenderedCell("", 12, "1 / 0", True, "text/plain", "value", problem="ZeroDivisionError: division by zero"),
            RenderedCell("", 15, "check()"),
            RenderedCell("", 18, "controls", True, "text/html", CONTROLS),
        ), 1)
    )  # fmt: skip
    context = browser.new_context(viewport={"width": 360, "height": 800})
    tab = context.new_page()
    tab.set_content(render(RenderedCells(Frame("Algebra", 0), cells)))
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    tab.add_script_tag(content=AXE.decode())
    assert tab.evaluate(CHECK, LIGHT) == []
    tab.emulate_media(color_scheme="dark")
    assert tab.evaluate(CHECK, DARK) == []
    tab.keyboard.press("Tab")
    assert tab.evaluate(UNSEEN) == []
    context.close()
