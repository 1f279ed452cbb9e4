"""The expected texts are those of lz-string 1.5.0 (compressToEncodedURIComponent)."""

from __future__ import annotations

import pytest

from mograder.web.pages.lzstring import compress_for_url


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("", "Q"),
        ("a", "IZA"),
        ("ab", "IYIyA"),
        ("aaaa", "IY5A"),
        ("hello hello hello", "BYUwNmD2AEoTcpA"),
        ("你好", "gbyl9NI"),
        ("😀 emoji 😀😀", "rwbgA9gECmC2D2BWBLMpRA"),
        ("import marimo\n\napp = marimo.App()\n", "JYWwDg9gTgLgBCAhlUEBQbFjHAvA5VAOgEFsAKASjSA"),
    ],
)
def test_compressed_text_equals_that_of_the_javascript_library(text: str, letters: str) -> None:
    assert compress_for_url(text) == letters
