"""What every store promises about extensions."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mograder.domain.errors import NameTaken
from mograder.domain.extensions import Extension
from mograder.domain.names import AssignmentName
from mograder.domain.store import Store
from tests.contract.parts import NOTE, extension, put
from tests.parts import (
    ALICE,
    BOB,
    HW1,
    NOON,
)


def test_extensions_are_found_by_assignment_by_person_and_by_both(store: Store) -> None:
    other = AssignmentName("hw2")
    given = [extension(BOB), extension(ALICE, None, other), extension()]
    put(store, *given)
    assert store.extensions.find() == [extension(), extension(BOB), extension(ALICE, None, other)]
    assert store.extensions.find(HW1) == [extension(), extension(BOB)]
    assert store.extensions.find(username=ALICE) == [extension(), extension(ALICE, None, other)]
    assert store.extensions.find(other, ALICE) == [extension(ALICE, None, other)]
    assert store.extensions.find(other, BOB) == []
    assert len(store.audit.events()) == 3


def test_extensions_are_changed_together_or_not_at_all_and_given_the_existing_ones(store: Store) -> None:
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
