"""Tampering: every single change of files or ledger of a course is detected by `verify` and by the doctor."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mograder.config import utc_now
from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.chain import find_breaks, head_of
from mograder.domain.course import Course
from mograder.domain.errors import Unreadable
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Head, Receipt
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.doctor import check
from mograder.store.folder.evidence import Evidence, read_record
from mograder.store.folder.layout import Folders
from mograder.store.shared import findings
from mograder.store.shared.evidence import Verified
from tests.parts import ALICE, BOB, HW1, Clock, make_course_folder, open_store, submit_work

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links as on POSIX")
HW2, CAROL = AssignmentName("hw2"), Username("carol")
WORK = [
    (ALICE, HW1, b"alice 1"), (BOB, HW1, b"bob 1"), (CAROL, HW1, b"carol 1"), (ALICE, HW1, b"alice 2"),
    (CAROL, HW2, b"carol 2"), (BOB, HW2, b"bob 2"), (ALICE, HW2, b"alice 3"), (BOB, HW1, b"bob 3"),
]  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with six receipts of two people and two tombstones of a third; tests copy it and do not change it."""
    root = make_course_folder(tmp_path_factory.mktemp("sound"), "hw1", "hw2")
    store = open_store(root)
    signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    now = utc_now() - 3600 * 1_000_000
    for number, (user, assignment, content) in enumerate(WORK):
        submit_work(store, signer, user, content, now + number * 3_000_000, assignment)
    Course(store, signer, Clock(now)).erasure.erase(COURSE_INSTRUCTOR, CAROL)
    store.close()
    return root.parent


@pytest.fixture(autouse=True)
def no_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "SECOND_LOOK", 0)


@pytest.fixture
def course(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "course", symlinks=True))


def folders(course: Path) -> Folders:
    return Folders.of(course / "release")


def verified(course: Path, *kept: Head, signer: Ed25519Signer | None = None) -> Verified:
    return Evidence(folders(course)).verify(signer, kept)


def assert_found(course: Path, change: object) -> None:
    assert verified(course).findings, f"verify does not find {change}"
    assert check(folders(course), utc_now()), f"the doctor does not find {change}"


def sql(course: Path, *statements: str) -> None:
    with closing(sqlite3.connect(course / "release" / ".mograder.db")) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def record(course: Path) -> list[Receipt]:
    return read_record(course / "release" / ".mograder.db").receipts


def submitted(course: Path) -> list[Path]:
    """Every version and every link."""
    return sorted(path for path in (course / "submitted").rglob("*.py"))


def test_a_sound_course_has_no_findings_and_matches_its_head(course: Path) -> None:
    found = verified(course)
    assert (found.findings, found.receipts, found.erased) == ([], 6, 2)
    last = record(course)[-1]
    assert found.head == Head(8, last.hash)
    assert verified(course, found.head, Head(last.number - 1, last.previous)).findings == []
    assert check(folders(course), utc_now()) == []


def test_a_missing_key_is_an_error_that_says_where_it_belongs_and_what_to_do(course: Path) -> None:
    key = course / "release" / ".mograder-signing-key.pem"
    key.unlink()
    with pytest.raises(Unreadable, match="the course's key cannot be read") as refused:
        verified(course)
    assert refused.value.place.startswith(f"{key}: ")
    assert refused.value.place.endswith(": restore it, or give --keys")


# the ledger


def cells(course: Path) -> Iterator[tuple[str, int, str, object]]:
    """Each column of each row of the chain: table, number, column, value."""
    with closing(sqlite3.connect(course / "release" / ".mograder.db")) as connection:
        for table in ("receipts", "erased"):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for row in connection.execute(f"SELECT * FROM {table}").fetchall():
                yield from ((table, row[names.index("number")], *cell) for cell in zip(names, row, strict=True))


def other_values(value: object) -> list[object]:
    if isinstance(value, str):
        return [
            value + "x",
            "",
            *([value[:-1] + ("A" if value[-1] != "A" else "B"), value.swapcase()] if value else []),
        ]
    if isinstance(value, int):
        return [value + 1000, -value - 1, *([1 - value] if value in (0, 1) else [])]
    return [0, 1]


def test_every_change_of_every_column_of_every_row_is_detected(course: Path) -> None:
    """The doctor makes the same comparison as `verify`, so one row of each table is enough for it."""
    ledger = course / "release" / ".mograder.db"
    kept = ledger.read_bytes()
    changes, rows_for_doctor = 0, {"receipts": 1, "erased": 3}
    for table, number, column, value in list(cells(course)):
        for other in other_values(value):
            if other == value:
                continue
            with closing(sqlite3.connect(ledger)) as connection:
                connection.executescript("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF")
                try:
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE number = ?", (other, number))
                except sqlite3.IntegrityError:
                    continue  # SQLite itself refuses such a value
                connection.commit()
            change = f"{table}.{column} of {number}: {value!r} -> {other!r}"
            assert verified(course).findings, f"verify does not find {change}"
            if number == rows_for_doctor[table]:
                assert check(folders(course), utc_now()), f"the doctor does not find {change}"
            ledger.write_bytes(kept)
            changes += 1
    assert changes > 150


def test_every_character_of_every_receipt_is_verified(course: Path) -> None:
    signer = Evidence(folders(course)).own_signer()
    whole = read_record(course / "release" / ".mograder.db")
    links = whole.links
    last = links[-1]
    assert isinstance(last, Receipt)
    for place, letter in enumerate(last.text):
        text = last.text[:place] + ("A" if letter != "A" else "B") + last.text[place + 1 :]
        altered = Receipt(last.number, last.previous, last.submission, text)
        assert list(find_breaks([*links[:-1], altered], signer)), place


@pytest.mark.parametrize("number", range(1, 9))
def test_a_removed_chain_position_is_detected_wherever_it_is(course: Path, number: int) -> None:
    sql(course, f"DELETE FROM receipts WHERE number = {number}", f"DELETE FROM erased WHERE number = {number}")
    assert_found(course, f"place {number} removed")


COLUMNS = "assignment, username, attempt, filename, sha256, size, received, by"
SWAP = [
    f"UPDATE receipts SET number = -1 WHERE number = {1}", f"UPDATE receipts SET number = 1 WHERE number = {2}",
    "UPDATE receipts SET number = 2 WHERE number = -1",
]  # fmt: skip
LEDGER_CHANGES: dict[str, list[str]] = {
    "two receipts in each other's place": SWAP,
    "the same, following each other": [
        *SWAP, "UPDATE receipts SET previous = '' WHERE number = 1",
        "UPDATE receipts SET previous = (SELECT previous FROM receipts WHERE number = 1) WHERE number = 2",
    ],
    "two signatures in each other's place": [
        "CREATE TEMP TABLE texts AS SELECT number, text FROM receipts",
        "UPDATE receipts SET text = (SELECT text FROM texts WHERE texts.number = 3 - receipts.number) "
        "WHERE number IN (1, 2)",
    ],
    "a receipt twice": [
        "INSERT INTO receipts SELECT 9, previous, assignment, username, 99, 'x', sha256, size, received, by"
        "{more}, text FROM receipts WHERE number = 8",
    ],
    "a receipt that nobody signed": [
        "INSERT INTO receipts SELECT 9, 'ab', assignment, username, 99, 'x', sha256, size, received, by{more}, 'a.b.c' "
        "FROM receipts WHERE number = 8",
    ],
    "a receipt said to be erased": [
        "INSERT INTO erased SELECT 2, previous, 'ab', statement FROM erased WHERE number = 3",
        "DELETE FROM receipts WHERE number = 2",
    ],
    "a receipt said to be erased by another's statement": [
        "INSERT INTO erased SELECT 2, previous, (SELECT previous FROM erased WHERE number = 3), "
        "(SELECT statement FROM erased WHERE number = 5) FROM receipts WHERE number = 2",
        "DELETE FROM receipts WHERE number = 2",
    ],
    "a receipt said to be erased by itself": [
        "INSERT INTO erased SELECT number, previous, (SELECT previous FROM erased WHERE number = 3), text "
        "FROM receipts WHERE number = 2",
        "DELETE FROM receipts WHERE number = 2",
    ],
    "a receipt that is there and erased": [
        "INSERT INTO erased SELECT 2, previous, hash, statement FROM erased LIMIT 1",
    ],
    "an emptied ledger": ["DELETE FROM receipts", "DELETE FROM erased"],
}  # fmt: skip


@pytest.mark.parametrize("statements", LEDGER_CHANGES.values(), ids=LEDGER_CHANGES)
def test_receipts_that_are_moved_inserted_or_called_erased_are_detected(course: Path, statements: list[str]) -> None:
    with closing(sqlite3.connect(course / "release" / ".mograder.db")) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(receipts)")]
    known = {*COLUMNS.split(", "), "number", "previous", "text"}
    more = "".join(f", {name}" for name in names if name not in known)
    order = f"INSERT INTO receipts (number, previous, {COLUMNS}{more}, text) SELECT"
    sql(course, *(each.replace("INSERT INTO receipts SELECT", order).format(more=more) for each in statements))
    assert_found(course, statements)


def test_bytes_pending_in_the_ledger_are_verified_too(course: Path) -> None:
    last = record(course)[-1]
    (course / "submitted" / last.submission.assignment / last.submission.filename).unlink()
    sql(
        course,
        f"INSERT INTO pending SELECT number, CAST('bob 3' AS BLOB), NULL FROM receipts WHERE number = {last.number}",
    )
    assert verified(course).findings == []
    sql(course, "UPDATE pending SET body = CAST('bob 4' AS BLOB)")
    assert_found(course, "other bytes in pending")


# the files


def test_every_altered_truncated_or_missing_file_is_detected(course: Path, tmp_path: Path) -> None:
    for path in submitted(course):
        if path.is_symlink():
            continue
        kept = path.read_bytes()
        for content in (b"A" + kept[1:], kept[:-1], kept + b"\n", b"", None):
            path.unlink() if content is None else path.write_bytes(content)
            assert_found(course, (path.name, content))
            path.write_bytes(kept)
    assert verified(course).findings == []


def test_every_redirected_link_is_detected(course: Path) -> None:
    for link in submitted(course):
        if not link.is_symlink():
            continue
        target = os.readlink(link)
        others = [path.name for path in link.parent.glob("*_*.py") if path.name != target]
        for other in (*others, "nowhere.py", "/etc/passwd", None):
            link.unlink()
            if other is not None:
                link.symlink_to(other)
            assert_found(course, (link.name, other))
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        link.unlink()
        link.write_bytes(b"by hand")
        assert_found(course, (link.name, "by hand"))
        link.unlink()
        link.symlink_to(target)
    assert verified(course).findings == []


@pytest.mark.parametrize(
    "name", ["hw1/alice_20300101T000000.py", "hw1/dora.py", "hw1/notes.txt", "hw3/alice.py", "x.py"]
)
def test_an_added_file_is_detected(course: Path, name: str) -> None:
    path = course / "submitted" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    assert_found(course, name)


def test_two_swapped_files_are_detected(course: Path) -> None:
    one, other = [path for path in submitted(course) if not path.is_symlink()][:2]
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert_found(course, "swapped files")


# changes that the folder alone does not reveal


def remove_last(course: Path) -> None:
    """Remove the last submission completely."""
    last, before = record(course)[-1], record(course)[1]
    folder = course / "submitted" / "hw1"
    (folder / last.submission.filename).unlink()
    (folder / "bob.py").unlink()
    (folder / "bob.py").symlink_to(before.submission.filename)
    sql(course, "DELETE FROM receipts WHERE number = 8")


def test_a_truncated_chain_is_detected_with_a_saved_receipt_or_head(course: Path) -> None:
    signer = Evidence(folders(course)).own_signer()
    head, last = verified(course).head, record(course)[-1]
    remove_last(course)
    assert verified(course).findings == []
    for kept in (head, head_of(last.text, signer)):
        (found,) = verified(course, kept).findings
        assert found.what == "the chain was cut: it ends at receipt 7, and there was a receipt 8"


def rebuild(course: Path, key: bytes | None, rewrite: Callable[[bytes], bytes]) -> None:
    """Rebuild the whole course, signed with its own key, or with `key`, which is another."""
    path = course / "release" / ".mograder-signing-key.pem"
    signing = key or path.read_bytes()
    signer = Ed25519Signer(signing)
    submissions = [each.submission for each in record(course)]
    kept = [(each, (course / "submitted" / each.assignment / each.filename).read_bytes()) for each in submissions]
    shutil.rmtree(course / "submitted")
    for ledger in (course / "release").glob(".mograder.db*"):
        ledger.unlink()
    path.unlink()  # a course with a key and without a ledger cannot be opened
    store = open_store(course / "release")
    path.write_bytes(signing)
    for was, content in kept:
        submit_work(store, signer, was.username, rewrite(content), was.received, was.assignment)
    store.close()


def test_a_chain_rebuilt_with_the_key_of_the_course_is_detected_only_with_a_saved_receipt(course: Path) -> None:
    signer, kept = Evidence(folders(course)).own_signer(), record(course)
    rebuild(course, None, lambda content: content.replace(b"bob", b"BOB"))
    assert verified(course).findings == []
    (found,) = verified(course, head_of(kept[1].text, signer)).findings
    assert found.what == "receipt 2 is another than the one that was kept"
    assert verified(course, head_of(kept[0].text, signer)).findings == []


def test_a_chain_rebuilt_with_another_key_is_detected_with_the_saved_keys(course: Path) -> None:
    signer = Evidence(folders(course)).own_signer()
    rebuild(course, new_private_key(), bytes)
    assert verified(course).findings == []
    assert verified(course, signer=Ed25519Signer({"keys": list(signer.public_keys())})).findings
