"""The work of an instructor in a real browser with a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect
from playwright.sync_api import Page as Tab

from mograder.domain.names import INSTRUCTOR
from tests.parts import CODE, Running

SCRIPT = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
TOML = f"""
title = '{SCRIPT.replace("'", '"')}'

[[assignments]]
name = "hw1"
title = '{SCRIPT.replace("'", '"')}'
due = 2126-03-10T11:00:00Z
points = 10
"""


def log_in(tab: Tab, server: Running, name: str = INSTRUCTOR) -> None:
    tab.goto(server.client.post("/login-link", headers=server.bearer(name)).json()["url"])
    expect(tab.get_by_role("heading", level=1)).to_have_text("Board")
    tab.wait_for_load_state()  # from then on its scripts handle events


def register(server: Running, *names: str) -> None:
    for name in names:
        server.client.post("/register", json={"user": name, "enrollment_code": CODE}).raise_for_status()


def tab_to(tab: Tab, name: str) -> None:
    """Press Tab until the field or button of this name has the focus."""
    for _ in range(60):
        tab.keyboard.press("Tab")
        if tab.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent") == name:
            return
    pytest.fail(f"{name!r} is not reached")


def press(tab: Tab, name: str) -> None:
    tab_to(tab, name)
    tab.keyboard.press("Enter")


def choose(tab: Tab, name: str, file: Path, text: str) -> None:
    file.write_text(text)
    with tab.expect_file_chooser() as chooser:  # asked only once: the next key may come before the answer
        tab_to(tab, name)
        tab.keyboard.press("Enter")
    chooser.value.set_files(file)


def test_an_instructor_gets_from_the_board_to_grades_feedback_and_extensions(
    tab: Tab, server: Running, tmp_path: Path
) -> None:
    (server.root.parent / "mograder.toml").write_text(TOML)
    register(server, "alice", "bob")
    log_in(tab, server)
    expect(tab.get_by_role("row", name="alice")).to_contain_text("new")
    server.submit("alice", f"# {SCRIPT}\nanswer = 42\n".encode()).raise_for_status()
    expect(tab.get_by_role("row", name="alice")).to_contain_text("submitted")  # a live update, without a reload
    expect(tab.locator("#rush")).to_contain_text("1 submission,")
    tab.get_by_role("searchbox", name="Student").fill("bob")
    expect(tab.get_by_role("row", name="alice")).to_have_count(0)
    tab.get_by_role("searchbox", name="Student").fill("")
    tab.get_by_role("row", name="alice").get_by_role("link", name="submitted").click()
    tab.get_by_role("link", name="Open submission 1").click()
    expect(tab.get_by_label("Source")).to_contain_text("answer = 42")
    tab.go_back()
    tab.get_by_label("Until", exact=True).fill("+2d")
    tab.get_by_label("Note", exact=True).fill(SCRIPT)
    tab.get_by_role("button", name="Grant").click()
    expect(tab.get_by_text("with the extension")).to_be_visible()

    tab.goto("/board/hw1")
    table = tmp_path / "grades.csv"
    quoted = SCRIPT.replace('"', '""')
    table.write_text(f'username,grade,feedback\nalice,9,"{quoted}"\n"{quoted}",1,\nbob,"{quoted}",\n')
    tab.get_by_label("Upload grades").set_input_files(table)
    tab.get_by_role("button", name="Preview").click()
    expect(tab.get_by_role("row", name="alice")).to_contain_text("9")
    left_out = tab.get_by_role("list", name="Not understood, and left out")
    expect(left_out).to_contain_text("nobody known as")
    expect(left_out).to_contain_text("not a number")
    tab.get_by_role("button", name="Store 1 change, and leave out 2 rows").click()
    expect(tab.get_by_role("status")).to_have_text("The grades are stored: 1 in all.")
    page = tmp_path / "alice.html"
    page.write_text(f"<p>well done</p>{SCRIPT}")
    tab.get_by_label("Upload feedback pages").set_input_files(page)
    tab.get_by_role("button", name="Upload", exact=True).click()
    expect(tab.get_by_role("status")).to_have_text("1 feedback page is stored.")
    tab.get_by_role("link", name="alice").click()
    expect(tab.frame_locator("iframe").get_by_text("well done")).to_be_visible()
    assert "taken" not in tab.title().replace(SCRIPT.replace("'", '"'), "")


def test_the_roster_is_edited_and_the_join_link_shown(tab: Tab, server: Running, tmp_path: Path) -> None:
    log_in(tab, server)
    tab.get_by_role("link", name="People").click()
    tab.get_by_label("User name").fill("tom")
    tab.get_by_label("Name", exact=True).last.fill(SCRIPT)
    tab.get_by_role("button", name="Add").click()
    code, person = tab.get_by_label("Personal code", exact=True), tab.get_by_role("region", name="Personal code")
    first = code.inner_text()  # only the code is copied
    assert re.fullmatch(r"[a-z2-9-]{14}", first)
    expect(person).to_contain_text("With it tom joins")
    listed = tmp_path / "list.csv"
    listed.write_text("username,name\nalice,Alice Example\n")
    tab.get_by_label("CSV table").set_input_files(listed)
    tab.get_by_role("button", name="Preview").click()
    tab.get_by_role("button", name="Change the roster").click()
    expect(person).to_contain_text("With it alice joins")
    tab.get_by_role("link", name="Reset tom").click()
    tab.get_by_role("button", name="Reset").click()
    expect(person).to_contain_text("With it tom joins")
    assert code.inner_text() != first
    tab.get_by_role("link", name="Remove tom").click()
    tab.get_by_role("button", name="Remove").click()
    expect(tab.get_by_role("row", name="tom")).to_contain_text("removed")
    tab.get_by_role("link", name="Audit log").click()
    expect(tab.get_by_role("row", name="remove")).to_contain_text("tom")
    tab.get_by_role("link", name="Join link").click()
    expect(tab.get_by_label("The join link")).to_contain_text(f"/join#code={CODE}")
    expect(tab.get_by_role("img", name="QR code to join")).to_be_visible()
    tab.get_by_role("button", name="Full screen").click()
    tab.wait_for_function("document.fullscreenElement !== null")


def test_finding_opening_and_extending_work_with_the_keyboard_only(tab: Tab, server: Running) -> None:
    (server.root.parent / "mograder.toml").write_text(TOML)
    register(server, "alice", "bob")
    server.submit("alice", b"x = 1\n").raise_for_status()
    log_in(tab, server)
    tab_to(tab, "Student")
    tab.keyboard.type("ali")
    expect(tab.get_by_role("row", name="bob")).to_have_count(0)
    tab_to(tab, "submitted")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("alice")
    tab_to(tab, "Until")
    tab.keyboard.type("+1d")
    tab_to(tab, "Grant")
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("with the extension")).to_be_visible()


def test_grading_and_feedback_work_with_the_keyboard_only(tab: Tab, server: Running, tmp_path: Path) -> None:
    register(server, "alice")
    log_in(tab, server)
    tab.goto("/board/hw1")
    choose(tab, "Upload grades", tmp_path / "grades.csv", "username,grade\nalice,9\n")
    press(tab, "Preview")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Upload grades")
    press(tab, "Store 1 change")
    expect(tab.get_by_role("status")).to_have_text("The grades are stored: 1 in all.")
    choose(tab, "Upload feedback pages", tmp_path / "alice.html", "<p>well done")
    press(tab, "Upload")
    expect(tab.get_by_role("status")).to_have_text("1 feedback page is stored.")


def test_editing_the_roster_works_with_the_keyboard_only(tab: Tab, server: Running, tmp_path: Path) -> None:
    log_in(tab, server)
    tab.goto("/people")
    choose(tab, "CSV table", tmp_path / "list.csv", "username,name\ntom,Tom Tutor\n")
    press(tab, "Preview")
    expect(tab.get_by_role("button", name="Change the roster")).to_be_visible()
    press(tab, "Change the roster")
    codes = tab.get_by_role("region", name="Personal code")
    expect(codes).to_contain_text("With it tom joins")
    tab_to(tab, "studentgraderinstructor")
    tab.keyboard.type("i")
    press(tab, "Set the role of tom")
    expect(codes).to_have_count(0)
    expect(tab.get_by_label("Role of tom")).to_have_value("instructor")
    press(tab, "Remove tom")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Remove somebody")
    press(tab, "Remove")
    expect(tab.get_by_role("row", name="tom")).to_contain_text("removed")
    press(tab, "Bring back tom")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Bring somebody back")
    press(tab, "Bring back")
    expect(codes).to_contain_text("tom ")
    tab_to(tab, "User name")
    tab.keyboard.type("bob")
    press(tab, "Add")
    expect(codes).to_contain_text("bob ")


def test_a_live_update_keeps_focus_selection_and_scroll_position(tab: Tab, server: Running) -> None:
    for number in range(2, 12):
        (server.root / f"hw{number}" / "files").mkdir(parents=True)
    register(server, "alice", "bob")
    server.submit("alice", b"x = 1\n").raise_for_status()
    log_in(tab, server)
    tab.get_by_role("row", name="alice").get_by_role("link", name="submitted").focus()
    tab.get_by_role("rowheader", name="alice").select_text()
    tab.locator(".scroll:has(.board)").evaluate("each => { each.scrollLeft = 100 }")
    server.submit("bob", b"x = 2\n").raise_for_status()
    expect(tab.get_by_role("row", name="bob")).to_contain_text("submitted")
    expect(tab.get_by_role("row", name="alice").get_by_role("link", name="submitted")).to_be_focused()
    assert tab.evaluate("getSelection().toString().trim()") == "alice"
    assert tab.locator(".scroll:has(.board)").evaluate("each => each.scrollLeft") == 100


def test_a_board_opened_before_anybody_joined_shows_the_first_submission(tab: Tab, server: Running) -> None:
    log_in(tab, server)
    expect(tab.get_by_text("Nobody has joined yet.")).to_be_visible()
    tab.get_by_role("link", name="hw1").click()
    tab.get_by_role("link", name="Change title, times and limits").wait_for()
    tab.go_back()
    register(server, "alice")
    server.submit("alice", b"x = 1\n").raise_for_status()
    tab.get_by_role("row", name="alice").get_by_role("link", name="submitted").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("alice")


def test_a_click_during_a_live_update_follows_the_link(tab: Tab, server: Running) -> None:
    register(server, "alice", "bob")
    server.submit("alice", b"x = 1\n").raise_for_status()
    log_in(tab, server)
    tab.get_by_role("row", name="alice").get_by_role("link", name="submitted").hover()
    tab.mouse.down()
    server.submit("alice", b"x = 2\n").raise_for_status()  # the row of alice changes
    server.submit("bob", b"x = 3\n").raise_for_status()
    expect(tab.get_by_role("row", name="bob")).to_contain_text("submitted")
    tab.mouse.up()
    expect(tab.get_by_role("heading", level=1)).to_have_text("alice")


LISTS = """() => {
  const lists = [[]], wrong = [];
  for (const list of lists) for (const name of "abcd") if (!list.includes(name)) lists.push([...list, name]);
  const row = (name, text) => `<tr id="${name}"><td ${text}="1">${text}<a id="${name}${text}"></a></td></tr>`;
  const table = (list, text) => {
    const made = document.createElement("table");
    made.innerHTML = list.map((name) => row(name, text)).join("\\n");
    return made;
  };
  for (const before of lists) for (const after of lists) {
    const old = table(before, "x"), fresh = table(after, "y"), wanted = fresh.outerHTML;
    const links = [...old.querySelectorAll("a")], kept = [...old.rows].filter((each) => after.includes(each.id));
    const names = kept.map((each) => each.id);
    const ordered = names.join() === after.filter((each) => before.includes(each)).join();
    const seen = new MutationObserver(() => {});
    seen.observe(old, {childList: true, subtree: true});
    update(old, fresh);
    const moved = new Set(seen.takeRecords().flatMap((each) => [...each.removedNodes]));
    const stays = kept.every((each, at) => old.rows[names[at]] === each && !(ordered && moved.has(each)));
    if (old.outerHTML !== wanted || !stays || links.some((each) => old.contains(each))) wrong.push([before, after]);
  }
  return [lists.length, wrong];
}"""
"""Updates every list of up to four rows to every other. Returns the number of lists and the errors."""


def test_a_live_update_does_not_move_rows_and_links(tab: Tab, server: Running) -> None:
    register(server, "alice")
    log_in(tab, server)
    assert tab.evaluate(LISTS) == [65, []]


def test_the_board_works_without_scripts(browser: Browser, server: Running) -> None:
    register(server, "alice", "bob")
    server.submit("alice", b"x = 1\n").raise_for_status()
    with browser.new_context(base_url=server.url, java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto("/login")
        tab.get_by_label("Your token").fill(server.token(INSTRUCTOR))
        tab.get_by_role("button", name="Log in").click()
        tab.get_by_label("Assignment", exact=True).select_option("hw1")
        tab.get_by_label("State").select_option("missing")
        tab.get_by_role("button", name="Show").click()
        expect(tab.get_by_role("row", name="bob")).to_be_visible()
        expect(tab.get_by_role("row", name="alice")).to_have_count(0)
        expect(tab.get_by_label("Who has no submission")).to_have_text("bob")


def test_a_search_typed_during_a_live_update_is_executed(tab: Tab, server: Running) -> None:
    register(server, "alice", "bob")
    log_in(tab, server)
    tab.evaluate("window.heard = 0; document.addEventListener('htmx:sseMessage', () => { heard += 1 })")
    asked: list[Route] = []
    tab.route("**/board?q=bob*", lambda route: asked.append(route))
    with tab.expect_request("**/board?q=bob*"):
        tab.get_by_role("searchbox", name="Student").fill("bob")
    before = tab.evaluate("heard")
    server.submit("alice", b"x = 1\n").raise_for_status()
    tab.wait_for_function("before => heard > before", arg=before)
    asked[0].continue_()
    expect(tab.get_by_role("row", name="bob")).to_be_visible()
    expect(tab.get_by_role("row", name="alice")).to_have_count(0)


def test_a_board_that_cannot_be_updated_shows_a_notice(tab: Tab, server: Running) -> None:
    register(server, "alice")
    log_in(tab, server)
    stale = tab.get_by_text("may be out of date")
    expect(stale).to_be_hidden()
    tab.route("**/board?**", lambda route: route.abort())
    tab.get_by_role("searchbox").fill("ali")
    expect(stale).to_be_visible()
    tab.unroute("**/board?**")
    tab.get_by_role("searchbox").fill("alic")
    expect(stale).to_be_hidden()
    tab.route("**/board?**", lambda route: route.fulfill(status=503, body="away"))
    tab.get_by_role("searchbox").fill("al")
    expect(stale).to_be_visible()
