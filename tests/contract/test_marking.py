"""What every store promises about marking."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from mograder.domain.audit import ERASED_NAME
from mograder.domain.errors import ChangedMeanwhile
from mograder.domain.marking import Entry, GradesChange, Kind, MarkingConflict
from mograder.domain.names import AssignmentName
from mograder.domain.store import Store
from tests.contract.parts import NOTE, SIGNER, Open, graded
from tests.contract.test_erasure import attest
from tests.parts import ALICE, HW1, NOON, submit_work


def entry(version: int = 1, user: str = ALICE, kind: Kind = Kind.MARK, key: str = "Q1", **more: str) -> Entry:
    said = {"content": '{"comment": "ä"}', "actor": "tutor", "why": "typing", **more}
    return Entry(HW1, kind, user, key, version, NOON + version, **said)


def test_entries_are_stored_and_the_last_of_each_key_is_in_force(open_again: Open) -> None:
    store, other = open_again(), open_again()
    written = [entry(), entry(key="Q2"), entry(user="bob"), entry(kind=Kind.ITEM, user="", key="a"), entry(2)]
    store.marking.write(HW1, written[:4], [NOTE])
    store.marking.write(HW1, written[4:])
    elsewhere = replace(entry(), assignment=AssignmentName("hw2"))
    store.marking.write(elsewhere.assignment, [elsewhere])
    for seen in (store, other):
        assert seen.marking.history(HW1) == written
        assert seen.marking.history(HW1, ALICE) == [written[0], written[1], written[4]]
        assert sorted(seen.marking.current(HW1), key=written.index) == written[1:]
        assert sorted(seen.marking.current(HW1, username=ALICE), key=written.index) == [written[1], written[4]]
        assert seen.marking.current(HW1, (Kind.ITEM,)) == seen.marking.current(HW1, username="") == [written[3]]
        assert seen.marking.current(HW1, (Kind.RELEASE,)) == []
        assert (seen.marking.count(), seen.audit.events()) == (6, [NOTE])


def test_reading_the_entries_since_a_number_gives_those_in_force_with_increasing_numbers(open_again: Open) -> None:
    store, other = open_again(), open_again()
    assert store.marking.since(HW1, 0) == []
    store.marking.write(HW1, [entry(), entry(key="Q2")])
    first = store.marking.since(HW1, 0)
    assert {each for _, each in first} == {entry(), entry(key="Q2")}
    last = max(number for number, _ in first)
    other.marking.write(AssignmentName("hw2"), [replace(entry(), assignment=AssignmentName("hw2"))])
    assert store.marking.since(HW1, last) == []
    other.marking.write(HW1, [entry(2)])
    other.marking.write(HW1, [entry(3)])
    ((number, held),) = store.marking.since(HW1, last)
    assert (held, number > last) == (entry(3), True)


def test_an_entry_based_on_an_outdated_one_is_refused_with_all_entries_written_with_it(
    open_again: Open,
) -> None:
    store, other = open_again(), open_again()
    store.marking.write(HW1, [entry()])
    grades = GradesChange((graded(username="alice", grade="1"),), store.grades.version(HW1))
    for late in ([entry(key="Q2"), entry()], [entry(3)], [entry(2), entry(2, key="Q2")]):
        with pytest.raises(MarkingConflict) as refused:
            other.marking.write(HW1, late, [NOTE], grades)
        assert [each.version for each in refused.value.current][:1] in ([1], [0])
    assert store.marking.history(HW1) == [entry()]
    assert (store.audit.events(), store.grades.of(HW1)) == ([], ())
    other.marking.write(HW1, [entry(2)])
    assert store.marking.current(HW1) == [entry(2)]


def test_of_many_simultaneous_changes_of_one_version_one_succeeds(open_again: Open) -> None:
    stores = [open_again(), open_again()]

    def write(number: int) -> bool:
        try:
            stores[number % 2].marking.write(HW1, [entry(content=f'{{"comment": "{number}"}}')])
        except MarkingConflict as refused:
            return refused.current[0].version != 1
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(write, range(16))) == 1
    assert len(stores[0].marking.history(HW1)) == 1


def test_released_marks_and_their_grades_are_written_together_or_not_at_all(open_again: Open) -> None:
    store, other = open_again(), open_again()
    release, before = entry(kind=Kind.RELEASE, key=""), store.grades.version(HW1)
    store.grades.merge(HW1, (graded(username="alice", grade="by hand"),), NOTE)
    change = GradesChange((graded(username="alice", grade="7"),), before)
    with pytest.raises(ChangedMeanwhile):
        other.marking.write(HW1, [release], [NOTE], change)
    assert (store.marking.history(HW1), len(store.audit.events())) == ([], 1)
    other.marking.write(HW1, [release], [NOTE], replace(change, version=store.grades.version(HW1)))
    assert [each.grade for each in store.grades.of(HW1)] == ["7"]
    assert (store.marking.history(HW1), len(store.audit.events())) == ([release], 2)


def test_of_an_erased_person_no_marks_remain_and_no_name_in_marks_they_gave(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"a")
    of_bob = entry(user="bob", actor=ALICE, content='{"alice": 1, "comment": "as for alice, not malice"}')
    store.marking.write(HW1, [entry(), entry(key="Q2"), of_bob])
    store.erase(ALICE, attest, NOTE)
    cleaned = '{"alice": 1, "comment": "as for (erased), not malice"}'
    assert store.marking.history(HW1) == [replace(of_bob, actor=ERASED_NAME, content=cleaned)]
