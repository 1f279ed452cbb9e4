"""What every store promises about its version."""

from __future__ import annotations

from msgspec.structs import replace

from mograder.domain.access import Account
from mograder.domain.chain import make_tombstone
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.release import Fetched
from mograder.domain.store import Store
from tests.contract.parts import NOTE, SIGNER, Open
from tests.parts import (
    ALICE,
    HW1,
    NOON,
    submit_work,
)


def test_each_noun_has_a_version_that_changes_with_it_on_every_server(open_again: Open) -> None:
    store, other = open_again(), open_again()
    seen = store.versions()
    for noun, change in (
        ("receipts", lambda: submit_work(store, SIGNER, ALICE, b"one")),
        ("receipts", lambda: submit_work(other, SIGNER, ALICE, b"two")),
        ("people", lambda: store.accounts.change(ALICE, lambda held: Account(ALICE), NOTE)),
        ("people", lambda: other.accounts.change(ALICE, lambda held: Account(ALICE, generation=1), NOTE)),
        ("people", lambda: other.extensions.change([(HW1, ALICE, lambda held: Extension(HW1, ALICE, NOON), NOTE)])),
        ("downloads", lambda: other.release.note_fetched([Fetched(HW1, ALICE, NOON)])),
        ("people", lambda: erase(other)),
        ("receipts", lambda: submit_work(other, SIGNER, ALICE, b"one")),
        ("people", lambda: erase(other)),
    ):
        change()  # type: ignore[no-untyped-call]
        now = store.versions()
        assert getattr(now, noun) != getattr(seen, noun)
        if noun in ("receipts", "downloads"):
            assert replace(now, **{noun: getattr(seen, noun)}) == seen, "another noun's version changed"
        seen = now


def erase(store: Store) -> None:
    store.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE)


def test_the_version_of_an_assignment_changes_with_its_grades_and_feedback(open_again: Open) -> None:
    store, other = open_again(), open_again()
    seen = [store.version(HW1)]
    for change in (
        lambda: other.grades.merge(HW1, (GradeEntry({"username": "alice", "grade": 1}),), NOTE),
        lambda: other.grades.put_feedback(HW1, {ALICE: b"<p>fine"}, NOTE),
    ):
        change()  # type: ignore[no-untyped-call]
        seen.append(store.version(HW1))
        assert seen[-1] not in seen[:-1]


def test_versions_do_not_change_while_nothing_changes(open_again: Open) -> None:
    """Otherwise nothing could be cached."""
    store, other = open_again(), open_again()
    submit_work(store, SIGNER, ALICE, b"one")
    seen = store.versions()
    assert other.accounts.all() == store.accounts.all()
    assert store.versions() == other.versions() == seen
