"""What every store promises about submissions and the chain of receipts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mograder.domain.allowance import HOUR, Allowance, HourlyBound, Usage
from mograder.domain.chain import find_breaks, make_tombstone
from mograder.domain.errors import NameTaken, TooManySubmissions
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import Head, NewSubmission, Receipt, issue_receipt, version_filename
from mograder.domain.store import Store
from mograder.signing import Ed25519Signer, new_private_key
from tests.contract.parts import LARGE, NOTE, SIGNER, Open, assert_unbroken, submitted
from tests.parts import (
    ALICE,
    BOB,
    HW1,
    NOON,
    SECOND,
    filled,
    sha256,
    submit_work,
)


def test_a_submission_is_stored_under_its_date_and_as_the_latest(store: Store) -> None:
    accepted = submit_work(store, SIGNER, ALICE, b"one")
    submission = accepted.receipt.submission
    assert not accepted.repeated
    assert submission.filename == "alice_20260310T120000.py"
    assert (submission.attempt, submission.size, submission.sha256) == (1, 3, sha256(b"one"))
    assert submitted(store, "alice.py") == submitted(store, submission.filename) == b"one"


def test_attempts_are_counted_by_person_and_assignment(store: Store) -> None:
    other = AssignmentName("hw2")
    taken = [
        submit_work(store, SIGNER, ALICE, b"1"), submit_work(store, SIGNER, BOB, b"2"),
        submit_work(store, SIGNER, ALICE, b"3"),
        submit_work(store, SIGNER, ALICE, b"4", assignment=other),
    ]  # fmt: skip
    assert [each.receipt.submission.attempt for each in taken] == [1, 1, 2, 1]
    assert_unbroken([each.receipt for each in taken])


def test_two_submissions_in_one_second_are_both_kept(store: Store) -> None:
    names = [
        submit_work(store, SIGNER, ALICE, content, NOON + 7).receipt.submission.filename for content in (b"1", b"2")
    ]
    assert names == ["alice_20260310T120000.py", "alice_20260310T120001.py"]
    assert [submitted(store, name) for name in names] == [b"1", b"2"]
    assert [each.submission.received for each in store.submissions.receipts()] == [NOON + 7, NOON + 7]


def test_an_identical_retry_gets_the_same_receipt_and_stores_nothing(store: Store) -> None:
    first = submit_work(store, SIGNER, ALICE, b"one")
    again = submit_work(store, SIGNER, ALICE, b"one", NOON + 9 * SECOND)
    assert again.repeated
    assert again.receipt == first.receipt
    assert list(store.submissions.receipts()) == [first.receipt]
    assert submitted(store, "alice_20260310T120009.py") is None


def test_the_bytes_of_an_attempt_before_the_last_are_a_new_attempt(store: Store) -> None:
    for content in (b"one", b"two", b"one"):
        assert not submit_work(store, SIGNER, ALICE, content).repeated
    assert submitted(store, "alice.py") == b"one"
    assert len(list(store.submissions.receipts())) == 3


def test_the_same_bytes_of_two_people_are_two_submissions(store: Store) -> None:
    assert not submit_work(store, SIGNER, ALICE, b"one").repeated
    assert not submit_work(store, SIGNER, BOB, b"one").repeated


def test_the_latest_is_the_last_accepted_even_if_the_clock_runs_backwards(open_again: Open) -> None:
    store = open_again()
    for step in range(4):
        submit_work(store, SIGNER, ALICE, b"%d" % step, NOON - step * 3600 * SECOND)
    assert submitted(store, "alice.py") == b"3"
    assert [each.submission.attempt for each in store.submissions.receipts()] == [1, 2, 3, 4]
    store.close()
    assert submitted(open_again(), "alice.py") == b"3"


def test_simultaneous_submissions_are_all_stored_in_an_unbroken_chain(store: Store) -> None:
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


def test_a_retry_sent_forty_times_at_once_is_stored_once(store: Store) -> None:
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


def test_large_simultaneous_submissions_are_all_stored_whole(store: Store) -> None:
    def one(number: int) -> Receipt:
        return submit_work(store, SIGNER, Username(f"s{number}"), LARGE + b"%d" % number).receipt

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(one, range(10)))
    assert [submitted(store, f"s{number}.py") == LARGE + b"%d" % number for number in range(10)] == [True] * 10


def test_an_upload_counts_and_hashes_its_bytes_and_can_be_discarded_twice(store: Store) -> None:
    upload = store.submissions.upload()
    for chunk in (b"ab", b"", LARGE, b"c"):
        upload.write(chunk)
    upload.finish()
    assert (upload.size, upload.sha256) == (len(LARGE) + 3, sha256(b"ab" + LARGE + b"c"))
    upload.discard()
    upload.discard()
    assert store.submissions.latest_files(HW1) == ()


def test_an_error_while_issuing_a_receipt_stores_nothing_and_breaks_nothing(store: Store) -> None:
    class Refusing(Ed25519Signer):
        def sign(self, claims: object) -> str:
            raise NameTaken("no")

    submit_work(store, SIGNER, ALICE, b"one")
    with pytest.raises(NameTaken):
        submit_work(store, Refusing(new_private_key()), ALICE, b"two")
    submit_work(store, SIGNER, ALICE, b"three")
    assert [each.submission.sha256 for each in store.submissions.receipts()] == [sha256(b"one"), sha256(b"three")]
    assert_unbroken(list(store.submissions.receipts()))


def test_latest_files_are_one_for_each_person_sorted_by_name(store: Store) -> None:
    assert store.submissions.latest_files(HW1) == ()
    for user, content in ((BOB, b"b"), (ALICE, b"a1"), (ALICE, b"a22")):
        submit_work(store, SIGNER, user, content)
    assert [(each.username, each.filename, each.size, each.sha256) for each in store.submissions.latest_files(HW1)] == [
        ("alice", "alice.py", 3, sha256(b"a22")),
        ("bob", "bob.py", 1, sha256(b"b")),
    ]


@pytest.mark.parametrize("name", ["bob.py", "alice", "alice.txt", "alice.py/x", "hw1/alice.py"])
def test_a_missing_submission_is_none(store: Store, name: str) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    assert submitted(store, name) is None
    assert store.submissions.file(AssignmentName("hw9"), FileName("alice.py")) is None


def test_the_etag_of_a_file_changes_with_its_bytes(store: Store) -> None:
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


def test_a_receipt_keeps_its_statement_about_the_deadline(store: Store) -> None:
    for late, due, arrived in ((True, NOON, NOON + 5), (False, None, None)):
        upload = filled(store.submissions.upload(), b"%d" % late)
        ready = NewSubmission(ALICE, HW1, BOB, NOON, upload, late, due, arrived)
        store.submissions.accept(ready, issue_receipt(ready, SIGNER, "course")).result()
        upload.discard()
        kept = list(store.submissions.receipts())[-1].submission
        assert (kept.late, kept.due, kept.arrived) == (late, due, arrived)


def test_the_usage_of_a_person_is_counted_when_the_chain_position_is_given(store: Store) -> None:
    seen: list[Usage] = []

    def submit(content: bytes, received: int, by: Username = ALICE, assignment: AssignmentName = HW1) -> None:
        upload = filled(store.submissions.upload(), content)
        ready = NewSubmission(ALICE, assignment, by, received, upload)
        issue = issue_receipt(ready, SIGNER, "course")
        store.submissions.accept(ready, lambda position: seen.append(position.usage) or issue(position)).result()
        upload.discard()

    for content, received in ((b"old", NOON - HOUR), (b"1", NOON), (b"22", NOON + 1)):
        submit(content, received)
    submit(b"for her", NOON + 2, by=BOB)
    submit_work(store, SIGNER, BOB, b"another's", NOON + 2)
    submit(b"other", NOON + 3, assignment=AssignmentName("hw2"))
    assert seen == [Usage(), Usage(0, 0, 3), Usage(1, NOON, 4), Usage(2, NOON, 6), Usage(2, NOON, 6)]


def test_the_limit_of_a_person_holds_for_simultaneous_submissions(store: Store) -> None:
    allowance = Allowance(per_hour=5)

    def submit(number: int) -> bool:
        upload = filled(store.submissions.upload(), b"%d" % number)
        ready = NewSubmission(ALICE, HW1, ALICE, NOON, upload)
        try:
            store.submissions.accept(ready, issue_receipt(ready, SIGNER, "course", allowance)).result()
        except TooManySubmissions:
            return False
        finally:
            upload.discard()
        return True

    with ThreadPoolExecutor(12) as threads:
        assert sum(threads.map(submit, range(24))) == 5
    names = [each.submission.filename for each in store.submissions.receipts(HW1, ALICE)]
    assert names == [version_filename(ALICE, NOON + number * SECOND) for number in range(5)]


def test_an_hourly_limit_holds_for_one_assignment_and_across_two_servers(open_again: Open) -> None:
    stores, allowance = [open_again(), open_again()], Allowance(here=HourlyBound(3))

    def submit(number: int, assignment: AssignmentName = HW1, by: Username = ALICE, moment: int = NOON) -> bool:
        store = stores[number % 2]
        upload = filled(store.submissions.upload(), b"%d" % number)
        ready = NewSubmission(ALICE, assignment, by, moment, upload, arrived=moment + 1)
        try:
            store.submissions.accept(ready, issue_receipt(ready, SIGNER, "course", allowance)).result()
        except TooManySubmissions:
            return False
        finally:
            upload.discard()
        return True

    assert submit(1, moment=NOON - HOUR)
    assert submit(3, by=BOB)  # submitted by an instructor for her
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(submit, range(4, 20))) == 3
    assert submit(30, AssignmentName("hw2"))
    assert not submit(31, moment=NOON + HOUR - 1)
    assert submit(32, moment=NOON + HOUR)


def test_the_latest_submissions_of_everybody_are_read_at_once(store: Store) -> None:
    other = AssignmentName("hw2")
    assert (store.submissions.latest(), store.submissions.users(HW1)) == ([], [])
    submit_work(store, SIGNER, ALICE, b"one", NOON + 9 * SECOND)
    last = submit_work(store, SIGNER, ALICE, b"two", NOON).receipt.submission
    bobs = submit_work(store, SIGNER, BOB, b"three").receipt.submission
    elsewhere = submit_work(store, SIGNER, ALICE, b"four", assignment=other).receipt.submission
    assert store.submissions.latest() == [(2, last), (3, bobs), (4, elsewhere)]
    assert store.submissions.latest(3) == [(4, elsewhere)]
    assert (sorted(store.submissions.users(HW1)), store.submissions.users(other)) == ([ALICE, BOB], [ALICE])
    bobs = submit_work(store, SIGNER, BOB, b"five").receipt.submission
    assert store.submissions.latest(2) == [(4, elsewhere), (5, bobs)]
    store.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE)
    assert (store.submissions.latest(), store.submissions.users(HW1), store.submissions.users(other)) == (
        [(5, bobs)],
        [BOB],
        [],
    )


def test_the_times_of_the_submissions_since_a_moment_are_listed(store: Store) -> None:
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


def test_a_submission_keeps_its_name_and_ending_and_no_two_versions_share_a_name(open_again: Open) -> None:
    store = open_again()
    sent = [("Essay final.PDF", b"%PDF-"), ("", b"x = 1"), ("data.tar.gz", b"\x1f\x8b"), ("no ending", b"y = 2")]
    for name, content in sent:
        upload = filled(store.submissions.upload(), content)
        ready = NewSubmission(ALICE, HW1, ALICE, NOON, upload, name=name)
        store.submissions.accept(ready, issue_receipt(ready, SIGNER, "course")).result()
        upload.discard()
    kept = [each.submission for each in open_again().submissions.receipts()]
    endings = [".pdf", ".py", ".gz", ".py"]
    assert [(each.name, each.ending) for each in kept] == list(zip([name for name, _ in sent], endings, strict=True))
    assert len({each.stem for each in kept}) == len(sent)
    assert list(find_breaks(store.submissions.chain(), SIGNER)) == []
    for each, (_, content) in zip(kept, sent, strict=True):
        found = store.submissions.file(HW1, FileName(each.filename))
        assert found is not None
        assert found.read() == content
    latest = store.submissions.file(HW1, FileName("alice.py"))
    assert latest is not None
    assert latest.read() == sent[-1][1]
    (listed,) = store.submissions.latest_files(HW1)
    assert listed.sha256 == sha256(sent[-1][1])
