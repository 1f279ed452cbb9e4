"""Finds what a release must not show: lines of solutions and hidden tests, comments included, also within other lines.

What counts as a leak. A line of a solution or hidden test says something when it has three words (names, numbers, words
of a text) that are not Python's own, or a name and a value (`x = 41`); it is looked for in each line of the release,
blanks and a leading `#` aside. A shorter line (`pass`, `)`, `x = 1`) is looked for as a whole line, and counts when
visible lines do not explain it. A line that is also a whole line in a visible part of the instructor's (not in a cell
that students solve) is no leak there: it is shown on purpose. Imports are never leaks.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mograder.notebook.marks import HIDDEN_COMMENT, STUDENTS_COMMENT
from mograder.notebook.source import Source

_TELLING = 3  # words
_WORD = re.compile(r"\w+")
_IMPORT = re.compile(r"(?:from\s+[\w.]+\s+)?import\s.+")
_ONE_TEXT = re.compile(r"""[rbuf]{0,2}(["'])(?:(?!\1).)*\1[,)\]:]*""", re.IGNORECASE)
_VALUE = re.compile(r"""\d\.\d|\d\d|["']\w""")  # a number or a text that is an answer in itself
_OPERATOR = re.compile(r"[=(+*/-]")
_PLACEHOLDER = re.compile(r"\w+ = \.\.\.")
_OWN_WORDS = frozenset({*keyword.kwlist, *keyword.softkwlist, "self", "cls", "print", "len", "range", "mo", "md"})


@dataclass(frozen=True)
class Leak:
    """`line` of `file` ("" is the release itself) shows `secret`, line `source_line` of the source; 1-based."""

    file: str
    line: int
    secret: str
    source_line: int


def leaks(source: Source, release: str, others: Mapping[str, str] | None = None) -> tuple[Leak, ...]:
    """Each place of the release, and of the text files beside it (`others`: name to text), that shows a secret line."""
    secrets = dict(_secrets(source))
    telling = {line: number for line, number in secrets.items() if _says_something(line)}
    shown = _instructors_lines(source)
    literals = {line.rstrip(",)]: ") for line in shown}
    lines = source.notebook.text.split("\n")
    found = list(_telling_leaks("", release, telling, lines, shown, literals))
    found += _short_leaks(source, release, {line: n for line, n in secrets.items() if line not in telling})
    for name, text in (others or {}).items():
        found += _telling_leaks(name, text, telling, lines, frozenset(), frozenset())
    return tuple(dict.fromkeys(found))


def _secrets(source: Source) -> Iterator[tuple[str, int]]:
    """Lines between markers, without blanks at both ends and a leading `#`, to their numbers; the first one counts."""
    lines = source.notebook.text.split("\n")
    for block in reversed(source.blocks):
        for number in range(block.end - 1, block.begin, -1):
            if line := _bare(lines[number - 1]):
                yield line, number


def _bare(line: str) -> str:
    return " ".join(line.strip().lstrip("#").split())


def _as_written(line: str) -> str:
    """The line with its `#`, because a visible line of code does not explain the same line in a comment."""
    return " ".join(line.split())


def _says_something(line: str) -> bool:
    if _IMPORT.fullmatch(line):
        return False
    words = [word for word in _WORD.findall(line) if word not in _OWN_WORDS and word != "_"]
    if len(words) >= _TELLING + line.endswith(":"):  # `for value in values:` says little
        return True
    return _VALUE.search(line) is not None and (len(words) > 1 or line.startswith("return"))


def _instructors_lines(source: Source) -> frozenset[str]:
    """Whole lines outside all blocks and outside the cells that students solve."""
    lines = source.notebook.text.split("\n")
    secret = {number for block in source.blocks for number in range(block.begin, block.end + 1)}
    students = {
        number
        for cell in source.solution_cells
        if cell not in source.check_cells
        for number in range(cell.span[0], cell.span[1] + 1)
    }
    return frozenset(
        _as_written(line) for number, line in enumerate(lines, 1) if number not in secret and number not in students
    )


def _telling_leaks(
    name: str, text: str, telling: Mapping[str, int], lines: list[str], shown: frozenset[str], literals: Iterable[str]
) -> Iterator[Leak]:
    patterns = {
        secret: re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)" if secret[:1].isalnum() else re.escape(secret))
        for secret in telling
        if not (_ONE_TEXT.fullmatch(secret) and any(secret.rstrip(",)]: ") in line for line in literals))
    }
    for number, line in enumerate(text.split("\n"), 1):
        bare = _bare(line)
        for secret, pattern in patterns.items():
            if secret not in bare or not pattern.search(bare):
                continue
            written = _as_written(line)
            if written not in shown or written != _as_written(lines[telling[secret] - 1]):
                yield Leak(name, number, secret, telling[secret])


def _short_leaks(source: Source, release: str, short: Mapping[str, int]) -> Iterator[Leak]:
    """Short lines that occur in the release more often than visible lines and placeholders explain, and comments that
    are a short line with an operator or a call: a solution that somebody left behind, commented out."""
    lines = source.notebook.text.split("\n")
    secret = {number for block in source.blocks for number in range(block.begin, block.end + 1)}
    visible = Counter(_bare(line) for number, line in enumerate(lines, 1) if number not in secret)
    explained = {"pass", _bare(STUDENTS_COMMENT), _bare(HIDDEN_COMMENT)}
    counts = Counter(_bare(line) for line in release.split("\n"))
    for number, line in enumerate(release.split("\n"), 1):
        bare = _bare(line)
        if bare not in short or bare in explained or _PLACEHOLDER.fullmatch(bare):
            continue
        is_more = counts[bare] > visible[bare] and not bare.startswith("return")
        is_code_in_comment = line.strip().startswith("#") and _OPERATOR.search(bare)
        if _WORD.search(bare) and (is_more or is_code_in_comment):
            yield Leak("", number, bare, short[bare])
