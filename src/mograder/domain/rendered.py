"""A notebook as it ran: its cells with what they showed. Values only; nothing in them is safe to be run or believed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RenderedCell:
    """A cell of a submission: `code` as it was submitted, what its value looked like, and what it printed.

    `kind` is a media type: text/plain, text/html, or image/png with `value` in base64; "" where it shows nothing.
    `problem` is why it did not finish, "" when it did; `ran` is False for cells that were not run, as checks.
    """

    name: str
    line: int
    code: str
    ran: bool = False
    kind: str = ""
    value: str = ""
    printed: str = ""
    problem: str = ""


@dataclass(frozen=True)
class RenderedNotebook:
    """The cells, in the order of the file."""

    cells: tuple[RenderedCell, ...] = ()
