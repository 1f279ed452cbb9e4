"""What every store promises about a course that is closed and opened again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from mograder.domain.access import Account
from mograder.domain.release import Fetched
from mograder.domain.store import Store
from tests.contract.parts import LARGE, NOTE, SIGNER, Open, assert_unbroken, commit, extension, graded, put, submitted
from tests.parts import (
    ALICE,
    BOB,
    HW1,
    NOON,
    sha256,
    submit_work,
)


def test_everything_is_there_after_closing_and_reopening(open_again: Open) -> None:
    def contents_of(store: Store) -> list[object]:
        page = store.grades.feedback(HW1, ALICE)
        return [
            store.accounts.all(), list(store.submissions.receipts()), store.submissions.latest_files(HW1),
            store.grades.of(HW1), store.audit.events(),
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
    before = contents_of(store)
    store.close()
    again = open_again()
    assert contents_of(again) == before
    submit_work(again, SIGNER, ALICE, b"next")
    assert_unbroken(list(again.submissions.receipts()))


def test_two_stores_open_on_one_course_see_the_changes_of_each_other(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: submit_work(stores[n % 2], SIGNER, ALICE, b"%d" % n), range(60)))
    kept = [list(store.submissions.receipts()) for store in stores]
    assert kept[0] == kept[1]
    assert_unbroken(kept[0])
    assert sha256(submitted(stores[0], "alice.py") or b"") == kept[0][-1].submission.sha256
