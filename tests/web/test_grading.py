"""One assignment over HTTP, for an instructor: opening, downloading, grading, extending."""

from __future__ import annotations

import io
import json
import re
import zipfile
from base64 import b64decode
from html import unescape
from pathlib import Path

import httpx2
import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.domain.roster import Person
from tests.parts import ALICE, BOB, HW1, NOON, submit_work, token_of
from tests.web.pages.test_sessions import OURS, Visitor

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def teacher(course: Course) -> Visitor:
    """A browser in which the instructor is logged in; alice has submitted twice, bob never."""
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("alice", "Alice Example"), Person.parse("bob")])
    submit_work(course.store, course.signer, ALICE, b"first = 1\n", NOON)
    submit_work(course.store, course.signer, ALICE, b"second = 2\n", NOON)
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, INSTRUCTOR))
    return visitor


def upload(visitor: Visitor, path: str, *files: tuple[str, bytes], field: str = "files") -> httpx2.Response:
    return visitor.send("POST", path, OURS, files=[(field, (name, content)) for name, content in files])


def grade(course: Course, user: str) -> None:
    task = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.grades.upload(COURSE_INSTRUCTOR, task, [{"student": user, "mark": 1}])


def fields(text: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text)}


def test_students_cannot_open_the_pages_of_grading(course: Course) -> None:
    student = Visitor(course)
    student.post("/login", token=token_of(course, "alice"))
    for path in ("/board/hw1", "/board/hw1/submissions.zip", "/board/hw1/people/alice", "/board/hw1/feedback/alice"):
        assert student.get(path).status_code == 403
    exports = ("/board/hw1/export", "/board/hw1/export-feedback")
    for path in (
        "/board/hw1/grades",
        "/board/hw1/grades/keep",
        "/board/hw1/feedback",
        "/board/hw1/people/alice",
        *exports,
    ):
        assert student.post(path).status_code == 403


def test_every_submission_can_be_listed_opened_and_downloaded(teacher: Visitor) -> None:
    assert 'href="/board/hw1/people/alice"' in teacher.get("/board/hw1").text
    page = teacher.get("/board/hw1/people/alice").text
    names = re.findall(r'href="(/board/hw1/people/alice/[^"/]+)">Open', page)
    assert len(names) == 2
    assert "second" in teacher.get(names[0]).text
    assert teacher.get(names[1] + "/download").content == b"first = 1\n"
    assert teacher.get("/board/hw1/people/alice/bob.py").status_code == 404
    assert teacher.get("/board/hw1/people/nobody").status_code == 404
    assert teacher.get("/board/hw9").status_code == 404


def test_a_file_placed_by_hand_can_be_opened_too(teacher: Visitor, course_folder: Path) -> None:
    (course_folder.parent / "submitted" / "hw1" / "dora.py").write_bytes(f"by = '{SCRIPT}'".encode())
    assert "/board/hw1/people/dora/dora.py" in teacher.get("/board/hw1/people/dora").text
    assert SCRIPT not in teacher.get("/board/hw1/people/dora/dora.py").text


def test_all_or_selected_submissions_are_downloaded_as_a_zip(teacher: Visitor, course: Course) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as opened:
        opened.writestr("work.py", "x = 1")
    submit_work(course.store, course.signer, BOB, inner.getvalue(), NOON)

    def names(show: str) -> dict[str, bytes]:
        answer = teacher.get(f"/board/hw1/submissions.zip?show={show}")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
            return {name: opened.read(name) for name in opened.namelist()}

    assert names("") == {"hw1/alice.py": b"second = 2\n", "hw1/bob.zip": inner.getvalue()}
    course.grades.upload(
        COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"), [{"student": "bob", "mark": 1}]
    )
    assert list(names("to+grade")) == ["hw1/alice.py"]
    assert names("missing") == {}
    assert "as a zip" in teacher.get("/board/hw1").text
    assert "as a zip" not in teacher.get("/board/hw1?show=missing").text


def test_an_assignment_without_submissions_has_no_zip_to_download(teacher: Visitor, course_folder: Path) -> None:
    (course_folder / "hw2" / "files").mkdir(parents=True)
    page = teacher.get("/board/hw2").text
    assert "/board/hw2/people/alice" in page
    assert "as a zip" not in page


def test_grades_are_stored_only_after_a_preview_of_the_changes(teacher: Visitor, course: Course) -> None:
    table = f"username,grade,feedback\nalice,9,{SCRIPT}\nbob,{SCRIPT},\n{SCRIPT},1,\n".encode()
    seen = upload(teacher, "/board/hw1/grades", ("grades.csv", table))
    assert (seen.status_code, course.store.grades.of(HW1)) == (200, ())
    assert SCRIPT not in seen.text
    assert "nobody known as" in seen.text
    assert "not a number" in seen.text
    assert "Store 1 change, and leave out 2 rows" in seen.text
    kept = teacher.post("/board/hw1/grades/keep", **fields(seen.text))
    assert (kept.status_code, kept.headers["location"]) == (303, "/board/hw1?grades=1")
    assert "The grades are stored: 1 in all." in teacher.get(kept.headers["location"]).text
    (entry,) = course.store.grades.of(HW1)
    assert (entry.username, entry.grade, entry.feedback) == ("alice", "9", SCRIPT)
    assert SCRIPT not in teacher.get("/board/hw1").text + teacher.get("/board/hw1/people/bob").text


def test_mistakes_in_a_table_are_listed_and_not_stored(teacher: Visitor, course: Course, course_folder: Path) -> None:
    (course_folder.parent / "mograder.toml").write_text('[[assignments]]\nname = "hw1"\npoints = 20\n')
    table = b"username,grade\nALICE,5\nalcie,5\nbob,twelve\nbob,-3\n,4\nindex,7\nbob,25\n"
    page = upload(teacher, "/board/hw1/grades", ("grades.csv", table)).text
    text = unescape(page)
    assert json.loads(fields(page)["document"]) == [{"username": "alice", "grade": "5"}]  # user names in any case
    problems = ("nobody known as 'alcie'", "'bob' is in", "'bob' is in", "nobody is named", "nobody known as 'index'")
    for place, reason in enumerate((*problems, "'bob' is in"), 3):
        assert re.search(rf"line {place}: {re.escape(reason)}", text)
    for row, reason in (
        ("bob,twelve", "not a number"),
        ("bob,-3", "less than 0"),
        ("bob,25", "more than the 20 points"),
    ):
        one = unescape(upload(teacher, "/board/hw1/grades", ("g.csv", f"username,grade\n{row}\n".encode())).text)
        assert reason in one
        assert "Store " not in one
    cell = b"username,grade,feedback\nalice,1," + b"x" * 2**20 + b"y\n"
    refused = upload(teacher, "/board/hw1/grades", ("g.csv", cell))
    assert (refused.status_code, "line 2" in refused.text.lower()) == (400, True)
    wrong = upload(teacher, "/board/hw1/feedback", ("index.html", b"<p>fine"))
    assert (wrong.status_code, "nobody called index" in unescape(wrong.text).lower()) == (400, True)
    assert course.store.grades.of(HW1) == ()


def export(visitor: Visitor, *files: tuple[str, bytes], to: str = "export", **data: str) -> httpx2.Response:
    sent = [("files", (name, content)) for name, content in files] or [("files", ("", b""))]
    return visitor.send("POST", f"/board/hw1/{to}", OURS, files=sent, data=data)


def test_grades_are_exported_in_the_requested_format(teacher: Visitor, course: Course) -> None:
    task = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    given = [{"username": "alice", "grade": "8", "feedback": "=1+1"}]
    course.grades.upload(COURSE_INSTRUCTOR, task, {"grades": given, "workflow_state": "marking"})
    plain = export(teacher, format="csv")
    assert "1 grade that students do not see yet: left out" in plain.text
    assert "Also the 1 grade that students do not see yet" in teacher.get("/board/hw1").text
    drafts = export(teacher, format="csv", drafts="yes").text
    assert "do not publish them by accident" in drafts
    (address,) = re.findall(r'href="data:text/csv;charset=utf-8;base64,([^"]*)" download="hw1-grades.csv"', drafts)
    assert "alice,Alice Example,,,,8,'=1+1,draft" in b64decode(unescape(address)).decode()
    course.grades.upload(COURSE_INSTRUCTOR, task, given)
    course.grades.upload(COURSE_INSTRUCTOR, task, [{"username": "alice", "workflow_state": "released"}])
    found = export(teacher, format="json")
    assert found.headers["content-disposition"] == "attachment; filename*=UTF-8''hw1-grades.json"
    assert [(each["username"], each["grade"]) for each in found.json()["grades"]] == [("alice", "8"), ("bob", None)]


def test_an_export_that_is_impossible_says_why(teacher: Visitor) -> None:
    csv = ("t.csv", b"username,grade\nalice,\n")
    for answer, said in (
        (export(teacher), "Choose a format"),
        (export(teacher, csv, csv, format="csv"), "Choose one file as template"),
        (export(teacher, format="moodle-worksheet"), "Only Moodle knows the participants"),
        (export(teacher, csv, format="canvas"), "The template is a table of grades, not a Canvas gradebook"),
        (export(teacher, csv, format="csv", column="points"), "no column"),
        (export(teacher, to="export-feedback"), "Choose one file: Moodle"),
        (export(teacher, csv, to="export-feedback"), "There are no feedback pages yet"),
    ):  # fmt: skip
        assert answer.status_code == 400
        assert said in unescape(answer.text)


def test_an_export_of_another_system_is_previewed_for_this_assignment(teacher: Visitor, course: Course) -> None:
    table = (
        "Student,ID,SIS User ID,SIS Login ID,Section,hw1 (5),hw2 (6)\n    Points Possible,,,,,10,10\n"
        '"Example, Alice",1,001,alice,A,"9,5",3\n"Student, Test",2,,x,A,1,1\nBob,3,003,bob,A,,\n'
    )
    for content in (table.encode("utf-8-sig"), table.encode("utf-16")):
        seen = upload(teacher, "/board/hw1/grades", ("canvas.csv", content))
        assert "Canvas' test student was passed over" in unescape(seen.text)
        assert "1 row without a grade" in seen.text
        (entry,) = json.loads(fields(seen.text)["document"])
        assert entry == {"username": "alice", "grade": "9.5"}
    wrong = upload(teacher, "/board/hw1/grades", ("canvas.csv", table.replace("hw1", "hw3").encode()))
    assert (wrong.status_code, "no column for 'hw1'" in unescape(wrong.text)) == (400, True)


def test_grades_that_changed_since_the_preview_are_not_overwritten(teacher: Visitor, course: Course) -> None:
    seen = upload(teacher, "/board/hw1/grades", ("grades.csv", b"username,grade\nalice,9\n"))
    course.grades.upload(
        COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"), [{"student": "alice", "mark": 1}]
    )
    again = teacher.post("/board/hw1/grades/keep", **fields(seen.text))
    assert again.status_code == 409
    assert "have changed since you looked" in again.text
    assert [each.grade for each in course.store.grades.of(HW1)] == ["1"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"name,points\nalice,3\n", b'username,grade\n"alice'])
def test_an_invalid_table_is_explained_on_the_page(teacher: Visitor, content: bytes) -> None:
    answer = upload(teacher, "/board/hw1/grades", ("grades.csv", content))
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "Upload grades" in answer.text


def test_feedback_pages_are_stored_and_shown_in_a_frame_and_those_for_unknown_users_refused(
    teacher: Visitor, course: Course
) -> None:
    refused = upload(teacher, "/board/hw1/feedback", ("alice.html", b"a"), ("zoe.html", b"z"))
    assert (refused.status_code, course.store.grades.feedback(HW1, ALICE)) == (400, None)
    kept = upload(teacher, "/board/hw1/feedback", ("alice.html", SCRIPT.encode()))
    assert kept.headers["location"] == "/board/hw1?pages=1"
    page = teacher.get("/board/hw1/feedback/alice")
    assert page.text == SCRIPT
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert '<iframe sandbox="allow-scripts allow-popups" src="/board/hw1/feedback/alice"' in (
        teacher.get("/board/hw1/people/alice").text
    )


def test_an_instructor_submits_for_a_student(teacher: Visitor, course: Course) -> None:
    answer = upload(teacher, "/board/hw1/people/bob", ("paper.py", b"on paper"), field="file")
    assert answer.headers["location"] == "/board/hw1/people/bob"
    (receipt,) = course.submissions.history(course.release.assignment(COURSE_INSTRUCTOR, "hw1"), BOB)
    assert receipt.submission.by == INSTRUCTOR
    assert "submitted by" in teacher.get("/board/hw1/people/bob").text
    empty = upload(teacher, "/board/hw1/people/bob", ("paper.py", b""), field="file")
    assert empty.status_code == 400
    assert "the file is empty" in empty.text


def test_more_time_is_granted_and_withdrawn(teacher: Visitor, course: Course, course_folder: Path) -> None:
    plan = 'timezone = "Europe/Berlin"\n[[assignments]]\nname = "hw1"\ndue = 2026-03-10T11:00:00Z\n'
    (course_folder.parent / "mograder.toml").write_text(plan)
    place = "/board/hw1/people/bob/extension"
    assert teacher.post(place, decision="grant", until="+2d", note="ill").status_code == 303
    assert "with the extension" in teacher.get("/board/hw1/people/bob").text
    assert teacher.post(place, decision="withdraw").status_code == 303
    assert "with the extension" not in teacher.get("/board/hw1/people/bob").text
    assert teacher.post(place, decision="grant", until="tomorrow").status_code == 400
    refused = unescape(teacher.post(place, decision="grant", until="2026-03-10T09:00").text)
    assert "Tue 2026-03-10 09:00 CET is not after the due time of 'hw1', Tue 2026-03-10 12:00 CET" in refused
    assert teacher.post(place, decision="give").status_code == 400
