"""Results as students and instructors see them, in the protocol and on the pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.extensions import Change, Decision
from mograder.domain.grades import GradeEntry
from mograder.domain.grading_jobs import LEASE, TRIES, Announced, Job, Readiness, ReadyState, Result
from mograder.domain.grading_record import GradingRecord
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import INSTRUCTOR
from mograder.domain.results import RunReport
from mograder.signing import Ed25519Signer, new_private_key
from mograder.wire.records import KIND, claims_of, record_of
from tests.contract.parts import NOTE
from tests.grading_samples import FAILED, HALF_RIGHT, record
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, Clock, submit_work, token_of
from tests.web.in_process import Web
from tests.web.pages.test_sessions import Visitor

SECRET = ("f(7) must be 14", "Q2: more")


@pytest.fixture
def graded(course: Course) -> Course:
    """A course in which hw1 has tests, and alice has submitted."""
    signer = course.signer
    assert isinstance(signer, Ed25519Signer)

    def read_record(text: str) -> GradingRecord:
        return record_of(signer.verify(text, KIND))

    made = replace(course, read_record=read_record)
    made.store.jobs.announce(HW1, Announced("t1"))
    submit_work(made.store, made.signer, ALICE, b"work")
    return made


def claim(course: Course, now: int = NOON) -> Job:
    job = course.store.jobs.claim("w", now, now + LEASE, [HW1])
    assert job is not None
    return job


def finish(course: Course, report: RunReport = HALF_RIGHT) -> None:
    assert isinstance(course.signer, Ed25519Signer)
    job = claim(course)
    signed = course.signer.sign(claims_of(record(report, username=job.username, receipt=job.receipt)), KIND)
    assert course.store.jobs.finish(job, Result(job.receipt, "t1", HW1, job.username, NOON, signed))


def ask(course: Course, user: str = "alice", as_: str | None = None) -> dict[str, object]:
    reply = Web(course)("GET", f"/assignments/hw1/result?user={user}", as_ or user)
    assert reply.status_code == 200, reply.text
    return reply.json()  # type: ignore[no-any-return]


def test_before_the_result_the_place_in_the_queue_is_shown(graded: Course) -> None:
    submit_work(graded.store, graded.signer, BOB, b"work")
    assert ask(graded)["state"] == ask(graded, "bob")["state"] == "waiting"
    assert (ask(graded)["place"], ask(graded, "bob")["place"]) == (1, 2)
    assert ask(graded, "carl") == {"state": "nothing", "attempt": None, "place": None, "result": None, "error": ""}


def test_an_assignment_that_is_not_graded_has_no_queue(course: Course) -> None:
    submit_work(course.store, course.signer, ALICE, b"work")
    assert ask(course)["state"] == "nothing"


def test_submissions_are_shown_as_waiting_while_an_environment_is_built_for_the_first_time(course: Course) -> None:
    submit_work(course.store, course.signer, ALICE, b"work")
    course.store.jobs.report(Readiness(HW1, ReadyState.BUILDING, NOON))
    assert (ask(course)["state"], ask(course)["place"]) == ("waiting", 1)
    assert course.results.queue(HW1).waiting == 1
    course.store.jobs.report(Readiness(HW1, ReadyState.FAILED, NOON, error="no such package"))
    assert ask(course)["state"] == "nothing"


@pytest.mark.parametrize("when", ["after-due", "after-release"])
def test_withheld_results_are_shown_to_the_student_when_they_are_due(
    graded: Course, course_folder: Path, clock: Clock, when: str
) -> None:
    (course_folder.parent / "mograder.toml").write_text(
        f'[grading]\nresults = "{when}"\n[[assignments]]\nname = "hw1"\ndue = 2026-03-10T13:00:00\n'
    )
    finish(graded)
    student = Visitor(graded)
    student.post("/login", token=token_of(graded, "alice"))
    found, page = ask(graded), student.get("/my/hw1").text
    assert (found["state"], found["result"], found["withheld"]) == ("graded", None, when)
    assert "Submission 1 is graded." in page
    assert "x must be 41" not in page
    assert ask(graded, "alice", INSTRUCTOR)["result"]
    extended = Change(graded.release.assignment(COURSE_INSTRUCTOR, "hw1"), ALICE, Decision.GRANT, "2026-03-10T14:00")
    graded.extensions.decide(COURSE_INSTRUCTOR, [extended])
    clock.now = NOON + 3600 * SECOND + SECOND
    assert ask(graded)["withheld"] == when
    clock.now += 3600 * SECOND
    if when == "after-release":
        assert ask(graded)["withheld"] == when
        graded.store.grades.merge(HW1, (GradeEntry({"username": "alice", "grade": "7"}),), NOTE)
    assert "withheld" not in ask(graded)
    assert "x must be 41" in student.get("/my/hw1").text


def test_a_student_sees_checks_and_points_and_nothing_of_hidden_tests(graded: Course) -> None:
    finish(graded)
    found = ask(graded)
    result = found["result"]
    assert (found["state"], found["attempt"]) == ("graded", 1)
    assert isinstance(result, dict)
    assert (result["points"], result["possible"], result["by_hand"]) == (15.8, 30, ["Q3"])
    assert "x must be 41" in str(result)
    assert not any(each in str(result) for each in SECRET)
    assert all(each in str(ask(graded, as_=INSTRUCTOR)) for each in SECRET)


def test_hidden_tests_show_title_and_result_if_the_assignment_says_so(graded: Course) -> None:
    finish(graded)
    graded.store.jobs.announce(HW1, Announced("t1", Hidden.AFTER_RELEASE))
    assert "Q2: more" not in str(ask(graded))
    graded.grades.upload(
        COURSE_INSTRUCTOR, graded.release.assignment(COURSE_INSTRUCTOR, "hw1"), [{"student": "alice", "mark": 1}]
    )
    assert "Q2: more" in str(ask(graded))
    assert "f(7)" not in str(ask(graded))


def test_the_earlier_result_is_shown_while_a_newer_submission_waits(graded: Course) -> None:
    finish(graded)
    submit_work(graded.store, graded.signer, ALICE, b"better")
    found = ask(graded)
    assert (found["state"], found["attempt"]) == ("waiting", 2)
    assert isinstance(found["result"], dict)
    assert found["result"]["attempt"] == 1


def test_a_failure_of_the_grader_is_no_result_and_its_reason_is_shown_to_instructors_only(graded: Course) -> None:
    for number in range(TRIES):
        job = claim(graded, NOON + number)
        graded.store.jobs.fail(job, "no sandbox", NOON + number + 1)
    assert ask(graded) == {"state": "failed", "attempt": 1, "place": None, "result": None, "error": ""}
    assert ask(graded, as_=INSTRUCTOR)["error"] == "no sandbox"


def test_a_classmate_cannot_read_a_result(graded: Course) -> None:
    finish(graded)
    assert Web(graded)("GET", "/assignments/hw1/result?user=alice", "bob").status_code == 403


def test_the_page_shows_the_place_in_the_queue_and_then_the_result(graded: Course) -> None:
    student = Visitor(graded)
    student.post("/login", token=token_of(graded, "alice"))
    page = student.get("/my/hw1").text
    assert "place 1 in the queue" in page
    assert "/my/hw1/live" in page
    finish(graded, FAILED)
    page = student.get("/my/hw1").text
    assert "ZeroDivisionError" in page
    assert "/my/hw1/live" not in page
    assert not any(each in page for each in SECRET)


def test_open_pages_are_notified_of_the_results_of_their_person_only(graded: Course) -> None:
    submit_work(graded.store, graded.signer, BOB, b"work")
    seen, who = graded.results.graded_since(None)
    assert who is None
    assert graded.results.graded_since(seen) == (seen, frozenset())
    finish(graded)
    seen, who = graded.results.graded_since(seen)
    assert who == {ALICE}
    submit_work(graded.store, graded.signer, ALICE, b"better")
    seen, who = graded.results.graded_since(seen)
    assert who == frozenset()
    for _ in range(2):
        finish(graded)
    assert graded.results.graded_since(seen)[1] == {ALICE, BOB}


def test_a_result_that_may_have_been_missed_between_two_queries_is_reported_to_everybody(graded: Course) -> None:
    finish(graded)
    seen, _ = graded.results.graded_since(None)
    submit_work(graded.store, graded.signer, BOB, b"work")
    finish(graded)
    assert graded.results.graded_since(seen)[1] is None


def test_the_board_shows_what_waits_and_what_failed(graded: Course) -> None:
    submit_work(graded.store, graded.signer, BOB, b"work")
    for number in range(TRIES):
        graded.store.jobs.fail(claim(graded, NOON + number), "no sandbox", NOON)
    teacher = Visitor(graded)
    teacher.post("/login", token=token_of(graded, INSTRUCTOR))
    page = teacher.get("/board").text
    assert "1 submission waits to be graded" in page
    assert "no sandbox" in page


def test_instructors_see_results_and_their_doubts_on_the_pages_of_assignment_and_person(graded: Course) -> None:
    submit_work(graded.store, graded.signer, BOB, b"work")
    teacher = Visitor(graded)
    teacher.post("/login", token=token_of(graded, INSTRUCTOR))
    assert "2 submissions wait to be graded" in teacher.get("/board/hw1").text
    doubtful = replace(HALF_RIGHT, changed_cells=("check(Q1)",), flaky=("Q1: parity",), isolated=False)
    finish(graded, doubtful)
    page = teacher.get("/board/hw1").text
    assert "15.8 of 30" in page
    assert all(f'<span class="badge">{flag}</span>' in page for flag in ("changed cells", "unprotected"))
    page = teacher.get("/board/hw1/people/alice").text
    assert all(each in page for each in SECRET)
    assert "check(Q1)" in page
    assert "Q1: parity" in page


def test_a_result_that_the_course_did_not_sign_is_not_shown(graded: Course) -> None:
    job = claim(graded)
    other_signer = Ed25519Signer(new_private_key())
    forged = other_signer.sign(claims_of(record(HALF_RIGHT, username="alice", receipt=job.receipt)), KIND)
    graded.store.jobs.finish(job, Result(job.receipt, "t1", HW1, job.username, NOON, forged))
    assert (ask(graded)["state"], ask(graded)["result"]) == ("failed", None)
    teacher = Visitor(graded)
    teacher.post("/login", token=token_of(graded, INSTRUCTOR))
    assert "cannot be believed" in teacher.get("/board/hw1").text
    assert "not signed by this course" in teacher.get("/board/hw1/people/alice").text


def test_the_state_of_grading_has_an_endpoint_and_failures_are_shown_on_the_board(graded: Course) -> None:
    submit_work(graded.store, graded.signer, BOB, b"work", NOON + SECOND)

    def watched() -> dict[str, object]:
        return Web(graded)("GET", "/grading", INSTRUCTOR).json()  # type: ignore[no-any-return]

    first = claim(graded)
    assert watched() == {
        "waiting": 2, "running": 1, "oldest": NOON / SECOND, "retried": 0, "failed": 0, "error": "", "graded": None,
    }  # fmt: skip
    graded.store.jobs.fail(first, "no sandbox here", NOON)
    found = watched()
    assert (found["running"], found["retried"], found["failed"], found["error"]) == (0, 1, 0, "no sandbox here")
    teacher = Visitor(graded)
    teacher.post("/login", token=token_of(graded, INSTRUCTOR))
    board = teacher.get("/board").text
    assert "1 submission could not be graded yet" in board
    assert "no sandbox here" in board
    finish(graded)
    finish(graded)
    found = watched()
    assert (found["waiting"], found["retried"], found["graded"]) == (0, 0, NOON / SECOND)
    assert Web(graded)("GET", "/grading", "alice").status_code == 403
