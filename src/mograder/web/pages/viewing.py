"""Begins and ends an instructor's view of the pages as a student.

Its cookie takes rights away and gives none, so it is not signed. `page_request` refuses all forms meanwhile.
"""

from __future__ import annotations

from mograder.domain.access import Allow
from mograder.domain.errors import Forbidden
from mograder.domain.names import AssignmentName
from mograder.web.pages import sessions
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute


def view_as_student(request: PageRequest) -> Answer:
    """Begin the view, or end it if the form has `leave`. Leads to the assignment that the form names, if any."""
    if not (request.actor.is_instructor or request.viewing):
        raise Forbidden("only an instructor can view the course as a student")
    name = request.form.get("assignment", "")
    place = [AssignmentName.parse(name)] if name else []
    leaves = "leave" in request.form
    answer = request.to(("/board" if leaves else "/my") if place else "/", *place)
    if leaves:
        answer.delete_cookie(sessions.view_cookie_name(request.course), path=request.root or "/")
    else:
        answer.set_cookie(
            sessions.view_cookie_name(request.course), "student", max_age=sessions.SESSION_SECONDS,
            path=request.root or "/", secure=request.secure, httponly=True, samesite="lax",
        )  # fmt: skip
    return answer


VIEWS: tuple[PageRoute, ...] = (PageRoute("POST", "/as-student", Allow.ANYONE, view_as_student),)
