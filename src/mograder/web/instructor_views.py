"""An instructor's pages."""

from __future__ import annotations

from mograder.web.instructor_pages import BoardPage
from mograder.web.visits import Answer, View, Visit


def board(visit: Visit) -> Answer:
    """Everybody by everything."""
    return BoardPage(visit.frame, visit.course.board())


VIEWS: tuple[View, ...] = ()
