"""The web layer reaches storage only through the course, in calls as well as in imports."""

from __future__ import annotations

import ast
from pathlib import Path

import mograder.web


def test_nothing_in_web_reads_the_store_of_a_course() -> None:
    folder = Path(mograder.web.__file__).parent
    found = [
        f"{path.relative_to(folder)}:{node.lineno}"
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("store", "_store")
    ]
    assert found == []
