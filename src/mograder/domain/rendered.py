"""A notebook as it ran: its cells with their output. These are values from a submission: never run or trust them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RenderedCell:
    """A cell of a submission: its submitted `code`, its displayed value, and the text that it printed.

    `kind` is a media type: text/plain, text/html, or image/png with `value` in base64; "" if it displays nothing.
    `problem` says why it did not finish, "" if it did. `ran` is False for cells that were not run, such as checks.
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
    """The cells of a notebook, in the order of the file."""

    cells: tuple[RenderedCell, ...] = ()
