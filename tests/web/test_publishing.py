"""An instructor creates an assignment in a real browser, writes instructions and views it as a student."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.parts import Running
from tests.web.test_instructor import log_in

DROP = """(place) => {
    const dropped = new DataTransfer();
    dropped.items.add(new File(["x = 1\\n"], "dropped.py"));
    place.dispatchEvent(new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}));
}"""


def test_an_assignment_is_created_given_files_and_viewed_as_a_student(
    tab: Tab, server: Running, course_folder: Path, tmp_path: Path
) -> None:
    log_in(tab, server)
    tab.get_by_role("link", name="New assignment").click()
    tab.get_by_label("Name", exact=True).fill("hw2")
    tab.get_by_label("Title").fill("Loops <b>")
    tab.get_by_label("Due", exact=True).fill("2126-03-10T12:00")
    for name in ("one.py", "two.csv"):
        (tmp_path / name).write_text("x\n")
    tab.get_by_label("What students download").set_input_files([tmp_path / "one.py", tmp_path / "two.csv"])
    expect(tab.get_by_role("status")).to_contain_text("one.py")
    tab.get_by_role("button", name="Create the assignment").click()
    expect(tab.get_by_role("status").first).to_contain_text("The assignment is created")
    assert sorted(path.name for path in (course_folder / "hw2" / "files").iterdir()) == ["one.py", "two.csv"]

    tab.locator("form[data-drop]").evaluate(DROP)
    tab.get_by_role("button", name="Put up", exact=True).click()
    expect(tab.get_by_role("link", name="dropped.py")).to_be_visible()
    tab.get_by_role("button", name="Take back two.csv").click()
    expect(tab.get_by_role("link", name="two.csv")).to_have_count(0)
    tab.get_by_label("Text, in Markdown").fill(
        "# Hello\n\nSee [this](https://example.org) <script>x</script>\n\n|a|\n|-:|\n|1|"
    )
    tab.get_by_role("button", name="Save the instructions").click()
    expect(tab.get_by_role("heading", name="Hello")).to_be_visible()

    tab.get_by_role("link", name="Back to the assignment").click()
    tab.get_by_role("button", name="View as a student").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Loops <b>")
    expect(tab.get_by_role("heading", name="Hello")).to_be_visible()
    expect(tab.locator(".prose")).to_contain_text("<script>x</script>")
    expect(tab.get_by_role("navigation", name="Course")).to_have_count(0)
    tab.get_by_label("Your work").set_input_files(tmp_path / "one.py")
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_text("nothing is sent").first).to_be_visible()
    assert not (course_folder.parent / "submitted" / "hw2").exists()
    tab.goto(f"{server.url}/board")
    expect(tab.get_by_role("alert")).to_contain_text("only an instructor")
    tab.get_by_role("button", name="Back to your own pages").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Board")
    assert server.client.get("/events", headers=server.bearer("__instructor__")).json()[0]["action"] == "put up"
