"""Files that a store returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder.domain.files import StoredFile

CONTENT = b"import marimo\n"


@pytest.mark.parametrize("kept", ["path", "data", "bytes from afar", "file from afar"])
def test_a_file_is_read_from_anywhere_and_fetched_once(kept: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(CONTENT)
    asked = []

    def fetch() -> bytes | Path:
        asked.append(kept)
        return path if kept == "file from afar" else CONTENT

    cached = {"path": path} if kept in ("path", "file from afar") else {"data": CONTENT}
    where = {"fetch": fetch} if "afar" in kept else cached
    file = StoredFile("alice.py", len(CONTENT), 7.0, "tag", **where)  # type: ignore[arg-type]
    assert file.read() == CONTENT
    asked.clear()
    fetched_file = file.fetched_file()
    assert fetched_file == StoredFile("alice.py", len(CONTENT), 7.0, "tag", **cached)  # type: ignore[arg-type]
    assert (fetched_file.read(), fetched_file.fetched_file()) == (CONTENT, fetched_file)
    assert len(asked) == ("afar" in kept)
