"""Access rights: every combination of role and permission."""

from __future__ import annotations

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR, UNCHECKED, Actor, Allow, Role, authorise
from mograder.domain.errors import Forbidden
from mograder.domain.names import Username
from tests.parts import ALICE, BOB

STUDENT = Actor(ALICE, Role.STUDENT)
TUTOR = Actor(BOB, Role.INSTRUCTOR)


@pytest.mark.parametrize("about", [None, ALICE, BOB])
@pytest.mark.parametrize("allow", Allow)
@pytest.mark.parametrize("actor", [COURSE_INSTRUCTOR, TUTOR, UNCHECKED], ids=["course", "tutor", "unchecked"])
def test_instructors_may_do_everything(actor: Actor, allow: Allow, about: Username | None) -> None:
    authorise(actor, allow, about)


@pytest.mark.parametrize("allow", Allow)
@pytest.mark.parametrize("about", [None, ALICE, BOB, Username("Alice")])
def test_students_may_do_what_is_open_to_everybody_or_concerns_themselves(allow: Allow, about: Username | None) -> None:
    if allow in (Allow.ANYONE, Allow.MEMBER) or (allow is Allow.SELF and about == ALICE):
        authorise(STUDENT, allow, about)
    else:
        others = {Allow.SELF: f"{about!r} or an instructor", Allow.GRADER: "a grader or an instructor"}
        who = others.get(allow, "an instructor")
        with pytest.raises(Forbidden, match=f"you are 'alice': only {who} may do this"):
            authorise(STUDENT, allow, about)


@pytest.mark.parametrize("allow", Allow)
def test_a_grader_may_do_what_is_open_to_graders_and_otherwise_no_more_than_a_student(allow: Allow) -> None:
    grader = Actor(ALICE, Role.GRADER)
    if allow in (Allow.ANYONE, Allow.MEMBER, Allow.GRADER):
        authorise(grader, allow)
    else:
        with pytest.raises(Forbidden):
            authorise(grader, allow, BOB)
