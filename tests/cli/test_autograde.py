"""`mograder autograde`, `verify` of its records, `feedback` and `course import-gradebook`, with the real sandbox."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from pathlib import Path

import pytest

from mograder.cli import run
from mograder.coursework.rendering.tables import read_marks
from mograder.signing import Ed25519Signer, new_private_key, public_pem
from tests.cli.conftest import CommandResult
from tests.coursework.test_published_gradebook import ALL_PASSED, make
from tests.graded_course import FAILING, HALF, HIDDEN, LOOPING, RIGHT, SOURCE, make_graded_course, submission
from tests.grading_samples import QUESTIONS
from tests.marked_course import give, give_all, marked_course
from tests.parts import CODE, Clock, make_course_folder, running

Command = Callable[..., CommandResult]
TOML = """
title = "Kurs"
[[assignments]]
name = "hw1"
title = "Doubling"
due = 2026-01-02T12:00:00
[assignments.grading]
cell_seconds = 1
[penalties]
enabled = true
per_day = 10
"""


@pytest.fixture
def command(own_home: None, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `mograder` in the working folder, and checks the exit code."""

    def ran(*words: object, code: int = 0) -> CommandResult:
        capsys.readouterr()
        left = run([str(each) for each in words])
        out, err = capsys.readouterr()
        assert left == code, out + err
        assert "Traceback" not in out + err
        return CommandResult(left, out, err)

    return ran


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course that was graded once, with the key of the machine in home/; the output is in output.txt."""
    folder = tmp_path_factory.mktemp("graded")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA"):
            patch.setenv(name, str(folder / "home"))
        course = make_graded_course(folder / "course", alice=RIGHT, bob=HALF, carol=FAILING, dave=LOOPING)
        (course / "mograder.toml").write_text(TOML)
        patch.chdir(course)
        with redirect_stdout(io.StringIO()) as output:
            assert run(["autograde", "-j", "1", "--csv", "results.csv"]) == 0
    (folder / "output.txt").write_text(output.getvalue())
    return folder


@pytest.fixture
def course(graded: Path, own_home: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the graded course to work in, with the same home."""
    shutil.copytree(graded / "home", tmp_path / "home", dirs_exist_ok=True)
    made = Path(shutil.copytree(graded / "course", tmp_path / "course"))
    monkeypatch.chdir(made)
    return made


def rows(path: Path) -> dict[str, dict[str, str]]:
    found = csv.DictReader(io.StringIO(path.read_text()))
    first = (found.fieldnames or [""])[0]
    return {row[first]: row for row in found}


def test_every_submission_has_one_outcome_and_the_same_points_everywhere(course: Path, command: Command) -> None:
    output = command("autograde", "hw1", "--json", "-j", 1)
    records = {each["username"]: each for each in json.loads(output.out)}
    assert {user: (each["report"]["outcome"], each["points"]) for user, each in records.items()} == {
        "alice": ("graded", 30), "bob": ("graded", 9.2), "carol": ("code_failed", 20), "dave": ("limit", 10),
    }  # fmt: skip
    assert [each["new"] for each in records.values()] == [False] * 4
    results = rows(course / "results.csv")
    assert {user: row["auto_mark"] for user, row in results.items()} == {
        "alice": "30", "bob": "9.2", "carol": "20", "dave": "10",
    }  # fmt: skip
    assert (results["bob"]["Q1"], results["bob"]["Q2"], results["carol"]["Q1"]) == ("PARTIAL", "PARTIAL", "---")
    assert results["carol"]["cell_errors"] == "1"
    assert {row["tampered"] for row in results.values()} == {""}
    for user, points in (("alice", "30"), ("bob", "9.2"), ("carol", "20"), ("dave", "10")):
        page = (course / "autograded" / "hw1" / f"{user}.html").read_text()
        assert f"<strong>{points}</strong> of 30 points by checks" in page
    assert "Doubling" in page
    everything = (course / "autograded" / "hw1" / "checks.csv").read_text()
    assert everything.count("\n") == 1 + 4 * 4
    assert "bob,Q2,Q2: s3cret,true" in everything


def test_the_summary_has_outcomes_mean_points_and_most_missed_questions(graded: Path) -> None:
    output = (graded / "output.txt").read_text()
    assert "hw1: graded 4 submissions" in output
    assert "graded: 2  their code failed: 1  limit reached: 1  our failure: 0" in output
    assert "points: mean 17.3" in output
    assert "missed most: Q1 (1 in part, 1 not at all), Q2 (1 in part, 1 not at all)" in output
    assert "ZeroDivisionError: division by zero" in output


def test_only_changed_submissions_are_graded_and_changed_tests_regrade_all(course: Path, command: Command) -> None:
    (course / "submitted" / "hw1" / "dave.py").unlink()  # bob's endless loop takes seconds
    (course / "submitted" / "hw1" / "bob.py").write_text(RIGHT)
    assert "hw1: graded 1 submission, 2 unchanged" in command("autograde", "-j", 1).out
    (course / "source" / "hw1" / "hw1.py").write_text(SOURCE.replace('"x must be odd"', '"x is to be odd"'))
    assert "hw1: graded 3 submissions" in command("autograde", "hw1", "-j", 2).out


def test_one_submission_can_be_graded_by_its_path(course: Path, command: Command) -> None:
    output = command("autograde", "submitted/hw1/alice.py", "--force", "-o", "elsewhere", "-j", 1, "--timeout", 30)
    assert "hw1: graded 1 submission" in output.out
    assert sorted(each.name for each in (course / "elsewhere" / "hw1").iterdir()) == [
        "alice.html", "alice.json", "checks.csv",
    ]  # fmt: skip
    command("verify", "elsewhere/hw1/alice.json", "submitted/hw1/alice.py", "source/hw1/hw1.py")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hw9"], "nobody has submitted 'hw9'"), (["../hw1"], "is no file"),
        (["submitted/hw1/nobody.py"], "is no file"),
        (["hw1", "--source", "nothing.py"], "does not exist"),
    ],
)  # fmt: skip
def test_a_missing_file_or_folder_is_a_one_line_error(
    words: list[str], message: str, course: Path, command: Command
) -> None:
    code = 4 if words == ["hw9"] else 2
    (line,) = command("autograde", *words, code=code).err.splitlines()
    assert message in line


def test_mistakes_in_a_source_are_reported_with_their_lines(course: Path, command: Command) -> None:
    (course / "source" / "hw1" / "hw1.py").write_text(SOURCE.replace("### END SOLUTION", "", 1))
    output = command("autograde", "hw1", code=2).err
    assert "source/hw1/hw1.py: line " in output


# verifying records


def test_a_record_is_verified_against_the_files_it_is_about(course: Path, command: Command) -> None:
    output = command("verify", "autograded/hw1/bob.json").out
    assert "right: autograded/hw1/bob.json: hw1 of bob: 9.2 points by checks (4 checks)" in output
    assert "bob.py: is what was graded" in output
    assert "hw1.py: is what it was graded with" in output
    output = command("verify", "autograded/hw1/bob.json", "submitted/hw1/alice.py", code=7).out
    assert "wrong: submitted/hw1/alice.py: this is neither what was graded" in output


def test_an_altered_record_and_a_record_signed_with_another_key_are_detected(course: Path, command: Command) -> None:
    record = course / "autograded" / "hw1" / "bob.json"
    (course / "other.pem").write_bytes(public_pem(new_private_key()))
    output = command("verify", record, "--keys", "other.pem", code=7)
    assert "is not signed by this course" in output.out
    record.write_text(record.read_text().replace('"points": 9.2', '"points": 30'))
    output = command("verify", record, "--json", code=7)
    assert "the file was altered" in json.loads(output.out)["checked"][0]["problem"]


def test_records_of_a_served_course_are_signed_with_its_key_and_name_their_receipts(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_course_folder(tmp_path)
    with running(root) as server:
        assert server.submit("alice", RIGHT.encode()).status_code == 200
        assert server.submit("alice", HALF.encode()).status_code == 200
        keys = server.client.get("/.well-known/jwks.json").json()
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    source = root.parent / "source" / "hw1" / "hw1.py"
    source.parent.mkdir(parents=True)
    source.write_text(SOURCE)
    monkeypatch.chdir(root.parent)
    (record,) = json.loads(command("autograde", "hw1", "--json", "-j", 1).out)
    assert (record["username"], record["receipt"], record["points"]) == ("alice", 2, 9.2)
    output = command("verify", "autograded/hw1/alice.json", "--keys", tmp_path / "keys.json").out
    assert Ed25519Signer({"keys": keys["keys"]}).public_keys()[0]["kid"] in output
    command("verify", ".")


# feedback


def fill_in(course: Path, **rows: str) -> None:
    table = course / "marks" / "hw1.csv"
    lines = table.read_text().splitlines()
    table.write_text(
        "\n".join(f"{user},{rows[user]}" if (user := line.partition(",")[0]) in rows else line for line in lines) + "\n"
    )


def test_feedback_writes_pages_and_a_table_of_grades_with_the_same_points(course: Path, command: Command) -> None:
    assert read_marks((course / "marks" / "hw1.csv").read_text(), QUESTIONS).keys() == {"alice", "bob", "carol", "dave"}
    fill_in(course, alice='4.5,"well done, alice"', bob="2,")
    output = command("feedback", "hw1", "--grades-csv", "grades.csv", "--no-penalties")
    assert Path("grades.csv").stat().st_mode & 0o777 == 0o600
    assert output.out == "Made 4 feedback pages, 2 without a mark yet\n"
    grades = rows(course / "grades.csv")
    assert {user: (row["mark"], row["auto_mark"]) for user, row in grades.items()} == {
        "alice": ("34.5", "30"), "bob": ("11.2", "9.2"), "carol": ("", "20"), "dave": ("", "10"),
    }  # fmt: skip
    assert grades["alice"]["feedback"] == "well done, alice"
    pages = {user: (course / "feedback" / "hw1" / f"{user}.html").read_text() for user in grades}
    assert "<strong>34.5</strong> of 35 points" in pages["alice"]
    assert "well done, alice" in pages["alice"]
    assert "<strong>20</strong> of 30 points by checks" in pages["carol"]
    for page in pages.values():
        assert not any(each in page for each in HIDDEN)
        assert "A part of these points comes from tests that are not shown." in page


def test_hidden_tests_are_shown_after_the_due_time_with_title_and_result_only(course: Path, command: Command) -> None:
    (course / "mograder.toml").write_text(TOML.replace("cell_seconds = 1", 'cell_seconds = 1\nhidden = "after-due"'))
    command("feedback", "hw1")
    page = (course / "feedback" / "hw1" / "bob.html").read_text()
    assert "Q2: s3cret" in page
    assert "h1dden" not in page
    (course / "mograder.toml").write_text(
        TOML.replace("cell_seconds = 1", 'hidden = "after-due"').replace("2026-01-02T12:00:00", "2126-01-02T12:00:00")
    )
    command("feedback", "hw1")
    assert "s3cret" not in (course / "feedback" / "hw1" / "bob.html").read_text()


def test_code_that_saw_a_hidden_test_cannot_tell_the_student_about_it(course: Path, command: Command) -> None:
    source = course / "source" / "hw1" / "hw1.py"
    text = source.read_text()
    begin, end = text.index("    ### BEGIN HIDDEN"), text.index("    return\n", text.index("### END HIDDEN TESTS"))
    first = text.index('    grader.check("Q2: doubling"')
    source.write_text(text[:first] + text[begin:end] + text[first:begin] + text[end:])
    spies = {
        "alice": "if a < 0:\n    raise KeyError(f'got {a}')\nreturn a * 2",
        "bob": "import math\nseen = math.__dict__.setdefault('seen', [])\nseen.append(a)\n"
        "if a == 2:\n    raise KeyError(f'all {seen}')\nreturn a * 2",
    }
    for user, body in spies.items():
        (course / "submitted" / "hw1" / f"{user}.py").write_text(submission(body=body))
        command("autograde", f"submitted/hw1/{user}.py", "-j", 1)
    pages = {user: (course / "autograded" / "hw1" / f"{user}.html").read_text() for user in spies}
    assert "got -7" in pages["alice"]
    assert "all [2]" in pages["bob"]  # whatever comes first in the cell, the visible check runs before the hidden one
    command("feedback", "hw1", "--no-penalties")
    for user in spies:
        page = (course / "feedback" / "hw1" / f"{user}.html").read_text()
        assert not any(each in page for each in HIDDEN)
        assert ("KeyError (your line" in page) == (user == "bob")  # alice's visible check passes


def test_the_late_penalty_of_the_course_is_shown_beside_the_mark(course: Path, command: Command) -> None:
    collected = course / "submitted" / "hw1" / ".mograder"
    collected.mkdir()
    records = {
        each: json.loads((course / "autograded" / "hw1" / f"{each}.json").read_text())["record"]
        for each in ("alice", "bob")
    }
    known = {
        "alice": {"sha256": records["alice"]["submission"]["sha256"], "timemodified": 1767442400.0},  # the day after
        "bob": {
            "sha256": records["bob"]["submission"]["sha256"], "timemodified": 1767528800.0, "received": 1767528800.0,
        },  # 2026-01-04, with an extension: the server says that it is in time
    }  # fmt: skip
    (collected / "collected.json").write_text(json.dumps(known))
    fill_in(course, alice="5,", bob="5,")
    command("feedback", "hw1", "--grades-csv", "grades.csv")
    grades = rows(course / "grades.csv")
    assert [grades["alice"][each] for each in ("mark", "penalty_pct", "penalised_mark")] == ["35", "20", "28"]
    assert [grades["bob"][each] for each in ("mark", "penalty_pct", "penalised_mark")] == ["14.2", "0", "14.2"]
    assert "2 days late" in (course / "feedback" / "hw1" / "alice.html").read_text()
    assert "that is <strong>28</strong> points" in (course / "feedback" / "hw1" / "alice.html").read_text()
    assert "days late" not in (course / "feedback" / "hw1" / "bob.html").read_text()


def test_collected_submissions_are_graded_with_the_lateness_that_the_server_knows(
    tmp_path: Path, command: Command
) -> None:
    """Only the server knows extensions. A submission that is no notebook is reported."""
    root = make_course_folder(tmp_path)
    late = "[penalties]\nenabled = true\nmax = 30\n[[assignments]]\nname = 'hw1'\ndue = 2020-01-01T12:00:00\n"
    (root.parent / "mograder.toml").write_text(late)
    make_graded_course(Path.cwd())
    Path("mograder.toml").write_text("[penalties]\nenabled = true\n")
    with running(root) as server:
        assert server.submit("alice", RIGHT.encode()).status_code == 200
        assert server.submit("bob", b'{"cells": [], "nbformat": 4}').status_code == 200
        there = ("--url", server.url, "--token", server.token("__instructor__"))
        command("https", "fetch-submissions", "hw1", *there)
    output = command("autograde", "hw1", "-j", 1).out
    assert "their code failed: 1" in output
    fill_in(Path.cwd(), alice="5,", bob="0,")
    command("feedback", "hw1", "--grades-csv", "grades.csv")
    grades = rows(Path("grades.csv"))
    assert [grades["alice"][each] for each in ("mark", "penalty_pct", "penalised_mark")] == ["35", "30", "24.5"]
    assert (grades["bob"]["mark"], grades["bob"]["penalised_mark"]) == ("0", "0")
    assert "days late" in Path("feedback/hw1/alice.html").read_text()
    assert "bob" in Path("feedback/hw1/bob.html").read_text()


def test_feedback_reports_submissions_that_were_not_graded_or_have_changed_since(
    course: Path, command: Command
) -> None:
    (course / "submitted" / "hw1" / "erin.py").write_text(RIGHT)
    (course / "submitted" / "hw1" / "bob.py").write_text(RIGHT)
    output = command("feedback", "hw1", "--no-penalties", code=1)
    assert "erin: there is no record: run mograder autograde" in output.err
    assert "bob: the submission was changed since it was graded" in output.err
    assert "Made 4 feedback pages" in output.out


def test_an_invalid_mark_is_reported_with_its_line(course: Path, command: Command) -> None:
    fill_in(course, bob="many,")
    output = command("feedback", "hw1", code=1).err
    assert "line 3: 'many' in the column 'Q3' is no number of points" in output
    assert "marks/hw1.csv" in output


def test_marks_entered_in_the_table_by_hand_are_kept_and_new_people_are_added(course: Path, command: Command) -> None:
    fill_in(course, alice="4.5,fine")
    (course / "submitted" / "hw1" / "erin.py").write_text(RIGHT)
    command("autograde", "hw1", "-j", 1)
    assert (course / "marks" / "hw1.csv").read_text().splitlines() == [
        "student,Q3,feedback", "alice,4.5,fine", "bob,,", "carol,,", "dave,,", "erin,,",
    ]  # fmt: skip


def test_the_server_accepts_grades_and_pages_unchanged_and_shows_the_same_points(
    course: Path, tmp_path: Path, command: Command
) -> None:
    fill_in(course, alice="4.5,fine", bob="2,", carol="0,", dave="0,")
    command("feedback", "hw1", "--grades-csv", "grades.csv", "--no-penalties")
    root = make_course_folder(tmp_path / "served")
    with running(root) as server:
        for user in ("alice", "bob", "carol", "dave"):
            assert server.client.post("/register", json={"user": user, "enrollment_code": CODE}).is_success
        there = ("--url", server.url, "--token", server.token("__instructor__"))
        output = command("https", "upload-grades", "hw1", "--grades-csv", "grades.csv", *there)
        assert output.out == "Uploaded 4 grade(s) to 'hw1'\n"
        command("https", "upload-feedback", "hw1", *there)
        student = ("--url", server.url, "--token", server.token("alice"))
        assert "Grade: 34.5" in command("https", "feedback", "hw1", *student, "-o", "mine.html").out
    assert (course / "mine.html").read_bytes() == (course / "feedback" / "hw1" / "alice.html").read_bytes()


# a gradebook of the published toolchain


def test_a_published_gradebook_is_compared_and_its_manual_marks_are_imported(course: Path, command: Command) -> None:
    row = {"auto_mark": 30, "manual_mark": 4, "total_mark": 34, "feedback": "fine", "check_results": ALL_PASSED}
    make(course, row, {**row, "student": "bob", "total_mark": 35, "auto_mark": 20})
    output = command("course", "import-gradebook", "--json")
    found = json.loads(output.out)
    assert [(each["student"], each["what"], each["theirs"], each["ours"]) for each in found["differences"]] == [
        ("bob", "auto_mark", 20, 9.2), ("bob", "total_mark", 35, 13.2),
    ]  # fmt: skip
    command("feedback", "hw1", "--grades-csv", "grades.csv", "--no-penalties")
    grades = rows(course / "grades.csv")
    assert (grades["alice"]["mark"], grades["alice"]["feedback"], grades["bob"]["mark"]) == ("34", "fine", "13.2")
    fill_in(course, alice="5,better")
    command("course", "import-gradebook")
    assert "alice,5,better" in (course / "marks" / "hw1.csv").read_text()


def test_a_dry_run_of_import_gradebook_writes_nothing_and_a_missing_gradebook_is_a_usage_error(
    course: Path, command: Command
) -> None:
    before = (course / "marks" / "hw1.csv").read_text()
    command("course", "import-gradebook", code=2)
    make(course, {"auto_mark": 1, "manual_mark": 4, "check_results": ALL_PASSED})
    output = command("course", "import-gradebook", "--dry-run").out
    assert "graded anew, Q1 10 of 10 (Q1: value 3/3, Q1: parity 1/1); Q2 20 of 20" in output
    assert "1 submission in 1 assignment: 1 total differs" in output
    assert (course / "marks" / "hw1.csv").read_text() == before


def test_feedback_says_that_marks_given_in_the_browser_are_not_in_it(
    own_home: None, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(marked_course(make_course_folder(tmp_path), clock)) as course:
        give_all(course, "s01", 5, 4)
        give(course, "s02", "Essay", 3)
        give(course, "s03", "Essay", 3)
        give(course, "s03", "Essay", None, version=1)  # taken back
    monkeypatch.chdir(tmp_path / "course")
    assert run(["feedback", "hw1"]) == 1  # nothing is graded by checks yet
    assert "hw1: what was marked in the browser, for 2 students, is not in these pages" in capsys.readouterr().err
