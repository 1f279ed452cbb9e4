"""A mograder.toml from somebody else is parsed within limits."""

from __future__ import annotations

import pytest

from mograder.client.settings import MAX_SIZE, parse_foreign

DEEP = ".".join(["a"] * 10_000)
HARMFUL = {
    "a key of many parts": f"{DEEP} = 1",
    "with spaces": f"{DEEP.replace('.', ' . ')} = 1",
    "quoted parts": f"{DEEP.replace('a', chr(39) * 2)} = 1",
    "parts that other programs take for lines": f"{DEEP.replace('a', chr(34) + chr(0x2028) + chr(34))} = 1",
    "a table of many parts": f"[{DEEP}]\n" + "b = 1\n" * 10,
    "in an inline table": "x = {" + f"{DEEP} = 1" + "}",
    "a table of some parts with many keys": "[" + ".".join(["a"] * 200) + "]\n" + "b = 1\n" * 90_000,
    "arrays in arrays": "x = " + "[" * 100_000,
    "tables in tables": "x = {" * 100_000,
    "far too much": "#" * (MAX_SIZE + 1),
    "no text": "\x00",
    "no TOML": "<html>",
}


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
def test_a_settings_file_that_takes_long_to_parse_or_is_invalid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"dots|deep|bytes|text|Expected|Invalid"):
        parse_foreign(text.encode())


def test_a_long_settings_file_is_parsed() -> None:
    listed = '[[assignments]]\nname = "hw1"\nurl = "https://a.example.org/b.c.d.py"\n' * 10_000
    assert len(parse_foreign(f'title = "{"Read this. " * 100}"\n{listed}'.encode())["assignments"]) == 10_000
