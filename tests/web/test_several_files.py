"""Several files, PDFs, and the question before a submission replaces another, in a real browser."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.parts import Running, until
from tests.web.test_student_journey import log_in

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>"


def say(server: Running, text: str) -> None:
    (server.root.parent / "mograder.toml").write_text(text)


def latest(server: Running) -> bytes:
    return (server.submitted / "hw1" / "alice.py").read_bytes()


def drop(tab: Tab, *paths: Path) -> None:
    """Drop files or folders from the disk on the form, through the drag and drop of the browser."""
    form = tab.locator("#submission")
    form.scroll_into_view_if_needed()
    box = form.bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = tab.context.new_cdp_session(tab)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


def test_files_that_are_chosen_or_dropped_together_become_one_submission(
    tab: Tab, server: Running, tmp_path: Path
) -> None:
    say(server, "[[assignments]]\nname = 'hw1'\nfiles = ['part1.py', 'part2.py']\n")
    project = tmp_path / "project"
    for name in ("part1.py", "part2.py", "data/tea.csv", ".hidden", "__pycache__/x.pyc"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(f"# {name}\n")
    log_in(tab, server)
    tab.goto("/my/hw1")
    sure, send = tab.get_by_label("Submit all the same"), tab.get_by_role("button", name="Submit", exact=True)
    received = tab.get_by_role("region", name="Received")

    tab.get_by_label("Your work").set_input_files(project / "part1.py")
    expect(tab.locator(".checks")).to_contain_text("Missing: part2.py")
    send.click()
    expect(sure).to_be_focused()
    assert not server.submitted.exists()

    tab.get_by_label("Your work").set_input_files([project / "part2.py", project / "part1.py"])
    expect(tab.locator(".checks")).to_contain_text("2 files: part2.py, part1.py")
    expect(sure).to_be_hidden()
    send.click()
    expect(received).to_contain_text("hw1.zip")
    with zipfile.ZipFile(io.BytesIO(latest(server))) as archive:
        assert archive.namelist() == ["part1.py", "part2.py", "submission.json"]
        assert json.loads(archive.read("submission.json"))["files"][0]["name"] == "part1.py"

    drop(tab, project)
    expect(tab.locator(".checks")).to_contain_text("Not asked for: data/tea.csv")
    sure.check()
    send.click()
    expect(received).to_contain_text("Submission 2")
    with zipfile.ZipFile(io.BytesIO(latest(server))) as archive:
        assert archive.namelist() == ["data/tea.csv", "part1.py", "part2.py", "submission.json"]

    made = tmp_path / "made by hand.zip"
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("hw/part1.py", "hw/tea.csv", "__MACOSX/hw/._part1.py", "hw/.DS_Store"):
            archive.writestr(name, "x")
    tab.get_by_label("Your work").set_input_files(made)
    expect(tab.locator(".checks")).to_have_text(re.compile(r"^Missing: part2\.py\s*Not asked for: tea\.csv$"))
    renamed = tmp_path / "renamed.zip"
    renamed.write_bytes(b"no zip")
    tab.get_by_label("Your work").set_input_files(renamed)
    expect(tab.locator(".checks")).to_contain_text("is it a zip?")
    (project / "data/tea.csv").unlink()
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(project)
    expect(tab.locator(".checks")).to_contain_text("2 files: part1.py, part2.py")
    expect(sure).to_be_hidden()
    send.click()
    expect(received).to_contain_text("Submission 3")
    with zipfile.ZipFile(io.BytesIO(latest(server))) as archive:
        assert archive.namelist() == ["part1.py", "part2.py", "submission.json"]

    drop(tab, project / "part1.py")
    expect(tab.locator(".checks")).to_contain_text("alone takes the place of the several files")
    tab.get_by_role("link", name="Keep what I have submitted").click()
    expect(received).to_be_hidden()
    assert len(list((server.submitted / "hw1").iterdir())) == 4


def test_replacing_a_submission_on_time_by_a_late_one_needs_confirmation_and_a_pdf_stays_a_pdf(
    tab: Tab, server: Running, tmp_path: Path
) -> None:
    rule = "[penalties]\nenabled = true\nper_day = 10\ngrace_minutes = 0\n"
    rule += "[[assignments]]\nname = 'hw1'\naccepts = ['.pdf']\n"
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    say(server, f"{rule}due = {tomorrow.isoformat()}\n")
    essay = tmp_path / "Essay final.pdf"
    essay.write_bytes(PDF)
    log_in(tab, server)
    tab.goto("/my/hw1")
    tab.get_by_label("Your work").set_input_files(essay)
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("region", name="Received")).to_contain_text("Essay final.pdf")
    link = tab.get_by_role("row", name="Essay final.pdf").get_by_role("link", name="Open")
    shown = tab.context.request.get(f"{server.url}{link.get_attribute('href')}")
    assert (shown.headers["content-type"], shown.body()) == ("application/pdf", PDF)
    assert shown.headers["content-disposition"] == "inline"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Essay final.pdf").click()
    assert download.value.suggested_filename == "Essay final.pdf"

    due = datetime.now(UTC).replace(microsecond=0)
    say(server, f"{rule}due = {due.isoformat()}\n")
    until(lambda: datetime.now(UTC) >= due + timedelta(seconds=1))  # the second of the due time still counts as on time
    essay.write_bytes(PDF + b"\n% more")
    tab.get_by_label("Your work").set_input_files(essay)
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.locator(".checks")).to_contain_text("takes the place of submission 1")
    expect(tab.locator(".checks")).to_contain_text("costs 10 percentage points")
    assert len(list((server.submitted / "hw1").glob("alice_*.pdf"))) == 1
    tab.get_by_label("Submit all the same").check()
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("region", name="Received")).to_contain_text("Submission 2")
    assert latest(server) == PDF + b"\n% more"
