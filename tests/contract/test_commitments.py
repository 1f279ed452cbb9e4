"""What every store promises about commitments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from mograder.domain.names import AssignmentName
from mograder.domain.store import Store
from tests.contract.parts import commit
from tests.parts import (
    ALICE,
    BOB,
    HW1,
)


def test_commitments_of_a_person_are_listed_in_their_order_and_replaced(store: Store) -> None:
    assert store.commitments.of(HW1, ALICE) == ()
    assert store.commitments.change(HW1, ALICE, lambda held: (commit(2), commit(1))) == (commit(2), commit(1))
    store.commitments.change(HW1, BOB, lambda held: (*held, commit(3, BOB)))
    assert store.commitments.change(HW1, ALICE, lambda held: held[1:]) == (commit(2),)
    assert (store.commitments.of(HW1, ALICE), store.commitments.of(HW1, BOB)) == ((commit(2),), (commit(3, BOB),))
    assert store.commitments.of(AssignmentName("hw2"), ALICE) == ()


def test_changes_of_commitments_are_atomic(store: Store) -> None:
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda n: store.commitments.change(HW1, ALICE, lambda held: (*held, commit(n))), range(60)))
    assert store.commitments.of(HW1, ALICE) == tuple(map(commit, range(60)))
