"""What passes through the port to storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from mograder.domain.store import StoredFile

CONTENT = b"import marimo\n"


@pytest.mark.parametrize("kept", ["path", "data", "bytes from afar", "file from afar"])
def test_a_file_is_read_wherever_its_bytes_are_and_brought_once(kept: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(CONTENT)
    asked = []

    def bring() -> bytes | Path:
        asked.append(kept)
        return path if kept == "file from afar" else CONTENT

    at_hand = {"path": path} if kept in ("path", "file from afar") else {"data": CONTENT}
    where = {"bring": bring} if "afar" in kept else at_hand
    file = StoredFile("alice.py", len(CONTENT), 7.0, "tag", **where)  # type: ignore[arg-type]
    assert file.read() == CONTENT
    asked.clear()
    brought = file.brought()
    assert brought == StoredFile("alice.py", len(CONTENT), 7.0, "tag", **at_hand)  # type: ignore[arg-type]
    assert (brought.read(), brought.brought()) == (CONTENT, brought)
    assert len(asked) == ("afar" in kept)
