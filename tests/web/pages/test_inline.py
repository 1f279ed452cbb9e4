"""What a browser may show itself: a picture or a PDF, by its name and by its bytes."""

from __future__ import annotations

import pytest

from mograder.domain.files import StoredFile
from mograder.web.pages.inline import VIEWABLE, kind_of, media_of

BEGINNINGS = {
    ".pdf": b"%PDF-1.7 ", ".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff\xe0", ".jpeg": b"\xff\xd8\xff\xe1",
    ".gif": b"GIF89a", ".webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
}  # fmt: skip


def file(ending: str, content: bytes) -> StoredFile:
    return StoredFile(f"alice_20260310T200800{ending}", len(content), 0, "", data=content)


@pytest.mark.parametrize("ending", VIEWABLE)
def test_a_file_is_shown_only_if_its_bytes_are_what_its_name_says(ending: str) -> None:
    own = BEGINNINGS[ending]
    shown = kind_of(file(ending, own + b"<script>"))
    assert shown is not None
    assert shown.media_type == media_of(own)
    assert "script" not in shown.policy
    others = [each for each in BEGINNINGS.values() if media_of(each) != media_of(own)]
    for content in (b"", b"<html><script>", b"<svg onload=alert(1)>", b"RIFF\x24\x00\x00\x00WAVEfmt ", *others):
        assert kind_of(file(ending, content)) is None


@pytest.mark.parametrize("ending", [".py", ".html", ".svg", ".zip", ""])
def test_no_other_kind_of_file_is_shown_whatever_its_bytes(ending: str) -> None:
    assert [kind_of(file(ending, content)) for content in BEGINNINGS.values()] == [None] * len(BEGINNINGS)
