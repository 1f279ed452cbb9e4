"""What every store promises about assignments and released files."""

from __future__ import annotations

import pytest

from mograder.domain.audit import Event
from mograder.domain.names import INSTRUCTOR, AssignmentName, FileName
from mograder.domain.release import Fetched, NewFile
from mograder.domain.store import Store
from tests.contract.parts import Open
from tests.parts import (
    ALICE,
    BOB,
    HW1,
    NOON,
    sha256,
)


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
def test_a_missing_released_file_is_none(store: Store, name: str) -> None:
    assert store.release.file(HW1, FileName(name)) is None
    assert store.release.file(AssignmentName("hw9"), FileName(name)) is None


def test_the_first_download_of_each_person_and_assignment_is_recorded(open_again: Open) -> None:
    store, hw2 = open_again(), AssignmentName("hw2")
    first = [Fetched(HW1, BOB, NOON), Fetched(HW1, ALICE, NOON + 1), Fetched(hw2, ALICE, NOON + 2)]
    store.release.note_fetched(first)
    store.release.note_fetched([Fetched(HW1, ALICE, NOON + 3), Fetched(hw2, BOB, NOON + 4)])
    for seen in (store, open_again()):
        assert seen.release.fetched() == [first[1], first[0], first[2], Fetched(hw2, BOB, NOON + 4)]
        assert seen.release.fetched(ALICE) == [first[1], first[2]]


def test_files_are_published_replaced_and_removed_and_every_server_sees_it(open_again: Open) -> None:
    store, new = open_again(), AssignmentName("h\u00fc 5")
    event = Event(NOON, INSTRUCTOR, "put up", new, "a.py")
    first = [NewFile(FileName("a.py"), b"one"), NewFile(FileName("data/t.csv"), b"x" * 300_000)]
    store.release.put_files(new, first, event)
    store.release.put_files(new, [NewFile(FileName("a.py"), b"two"), NewFile(FileName("b.py"), b"two")], event)
    for seen in (store, open_again()):
        found = next(each for each in seen.release.assignments() if each.name == new)
        assert [each.name for each in found.files] == ["a.py", "b.py", "data/t.csv"]
        contents = {each.name: seen.release.file(new, each.name) for each in found.files}
        assert {name: sha256(file.read()) for name, file in contents.items() if file} == {
            "a.py": sha256(b"two"), "b.py": sha256(b"two"), "data/t.csv": sha256(b"x" * 300_000)
        }  # fmt: skip
    assert store.release.remove_file(new, FileName("a.py"), event)
    assert not store.release.remove_file(new, FileName("a.py"), event)
    for seen in (store, open_again()):
        kept = seen.release.file(new, FileName("b.py"))
        assert kept is not None
        assert kept.read() == b"two"
        assert seen.release.file(new, FileName("a.py")) is None
        assert [each.action for each in seen.audit.events(5)][:3] == ["put up"] * 3


def test_an_assignment_without_files_can_be_created(open_again: Open) -> None:
    open_again().release.put_files(AssignmentName("hw5"), [], Event(NOON, INSTRUCTOR, "put up", "hw5"))
    assert [each.name for each in open_again().release.assignments()] == ["hw1", "hw5"]
