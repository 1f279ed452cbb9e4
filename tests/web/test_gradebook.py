"""Import and export of grades and rosters in a real browser: previews, partial uploads, sections, dropped people."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.parts import CODE, Running
from tests.tables import samples
from tests.web.test_instructor import SCRIPT, log_in

TOML = """
title = "Algebra"

[[assignments]]
name = "hw1"
title = "Homework 1"
due = 2126-03-10T11:00:00Z
points = 10
"""
CANVAS_GRADES = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (12345)\r\n"
    "    Points Possible,,,,,10\r\n"
    '"Lovelace, Ada",987,,,Sec 1,9.50\r\n'  # known only by the Canvas id
    '"Noyce, Bob",,00456,,Sec 2,12\r\n'  # above the maximum points
    '"Xavier, Xu",1001,,xu,Sec 1,5\r\n'  # unknown
)


def saved(tab: Tab, role: str, name: str) -> tuple[str, bytes]:
    """The file that a button or link downloads."""
    with tab.expect_download() as download:
        tab.get_by_role(role, name=name, exact=True).click()  # type: ignore[arg-type]
    return download.value.suggested_filename, download.value.path().read_bytes()


def choose(tab: Tab, label: str, path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    tab.get_by_label(label, exact=True).set_input_files(path)


def test_roster_grades_and_exports_work_with_sections_and_nothing_is_stored_without_a_preview(
    tab: Tab, server: Running, tmp_path: Path
) -> None:
    (server.root.parent / "mograder.toml").write_text(TOML)
    log_in(tab, server)
    stored = lambda: server.client.get("/assignments/hw1/grades", headers=server.bearer()).json()  # noqa: E731

    # the roster
    tab.get_by_role("link", name="People").click()
    choose(tab, "CSV table", tmp_path / "canvas.csv", samples.CANVAS)
    tab.get_by_role("button", name="Preview").click()
    expect(tab.get_by_role("table", name="New").get_by_role("row")).to_have_count(4)
    assert server.client.get("/roster", headers=server.bearer()).json() == []
    tab.get_by_role("button", name="Change the roster").click()
    codes = dict(line.split() for line in tab.get_by_role("status", name="Personal codes").inner_text().splitlines())
    for user, code in codes.items():
        server.client.post("/register", json={"user": user, "enrollment_code": code}).raise_for_status()
    server.submit("ada", b"x = 1").raise_for_status()
    server.submit("bob", b"x = 2").raise_for_status()

    # grades: the first table has a grade above the maximum and an unknown person
    tab.goto("/board/hw1")
    choose(tab, "Upload grades", tmp_path / "grades.csv", CANVAS_GRADES)
    tab.get_by_role("button", name="Preview").click()
    problems = tab.get_by_role("list", name="Not understood, and left out")
    expect(problems).to_contain_text("12 is more than the 10 points")
    expect(problems).to_contain_text("nobody known as 'xu / 1001' is in the course")
    assert stored() == []
    tab.get_by_role("link", name="Back, and store nothing").click()
    choose(tab, "Upload grades", tmp_path / "grades.csv", CANVAS_GRADES)
    tab.get_by_text("How to read it", exact=True).click()
    tab.get_by_label("Take grades above the points").check()
    tab.get_by_role("button", name="Preview").click()
    expect(tab.get_by_role("row", name="bob")).to_contain_text("12")
    tab.get_by_role("button", name="Store 2 changes, and leave out 1 row").click()
    expect(tab.get_by_role("status")).to_have_text("The grades are stored: 2 in all.")
    assert {each["username"]: each["grade"] for each in stored()} == {"ada": "9.5", "bob": "12"}

    # a column and an encoding chosen by the user
    told = "username,Punkte,feedback\nada,8,Schön\n".encode("latin-1")
    choose(tab, "Upload grades", tmp_path / "latin.csv", told)
    tab.get_by_text("How to read it", exact=True).click()
    tab.get_by_label("Column of the grades, if it is not found").first.fill("Punkte")
    tab.get_by_label("Encoding, if it is not UTF-8").first.fill("latin-1")
    tab.get_by_role("button", name="Preview").click()
    expect(tab.get_by_role("row", name="ada")).to_contain_text("8")
    tab.get_by_role("button", name="Store 1 change", exact=True).click()
    expect(tab.get_by_role("status")).to_be_visible()
    assert stored()[0]["feedback"] == "Schön"

    # sections
    tab.get_by_role("link", name="Sec 1", exact=True).click()
    expect(tab.get_by_role("table", name="Submissions").get_by_role("row", name="ada")).to_be_visible()
    tab.get_by_role("link", name="Sec 2", exact=True).click()
    expect(tab.get_by_role("table", name="Submissions").get_by_role("row", name="ada")).to_have_count(0)
    name, content = saved(tab, "link", "Download these as a zip")
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["hw1/bob.py"]

    # exports: to the instructor's own export, and a new table of a section
    tab.get_by_role("link", name="all sections").click()
    choose(tab, "Your own export of that system, to be filled", tmp_path / "canvas.csv", samples.CANVAS)
    tab.get_by_role("button", name="Export", exact=True).click()
    expect(tab.get_by_role("list", name="Notes on this file")).to_contain_text("bob is excused there")
    name, content = saved(tab, "link", "Download hw1-canvas.csv")
    assert name == "hw1-canvas.csv"
    assert content.decode() == samples.CANVAS.replace("ada,Sec 1,9.50", "ada,Sec 1,8.00")
    tab.go_back()
    tab.get_by_label("For", exact=True).select_option(label="our own CSV")
    tab.get_by_label("Section", exact=True).select_option("Sec 2")
    tab.get_by_label("Your own export of that system, to be filled").set_input_files([])
    name, content = saved(tab, "button", "Export")
    found = [(row["username"], row["section"], row["grade"]) for row in csv.DictReader(io.StringIO(content.decode()))]
    assert found == [("bob", "Sec 2, Sec 1", "12"), ("cleo@example.org", "Sec 2", "")]

    # feedback for Moodle, of people whom the worksheet names by their addresses
    choose(tab, "Upload feedback pages", tmp_path / "cleo@example.org.html", f"<p>fine</p>{SCRIPT}")
    tab.get_by_role("button", name="Upload", exact=True).click()
    choose(tab, "Moodle's grading worksheet", tmp_path / "worksheet.csv", samples.WORKSHEET)
    name, content = saved(tab, "button", "Make the zip")
    assert name == "hw1-moodle-feedback.zip"
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["Cleo Ng_43_assignfeedback_file_feedback.html"]

    # a dropped student is not listed, and the work is kept
    tab.goto("/people")
    choose(tab, "CSV table", tmp_path / "newer.csv", "username,email,section\nada,ada@example.org,Sec 2\n")
    tab.get_by_role("button", name="Preview").click()
    expect(tab.get_by_role("list", name="Not in the list")).to_contain_text("Bob Noyce")
    tab.get_by_label("Remove the 2 who are not in the list").check()
    tab.get_by_role("button", name="Change the roster").click()
    expect(tab.get_by_role("status")).to_contain_text("nobody is new in it")
    tab.get_by_role("link", name="Board", exact=True).click()
    expect(tab.get_by_role("row", name="Ada")).to_be_visible()
    expect(tab.get_by_role("row", name="bob")).to_have_count(0)
    tab.goto("/board/hw1/people/bob")
    expect(tab.get_by_role("link", name="Open submission 1")).to_be_visible()
    assert server.client.post("/register", json={"user": "bob", "enrollment_code": CODE}).status_code == 409
