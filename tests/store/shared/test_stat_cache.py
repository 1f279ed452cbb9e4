"""Cached reads of files: the number of entries is limited, and recently used ones stay."""

from __future__ import annotations

import os
from pathlib import Path

from mograder.store.shared.stat_cache import Cached


def test_a_full_cache_evicts_the_least_recently_used_entry(tmp_path: Path) -> None:
    reads: list[str] = []

    def load(path: Path) -> str:
        reads.append(path.name)
        return path.name

    cache = Cached(load, limit=8)
    paths = [tmp_path / f"{number:02}" for number in range(20)]
    for path in paths:
        path.write_text("x")
    long_ago = {"st_mtime_ns": 10**18, "st_ctime_ns": 10**18}
    changed = os.stat_result((0o100644, 1, 1, 1, 0, 0, 1, 10**9, 10**9, 10**9), long_ago)
    for path in paths:
        cache.get(path, changed)
    reads.clear()
    for path in paths[-6:]:
        cache.get(path, changed)
    assert reads == []
    cache.get(paths[0], changed)
    assert reads == ["00"]
