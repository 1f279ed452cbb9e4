"""What every store promises about erasing people."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mograder.domain.access import Account, ExternalId
from mograder.domain.audit import ERASED_NAME
from mograder.domain.chain import Tombstone, find_breaks, make_tombstone
from mograder.domain.errors import NameTaken
from mograder.domain.names import Username
from mograder.domain.receipts import Head, Receipt
from mograder.domain.release import Fetched
from mograder.domain.store import Store
from tests.contract.parts import LARGE, NOTE, SIGNER, Open, commit, extension, graded, put, submitted
from tests.parts import (
    ALICE,
    BOB,
    HW1,
    NOON,
    submit_work,
)


def attest(receipt: Receipt) -> Tombstone:
    return make_tombstone(receipt, SIGNER, "course", NOON)


def fill_for_two(store: Store) -> None:
    for user, content in ((ALICE, b"a1"), (BOB, b"b1"), (ALICE, LARGE), (BOB, b"b2"), (ALICE, b"a3")):
        submit_work(store, SIGNER, user, content)
    for name in (ALICE, BOB):
        account = Account(
            name, bound=True, generation=2, email=f"{name}@example.org", sections=("1",), ids=(ExternalId("x", "1"),)
        )
        store.accounts.change(name, lambda held, account=account: account, replace(NOTE, actor=name, subject=name))  # type: ignore[misc]
    store.grades.merge(HW1, (graded(username="alice", grade=1), graded(userid="bob", grade=2)), NOTE)
    put(store, extension(ALICE), extension(BOB))
    store.release.note_fetched([Fetched(HW1, ALICE, NOON), Fetched(HW1, BOB, NOON)])
    for name in (ALICE, BOB):
        store.commitments.change(HW1, name, lambda held, name=name: (commit(1, name),))  # type: ignore[misc]
    store.grades.put_feedback(
        HW1, {ALICE: b"<p>a", BOB: b"<p>b"}, replace(NOTE, actor="bob", detail="of alice, malice, bob")
    )


def test_of_an_erased_person_only_tombstones_in_the_chain_remain(open_again: Open) -> None:
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


def test_after_an_erasure_the_chain_continues_from_the_tombstone(store: Store) -> None:
    fill_for_two(store)
    head = store.submissions.head()
    store.erase(ALICE, attest, NOTE)
    receipt = submit_work(store, SIGNER, BOB, b"b3").receipt
    assert (receipt.number, receipt.previous) == (6, head.hash)
    again = submit_work(store, SIGNER, ALICE, b"a1").receipt
    assert (again.number, again.submission.attempt, submitted(store, "alice.py")) == (7, 1, b"a1")
    assert list(find_breaks(store.submissions.chain(), SIGNER, [head])) == []


def test_an_erased_name_stays_taken_and_its_tokens_invalid(open_again: Open) -> None:
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


def test_erasing_again_or_an_unknown_person_changes_nothing_of_others(store: Store) -> None:
    fill_for_two(store)
    store.erase(ALICE, attest, NOTE)
    links, account = list(store.submissions.chain()), store.accounts.get(ALICE)
    store.erase(ALICE, attest, NOTE)
    store.erase(Username("carl"), attest, NOTE)
    assert (list(store.submissions.chain()), store.accounts.get(ALICE)) == (links, account)
    assert submitted(store, "bob.py") == b"b2"
