"""What a student's pages show."""

from __future__ import annotations

from dataclasses import dataclass

from mograder.domain.board import Work
from mograder.web.pages import Page


@dataclass(frozen=True)
class Home(Page):
    """A student's course at a glance."""

    template = "home.html"
    heading = "Your assignments"
    works: tuple[Work, ...]
