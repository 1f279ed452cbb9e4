"""What code of the web may use."""

from __future__ import annotations

import ast
from pathlib import Path

import mograder.web


def test_nothing_in_the_web_reads_the_store() -> None:
    """Everything goes through the services of `Course`."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in Path(mograder.web.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("store", "_store")
    ]
    assert found == []
