"""The PEP 723 block is read as specified, and written without other changes."""

from __future__ import annotations

import tomllib

import pytest

from mograder.notebook.cells import NotebookError
from mograder.notebook.pep723 import Facts, read_block, read_facts, write_facts

REST = "import marimo\n\napp = marimo.App()\n"
FACTS = Facts("hw1", True, ("0a1b2c3d", "ffffffff"))


def test_a_text_without_a_block_gets_one_below_its_shebang_line() -> None:
    assert read_block(REST) is None
    assert read_facts(REST) == Facts()
    made = write_facts("#!/usr/bin/env python\n" + REST, FACTS)
    assert made.startswith("#!/usr/bin/env python\n# /// script\n# mograder-assignment")
    assert made.endswith("# ///\n\n" + REST)
    assert read_facts(made) == FACTS


def test_writing_the_same_facts_twice_changes_nothing() -> None:
    made = write_facts(REST, FACTS)
    assert write_facts(made, FACTS) == made
    assert read_facts(write_facts(made, Facts("hw2"))) == Facts("hw2")


def test_comments_tables_and_order_are_kept() -> None:
    block = (
        '# /// script\n# requires-python = ">=3.11"  # why\n# dependencies = [\n#   "numpy",\n# ]\n'
        "#\n# [tool.uv]\n# x = 1\n#\n# [[tool.uv.index]]\n# url = 'y'\n# ///\n"
    )
    made = write_facts(block + REST, FACTS)
    for line in block.split("\n"):
        assert line in made.split("\n")
    document = tomllib.loads(read_block(made) or "")
    assert document["mograder-assignment"] == "hw1"
    assert document["tool"] == {"uv": {"x": 1, "index": [{"url": "y"}]}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# /// script\n# a = \n# ///\n", "is no TOML"),
        ("# /// script\n# a = 1\n# ///\n\n# /// script\n# b = 1\n# ///\n", "two `# /// script` blocks"),
    ],
)
def test_an_invalid_block_is_an_error(text: str, words: str) -> None:
    with pytest.raises(NotebookError, match=words):
        read_facts(text + REST)


def test_values_of_the_wrong_type_are_ignored() -> None:
    text = "# /// script\n# mograder-assignment = 3\n# mograder-hidden-tests = 1\n# mograder-cell-hashes = []\n# ///\n"
    assert read_facts(text) == Facts()
