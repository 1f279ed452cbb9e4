"""What every store promises (domain/store.py); a new adapter is one more line in STORES."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR, Account, Role
from mograder.domain.assignments import Rules
from mograder.domain.audit import ERASED_NAME, Event
from mograder.domain.chain import Tombstone, find_breaks, make_tombstone
from mograder.domain.commitments import Commitment
from mograder.domain.course import Course
from mograder.domain.deadlines import Schedule, microseconds
from mograder.domain.errors import ChangedMeanwhile, NameTaken
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import Head, NewSubmission, Receipt, issue_receipt
from mograder.domain.release import Fetched
from mograder.domain.roster import Person
from mograder.domain.rules import RuleChange, Value
from mograder.domain.store import Store
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.postgres.courses import PostgresCourses
from tests.parts import (
    ALICE,
    BOB,
    HW1,
    NOON,
    SECOND,
    Clock,
    filled,
    make_course_folder,
    open_store,
    sha256,
    submit_work,
)
from tests.postgres import new_course

Open = Callable[[], Store]
SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "alice", "test", "hw1", "detail")
LARGE = b"0123456789abcdef" * (1024 * 1024 // 8)  # 2 MiB


@dataclass(frozen=True)
class Opened:
    """A course that can be opened again and again; `end` comes after its stores are closed."""

    open: Open
    end: Callable[[], None] = lambda: None


def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    root = make_course_folder(tmp_path)
    return Opened(lambda: open_store(root))


def postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens it through two sets of connections in turn, as two servers do."""
    url = request.getfixturevalue("postgres_url")
    servers = [PostgresCourses(url), PostgresCourses(url)]
    name = new_course(servers[0], Folders.of(make_course_folder(tmp_path)))
    turns = itertools.cycle(servers)

    def end() -> None:
        for each in servers:
            each.close()

    return Opened(lambda: next(turns).open(name), end)


STORES = [directory, postgres]


@pytest.fixture(params=STORES, ids=lambda make: make.__name__)
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens one course; every store it gave is closed at the end."""
    course: Opened = request.param(request, tmp_path)
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(course.open())
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()
    course.end()


@pytest.fixture
def store(open_again: Open) -> Store:
    return open_again()


def rule(key: str, value: Value | None) -> RuleChange:
    return RuleChange(key, "", str(value), value)


def submitted(store: Store, name: str) -> bytes | None:
    found = store.submissions.file(HW1, FileName(name))
    return found.read() if found else None


def assert_unbroken(receipts: list[Receipt]) -> None:
    before = ""
    for number, receipt in enumerate(receipts, 1):
        assert (receipt.number, receipt.previous) == (number, before)
        assert SIGNER.verify(receipt.text)["previous"] == before
        before = receipt.hash


# the plan


def test_rules_are_written_recorded_and_seen_by_every_server_at_once(open_again: Open) -> None:
    one, other = open_again(), open_again()
    assert (one.config.plan().rules, other.config.plan().rules) == ({}, {})
    one.config.change_rules(
        HW1,
        [rule("due", datetime.fromisoformat("2030-02-08T17:00")), rule("accepts", (".py",))],
        one.config.version(),
        NOTE,
    )
    other.config.change_rules(
        HW1, [rule("due", date(2030, 2, 9)), rule("title", 'A "title"')], other.config.version(), NOTE
    )
    for store in (one, other):
        due = microseconds(datetime(2030, 2, 9, 23, 59, 59, tzinfo=UTC))
        assert store.config.plan().rules == {HW1: Rules('A "title"', Schedule(due=due), accepts=(".py",))}
        assert [each.rules for each in store.release.assignments()] == [store.config.plan().rules[HW1]]
        assert store.audit.events() == [NOTE, NOTE]


def test_rules_that_were_changed_since_are_not_overwritten(open_again: Open) -> None:
    one, other = open_again(), open_again()
    tag = other.config.version()
    one.config.change_rules(HW1, [rule("points", 5)], tag, NOTE)
    with pytest.raises(ChangedMeanwhile):
        other.config.change_rules(HW1, [rule("points", 7)], tag, NOTE)
    assert (other.config.plan().rules[HW1].points, other.audit.events()) == (5, [NOTE])
    assert other.config.version() != tag


def test_of_many_who_change_what_they_have_seen_one_does(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    tag = stores[0].config.version()

    def change(number: int) -> bool:
        try:
            stores[number % 2].config.change_rules(HW1, [rule("points", number)], tag, NOTE)
        except ChangedMeanwhile:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(change, range(16))) == 1
    assert len(stores[0].audit.events()) == 1


# accounts


def test_there_is_always_a_secret_and_it_stays(open_again: Open) -> None:
    first = open_again()
    assert first.keys.secrets()[0]
    assert open_again().keys.secrets() == first.keys.secrets()


def test_a_ticket_is_spent_once_in_all_servers_until_it_is_forgotten(open_again: Open) -> None:
    first, second = open_again(), open_again()
    assert first.guard.spend("ticket", NOON, NOON + SECOND)
    assert not second.guard.spend("ticket", NOON, NOON + SECOND)
    assert second.guard.spend("another", NOON + 2 * SECOND, NOON + 3 * SECOND)
    assert not first.guard.spend("another", NOON + 2 * SECOND, NOON + 3 * SECOND)


def test_of_many_who_spend_one_ticket_at_once_one_succeeds(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    with ThreadPoolExecutor(8) as pool:
        spent = list(pool.map(lambda number: stores[number % 2].guard.spend("ticket", NOON, NOON), range(32)))
    assert spent.count(True) == 1


def test_failures_are_noted_for_all_servers_until_they_are_forgotten_or_old(open_again: Open) -> None:
    first, second = open_again(), open_again()
    assert second.guard.failures(["a", "b"]) == []
    for store in (first, second):
        store.guard.note_failure(["a", "b"], NOON, SECOND)  # two in one moment are two
    second.guard.note_failure(["a"], NOON + SECOND, SECOND)
    assert sorted(first.guard.failures(["a"])) == [("a", NOON), ("a", NOON), ("a", NOON + SECOND)]
    assert len(first.guard.failures(["a", "b", "c"])) == 5
    first.guard.forget_failures(["a", "c"])
    assert second.guard.failures(["a", "b"]) == [("b", NOON)] * 2
    second.guard.note_failure(["c"], NOON + SECOND + 1, SECOND)
    assert first.guard.failures(["a", "b"]) == []
    first.guard.note_failure(["a"], NOON, SECOND)  # of a clock that was set back
    assert second.guard.failures(["a", "c"]) == [("a", NOON)]
    first.guard.note_failure([], NOON, SECOND)


def test_failures_that_are_noted_at_once_are_all_counted(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: stores[number % 2].guard.note_failure(["a"], NOON + number, SECOND), range(32)))
    assert sorted(moment for _, moment in stores[0].guard.failures(["a"])) == [NOON + number for number in range(32)]


def test_an_unknown_account_is_none(store: Store) -> None:
    assert store.accounts.get(ALICE) is None
    assert store.accounts.all() == []


def test_what_people_write_about_themselves_is_kept_without_what_no_database_takes(store: Store) -> None:
    """NUL and half of a surrogate pair, which JSON can carry."""
    course = Course(store, SIGNER, Clock())
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("alice", "Al\0ice \ud800Liddell")])
    assert [account.name for account in store.accounts.all()] == ["Al ice Liddell"]


def test_an_account_comes_back_as_it_was_put(store: Store) -> None:
    account = Account(
        ALICE, Role.INSTRUCTOR, "Alïce", generation=3, bound=True, code_hash="ab", created=NOON, removed=True,
        claim_hash="cd", claimed=NOON + 1,
    )  # fmt: skip
    assert store.accounts.change(ALICE, lambda held: account, NOTE) == account
    assert store.accounts.get(ALICE) == account


def test_accounts_are_sorted_by_name(store: Store) -> None:
    for name in ("carl", "alice", "bob"):
        account = Account(Username(name))
        store.accounts.change(account.username, lambda held, account=account: account, NOTE)  # type: ignore[misc]
    assert [each.username for each in store.accounts.all()] == ["alice", "bob", "carl"]


def test_a_change_sees_the_account_that_differs_by_case_alone(store: Store) -> None:
    store.accounts.change(ALICE, lambda held: Account(ALICE), NOTE)
    seen: list[Account | None] = []

    def change(held: Account | None) -> Account:
        seen.append(held)
        raise NameTaken("taken")

    with pytest.raises(NameTaken):
        store.accounts.change(Username("ALICE"), change, NOTE)
    assert seen == [Account(ALICE)]
    assert store.accounts.get(Username("ALICE")) is None


def test_a_change_that_raises_leaves_account_and_audit_log_as_they_were(store: Store) -> None:
    store.accounts.change(ALICE, lambda held: Account(ALICE), NOTE)

    def change(held: Account | None) -> Account:
        raise NameTaken("taken")

    with pytest.raises(NameTaken, match="taken"):
        store.accounts.change(ALICE, change, replace(NOTE, action="lost"))
    assert store.accounts.get(ALICE) == Account(ALICE)
    assert [event.action for event in store.audit.events()] == ["test"]


def test_many_accounts_are_changed_together_or_not_at_all(store: Store) -> None:
    def refuse(held: Account | None) -> Account:
        raise NameTaken("taken")

    both = [(name, lambda held, name=name: Account(name, removed=True), NOTE) for name in (BOB, ALICE)]  # type: ignore[misc]
    with pytest.raises(NameTaken):
        store.accounts.change_many([*both, (Username("carl"), refuse, NOTE)])
    assert (store.accounts.all(), store.audit.events()) == ([], [])
    assert store.accounts.change_many(both) == [Account(BOB, removed=True), Account(ALICE, removed=True)]
    assert store.accounts.all() == [Account(ALICE, removed=True), Account(BOB, removed=True)]
    assert store.accounts.change_many([]) == []


def test_a_change_that_changes_nothing_is_not_in_the_audit_log(store: Store) -> None:
    def keep(name: Username) -> tuple[Username, Callable[[Account | None], Account], Event]:
        return name, lambda held: held or Account(name), replace(NOTE, subject=name)

    changes = [keep(name) for name in (BOB, BOB, ALICE)]
    for _ in range(2):
        assert store.accounts.change_many(changes) == [Account(BOB), Account(BOB), Account(ALICE)]
        assert [each.subject for each in store.audit.events()] == ["alice", "bob"]


def test_a_new_secret_is_first_and_the_old_one_stays_until_its_end(open_again: Open) -> None:
    store, other = open_again(), open_again()
    (old,) = store.keys.secrets()
    far = 4_000_000_000 * SECOND
    store.keys.change_secret("second", far, NOTE)
    assert store.keys.secrets() == other.keys.secrets() == ("second", old)
    other.keys.change_secret("third", far + SECOND, NOTE)
    assert store.keys.secrets() == open_again().keys.secrets() == ("third", "second", old)
    store.keys.change_secret("fourth", NOON, NOTE)  # an end that has passed: no grace, for the earlier ones either
    assert store.keys.secrets() == other.keys.secrets() == ("fourth",)
    assert len(store.audit.events()) == 3


def test_nobody_gets_between_the_reading_and_the_writing_of_an_account(store: Store) -> None:
    def raised(held: Account | None) -> Account:
        return replace(held, generation=held.generation + 1) if held else Account(ALICE, generation=1)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda _: store.accounts.change(ALICE, raised, NOTE), range(100)))
    account = store.accounts.get(ALICE)
    assert account is not None
    assert account.generation == 100
    assert len(store.audit.events()) == 100


def test_the_mark_is_another_after_every_change_in_this_or_another_server(open_again: Open) -> None:
    store, other = open_again(), open_again()
    seen = [store.version()]
    for change in (
        lambda: submit_work(store, SIGNER, ALICE, b"one"),
        lambda: submit_work(other, SIGNER, ALICE, b"two"),
        lambda: store.accounts.change(ALICE, lambda held: Account(ALICE), NOTE),
        lambda: other.accounts.change(ALICE, lambda held: Account(ALICE, generation=1), NOTE),
        lambda: other.extensions.change([(HW1, ALICE, lambda held: Extension(HW1, ALICE, NOON), NOTE)]),
        lambda: other.release.note_fetched([Fetched(HW1, ALICE, NOON)]),
        lambda: other.audit.record(NOTE),
        lambda: other.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE),
    ):
        change()  # type: ignore[no-untyped-call]
        seen.append(store.version())
        assert seen[-1] not in seen[:-1]


def test_the_mark_of_an_assignment_is_another_when_it_is_graded_or_feedback_comes(open_again: Open) -> None:
    store, other = open_again(), open_again()
    seen = [store.version(HW1)]
    for change in (
        lambda: other.grades.merge(HW1, (GradeEntry({"username": "alice", "grade": 1}),), NOTE),
        lambda: other.grades.put_feedback(HW1, {ALICE: b"<p>fine"}, NOTE),
    ):
        change()  # type: ignore[no-untyped-call]
        seen.append(store.version(HW1))
        assert seen[-1] not in seen[:-1]


def test_the_mark_stays_while_nothing_changes(open_again: Open) -> None:
    """In a store that never said so, everything would be made anew for everybody who asks."""
    store, other = open_again(), open_again()
    submit_work(store, SIGNER, ALICE, b"one")
    seen = store.version()
    assert other.accounts.all() == store.accounts.all()
    assert store.version() == seen


# released files


def test_assignments_and_their_files_are_listed_and_read(store: Store) -> None:
    (assignment,) = store.release.assignments()
    assert (assignment.name, [file.name for file in assignment.files]) == ("hw1", ["hw1.py"])
    found = store.release.file(HW1, FileName("hw1.py"))
    assert found is not None
    assert (sha256(found.read()), len(found.read())) == (assignment.files[0].sha256, assignment.files[0].size)


def test_an_assignment_is_found_by_its_name(store: Store) -> None:
    found = store.release.find("hw1")
    assert found is not None
    assert (found.name, found.id, [each.id for each in store.release.assignments()]) == ("hw1", "hw1", ["hw1"])
    assert store.release.find("hw9") is None


@pytest.mark.parametrize("name", ["hw2.py", "hw1", "hw1.py/x", "hw1.py/\u00fc", "a/b/c.py"])
def test_a_released_file_that_is_not_there_is_none(store: Store, name: str) -> None:
    assert store.release.file(HW1, FileName(name)) is None
    assert store.release.file(AssignmentName("hw9"), FileName(name)) is None


def test_the_first_download_of_each_person_and_assignment_is_kept(open_again: Open) -> None:
    store, hw2 = open_again(), AssignmentName("hw2")
    first = [Fetched(HW1, BOB, NOON), Fetched(HW1, ALICE, NOON + 1), Fetched(hw2, ALICE, NOON + 2)]
    store.release.note_fetched(first)
    store.release.note_fetched([Fetched(HW1, ALICE, NOON + 3), Fetched(hw2, BOB, NOON + 4)])
    for seen in (store, open_again()):
        assert seen.release.fetched() == [first[1], first[0], first[2], Fetched(hw2, BOB, NOON + 4)]
        assert seen.release.fetched(ALICE) == [first[1], first[2]]


# submissions


def test_a_submission_is_kept_under_its_date_and_as_the_latest(store: Store) -> None:
    accepted = submit_work(store, SIGNER, ALICE, b"one")
    submission = accepted.receipt.submission
    assert not accepted.repeated
    assert submission.filename == "alice_20260310T120000.py"
    assert (submission.attempt, submission.size, submission.sha256) == (1, 3, sha256(b"one"))
    assert submitted(store, "alice.py") == submitted(store, submission.filename) == b"one"


def test_attempts_count_for_each_person_and_assignment(store: Store) -> None:
    other = AssignmentName("hw2")
    taken = [
        submit_work(store, SIGNER, ALICE, b"1"), submit_work(store, SIGNER, BOB, b"2"),
        submit_work(store, SIGNER, ALICE, b"3"),
        submit_work(store, SIGNER, ALICE, b"4", assignment=other),
    ]  # fmt: skip
    assert [each.receipt.submission.attempt for each in taken] == [1, 1, 2, 1]
    assert_unbroken([each.receipt for each in taken])


def test_two_submissions_in_one_second_both_survive(store: Store) -> None:
    names = [
        submit_work(store, SIGNER, ALICE, content, NOON + 7).receipt.submission.filename for content in (b"1", b"2")
    ]
    assert names == ["alice_20260310T120000.py", "alice_20260310T120001.py"]
    assert [submitted(store, name) for name in names] == [b"1", b"2"]
    assert [each.submission.received for each in store.submissions.receipts()] == [NOON + 7, NOON + 7]


def test_an_identical_retry_gives_the_same_receipt_and_keeps_nothing(store: Store) -> None:
    first = submit_work(store, SIGNER, ALICE, b"one")
    again = submit_work(store, SIGNER, ALICE, b"one", NOON + 9 * SECOND)
    assert again.repeated
    assert again.receipt == first.receipt
    assert list(store.submissions.receipts()) == [first.receipt]
    assert submitted(store, "alice_20260310T120009.py") is None


def test_bytes_of_an_earlier_attempt_are_a_new_attempt(store: Store) -> None:
    for content in (b"one", b"two", b"one"):
        assert not submit_work(store, SIGNER, ALICE, content).repeated
    assert submitted(store, "alice.py") == b"one"
    assert len(list(store.submissions.receipts())) == 3


def test_the_same_bytes_of_two_people_are_two_submissions(store: Store) -> None:
    assert not submit_work(store, SIGNER, ALICE, b"one").repeated
    assert not submit_work(store, SIGNER, BOB, b"one").repeated


def test_latest_means_last_accepted_under_a_clock_that_runs_backwards(open_again: Open) -> None:
    store = open_again()
    for step in range(4):
        submit_work(store, SIGNER, ALICE, b"%d" % step, NOON - step * 3600 * SECOND)
    assert submitted(store, "alice.py") == b"3"
    assert [each.submission.attempt for each in store.submissions.receipts()] == [1, 2, 3, 4]
    store.close()
    assert submitted(open_again(), "alice.py") == b"3"


def test_what_many_send_at_once_is_all_kept_and_the_chain_is_unbroken(store: Store) -> None:
    def one(number: int) -> Receipt:
        return submit_work(store, SIGNER, Username(f"s{number % 8}"), b"work %d" % number).receipt

    with ThreadPoolExecutor(40) as threads:
        given = list(threads.map(one, range(120)))
    kept = list(store.submissions.receipts())
    assert sorted(given, key=lambda each: each.number) == kept
    assert_unbroken(kept)
    for receipt in kept:
        content = submitted(store, receipt.submission.filename)
        assert content is not None
        assert sha256(content) == receipt.submission.sha256
    latest = {each.submission.username: each.submission.sha256 for each in kept}
    assert {each.username: each.sha256 for each in store.submissions.latest_files(HW1)} == latest


def test_one_retry_sent_forty_times_at_once_is_kept_once(store: Store) -> None:
    with ThreadPoolExecutor(40) as threads:
        taken = list(threads.map(lambda _: submit_work(store, SIGNER, ALICE, b"one"), range(40)))
    assert sorted(each.repeated for each in taken) == [False] + [True] * 39
    assert len({each.receipt.text for each in taken}) == len(list(store.submissions.receipts())) == 1


def test_a_submission_of_megabytes_is_kept_whole(store: Store) -> None:
    receipt = submit_work(store, SIGNER, ALICE, LARGE).receipt
    assert submitted(store, "alice.py") == submitted(store, receipt.submission.filename) == LARGE
    assert submit_work(store, SIGNER, ALICE, LARGE).repeated
    assert submit_work(store, SIGNER, ALICE, b"small").receipt.submission.attempt == 2
    assert submitted(store, receipt.submission.filename) == LARGE


def test_large_submissions_of_many_at_once_are_all_whole(store: Store) -> None:
    def one(number: int) -> Receipt:
        return submit_work(store, SIGNER, Username(f"s{number}"), LARGE + b"%d" % number).receipt

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(one, range(10)))
    assert [submitted(store, f"s{number}.py") == LARGE + b"%d" % number for number in range(10)] == [True] * 10


def test_an_upload_counts_and_hashes_what_is_written_and_can_be_discarded_twice(store: Store) -> None:
    upload = store.submissions.upload()
    for chunk in (b"ab", b"", LARGE, b"c"):
        upload.write(chunk)
    upload.finish()
    assert (upload.size, upload.sha256) == (len(LARGE) + 3, sha256(b"ab" + LARGE + b"c"))
    upload.discard()
    upload.discard()
    assert store.submissions.latest_files(HW1) == ()


def test_what_issue_raises_keeps_nothing_and_breaks_nothing(store: Store) -> None:
    class Refusing(Ed25519Signer):
        def sign(self, claims: object) -> str:
            raise NameTaken("no")

    submit_work(store, SIGNER, ALICE, b"one")
    with pytest.raises(NameTaken):
        submit_work(store, Refusing(new_private_key()), ALICE, b"two")
    submit_work(store, SIGNER, ALICE, b"three")
    assert [each.submission.sha256 for each in store.submissions.receipts()] == [sha256(b"one"), sha256(b"three")]
    assert_unbroken(list(store.submissions.receipts()))


def test_latest_files_are_one_a_person_sorted_by_name(store: Store) -> None:
    assert store.submissions.latest_files(HW1) == ()
    for user, content in ((BOB, b"b"), (ALICE, b"a1"), (ALICE, b"a22")):
        submit_work(store, SIGNER, user, content)
    assert [(each.username, each.filename, each.size, each.sha256) for each in store.submissions.latest_files(HW1)] == [
        ("alice", "alice.py", 3, sha256(b"a22")),
        ("bob", "bob.py", 1, sha256(b"b")),
    ]


@pytest.mark.parametrize("name", ["bob.py", "alice", "alice.txt", "alice.py/x", "hw1/alice.py"])
def test_a_submission_that_is_not_there_is_none(store: Store, name: str) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    assert submitted(store, name) is None
    assert store.submissions.file(AssignmentName("hw9"), FileName("alice.py")) is None


def test_the_tag_of_a_file_changes_with_its_bytes(store: Store) -> None:
    tags = set()
    for content in (b"one", b"two", b"six"):
        submit_work(store, SIGNER, ALICE, content)
        found = store.submissions.file(HW1, FileName("alice.py"))
        assert found is not None
        tags.add(found.tag)
    assert len(tags) == 3


def test_the_head_is_the_last_receipt_of_the_chain(open_again: Open) -> None:
    store = open_again()
    assert store.submissions.head() == Head(0, "")
    for content in (b"one", b"two"):
        receipt = submit_work(store, SIGNER, ALICE, content).receipt
        assert store.submissions.head() == open_again().submissions.head() == Head(receipt.number, receipt.hash)


def test_a_receipt_keeps_what_it_says_of_the_deadline(store: Store) -> None:
    for late, due, arrived in ((True, NOON, NOON + 5), (False, None, None)):
        upload = filled(store.submissions.upload(), b"%d" % late)
        ready = NewSubmission(ALICE, HW1, BOB, NOON, upload, late, due, arrived)
        store.submissions.accept(ready, issue_receipt(ready, SIGNER, "course")).result()
        upload.discard()
        kept = list(store.submissions.receipts())[-1].submission
        assert (kept.late, kept.due, kept.arrived) == (late, due, arrived)


def test_the_latest_of_everybody_and_who_has_handed_in_are_told_at_once(store: Store) -> None:
    other = AssignmentName("hw2")
    assert (store.submissions.latest(), store.submissions.users(HW1)) == ([], [])
    submit_work(store, SIGNER, ALICE, b"one", NOON + 9 * SECOND)
    last = submit_work(store, SIGNER, ALICE, b"two", NOON).receipt.submission
    bobs = submit_work(store, SIGNER, BOB, b"three").receipt.submission
    elsewhere = submit_work(store, SIGNER, ALICE, b"four", assignment=other).receipt.submission
    assert sorted(store.submissions.latest(), key=lambda each: each.sha256) == sorted(
        [last, bobs, elsewhere], key=lambda each: each.sha256
    )
    assert (sorted(store.submissions.users(HW1)), store.submissions.users(other)) == ([ALICE, BOB], [ALICE])
    bobs = submit_work(store, SIGNER, BOB, b"five").receipt.submission
    assert bobs in store.submissions.latest()
    store.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE)
    assert (store.submissions.latest(), store.submissions.users(HW1), store.submissions.users(other)) == (
        [bobs],
        [BOB],
        [],
    )


def test_the_moments_of_the_submissions_since_a_moment_are_told(store: Store) -> None:
    for number in range(3):
        submit_work(store, SIGNER, ALICE, f"{number}".encode(), NOON + number * SECOND)
    assert sorted(store.submissions.received_since(NOON + SECOND)) == [NOON + SECOND, NOON + 2 * SECOND]
    assert store.submissions.received_since(NOON + 3 * SECOND) == []
    assert store.submissions.free_space() is None or store.submissions.free_space() > 0  # type: ignore[operator]


def test_receipts_are_found_by_assignment_by_person_and_by_both(store: Store) -> None:
    other = AssignmentName("hw2")
    for user, assignment in ((ALICE, HW1), (BOB, HW1), (ALICE, other)):
        submit_work(store, SIGNER, user, f"{user} {assignment}".encode(), assignment=assignment)
    assert [each.number for each in store.submissions.receipts()] == [1, 2, 3]
    assert [each.number for each in store.submissions.receipts(HW1)] == [1, 2]
    assert [each.number for each in store.submissions.receipts(username=ALICE)] == [1, 3]
    assert [each.number for each in store.submissions.receipts(other, ALICE)] == [3]
    assert list(store.submissions.receipts(other, BOB)) == []


# erasing


def attest(receipt: Receipt) -> Tombstone:
    return make_tombstone(receipt, SIGNER, "course", NOON)


def fill_for_two(store: Store) -> None:
    for user, content in ((ALICE, b"a1"), (BOB, b"b1"), (ALICE, LARGE), (BOB, b"b2"), (ALICE, b"a3")):
        submit_work(store, SIGNER, user, content)
    for name in (ALICE, BOB):
        store.accounts.change(name, lambda held, name=name: Account(name, bound=True, generation=2), replace(  # type: ignore[misc]
            NOTE, actor=name, subject=name
        ))  # fmt: skip
    store.grades.merge(HW1, (graded(username="alice", grade=1), graded(userid="bob", grade=2)), NOTE)
    put(store, extension(ALICE), extension(BOB))
    store.release.note_fetched([Fetched(HW1, ALICE, NOON), Fetched(HW1, BOB, NOON)])
    for name in (ALICE, BOB):
        store.commitments.change(HW1, name, lambda held, name=name: (commit(1, name),))  # type: ignore[misc]
    store.grades.put_feedback(
        HW1, {ALICE: b"<p>a", BOB: b"<p>b"}, replace(NOTE, actor="bob", detail="of alice, malice, bob")
    )


def test_of_who_is_erased_stays_nothing_but_places_in_the_chain(open_again: Open) -> None:
    store = open_again()
    fill_for_two(store)
    before = list(store.submissions.receipts())
    store.erase(ALICE, attest, replace(NOTE, actor="tutor", action="erase", subject=ERASED_NAME))
    for seen in (store, open_again()):
        assert [each.submission.username for each in seen.submissions.receipts()] == ["bob", "bob"]
        assert submitted(seen, "alice.py") is None
        assert [submitted(seen, each.submission.filename) for each in before] == [None, b"b1", None, b"b2", None]
        assert [each.username for each in seen.submissions.latest_files(HW1)] == ["bob"]
        assert [each.person for each in seen.grades.of(HW1)] == ["bob"]
        assert (seen.grades.feedback(HW1, ALICE), seen.grades.feedback(HW1, BOB) is None) == (None, False)
        assert [each.username for each in seen.accounts.all()] == ["bob"]
        assert [each.username for each in seen.extensions.find()] == ["bob"]
        assert [each.username for each in seen.release.fetched()] == ["bob"]
        assert (seen.commitments.of(HW1, ALICE), seen.commitments.of(HW1, BOB)) == ((), (commit(1, BOB),))
        assert not [each for each in seen.audit.events() if "alice" in (each.actor, each.subject)]
        assert [each.detail for each in seen.audit.events() if each.actor == "bob"] == [
            "of (erased), malice, bob",
            "detail",
        ]
        links = list(seen.submissions.chain())
        assert [(each.number, each.previous, each.hash) for each in links] == [
            (each.number, each.previous, each.hash) for each in before
        ]
        assert list(find_breaks(links, SIGNER, [Head(each.number, each.hash) for each in before])) == []
        assert seen.submissions.head() == Head(5, before[-1].hash)


def test_after_an_erasure_the_chain_goes_on_from_the_erased_place(store: Store) -> None:
    fill_for_two(store)
    head = store.submissions.head()
    store.erase(ALICE, attest, NOTE)
    receipt = submit_work(store, SIGNER, BOB, b"b3").receipt
    assert (receipt.number, receipt.previous) == (6, head.hash)
    again = submit_work(store, SIGNER, ALICE, b"a1").receipt
    assert (again.number, again.submission.attempt, submitted(store, "alice.py")) == (7, 1, b"a1")
    assert list(find_breaks(store.submissions.chain(), SIGNER, [head])) == []


def test_an_erased_name_stays_taken_and_its_tokens_void(open_again: Open) -> None:
    store = open_again()
    fill_for_two(store)
    store.erase(ALICE, attest, NOTE)
    for seen in (store, open_again()):
        assert seen.accounts.get(ALICE) == Account(ALICE, generation=3, bound=True, removed=True)
        assert seen.accounts.get(Username("carl")) is None
    held: list[Account | None] = []

    def look(account: Account | None) -> Account:
        held.append(account)
        raise NameTaken("taken")

    for name in (ALICE, Username("Alice")):
        with pytest.raises(NameTaken):
            store.accounts.change(name, look, NOTE)
    assert [each and (each.removed, each.generation) for each in held] == [(True, 3), (True, 3)]
    store.accounts.change(ALICE, lambda held: Account(ALICE, generation=7), NOTE)
    assert store.accounts.get(ALICE) == Account(ALICE, generation=7)
    store.erase(ALICE, attest, NOTE)
    assert store.accounts.get(ALICE) == Account(ALICE, generation=8, bound=True, removed=True)


def test_erasing_again_or_somebody_unknown_changes_nothing_of_others(store: Store) -> None:
    fill_for_two(store)
    store.erase(ALICE, attest, NOTE)
    links, account = list(store.submissions.chain()), store.accounts.get(ALICE)
    store.erase(ALICE, attest, NOTE)
    store.erase(Username("carl"), attest, NOTE)
    assert (list(store.submissions.chain()), store.accounts.get(ALICE)) == (links, account)
    assert submitted(store, "bob.py") == b"b2"


# time


def extension(user: Username = ALICE, until: int | None = NOON, assignment: AssignmentName = HW1) -> Extension:
    return Extension(assignment, user, until, "nöte", NOON + 1, "reason", declined=True)


def put(store: Store, *given: Extension) -> None:
    store.extensions.change([(each.assignment, each.username, lambda held, each=each: each, NOTE) for each in given])  # type: ignore[misc]


def test_extensions_come_back_as_they_were_put_by_assignment_by_person_and_by_both(store: Store) -> None:
    other = AssignmentName("hw2")
    given = [extension(BOB), extension(ALICE, None, other), extension()]
    put(store, *given)
    assert store.extensions.find() == [extension(), extension(BOB), extension(ALICE, None, other)]
    assert store.extensions.find(HW1) == [extension(), extension(BOB)]
    assert store.extensions.find(username=ALICE) == [extension(), extension(ALICE, None, other)]
    assert store.extensions.find(other, ALICE) == [extension(ALICE, None, other)]
    assert store.extensions.find(other, BOB) == []
    assert len(store.audit.events()) == 3


def test_extensions_are_changed_together_or_not_at_all_and_see_what_is_there(store: Store) -> None:
    put(store, extension())
    seen: list[Extension | None] = []

    def change(held: Extension | None) -> Extension:
        seen.append(held)
        return extension(BOB) if held is None else replace(held, until=NOON + 9)

    def refuse(held: Extension | None) -> Extension:
        raise NameTaken("no")

    both = [(HW1, ALICE, change, NOTE), (HW1, BOB, change, NOTE)]
    with pytest.raises(NameTaken):
        store.extensions.change([*both, (HW1, BOB, refuse, NOTE)])
    assert (store.extensions.find(), len(store.audit.events())) == ([extension()], 1)
    assert store.extensions.change(both) == [extension(until=NOON + 9), extension(BOB)]
    assert seen[-2:] == [extension(), None]
    assert len(store.audit.events()) == 3


def commit(number: int, user: Username = ALICE) -> Commitment:
    return Commitment(HW1, user, f"{number:064}", number, NOON + number)


def test_commits_are_one_persons_oldest_first_and_replaced(store: Store) -> None:
    assert store.commitments.of(HW1, ALICE) == ()
    assert store.commitments.change(HW1, ALICE, lambda held: (commit(2), commit(1))) == (commit(2), commit(1))
    store.commitments.change(HW1, BOB, lambda held: (*held, commit(3, BOB)))
    assert store.commitments.change(HW1, ALICE, lambda held: held[1:]) == (commit(2),)
    assert (store.commitments.of(HW1, ALICE), store.commitments.of(HW1, BOB)) == ((commit(2),), (commit(3, BOB),))
    assert store.commitments.of(AssignmentName("hw2"), ALICE) == ()


def test_nobody_gets_between_the_reading_and_the_writing_of_commits(store: Store) -> None:
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda n: store.commitments.change(HW1, ALICE, lambda held: (*held, commit(n))), range(60)))
    assert store.commitments.of(HW1, ALICE) == tuple(map(commit, range(60)))


# grades and feedback


def graded(**fields: object) -> GradeEntry:
    return GradeEntry(fields)


def test_grades_merge_by_person_and_keep_keys_that_nobody_knows(store: Store) -> None:
    assert store.grades.of(HW1) == ()
    assert store.grades.merge(HW1, (graded(username="alice", grade="1", tutor="T"), graded(username="bob")), NOTE) == 2
    assert store.grades.merge(HW1, (graded(username="alice", grade="2"),), NOTE) == 2
    assert [dict(each.fields) for each in store.grades.of(HW1)] == [
        {"username": "alice", "grade": "2", "tutor": "T"},
        {"username": "bob"},
    ]


def test_grades_of_many_threads_are_all_there(store: Store) -> None:
    def one(number: int) -> int:
        return store.grades.merge(HW1, (graded(username=f"s{number}", grade="ä"),), NOTE)

    with ThreadPoolExecutor(20) as threads:
        counts = list(threads.map(one, range(60)))
    assert sorted(counts) == list(range(1, 61))
    assert {each.person for each in store.grades.of(HW1)} == {f"s{number}" for number in range(60)}


def test_feedback_is_kept_for_each_person_and_replaced(store: Store) -> None:
    assert store.grades.feedback(HW1, ALICE) is None
    store.grades.put_feedback(HW1, {ALICE: b"first", BOB: b"bob"}, NOTE)
    store.grades.put_feedback(HW1, {ALICE: b"second"}, NOTE)
    pages = [store.grades.feedback(HW1, user) for user in (ALICE, BOB)]
    assert [page.read() if page else None for page in pages] == [b"second", b"bob"]


# the trail


def test_events_are_newest_first_and_as_many_as_asked_for(store: Store) -> None:
    for number in range(5):
        store.grades.put_feedback(HW1, {}, Event(NOON + number, "a", "act", f"s{number}", "d"))
    assert store.audit.events(2) == [Event(NOON + 4, "a", "act", "s4", "d"), Event(NOON + 3, "a", "act", "s3", "d")]
    assert len(store.audit.events()) == 5


def test_everything_is_there_after_close_and_open(open_again: Open) -> None:
    def all_of(store: Store) -> list[object]:
        page = store.grades.feedback(HW1, ALICE)
        return [
            store.accounts.all(), list(store.submissions.receipts()), store.submissions.latest_files(HW1), store.grades.of(HW1), store.audit.events(),
            store.extensions.find(), store.commitments.of(HW1, ALICE), store.release.fetched(),
            store.keys.secrets(), store.release.assignments(), submitted(store, "alice.py"), page and page.read(),
        ]  # fmt: skip

    store = open_again()
    store.accounts.change(ALICE, lambda held: Account(ALICE, bound=True), NOTE)
    submit_work(store, SIGNER, ALICE, LARGE)
    submit_work(store, SIGNER, BOB, b"small")
    store.grades.merge(HW1, (graded(username="alice", grade=1.5),), NOTE)
    store.grades.put_feedback(HW1, {ALICE: b"page"}, NOTE)
    put(store, extension())
    store.commitments.change(HW1, ALICE, lambda held: (commit(1),))
    store.release.note_fetched([Fetched(HW1, ALICE, NOON)])
    before = all_of(store)
    store.close()
    again = open_again()
    assert all_of(again) == before
    submit_work(again, SIGNER, ALICE, b"next")
    assert_unbroken(list(again.submissions.receipts()))


def test_two_openings_of_one_course_see_and_respect_each_other(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: submit_work(stores[n % 2], SIGNER, ALICE, b"%d" % n), range(60)))
    kept = [list(store.submissions.receipts()) for store in stores]
    assert kept[0] == kept[1]
    assert_unbroken(kept[0])
    assert sha256(submitted(stores[0], "alice.py") or b"") == kept[0][-1].submission.sha256


def test_accounts_are_counted_and_a_spent_ticket_is_known_as_such(store: Store) -> None:
    assert (store.accounts.count(), store.guard.is_spent("t")) == (0, False)
    store.accounts.change(ALICE, lambda _: Account(ALICE), Event(NOON, "x", "add", ALICE))
    store.guard.spend("t", NOON, NOON + 1)
    assert (store.accounts.count(), store.guard.is_spent("t"), store.guard.is_spent("u")) == (1, True, False)


@pytest.mark.parametrize(
    ("account", "claimable"),
    [
        (Account(ALICE, bound=True), False),
        (Account(ALICE, code_hash="0"), True),
        (Account(ALICE, bound=True, claim_hash="0", claimed=NOON), True),
        (Account(ALICE, bound=True, claim_hash="0", claimed=NOON - 1), False),
        (Account(ALICE, bound=True, claimed=NOON), False),
    ],
)
def test_whether_an_account_can_be_claimed_is_told_without_reading_them_all(
    store: Store, account: Account, claimable: bool
) -> None:
    assert not store.accounts.any_claimable(0)
    store.accounts.change(ALICE, lambda _: account, Event(NOON, "x", "add", ALICE))
    assert store.accounts.any_claimable(NOON - 1) is claimable


def test_the_audit_log_is_read_in_pieces(store: Store) -> None:
    for number in range(5):
        store.audit.record(Event(NOON, "x", "test", f"{number}"))
    assert [each.subject for each in store.audit.events(2, 1)] == ["3", "2"]
    assert [each.subject for each in store.audit.events(9, 4)] == ["0"]
    assert store.audit.events(9, 5) == []
