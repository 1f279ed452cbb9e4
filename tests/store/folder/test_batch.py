"""Simultaneous submissions share one transaction, and nothing else."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from mograder.domain.audit import Event
from mograder.domain.errors import StorageFull, Temporary
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import ChainPosition, Issue, NewSubmission, Receipt, issue_receipt
from mograder.domain.submissions import Accepted
from mograder.signing import Ed25519Signer
from mograder.store.folder.rows import record
from mograder.store.folder.store import FolderStore
from mograder.store.shared import files
from mograder.store.shared.files import IN_MEMORY
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, filled, names_in, submit_work


@contextlib.contextmanager
def busy(store: FolderStore) -> Iterator[None]:
    """Keep the ledger busy until the end of the block, so that everything submitted meanwhile is one batch."""
    taken, free = threading.Event(), threading.Event()
    before = store.ledger.begin(lambda connection: (taken.set(), free.wait(60)))
    assert taken.wait(60)
    try:
        yield
    finally:
        free.set()
        before.result()


def sent(
    store: FolderStore, signer: Ed25519Signer, user: Username, content: bytes, received: int = NOON,
    issue: Issue | None = None, assignment: AssignmentName = HW1,
) -> Future[Accepted]:  # fmt: skip
    upload = filled(store.submissions.upload(), content)
    ready = NewSubmission(user, assignment, user, received, upload)
    accepted = store.submissions.accept(ready, issue or issue_receipt(ready, signer, "course"))
    accepted.add_done_callback(lambda _: upload.discard())
    return accepted


def refuse(position: ChainPosition) -> Receipt:
    raise ValueError("not this one")


def test_one_failing_submission_does_not_affect_the_others_of_its_batch(
    store: FolderStore, signer: Ed25519Signer, submitted: Path
) -> None:
    with busy(store):
        first = sent(store, signer, ALICE, b"alice's")
        failing = sent(store, signer, BOB, b"bob's", issue=refuse)
        last = sent(store, signer, Username("carol"), b"carol's")
    with pytest.raises(ValueError, match="not this one"):
        failing.result()
    assert [each.result().receipt.number for each in (first, last)] == [1, 2]
    assert last.result().receipt.previous == first.result().receipt.hash
    assert {name for name in names_in(submitted) if "_" not in name} == {"alice.py", "carol.py"}


def test_a_submission_that_arrives_while_a_batch_is_written_is_in_the_next_one(
    store: FolderStore, signer: Ed25519Signer, submitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, late = files.point_latest, list[Future[Accepted]]()

    def pointing(link: Path | str, target: Path | str) -> None:
        if not late:
            late.append(sent(store, signer, BOB, b"bob's"))
        point(link, target)

    monkeypatch.setattr(files, "point_latest", pointing)
    assert sent(store, signer, ALICE, b"alice's").result(60).receipt.number == 1
    assert late[0].result(60).receipt.number == 2
    assert (submitted / "bob.py").read_bytes() == b"bob's"


def test_after_a_batch_that_could_not_begin_the_next_one_is_committed(
    store: FolderStore, signer: Ed25519Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object) -> None:
        monkeypatch.undo()
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store.ledger, "_transact", failing)
    with pytest.raises(Temporary, match="not usable"):
        sent(store, signer, ALICE, b"work").result(60)
    assert sent(store, signer, ALICE, b"work").result(60).receipt.number == 1


def test_a_batch_that_fails_before_its_caller_continues_still_answers(
    store: FolderStore, signer: Ed25519Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: Future[object] = Future()
    failed.set_exception(Temporary("the ledger is not usable"))
    answers: list[Future[Accepted]] = []
    with monkeypatch.context() as patched:
        patched.setattr(store.ledger, "begin", lambda *_: failed)
        caller = threading.Thread(target=lambda: answers.append(sent(store, signer, ALICE, b"work")), daemon=True)
        caller.start()
        caller.join(10)
    assert answers, "accept waits for a lock that it holds"
    with pytest.raises(Temporary):
        answers[0].result(10)
    assert sent(store, signer, ALICE, b"work").result(60).receipt.number == 1


def test_file_names_of_versions_that_were_removed_by_hand_are_not_used_again(
    store: FolderStore, signer: Ed25519Signer, submitted: Path
) -> None:
    for content in (b"first", b"second"):
        submit_work(store, signer, ALICE, content)
    store.settler.settle()
    for path in submitted.glob("alice_*"):
        path.unlink()
    assert submit_work(store, signer, ALICE, b"third").receipt.submission.filename == "alice_20260310T120002.py"
    assert names_in(submitted) == ["alice.py", "alice_20260310T120002.py"]


def test_versions_of_two_assignments_may_have_the_same_name(store: FolderStore, signer: Ed25519Signer) -> None:
    both = (HW1, AssignmentName("hw2"))
    for each in both:
        submit_work(store, signer, ALICE, b"before", assignment=each)
    with busy(store):
        promised = [sent(store, signer, ALICE, b"work", NOON + SECOND, assignment=each) for each in both]
    assert [each.result().receipt.submission.filename for each in promised] == ["alice_20260310T120001.py"] * 2


def test_all_uploads_to_a_course_share_one_memory_budget(store: FolderStore) -> None:
    uploads = [store.submissions.upload() for _ in range(files.ALL_IN_MEMORY // IN_MEMORY + 1)]
    for each in uploads:
        each.write(bytes(IN_MEMORY))
    assert [each.is_large for each in uploads] == [False] * (len(uploads) - 1) + [True]
    for each in uploads:
        each.discard()


@pytest.mark.parametrize("more", [0, IN_MEMORY])
def test_simultaneous_submissions_of_one_person_are_kept_in_their_order_of_arrival(
    store: FolderStore, signer: Ed25519Signer, submitted: Path, more: int
) -> None:
    submit_work(store, signer, ALICE, b"before", NOON + SECOND)
    works = [b"%d" % number + b"x" * more for number in (1, 2, 2, 3)]
    moments = (NOON, NOON, NOON, NOON - SECOND)
    with busy(store):
        promised = [sent(store, signer, ALICE, *each) for each in zip(works, moments, strict=True)]
    accepted = [each.result() for each in promised]
    assert [each.repeated for each in accepted] == [False, False, True, False]
    assert [each.receipt.submission.attempt for each in accepted] == [2, 3, 3, 4]
    for each, work in zip(accepted, works, strict=True):
        assert (submitted / each.receipt.submission.filename).read_bytes() == work
    assert (submitted / "alice.py").read_bytes() == works[-1]
    store.settler.settle()
    assert not store.ledger.read("SELECT number FROM pending")
    assert len(names_in(submitted)) == 5
    assert names_in(submitted.parent) == ["hw1"]


def test_simultaneous_writes_share_one_transaction(store: FolderStore, signer: Ed25519Signer) -> None:
    said: list[str] = []
    note = Event(NOON, "ta", "test", "hw1")
    with busy(store):
        store.ledger.begin(lambda connection: connection.set_trace_callback(said.append))
        waiting = [store.ledger.begin(lambda connection: record(connection, note))]
        submissions = [sent(store, signer, Username(f"s{number}"), b"work") for number in range(20)]
        waiting += [store.ledger.begin(lambda connection: record(connection, note)) for _ in range(20)]
    for each in (*waiting, *submissions):
        each.result()
    written = [number for number, line in enumerate(said) if re.match("INSERT INTO (receipts|events)", line)]
    # SQLite traces an insert again for each trigger that it fires.
    assert len({line for line in said if line.startswith("INSERT INTO receipts")}) == 20
    assert sum(line.startswith("INSERT INTO events") for line in said) == 21
    assert "COMMIT" not in said[written[0] : written[-1]]


def test_when_a_batch_cannot_be_committed_everybody_gets_an_error_and_nothing_is_stored(
    store: FolderStore, signer: Ed25519Signer, submitted: Path
) -> None:
    with busy(store):
        store.ledger.begin(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchall())
        full = [sent(store, signer, user, b"x" * 100_000) for user in (ALICE, BOB)]
    for each in full:
        with pytest.raises(StorageFull):
            each.result()
    assert names_in(submitted) == []
    store.ledger.write(lambda connection: connection.execute("PRAGMA max_page_count = 1073741823").fetchall())
    assert submit_work(store, signer, ALICE, b"work").receipt.number == 1
