"""Marking over HTTP: students see no drafts, graders have only their rights, hidden names stay hidden."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from mograder.domain.access import Actor, Allow, Role
from mograder.domain.course import Course
from mograder.domain.marking import Kind, Names, RubricItem
from mograder.domain.names import INSTRUCTOR, Username
from mograder.tables.cells import is_formula
from mograder.web.pages.page import Frame
from mograder.web.pages.routes import VIEWS
from mograder.wire.endpoints import ENDPOINTS
from mograder.wire.paths import build_path
from tests.marked_course import GRACE, GUY, TEACHER, checked, give, give_all, marked_course, task
from tests.parts import Clock, submit_work, token_of
from tests.web.in_process import Web
from tests.web.pages.test_sessions import OURS, Visitor

S1 = Username("s01")
VALUES = {"assignment": "hw1", "user": "s01", "person": "s01", "file": "s01.py", "tag": "x", "name": "style.css"}
BY_SCRIPT = {**OURS, "Accept": "application/json"}


@pytest.fixture
def desk(course_folder: Path, clock: Clock) -> Iterator[Course]:
    course = marked_course(course_folder, clock)
    yield course
    course.close()


def visit(course: Course, name: str) -> Visitor:
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, name))
    return visitor


def address(path: str) -> str:
    return re.sub(r"{(\w+)(:path)?}", lambda found: VALUES[found[1]], path)


def test_assignments_to_mark_are_in_the_order_of_their_due_times(course_folder: Path, clock: Clock) -> None:
    for name in ("essay", "zoo"):
        (course_folder / name / "files").mkdir(parents=True)
    plan = "[[assignments]]\nname = 'hw1'\ndue = 2026-03-12\n[[assignments]]\nname = 'zoo'\ndue = 2026-03-11\n"
    course = marked_course(course_folder, clock, plan)
    shown = visit(course, "grace").get("/marking").text
    assert re.findall(r'href="/marking/(\w+)"', shown) == ["zoo", "hw1", "essay"]
    course.close()


@pytest.mark.parametrize(("name", "label"), [(INSTRUCTOR, "Course"), ("grace", "You"), ("s01", "You"), ("", "You")])
def test_the_navigation_highlights_the_current_page(desk: Course, name: str, label: str) -> None:
    visitor = visit(desk, name) if name else Visitor(desk)

    def found(path: str, pattern: str) -> list[str]:
        _, _, navigation = visitor.get(path).text.partition(f'<nav aria-label="{label}"')
        return re.findall(pattern, navigation.partition("</nav>")[0])

    links = found("/login", 'href="([^"]+)"')
    assert links
    for link in links:
        assert found(link, 'href="([^"]+)" aria-current="page"') == [link]


BELOW = {
    "/": ["/", "/my/hw1"],
    "/board": ["/board/hw1", "/board/hw1/rules", "/board/hw1/files", "/board/hw1/regrade", "/board/hw1/people/s01",
               "/board/hw1/people/s01/s01.py", "/board/hw9", "/new-assignment", "/"],
    "/people": ["/people/s01", "/people/s01/reset", "/people/nobody", "/new-codes"],
    "/marking": ["/marking/hw1", "/marking/hw1/people/s01", "/marking/hw1/statistics", "/"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "label", "sections"),
    [
        (INSTRUCTOR, "Course", ["/board", "/people", "/marking"]),
        ("grace", "You", ["/marking"]),
        ("s01", "You", ["/"]),
    ],
)
def test_the_navigation_highlights_the_section_of_every_page_below_it(
    desk: Course, name: str, label: str, sections: list[str]
) -> None:
    visitor = visit(desk, name)
    home = sections[0]
    for section in sections:
        for path in BELOW[section]:
            if path == "/" and section != home:
                continue
            _, _, navigation = visitor.get(path).text.partition(f'<nav aria-label="{label}"')
            marked = re.findall(r'href="([^"]+)" aria-current="(\w+)"', navigation.partition("</nav>")[0])
            assert (path, marked) == (path, [(section, "page" if path == "/" else "true")])


def test_the_navigation_of_a_mounted_course_highlights_its_section_too() -> None:
    frame = Frame("Algebra", 0, "/my", path="/my/hw1")
    assert [each for each in ("/", "/my-receipts", "/devices") if frame.current(each)] == ["/"]


def everything_readable(course: Course, name: str) -> dict[str, tuple[int, bytes, str]]:
    """Everything that a person can read at every address of the protocol and the pages, with the ETags."""
    web, visitor = Web(course), visit(course, name)
    found = {}
    for row in ENDPOINTS:
        if row.method == "GET":
            path = build_path(row, {key: VALUES[key] for key in VALUES if f"{{{key}" in row.path}) + f"?user={name}"
            reply = web("GET", path, name)
            found[path] = (reply.status_code, reply.content, reply.headers.get("etag", ""))
    for view in VIEWS:
        if view.method == "GET" and view.path != "/join":  # except random parts
            reply = visitor.get(address(view.path))
            found[address(view.path)] = (reply.status_code, reply.content, reply.headers.get("location", ""))
    return found


def test_students_see_nothing_of_a_draft_and_everything_after_the_release(desk: Course) -> None:
    everything_readable(desk, "s01")  # the first visit downloads the files, which is recorded
    before = everything_readable(desk, "s01")
    give_all(desk, "s01", 8, 4.5)
    item = desk.marking.put_item(GRACE, task(desk), "", RubricItem("Essay", "no conclusion", -2), 0)
    give(desk, "s02", "Essay", None, items=(item.key,), comment="a draft of a comment")
    desk.marking.write_text(GRACE, task(desk), S1, Kind.NOTE, "", "private", 0)
    desk.marking.write_text(GRACE, task(desk), S1, Kind.REMARK, "cell 1", "draft of a remark", 0)
    desk.marking.hand_out(TEACHER, task(desk), {("s01", ""): "grace"})
    desk.marking.set_anonymous(TEACHER, task(desk), True)
    assert everything_readable(desk, "s01") == before
    assert "draft" not in visit(desk, "s02").get("/my/hw1").text
    desk.mark_release.release(TEACHER, task(desk))
    page = visit(desk, "s01").get("/my/hw1").text
    assert "12.5 of 15 points" in page
    assert "draft of a remark" in page
    assert "private" not in page
    assert "draft" not in visit(desk, "s02").get("/my/hw1").text
    desk.mark_release.withdraw(TEACHER, task(desk))
    assert "12.5" not in visit(desk, "s01").get("/my/hw1").text


def test_a_grader_marks_and_cannot_use_the_pages_of_instructors(desk: Course) -> None:
    web, grader, student = Web(desk), visit(desk, "grace"), visit(desk, "s01")
    for row in ENDPOINTS:
        if row.allow in (Allow.INSTRUCTOR, Allow.SELF):
            path = build_path(row, {key: VALUES[key] for key in VALUES if f"{{{key}" in row.path}) + "?user=s01"
            assert web(row.method, path, "grace").status_code == 403, row.path
    before = len(desk.audit.events())
    for view in (each for each in VIEWS if each.path != "/logout"):
        reply = grader.send(view.method, address(view.path), OURS) if view.path != "/live/marking" else None
        if view.allow is Allow.INSTRUCTOR:
            assert reply is not None
            assert reply.status_code == 403, view.path
        if view.allow in (Allow.INSTRUCTOR, Allow.GRADER):
            assert student.send(view.method, address(view.path), OURS).status_code == 403, view.path
    assert grader.sees == "Marking"
    grader.post("/login", token=token_of(desk, "grace"))
    assert "/people/s01" in grader.get("/marking/hw1").text
    assert 'href="/people' not in grader.get("/marking/hw1").text
    assert len(desk.audit.events()) == before


def test_saving_by_script_returns_the_stored_mark_and_a_conflict_returns_the_other_mark(desk: Course) -> None:
    grace, guy, path = visit(desk, "grace"), visit(desk, "guy"), "/marking/hw1/people/s01/mark"

    def save(visitor: Visitor, points: str, version: str = "0") -> httpx2.Response:
        return visitor.post(path, BY_SCRIPT, question="Essay", points=points, comment="hm", version=version)

    saved = save(grace, "7,5").json()
    assert (saved["saved"]["version"], saved["saved"]["points"], saved["total"]) == (1, 7.5, "7.5 of 15")
    refused = save(guy, "5")
    assert (refused.status_code, refused.json()["theirs"]["by"], refused.json()["theirs"]["points"]) == (
        409,
        "grace",
        7.5,
    )
    assert save(guy, "5", "1").status_code == 200
    state = grace.get("/marking/hw1/people/s01/state").json()
    assert (state["questions"]["Essay"]["by"], state["questions"]["Essay"]["points"]) == ("guy", "5")
    for wrong in ("eleven", "11", "-1", "=1+1"):
        assert save(guy, wrong, "2").status_code == 400
    assert save(guy, "", "x").status_code == 400
    by_form = guy.post(path, question="Essay", points="6", version="2")
    assert (by_form.status_code, by_form.headers["location"]) == (303, "/marking/hw1/people/s01")
    guy.post("/logout")
    assert save(guy, "9", "3").status_code == 401
    assert desk.marking.of(task(desk), S1).questions[0].mark.points == 6


def test_next_and_previous_go_through_the_unfinished_submissions_in_a_cycle(desk: Course) -> None:
    grace = visit(desk, "grace")

    def step(query: str) -> str:
        return grace.get(f"/marking/hw1/next?{query}").headers["location"].removeprefix("/marking/hw1")

    assert [step(each) for each in ("", "after=s01", "after=s03", "before=s01", "before=s03")] == [
        "/people/s01", "/people/s02", "/people/s01", "/people/s03", "/people/s02",
    ]  # fmt: skip
    give(desk, "s02", "Essay", 1)
    assert step("after=s01&question=Essay") == "/people/s03?question=Essay"
    for user in ("s01", "s02", "s03"):
        give(desk, user, "Plot", 1)
    give(desk, "s01", "Essay", 1)
    give(desk, "s03", "Essay", 1)
    assert step("after=s01") == ""


def test_a_rubric_item_is_created_while_marking_and_changed_after_a_preview_of_the_effect(desk: Course) -> None:
    grace = visit(desk, "grace")
    made = grace.post("/marking/hw1/items", question="Essay", text="no end", points="-2", person="s01")
    assert made.headers["location"] == "/marking/hw1/people/s01?question=Essay"
    (key,) = desk.marking.sheet(task(desk)).items
    item = {"question": "Essay", "text": "no end", "points": "−4", "key": key, "person": "s01", "version": "1"}
    shown = grace.post("/marking/hw1/items", **item).text
    assert "Change it for 1 person" in shown
    assert ("<span>8</span>" in shown, "<span>6</span>" in shown) == (True, True)
    assert desk.marking.of(task(desk), S1).marks.so_far == 8
    grace.post("/marking/hw1/items", **item, confirmed="yes")
    assert desk.marking.of(task(desk), S1).marks.so_far == 6
    grace.post("/marking/hw1/items", **{**item, "version": "2"}, how="remove", confirmed="yes")
    assert desk.marking.of(task(desk), S1).marks.so_far == 0


def test_with_hidden_names_no_page_header_or_file_of_marking_has_a_name(desk: Course) -> None:
    for each in ("s01", "s02", "s03"):
        submit_work(desk.store, desk.signer, Username(each), b"\x89PNG\r\n\x1a\n" + each[::-1].encode())
    course = checked(desk)
    give(course, "s01", "Essay", 5, comment="fine")
    course.mark_release.release(TEACHER, task(course))
    teacher, grace = visit(course, INSTRUCTOR), visit(course, "grace")
    teacher.post("/marking/hw1/names", hide="yes")
    shown = Names(course.marking.sheet(task(course)).settings.salt).shown("s01")
    places = ["", "/next", "/release", "/statistics", "/marks.csv", "/statistics.csv", f"?q={shown}",
              *[f"/people/{shown}{each}" for each in ("", "/state", "/file", "/download")]]  # fmt: skip
    for visitor in (teacher, grace):
        for place in places:
            reply = visitor.get(f"/marking/hw1{place}")
            said = " ".join([str(reply.headers), reply.content.decode("latin-1")])
            assert not re.search(r"s0[123]|Student \d", said), place
            assert reply.status_code in (200, 303) or visitor is grace, place
        assert visitor.get("/marking/hw1/people/s01").status_code == 404
    assert shown in grace.get(f"/marking/hw1/people/{shown}/download").headers["content-disposition"]
    assert grace.post(f"/marking/hw1/people/{shown}/reveal").status_code == 403
    told = teacher.post(f"/marking/hw1/people/{shown}/reveal")
    assert urlsplit(told.headers["location"]).path == "/board/hw1/people/s01"
    assert (desk.audit.events(1)[0].action, desk.audit.events(1)[0].detail) == ("reveal", f"hw1 {shown}")


@pytest.mark.parametrize(
    ("start", "kind", "policy"),
    [(b"%PDF-1.7 <script>", "application/pdf", "object-src"), (b"\x89PNG\r\n\x1a\n<script>", "image/png", "sandbox")],
)
def test_a_submission_that_is_not_text_is_shown_by_its_content_type_and_never_executed(
    desk: Course, start: bytes, kind: str, policy: str
) -> None:
    submit_work(desk.store, desk.signer, S1, start)
    reply = visit(desk, "grace").get("/marking/hw1/people/s01/file")
    assert (reply.status_code, reply.headers["content-type"], reply.content) == (200, kind, start)
    assert policy in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    submit_work(desk.store, desk.signer, S1, b"<script>alert(1)</script>")
    assert visit(desk, "grace").get("/marking/hw1/people/s01/file").status_code == 404


def test_release_withdrawal_and_regrade_request_work_on_the_pages(desk: Course) -> None:
    give_all(desk, "s01", 8, 4.5)
    teacher, grace, student = visit(desk, INSTRUCTOR), visit(desk, "grace"), visit(desk, "s01")
    seen = re.search(r'name="seen" value="(\w+)"', teacher.get("/marking/hw1/release").text)
    assert seen
    give(desk, "s01", "Essay", 9, 1)
    assert teacher.post("/marking/hw1/release", how="release", seen=seen[1]).status_code == 409
    seen = re.search(r'name="seen" value="(\w+)"', teacher.get("/marking/hw1/release?person=s01").text)
    assert seen
    done = teacher.post("/marking/hw1/release", how="release", seen=seen[1], person="s01")
    assert "1 mark is released" in teacher.get(done.headers["location"]).text
    assert student.post("/my/hw1/regrade", question="Essay", reason="look at page 2").status_code == 303
    assert "look at page 2" in grace.get("/marking/hw1/people/s01").text
    answer = {"question": "Essay", "text": "you are right", "version": "1"}
    assert grace.post("/marking/hw1/people/s01/answer", **answer).status_code == 303
    assert "you are right" in student.get("/my/hw1").text
    assert student.post("/my/hw1/regrade", question="Nothing", reason="x").status_code == 404
    teacher.post("/marking/hw1/release", how="withdraw", seen="", person="s01")
    assert Web(desk)("GET", "/assignments/hw1/status?user=s01", "s01").json()["grade"] is None


def test_a_section_is_assigned_to_a_grader_and_released_separately(desk: Course) -> None:
    for user in ("s01", "s02", "s03"):
        give_all(desk, user, 8, 4.5)
    teacher = visit(desk, INSTRUCTOR)
    teacher.post("/marking/hw1/hand-out", how="section", section="Tue", to="guy")
    assert desk.marking.sheet(task(desk)).by_person == {"s01": "guy", "s03": "guy"}
    page = teacher.get("/marking/hw1/release?section=Wed").text
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen
    done = teacher.post("/marking/hw1/release", how="release", seen=seen[1], section="Wed")
    assert done.headers["location"] == "/marking/hw1/release?released=1&section=Wed"
    assert [each.username for each in desk.grades.of(task(desk))] == ["s02"]
    assert teacher.get("/marking/hw1/release?section=Thu").status_code == 404


def names_in(text: str, names: Names) -> list[str]:
    """The students behind the pseudonyms of a page, in the order of the page."""
    known = {names.shown(f"s{number:02}"): f"s{number:02}" for number in range(1, 13)}
    found = re.findall(rf"(?:<bdi>|^)({'|'.join(known)})\b", text, re.MULTILINE)
    return [known[each] for each in found]


def test_with_hidden_names_neither_order_nor_answers_reveal_a_student(course_folder: Path, clock: Clock) -> None:
    desk = marked_course(course_folder, clock, students=12)
    users = [f"s{number:02}" for number in range(1, 13)]
    item = desk.marking.put_item(GRACE, task(desk), "", RubricItem("Essay", "no end", -2), 0)
    for user in users:
        give(desk, user, "Essay", None, items=(item.key,))
        give(desk, user, "Plot", 4)
    desk.mark_release.release(TEACHER, task(desk))
    for user in users:
        desk.mark_release.ask(Actor(Username(user), Role.STUDENT), task(desk), "Essay", "please")
    desk.marking.set_anonymous(TEACHER, task(desk), True)
    names = Names(desk.marking.sheet(task(desk)).settings.salt)
    by_pseudonym = sorted(users, key=names.shown)
    assert by_pseudonym != users
    grace, teacher = visit(desk, "grace"), visit(desk, INSTRUCTOR)
    changed = {"question": "Essay", "text": "no end", "points": "-3", "key": item.key, "version": "1"}
    listed = grace.get("/marking/hw1").text.partition('id="people"')
    assert names_in(listed[0], names) == by_pseudonym
    assert names_in(listed[2], names) == by_pseudonym
    assert names_in(grace.post("/marking/hw1/items", **changed).text, names) == by_pseudonym
    assert names_in(teacher.get("/marking/hw1/release").text, names) == by_pseudonym
    assert names_in(teacher.get("/marking/hw1/marks.csv").text, names) == by_pseudonym
    answer = {"question": "Essay", "text": "seen"}
    path = f"/marking/hw1/people/{names.shown('s01')}/answer"
    by_script = grace.post(path, BY_SCRIPT, **answer, version="1")
    desk.mark_release.ask(Actor(S1, Role.STUDENT), task(desk), "Essay", "again")
    replies = [by_script, grace.post(path, BY_SCRIPT, **answer, version="2"), grace.post(path, **answer, version="2")]
    assert [each.status_code for each in replies] == [200, 409, 409]
    for reply in replies:
        assert not re.search(r"s01|Student 1\b", reply.text), reply.text
    desk.close()


def test_graders_see_neither_their_own_work_nor_submissions_assigned_to_others(desk: Course) -> None:
    submit_work(desk.store, desk.signer, GRACE.username, b"x = 1\n")
    give(desk, "grace", "Essay", 3, actor=GUY, comment="a draft about grace")
    grace = visit(desk, "grace")
    for place in ("", "/state", "/file", "/download"):
        assert grace.get(f"/marking/hw1/people/grace{place}").status_code == 403, place
    for place in ("mark", "note", "remark", "answer"):
        reply = grace.post(f"/marking/hw1/people/grace/{place}", BY_SCRIPT, question="Essay", text="x", version="1")
        assert reply.status_code == 403, place
    assert visit(desk, INSTRUCTOR).get("/marking/hw1/people/grace").status_code == 200
    item = desk.marking.put_item(GUY, task(desk), "", RubricItem("Essay", "no end", -2), 0)
    desk.marking.hand_out(TEACHER, task(desk), {("s01", ""): "guy", ("", "Essay"): "guy"})
    changes = {"text": "x", "points": "1", "key": item.key, "version": "1", "confirmed": "yes"}
    for question in ("Essay", "Plot"):  # the form moves the item to another question
        assert grace.post("/marking/hw1/items", question=question, **changes).status_code == 403
    assert grace.post("/marking/hw1/items", how="remove", **changes).status_code == 403
    assert grace.post("/marking/hw1/items", question="Essay", text="x", points="1").status_code == 403
    assert desk.marking.sheet(task(desk)).items[item.key].points == -2
    remark = {"place": "cell 1", "text": "bad", "version": "0"}
    assert grace.post("/marking/hw1/people/s01/remark", **remark).status_code == 403
    assert 'action="/marking/hw1/people/s01/remark"' not in grace.get("/marking/hw1/people/s01").text
    # For s02, Plot is assigned to nobody, so it is open to all graders.
    assert grace.post("/marking/hw1/people/s02/remark", **remark).status_code == 303
    assert visit(desk, "guy").post("/marking/hw1/people/s01/remark", **remark).status_code == 303


@pytest.mark.parametrize("comment", ["=1+1", "-2+3", "@SUM(A1)"])
def test_no_exported_table_of_marks_has_a_cell_that_a_spreadsheet_executes(
    course_folder: Path, clock: Clock, comment: str
) -> None:
    plan = f"[[assignments]]\nname = 'hw1'\n[[assignments.questions]]\nkey = {json.dumps(comment)}\npoints = 5\n"
    desk = marked_course(course_folder, clock, plan)
    give(desk, "s01", comment, 3, comment=comment)
    teacher = visit(desk, INSTRUCTOR)
    for table in ("marks", "statistics"):
        for row in csv.reader(io.StringIO(teacher.get(f"/marking/hw1/{table}.csv").text)):
            assert [cell for cell in row if is_formula(cell)] == [], table
    desk.close()


def test_the_statistics_in_csv_have_all_figures_of_the_page(desk: Course) -> None:
    for user, essay, plot in (("s01", 10, 5), ("s02", 6, 3), ("s03", 2, 1)):
        give_all(desk, user, essay, plot)
    table = visit(desk, INSTRUCTOR).get("/marking/hw1/statistics.csv").text
    rows = [{key: cell for key, cell in row.items() if cell} for row in csv.DictReader(io.StringIO(table))]
    assert [row for row in rows if row["what"] != "bar"] == [
        {"what": "all", "count": "3", "mean": "9", "median": "9", "lower_quartile": "6", "upper_quartile": "12"},
        {"what": "question", "question": "Essay", "count": "3", "points": "10", "mean": "6", "share": "0.6",
         "discrimination": "1"},
        {"what": "question", "question": "Plot", "count": "3", "points": "5", "mean": "3", "share": "0.6",
         "discrimination": "1"},
        {"what": "grader", "question": "Essay", "grader": "grace", "count": "3", "mean": "6"},
        {"what": "grader", "question": "Plot", "grader": "grace", "count": "3", "mean": "3"},
    ]  # fmt: skip
    bars = [(row["from"], row["to"], row["count"]) for row in rows if row["what"] == "bar"]
    assert (bars[0], bars[2], bars[-1], len(bars)) == (("0", "1.5", "0"), ("3", "4.5", "1"), ("13.5", "15", "1"), 10)
