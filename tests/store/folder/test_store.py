"""The course folder: its files, changes by hand, and the state after a crash."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mograder.domain.access import Account
from mograder.domain.audit import Event
from mograder.domain.errors import Temporary, Unreadable
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import Receipt, Submission, claims
from mograder.domain.rules import RuleChange
from mograder.signing import Ed25519Signer, new_private_key, public_pem
from mograder.store.folder import ledger
from mograder.store.folder.doctor import check
from mograder.store.folder.layout import Folders
from mograder.store.folder.store import FolderStore
from mograder.store.shared.findings import Severity
from mograder.store.shared.stat_cache import fingerprint, is_settled
from tests.crashes import Say, die_before
from tests.parts import (
    ALICE,
    BOB,
    HW1,
    NOON,
    SECOND,
    make_course_folder,
    names_in,
    open_store,
    sha256,
    submit_work,
    until,
)

SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "alice", "test", "hw1")


@pytest.fixture
def root(course_folder: Path) -> Path:
    return course_folder


@pytest.fixture
def submitted(root: Path) -> Path:
    return root.parent / "submitted" / "hw1"


@pytest.fixture
def store(root: Path) -> Iterator[FolderStore]:
    store = open_store(root)
    yield store
    store.close()


def listed(store: FolderStore) -> dict[str, list[str]]:
    return {each.name: [file.name for file in each.files] for each in store.release.assignments()}


def served(store: FolderStore, name: str, assignment: str = "hw1") -> bytes | None:
    found = store.release.file(AssignmentName(assignment), FileName(name))
    return found.read() if found else None


def latest(store: FolderStore) -> list[tuple[str, str]]:
    return [(each.username, each.sha256) for each in store.submissions.latest_files(HW1)]


# files and their modes


def test_a_submission_is_a_dated_file_and_a_relative_link(store: FolderStore, submitted: Path) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    assert names_in(submitted) == ["alice.py", "alice_20260310T120000.py"]
    assert os.readlink(submitted / "alice.py") == "alice_20260310T120000.py"
    assert (submitted / "alice.py").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("root", "given", "submitted", "grades", "release"),
    [
        ("release", {}, "submitted", "release", None),
        ("course", {}, "course/submitted", "course", None),
        ("flat", {"release": "flat"}, "flat/submitted", "flat", "flat"),
        ("has", {}, "has/submitted", "has", "has/release"),
        ("release", {"submitted": "s", "grades": "g"}, "s", "g", None),
    ],
)
def test_the_folders_of_a_course_follow_from_its_root(
    tmp_path: Path, root: str, given: dict[str, str], submitted: str, grades: str, release: str | None
) -> None:
    (tmp_path / "has" / "release").mkdir(parents=True)
    (tmp_path / root).mkdir(exist_ok=True)
    folders = Folders.of(tmp_path / root, **{key: tmp_path / value for key, value in given.items()})
    assert (folders.submitted, folders.grades) == (tmp_path / submitted, tmp_path / grades)
    assert folders.release == (tmp_path / release if release else None)


def test_the_secret_has_64_hex_digits_and_only_the_owner_can_read_it(store: FolderStore, root: Path) -> None:
    secret = root / ".mograder-secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(secret.read_text())) == 32
    assert secret.read_text().endswith("\n")


def test_only_the_owner_can_read_the_ledger(store: FolderStore, root: Path) -> None:
    submit_work(store, SIGNER, ALICE, b"work")
    modes = {path.name: path.stat().st_mode & 0o777 for path in root.glob(".mograder.db*")}
    assert modes == dict.fromkeys((".mograder.db", ".mograder.db-shm", ".mograder.db-wal"), 0o600)


def test_after_a_failed_statement_the_next_write_succeeds(store: FolderStore) -> None:
    with pytest.raises(Temporary, match="not usable"):
        store.ledger.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))
    store.audit.record(NOTE)
    assert store.audit.events() == [NOTE]


def test_whitespace_around_a_secret_is_ignored(root: Path) -> None:
    path = root / ".mograder-secret"
    path.write_text("  tübingen \r\n\n")
    path.chmod(0o600)
    store = open_store(root)
    assert store.keys.secrets() == ("tübingen",)
    store.close()


@pytest.mark.parametrize(("content", "mode"), [(b"", 0o600), (b" \n", 0o600), (b"\xff\xfe", 0o600), (b"ab", 0o640)])
def test_a_secret_that_is_empty_or_readable_by_others_is_refused_and_not_changed(
    root: Path, content: bytes, mode: int
) -> None:
    path = root / ".mograder-secret"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(Unreadable) as refused:
        open_store(root)
    assert refused.value.place == str(path)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, mode)


# by hand


def test_edits_by_hand_show_at_once(store: FolderStore, root: Path, submitted: Path) -> None:
    files = root / "hw1" / "files"
    for number in range(30):
        (files / "hw1.py").write_bytes(b"%02d" % number)
        (root / "hw1" / "grades.json").write_text(json.dumps([{"username": "alice", "grade": number}]))
        (root.parent / "mograder.toml").write_text(f"title = '{number:02}'")
        assert store.release.assignments()[0].files[0].sha256 == sha256(b"%02d" % number)
        assert store.grades.of(HW1)[0].grade == str(number)
        assert store.config.plan().title == f"{number:02}"
    submit_work(store, SIGNER, ALICE, b"one")
    (submitted / "bob.py").write_bytes(b"by hand")
    (submitted / "alice.py").write_bytes(b"mended")
    assert latest(store) == [("alice", sha256(b"mended")), ("bob", sha256(b"by hand"))]
    (submitted / "bob.py").unlink()
    (files / "more.py").touch()
    (root / "hw2" / "files").mkdir(parents=True)
    assert [user for user, _ in latest(store)] == ["alice"]
    assert listed(store) == {"hw1": ["hw1.py", "more.py"], "hw2": []}


def test_a_latest_file_made_by_hand_is_kept_as_a_version(store: FolderStore, submitted: Path) -> None:
    submitted.mkdir(parents=True)
    (submitted / "alice.py").write_bytes(b"by hand")
    os.utime(submitted / "alice.py", (NOON / 1e6, NOON / 1e6))
    submit_work(store, SIGNER, ALICE, b"one")
    assert names_in(submitted) == ["alice.py", "alice_20260310T120000.py", "alice_20260310T120001.py"]
    assert sorted((submitted / name).read_bytes() for name in names_in(submitted)) == [b"by hand", b"one", b"one"]
    assert (submitted / "alice.py").read_bytes() == b"one"


def test_a_latest_file_that_is_a_copy_of_a_version_is_not_stored_twice(store: FolderStore, submitted: Path) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    (submitted / "alice.py").unlink()
    (submitted / "alice.py").write_bytes(b"one")
    submit_work(store, SIGNER, ALICE, b"two")
    assert names_in(submitted) == ["alice.py", "alice_20260310T120000.py", "alice_20260310T120001.py"]


def test_a_latest_file_made_by_hand_does_not_get_the_name_of_a_removed_version(
    store: FolderStore, submitted: Path
) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    store.settler.settle()
    for path in submitted.iterdir():
        path.unlink()
    (submitted / "alice.py").write_bytes(b"by hand")
    os.utime(submitted / "alice.py", (NOON // SECOND, NOON // SECOND))
    submit_work(store, SIGNER, ALICE, b"two", NOON + 5 * SECOND)
    assert names_in(submitted) == ["alice.py", "alice_20260310T120005.py", "alice_20260310T120006.py"]
    assert (submitted / "alice_20260310T120006.py").read_bytes() == b"by hand"


def test_a_version_file_placed_by_hand_is_not_overwritten(store: FolderStore, submitted: Path) -> None:
    submitted.mkdir(parents=True)
    (submitted / "alice_20260310T120000.py").write_bytes(b"by hand")
    assert submit_work(store, SIGNER, ALICE, b"one").receipt.submission.filename == "alice_20260310T120001.py"
    assert (submitted / "alice_20260310T120000.py").read_bytes() == b"by hand"


def test_only_files_of_people_are_listed(store: FolderStore, submitted: Path) -> None:
    (submitted / "folder.py").mkdir(parents=True)
    for name in ("alice.py", "alice_20260310T120000.py", ".bob.py", "carl.txt", "ann lee.py", "-x.py", "ä.py"):
        (submitted / name).touch()
    (submitted / "gone.py").symlink_to("gone_20260310T120000.py")
    assert [user for user, _ in latest(store)] == ["alice"]


# what is not served


@pytest.mark.parametrize("name", [".hidden.py", ".git/config", "folder/.hidden"])
def test_hidden_files_are_not_listed_and_not_served(store: FolderStore, root: Path, name: str) -> None:
    path = root / "hw1" / "files" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"secret")
    (root / ".hidden" / "files").mkdir(parents=True)
    assert listed(store) == {"hw1": ["hw1.py"]}
    assert store.release.file(HW1, FileName(name)) is None


def test_links_out_of_the_assignment_are_not_served(store: FolderStore, root: Path, submitted: Path) -> None:
    files = root / "hw1" / "files"
    (files / "inner.py").symlink_to("hw1.py")
    (files / "secret.py").symlink_to(root / ".mograder-secret")
    (files / "up").symlink_to("../..")
    (files / "notes.txt").symlink_to(root / "notes.txt")
    (files / "gone.py").symlink_to("nowhere.py")
    (root / "notes.txt").touch()
    assert listed(store) == {"hw1": ["hw1.py", "inner.py"]}
    assert served(store, "inner.py") == served(store, "hw1.py")
    for name in ("secret.py", "notes.txt", "up/notes.txt", "gone.py"):
        assert served(store, name) is None
    submitted.mkdir(parents=True)
    (submitted / "bob.py").symlink_to(root / ".mograder-secret")
    (submitted / "carl.py").symlink_to("../../release/.mograder-secret")
    (submitted / "dora.py").symlink_to("bob.py")
    assert latest(store) == []
    assert [store.submissions.file(HW1, FileName(name)) for name in ("bob.py", "carl.py", "dora.py")] == [None] * 3
    feedback = root / "hw1" / "feedback"
    feedback.mkdir()
    (feedback / "alice.html").symlink_to(root / ".mograder-secret")
    assert store.grades.feedback(HW1, ALICE) is None
    (feedback / "everybody.html").write_bytes(b"<p>well done")
    (feedback / "bob.html").symlink_to("everybody.html")
    shown = store.grades.feedback(HW1, BOB)
    assert shown is not None
    assert (shown.name, shown.read()) == ("bob.html", b"<p>well done")


def test_links_to_hidden_files_are_not_served(store: FolderStore, root: Path, submitted: Path) -> None:
    files, feedback = root / "hw1" / "files", root / "hw1" / "feedback"
    for folder in (files, files / ".git", feedback, submitted):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".hidden").write_bytes(b"secret")
    for name, target in (("a.py", ".hidden"), ("b.py", ".git/.hidden"), ("c", ".git"), ("Übung.py", ".hidden")):
        (files / unicodedata.normalize("NFD", name)).symlink_to(target)
    assert listed(store) == {"hw1": ["hw1.py"]}
    assert [served(store, name) for name in ("a.py", "b.py", "c/.hidden", "Übung.py")] == [None] * 4
    (submitted / "alice.py").symlink_to(".hidden")
    (feedback / "alice.html").symlink_to(".hidden")
    assert store.submissions.file(HW1, FileName("alice.py")) is None
    assert store.grades.feedback(HW1, ALICE) is None


# layouts and manifests


@pytest.mark.parametrize("release", ["course/release", "flat"])
def test_a_flat_release_lists_folders_that_hold_files(tmp_path: Path, release: str) -> None:
    flat = tmp_path / release
    root = flat if release == "flat" else tmp_path / "course"
    for name in ("hw1/a.py", "hw1/data/b.csv", "hw2/.hidden", "loose.py"):
        (flat / name).parent.mkdir(parents=True, exist_ok=True)
        (flat / name).write_bytes(name.encode())
    store = FolderStore(Folders.of(root, release=flat if root == flat else None))
    submit_work(store, SIGNER, ALICE, b"work")
    store.grades.merge(HW1, (GradeEntry({"username": "alice", "grade": "1"}),), NOTE)
    store.grades.put_feedback(HW1, {ALICE: b"page"}, NOTE)
    assert listed(store) == {"hw1": ["a.py", "data/b.csv"]}
    assert served(store, "data/b.csv") == b"hw1/data/b.csv"
    assert served(store, "grades.json") is served(store, "feedback/alice.html") is None
    assert served(store, "hw1/alice.py", "submitted") is None
    assert latest(store) == [("alice", sha256(b"work"))]
    store.close()


def test_where_there_are_zips_only_zips_are_listed(store: FolderStore, root: Path) -> None:
    (root / "hw1" / "files" / "all.ZIP").write_bytes(b"zip")
    assert listed(store) == {"hw1": ["all.ZIP"]}


def test_a_manifest_replaces_the_discovery_of_assignments_and_is_kept_whole(store: FolderStore, root: Path) -> None:
    entries = [
        {"name": "Späte Übung", "id": 7, "duedate": 0, "x": {"y": [1]},
         "files": [{"filename": "a.py", "url": "https://e.org/a"}]},
        {"name": "bare"},
    ]  # fmt: skip
    (root / "assignments.json").write_text(json.dumps(entries))
    assert [(each.name, each.id, each.entry) for each in store.release.assignments()] == [
        ("Späte Übung", "7", entries[0]),
        ("bare", "bare", entries[1]),
    ]
    assert store.release.assignments()[0].files[0].url == "https://e.org/a"


def test_the_course_file_overrides_the_manifest_and_an_edit_of_either_shows(store: FolderStore, root: Path) -> None:
    def edit(title: str, points: int, zone: str) -> tuple[str, float | None, int | None]:
        plan = f'timezone = "{zone}"\n[[assignments]]\nname = "hw1"\npoints = {points}\n'
        (root.parent / "mograder.toml").write_text(plan)
        rules = {"title": title, "points": 99, "due": "2026-03-10T12:00:00"}
        (root / "assignments.json").write_text(json.dumps([{"id": "hw1", **rules}]))
        found = store.release.assignments()[0].rules
        assert store.release.find("hw1") == store.release.assignments()[0]
        return found.title, found.points, found.schedule.due

    assert edit("one", 1, "UTC") == ("one", 1, NOON)
    assert edit("two", 1, "UTC") == ("two", 1, NOON)
    assert edit("two", 2, "UTC") == ("two", 2, NOON)
    assert edit("two", 2, "Etc/GMT+1") == ("two", 2, NOON + 3600 * SECOND)


@pytest.mark.skipif(os.name == "nt", reason="the zone of a process is POSIX's")
def test_times_of_a_manifest_are_in_utc_by_default(
    store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "assignments.json").write_text('[{"name": "hw1", "due": "2026-03-10T12:00:00", "files": []}]')
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Etc/GMT+5")
        time.tzset()
        due = store.release.assignments()[0].rules.schedule.due
    time.tzset()
    assert due == NOON


def test_a_broken_manifest_keeps_its_last_good_version_when_the_time_zone_changes(
    store: FolderStore, root: Path
) -> None:
    (root / "assignments.json").write_text('[{"name": "hw9"}]')
    assert [each.name for each in store.release.assignments()] == ["hw9"]
    (root / "assignments.json").write_text("[")
    (root.parent / "mograder.toml").write_text('timezone = "Europe/Berlin"\n')
    assert [each.name for each in store.release.assignments()] == ["hw9"]
    assert [each.place.split(":")[0] for each in store.config.errors()] == [str(root / "assignments.json")]


def test_a_url_that_is_not_text_is_ignored(store: FolderStore, root: Path) -> None:
    (root / "assignments.json").write_text('[{"name": "hw1", "files": [{"filename": "a.py", "url": 5}]}]')
    assert store.release.assignments()[0].files[0].url is None


def test_grades_are_stored_in_a_readable_format(store: FolderStore, root: Path) -> None:
    store.grades.merge(HW1, (GradeEntry({"username": "alice", "remark": "schön"}),), NOTE)
    lines = [line.strip() for line in (root / "hw1" / "grades.json").read_text().splitlines()]
    assert lines == ["[", "{", '"username": "alice",', '"remark": "schön"', "}", "]"]


@pytest.mark.parametrize("name", ["Übung", "U\u0308bung"])
def test_names_are_found_in_any_unicode_form(store: FolderStore, root: Path, name: str) -> None:
    (root / name / "files").mkdir(parents=True)
    for file in (f"{name}.py", f"{name}/{name}.py"):
        (root / name / "files" / file).parent.mkdir(exist_ok=True)
        (root / name / "files" / file).write_bytes(b"x")
    for wanted in (unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
        for file in (f"{wanted}.py", f"{wanted}/{wanted}.py"):
            found = store.release.file(AssignmentName(wanted), FileName(file))
            assert found is not None
            assert (found.name, found.read()) == (file, b"x")
        assignment = store.release.find(wanted)
        assert assignment is not None
        assert (assignment.name, assignment.id) == (name, name)


@pytest.mark.parametrize("layout", ["usual", "flat"])
def test_an_assignment_is_found_by_name_exactly_if_it_is_listed(tmp_path: Path, layout: str) -> None:
    root, below = tmp_path / "course", "files" if layout == "usual" else "."
    for name in ("hw1", "Ü", "submitted/hw1", ".hidden"):
        (root / name / below).mkdir(parents=True)
        (root / name / below / "a.py").touch()
    (root / "submitted" / "files").mkdir()  # this is a valid name of an assignment
    (root / "submitted" / "files" / "alice.py").touch()
    (root / "empty").mkdir()
    (root / "file").touch()
    (root / "linked").symlink_to("hw1")
    (root / "linked submissions").symlink_to("submitted")
    (root / "nowhere").symlink_to("gone")
    (root / "through").mkdir()
    (root / "through" / "files").symlink_to(root / "submitted" / "hw1")
    (root / "mograder.toml").write_text('[[assignments]]\nname = "hw1"\ntitle = "One"\n')
    with contextlib.closing(FolderStore(Folders.of(root, release=root if layout == "flat" else None))) as store:
        found = {each.name: each for each in store.release.assignments()}
        assert [*found] == ["hw1", "linked", "Ü"]
        assert found["hw1"].rules.title == "One"
        for name in (
            "hw1",
            "Ü",
            "U\u0308",
            "submitted",
            ".hidden",
            "empty",
            "file",
            "linked submissions",
            "nowhere",
            "through",
            "../hw1",
        ):
            listed = found.get(AssignmentName(unicodedata.normalize("NFC", name)))
            assert store.release.find(name) == (listed and replace(listed, files=()))
        linked = store.release.find("linked")
        assert linked is not None
        assert (linked.name, linked.id) == ("linked", "linked")
        assert served(store, "a.py", "linked") == b""


def test_a_course_below_a_hidden_folder_serves_links_inside_an_assignment(tmp_path: Path) -> None:
    root = make_course_folder(tmp_path / ".courses")
    (root / "hw1" / "files" / "inner.py").symlink_to("hw1.py")
    with contextlib.closing(open_store(root)) as store:
        assert listed(store) == {"hw1": ["hw1.py", "inner.py"]}
        assert served(store, "inner.py") == served(store, "hw1.py")


def test_a_released_folder_may_be_named_feedback_if_feedback_is_kept_elsewhere(tmp_path: Path) -> None:
    page = tmp_path / "flat" / "hw1" / "feedback" / "how.html"
    page.parent.mkdir(parents=True)
    page.touch()
    (tmp_path / "root").mkdir()
    folders = Folders.of(tmp_path / "root", release=tmp_path / "flat", grades=tmp_path / "mark")
    with contextlib.closing(FolderStore(folders)) as store:
        assert listed(store) == {"hw1": ["feedback/how.html"]}
        assert served(store, "feedback/how.html") == b""


def test_a_path_too_long_for_a_file_name_hides_no_other_file(store: FolderStore, root: Path) -> None:
    below = "/".join("d" * length for length in (199, 199, 199, 199, 99))
    deep = root / "hw1" / "files" / below
    deep.mkdir(parents=True)
    for name in ("a" * 101, "b" * 100, "c"):
        (deep / name).touch()
    assert listed(store) == {"hw1": [f"{below}/{'b' * 100}", f"{below}/c", "hw1.py"]}


# unreadable files are not overwritten


@pytest.mark.parametrize("content", [b"{", b"{}", b"[1]", b"", b"\xff", b"[" * 100_000])
def test_broken_grades_are_reported_and_not_changed(store: FolderStore, root: Path, content: bytes) -> None:
    path = root / "hw1" / "grades.json"
    path.write_bytes(content)
    entries = (GradeEntry({"username": "alice"}),)
    for attempt in (lambda: store.grades.of(HW1), lambda: store.grades.merge(HW1, entries, NOTE)):
        with pytest.raises(Unreadable) as refused:
            attempt()
        assert refused.value.message == "grades.json cannot be understood"
        assert refused.value.place.startswith(str(path))
    assert path.read_bytes() == content
    assert store.audit.events() == []


def test_a_broken_table_is_logged_once_with_the_reason_and_the_path(
    store: FolderStore, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = root / "hw1" / "grades.json"
    for content in ("{}", "{}", "["):
        path.write_text(content)
        with pytest.raises(Unreadable):
            store.grades.of(HW1)
    first, second = [each.getMessage() for each in caplog.records]
    assert first == f"grades.json cannot be understood ({path}: expected a JSON list of objects)"
    assert second.startswith(f"grades.json cannot be understood ({path}: Expecting")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting property name"),
        ("{}", "expected a JSON list"),
        ("[1]", "entry 1: expected an object"),
        ('[{"name": "a"}, {"name": "../x"}]', "entry 2: '../x'"),
        ('[{"files": []}]', "entry 1: an assignment needs a 'name'"),
        ('[{"name": "a", "files": 5}]', "entry 1: 'files' must be a list"),
        ('[{"name": "a", "files": [{"filename": ".x"}]}]', "entry 1: '.x'"),
        ('[{"name": "a", "files": ["b"]}]', "entry 1: a file needs a 'filename'"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_manifest_is_reported_with_its_path(store: FolderStore, root: Path, content: str, why: str) -> None:
    path = root / "assignments.json"
    path.write_text(content)
    assert [each.message for each in store.config.errors()] == ["assignments.json cannot be understood"]
    with pytest.raises(Unreadable) as refused:
        store.release.assignments()
    assert refused.value.place.startswith(f"{path}: {why}")
    path.unlink()
    assert listed(store) == {"hw1": ["hw1.py"]}


@pytest.mark.parametrize("content", [b"title = ", b"title = 5", b"\xff", b"[[assignments]]\nname = '../x'"])
def test_a_broken_course_file_is_reported_with_its_path(store: FolderStore, root: Path, content: bytes) -> None:
    path = root.parent / "mograder.toml"
    path.write_bytes(content)
    with pytest.raises(Unreadable) as refused:
        store.config.plan()
    assert refused.value.place.startswith(str(path))
    assert path.read_bytes() == content


def test_a_ledger_that_is_no_database_is_reported_and_not_changed(root: Path) -> None:
    path = root / ".mograder.db"
    path.write_bytes(b"this is no database at all, but long enough to be looked at by SQLite" * 20)
    before = path.read_bytes()
    with pytest.raises(Unreadable, match="ledger"):
        open_store(root)
    assert path.read_bytes() == before


def test_every_error_is_reported_with_its_path_while_the_rest_works(store: FolderStore, root: Path) -> None:
    plan, manifest = root.parent / "mograder.toml", root / "assignments.json"
    plan.write_text("title = 'Tea'")
    manifest.write_text('[{"name": "hw1"}]')
    assert store.config.errors() == ()
    assert [each.name for each in store.release.assignments()] == ["hw1"]
    plan.write_text("title = ")
    manifest.write_text("{")
    for number, content in ((1, "[1]"), (2, "[]"), (3, "{")):
        (root / f"hw{number}").mkdir(exist_ok=True)
        (root / f"hw{number}" / "grades.json").write_text(content)
    (root / "hw4" / "grades.json").mkdir(parents=True)
    (root / ".old").mkdir()
    (root / ".old" / "grades.json").write_text("{")
    found = store.config.errors()
    places = [manifest, plan, *(root / f"hw{number}" / "grades.json" for number in (1, 3, 4))]
    assert [each.place.split(":")[0] for each in found] == [str(each) for each in places]
    assert found[-1].message == "grades.json cannot be read"
    assert store.config.plan().title == "Tea"
    manifest.unlink()
    plan.unlink()
    assert len(store.config.errors()) == 3


def test_with_settings_broken_from_the_start_other_errors_are_reported_as_well(root: Path) -> None:
    (root.parent / "mograder.toml").write_text("title = ")
    (root / "hw1" / "grades.json").write_text("[1]")
    with contextlib.closing(open_store(root)) as store:
        assert [Path(each.place.split(":")[0]).name for each in store.config.errors()] == [
            "mograder.toml",
            "grades.json",
        ]


@pytest.mark.skipif(os.name == "nt", reason="links in circles, as they are on POSIX")
def test_an_inaccessible_course_reports_no_broken_files(store: FolderStore, root: Path) -> None:
    """This is asked in addition to a request, whose own answer reports the error."""
    (root.parent / "mograder.toml").symlink_to("mograder.toml")
    assert store.config.errors() == ()
    root.rename(root.with_name("elsewhere"))
    root.symlink_to("release")
    assert store.config.errors() == ()


def test_a_served_path_that_is_not_a_folder_is_refused(root: Path) -> None:
    with pytest.raises(Temporary, match=r"hw1\.py is not a folder$"):
        open_store(root / "hw1" / "files" / "hw1.py")


def test_a_signing_key_without_its_ledger_is_reported_with_its_path(root: Path) -> None:
    (root / ".mograder-signing-key.pem").write_bytes(new_private_key())
    with pytest.raises(Unreadable, match="ledger is missing") as refused:
        open_store(root)
    assert refused.value.place == str(root / ".mograder.db")


def test_a_missing_key_that_has_signed_is_reported_with_its_path(store: FolderStore, root: Path) -> None:
    submit_work(store, SIGNER, ALICE, b"work")
    with pytest.raises(Unreadable, match="key that signed") as refused:
        store.keys.signing_key(new_private_key)
    assert refused.value.place == str(root / ".mograder-signing-key.pem")


def test_a_new_signing_key_signs_and_the_old_public_key_is_kept(store: FolderStore, root: Path) -> None:
    path = root / ".mograder-signing-key.pem"
    first, second = new_private_key(), new_private_key()
    assert store.keys.change_signing_key(first, NOTE) == path.read_bytes() == first
    keys = store.keys.change_signing_key(second, NOTE)
    assert keys == path.read_bytes() == store.keys.signing_key(new_private_key) == second + public_pem(first)
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.audit.events() == [NOTE, NOTE]


def test_a_course_without_submissions_reports_its_free_space(store: FolderStore, submitted: Path) -> None:
    assert not submitted.parent.exists()
    assert store.submissions.free_space()


# after crashes, power cuts and edits by hand; crashes between any two steps: test_crashes.py


def crash(root: Path, size: int) -> None:
    """Submit "first", then `size` bytes, in a process that is killed right after the second answer."""

    def act(say: Say) -> None:
        store = open_store(root)
        submit_work(store, SIGNER, ALICE, b"first")
        store.settler.settle()
        submit_work(store, SIGNER, ALICE, b"x" * size)

    assert not die_before(1, act).died


def assert_whole(root: Path, submitted: Path, size: int) -> None:
    """Assert that the second submission is there, and that the course accepts another."""
    store = open_store(root)
    assert latest(store) == [("alice", sha256(b"x" * size))]
    assert names_in(submitted)[-2:] == ["alice_20260310T120000.py", "alice_20260310T120001.py"]
    assert [each.submission.attempt for each in store.submissions.receipts()] == [1, 2]
    assert submit_work(store, SIGNER, ALICE, b"x" * size).repeated
    submit_work(store, SIGNER, ALICE, b"next")
    store.close()
    assert (submitted / "alice.py").read_bytes() == b"next"


@pytest.mark.parametrize("left", [b"", b"xxx", None])
def test_a_power_cut_that_empties_unsynced_files_loses_no_submission(
    root: Path, submitted: Path, left: bytes | None
) -> None:
    crash(root, 10)
    version = submitted / "alice_20260310T120001.py"
    version.unlink()
    (submitted / "alice.py").unlink()
    (submitted / "alice.py").symlink_to("alice_20260310T120000.py")
    if left is not None:
        version.write_bytes(left)
    assert_whole(root, submitted, 10)


def test_a_file_placed_by_hand_survives_a_crash_in_the_next_submission(root: Path, submitted: Path) -> None:
    crash(root, 10)
    (submitted / "alice.py").unlink()
    (submitted / "alice.py").write_bytes(b"by hand")
    open_store(root).close()
    assert (submitted / "alice.py").read_bytes() == b"x" * 10
    assert b"by hand" in [(submitted / name).read_bytes() for name in names_in(submitted)]


@pytest.mark.parametrize("edit", [b"edited by hand", None])
def test_a_large_submission_edited_or_removed_by_hand_does_not_prevent_opening_the_course(
    root: Path, submitted: Path, caplog: pytest.LogCaptureFixture, edit: bytes | None
) -> None:
    crash(root, 3_000_000)
    version = submitted / "alice_20260310T120001.py"
    version.unlink()
    if edit is not None:
        version.write_bytes(edit)
    store = open_store(root)
    assert f"the file of submission 2 is missing or differs: {version}" in caplog.text
    assert submit_work(store, SIGNER, Username("bob"), b"work").receipt.number == 3
    assert (submitted / "bob.py").read_bytes() == b"work"
    assert version.exists() == (edit is not None)
    store.close()


def test_files_of_interrupted_writes_are_never_listed_and_deleted_after_a_day(root: Path, submitted: Path) -> None:
    submitted.mkdir(parents=True)
    old = [".incoming-old", ".alice.py.0123456789ab.tmp"]
    young = [".incoming-young", ".bob.py.0123456789ab.tmp"]  # another server may be writing it
    for name in [*old, *young, ".mine"]:
        path = submitted / name
        if name.endswith(".tmp"):
            path.symlink_to(submitted)  # the age of the link counts, not that of its target
        else:
            path.write_bytes(b"half")
        changed = time.time() - (23 if name in young else 25) * 3600
        os.utime(path, (changed, changed), follow_symlinks=False)
    store = open_store(root)
    assert latest(store) == []
    assert names_in(submitted) == sorted([*young, ".mine"])
    store.close()


def test_settling_removes_the_bytes_from_the_ledger(store: FolderStore, submitted: Path) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    store.settler.settle()
    assert store.ledger.read("SELECT count(*) FROM pending") == [(0,)]
    assert names_in(submitted) == ["alice.py", "alice_20260310T120000.py"]


def test_a_course_folder_can_be_moved(tmp_path: Path) -> None:
    root = make_course_folder(tmp_path / "here")
    store = open_store(root)
    submit_work(store, SIGNER, ALICE, b"one")
    store.close()
    (tmp_path / "here").rename(tmp_path / "there")
    store = open_store(tmp_path / "there" / "course" / "release")
    assert latest(store) == [("alice", sha256(b"one"))]
    assert submit_work(store, SIGNER, ALICE, b"one").repeated
    store.close()


@pytest.mark.parametrize(
    ("given", "kept_back"),
    [
        ({"release": "flat", "grades": "flat/marks"}, "flat/marks/hw1/grades.json"),
        ({"release": "flat", "grades": "flat/marks"}, "flat/marks/hw1/feedback/alice.html"),
        ({"release": "flat", "submitted": "flat/inbox/in"}, "flat/inbox/in/hw1/alice.py"),
        ({"release": "."}, "root/hw1/grades.json"),
        ({"submitted": "root/submitted"}, "root/submitted/files/alice.py"),
    ],
)
def test_submissions_and_grades_are_not_served_however_the_folders_are_nested(
    tmp_path: Path, given: dict[str, str], kept_back: str
) -> None:
    for name in ("root/hw1/files/hw1.py", kept_back):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    store = FolderStore(Folders.of(tmp_path / "root", **{key: tmp_path / value for key, value in given.items()}))
    flat = (tmp_path / given["release"]).resolve() if "release" in given else tmp_path / "root"
    assignment, *rest = (tmp_path / kept_back).relative_to(flat).parts
    name = "/".join(rest[1:] if "release" not in given else rest)
    assert store.release.file(AssignmentName(assignment), FileName(name)) is None
    assert name not in [
        file.name for each in store.release.assignments() if each.name == assignment for file in each.files
    ]
    store.close()


def test_accounts_of_a_ledger_from_before_the_roster_are_kept(root: Path) -> None:
    script = (Path(ledger.__file__).parent / "ledger_001.sql").read_text()
    with contextlib.closing(sqlite3.connect(root / ".mograder.db")) as connection:
        connection.executescript(f"{script} PRAGMA user_version = 1;")
        connection.execute("INSERT INTO accounts VALUES ('alice', 'alice', 'student', 'A', 2, 1, NULL, 5)")
        connection.commit()
    with contextlib.closing(open_store(root)) as store:
        assert store.accounts.all() == [Account(ALICE, name="A", generation=2, bound=True, created=5)]


def test_receipts_of_a_ledger_from_before_deadlines_are_kept_unaltered(root: Path) -> None:
    with contextlib.closing(open_store(root)) as store:
        signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    scripts = [(Path(ledger.__file__).parent / f"ledger_00{number}.sql").read_text() for number in (1, 2)]
    (root / ".mograder.db").unlink()
    before = Submission(ALICE, HW1, 1, "alice_20260310T120000.py", sha256(b"one"), 3, NOON, ALICE)
    text = signer.sign(claims(before, 1, "", "course"))
    with contextlib.closing(sqlite3.connect(root / ".mograder.db")) as connection:
        connection.executescript(f"{''.join(scripts)} PRAGMA user_version = 2;")
        row = (1, "", "hw1", "alice", 1, before.filename, before.sha256, 3, NOON, "alice", text)
        connection.execute(f"INSERT INTO receipts VALUES ({', '.join('?' * 11)})", row)
        connection.commit()
    (root / ".mograder.db").chmod(0o600)
    folder = root.parent / "submitted" / "hw1"
    folder.mkdir(parents=True)
    (folder / before.filename).write_bytes(b"one")
    (folder / "alice.py").symlink_to(before.filename)
    # As it is, before a current server has opened it, and afterwards.
    for _ in range(2):
        assert [each.what for each in check(Folders.of(root), NOON) if each.severity is Severity.ERROR] == []
        with contextlib.closing(open_store(root)) as store:
            assert list(store.submissions.receipts()) == [Receipt(1, "", before, text)]
            assert submit_work(store, signer, ALICE, b"one").repeated
    with contextlib.closing(sqlite3.connect(root / ".mograder.db")) as connection:
        connection.execute("UPDATE receipts SET late = 1")
        connection.commit()
    assert any("was altered: late" in each.what for each in check(Folders.of(root), NOON))


# the course file


def change_points(store: FolderStore, points: int) -> None:
    store.config.change_rules(HW1, [RuleChange("points", "", str(points), points)], store.config.version(), NOTE)


def test_a_change_of_the_course_file_keeps_its_mode_and_link(store: FolderStore, root: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "repository.toml", root.parent / "mograder.toml"
    real.write_text("# ours\n")
    real.chmod(0o660)
    link.symlink_to(real)
    change_points(store, 3)
    assert (link.readlink(), stat.S_IMODE(real.stat().st_mode)) == (real, 0o660)
    assert real.read_text() == '# ours\n\n[[assignments]]\nname = "hw1"\npoints = 3\n'
    assert names_in(tmp_path) == ["course", "repository.toml"]


@pytest.mark.parametrize("content", [b"\xff", b"[[assignments", b"title = 1\n"])
def test_an_invalid_course_file_is_not_changed(store: FolderStore, root: Path, content: bytes) -> None:
    plan = root.parent / "mograder.toml"
    plan.write_bytes(content)
    with pytest.raises(Unreadable):
        store.config.version()
    with pytest.raises(Unreadable) as refused:
        store.config.change_rules(HW1, [RuleChange("points", "", "3", 3)], hashlib.sha256(content).hexdigest(), NOTE)
    assert str(plan) in refused.value.place
    assert (plan.read_bytes(), store.audit.events()) == (content, [])


def test_cached_contents_are_never_older_than_the_files(store: FolderStore, root: Path) -> None:
    """Every edit by hand shows at once, also when unchanged files are not read again."""
    files, work_folder = root / "hw1" / "files", root.parent / "submitted" / "hw1"
    changes: list[Callable[[], object]] = [
        lambda: (files / "hw1.py").write_bytes(b"x"),
        lambda: (files / "hw1.py").write_bytes(b"y"),  # the same size
        lambda: (files / "data").mkdir(),
        lambda: (files / "data" / "a.csv").write_bytes(b"1"),
        lambda: (files / "data" / "a.csv").rename(files / "data" / "b.csv"),
        lambda: (root / "hw2").mkdir(),
        lambda: (root / "hw2" / "files").mkdir(),
        lambda: (root / "hw2" / "files").rmdir(),
        lambda: (root.parent / "mograder.toml").write_text('[[assignments]]\nname = "hw1"\ntitle = "One"\n'),
        lambda: (root / "assignments.json").write_text('[{"name": "hw9"}]'),
        lambda: (root / "assignments.json").unlink(),
        lambda: (files / "hw1.py").rename(files / "other.py"),
        lambda: (files / "hw1.py").symlink_to("other.py"),
        lambda: (files / "other.py").write_bytes(b"what the link shows"),
        lambda: work_folder.mkdir(parents=True),
        lambda: (work_folder / "alice.py").write_bytes(b"1"),
        lambda: (work_folder / "alice.py").write_bytes(b"2"),
        lambda: (work_folder / "bob_20260310T200800.py").write_bytes(b"3"),
        lambda: (work_folder / "bob.py").symlink_to("bob_20260310T200800.py"),
        lambda: (work_folder / "bob_20260310T200800.py").write_bytes(b"4"),
        lambda: (work_folder / "alice.py").unlink(),
    ]

    def lists(store: FolderStore) -> object:
        return store.release.assignments(), store.submissions.latest_files(HW1)

    def cached() -> bool:
        return store.cached_latest_files(HW1) is not None and (
            store.cached_assignments() is not None or (files / "hw1.py").is_symlink()
        )

    for change in changes:
        until(lambda: lists(store) and cached())
        change()
        with contextlib.closing(open_store(root)) as other:
            assert store.cached_assignments() in (None, other.release.assignments())
            assert store.cached_latest_files(HW1) in (None, other.submissions.latest_files(HW1))
            assert lists(store) == lists(other)
    shutil.rmtree(work_folder)
    assert store.cached_latest_files(HW1) is None


@pytest.mark.skipif(os.name == "nt", reason="links, as they are on POSIX")
def test_a_linked_folder_is_listed_once_its_target_exists(store: FolderStore, root: Path) -> None:
    (root / "hw2").mkdir()
    (root / "hw2" / "files").symlink_to(root.parent / "material")
    (root / "hw3").mkdir()
    make_settled(root)
    assert (listed(store), listed(store)) == ({"hw1": ["hw1.py"]}, {"hw1": ["hw1.py"]})
    (root.parent / "material").mkdir()
    (root.parent / "material" / "hw2.py").write_bytes(b"2")
    assert listed(store) == {"hw1": ["hw1.py"], "hw2": ["hw2.py"]}
    make_settled(root.parent)
    assert (root / "hw2").is_dir()
    assert listed(store) == {"hw1": ["hw1.py"], "hw2": ["hw2.py"]}
    (root.parent / "material" / "more.py").touch()
    assert listed(store) == {"hw1": ["hw1.py"], "hw2": ["hw2.py", "more.py"]}


@pytest.mark.skipif(os.name == "nt", reason="links, as they are on POSIX")
def test_a_link_out_of_the_assignment_is_listed_once_it_leads_inside(store: FolderStore, root: Path) -> None:
    pointer, link = root.parent / "pointer", root / "hw1" / "files" / "a.py"
    pointer.symlink_to("outside.py")
    (root.parent / "outside.py").touch()
    link.symlink_to(pointer)
    make_settled(root.parent)
    assert (listed(store), listed(store)) == ({"hw1": ["hw1.py"]}, {"hw1": ["hw1.py"]})
    pointer.unlink()
    pointer.symlink_to(link.parent / "hw1.py")
    assert listed(store) == {"hw1": ["a.py", "hw1.py"]}


def test_a_file_added_below_an_empty_folder_makes_it_an_assignment_at_once(tmp_path: Path) -> None:
    sub = tmp_path / "course" / "release" / "hw9" / "sub"
    sub.mkdir(parents=True)
    with contextlib.closing(open_store(tmp_path / "course")) as store:
        make_settled(tmp_path)
        assert (listed(store), listed(store)) == ({}, {})
        (sub / "a.csv").write_bytes(b"1")
        assert listed(store) == {"hw9": ["sub/a.csv"]}


@pytest.mark.skipif(os.name == "nt", reason="a limit of open files is POSIX's")
def test_files_hidden_by_too_many_open_files_are_listed_once_they_can_be_read(root: Path, submitted: Path) -> None:
    submitted.mkdir(parents=True)
    (submitted / "alice.py").write_bytes(b"1")
    (root / "hw1" / "files" / "data").mkdir()
    (root / "hw1" / "files" / "data" / "a.csv").write_bytes(b"1")
    make_settled(root.parent)
    with contextlib.closing(open_store(root)) as store, contextlib.closing(open_store(root)) as other:
        store.submissions.users(HW1)  # their owners are read, but not their contents
        with no_more_files(), contextlib.suppress(Temporary):
            store.release.assignments()
        with no_more_files():
            hidden = store.submissions.latest_files(HW1)
        assert [each.sha256 for each in hidden] == [""]
        assert store.release.assignments() == other.release.assignments()
        assert store.submissions.latest_files(HW1) == other.submissions.latest_files(HW1) != hidden


@pytest.mark.skipif(os.name == "nt", reason="a limit of open files is POSIX's")
def test_an_unreadable_file_hides_no_other_and_is_listed_once_it_is_readable(store: FolderStore, root: Path) -> None:
    make_settled(root)
    before = store.release.assignments()
    (root / "hw1" / "files" / "hw1.py").write_bytes(b"other")
    make_settled(root)
    with no_more_files():
        hidden = store.release.assignments()
    assert [(each.name, each.sha256) for each in hidden[0].files] == [("hw1.py", None)]
    assert store.release.assignments()[0].files[0].sha256 == sha256(b"other") != before[0].files[0].sha256


@pytest.mark.skipif(os.name == "nt", reason="a limit of open files is POSIX's")
def test_the_error_of_too_many_open_files_disappears_with_its_cause(store: FolderStore, root: Path) -> None:
    manifest = root / "assignments.json"
    manifest.write_text('[{"name": "hw1"}]')
    assert [each.name for each in store.release.assignments()] == ["hw1"]
    manifest.write_text('[{"name": "hw2"}]')
    make_settled(root)
    with no_more_files():
        told = store.config.errors()
        assert [each.name for each in store.release.assignments()] == ["hw1"]
    assert [each.message for each in told] == ["assignments.json cannot be read: its earlier content stays in force"]
    assert told[0].place.startswith(f"{manifest}: ")
    assert store.config.errors() == ()
    assert [each.name for each in store.release.assignments()] == ["hw2"]


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Let every attempt to open a file fail in the block."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def make_settled(folder: Path) -> None:
    """Wait until the files in a folder are old enough for their modification times to be trusted."""
    for path in (folder, *folder.rglob("*")):
        until(lambda path=path: is_settled(fingerprint(path.lstat())))  # type: ignore[misc]


def test_the_version_of_an_assignment_changes_with_everything_that_its_standings_depend_on(
    store: FolderStore, root: Path, submitted: Path
) -> None:
    feedback = root / "hw1" / "feedback"
    changes: list[Callable[[], object]] = [
        lambda: (root / "hw1" / "grades.json").write_text('[{"username": "alice", "grade": "1"}]'),
        lambda: (root / "hw1" / "grades.json").write_text('[{"username": "alice", "grade": "2"}]'),
        lambda: submit_work(store, SIGNER, ALICE, b"1"),
        lambda: (submitted / "alice.py").unlink(),
        lambda: (submitted / "bob.py").write_bytes(b"by hand"),
        lambda: feedback.mkdir(),
        lambda: (feedback / "alice.html").write_text("well done"),
        lambda: (feedback / "alice.html").unlink(),
    ]
    for change in changes:
        until(lambda: store.version(HW1) == store.version(HW1))
        before = store.version(HW1)
        change()
        assert store.version(HW1) != before
    (feedback / "bob.html").symlink_to("group/1.html")  # no modification time changes when the target is created
    make_settled(root.parent)
    assert store.version(HW1) != store.version(HW1)
    (feedback / "bob.html").unlink()
    make_settled(root.parent)
    assert store.version(HW1) == store.version(HW1)
    submitted.rename(root.parent / "elsewhere")
    submitted.symlink_to(root.parent / "elsewhere")
    make_settled(root.parent)
    assert store.version(HW1) != store.version(HW1)
