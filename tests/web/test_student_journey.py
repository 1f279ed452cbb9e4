"""The way of a student from the join link to the feedback, in a real browser with a real server."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from mograder.wire.join_link import JoinLink
from tests.parts import CODE, NOTEBOOK, Running

WORK = b"import marimo\nx = 1\n"
FOCUSED = """(({activeElement: at}) => at === document.body ? "" : (at.labels?.[0] ?? at).textContent)(document)"""
SCRIPT = "<script>document.title='taken'</script>"


def log_in(tab: Tab, server: Running, user: str = "alice") -> None:
    tab.goto(server.client.post("/login-link", headers=server.bearer(user)).json()["url"])
    expect(tab.get_by_role("heading", level=1)).to_have_text("Your assignments")
    tab.wait_for_load_state()  # the page is loaded completely, including its scripts


def grade(server: Running, page: str = "<h1>Well done</h1>") -> None:
    grades = [{"username": "alice", "grade": "9", "feedback": "Good plots."}]
    server.client.post("/assignments/hw1/grades", json=grades, headers=server.bearer()).raise_for_status()
    files = {"files": ("alice.html", page.encode(), "text/html")}
    server.client.post("/assignments/hw1/feedback", files=files, headers=server.bearer()).raise_for_status()


def test_a_student_gets_from_the_join_link_to_the_feedback(tab: Tab, server: Running, tmp_path: Path) -> None:
    work = tmp_path / "work.py"
    tab.goto(JoinLink(server.url, CODE).text)
    tab.get_by_label("User name").fill("alice")
    tab.get_by_role("button", name="Join").click()
    tab.get_by_role("button", name="Go to the assignments").click()
    tab.get_by_role("link", name="hw1").click()
    tab.wait_for_url("**/my/hw1")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="hw1.py").click()
    assert Path(download.value.path()).read_bytes() == NOTEBOOK

    work.write_bytes(NOTEBOOK)
    tab.get_by_label("Your work").set_input_files(work)
    expect(tab.get_by_role("status")).to_contain_text("unchanged from what was handed out")
    (tmp_path / "empty.py").touch()
    tab.get_by_label("Your work").set_input_files(tmp_path / "empty.py")
    expect(tab.get_by_role("status")).to_contain_text("empty")
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_label("Your work")).to_be_focused()
    assert not server.submitted.exists() or not list(server.submitted.rglob("*.py"))

    work.write_bytes(WORK)
    tab.get_by_label("Your work").set_input_files(work)
    tab.get_by_role("button", name="Submit", exact=True).click()
    received = tab.get_by_role("region", name="Received")
    expect(received).to_contain_text(hashlib.sha256(WORK).hexdigest())
    expect(received).to_be_focused()
    assert (server.submitted / "hw1" / "alice.py").read_bytes() == WORK
    with tab.expect_download() as download:
        tab.get_by_role("row", name="counts").get_by_role("link", name=work.name).click()
    assert Path(download.value.path()).read_bytes() == WORK

    grade(server)
    tab.goto("/")
    row = tab.get_by_role("row", name="hw1")
    expect(row).to_contain_text("graded")
    row.get_by_role("link", name="Read").click()
    expect(tab.get_by_text("Good plots.")).to_be_visible()
    expect(tab.frame_locator("iframe").get_by_role("heading")).to_have_text("Well done")


def test_the_way_from_join_link_to_feedback_works_without_scripts(
    browser: Browser, server: Running, tmp_path: Path
) -> None:
    work = tmp_path / "work.py"
    work.write_bytes(WORK)
    with browser.new_context(base_url=server.url, java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto("/")
        tab.get_by_label("User name").fill("alice")
        tab.get_by_label("Enrollment code").fill(CODE)
        tab.get_by_role("button", name="Join").click()
        expect(tab.get_by_label("Your token")).to_have_text(server.token("alice"))
        tab.get_by_role("button", name="Go to the assignments").click()
        tab.get_by_role("link", name="hw1").click()
        (tmp_path / "essay.docx").write_bytes(b"x")
        tab.get_by_label("Your work").set_input_files(tmp_path / "essay.docx")
        tab.get_by_role("button", name="Submit", exact=True).click()
        expect(tab.get_by_role("alert")).to_contain_text("takes .py, .zip")
        tab.get_by_label("Your work").set_input_files(work)
        tab.get_by_role("button", name="Submit", exact=True).click()
        expect(tab.get_by_role("region", name="Received")).to_contain_text(hashlib.sha256(WORK).hexdigest())
        grade(server)
        tab.reload()
        expect(tab.frame_locator("iframe").get_by_role("heading")).to_have_text("Well done")


def test_the_way_from_join_link_to_feedback_works_with_the_keyboard_only(
    tab: Tab, server: Running, tmp_path: Path
) -> None:
    work = tmp_path / "work.py"
    work.write_bytes(WORK)
    log_in(tab, server)

    def go_to(name: str) -> None:
        """Press Tab until the element with this name has the focus."""
        for _ in range(40):
            tab.keyboard.press("Tab")
            if name in tab.evaluate(FOCUSED):
                return
        raise AssertionError(f"the keyboard does not reach {name!r}")

    go_to("hw1")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/my/hw1")
    with tab.expect_file_chooser() as chooser:  # asked only once: the next key may come before the answer
        go_to("Your work")
        tab.keyboard.press("Enter")
    chooser.value.set_files(work)
    go_to("Submit")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("region", name="Received")).to_be_focused()
    tab.wait_for_load_state()
    tab.keyboard.press("Tab")
    with tab.expect_download():
        tab.keyboard.press("Enter")
    go_to("Log out")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_file_dropped_on_the_form_is_submitted(tab: Tab, server: Running) -> None:
    log_in(tab, server)
    tab.goto("/my/hw1")
    dropped = tab.evaluate_handle("""() => {
        const dropped = new DataTransfer();
        dropped.items.add(new File(["dropped = 1\\n"], "work.py"));
        return dropped;
    }""")
    tab.dispatch_event("#submission", "drop", {"dataTransfer": dropped})
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("region", name="Received")).to_be_visible()
    assert (server.submitted / "hw1" / "alice.py").read_bytes() == b"dropped = 1\n"


DROPS = {
    "two files": ("a.py b.py", "You dropped 2 files"),
    "a text": ("", "not a file"),
}


@pytest.mark.parametrize("kind", DROPS)
def test_a_refused_drop_is_explained_and_the_chosen_file_is_kept(
    tab: Tab, server: Running, tmp_path: Path, kind: str
) -> None:
    names, said = DROPS[kind]
    (server.root.parent / "mograder.toml").write_text("[[assignments]]\nname = 'hw1'\naccepts = ['.py']\n")
    log_in(tab, server)
    tab.goto("/my/hw1")
    (tmp_path / "work.py").write_bytes(WORK)
    tab.get_by_label("Your work").set_input_files(tmp_path / "work.py")
    dropped = tab.evaluate_handle(
        """(names) => {
        const dropped = new DataTransfer();
        for (const name of names) dropped.items.add(new File(["x = 1"], name));
        if (!names.length) dropped.setData("text/plain", "x = 1");
        return dropped;
    }""",
        names.split(),
    )
    tab.dispatch_event("#submission", "drop", {"dataTransfer": dropped})
    expect(tab.locator(".checks")).to_contain_text(said)
    assert tab.evaluate("document.getElementById('file').files[0].name") == "work.py"
    assert not server.submitted.exists()


@pytest.mark.parametrize("change", ["saved again", "removed"])
def test_a_file_that_changed_after_it_was_chosen_is_reported_at_every_attempt_to_submit(
    tab: Tab, server: Running, tmp_path: Path, change: str
) -> None:
    work = tmp_path / "work.py"
    work.write_bytes(WORK)
    log_in(tab, server)
    tab.goto("/my/hw1")
    tab.get_by_label("Your work").set_input_files(work)
    if change == "removed":
        work.unlink()
    else:
        work.write_bytes(WORK + b"# saved again, and longer\n")
    for _ in range(2):
        tab.get_by_role("button", name="Submit", exact=True).click()
        expect(tab.locator(".checks")).to_contain_text("cannot read work.py")
        tab.evaluate("document.querySelector('.checks').replaceChildren()")
    work.write_bytes(WORK)
    tab.get_by_label("Your work").set_input_files(work)
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("region", name="Received")).to_be_visible()


def test_an_expired_session_is_reported_beside_the_file_and_the_file_is_kept(
    tab: Tab, server: Running, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_bytes(WORK)
    log_in(tab, server)
    tab.goto("/my/hw1")
    tab.get_by_label("Your work").set_input_files(tmp_path / "work.py")
    tab.context.clear_cookies()
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.locator(".checks")).to_contain_text("nothing of what you sent was kept")
    assert not server.submitted.exists()
    with tab.context.expect_page() as opened:
        tab.get_by_role("link", name="Log in (in a new tab)").click()
    login = opened.value
    login.get_by_label("Your token").fill(server.token("alice"))
    login.get_by_role("button", name="Log in").click()
    login.wait_for_url("**/my/hw1")
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("region", name="Received")).to_be_visible()
    assert (server.submitted / "hw1" / "alice.py").read_bytes() == WORK


def test_without_scripts_an_expired_session_leads_back_to_the_assignment(
    browser: Browser, server: Running, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_bytes(WORK)
    with browser.new_context(base_url=server.url, java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto("/login")
        tab.get_by_label("Your token").fill(server.token("alice"))
        tab.get_by_role("button", name="Log in").click()
        tab.goto("/my/hw1")
        tab.get_by_label("Your work").set_input_files(tmp_path / "work.py")
        context.clear_cookies()
        tab.get_by_role("button", name="Submit", exact=True).click()
        expect(tab.get_by_role("alert")).to_contain_text("nothing of what you sent was kept")
        tab.get_by_role("main").get_by_role("link", name="Log in").click()
        tab.get_by_label("Your token").fill(server.token("alice"))
        tab.get_by_role("button", name="Log in").click()
        tab.wait_for_url("**/my/hw1")


def test_a_large_upload_shows_its_progress(tab: Tab, server: Running, tmp_path: Path) -> None:
    work = tmp_path / "work.py"
    work.write_bytes(b"#" * 3_000_000)
    log_in(tab, server)
    tab.goto("/my/hw1")
    tab.get_by_label("Your work").set_input_files(work)
    network = tab.context.new_cdp_session(tab)

    def carry(upload: int) -> None:
        """Limit the upload of the browser to so many bytes a second; -1: no limit."""
        speed = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": upload}
        network.send("Network.emulateNetworkConditions", speed)

    carry(50_000)
    tab.get_by_role("button", name="Submit", exact=True).click()
    bar = tab.get_by_role("progressbar", name="Sending")
    expect(bar).not_to_have_js_property("value", 0)
    assert 0 < bar.evaluate("each => each.value") < 1
    expect(tab.get_by_role("button", name="Submit", exact=True)).to_be_disabled()
    carry(-1)
    expect(tab.get_by_role("region", name="Received")).to_be_visible()
    assert (server.submitted / "hw1" / "alice.py").stat().st_size == 3_000_000


def test_a_file_that_was_refused_or_did_not_arrive_can_be_sent_again(tab: Tab, server: Running, tmp_path: Path) -> None:
    work = tmp_path / "work.py"
    work.write_bytes(WORK)
    log_in(tab, server)
    tab.goto("/my/hw1")
    tab.get_by_label("Your work").set_input_files(work)
    tab.route("**/my/hw1", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("status")).to_contain_text("The connection broke")
    tab.unroute("**/my/hw1")
    (server.root.parent / "mograder.toml").write_text('[[assignments]]\nname = "hw1"\nmax_size = 3\n')
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("status")).to_contain_text("at most 3")
    (server.root.parent / "mograder.toml").unlink()
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("region", name="Received")).to_be_visible()


def test_times_are_in_the_time_zone_of_the_student_and_countdowns_use_the_clock_of_the_server(
    browser: Browser, server: Running
) -> None:
    (server.root.parent / "mograder.toml").write_text(
        'timezone = "Europe/Berlin"\n[[assignments]]\nname = "hw1"\ndue = 2099-01-15T12:00:00\n'
    )
    with browser.new_context(base_url=server.url, timezone_id="Asia/Kolkata", locale="en-GB") as context:
        tab = context.new_page()
        tab.clock.install(time="2098-01-01T00:00:00Z")  # a computer whose clock is wrong
        log_in(tab, server)
        row = tab.get_by_role("row", name="hw1")
        # A line may break after the last comma, and nowhere else.
        assert row.locator("time").evaluate("each => each.textContent") == "Thu,\u00a015\u00a0Jan\u00a02099, 16:30"
        expect(tab.get_by_role("main")).to_contain_text("Times in India Standard Time")
        counted = re.search(r"in ([\d,]+) days", row.inner_text())
        assert counted
        assert int(counted[1].replace(",", "")) > 20_000
        server.submit("alice", WORK).raise_for_status()
        tab.goto("/my/hw1")
        expect(tab.locator("time:not([data-utc])")).to_have_count(2)
        assert re.findall("India Standard Time|IST|GMT.5:30", tab.inner_text("main")) == ["India Standard Time"]


def test_a_table_on_a_phone_is_still_a_table_for_a_screen_reader(tab: Tab, server: Running) -> None:
    tab.set_viewport_size({"width": 360, "height": 800})
    log_in(tab, server)
    tree = tab.context.new_cdp_session(tab).send("Accessibility.getFullAXTree")
    roles = [node["role"]["value"] for node in tree["nodes"] if not node.get("ignored")]
    assert {name: roles.count(name) for name in ("table", "row", "columnheader", "rowheader", "cell")} == {
        "table": 1, "row": 2, "columnheader": 5, "rowheader": 1, "cell": 4,
    }  # fmt: skip


HOSTILE = """<!doctype html><form method=post action="/logout"></form><script>
const tries = {
  cookies: () => document.cookie,
  storage: () => localStorage.length,
  parent: () => parent.document.title,
  address: () => parent.location.href,
  page: async () => (await fetch("/my/hw1", {credentials: "include"})).text(),
  post: async () => (await fetch("/logout", {method: "POST", credentials: "include"})).text(),
  endpoint: async () => (await fetch("/receipts/alice", {credentials: "include"})).json(),
  frame: async () => {
    const frame = document.createElement("iframe");
    frame.src = "/my/hw1";
    document.body.append(frame);
    await new Promise((done) => { frame.onload = done });
    return frame.contentDocument.title;
  },
  top: () => { top.location = "/stolen" },
  // Refused without an error; the test checks from outside.
  form: () => { document.forms[0].submit() },
};
const results = {};
for (const [name, work] of Object.entries(tries))
  (async () => work())().then((got) => { results[name] = `got ${got}` }, (error) => { results[name] = error.name });
</script>"""


def test_a_hostile_feedback_page_cannot_send_anything_out_of_its_frame(browser: Browser, server: Running) -> None:
    server.submit("alice", WORK)
    grade(server, HOSTILE)
    with browser.new_context(base_url=server.url) as context:
        tab = context.new_page()
        log_in(tab, server)
        tab.goto("/my/hw1")
        tab.wait_for_load_state("networkidle")
        frame = next(each for each in tab.frames if each.url.endswith("/feedback"))
        frame.wait_for_function("Object.keys(results).length === Object.keys(tries).length")
        results = frame.evaluate("results")
        assert results.pop("form") == "got undefined"
        assert [name for name, said in results.items() if said.startswith("got")] == []
        assert frame.evaluate("origin") == "null"
        assert tab.url.endswith("/my/hw1")
        tab.reload()
        expect(tab.get_by_role("heading", level=1)).to_have_text("hw1")  # still logged in


@pytest.mark.parametrize("name", ["<script>document.title='taken'<script>.py", "מבוא.py", "a" * 150 + ".py"])
def test_hostile_names_are_shown_as_text_and_work(tab: Tab, server: Running, tmp_path: Path, name: str) -> None:
    (server.root / "hw1" / "files" / name).write_bytes(WORK)
    (server.root.parent / "mograder.toml").write_text(
        f'title = "{SCRIPT}"\n[[assignments]]\nname = "hw1"\ntitle = "{SCRIPT}"\n'
        f'[edit_links]\n"{SCRIPT}" = "https://e.example/"\n'
    )
    log_in(tab, server)
    expect(tab.get_by_role("row", name=SCRIPT)).to_be_visible()
    tab.goto("/my/hw1")
    expect(tab.get_by_role("heading", level=1)).to_have_text(SCRIPT)
    with tab.expect_download() as download:
        tab.get_by_role("link", name=name, exact=True).click()
    assert Path(download.value.path()).read_bytes() == WORK
    sent = tmp_path / name
    sent.write_bytes(WORK)
    tab.get_by_label("Your work").set_input_files(sent)
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("region", name="Received")).to_be_visible()
    assert tab.title() == f"{SCRIPT} – {SCRIPT}"
