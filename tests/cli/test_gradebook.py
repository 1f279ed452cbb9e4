"""Import and export of grades on the command line: output, questions, and what the server stores."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mograder.cli.output import check_stdout
from mograder.domain.errors import Usage
from mograder.domain.grading_jobs import LEASE, Announced
from mograder.signing import Ed25519Signer
from mograder.tables.workbook import write_workbook
from tests.cli.conftest import Mograder, work
from tests.grading_samples import signed_result
from tests.hostile import HostileServer, as_json
from tests.parts import HW1, NOON, Clock, Running, open_course
from tests.tables import samples


@pytest.fixture
def people(server: Running) -> None:
    """Ada and Bob, and a maximum of 10 points."""
    roster = {"people": [{"user": "ada", "name": "Ada Lovelace"}, {"user": "bob", "name": "Bob Noyce"}]}
    server.client.post("/roster", json=roster, headers=server.bearer()).raise_for_status()
    rules = '[[assignments]]\nname = "hw1"\ntitle = "Homework 1"\npoints = 10\n'
    (server.root.parent / "mograder.toml").write_text(rules)


def stored(server: Running) -> list[dict[str, Any]]:
    path = server.root / "hw1/grades.json"
    found: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return found


UPLOAD = ("upload-grades", "hw1", "--grades-csv")


@pytest.mark.usefixtures("people")
def test_every_change_is_shown_before_it_is_uploaded(instructor: Mograder, server: Running) -> None:
    work(b"\xef\xbb\xbfstudent;mark;feedback\r\nada;9,5;good\r\nbob;;\r\n", "g.csv")
    ran = instructor(*UPLOAD, "g.csv", "--dry-run")
    assert (ran.out, ran.err) == ("Would upload 1 grade(s) to 'hw1'\n  ada: 9.5, with feedback\n", "")
    assert stored(server) == []
    assert instructor(*UPLOAD, "g.csv").out == "Uploaded 1 grade(s) to 'hw1'\n"
    assert stored(server) == [{"username": "ada", "grade": "9.5", "feedback": "good"}]
    work(b"username,grade\nada,8\nbob,10\n", "g.csv")
    assert "  ada: 8 (was 9.5)\n  bob: 10\n" in instructor(*UPLOAD, "g.csv", "--dry-run").out
    instructor(*UPLOAD, "g.csv", "--yes")
    assert "2 grades as stored" in instructor(*UPLOAD, "g.csv", "--dry-run").out
    assert "No grades" in instructor(*UPLOAD, work(b"username,grade\n", "none.csv")).out
    assert "No grades" in instructor(*UPLOAD, work(b"username,grade\nada,\n", "empty.csv")).out


@pytest.mark.usefixtures("people")
def test_mistakes_prevent_the_upload_unless_a_partial_upload_is_requested(
    instructor: Mograder, server: Running
) -> None:
    work(b"username,grade\nada,twelve\nbob,-3\nAda,5\nbobb,5\n", "g.csv")
    for words in (("--dry-run",), (), ("--yes",)):
        err = instructor(*UPLOAD, "g.csv", *words, code=1).err
        assert "nothing was uploaded, because of 4 rows: correct the table" in err
        assert "problem: line 2: 'ada' is in line 4, too\n" in err
        assert "line 3: bob: -3 is less than 0" in err
        assert "line 5: nobody known as 'bobb' is in the course" in err
    assert stored(server) == []
    work(b"username,grade\nada,11\nbob,5\n", "g.csv")
    assert "11 is more than the 10 points" in instructor(*UPLOAD, "g.csv", code=1).err
    ran = instructor(*UPLOAD, "g.csv", "--partial")
    assert ran.err == "left out: line 2: ada: 11 is more than the 10 points of the assignment\n"
    assert stored(server) == [{"username": "bob", "grade": "5"}]
    instructor(*UPLOAD, "g.csv", "--allow-above")
    assert {each["username"]: each["grade"] for each in stored(server)} == {"ada": "11", "bob": "5"}
    instructor(*UPLOAD, work(b"username,grade\nada,pass\nbob,\n", "g.csv"), "--allow-text", "--clear-empty")
    assert {each["username"]: each["grade"] for each in stored(server)} == {"ada": "pass", "bob": ""}


@pytest.mark.usefixtures("people")
def test_an_unmodified_export_of_another_system_can_be_uploaded(instructor: Mograder, server: Running) -> None:
    work(samples.CANVAS.encode(), "canvas.csv")
    ran = instructor(*UPLOAD, "canvas.csv")
    assert "note: Canvas' test student was passed over\n" in ran.err
    assert [(each["username"], each["grade"]) for each in stored(server)] == [("ada", "9.5"), ("bob", "EX")]
    rows = [["username", "Homework 1", "HW2"], ["ada", "7", "1"], ["bob", "6", "1"]]
    Path("book.xlsx").write_bytes(write_workbook("x", rows, frozenset({1, 2})))
    instructor(*UPLOAD, "book.xlsx")
    assert [(each["username"], each["grade"]) for each in stored(server)] == [("ada", "7"), ("bob", "6")]
    assert instructor(*UPLOAD, "book.xlsx", "--column", "HW2", "--dry-run").out.endswith(
        "  ada: 1 (was 7)\n  bob: 1 (was 6)\n"
    )


@pytest.mark.usefixtures("people")
def test_a_table_in_a_doubtful_encoding_is_refused_until_the_encoding_is_given(
    instructor: Mograder, server: Running
) -> None:
    work("username,grade,feedback\nada,5,naïve\n".encode("latin-1"), "g.csv")
    assert "save it as 'CSV UTF-8', or say --encoding windows-1252" in instructor(*UPLOAD, "g.csv", code=2).err
    instructor(*UPLOAD, "g.csv", "--encoding", "windows-1252")
    assert stored(server)[0]["feedback"] == "naïve"
    instructor(*UPLOAD, work("username\tgrade\nada\t6\n".encode("utf-16"), "g.csv"))
    assert stored(server)[0]["grade"] == "6"


@pytest.mark.usefixtures("people")
def test_on_a_terminal_the_changes_are_shown_and_must_be_confirmed(
    instructor: Mograder, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    work(b"username,grade\nada,5\n", "g.csv")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    ran = instructor(*UPLOAD, "g.csv", code=1)
    assert "  ada: 5\n" in ran.err
    assert "Upload 1 grade to 'hw1'?" in ran.err
    assert stored(server) == []
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    instructor(*UPLOAD, "g.csv")
    assert stored(server) == [{"username": "ada", "grade": "5"}]


@pytest.mark.usefixtures("server")
def test_a_file_that_is_not_a_table_of_grades_is_refused(instructor: Mograder) -> None:
    assert "no column for the person" in instructor(*UPLOAD, work(b"name,grade\nada,1\n", "g.csv"), code=1).err
    assert "no column 'grade'" in instructor(*UPLOAD, work(b"username,grad\nada,1\n", "g.csv"), code=1).err
    assert "columns 2 ('grade') and 3 ('Grade')" in (
        instructor(*UPLOAD, work(b"username,grade,Grade\nada,1,2\n", "g.csv"), code=1).err
    )
    instructor(*UPLOAD, "missing.csv", code=2)
    instructor("upload-grades", "hw1", code=2)


def test_a_server_without_a_roster_accepts_grades_for_the_users_in_the_table(
    mograder: Mograder, hostile_server: HostileServer
) -> None:
    hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": []}]))
    for path in ("/roster", "/assignments/hw1/grades", "/assignments/hw1/rules"):
        hostile_server.answer(f"GET {path}", as_json({"error": "not found"}, 404))
    hostile_server.answer("POST /assignments/hw1/grades", as_json({"status": "ok", "count": 1}))
    work(b"username,grade\nada,5\n", "g.csv")
    ran = mograder(*UPLOAD, "g.csv", "--url", hostile_server.url, "--token", "a:" + "0" * 64)
    assert ran.out == "Uploaded 1 grade(s) to 'hw1'\n"
    assert "this server does not say what is stored" in ran.err


# exports


@pytest.mark.usefixtures("people")
def test_grades_exported_into_a_template_are_imported_again_without_changes(
    instructor: Mograder, server: Running
) -> None:
    instructor(*UPLOAD, work(b"username,grade,feedback\nada,8.25,good\nbob,0,\n", "g.csv"))
    work(samples.CANVAS.replace("EX", "").encode(), "canvas.csv")
    ran = instructor("export-grades", "hw1", "--format", "canvas", "--template", "canvas.csv", "-o", "out.csv")
    assert ran.out == "2 grade(s) in out.csv\n"
    expected = samples.CANVAS.replace("9.50", "8.25").replace("Sec 1,EX", "Sec 1,0.00")
    assert Path("out.csv").read_bytes() == expected.encode()
    assert "2 grades as stored" in instructor(*UPLOAD, "out.csv", "--dry-run").out
    for form in ("csv", "xlsx", "canvas", "moodle", "gradescope"):
        name = f"again.{'xlsx' if form == 'xlsx' else 'csv'}"
        instructor("export-grades", "hw1", "--format", form, "-o", name)
        if form != "gradescope":  # it has no user name, and the roster no address
            assert "2 grades as stored" in instructor(*UPLOAD, name, "--dry-run").out


@pytest.mark.usefixtures("people")
def test_an_export_lists_everybody_and_a_missing_grade_is_not_zero(instructor: Mograder, server: Running) -> None:
    server.submit("bob", b"x = 1\n")
    instructor(*UPLOAD, work(b"username,grade\nada,8.25\n", "g.csv"))
    instructor("export-grades", "hw1")
    assert Path("hw1-grades.csv").stat().st_mode & 0o777 == 0o600
    lines = Path("hw1-grades.csv").read_text().splitlines()
    assert [each.rpartition(",")[0] for each in lines[1:]] == ["ada,Ada Lovelace,,,,8.25,", "bob,Bob Noyce,,,,,"]
    document = json.loads(instructor("export-grades", "hw1", "--format", "json", "-o", "x.json", "--json").out)
    assert document == {"file": "x.json", "grades": 1, "notes": []}
    instructor(*UPLOAD, work(b"username,grade\nada,7\n", "g.csv"))
    assert "exists and differs" in instructor("export-grades", "hw1", code=1).err


@pytest.mark.usefixtures("people")
def test_marks_after_late_penalties_are_exported_on_request(instructor: Mograder, server: Running) -> None:
    (server.root.parent / "mograder.toml").write_text(
        '[penalties]\nenabled = true\n[[assignments]]\nname = "hw1"\ndue = 2020-01-01T00:00:00Z\npoints = 10\n'
    )
    server.submit("ada", b"x = 1\n").raise_for_status()
    instructor(*UPLOAD, work(b"username,grade\nada,8\nbob,8\n", "g.csv"))
    instructor("export-grades", "hw1", "--penalised", "-o", "x.csv", "--format", "moodle")
    assert [line.split(",")[3] for line in Path("x.csv").read_text().splitlines()] == ["hw1", "0.00", "8.00"]


@pytest.mark.usefixtures("people")
def test_only_the_table_is_written_to_stdout_when_the_output_file_is_a_dash(instructor: Mograder) -> None:
    instructor(*UPLOAD, work(b"username,grade\nada,8\n", "g.csv"))
    ran = instructor("export-grades", "hw1", "-o", "-")
    assert ran.out.startswith("username,name,")
    assert ran.out.count("\n") == len(ran.out.splitlines())
    assert ran.err == "1 grade(s)\n"
    assert not Path("-").exists()
    with pytest.raises(Usage, match="name a file, or leave out --json"):
        check_stdout(Path("-"), as_json=True)


@pytest.mark.usefixtures("people")
def test_drafts_are_exported_only_on_request(instructor: Mograder, server: Running) -> None:
    body = {"grades": [{"username": "ada", "grade": "8"}], "workflow_state": "draft"}
    server.client.post("/assignments/hw1/grades", json=body, headers=server.bearer()).raise_for_status()
    ran = instructor("export-grades", "hw1", "-o", "x.csv")
    assert (ran.out, ran.err) == ("0 grade(s) in x.csv\n", "note: 1 grade that students do not see yet: left out\n")
    ran = instructor("export-grades", "hw1", "-o", "x.csv", "--drafts")
    assert "do not publish them by accident" in ran.err
    assert ",8," in Path("x.csv").read_text()


@pytest.mark.usefixtures("people")
def test_points_by_question_and_one_section_can_be_exported(instructor: Mograder, server: Running) -> None:
    people = [{"user": "ada", "sections": ["1"], "ids": [{"kind": "student_id", "value": "007"}]}, {"user": "eve"}]
    server.submit("bob", b"work").raise_for_status()
    body = {"people": people, "update": True, "remove": ["bob"]}
    server.client.post("/roster", json=body, headers=server.bearer()).raise_for_status()
    with contextlib.closing(open_course(server.root, Clock())) as course:
        course.store.jobs.announce(HW1, Announced("t1"))
        server.submit("ada", b"work").raise_for_status()
        jobs = [course.store.jobs.claim("w", NOON, NOON + LEASE, [HW1]) for _ in range(2)]
        job = next(each for each in jobs if each and each.username == "ada")
        assert isinstance(course.signer, Ed25519Signer)
        course.store.jobs.finish(job, signed_result(course.store, course.signer, job))
    work(b"username,grade,Q3\nada,20,4\neve,1,\n", "g.csv")
    instructor(*UPLOAD, "g.csv", "--allow-above", "--yes")

    instructor("export-grades", "hw1", "-o", "all.csv")
    told = ("username", "name", "section", "student_id", "grade", "Q1", "Q2", "Q3")
    assert [[row[each] for each in told] for row in csv.DictReader(Path("all.csv").read_text().splitlines())] == [
        ["ada", "Ada Lovelace", "1", "007", "20", "2.5", "13.3", "4"], ["eve", "", "", "", "1", "", "", ""],
    ]  # fmt: skip
    assert instructor("export-grades", "hw1", "--section", "1", "-o", "one.csv").out == "1 grade(s) in one.csv\n"
    assert "there are '1'" in instructor("export-grades", "hw1", "--section", "2", code=1).err
    template = work(samples.GRADESCOPE.replace("1: Mean", "1: Q1").replace("00123", "007").encode(), "t.csv")
    instructor("export-grades", "hw1", "--format", "gradescope", "--template", template, "-o", "filled.csv")
    assert Path("filled.csv").read_text().splitlines()[1].endswith(",1,1,2.5,4.5")
    server.submit("eve", b"work").raise_for_status()
    for words, names in (((), ["ada", "eve"]), (("--section", "1"), ["ada"])):  # bob was removed
        instructor("fetch-submissions", "hw1", *words, "-o", f"of{len(names)}")
        assert sorted(path.stem for path in Path(f"of{len(names)}").glob("*.py")) == names


@pytest.mark.usefixtures("people")
def test_feedback_pages_are_exported_as_the_zip_that_moodle_imports(instructor: Mograder, server: Running) -> None:
    worksheet = samples.WORKSHEET.replace("Email address", "Username").replace("@example.org", "")
    work(worksheet.encode(), "sheet.csv")
    words = ("export-feedback", "hw1", "--worksheet", "sheet.csv")
    assert "there are no feedback pages for 'hw1'" in instructor(*words, code=1).err
    Path("pages").mkdir()
    work(b"<p>fine", "pages/ada.html")
    instructor("upload-feedback", "hw1", "--feedback-dir", "pages")
    assert instructor(*words).out == "1 feedback page(s) in hw1-moodle-feedback.zip\n"
    with zipfile.ZipFile("hw1-moodle-feedback.zip") as archive:
        assert archive.namelist() == ["Ada Lovelace_41_assignfeedback_file_feedback.html"]


@pytest.mark.usefixtures("server")
def test_students_cannot_export(alice: Mograder) -> None:
    assert "only an instructor" in alice("export-grades", "hw1", code=3).err
    assert "only an instructor" in alice("export-feedback", "hw1", "--worksheet", work(), code=3).err
