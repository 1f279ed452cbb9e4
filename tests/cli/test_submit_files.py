"""`mograder https submit` with several files or a folder, files that are refused, and dry runs."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Mograder, work
from tests.parts import Running, names_in, until


def latest(server: Running) -> bytes:
    return (server.submitted / "hw1" / "alice.py").read_bytes()


def test_several_files_or_a_folder_are_one_submission_with_a_receipt(alice: Mograder, server: Running) -> None:
    Path("project/data").mkdir(parents=True)
    for name in ("project/part1.py", "project/part2.py", "project/data/tea.csv"):
        work(name.encode(), name)
    ran = alice("submit", "hw1", "project/part1.py", "project/part2.py")
    assert "2 files: part1.py, part2.py" in ran.err
    with zipfile.ZipFile(io.BytesIO(latest(server))) as archive:
        assert archive.namelist() == ["part1.py", "part2.py", "submission.json"]
        assert archive.read("part1.py") == b"project/part1.py"
    again = alice("submit", "hw1", "project/part2.py", "project/part1.py")
    assert "already your latest" in again.out
    alice("submit", "hw1", "project")
    with zipfile.ZipFile(io.BytesIO(latest(server))) as archive:
        assert archive.namelist() == ["data/tea.csv", "part1.py", "part2.py", "submission.json"]
    kept = names_in(Path("project/.mograder/receipts"))
    assert len([name for name in kept if name.endswith(".json")]) == 2
    assert alice("verify", "project").out.count(".zip\n") == 2


def test_several_files_are_not_sent_to_an_assignment_that_accepts_no_zip(alice: Mograder, server: Running) -> None:
    (server.root.parent / "mograder.toml").write_text("[[assignments]]\nname = 'hw1'\naccepts = ['.py']\n")
    work(name="a.py")
    work(name="b.py")
    assert "takes .py" in alice("submit", "hw1", "a.py", "b.py", code=2).err
    assert not (server.submitted / "hw1").exists()


def test_several_files_are_kept_in_the_outbox_while_the_server_is_unreachable(alice: Mograder, server: Running) -> None:
    work(name="a.py")
    work(name="b.py")
    server.kill()
    said = alice("submit", "hw1", "a.py", "b.py", "--patience", "0", code=6).err
    assert "a copy of hw1.zip is kept" in said


def test_a_broken_zip_is_refused_before_it_is_sent(alice: Mograder, server: Running) -> None:
    for content in (b"Rar!\x1a\x07\x01\x00rest", b"x = 1\n", b"PK"):
        assert "is called a zip file and is none" in alice("submit", "hw1", work(content, "mine.zip"), code=5).err
    assert not (server.submitted / "hw1").exists()


def test_a_file_type_that_the_course_does_not_accept_is_refused(alice: Mograder) -> None:
    assert "cannot be submitted" in alice("submit", "hw1", work(b"x", "homework.exe"), code=5).err


@pytest.mark.parametrize(("key", "hours", "said"), [("closes", -1, "closed at"), ("opens", 1, "opens at")])
def test_a_dry_run_for_an_assignment_that_is_closed_is_refused(
    key: str, hours: int, said: str, alice: Mograder, server: Running
) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
    (server.root.parent / "mograder.toml").write_text(f"[[assignments]]\nname = 'hw1'\n{key} = {moment.isoformat()}\n")
    ran = alice("submit", "hw1", work(), "--dry-run", code=5)
    assert said in ran.err
    assert "Would submit" not in ran.out


def test_a_refusal_after_closing_does_not_mention_a_late_penalty(alice: Mograder, server: Running) -> None:
    over = (datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)).isoformat()
    rule = "penalties = { enabled = true, grace_minutes = 0 }"
    config = f"[[assignments]]\nname = 'hw1'\ndue = {over}\ncloses = {over}\n{rule}\n"
    (server.root.parent / "mograder.toml").write_text(config)
    refused = alice("submit", "hw1", work(), code=5).err
    assert "'hw1' closed at" in refused
    assert "this is late" not in refused


def test_commands_that_change_something_need_the_full_name_of_the_assignment(
    alice: Mograder, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.root / "hw20/files").mkdir(parents=True)
    (server.root / "hw20/files/hw20.py").write_text("x = 0\n")
    Path("grades.csv").write_text("username,grade\nalice,3\n")
    Path("pages").mkdir()
    Path("pages/alice.html").write_text("<p>good")
    for words in (
        ("submit", "hw2", work()), ("submit", "HW20", work()), ("submit", "0", work()),
        ("ask-extension", "hw2", "--until", "+1d", "--reason", "ill"),
    ):  # fmt: skip
        assert "hw20" in alice(*words, code=2).err
    alice("feedback", "hw2")
    alice("fetch", "hw2")
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", server.token("__instructor__"))
    for words in (
        ("upload-grades", "hw2", "--grades-csv", "grades.csv"), ("upload-feedback", "hw2", "--feedback-dir", "pages"),
    ):  # fmt: skip
        assert "write its whole name: hw20" in alice(*words, code=2).err
    assert names_in(server.root / "hw20") == ["files"]


def test_with_json_errors_are_json_with_the_exit_code(alice: Mograder) -> None:
    from mograder.cli import run

    for words, code in ((("submit", "hw9", work(), "--json"), "usage"), (("feedback", "--json"), "usage")):
        import contextlib

        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            assert run(["https", *words]) == 2
        error = json.loads(said.getvalue().splitlines()[-1])
        assert (error["code"], error["exit_code"]) == (code, 2)
        assert error["error"]


def test_missing_extra_and_replaced_files_need_confirmation_or_yes(alice: Mograder, server: Running) -> None:
    rule = "[[assignments]]\nname = 'hw1'\nfiles = ['part1.py', 'part2.py']\n"
    config = server.root.parent / "mograder.toml"
    config.write_text(rule)
    work(name="part1.py")
    work(b"y = 2\n", "notes.py")
    asked = alice("submit", "hw1", "part1.py", "notes.py", code=5)
    assert "part2.py is missing; notes.py is not asked for" in asked.err
    assert "--yes" in asked.err
    assert not (server.submitted / "hw1").exists()
    work(b"z = 3\n", "part2.py")
    assert "Submitted" in alice("submit", "hw1", "part1.py", "part2.py").out
    lone = alice("submit", "hw1", "part1.py", code=5)
    assert "part1.py alone takes the place of the several files of your last submission, hw1.zip" in lone.err
    assert "missing" not in alice("submit", "hw1", "part1.py", "part2.py").err  # the same files again: no question

    due = datetime.now(UTC).replace(microsecond=0)
    until(lambda: datetime.now(UTC) >= due + timedelta(seconds=1))  # the second of the due time still counts as on time
    penalties = "[penalties]\nenabled = true\ngrace_minutes = 0\nper_day = 10\n"
    config.write_text(f"{rule}due = {due.isoformat()}\n{penalties}")
    work(b"z = 4\n", "part2.py")
    late = alice("submit", "hw1", "part1.py", "part2.py", code=5)
    assert "this takes the place of submission 1 of" in late.err
    assert "1 day late and costs 10 percentage points" in late.err
    assert len(list((server.submitted / "hw1").glob("alice_*.zip"))) == 1
    config.write_text(f"counts = 'on-time'\n{config.read_text()}")
    # No submission on time is replaced, so there is no question.
    assert "submission 2" in alice("submit", "hw1", "part1.py", "part2.py").out
    config.write_text(config.read_text().replace("on-time", "latest"))
    work(b"z = 5\n", "part2.py")
    assert "submission 3" in alice("submit", "hw1", "part1.py", "--yes").out


def test_a_pdf_keeps_its_name_up_to_the_folder_of_the_instructor(
    alice: Mograder, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.root.parent / "mograder.toml").write_text("[[assignments]]\nname = 'hw1'\naccepts = ['.pdf']\n")
    submitted = json.loads(alice("submit", "hw1", work(b"%PDF-1.4", "Mein Aufsatz.pdf"), "--json").out)
    assert (submitted["filename"], submitted["name"]) == ("alice.pdf", "Mein Aufsatz.pdf")
    alice("receipts", "hw1", "-o", "kept")
    assert [path.suffix for path in Path("kept/hw1").glob("alice_*")] == [".pdf"]
    assert "wrong" not in alice("verify", "kept").out
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", server.token("__instructor__"))
    alice("fetch-submissions", "hw1", "-o", "collected", "--url", server.url)
    assert Path("collected/alice.pdf").read_bytes() == b"%PDF-1.4"
