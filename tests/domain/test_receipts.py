"""Receipts: what they state, how they are chained, and when a submission is a repetition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import (
    ChainPosition,
    NewSubmission,
    Receipt,
    chain_hash,
    claims,
    free_filename,
    issue_receipt,
    version_filename,
)
from mograder.signing import Ed25519Signer, new_private_key
from tests.parts import ALICE, BOB, NOON, SECOND, sha256

SIGNER = Ed25519Signer(new_private_key())


@dataclass(frozen=True)
class Bytes:
    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def sha256(self) -> str:
        return sha256(self.content)


def new(content: bytes, **changes: Any) -> NewSubmission:
    return replace(NewSubmission(ALICE, AssignmentName("hw1"), BOB, NOON + 5, Bytes(content)), **changes)


FIRST = ChainPosition(1, "", None, "alice_20260310T120000.py")


def issue(content: bytes, position: ChainPosition = FIRST, **changes: Any) -> Receipt:
    return issue_receipt(new(content, **changes), SIGNER, "Kurs ä")(position)


def test_a_receipt_states_person_file_time_and_chain_position() -> None:
    assert SIGNER.verify(issue(b"one").text) == {
        "course": "Kurs ä", "number": 1, "previous": "", "user": "alice", "assignment": "hw1", "attempt": 1,
        "filename": "alice_20260310T120000.py", "sha256": sha256(b"one"), "size": 3,
        "received": "2026-03-10T12:00:00.000005Z", "by": "bob", "late": False, "due": None,
    }  # fmt: skip


def test_a_receipt_states_the_deadline_and_when_an_announced_file_arrived() -> None:
    receipt = issue(b"one", late=True, due=NOON, arrived=NOON + 7 * SECOND)
    stated = SIGNER.verify(receipt.text)
    assert (stated["late"], stated["due"]) == (True, "2026-03-10T12:00:00.000000Z")
    assert (stated["received"], stated["arrived"]) == ("2026-03-10T12:00:00.000005Z", "2026-03-10T12:00:07.000000Z")


def test_a_receipt_from_an_earlier_version_says_nothing_about_the_deadline() -> None:
    before = replace(issue(b"one").submission, late=None)
    assert {"late", "due", "arrived"}.isdisjoint(claims(before, 1, "", "c"))


def test_a_late_submission_repeated_on_time_is_a_new_attempt() -> None:
    late = issue(b"one", late=True)
    position = ChainPosition(7, "other", late, "x")
    assert issue(b"one", position, late=True) is late
    in_time = issue(b"one", position)
    assert in_time.submission.attempt == 2
    assert issue(b"one", ChainPosition(8, "other", in_time, "x"), late=True) is in_time


def test_a_receipt_holds_the_hash_of_the_one_before() -> None:
    first = issue(b"one")
    second = issue(b"two", ChainPosition(2, first.hash, first, "x"))
    assert first.hash == chain_hash(first.text) == sha256(first.text.encode())
    assert SIGNER.verify(second.text)["previous"] == second.previous == first.hash
    assert (second.number, second.submission.attempt) == (2, 2)


def test_repeating_the_latest_submission_gives_its_receipt() -> None:
    first = issue(b"one")
    position = ChainPosition(7, "other", first, "x")
    assert issue(b"one", position, received=NOON + 9 * SECOND, by=ALICE) is first
    assert issue(b"one ", position).submission.attempt == 2


@pytest.mark.parametrize("taken", [0, 1, 61, 300])
def test_a_taken_file_name_gives_the_next_free_second_within_a_few_tries(taken: int) -> None:
    names: set[str] = set()

    def last() -> str:
        tries.append("last")
        return max(names, default="")

    def is_taken(name: str) -> bool:
        tries.append(name)
        return name in names

    for number in range(taken + 1):
        tries: list[str] = []
        free = free_filename(ALICE, NOON, ".py", is_taken, last)
        assert free not in names
        assert free == version_filename(ALICE, NOON + number * SECOND)
        assert len(tries) <= 4
        names.add(free)


def test_the_date_in_a_file_name_is_utc_to_the_second() -> None:
    assert version_filename(Username("a.b"), NOON + SECOND - 1) == "a.b_20260310T120000.py"
