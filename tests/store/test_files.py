"""Atomic writes, cached reads, spools."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mograder.domain.errors import NotFound, StorageFull, Temporary
from mograder.store import files
from mograder.store.files import Cached, Room, Spool, storage_errors
from tests.parts import names_in, sha256


@pytest.mark.parametrize(
    ("number", "kind"), [(28, StorageFull), (122, StorageFull), (27, StorageFull), (5, Temporary), (13, Temporary)]
)
def test_a_failing_disk_becomes_an_error_that_says_what_was_being_done(number: int, kind: type[Temporary]) -> None:
    with pytest.raises(kind, match="cannot keep it") as failed, storage_errors("keep it"):
        raise OSError(number, "x", "/secret/path")
    assert (type(failed.value), failed.value.retry_after) == (kind, 60 if kind is StorageFull else 30)
    assert "/secret/path" not in failed.value.message


def test_our_own_errors_pass_through() -> None:
    with pytest.raises(NotFound), storage_errors("keep it"):
        raise NotFound("x")


def test_a_file_is_replaced_whole_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 100)
    for content in (b"one", b""):
        files.write_file(path, content, mode=0o600)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == [path.name]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner").touch()
    with pytest.raises(OSError, match="folder"):
        files.write_file(tmp_path / "folder", b"x")
    assert names_in(tmp_path) == ["folder"]


def test_the_latest_is_a_relative_link_that_is_replaced(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        files.point_latest(tmp_path / "latest", tmp_path / name)
        assert os.readlink(tmp_path / "latest") == name
    assert names_in(tmp_path) == ["latest", "one", "two"]


def test_where_links_cannot_be_made_the_latest_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(target: str, link: str) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "symlink", no_links)
    (tmp_path / "one").write_bytes(b"1")
    files.point_latest(tmp_path / "latest", tmp_path / "one")
    assert not (tmp_path / "latest").is_symlink()
    assert (tmp_path / "latest").read_bytes() == b"1"
    assert names_in(tmp_path) == ["latest", "one"]


def test_many_uploads_at_once_cost_no_more_memory_than_a_few(tmp_path: Path) -> None:
    room = Room(2500)
    spools = [Spool(tmp_path, room) for _ in range(10)]
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
    assert room.take(2500)
    assert not room.take(1)


@pytest.mark.parametrize("size", [0, 1, files.IN_MEMORY, files.IN_MEMORY + 1, 3 * files.IN_MEMORY])
def test_a_spool_counts_and_hashes_and_is_on_disk_only_when_large(tmp_path: Path, size: int) -> None:
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


def test_a_spool_that_is_discarded_half_way_leaves_nothing(tmp_path: Path) -> None:
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
    while len(loads) < 100_000:  # until the file is old enough to be trusted
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


def test_inside_is_judged_after_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    (tmp_path / "inside").mkdir()
    assert files.is_inside(tmp_path / "in" / "x", tmp_path / "in")
    assert not files.is_inside(tmp_path / "in" / "out" / "y", tmp_path / "in")
    assert not files.is_inside(tmp_path / "inside", tmp_path / "in")
    (tmp_path / "round").symlink_to("round")
    assert not files.is_inside(tmp_path / "round" / "x", tmp_path / "in")


def test_a_large_hand_in_is_no_program(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(b"x" * (files.IN_MEMORY + 1))
    assert spool.path is not None
    assert spool.path.stat().st_mode & 0o133 == 0
    spool.discard()
