"""The roster, the join link, more time and the audit log over HTTP, for an instructor."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from pathlib import Path

import pytest
from markupsafe import escape

from mograder.domain.access import COURSE_INSTRUCTOR, Role
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.errors import Unauthenticated
from mograder.domain.names import INSTRUCTOR, Username
from mograder.domain.roster import Person
from mograder.domain.tokens import Token
from tests.parts import ALICE, CODE, NOON, submit_work, token_of
from tests.tables import samples
from tests.web.in_process import Web
from tests.web.pages.test_sessions import Visitor
from tests.web.test_grading import SCRIPT, upload

CANVAS = samples.CANVAS.encode()
A_CODE = re.compile(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b")


@pytest.fixture
def teacher(course: Course) -> Visitor:
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, INSTRUCTOR))
    return visitor


def roles(course: Course) -> dict[str, Role]:
    return {each.username: each.role for each in course.roster.all() if not each.removed}


def test_students_cannot_open_the_pages_about_people(course: Course) -> None:
    student = Visitor(course)
    student.post("/login", token=token_of(course, "alice"))
    for path in ("/people", "/people/alice/remove", "/invite", "/more-time", "/audit"):
        assert student.get(path).status_code == 403
    for path in (
        "/people",
        "/people/import",
        "/people/import/keep",
        "/people/alice/reset",
        "/people/alice/role",
        "/people/alice/remove",
    ):
        assert student.post(path, user="eve", role="instructor").status_code == 403


def test_an_added_person_gets_a_code_that_works_and_is_shown_once(teacher: Visitor, course: Course) -> None:
    answer = teacher.post("/people", user="alice", name=f"Alice {SCRIPT}", role="student")
    found = A_CODE.search(answer.text)
    assert found
    assert SCRIPT not in answer.text
    again = teacher.get("/people").text
    assert "has a personal code" in again
    assert not A_CODE.search(again)
    assert not A_CODE.search(teacher.post("/people", user="alice").text)
    assert course.accounts.register("alice", found[0])[0] == "alice"
    wrong = teacher.post("/people", user=".hidden")
    assert (wrong.status_code, "cannot be a user name" in wrong.text) == (400, True)
    assert teacher.post("/people", user="eve", role="king").status_code == 400
    assert list(roles(course)) == ["alice"]


def test_a_list_is_previewed_and_imported_whole_or_not_at_all(teacher: Visitor, course: Course) -> None:
    bad = upload(teacher, "/people/import", ("list.csv", b"username,name\nalice,Alice\n.bob,Bob\n"))
    assert "line 3: " in unescape(bad.text)
    assert "Change the roster" not in bad.text
    assert upload(teacher, "/people/import", ("list.csv", b"")).status_code == 400
    good = upload(teacher, "/people/import", ("list.csv", f"username,name\nalice,{SCRIPT}\nbob,B\n".encode()))
    assert SCRIPT not in good.text
    assert course.roster.all() == []  # nothing has changed yet

    kept = teacher.post("/people/import/keep", **hidden(good.text))
    assert (kept.status_code, len(A_CODE.findall(kept.text)), SCRIPT in kept.text) == (200, 2, False)
    assert list(roles(course)) == ["alice", "bob"]
    again = teacher.post("/people/import/keep", **hidden(good.text))
    assert (again.status_code, "the roster has changed since" in again.text.lower()) == (409, True)


def test_a_newer_list_updates_people_and_drops_them_on_request_and_the_roster_can_be_downloaded(
    teacher: Visitor, course: Course
) -> None:
    canvas = teacher.post("/people/import/keep", **hidden(upload(teacher, "/people/import", ("c.csv", CANVAS)).text))
    assert len(A_CODE.findall(canvas.text)) == 3
    newer = ("n.csv", b"username,email,section\nada,ada@u.de,Sec 2\nrob,bob@u.de,\n")
    first = upload(teacher, "/people/import", newer)
    text = " ".join(unescape(re.sub("<[^>]*>", " ", first.text)).split())
    assert "1 new, 1 on the roster already, 2 on the roster and not in the list" in text
    assert "ada : e-mail – → ada@u.de , sections Sec 1 → Sec 2" in text
    teacher.post("/people/import/keep", **hidden(first.text))
    assert list(roles(course)) == ["ada", "bob", "cleo@example.org", "rob"]

    second = upload(teacher, "/people/import", newer)
    done = teacher.post("/people/import/keep", **hidden(second.text), drop="yes")
    assert "nobody is new" in done.text
    assert list(roles(course)) == ["ada", "rob"]
    ada = course.roster.all()[0]
    assert (ada.email, ada.sections, len(ada.ids)) == ("ada@u.de", ("Sec 2",), 2)
    assert "ada@u.de" in teacher.get("/people/ada").text
    found = teacher.get("/people?section=Sec+2").text
    assert ("/people/ada" in found, "/people/rob" in found, "Sec 1" in found) == (True, False, True)
    assert teacher.get("/people/roster.csv").text.splitlines()[1:] == [
        "ada,Ada Lovelace,ada@u.de,Sec 2,00123,987,,,", "rob,,bob@u.de,,,,,,",
    ]  # fmt: skip

    # A person is recognised by the email address although the user name differs.
    renamed = upload(teacher, "/people/import", ("r.csv", b"username,email\nada,\nrobert,BOB@u.de\n"))
    assert "of the list is" in renamed.text
    teacher.post("/people/import/keep", **hidden(renamed.text))
    assert list(roles(course)) == ["ada", "rob"]


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the form that confirms."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


def test_everybody_gets_a_new_code_in_a_downloaded_table(teacher: Visitor, course: Course) -> None:
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("bob", "=1+1, Bob")])
    course.accounts.register("carol", CODE)
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("dave")])
    course.roster.remove(COURSE_INSTRUCTOR, Username("dave"))
    old = Token.parse(token_of(course, "carol"))
    assert teacher.post("/new-codes").status_code == 400  # it must be confirmed
    course.accounts.authenticate(old)
    answer = teacher.post("/new-codes", sure="yes")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    codes = {row["username"]: row["code"] for row in rows}
    assert {"bob", "carol"} <= set(codes)
    assert "dave" not in codes
    assert next(row["name"] for row in rows if row["username"] == "bob") == "'=1+1, Bob"
    with pytest.raises(Unauthenticated):
        course.accounts.authenticate(old)
    for user, code in codes.items():
        assert course.accounts.register(user, code)[0] == user
    assert teacher.sees == "Board"


def test_a_reset_revokes_the_token_and_shows_a_new_code_once(teacher: Visitor, course: Course) -> None:
    token = course.accounts.register("alice", CODE)[1]
    code = A_CODE.search(teacher.post("/people/alice/reset").text)
    assert code
    with pytest.raises(Unauthenticated):
        course.accounts.authenticate(Token.parse(token))
    course.accounts.register("alice", code[0])
    assert teacher.post("/people/nobody/reset").status_code == 404


def test_a_person_is_renamed_and_an_invalid_name_is_refused_with_the_form(teacher: Visitor, course: Course) -> None:
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("alice", "Alcie")])
    assert teacher.post("/people/alice/name", name=" Alice  Ames").status_code == 303
    assert course.roster.all()[0].name == "Alice Ames"
    wrong = teacher.post("/people/alice/name", name="x" * 201)
    assert (wrong.status_code, "longer than 200 characters" in wrong.text) == (400, True)
    assert teacher.post("/people/nobody/name", name="N").status_code == 404
    assert course.audit.events(1, 0)[0].action == "rename"


def test_changing_a_role_and_removing_a_person_need_confirmation(teacher: Visitor, course: Course) -> None:
    course.accounts.register("alice", CODE)
    assert teacher.post("/people/alice/role", role="instructor").status_code == 303
    assert roles(course) == {"alice": Role.INSTRUCTOR}
    assert "Submissions and grades stay" in teacher.get("/people/alice/remove").text
    assert roles(course) == {"alice": Role.INSTRUCTOR}
    assert teacher.post("/people/alice/remove").status_code == 303
    assert roles(course) == {}
    assert "Bring back" in teacher.get("/people?q=ali").text
    assert "Bring back" not in teacher.get("/people?q=bob").text


def test_the_audit_log_is_in_words_and_names_the_instructor(teacher: Visitor, course: Course) -> None:
    task = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.grades.upload(COURSE_INSTRUCTOR, task, [{"username": "bob", "grade": 1}])
    said = f"until 2030-02-08T11:45:00.000000Z, not 2030-13-08T11:45:00Z {SCRIPT}"
    course.store.audit.record(Event(0, INSTRUCTOR, "logout", INSTRUCTOR, said))
    page = teacher.get("/audit").text
    assert "__instructor__" not in page
    assert all(each in page for each in ("<bdi>Instructor</bdi>", "<bdi>1 grade</bdi>"))
    time = '<time datetime="2030-02-08T11:45:00.000000Z">Fri 2030-02-08 11:45 UTC</time>'
    assert f"until {time}, not 2030-13-08T11:45:00Z {escape(SCRIPT)}" in page


def test_the_join_link_holds_the_code_in_its_fragment_and_is_shown_as_a_qr_code(teacher: Visitor) -> None:
    page = teacher.get("/invite").text
    assert f"http://course.example/join#code={CODE}" in page
    assert "<svg" in page
    assert "Only this machine" not in page
    assert "The enrollment code can be guessed" in page
    assert "personal code" not in page
    teacher.post("/people", user="zoe", name="Zoe", role="student")
    assert "If you were given a personal code, enter that one." in teacher.get("/invite").text


def test_requests_for_more_time_are_decided_on_one_page(teacher: Visitor, course: Course, course_folder: Path) -> None:
    (course_folder.parent / "mograder.toml").write_text('[[assignments]]\nname = "hw1"\ndue = 2026-03-10T11:00:00Z\n')
    course.accounts.register("alice", CODE)
    task = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.extensions.ask(course.accounts.resume(ALICE, 0), task, ALICE, "+2d", f"ill {SCRIPT}")
    page = teacher.get("/more-time").text
    assert "asks for more time" in page
    assert SCRIPT not in page
    place = "/board/hw1/people/alice/extension"
    answer = teacher.post(place, decision="decline", note="no", **{"from": "list"})
    assert answer.headers["location"] == "/more-time"
    assert "asks for more time" not in teacher.get("/more-time").text
    assert "declined" in teacher.get("/more-time").text


def test_the_audit_log_can_be_searched_and_has_pages(teacher: Visitor, course: Course) -> None:
    for number in range(120):
        course.accounts.register(f"student{number:03}", CODE)
    first = teacher.get("/audit").text
    assert ("student119" in first, "student019" in first) == (True, False)
    assert "student019" in teacher.get("/audit?page=2").text
    assert teacher.get("/audit?q=Student007").text.count("<bdi>student007</bdi>") == 2
    assert "no receipts yet" in first


def flood(course: Course, count: int) -> None:
    for number in range(count):
        course.audit.record(Event(NOON + number, "mallory", "ask extension", "mallory", f"hw1 until 2030: {number}"))


def test_one_student_cannot_push_anything_out_of_the_audit_log(teacher: Visitor, course: Course) -> None:
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("first")])
    flood(course, 2100)
    page = teacher.get("/audit").text
    assert "2100 times since" in " ".join(page.split())
    assert "<bdi>first</bdi>" in page
    web = Web(course)
    pages = [web("GET", f"/events?page={number}").json() for number in (1, 2, 3, 4)]
    assert [sum(line.get("count", 1) for line in lines) for lines in pages] == [1000, 1000, 101, 0]
    assert [line["subject"] for line in pages[2]] == ["mallory", "first"]
    for wrong in ("0", "-1", "x", "9" * 5000):
        assert web("GET", f"/events?page={wrong}").status_code == 400


def test_many_registrations_are_reported_on_the_board_and_stop_at_a_limit(
    teacher: Visitor, course: Course, course_folder: Path
) -> None:
    (course_folder.parent / "mograder.toml").write_text("[server]\nmax_people = 30\n")
    seen = [course.accounts.store.count()]
    for number in range(30):
        course.accounts.register(f"s{number}", CODE)
    assert seen == [0]
    board = " ".join(teacher.get("/").text.split())
    assert "30 people</a> in the last hour" in board
    assert "lets nobody else in" in board
    web = Web(course)
    reply = web("POST", "/register", None, json={"user": "one-more", "enrollment_code": CODE})
    assert (reply.status_code, reply.json()["code"]) == (403, "registration_full")
    ((_, code),) = course.roster.add(COURSE_INSTRUCTOR, [Person.parse("alice")])
    assert web("POST", "/register", None, json={"user": "alice", "enrollment_code": code}).status_code == 200
    (course_folder.parent / "mograder.toml").write_text("")
    assert web("POST", "/register", None, json={"user": "one-more", "enrollment_code": CODE}).status_code == 200
    assert "lets nobody else in" not in teacher.get("/").text


def test_the_page_of_a_person_shows_every_assignment_with_state_grade_and_extension(
    teacher: Visitor, course: Course, course_folder: Path
) -> None:
    (course_folder / "hw2" / "files").mkdir(parents=True)
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("alice", "Alice Example")])
    submit_work(course.store, course.signer, ALICE, b"x = 1")
    task = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    course.grades.upload(COURSE_INSTRUCTOR, task, [{"username": "alice", "grade": 7}])
    page = " ".join(teacher.get("/people/alice").text.split())
    assert "<h1><bdi>Alice Example</bdi></h1>" in page
    for link in ("/board/hw1/people/alice", "/board/hw2/people/alice"):
        assert f'href="{link}"' in page
        assert teacher.get(link).status_code == 200
    assert "<bdi>7</bdi>" in page
    assert page.count('class="state new"') == 1  # the extension of hw2
    assert 'href="/people/alice"' in teacher.get("/people").text
    assert 'href="/people/alice"' in teacher.get("/board").text
    assert 'href="/people/alice"' in teacher.get("/board/hw1/people/alice").text


@pytest.mark.parametrize("name", ["nobody", "alice%0A", "%20alice", "alice.py", "a%2Fb"])
def test_an_unknown_name_has_no_page(teacher: Visitor, course: Course, name: str) -> None:
    course.accounts.register("alice", CODE)
    assert teacher.get(f"/people/{name}").status_code == 404


def test_a_removed_person_still_has_a_page(teacher: Visitor, course: Course) -> None:
    course.accounts.register("alice", CODE)
    course.roster.remove(COURSE_INSTRUCTOR, ALICE)
    assert "removed from the course" in teacher.get("/people/alice").text
