"""Parses a long submission in a process of its own first. One that takes too much there is not parsed here.

Invariant: a text of more than `SHORT` bytes is parsed in the process that grades only once another process has parsed
it within `SECONDS` of processor time and `MEMORY`.
"""

from __future__ import annotations

import subprocess
import sys

from mograder.grading.environment import without_settings
from mograder.grading.plan import plan_submission
from mograder.notebook.cells import NotebookError, parse, read_text
from mograder.notebook.hashes import changed_cells

SHORT = 64 * 1024
SECONDS = 5
MEMORY = 1024 * 1024 * 1024

PATIENCE = 120.0
"""Seconds of wall time, on a machine that is busy."""

TOO_MUCH = "reading it takes too much time or memory: a notebook of that kind is not graded"

_READ, _NO_NOTEBOOK = 17, 18
"""The exit codes of a process that has read the text, or found that it is no notebook; no library ends so by chance."""


def check_cost(submission: bytes, seconds: int = SECONDS) -> None:
    """Raises NotebookError if reading the submission takes too much. Other errors show when it is read here."""
    if len(submission) <= SHORT:
        return
    command = [sys.executable, "-P", "-m", __name__, str(seconds)]
    try:
        environment = without_settings()
        done = subprocess.run(command, input=submission, capture_output=True, timeout=PATIENCE, env=environment)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise NotebookError(TOO_MUCH) from None
    if done.returncode not in (_READ, _NO_NOTEBOOK):
        raise NotebookError(TOO_MUCH)


def _limit(seconds: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Read the submission on standard input, as `Grader.grade` does."""
    _limit(int(sys.argv[1]))
    try:
        notebook = parse(read_text(sys.stdin.buffer.read()))
        plan_submission(notebook, frozenset())
        changed_cells(notebook, notebook)
    except NotebookError:
        return _NO_NOTEBOOK
    return _READ


if __name__ == "__main__":
    sys.exit(main())
