"""What every store promises about accounts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from mograder.domain.access import COURSE_INSTRUCTOR, Account, ExternalId, Role
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.errors import NameTaken, NotFound
from mograder.domain.names import Username
from mograder.domain.roster import Person
from mograder.domain.store import Store
from tests.contract.parts import NOTE, SIGNER
from tests.parts import (
    ALICE,
    BOB,
    NOON,
    Clock,
)


def test_an_unknown_account_is_none(store: Store) -> None:
    assert store.accounts.get(ALICE) is None
    assert store.accounts.all() == []


def test_texts_of_people_are_stored_without_characters_that_no_database_accepts(store: Store) -> None:
    """NUL and a lone surrogate, which JSON can represent."""
    course = Course(store, SIGNER, Clock())
    course.roster.add(COURSE_INSTRUCTOR, [Person.parse("alice", "Al\0ice \ud800Liddell")])
    assert [account.name for account in store.accounts.all()] == ["Al ice Liddell"]


def test_an_account_is_stored_unchanged(store: Store) -> None:
    account = Account(
        ALICE, Role.INSTRUCTOR, "Alïce", generation=3, bound=True, code_hash="ab", created=NOON, removed=True,
        claim_hash="cd", claimed=NOON + 1, email="ä@example.org", sections=("Sec 1, Mo", 'Ü "2"'),
        ids=(ExternalId("canvas_id", "0987"), ExternalId("student_id", "S1")),
    )  # fmt: skip
    assert store.accounts.change(ALICE, lambda held: account, NOTE) == account
    assert store.accounts.get(ALICE) == account


def test_an_account_is_found_by_its_name_in_another_case(store: Store) -> None:
    assert store.accounts.find(ALICE) is None
    account = store.accounts.change(ALICE, lambda held: Account(ALICE, name="Alice"), NOTE)
    assert store.accounts.find(Username("aLiCe")) == store.accounts.find(ALICE) == account
    assert store.accounts.get(Username("aLiCe")) is None


def test_an_imported_list_updates_adds_and_removes_people_together_or_not_at_all(store: Store) -> None:
    course = Course(store, SIGNER, Clock())
    number = ExternalId("student_id", "007")
    old = Person.parse("alice", "A", email="a@example.org", sections=["1"], ids=[ExternalId("canvas_id", "9"), number])
    course.roster.add(COURSE_INSTRUCTOR, [old, Person.parse("bob"), Person.parse("tom", role=Role.INSTRUCTOR)])
    before = store.accounts.all()
    new = Person.parse("alice", "Alice", sections=["2"], ids=[ExternalId("student_id", "008")])
    people = [new, Person.parse("carol", ids=[number]), Person.parse("tom", "Tom")]
    with pytest.raises(NotFound, match="nobody called 'nobody'"):
        course.roster.add(COURSE_INSTRUCTOR, people, True, [BOB, Username("nobody")])
    assert store.accounts.all() == before

    assert [code == "" for _, code in course.roster.add(COURSE_INSTRUCTOR, people, True, [BOB])] == [True, False, True]
    alice, bob, carol, tom = store.accounts.all()
    assert (alice.name, alice.email, alice.sections) == ("Alice", "a@example.org", ("2",))
    assert alice.ids == (ExternalId("canvas_id", "9"), ExternalId("student_id", "008"))
    assert (alice.code_hash, alice.generation) == (before[0].code_hash, 0)
    assert (bob.removed, carol.ids, tom.role, tom.name) == (True, (number,), Role.INSTRUCTOR, "Tom")
    actions = [(each.action, each.subject) for each in store.audit.events()][:4]
    assert actions[::-1] == [("update", "alice"), ("add", "carol"), ("update", "tom"), ("remove", "bob")]

    course.roster.add(COURSE_INSTRUCTOR, [old])  # without `update` nothing changes
    assert store.accounts.get(ALICE) == alice


def test_accounts_are_sorted_by_name(store: Store) -> None:
    for name in ("carl", "alice", "bob"):
        account = Account(Username(name))
        store.accounts.change(account.username, lambda held, account=account: account, NOTE)  # type: ignore[misc]
    assert [each.username for each in store.accounts.all()] == ["alice", "bob", "carl"]


def test_a_change_gets_the_account_whose_name_differs_only_in_case(store: Store) -> None:
    store.accounts.change(ALICE, lambda held: Account(ALICE), NOTE)
    seen: list[Account | None] = []

    def change(held: Account | None) -> Account:
        seen.append(held)
        raise NameTaken("taken")

    with pytest.raises(NameTaken):
        store.accounts.change(Username("ALICE"), change, NOTE)
    assert seen == [Account(ALICE)]
    assert store.accounts.get(Username("ALICE")) is None


def test_a_change_that_raises_leaves_account_and_audit_log_unchanged(store: Store) -> None:
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


def test_a_change_without_effect_is_not_in_the_audit_log(store: Store) -> None:
    def keep(name: Username) -> tuple[Username, Callable[[Account | None], Account], Event]:
        return name, lambda held: held or Account(name), replace(NOTE, subject=name)

    changes = [keep(name) for name in (BOB, BOB, ALICE)]
    for _ in range(2):
        assert store.accounts.change_many(changes) == [Account(BOB), Account(BOB), Account(ALICE)]
        assert [each.subject for each in store.audit.events()] == ["alice", "bob"]


def test_changes_of_an_account_are_atomic(store: Store) -> None:
    def raised(held: Account | None) -> Account:
        return replace(held, generation=held.generation + 1) if held else Account(ALICE, generation=1)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda _: store.accounts.change(ALICE, raised, NOTE), range(100)))
    account = store.accounts.get(ALICE)
    assert account is not None
    assert account.generation == 100
    assert len(store.audit.events()) == 100


def test_accounts_are_counted_and_a_used_ticket_is_recognised(store: Store) -> None:
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
def test_the_existence_of_claimable_accounts_is_known_without_reading_all_accounts(
    store: Store, account: Account, claimable: bool
) -> None:
    assert not store.accounts.any_claimable(0)
    store.accounts.change(ALICE, lambda _: account, Event(NOON, "x", "add", ALICE))
    assert store.accounts.any_claimable(NOON - 1) is claimable
