"""A long submission is first parsed under limits in a process of its own."""

from __future__ import annotations

import pytest

from mograder.grading.reading import SHORT, TOO_MUCH, check_cost
from mograder.notebook.cells import NotebookError

HEAD = "import marimo\napp = marimo.App()\n@app.cell\ndef _():\n"
END = "\n    return\n"


def test_a_notebook_that_is_too_expensive_to_parse_is_refused_by_a_separate_process() -> None:
    dense = HEAD + "    x = [" + "(lambda: 0)()," * 60_000 + "]" + END
    with pytest.raises(NotebookError) as refused:
        check_cost(dense.encode(), seconds=1)
    assert refused.value.reason == TOO_MUCH


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "    picture = '''" + "A" * 1_000_000 + "'''" + END,
        HEAD + "    x = 1\n" * (SHORT // 4) + END,
        "no notebook " * SHORT,
        "(" * (2 * SHORT),
    ],
    ids=["a picture", "many lines", "no Python", "deeply nested"],
)
def test_a_long_notebook_that_is_cheap_to_parse_is_accepted(text: str) -> None:
    check_cost(text.encode())
