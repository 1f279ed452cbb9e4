"""What an instructor's pages show."""

from __future__ import annotations

from dataclasses import dataclass

from mograder.domain.board import Board
from mograder.web.pages import Page


@dataclass(frozen=True)
class BoardPage(Page):
    """The instructor's view of everybody by everything."""

    template = "board.html"
    heading = "Board"
    board: Board
