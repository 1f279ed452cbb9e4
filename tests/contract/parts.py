"""Functions that contract tests of several nouns share."""

from __future__ import annotations

from collections.abc import Callable

from mograder.domain.audit import Event
from mograder.domain.commitments import Commitment
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import Receipt
from mograder.domain.store import Store
from mograder.signing import Ed25519Signer, new_private_key
from tests.parts import (
    ALICE,
    HW1,
    NOON,
)

Open = Callable[[], Store]
SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "alice", "test", "hw1", "detail")
LARGE = b"0123456789abcdef" * (1024 * 1024 // 8)  # 2 MiB


def submitted(store: Store, name: str) -> bytes | None:
    found = store.submissions.file(HW1, FileName(name))
    return found.read() if found else None


def assert_unbroken(receipts: list[Receipt]) -> None:
    before = ""
    for number, receipt in enumerate(receipts, 1):
        assert (receipt.number, receipt.previous) == (number, before)
        assert SIGNER.verify(receipt.text)["previous"] == before
        before = receipt.hash


def extension(user: Username = ALICE, until: int | None = NOON, assignment: AssignmentName = HW1) -> Extension:
    return Extension(assignment, user, until, "nöte", NOON + 1, "reason", declined=True)


def put(store: Store, *given: Extension) -> None:
    store.extensions.change([(each.assignment, each.username, lambda held, each=each: each, NOTE) for each in given])  # type: ignore[misc]


def commit(number: int, user: Username = ALICE) -> Commitment:
    return Commitment(HW1, user, f"{number:064}", number, NOON + number)


def graded(**fields: object) -> GradeEntry:
    return GradeEntry(fields)
