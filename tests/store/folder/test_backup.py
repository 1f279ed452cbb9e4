"""Archives: a backup is consistent whatever happens meanwhile, and is restored unchanged or not at all."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mograder.config import utc_now
from mograder.domain.errors import MograderError, NotFound, Usage, VerificationFailed
from mograder.domain.names import Username
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder import backup
from mograder.store.folder.backup import Restored, Written, read_backup, write_backup
from mograder.store.folder.layout import Folders, served_folders
from mograder.store.folder.store import FolderStore
from tests.courses import damage_row, everything, forget_file, ledger, versions
from tests.parts import ALICE, BOB, NOTEBOOK, make_course_folder, names_in, sha256, submit_work

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and links as on POSIX")

CAROL = Username("carol")


@pytest.fixture
def course(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "course", symlinks=True))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "a.tar.gz"


def quiet(_text: str) -> None:
    pass


def written(course: Path, archive: Path, say: Callable[[str], None] = quiet) -> Written:
    return write_backup(Folders.of(course / "release"), archive, utc_now(), say)


def restored(archive: Path, say: Callable[[str], None] = quiet) -> Path:
    """Restore the archive. Returns the folder of the restored course."""
    return read_backup(archive, archive.with_name("b"), say).folders.course


def files_in(course: Path) -> dict[str, bytes]:
    """All files except those that a course creates again."""
    found = {path.relative_to(course).as_posix(): path.read_bytes() for path in course.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith("release/.mograder.db")
            and not name.startswith("release/.mograder.lock")}  # fmt: skip


def manifest_in(archive: Path) -> dict[str, Any]:
    with tarfile.open(archive) as opened:
        held = opened.extractfile(backup.MANIFEST)
        assert held is not None
        return dict(json.load(held))


@contextlib.contextmanager
def served(course: Path) -> Iterator[tuple[FolderStore, Ed25519Signer]]:
    store = FolderStore(Folders.of(course / "release"))
    try:
        yield store, Ed25519Signer(store.keys.signing_key(new_private_key))
    finally:
        store.close()


# everything


def test_every_file_is_in_the_manifest_and_is_restored_unchanged(course: Path, archive: Path) -> None:
    (course / "release" / "later" / "files").mkdir(parents=True)
    os.utime(course / "release/hw1/grades.json", (1e9, 1e9))
    said: list[str] = []
    made = written(course, archive, said.append)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert said == ["5 submissions, as the ledger stands now"]
    manifest = manifest_in(archive)
    members = {each["path"]: each for each in manifest["members"]}
    with tarfile.open(archive) as opened:
        assert opened.getnames() == [*(name.rstrip("/") for name in members), backup.MANIFEST]
        modes = {each.name: each.mode for each in opened}
    assert modes[backup.MANIFEST] == modes["release/.mograder.db"] == 0o600
    assert modes["release/later/files"] == 0o755
    assert made == Written(len(members), 5)
    assert members["release/hw1/files/hw1.py"]["sha256"] == sha256(NOTEBOOK)
    assert (manifest["format"], manifest["receipts"], manifest["release"]) == (1, 5, None)
    assert (manifest["root"], manifest["submitted"], manifest["grades"]) == ("release", "submitted", "release")
    said.clear()
    back = restored(archive, said.append)
    assert said == [f"{len(members)} files back, with the right checksums"]
    assert files_in(back) == files_in(course)
    assert (back / "release/later/files").is_dir()
    assert stat.S_IMODE((back / "release/.mograder-secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((back / "release/hw1/files/hw1.py").stat().st_mode) == 0o644
    assert (back / "release/hw1/grades.json").stat().st_mtime == 1e9
    assert os.readlink(back / "submitted/hw1/alice.py") == os.readlink(course / "submitted/hw1/alice.py")
    assert stat.S_IMODE(back.stat().st_mode) == 0o755


@pytest.mark.parametrize("place", ["release/hw1/files/caf\udce9.csv", "submitted/b\udcff/alice.py", "\udc80/x"])
def test_a_file_whose_name_is_not_utf8_is_left_out_with_a_message_and_the_rest_is_archived(
    course: Path, archive: Path, place: str
) -> None:
    before = files_in(course)
    odd = course / place if place[0] != "\udc80" else course / "release" / place
    odd.parent.mkdir(parents=True, exist_ok=True)
    odd.write_bytes(b"x")
    said: list[str] = []
    written(course, archive, said.append)
    assert [each for each in said if "not UTF-8: rename it" in each and "?" in each]
    assert files_in(restored(archive)) == before


def test_the_progress_of_a_large_backup_is_reported(
    course: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "SAY_EVERY", 4)
    said: list[str] = []
    made = written(course, archive, said.append)
    # The ledger is not counted, because it is not in the list of files.
    assert said[1:3] == [f"4 of {made.files - 1} files", f"8 of {made.files - 1} files"]
    said.clear()
    restored(archive, said.append)
    assert said[:2] == ["4 files", "8 files"]


def test_a_submission_pending_in_the_archive_is_a_file_after_the_restore(course: Path, archive: Path) -> None:
    forget_file(course)
    written(course, archive)
    back = restored(archive)
    assert (back / "submitted/hw1/bob.py").read_bytes() == b"bob 1"


@pytest.mark.parametrize("placed", [False, True], ids=["waits", "is placed meanwhile"])
def test_a_large_submission_that_is_still_pending_is_in_the_archive(course: Path, archive: Path, placed: bool) -> None:
    version, spool = versions(course, "bob")[-1], course / "submitted" / ".incoming-0123"
    version.rename(spool)
    ledger(course, "INSERT INTO pending SELECT number, NULL, '.incoming-0123' FROM receipts WHERE filename = "
                   f"'{version.name}'")  # fmt: skip
    (course / "submitted" / ".incoming-4567").write_bytes(b"on its way")
    written(course, archive, (lambda _text: spool.rename(version)) if placed else quiet)
    back = restored(archive)
    assert (back / "submitted/hw1/bob.py").read_bytes() == b"bob 1"
    assert not list((back / "submitted").glob(".incoming*"))


def test_submissions_during_the_backup_are_not_in_the_archive_and_do_not_disturb_it(
    course: Path, archive: Path
) -> None:
    (course / "submitted/hw1/zoe.py").write_bytes(b"by hand")
    (course / "release/hw1/alice.py").write_bytes(b"alice, later")  # not a submission, whatever it contains
    before = files_in(course)

    def say(text: str) -> None:
        if "as the ledger stands now" in text:
            submit_work(store, signer, ALICE, b"alice, later", utc_now())
            submit_work(store, signer, CAROL, b"carol, later", utc_now())
            (course / "submitted/hw1/bob.py").unlink()
            (course / "submitted/hw1/bob.py").write_bytes(b"bob, later")
            submit_work(store, signer, BOB, b"bob, later", utc_now())
            store.settler.settle()

    with served(course) as (store, signer):
        written(course, archive, say)
        assert (course / "submitted/hw1/bob.py").read_bytes() == b"bob, later"
    back = restored(archive)
    assert files_in(back) == before
    assert os.readlink(back / "submitted/hw1/alice.py") == versions(back)[-1].name
    assert os.readlink(back / "submitted/hw1/bob.py") == versions(back, "bob")[-1].name


def test_a_submission_whose_folder_is_behind_a_link_is_archived(course: Path, archive: Path, tmp_path: Path) -> None:
    version = versions(course)[0]
    content = version.read_bytes()
    version.rename(tmp_path / "elsewhere.py")
    version.symlink_to(tmp_path / "elsewhere.py")
    written(course, archive)
    assert (restored(archive) / version.relative_to(course)).read_bytes() == content


def test_a_latest_copy_that_changed_meanwhile_is_archived_as_a_link_to_an_archived_version(
    course: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say(text: str) -> None:
        if "as the ledger stands now" in text:
            with monkeypatch.context() as without:
                without.setattr(os, "symlink", no_links)
                submit_work(store, signer, ALICE, b"alice, later", utc_now())

    with served(course) as (store, signer):
        written(course, archive, say)
        assert not (course / "submitted/hw1/alice.py").is_symlink()
    assert (restored(archive) / "submitted/hw1/alice.py").read_bytes() == b"alice 2"


def no_links(*_: object) -> None:
    raise PermissionError(1, "not permitted")


def test_a_version_placed_during_the_backup_is_archived_with_its_link(course: Path, archive: Path) -> None:
    """The version and the link did not exist yet when the folders were listed."""
    folder = course / "submitted" / "hw1"
    version = versions(course, "bob")[-1]

    def say(text: str) -> None:
        if "of" in text and not version.exists():
            version.write_bytes(b"bob 1")
            (folder / "bob.py").symlink_to(version.name)

    version.unlink()
    (folder / "bob.py").unlink()
    with pytest.MonkeyPatch.context() as often:
        often.setattr(backup, "SAY_EVERY", 3)
        written(course, archive, say)
    assert (restored(archive) / "submitted/hw1/bob.py").read_bytes() == b"bob 1"


def test_missing_files_and_edits_by_hand_are_archived_as_they_are(course: Path, archive: Path) -> None:
    folder = course / "submitted" / "hw1"
    versions(course)[0].unlink()
    (folder / "alice.py").unlink()
    (folder / "alice.py").write_bytes(versions(course)[0].read_bytes())  # reset to an older version
    (folder / "carol.py").write_bytes(b"by hand")
    before = files_in(course)

    def say(_text: str) -> None:
        submit_work(store, signer, BOB, b"bob, later", utc_now())

    with served(course) as (store, signer):
        written(course, archive, say)
    assert files_in(restored(archive)) == before


def test_a_first_submission_that_arrives_during_the_backup_is_not_in_the_archive(tmp_path: Path, archive: Path) -> None:
    course = make_course_folder(tmp_path).parent

    def say(text: str) -> None:
        assert text == "0 submissions, as the ledger stands now"
        submit_work(store, signer, ALICE, b"alice, later", utc_now())

    with served(course) as (store, signer):
        assert written(course, archive, say).receipts == 0
    assert list((restored(archive) / "submitted").rglob("*.py")) == []


def test_links_out_of_the_course_and_special_files_are_left_out_and_reported(course: Path, archive: Path) -> None:
    folder = course / "release" / "hw1" / "files"
    (folder / "out").symlink_to(course.parent)
    (folder / "up.py").symlink_to("..")
    (folder / "data.csv").symlink_to("hw1.py")
    os.mkfifo(folder / "pipe")
    said: list[str] = []
    written(course, archive, said.append)
    assert said[1:] == [
        f"left out: {folder / 'out'} is a link that leads elsewhere", f"left out: {folder / 'pipe'} is no file",
        f"left out: {folder / 'up.py'} is a link that leads elsewhere",
    ]  # fmt: skip
    assert names_in(restored(archive) / "release" / "hw1" / "files") == ["data.csv", "hw1.py"]


def test_leftovers_of_interrupted_writes_are_not_in_the_archive(course: Path, archive: Path) -> None:
    before = files_in(course)
    (course / "release" / "hw1" / ".grades.json.0123456789ab.tmp").write_bytes(b"half")
    written(course, archive)
    assert files_in(restored(archive)) == before


# other layouts


def moved(root: Path, parent: Path, *names: str) -> Folders:
    """A course with a submission; the named folders are outside the course folder."""
    places = {name: parent / f"disk-{name}" for name in names}
    if "release" in places:
        (root / "hw1" / "files").rename(parent / "hw1")
        places["release"].mkdir()
        (parent / "hw1").rename(places["release"] / "hw1")
    return Folders.of(root, **places)


@pytest.mark.parametrize("names", [("submitted",), ("grades",), ("release",), ("release", "submitted", "grades"), ()])
def test_restore_puts_outside_folders_inside_and_names_the_options_for_serve(
    tmp_path: Path, archive: Path, names: tuple[str, ...]
) -> None:
    folders = moved(make_course_folder(tmp_path), tmp_path, *names)
    with contextlib.closing(FolderStore(folders)) as store:
        signer = Ed25519Signer(store.keys.signing_key(new_private_key))
        submit_work(store, signer, ALICE, b"work")
    folders.grades.mkdir(exist_ok=True)
    (folders.grades / "hw1").mkdir(exist_ok=True)
    (folders.grades / "hw1" / "grades.json").write_text("[]")
    write_backup(folders, archive, utc_now(), quiet)
    back = read_backup(archive, tmp_path / "b", quiet)
    course = tmp_path / "b"
    inside = {"submitted": "submitted", "grades": "grades", "release": "released files"}
    assert back == Restored(
        Folders.of(course / "release", **{name: course / inside[name] for name in names}),
        "".join(f" --{name}-dir {course / inside[name]}" for name in ("release", "submitted", "grades")
                if name in names and name != "submitted"),
    )  # fmt: skip
    assert (back.folders.submitted / "hw1" / "alice.py").read_bytes() == b"work"
    assert (back.folders.grades / "hw1" / "grades.json").read_text() == "[]"
    with contextlib.closing(FolderStore(back.folders)) as store:
        assert [each.files[0].name for each in store.release.assignments()] == ["hw1.py"]


@pytest.mark.parametrize("release", ["release", "flat"])
def test_folders_named_in_the_settings_need_no_options(course: Path, archive: Path, release: str) -> None:
    (course / "submitted").rename(course / "work")
    (course / "flat" / "hw1").mkdir(parents=True)
    (course / "mograder.toml").write_text(f'[dirs]\nsubmitted = "work"\nrelease = "{release}"\n')
    folders = served_folders(course / "release")
    assert (folders.submitted, folders.release) == (course / "work", course / "flat" if release == "flat" else None)
    write_backup(folders, archive, utc_now(), quiet)
    back = read_backup(archive, archive.with_name("b"), quiet)
    assert back == Restored(served_folders(archive.with_name("b") / "release"), "")


def test_two_folders_with_the_same_name_are_restored_separately(tmp_path: Path, archive: Path) -> None:
    root = make_course_folder(tmp_path)
    folders = Folders.of(root, submitted=tmp_path / "disk", grades=root.parent / "submitted")
    (folders.grades / "hw1").mkdir(parents=True)
    (folders.grades / "hw1" / "grades.json").write_text("[]")
    with contextlib.closing(FolderStore(folders)) as store:
        submit_work(store, Ed25519Signer(store.keys.signing_key(new_private_key)), ALICE, b"work")
    write_backup(folders, archive, utc_now(), quiet)
    course = tmp_path / "b"
    back = read_backup(archive, course, quiet)
    assert back.folders == Folders.of(
        course / "release", submitted=course / "submitted-elsewhere", grades=course / "submitted"
    )
    assert names_in(back.folders.grades / "hw1") == ["grades.json"]
    assert (back.folders.submitted / "hw1" / "alice.py").read_bytes() == b"work"


def test_sources_results_marks_and_pages_of_grading_are_restored(course: Path, archive: Path) -> None:
    (course / "mograder.toml").write_text('[dirs]\nmarks = "by hand"\n')
    for name in ("source/hw1/hw1.py", "autograded/hw1/alice.json", "feedback/hw1/alice.html", "by hand/hw1.csv"):
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text(name)
    before = files_in(course)
    written(course, archive)
    assert files_in(restored(archive)) == before


def test_a_course_served_from_its_own_folder_is_restored_in_that_layout(tmp_path: Path, archive: Path) -> None:
    root = tmp_path / "algebra"
    make_course_folder(tmp_path).rename(root)
    folders = Folders.of(root)
    with contextlib.closing(FolderStore(folders)) as store:
        submit_work(store, Ed25519Signer(store.keys.signing_key(new_private_key)), ALICE, b"work")
    (root / "mograder.toml").write_text('title = "Algebra"\n')
    (root / "manifest.json").write_text("of another program")
    (root / "submitted" / "hw2").mkdir()
    write_backup(folders, archive, utc_now(), quiet)
    with pytest.raises(Usage, match="must not be called 'release'"):
        read_backup(archive, tmp_path / "release", quiet)
    assert not (tmp_path / "release").exists()
    back = read_backup(archive, tmp_path / "b", quiet)
    assert back == Restored(Folders.of(tmp_path / "b"), "")
    assert (tmp_path / "b" / "submitted" / "hw1" / "alice.py").read_bytes() == b"work"
    assert (tmp_path / "b" / "submitted" / "hw2").is_dir()
    assert (tmp_path / "b" / "mograder.toml").exists()
    assert (tmp_path / "b" / "manifest.json").read_text() == "of another program"


def test_a_course_with_broken_settings_is_archived_and_restored_unchanged(course: Path, archive: Path) -> None:
    (course / "mograder.toml").write_text("titel = ")
    written(course, archive)
    back = restored(archive)
    assert (back / "mograder.toml").read_text() == "titel = "
    assert back == archive.with_name("b")


def test_a_course_that_cannot_be_opened_is_restored_unchanged_and_reported(course: Path, archive: Path) -> None:
    (course / "release/.mograder-secret").chmod(0o644)
    written(course, archive)
    said: list[str] = []
    back = restored(archive, said.append)
    assert "the course does not open: .mograder-secret can be read by other users" in said[-1]
    assert files_in(back) == files_in(course)


# what must not be in an archive or be overwritten


def test_nothing_is_overwritten_and_no_secret_is_written_into_a_served_folder(course: Path, archive: Path) -> None:
    archive.symlink_to("nowhere")
    with pytest.raises(Usage, match="exists: choose another name"):
        written(course, archive)
    archive.unlink()
    for place in ("release/hw1/files/a.tar.gz", "submitted/a.tar.gz", "release/a.tar.gz"):
        with pytest.raises(Usage, match="lies inside the course"):
            written(course, course / place)
    with pytest.raises(Usage, match="is not a folder"):
        written(course, course.parent / "nowhere" / "a.tar.gz")
    (archive.parent / "g").mkdir()
    with pytest.raises(Usage, match="lies inside the course"):
        write_backup(Folders.of(course / "release", grades=archive.parent / "g"), archive.parent / "g" / "a", 0, quiet)
    written(course, archive)
    before = everything(course)
    with pytest.raises(Usage, match="is there and not empty"):
        read_backup(archive, course, quiet)
    with pytest.raises(Usage, match="is there and not empty"):
        read_backup(archive, archive, quiet)
    with pytest.raises(Usage, match="is not a folder"):
        read_backup(archive, archive.parent / "nowhere" / "b", quiet)
    (archive.parent / "link").symlink_to(archive.parent / "empty")
    (archive.parent / "empty").mkdir()
    with pytest.raises(Usage, match="is there and not empty"):
        read_backup(archive, archive.parent / "link", quiet)
    assert everything(course) == before
    assert names_in(archive.parent) == ["a.tar.gz", "course", "empty", "g", "link"]


def test_a_file_created_meanwhile_under_the_name_of_the_archive_is_not_overwritten(
    course: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_text: str) -> None:
        archive.write_text("mine")

    for _ in ("with links", "without"):
        with pytest.raises(Usage, match="exists: choose another name"):
            written(course, archive, taken)
        assert archive.read_text() == "mine"
        archive.unlink()
        monkeypatch.setattr(os, "link", no_links)
    written(course, archive)
    assert names_in(archive.parent) == ["a.tar.gz", "course"]
    restored(archive)


def test_a_course_can_be_restored_into_an_empty_folder_which_keeps_its_mode(course: Path, archive: Path) -> None:
    written(course, archive)
    (archive.parent / "b").mkdir(mode=0o700)
    back = restored(archive)
    assert stat.S_IMODE(back.stat().st_mode) == 0o700
    assert files_in(back) == files_in(course)


def test_a_folder_without_a_ledger_is_no_course_to_archive(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(NotFound, match="no ledger"):
        written(make_course_folder(tmp_path).parent, archive)
    assert names_in(tmp_path) == ["course"]


def test_a_damaged_ledger_is_not_archived(course: Path, archive: Path) -> None:
    damage_row(course)
    with pytest.raises(MograderError, match="the ledger is damaged: see mograder doctor"):
        written(course, archive)
    assert names_in(archive.parent) == ["course"]


@pytest.mark.parametrize("sql", [
    "UPDATE receipts SET filename = '../../../private' WHERE number = 3",
    "INSERT INTO pending SELECT number, NULL, '../../private' FROM receipts WHERE number = 3",
])  # fmt: skip
def test_a_ledger_altered_to_name_an_outside_file_does_not_bring_it_into_the_archive(
    course: Path, archive: Path, sql: str
) -> None:
    (course.parent / "private").write_text("mine")
    ledger(course, sql)
    with pytest.raises(MograderError, match="receipt 3 names a file that cannot be"):
        written(course, archive)
    assert not archive.exists()


def test_a_file_that_shrinks_while_it_is_read_makes_no_archive(
    course: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = course / "release" / "hw1" / "files" / "hw1.py"
    sizes = os.fstat

    def longer(descriptor: int) -> os.stat_result:
        found = sizes(descriptor)
        if (found.st_ino, found.st_dev) != (notebook.stat().st_ino, notebook.stat().st_dev):
            return found
        return os.stat_result((*found[:6], found.st_size + 1, *found[7:]))

    monkeypatch.setattr(backup.os, "fstat", longer)
    with pytest.raises(MograderError, match=r"hw1\.py was changed while it was read: try again"):
        written(course, archive)
    assert names_in(archive.parent) == ["course"]


# altered archives


Change = Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]


def rewritten(archive: Path, change: Change, *more: tarfile.TarInfo) -> None:
    content = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=content, mode="w:gz") as new:
        for member in old:
            file = old.extractfile(member) if member.isreg() else None
            changed = change(member, file.read() if file else b"")
            if changed:
                changed[0].size = len(changed[1])
                new.addfile(changed[0], io.BytesIO(changed[1]))
        for member in more:
            new.addfile(member)
    archive.write_bytes(content.getvalue())


def renamed(member: tarfile.TarInfo, wanted: str, name: str) -> tarfile.TarInfo:
    return member.replace(name=name, deep=True) if member.name == wanted else member


def kept(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return member, content


def in_manifest(**changes: object) -> Change:
    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name == backup.MANIFEST:
            content = json.dumps({**json.loads(content), **changes}).encode()
        return member, content

    return change


def link(target: str) -> Change:
    return lambda m, b: (m.replace(linkname=target, deep=True) if m.issym() else m, b)


def another_kind() -> tarfile.TarInfo:
    member = tarfile.TarInfo("release/pipe")
    member.type = tarfile.FIFOTYPE
    return member


def wrong_checksum(archive: Path) -> None:
    """Damage the checksum of the first of two gzip members."""
    content = gzip.decompress(archive.read_bytes())
    middle = len(content) // 2
    archive.write_bytes(gzip.compress(content[:middle])[:-8] + bytes(8) + gzip.compress(content[middle:]))


GRADES = "release/hw1/grades.json"
TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte": (lambda a: rewritten(a, lambda m, b: (m, b.replace(b"7", b"9") if m.name == GRADES else b)),
               f"'{GRADES}' is not as it was archived"),
    "a file gone": (lambda a: rewritten(a, lambda m, b: None if m.name == GRADES else (m, b)),
                    f"'{GRADES}' is missing"),
    "a file more": (lambda a: rewritten(a, kept, tarfile.TarInfo("release/hw1/files/evil.py")),
                    "'release/hw1/files/evil.py' is extra"),
    "a folder more": (lambda a: rewritten(a, lambda m, b: (renamed(m, GRADES, "release/evil/x.py"), b)), "is extra"),
    "a file twice": (lambda a: rewritten(a, kept, tarfile.TarInfo(GRADES)), "a name that cannot be"),
    "a name that leads out": (lambda a: rewritten(a, lambda m, b: (renamed(m, GRADES, "../evil.py"), b)),
                              "a name that cannot be"),
    "a name written otherwise": (lambda a: rewritten(a, lambda m, b: (renamed(m, GRADES, f"./{GRADES}"), b)),
                                 "a name that cannot be"),
    "an absolute name": (lambda a: rewritten(a, lambda m, b: (renamed(m, GRADES, "/tmp/evil-of-mograder.py"), b)),
                         "missing|extra"),
    "a link that leads out": (lambda a: rewritten(a, link("/etc/passwd")), "neither file nor link of ours"),
    "a link that leads up": (lambda a: rewritten(a, link("..")), "not as it was archived|no whole archive"),
    "a link to another": (lambda a: rewritten(a, link("bob.py")), "not as it was archived"),
    "a file for a link": (lambda a: rewritten(a, lambda m, b: (
        (tarfile.TarInfo(m.name), b"evil") if m.issym() else (m, b)
    )), "not as it was archived"),
    "a pipe": (lambda a: rewritten(a, kept, another_kind()), "neither file nor link of ours"),
    "a newer format": (lambda a: rewritten(a, in_manifest(format=2)), "made by a newer mograder"),
    **{f"a folder of {name} that leads out": (
        lambda a, name=name: rewritten(a, in_manifest(**{name: "../x"})), "a folder that cannot be",
    ) for name in ("root", "submitted", "grades", "release")},
    "an absolute folder": (lambda a: rewritten(a, in_manifest(release="/tmp")), "a folder that cannot be"),
    "no manifest": (lambda a: rewritten(a, lambda m, b: None if m.name == backup.MANIFEST else (m, b)),
                    "no whole archive"),
    "a broken manifest": (lambda a: rewritten(a, lambda m, b: (m, b"{}" if m.name == backup.MANIFEST else b)),
                          "no whole archive"),
    "cut short": (lambda a: a.write_bytes(a.read_bytes()[: a.stat().st_size // 2]), "no whole archive"),
    "a wrong checksum": (wrong_checksum, "no whole archive"),
    "not compressed": (lambda a: a.write_bytes(gzip.decompress(a.read_bytes())), "no whole archive"),
    "no archive": (lambda a: a.write_bytes(b"hello"), "no whole archive"),
    "no tar": (lambda a: a.write_bytes(gzip.compress(b"hello" * 500)), "no whole archive"),
}  # fmt: skip


@pytest.mark.parametrize(("tamper", "said"), TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_archive_is_refused_and_leaves_nothing(
    course: Path, archive: Path, tamper: Callable[[Path], object], said: str
) -> None:
    written(course, archive)
    tamper(archive)
    with pytest.raises(VerificationFailed, match=said):
        restored(archive)
    assert names_in(archive.parent) == ["a.tar.gz", "course"]


def test_restored_files_belong_to_the_caller_and_are_not_writable_by_others(course: Path, archive: Path) -> None:
    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        member.uid = member.gid = 65534
        member.mode |= 0o4022
        return member, content

    (course / "release/later").mkdir()
    written(course, archive)
    rewritten(archive, change)
    found = [path.lstat() for path in restored(archive).rglob("*")]
    assert {each.st_uid for each in found} == {os.getuid()}
    assert not [each for each in found if not stat.S_ISLNK(each.st_mode) and each.st_mode & 0o4022]


def test_on_a_system_without_links_the_latest_submission_is_restored_as_a_copy(
    course: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(course, archive)
    monkeypatch.setattr(os, "symlink", no_links)
    back = restored(archive)
    assert not (back / "submitted/hw1/alice.py").is_symlink()
    assert (back / "submitted/hw1/alice.py").read_bytes() == b"alice 2"


def test_restored_files_are_synced_before_the_folder_gets_its_name(
    course: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[tuple[int, int]] = set()
    sync, rename = os.fsync, Path.rename

    def noting(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.add((found.st_dev, found.st_ino))
        sync(descriptor)

    def checking(path: Path, target: Path) -> Path:
        below = [each for each in path.rglob("*") if not each.is_symlink()]
        left = [each for each in [path, *below] if (each.stat().st_dev, each.stat().st_ino) not in synced]
        assert left == []
        return rename(path, target)

    written(course, archive)
    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(Path, "rename", checking)
    restored(archive)
    found = archive.parent.stat()
    assert (found.st_dev, found.st_ino) in synced
