"""Atomic writes, cached reads, spools."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.domain.errors import NotFound, StorageFull, Temporary, Unreadable
from mograder.store.shared import files
from mograder.store.shared.files import MemoryBudget, Spool, storage_errors
from mograder.store.shared.stat_cache import Cached, LastGood, StatCache, StatSnapshot, fingerprint, is_settled
from tests.parts import names_in, sha256, until


@pytest.mark.parametrize(
    ("number", "kind"), [(28, StorageFull), (122, StorageFull), (27, StorageFull), (5, Temporary), (13, Temporary)]
)
def test_a_disk_error_names_the_failed_action(number: int, kind: type[Temporary]) -> None:
    with pytest.raises(kind, match="cannot keep it") as failed, storage_errors("keep it"):
        raise OSError(number, "x", "/secret/path")
    assert (type(failed.value), failed.value.retry_after) == (kind, 60 if kind is StorageFull else 30)
    assert "/secret/path" not in failed.value.message


def test_an_error_without_a_number_is_a_storage_error() -> None:
    with pytest.raises(Temporary, match=r"\(storage error\)$"), storage_errors("keep it"):
        raise OSError("odd")


def test_domain_errors_are_passed_on_unchanged() -> None:
    with pytest.raises(NotFound), storage_errors("keep it"):
        raise NotFound("x")


def test_a_file_is_replaced_atomically_with_the_given_mode(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 100)
    for content in (b"one", b""):
        files.write_file(path, content, mode=0o600)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == [path.name]


def test_written_files_are_not_executable_and_spools_not_writable_by_others(tmp_path: Path) -> None:
    files.write_file(tmp_path / "file", b"x")
    files.write_beside(tmp_path / "file", b"x")
    files.write_spool(str(tmp_path / "spool"), b"x", 0o666)
    spool = Spool(tmp_path)
    spool.write(b"x" * (files.IN_MEMORY + 1))
    assert [path.stat().st_mode & 0o111 for path in tmp_path.iterdir()] == [0, 0, 0, 0]
    assert spool.path is not None
    assert spool.path.stat().st_mode & 0o022 == 0
    spool.discard()


def test_a_failed_write_leaves_the_old_file_and_no_scratch_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner").touch()
    with pytest.raises(OSError, match="folder"):
        files.write_file(tmp_path / "folder", b"x")
    assert names_in(tmp_path) == ["folder"]


def test_the_latest_is_a_relative_link_that_is_replaced_atomically(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        files.point_latest(tmp_path / "latest", tmp_path / name)
        assert os.readlink(tmp_path / "latest") == name
    assert names_in(tmp_path) == ["latest", "one", "two"]


def test_a_latest_link_that_cannot_be_made_is_an_error_and_leaves_no_scratch_file(tmp_path: Path) -> None:
    (tmp_path / "latest" / "inner").mkdir(parents=True)
    (tmp_path / "one").touch()
    with pytest.raises(OSError, match="latest"):
        files.point_latest(tmp_path / "latest", tmp_path / "one")
    assert names_in(tmp_path) == ["latest", "one"]


@pytest.mark.parametrize("error", [PermissionError(1, "not permitted"), NotImplementedError("no links here")])
def test_on_a_system_without_links_the_latest_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def no_links(target: str, link: str) -> None:
        raise error

    monkeypatch.setattr(os, "symlink", no_links)
    (tmp_path / "one").write_bytes(b"1")
    files.point_latest(tmp_path / "latest", tmp_path / "one")
    assert not (tmp_path / "latest").is_symlink()
    assert (tmp_path / "latest").read_bytes() == b"1"
    assert names_in(tmp_path) == ["latest", "one"]


def test_many_simultaneous_uploads_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    budget = MemoryBudget(2500)
    spools = [Spool(tmp_path, budget) for _ in range(10)]
    for spool in spools:
        for _ in range(2):
            spool.write(b"x" * 500)
    assert [spool.path is None for spool in spools] == [True] * 2 + [False] * 8
    assert sum(len(spool.data) for spool in spools) <= 2500
    for spool in spools:
        assert (spool.size, spool.sha256) == (1000, sha256(b"x" * 1000))
        spool.discard()
        spool.discard()
    assert names_in(tmp_path) == []
    assert budget.take(2500)
    assert not budget.take(1)


@pytest.mark.parametrize("size", [0, 1, files.IN_MEMORY, files.IN_MEMORY + 1, 3 * files.IN_MEMORY])
def test_a_spool_counts_and_hashes_and_uses_the_disk_only_if_large(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    spool = Spool(tmp_path)
    for start in range(0, size, 100_000):
        spool.write(content[start : start + 100_000])
    spool.finish()
    assert (spool.size, spool.sha256) == (size, sha256(content))
    assert (spool.path is not None) == (size > files.IN_MEMORY)
    assert (spool.path.read_bytes() if spool.path else spool.data) == content
    spool.discard()
    spool.discard()
    assert names_in(tmp_path) == []


def test_a_spool_discarded_during_writing_leaves_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(b"x" * (files.IN_MEMORY + 1))
    assert len(names_in(tmp_path)) == 1
    spool.discard()
    assert names_in(tmp_path) == []


def test_a_cached_value_is_loaded_once_while_the_file_stays_the_same(tmp_path: Path) -> None:
    path, loads = tmp_path / "file", []

    def load(path: Path) -> bytes:
        loads.append(path)
        return path.read_bytes()

    cached = Cached(load, limit=2)
    path.write_bytes(b"1")
    while len(loads) < 100_000:  # until the file is old enough for its times to be trusted
        before = len(loads)
        assert cached.get(path) == b"1"
        if len(loads) == before:
            break
    assert cached.get(path) == b"1"
    assert len(loads) == before
    path.write_bytes(b"2")
    assert cached.get(path) == b"2"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        cached.get(path)


def test_links_are_resolved_before_a_path_is_judged_to_be_inside_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    (tmp_path / "inside").mkdir()
    assert files.is_inside(tmp_path / "in" / "x", tmp_path / "in")
    assert not files.is_inside(tmp_path / "in" / "out" / "y", tmp_path / "in")
    assert not files.is_inside(tmp_path / "inside", tmp_path / "in")
    (tmp_path / "round").symlink_to("round")  # returns False and raises no error
    assert not files.is_inside(tmp_path / "round" / "x", tmp_path / "in")


def test_a_spool_whose_file_was_removed_can_be_discarded(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(b"x" * (files.IN_MEMORY + 1))
    assert spool.path is not None
    spool.path.unlink()
    spool.discard()


def test_simultaneous_creation_of_one_folder_succeeds_for_all(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) / "a" / "b" for number in range(20)]
    together = threading.Barrier(8)

    def make() -> None:
        together.wait()
        for folder in folders:
            files.make_folder(folder)

    with ThreadPoolExecutor(8) as threads:
        for each in [threads.submit(make) for _ in range(8)]:
            each.result()
    assert all(folder.is_dir() for folder in folders)


def test_a_file_that_another_process_created_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    def make() -> bytes:
        path.write_bytes(b"theirs")
        return b"ours"

    files.make_once(path, make)
    assert (path.read_bytes(), names_in(tmp_path)) == (b"theirs", ["secret"])


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files to a group of others")
@pytest.mark.parametrize("is_ours", [True, False])
def test_a_rewritten_file_keeps_its_group_where_permitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_ours: bool
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "not permitted")

    path = tmp_path / "file"
    path.touch()
    os.chown(path, 0, 12345)
    if not is_ours:
        monkeypatch.setattr(os, "chown", refused)
    files.rewrite_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert (path.stat().st_uid, path.stat().st_gid) == (0, 12345 if is_ours else os.getegid())


def test_a_read_only_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # because root may write everything
    with pytest.raises(Temporary, match=r"\(permission denied\)$"), storage_errors("change it"):
        files.rewrite_file(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_modification_time_in_the_future_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    until(lambda: is_settled(fingerprint(path.stat())))
    os.utime(path, (2**32, 2**32))
    until(lambda: time.time_ns() - path.stat().st_ctime_ns > 10**8)
    assert not is_settled(fingerprint(path.stat()))


@pytest.mark.skipif(sys.platform == "win32", reason="links, as they are on POSIX")
def test_a_cached_value_of_a_link_is_recomputed_and_all_others_are_reused(tmp_path: Path) -> None:
    plain, link = tmp_path / "plain", tmp_path / "link"
    plain.touch()
    link.symlink_to("elsewhere")
    until(lambda: is_settled(fingerprint(plain.stat())) and is_settled(fingerprint(link.lstat())))
    same: StatCache[object] = StatCache()

    def look_at(*paths: Path) -> Callable[[StatSnapshot], object]:
        def make(marks: StatSnapshot) -> object:
            for path in paths:
                marks.look(str(path))
            marks.failed(FileNotFoundError())
            return object()

        return make

    for paths, is_same in (((plain,), True), ((link, plain), False), ((plain, link), False)):
        key = str(len(paths))
        assert (same.get(key, look_at(*paths)) is same.get(key, look_at(*paths))) == is_same
    assert same.get("1", look_at(plain), "beside") is same.get("1", look_at(plain), "beside")
    assert same.cached("1") is None


def test_a_broken_version_of_a_file_is_logged_once_with_what_stays_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"

    def load(path: Path) -> str:
        text = path.read_text()
        if text.startswith("broken"):
            raise Unreadable("file cannot be understood", f"{path}: {text}")
        return text

    last = LastGood(load, "nothing")
    said = []
    for text in ("good", "broken 1", "broken 1", "broken 2", "better", "broken 2"):
        path.write_text(text)
        said.append(last.get(path))
        last.get(path)
    assert said == ["good"] * 4 + ["better"] * 2
    places = [f"{path}: broken {number}" for number in (1, 2, 2)]
    assert [each.getMessage() for each in caplog.records] == [
        f"file cannot be understood: its earlier content stays in force ({place})" for place in places
    ]
    assert last.error is not None
    assert (last.error.message, last.error.place) == (
        "file cannot be understood: its earlier content stays in force", places[-1],
    )  # fmt: skip
