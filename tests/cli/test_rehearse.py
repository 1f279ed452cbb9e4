"""An exam can be rehearsed with the real protocol on a copy, without any change to the course itself."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from mograder.cli.rehearse import course_root, rehearse, report, tell_outcome
from mograder.coursework.mutation_testing import MistakesTried, Unnoticed
from mograder.domain.errors import Usage, VerificationFailed
from mograder.rehearsal.load import Answer, Ask
from mograder.rehearsal.rehearsal import Outcome, Phase, Rehearsal, Server
from mograder.rehearsal.results import ResultsTimed
from tests.graded_course import SOURCE, submission
from tests.parts import free_port, make_course_folder, open_store, running

PLAN = """
[dirs]
submitted = "inbox"
[[assignments]]
name = "hw1"
closes = 2020-01-01
[[assignments]]
name = "exam"
opens = 2090-01-01
"""


@pytest.fixture(autouse=True)
def held_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port stays reserved on a busy machine until the server of the rehearsal listens on it."""
    monkeypatch.setattr("mograder.cli.demo.free_port", lambda wanted: free_port())


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = {path: path.stat() for path in folder.rglob("*")}
    return {
        str(path): (status.st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path, status in found.items()
    }


def test_a_rehearsal_runs_on_a_copy_and_leaves_the_course_unchanged(course_folder: Path) -> None:
    course = course_folder.parent
    (course / "mograder.toml").write_text(PLAN)
    (course / "inbox").mkdir()
    (course_folder / "exam" / "files").mkdir(parents=True)
    (course_folder / "exam" / "files" / "exam.py").write_text("x = 1\n")
    open_store(course_folder).close()
    before = everything(course.parent)
    words = [str(course), "--students", "4", "--minutes", "0.05", "--assignment", "exam", "--json"]
    done = CliRunner().invoke(rehearse, words, catch_exceptions=False)
    outcome = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (outcome["assignment"], outcome["kept"], outcome["lost"], outcome["holds"]) == ("exam", 12, [], True)
    assert [each["errors"] for each in outcome["phases"]] == [0] * len(outcome["phases"])
    assert outcome["carries"] > 4
    assert everything(course.parent) == before


def test_a_course_that_is_being_served_cannot_be_rehearsed(course_folder: Path) -> None:
    assert course_root(str(course_folder)) == course_folder
    with running(course_folder), pytest.raises(Usage, match="in use"):
        course_root(str(course_folder.parent))
    assert course_root(str(course_folder.parent)) == course_folder


@pytest.mark.parametrize("text", ["https://course.example.org", "http://localhost:8080", "nowhere"])
def test_a_url_or_a_missing_folder_is_refused(text: str) -> None:
    with pytest.raises(Usage):
        course_root(text)


def test_an_unknown_assignment_is_a_usage_error(course_folder: Path) -> None:
    words = [str(course_folder), "--students", "1", "--minutes", "0.05", "--assignment", "hw9"]
    assert isinstance(CliRunner().invoke(rehearse, words).exception, Usage)


def test_an_acknowledged_submission_that_is_missing_from_the_disk_is_detected(tmp_path: Path) -> None:
    (tmp_path / "hw1").mkdir()
    (tmp_path / "hw1" / "a.py").write_bytes(b"sent")
    (tmp_path / "hw1" / "b.py").write_bytes(b"other")
    rehearsal = Rehearsal(Server(("127.0.0.1", 1), 1, tmp_path, "", tmp_path), 1, 1, lambda *_: None, random.Random(1))
    asked = Ask("POST", "/", body=b"sent", kind="submit")
    for version in "abc":
        reply = json.dumps({"version": f"{version}.py"}).encode()
        rehearsal._check("hw1", [Answer(asked, 0, 0.1, 200, reply), Answer(asked, 0, 0.1, 507, b"")])
    assert (list(rehearsal._work), rehearsal._lost) == (["a.py"], ["b.py", "c.py"])


def test_a_failed_rehearsal_reports_why(capsys: pytest.CaptureFixture[str]) -> None:
    rush = Phase.of("all submit at once", [Answer(Ask("POST", "/"), 0, 12.0, 0, b"", "timed out")])
    outcome = Outcome(300, 2, "hw1", (rush,), 1, ("a.py",), "the disk", 120)
    report(outcome)
    said = capsys.readouterr().out
    assert not outcome.holds
    for words in ("all but 1 are on the disk", "the disk", "about 120 students", "timed out", "does not hold"):
        assert words in said
    assert VerificationFailed.exit_code == 7


def with_tests(folder: Path) -> Path:
    """Make a course whose hw1 has tests. Returns the folder to serve."""
    root = make_course_folder(folder)
    put = {"source/hw1/hw1.py": SOURCE, "release/hw1/files/hw1.py": submission("...", "pass")}
    for path, text in put.items():
        (root.parent / path).parent.mkdir(parents=True, exist_ok=True)
        (root.parent / path).write_text(text)
    return root


def test_a_rehearsal_measures_results_and_tries_mistakes_if_there_are_tests(tmp_path: Path) -> None:
    root = with_tests(tmp_path)
    open_store(root).close()
    before = everything(tmp_path)
    words = [str(root), "--students", "3", "--minutes", "0.05", "--mistakes", "3", "--json"]
    done = CliRunner().invoke(rehearse, words, catch_exceptions=False)
    outcome = json.loads(done.stdout)
    assert (outcome["holds"], outcome["kept"]) == (True, 9)
    assert (outcome["results"]["graded"], outcome["results"]["failures"]) == (3, 0)
    assert outcome["results"]["last"] > 0
    assert (outcome["mistakes"]["tried"], outcome["mistakes"]["assignment"]) == (3, "hw1")
    assert everything(tmp_path) == before


def test_results_and_mistakes_are_reported_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    unnoticed = (Unnoticed("f", 7, "return a < b", "return a <= b"), Unnoticed("g", 9, "x += 1", ""))
    tried = MistakesTried("hw1", 58, 40, unnoticed, ("no memory",), ("essay",))
    tell_outcome(None, ResultsTimed(300, 300, 61.2, 30.1, 420), tried, False)
    tell_outcome(None, ResultsTimed(300, 100, 1800.0, 300.0, 20, 2, "no sandbox"), None, False)
    tell_outcome(None, ResultsTimed(0, 0, None, None, 0, 0, "no worker"), None, False)
    said = capsys.readouterr().out
    for words in (
        "all of them after 61 s; 420 submissions a minute", "100 of 300 students", "2 could not be graded: no sandbox",
        "all have one 1,800 s after", "Nothing was graded. no worker", "40 of the 58", "do not notice 2 of them",
        "f, line 7: return a < b\n    -> return a <= b", "g, line 9: x += 1\n    deleted",
        "could not be run: no memory", "these cells define: essay",
    ):  # fmt: skip
        assert words in said


def test_only_mistakes_requires_a_source_and_no_server(tmp_path: Path) -> None:
    words = [str(make_course_folder(tmp_path)), "--only-mistakes"]
    error = CliRunner().invoke(rehearse, words).exception
    assert isinstance(error, Usage)
    assert "model solution" in str(error)
