"""The services of a course over a real folder: registration, submissions, grades, the roster, sessions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mograder.config import utc_now
from mograder.domain.access import COURSE_INSTRUCTOR, Account, Actor, Role
from mograder.domain.accounts import ASK_AGAIN_FOR, hash_code, same_text
from mograder.domain.assignments import Assignment, find_assignment
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.deadlines import Schedule
from mograder.domain.errors import (
    BadRequest,
    Closed,
    NameTaken,
    NotFound,
    NotOpen,
    RegistrationOff,
    TooLarge,
    Unauthenticated,
    WrongCode,
    WrongType,
)
from mograder.domain.grades import Uploaded
from mograder.domain.names import INSTRUCTOR, AssignmentName, Username
from mograder.domain.release import Download, Fetched
from mograder.domain.roster import Person
from mograder.domain.submissions import Accepted
from mograder.domain.tokens import Token, sign
from tests.parts import (
    ALICE,
    BOB,
    CODE,
    NOON,
    SECOND,
    Clock,
    compared_in_constant_time,
    filled,
    make_course_folder,
    open_course,
    token_of,
)  # fmt: skip

STUDENT = Actor(ALICE, Role.STUDENT)
NOTE = Event(NOON, INSTRUCTOR, "test", "x")


def put(course: Course, account: Account) -> None:
    course.store.accounts.change(account.username, lambda held: account, NOTE)


def submit(
    course: Course, content: bytes = b"work", received: int = NOON, actor: Actor = STUDENT, filename: str = ""
) -> Accepted:
    body = filled(course.submissions.upload(), content)
    try:
        return course.submissions.submit(
            actor, course.release.assignment(actor, "hw1"), ALICE, body, received, filename
        )
    finally:
        body.discard()


def plan(course_folder: Path, text: str) -> None:
    (course_folder.parent / "mograder.toml").write_text(f"[[assignments]]\nname = 'hw1'\n{text}")


# names and tokens


def test_registering_with_the_enrollment_code_gives_a_token(course: Course) -> None:
    name, token = course.accounts.register(" alice ", f" {CODE}\n")
    assert (name, course.accounts.authenticate(Token.parse(token))) == ("alice", STUDENT)
    assert course.store.accounts.get(ALICE) == Account(ALICE, bound=True, created=NOON, claimed=NOON)
    assert [(event.actor, event.action, event.moment) for event in course.store.audit.events()] == [
        ("alice", "register", NOON)
    ]


@pytest.mark.parametrize("code", ["", " ", "-", "swordfis", "swordfish2", "schwertfisch", "ß"])
def test_a_wrong_enrollment_code_registers_nobody(course: Course, code: str) -> None:
    with pytest.raises(WrongCode, match=r"enrollment code.*(ask your instructor|your instructor gave you)"):
        course.accounts.register("alice", code)
    assert course.store.accounts.all() == []


@pytest.mark.parametrize("code", ["Swordfish", "SWORD-FISH", " sword fish\t", "sword\u2011fish"])
def test_spaces_hyphens_and_case_of_the_enrollment_code_are_ignored(course: Course, code: str) -> None:
    assert course.accounts.register("alice", code)[0] == "alice"


@pytest.mark.parametrize("spell", [str.upper, lambda code: code.replace("-", " "), lambda code: code.replace("-", "")])
@pytest.mark.parametrize("name", ["alice", "Alice", " ALICE "])
def test_name_and_personal_code_are_accepted_in_any_spelling(
    course: Course, name: str, spell: Callable[[str], str]
) -> None:
    (code,) = add(course, Person(ALICE))
    username, token = course.accounts.register(name, spell(code))
    assert (username, course.accounts.authenticate(Token.parse(token))) == (ALICE, STUDENT)
    assert [each.username for each in course.store.accounts.all()] == [ALICE]


def test_that_a_name_needs_a_personal_code_is_told_only_to_those_who_know_the_shared_code(course: Course) -> None:
    (code,) = add(course, Person(ALICE))
    with pytest.raises(WrongCode, match="'alice' is on the course's roster and joins with a personal code"):
        course.accounts.register("alice", "SWORDFISH")

    def refusal(user: str, code: str) -> str:
        with pytest.raises(WrongCode) as caught:
            course.accounts.register(user, code)
        return caught.value.message.replace(user, "somebody")

    course.accounts.register("alice", code)
    add(course, Person(BOB))
    # The answer does not tell whether a name is registered, on the roster, or unknown.
    for wrong in (code, "abcd efgh jkmn", "guess", ""):
        assert len({refusal(user, wrong) for user in ("alice", "bob", "carl")}) == 1
    assert "if you used it before, log in with your token" in refusal("alice", code)


def test_a_course_states_the_ways_to_join(course: Course) -> None:
    assert course.accounts.ways_to_join == (True, False)
    (code,) = add(course, Person(ALICE))
    assert course.accounts.ways_to_join == (True, True)
    assert replace(course, enrollment_code="").accounts.ways_to_join == (False, True)
    course.accounts.register("alice", code, "k" * 64)
    assert course.accounts.ways_to_join == (True, False)


@pytest.mark.parametrize("name", ["alice", "ALICE"])
def test_a_taken_name_cannot_be_registered_again(course: Course, name: str) -> None:
    course.accounts.register("alice", CODE)
    with pytest.raises(NameTaken, match=f"the name '{name}' is taken: if it is yours, log in with your token"):
        course.accounts.register(name, CODE)
    assert len(course.store.accounts.all()) == 1


def test_a_name_with_a_personal_code_is_registered_once_and_not_with_the_shared_code(course: Course) -> None:
    put(course, Account(ALICE, generation=2, bound=True, code_hash=hash_code("one-time")))
    with pytest.raises(WrongCode):
        course.accounts.register("alice", CODE)
    with pytest.raises(WrongCode):
        course.accounts.register("bob", "one-time")
    _, token = course.accounts.register("alice", "one-time")
    assert course.accounts.authenticate(Token.parse(token)) == STUDENT
    for code in ("one-time", CODE):
        with pytest.raises((WrongCode, NameTaken)):
            course.accounts.register("alice", code)


@pytest.mark.parametrize("code", [CODE, "one-time"])
def test_of_many_simultaneous_registrations_of_a_name_one_succeeds(course: Course, code: str) -> None:
    for number in range(10):
        user = Username(f"s{number}")
        if code != CODE:
            put(course, Account(user, code_hash=hash_code(code)))
        together = Barrier(8)

        def claim(_: int, user: Username = user, together: Barrier = together) -> bool:
            together.wait()
            try:
                course.accounts.register(user, code)
            except (NameTaken, WrongCode):
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(claim, range(8))) == 1


def test_personal_codes_work_without_a_shared_code(course: Course) -> None:
    course = replace(course, enrollment_code="")
    with pytest.raises(RegistrationOff, match="registration is off: ask your instructor for a token"):
        course.accounts.register("alice", "")
    put(course, Account(ALICE, code_hash=hash_code("one-time")))
    with pytest.raises(WrongCode):
        course.accounts.register("bob", "")
    assert course.accounts.register("alice", "one-time")[0] == "alice"


def test_an_unclaimed_account_on_the_roster_can_be_registered(course: Course) -> None:
    put(course, Account(ALICE, name="Alice A."))
    course.accounts.register("alice", CODE)
    account = course.store.accounts.get(ALICE)
    assert account is not None
    assert (account.name, account.bound) == ("Alice A.", True)


def test_a_reset_invalidates_one_token_and_no_other(course: Course) -> None:
    tokens = [Token.parse(token_of(course, name)) for name in ("alice", "bob", INSTRUCTOR)]
    put(course, Account(ALICE, bound=True, generation=1))
    with pytest.raises(Unauthenticated, match="wrong token: log in again, or ask your instructor for a new one"):
        course.accounts.authenticate(tokens[0])
    assert [course.accounts.authenticate(token).username for token in tokens[1:]] == ["bob", INSTRUCTOR]
    renewed = sign(course.store.keys.secrets()[0], ALICE, 1)
    assert course.accounts.authenticate(Token.parse(renewed)) == STUDENT


def test_a_token_of_the_published_server_is_valid_without_an_account(course: Course) -> None:
    assert course.accounts.authenticate(Token.parse(token_of(course, "alice"))) == STUDENT
    assert course.accounts.authenticate(Token.parse(token_of(course, INSTRUCTOR))) == COURSE_INSTRUCTOR


def test_a_person_with_the_role_instructor_is_an_instructor(course: Course) -> None:
    put(course, Account(BOB, Role.INSTRUCTOR, bound=True))
    assert course.accounts.authenticate(Token.parse(token_of(course, "bob"))).is_instructor


def test_names_for_which_tokens_were_issued_cannot_be_registered(course: Course) -> None:
    issued = course.roster.enrol([ALICE, BOB])
    assert course.roster.enrol([ALICE, BOB]) == issued == [(name, token_of(course, name)) for name in (ALICE, BOB)]
    assert course.roster.all() == [Account(name, bound=True, created=NOON) for name in (ALICE, BOB)]
    with pytest.raises(NameTaken):
        course.accounts.register("alice", CODE)
    with pytest.raises(NameTaken, match="by case alone"):
        course.roster.enrol([Username("Alice")])


# released files


def test_an_assignment_is_found_by_name_then_by_id(course_folder: Path, course: Course) -> None:
    entries = [{"name": "one", "id": "two"}, {"name": "two", "id": 7}]
    (course_folder / "assignments.json").write_text(json.dumps(entries))
    found = [course.release.assignment(STUDENT, text).name for text in ("one", "two", "7")]
    assert found == ["one", "two", "two"]
    with pytest.raises(NotFound, match="'three'"):
        course.release.assignment(STUDENT, "three")


@given(text=st.text())
def test_only_name_and_id_find_an_assignment(text: str) -> None:
    known = (Assignment(AssignmentName("hw1"), "1"),)
    assert (find_assignment(known, text) is not None) == (text in ("hw1", "1"))


def test_students_see_an_assignment_from_its_opening_time_on(course: Course, course_folder: Path, clock: Clock) -> None:
    plan(course_folder, "opens = 2026-03-10T12:00:00")
    clock.now = NOON - 1
    assert course.release.assignments(STUDENT) == course.release.for_students() == ()
    assert len(course.release.assignments(COURSE_INSTRUCTOR)) == 1
    for attempt in (lambda: course.release.file(STUDENT, "hw1", "hw1.py"), lambda: submit(course)):
        with pytest.raises(NotFound):
            attempt()
    with pytest.raises(NotOpen, match=r"^'hw1' opens at Tue 2026-03-10 12:00 UTC$"):
        course.release.assignment(STUDENT, "hw1")
    plan(course_folder, "opens = 2026-03-10T12:00:00\nhidden = true")
    with pytest.raises(NotFound, match=r"^there is no assignment 'hw1'$") as refused:
        course.release.assignment(STUDENT, "hw1")
    assert type(refused.value) is NotFound
    clock.now = NOON
    assert course.release.file(STUDENT, "hw1", "hw1.py").name == "hw1.py"
    assert [each.name for each in course.release.for_students()] == ["hw1"]


def test_a_manifest_may_refer_to_a_folder_that_is_no_assignment(course: Course, course_folder: Path) -> None:
    make_course_folder(course_folder.parent.parent, "shared", "private")
    entry = {"name": "hw1", "files": [{"filename": "s.py", "url": "/assignments/shared/files/shared.py"}]}
    (course_folder / "assignments.json").write_text(json.dumps([entry]))
    assert course.release.file(STUDENT, "shared", "shared.py").name == "shared.py"
    with pytest.raises(NotFound, match=r"no file 'private\.py' in 'private'"):
        course.release.file(STUDENT, "private", "private.py")


# submissions


def test_a_submission_is_accepted_until_the_end_of_the_second_of_the_closing_time(
    course: Course, course_folder: Path
) -> None:
    plan(course_folder, "due = 2026-03-10T11:00:00\ncloses = 2026-03-10T12:00:00")
    assert not submit(course, received=NOON + SECOND - 1).repeated
    with pytest.raises(
        Closed, match=r"closed at Tue 2026-03-10 12:00 UTC; this arrived at Tue 2026-03-10 12:00:01 UTC"
    ) as refused:
        submit(course, b"late", NOON + SECOND)
    assert refused.value.details == {"closes": NOON // SECOND}
    assert submit(course, b"late", NOON + SECOND, COURSE_INSTRUCTOR).receipt.submission.by == INSTRUCTOR


def test_an_empty_too_large_or_wrongly_typed_file_is_refused(course: Course, course_folder: Path) -> None:
    plan(course_folder, "max_size = 5\naccepts = ['py', 'zip']")
    with pytest.raises(BadRequest, match="empty"):
        submit(course, b"")
    with pytest.raises(TooLarge, match="6 bytes; at most 5"):
        submit(course, b"123456")
    with pytest.raises(WrongType, match=r"takes \.py, \.zip"):
        submit(course, filename="x.ipynb")
    assert list(course.store.submissions.receipts()) == []
    for filename in ("", "x.py", "X.PY"):
        submit(course, b"12345", filename=filename)
    course.submissions.submit(
        STUDENT, course.release.assignment(STUDENT, "hw1"), ALICE, filled(course.submissions.upload(), b"54321"), NOON
    )


def test_no_assignment_accepts_larger_files_than_the_course(course: Course, course_folder: Path) -> None:
    plan(course_folder, "max_size = 50")
    assert replace(course, max_upload=10).admission.limit_for(course.release.assignment(STUDENT, "hw1")) == 10


def test_the_history_has_every_receipt_of_a_person_in_order(course: Course) -> None:
    for number in range(3):
        submit(course, b"%d" % number, NOON - number * SECOND)
    hw1, hw2 = Assignment(AssignmentName("hw1"), "hw1"), Assignment(AssignmentName("hw2"), "hw2")
    course.submissions.submit(STUDENT, hw2, ALICE, filled(course.submissions.upload(), b"other"), NOON)
    assert [receipt.submission.attempt for receipt in course.submissions.history(hw1, ALICE)] == [1, 2, 3]
    assert [receipt.number for receipt in course.submissions.history(hw2, ALICE)] == [4]
    assert [receipt.number for receipt in course.submissions.receipts(ALICE)] == [1, 2, 3, 4]
    assert list(course.submissions.history(hw1, BOB)) == list(course.submissions.receipts(BOB)) == []
    with pytest.raises(NotFound, match=r"no submission 'bob\.py' in 'hw1'"):
        course.submissions.file(hw1, "bob.py")


def test_receipts_name_the_course_by_its_title_or_else_by_its_key(course: Course, course_folder: Path) -> None:
    def named(content: bytes) -> object:
        return course.signer.verify(submit(course, content).receipt.text)["course"]

    assert named(b"1") == course.signer.public_keys()[0]["kid"]
    (course_folder.parent / "mograder.toml").write_text("title = 'Kurs'")
    assert named(b"2") == "Kurs"


# grades and feedback


def test_a_grade_is_shown_once_it_is_released(course: Course) -> None:
    assignment = course.release.assignment(STUDENT, "hw1")
    entry = {"username": "alice", "grade": "5"}
    course.grades.upload(COURSE_INSTRUCTOR, assignment, {"grades": [entry], "workflow_state": "inreview"})
    assert course.standings.of(assignment, ALICE).grade is None
    uploaded = course.grades.upload(COURSE_INSTRUCTOR, assignment, [entry, {"userid": "bob"}])
    assert (uploaded.stored, uploaded.received) == (2, 2)
    seen = course.standings.of(assignment, ALICE).grade
    assert seen is not None
    assert seen.grade == "5"
    assert [each.person for each in course.grades.of(assignment)] == ["alice", "bob"]


def test_an_upload_of_grades_names_unknown_people(course: Course, course_folder: Path) -> None:
    assignment = course.release.assignment(STUDENT, "hw1")
    submit(course, b"work")
    course.roster.add(COURSE_INSTRUCTOR, [Person(Username("bob"), "", Role.STUDENT)])
    rows = [{"username": name, "grade": "5"} for name in ("alice", "bob", "Bob", "carl")]
    for _ in range(2):  # also if they are in the table already
        assert course.grades.upload(COURSE_INSTRUCTOR, assignment, rows).unknown == ("Bob", "carl")
    course.store.settler.settle()
    (course_folder.parent / "submitted").rename(course_folder.parent / "away")
    assert course.grades.upload(COURSE_INSTRUCTOR, assignment, rows) == Uploaded(4, 4)


def test_feedback_is_found_only_for_its_person(course: Course) -> None:
    assignment = course.release.assignment(STUDENT, "hw1")
    course.grades.upload_feedback(COURSE_INSTRUCTOR, assignment, {ALICE: b"<p>"})
    assert course.grades.feedback(assignment, ALICE).read() == b"<p>"
    assert course.standings.of(assignment, ALICE).feedback_available
    with pytest.raises(NotFound, match="no feedback for 'bob' in 'hw1'"):
        course.grades.feedback(assignment, BOB)


@given(left=st.text(), right=st.text())
def test_secrets_are_compared_exactly(left: str, right: str) -> None:
    assert same_text(left, left)
    assert same_text(left, right) == (left == right)


def test_a_person_can_download_only_own_submissions_by_the_names_in_the_receipts(course: Course) -> None:
    submit(course, b"one")
    submit(course, b"two", NOON + SECOND)
    hw1 = course.release.assignment(STUDENT, "hw1")
    course.submissions.submit(Actor(BOB, Role.STUDENT), hw1, BOB, filled(course.submissions.upload(), b"bobs"), NOON)
    contents = {"alice.py": b"two", "alice_20260310T120000.py": b"one", "alice_20260310T120001.py": b"two"}
    assert {name: course.submissions.own_file(hw1, ALICE, name).read() for name in contents} == contents
    for name in ("bob.py", "bob_20260310T120000.py", "alice_20260310T120002.py", "../alice.py"):
        with pytest.raises(NotFound, match=f"'alice' has no submission '{re.escape(name)}' in 'hw1'"):
            course.submissions.own_file(hw1, ALICE, name)


def test_a_download_is_recorded_for_the_assignment_that_lists_the_file(course: Course, course_folder: Path) -> None:
    make_course_folder(course_folder.parent.parent, "shared")
    entry = {"name": "hw1", "files": [{"filename": "s.py", "url": "/assignments/shared/files/shared.py"}]}
    (course_folder / "assignments.json").write_text(json.dumps([{"name": "hw0", "files": []}, entry]))
    course.release.note_downloads(
        [Download(STUDENT, "shared", "shared.py", NOON), Download(STUDENT, "hw0", "x.py", NOON + 1)]
    )
    assert sorted(course.store.release.fetched(ALICE), key=lambda each: each.moment) == [
        Fetched(AssignmentName("hw1"), ALICE, NOON), Fetched(AssignmentName("hw0"), ALICE, NOON + 1),
    ]  # fmt: skip


def test_submissions_of_the_last_hour_are_counted_by_the_minute(course: Course, clock: Clock) -> None:
    for number, ago in enumerate((-1, 0, 59, 60, 3599, 3600)):
        submit(course, b"%d" % number, NOON - ago * SECOND)
    clock.now = NOON
    rush = course.submissions.rush()
    assert (len(rush), rush[0], rush[58], rush[59], sum(rush)) == (60, 1, 1, 2, 4)


def test_a_token_of_one_course_is_not_valid_in_another(course: Course, tmp_path: Path, clock: Clock) -> None:
    other = open_course(make_course_folder(tmp_path / "other"), clock)
    with pytest.raises(Unauthenticated):
        course.accounts.authenticate(Token.parse(token_of(other, "alice")))
    other.store.close()


# the roster


def add(course: Course, *people: Person) -> list[str]:
    return [code for _, code in course.roster.add(COURSE_INSTRUCTOR, people or (Person(ALICE, "Alice A."),))]


def audit_entries(course: Course) -> list[tuple[str, str, str, str]]:
    return [(each.actor, each.action, each.subject, each.detail) for each in reversed(course.audit.events())]


def test_a_name_on_the_roster_is_registered_once_and_only_with_its_personal_code(course: Course) -> None:
    alices, bobs = add(course, Person(ALICE), Person(BOB))
    assert alices != bobs
    for wrong in (CODE, bobs, "", hash_code(alices)):
        with pytest.raises(WrongCode):
            course.accounts.register("alice", wrong)
    _, token = course.accounts.register("alice", alices)
    assert course.accounts.authenticate(Token.parse(token)) == STUDENT
    with pytest.raises((WrongCode, NameTaken)):
        course.accounts.register("alice", alices)


def test_codes_and_claim_keys_are_compared_in_constant_time(course: Course) -> None:
    course.roster.add(COURSE_INSTRUCTOR, [Person(ALICE)])
    course.accounts.register("bob", CODE, "k" * 32)
    # With the shared code; with the shared code and the personal code of alice; with the claim key.
    for name, key, times in (("carol", "", 1), ("alice", "", 3), ("bob", "x" * 32, 2)):
        with compared_in_constant_time() as compared, pytest.raises(WrongCode):
            course.accounts.register(name, "no code", key)
        assert len(compared) == times


def test_only_the_hash_of_a_personal_code_is_stored(course: Course) -> None:
    (code,) = add(course)
    account = course.store.accounts.get(ALICE)
    assert account == Account(ALICE, name="Alice A.", created=NOON, code_hash=hash_code(code))
    assert code not in repr((course.roster.all(), course.audit.events()))


def test_registering_again_after_a_reset_gives_a_token_of_the_current_generation(course: Course) -> None:
    put(course, Account(ALICE, generation=2))
    (code,) = add(course)
    assert course.accounts.register("alice", code)[1] == sign(course.store.keys.secrets()[0], ALICE, 2)


def test_adding_an_existing_person_keeps_name_and_role_and_gives_no_new_code(course: Course) -> None:
    course.accounts.register("alice", CODE)
    (first,) = add(course, Person(BOB, "Bob"))
    codes = add(course, Person(ALICE, "Alice A.", Role.INSTRUCTOR), Person(BOB, "Robert"), Person(Username("carl")))
    assert [bool(code) for code in codes] == [False, False, True]
    shown = {each.username: (each.name, each.role, each.bound) for each in course.roster.all()}
    assert shown["alice"] == ("Alice A.", Role.STUDENT, True)
    assert shown["bob"] == ("Bob", Role.STUDENT, False)
    assert course.accounts.register("bob", first)[0] == "bob"


def test_importing_a_list_again_adds_nothing_to_the_audit_log(course: Course) -> None:
    add(course, Person(ALICE), Person(BOB, "Bob"))
    before = course.audit.events()
    add(course, Person(ALICE), Person(BOB, "Robert"))
    assert course.audit.events() == before
    add(course, Person(ALICE, "Alice A."), Person(BOB, "Bob"))
    assert [each.subject for each in course.audit.events()] == ["alice", "bob", "alice"]


def test_people_are_added_together_or_not_at_all(course: Course) -> None:
    course.accounts.register("bob", CODE)
    with pytest.raises(NameTaken, match="case"):
        add(course, Person(ALICE), Person(Username("BOB")))
    assert [each.username for each in course.roster.all()] == ["bob"]


def test_a_reset_invalidates_the_token_and_a_new_code_registers_the_name(course: Course) -> None:
    _, old = course.accounts.register("alice", CODE)
    for _ in range(2):
        account, code = course.roster.reset(COURSE_INSTRUCTOR, ALICE)
        with pytest.raises(Unauthenticated):
            course.accounts.authenticate(Token.parse(old))
        with pytest.raises(WrongCode):
            course.accounts.register("alice", CODE)
        assert (account.bound, account.username) == (False, "alice")
        _, new = course.accounts.register("alice", code)
        assert course.accounts.authenticate(Token.parse(new)) == STUDENT
        assert new != old
        old = new


def test_a_person_can_be_made_an_instructor_and_a_student_again(course: Course) -> None:
    _, token = course.accounts.register("alice", CODE)
    course.roster.set_role(COURSE_INSTRUCTOR, ALICE, Role.INSTRUCTOR)
    actor = course.accounts.authenticate(Token.parse(token))
    assert actor.is_instructor
    course.grades.upload(actor, course.release.assignment(actor, "hw1"), [{"username": "bob", "grade": 1}])
    course.roster.set_role(actor, ALICE, Role.STUDENT)
    assert not course.accounts.authenticate(Token.parse(token)).is_instructor
    assert audit_entries(course) == [
        ("alice", "register", "alice", ""), (INSTRUCTOR, "role", "alice", "instructor"),
        ("alice", "grades", "hw1", "1 grade"), ("alice", "role", "alice", "student"),
    ]  # fmt: skip


def test_a_removed_person_has_no_access_and_the_name_cannot_be_registered(course: Course) -> None:
    _, token = course.accounts.register("alice", CODE)
    submit(course)
    (code,) = add(course, Person(BOB))
    for name in (ALICE, BOB):
        course.roster.remove(COURSE_INSTRUCTOR, name)
    with pytest.raises(Unauthenticated):
        course.accounts.authenticate(Token.parse(token))
    for name, tried in (("alice", CODE), ("ALICE", CODE), ("bob", CODE), ("bob", code)):
        with pytest.raises((NameTaken, WrongCode)):
            course.accounts.register(name, tried)
    assert add(course, Person(ALICE)) == [""]
    with pytest.raises(NameTaken, match="removed"):
        course.roster.enrol([Username("carl"), ALICE])
    assert course.store.accounts.get(Username("carl")) is None
    assert [each.file.username for each in course.submissions.collect(course.release.assignment(STUDENT, "hw1"))] == [
        "alice"
    ]
    _, back = course.roster.reset(COURSE_INSTRUCTOR, ALICE)
    assert course.accounts.register("alice", back)[0] == "alice"
    assert [each.removed for each in course.roster.all()] == [False, True]
    with pytest.raises(Unauthenticated):
        course.accounts.authenticate(Token.parse(token))


@pytest.mark.parametrize("name", ["nobody", "Alice", INSTRUCTOR])
def test_an_unknown_person_cannot_be_changed(course: Course, name: str) -> None:
    course.accounts.register("alice", CODE)
    before = course.roster.all(), course.audit.events()
    for change in (
        lambda user: course.roster.reset(COURSE_INSTRUCTOR, user),
        lambda user: course.roster.remove(COURSE_INSTRUCTOR, user),
        lambda user: course.roster.set_role(COURSE_INSTRUCTOR, user, Role.INSTRUCTOR),
    ):
        with pytest.raises(NotFound, match=f"nobody called '{name}' is on the roster"):
            change(Username(name))
    assert (course.roster.all(), course.audit.events()) == before


def test_a_person_with_submissions_but_no_account_can_be_reset(course: Course) -> None:
    token = Token.parse(token_of(course, ALICE))
    submit(course, actor=course.accounts.authenticate(token))
    course.roster.reset(COURSE_INSTRUCTOR, ALICE)
    with pytest.raises(Unauthenticated):
        course.accounts.authenticate(token)


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_name_with_existing_work_cannot_be_registered_but_other_names_can(
    course: Course, course_folder: Path, by_hand: bool
) -> None:
    file = course_folder.parent / "submitted" / "hw1" / "alice.py"
    if by_hand:
        file.parent.mkdir(parents=True)
        file.write_bytes(b"by mail")
    else:
        submit(course)
        file.unlink()
    with pytest.raises(NameTaken, match="'alice' is taken"):
        course.accounts.register("alice", CODE)
    listed = course.roster.set_role(COURSE_INSTRUCTOR, ALICE, Role.INSTRUCTOR)
    assert listed == Account(ALICE, Role.INSTRUCTOR, bound=True, created=NOON)
    assert course.accounts.register("bob", CODE)[0] == "bob"


def test_the_instructor_of_the_course_cannot_be_removed(course: Course) -> None:
    body = filled(course.submissions.upload(), b"trying it out")
    course.submissions.submit(
        COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, "hw1"), INSTRUCTOR, body, NOON
    )
    with pytest.raises(NotFound):
        course.roster.remove(COURSE_INSTRUCTOR, INSTRUCTOR)


def test_after_a_rotation_old_tokens_are_accepted_until_the_grace_period_ends(course: Course, clock: Clock) -> None:
    clock.now = utc_now()
    token, again = token_of(course, ALICE), token_of(course, ALICE)
    assert course.keys.rotate(COURSE_INSTRUCTOR, 3600 * SECOND) == clock.now + 3600 * SECOND
    assert course.accounts.authenticate(Token.parse(token)) == STUDENT
    assert token_of(course, ALICE) != again
    course.keys.rotate(COURSE_INSTRUCTOR, 0)
    with pytest.raises(Unauthenticated):
        course.accounts.authenticate(Token.parse(token))
    assert course.accounts.authenticate(Token.parse(token_of(course, ALICE))) == STUDENT


# sessions and links


def test_a_session_ends_with_a_reset_and_has_the_current_role_of_the_person(course: Course) -> None:
    assert course.accounts.resume(ALICE, course.accounts.generation(ALICE)) == STUDENT
    course.accounts.register("alice", CODE)
    course.roster.set_role(COURSE_INSTRUCTOR, ALICE, Role.INSTRUCTOR)
    assert course.accounts.resume(ALICE, course.accounts.generation(ALICE)) == Actor(ALICE, Role.INSTRUCTOR)
    course.roster.reset(COURSE_INSTRUCTOR, ALICE)
    with pytest.raises(Unauthenticated, match="your session has ended: log in again"):
        course.accounts.resume(ALICE, 0)
    assert course.accounts.resume(ALICE, course.accounts.generation(ALICE)).username == ALICE


def test_a_ticket_is_valid_once_and_until_it_expires(course: Course, clock: Clock) -> None:
    course.guard.spend("one", NOON)
    course.guard.spend("two", NOON + SECOND)
    clock.now = NOON + SECOND
    for ticket, until in (("three", NOON), ("two", NOON + SECOND)):
        with pytest.raises(Unauthenticated, match="this link was used already or is too old: ask for a new one"):
            course.guard.spend(ticket, until)
    course.guard.spend("three", NOON + SECOND)  # a failed use of an expired ticket is not stored
    course.guard.spend("one", NOON + SECOND)  # expired tickets are deleted


def test_only_instructors_learn_which_files_are_broken(course: Course, course_folder: Path) -> None:
    (course_folder.parent / "mograder.toml").write_text("[")
    assert course.config_errors(STUDENT) == ()
    assert ["mograder.toml" in each.place for each in course.config_errors(COURSE_INSTRUCTOR)] == [True]


# repeating a registration after a lost answer

KEY = "k" * 32


def test_a_retry_with_the_same_claim_key_gets_the_same_token_for_an_hour(course: Course, clock: Clock) -> None:
    first = course.accounts.register("alice", CODE, KEY)
    clock.now += ASK_AGAIN_FOR - 1
    assert course.accounts.register("alice", CODE, KEY) == first
    for name, key in (("alice", "x" * 32), ("alice", ""), ("ALICE", "")):
        with pytest.raises(NameTaken):
            course.accounts.register(name, CODE, key)
    clock.now += 1
    with pytest.raises(NameTaken):
        course.accounts.register("alice", CODE, KEY)
    assert [each.action for each in course.audit.events()] == ["register"]


def test_a_name_registered_without_a_claim_key_is_given_to_no_claim_key(course: Course) -> None:
    course.accounts.register("alice", CODE)
    for key in ("", KEY):
        with pytest.raises(NameTaken):
            course.accounts.register("alice", CODE, key)


def test_the_last_personal_code_can_be_repeated_with_its_claim_key(course: Course) -> None:
    alone = replace(course, enrollment_code="")
    alone.roster.add(COURSE_INSTRUCTOR, [Person(ALICE)])
    _, code = alone.roster.reset(COURSE_INSTRUCTOR, ALICE)
    first = alone.accounts.register("alice", code, KEY)
    assert alone.accounts.register("alice", code, KEY) == first
    with pytest.raises(WrongCode):
        alone.accounts.register("alice", code, "x" * 32)


@pytest.mark.parametrize("key", [KEY, "x" * 200])
def test_a_retry_during_the_first_registration_gets_the_same_token_only_with_the_same_claim_key(
    course: Course, key: str
) -> None:
    first: list[tuple[str, str]] = []

    def under_way() -> int:
        if not first:
            first.append(course.accounts.register("alice", CODE, KEY))
        return NOON

    again = replace(course, clock=under_way)
    if key == KEY:
        assert again.accounts.register("alice", CODE, key) == first[0]
    else:
        with pytest.raises(NameTaken, match="'alice' is taken"):
            again.accounts.register("alice", CODE, key)
    assert again.accounts.register("bob", CODE, key)[0] == "bob"


def test_after_a_logout_a_registration_cannot_be_repeated(course: Course, clock: Clock) -> None:
    bob = Actor(BOB, Role.STUDENT)
    for nobody in (STUDENT, bob):
        course.accounts.end_claim(nobody)
    course.accounts.register("bob", CODE)
    course.accounts.end_claim(bob)
    course.accounts.register("alice", CODE, KEY)
    held = course.store.accounts.get(ALICE)
    clock.now += 5
    course.accounts.end_claim(STUDENT)
    assert held is not None
    assert course.store.accounts.get(ALICE) == replace(held, claim_hash=None)
    assert course.audit.events()[0] == Event(NOON + 5, "alice", "logout", "alice")
    assert len(course.audit.events()) == 3
    with pytest.raises(NameTaken):
        course.accounts.register("alice", CODE, KEY)


@pytest.mark.parametrize("action", ["reset", "remove"])
def test_a_reset_or_removal_also_invalidates_the_claim_key(course: Course, action: str) -> None:
    course.accounts.register("alice", CODE, KEY)
    getattr(course.roster, action)(COURSE_INSTRUCTOR, ALICE)
    with pytest.raises((WrongCode, NameTaken)):
        course.accounts.register("alice", CODE, KEY)


@pytest.mark.parametrize("key", ["short", "k" * 31, "k" * 201])
def test_a_claim_key_that_is_too_short_or_too_long_is_refused(course: Course, key: str) -> None:
    with pytest.raises(BadRequest, match=f"the claim key has {len(key)} characters: make 32 random ones"):
        course.accounts.register("alice", CODE, key)
    assert course.roster.all() == []


# the audit log


def test_the_audit_log_records_who_did_what_to_whom_and_when(course: Course, clock: Clock) -> None:
    tutor, wanted = Actor(BOB, Role.INSTRUCTOR), []

    def noted(actor: str, action: str, subject: str, detail: str = "") -> None:
        wanted.insert(0, Event(clock.now, actor, action, subject, detail))
        assert course.audit.events() == wanted
        clock.now += SECOND

    assignment = course.release.assignment(tutor, "hw1")
    course.roster.enrol([ALICE])
    noted(INSTRUCTOR, "enrol", "alice")
    course.roster.add(tutor, [Person(Username("carl"))])
    noted("bob", "add", "carl")
    course.roster.set_role(tutor, ALICE, Role.INSTRUCTOR)
    noted("bob", "role", "alice", "instructor")
    course.roster.reset(tutor, ALICE)
    noted("bob", "reset", "alice")
    course.roster.remove(tutor, ALICE)
    noted("bob", "remove", "alice")
    course.keys.rotate(tutor, 0)
    noted("bob", "rotate", "secret")
    course.grades.upload(tutor, assignment, [{"username": "alice"}, {"username": "carl"}])
    noted("bob", "grades", "hw1", "0 grades")  # as in a table in which a column has another name
    course.grades.upload(tutor, assignment, [{"username": "alice", "mark": 0}, {"username": "carl", "grade": ""}])
    noted("bob", "grades", "hw1", "1 grade")
    course.grades.upload(tutor, assignment, [{"username": "alice", "feedback": "good"}, {"username": "a", "grade": 1}])
    noted("bob", "grades", "hw1", "2 grades")
    course.grades.upload_feedback(tutor, assignment, {ALICE: b"page"})
    noted("bob", "feedback", "hw1", "1 page")


def test_a_name_enrolled_after_a_reset_gets_a_token_that_works(course: Course, clock: Clock) -> None:
    course.roster.add(COURSE_INSTRUCTOR, [Person(ALICE)])
    course.roster.reset(COURSE_INSTRUCTOR, ALICE)
    course.roster.reset(COURSE_INSTRUCTOR, ALICE)
    ((_, token),) = course.roster.enrol([ALICE])
    assert course.accounts.authenticate(Token.parse(token)) == STUDENT
    account = course.store.accounts.get(ALICE)
    assert account is not None
    assert (account.generation, account.bound, account.created) == (2, True, NOON)


def test_a_rotation_stores_the_new_secret(course: Course) -> None:
    made = replace(course, new_secret=lambda: "made")
    assert made.keys.rotate(COURSE_INSTRUCTOR, SECOND) == NOON + SECOND
    assert course.store.keys.secrets()[0] == "made"


def test_the_standing_says_what_was_fetched_and_submitted_and_until_when_submitting_is_possible(
    course: Course, course_folder: Path
) -> None:
    plan(course_folder, "due = 2026-03-10T12:00:00")
    assignment = course.release.assignment(STUDENT, "hw1")

    def states() -> list[tuple[bool, bool, str]]:
        both = [course.standings.of(assignment, user) for user in (ALICE, BOB)]
        assert {each.schedule for each in both} == {Schedule(due=NOON)}
        return [(each.fetched, each.submitted, each.state(NOON)) for each in both]

    assert states() == [(False, False, "new"), (False, False, "new")]
    course.release.note_downloads([Download(STUDENT, "hw1", "hw1.py", NOON)])
    assert states() == [(True, False, "fetched"), (False, False, "new")]
    submit(course)
    assert states() == [(False, True, "submitted"), (False, False, "new")]
    (course_folder / "hw1" / "grades.json").write_text("[")
    assert course.standings.of(assignment, ALICE).grades_broken
    (course_folder / "hw1" / "grades.json").write_text("[]")
    assert not course.standings.of(assignment, ALICE).grades_broken
