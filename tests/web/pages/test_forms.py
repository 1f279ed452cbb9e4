"""Any values in the fields of any form give a page and never an internal error, with every store."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.domain.course import Course
from mograder.domain.errors import BadRequest
from mograder.domain.names import INSTRUCTOR, Username
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.postgres.courses import PostgresCourses
from mograder.web.pages.page_request import PageRoute, parse_form
from mograder.web.pages.routes import VIEWS
from tests.marked_course import PLAN
from tests.parts import CODE, Clock, make_course_folder, open_store, submit_work, token_of
from tests.postgres import new_course
from tests.web.pages.test_sessions import Visitor

ABSURD = ["a\0b", "9" * 400, "\ud800", "\U0010ffff\u202e"]
USUAL = {
    "version": "0", "question": "Essay", "points": "1", "person": "s01", "to": "grace", "how": "person", "key": "",
    "until": "+1d", "decision": "grant", "user": "s02", "role": "student", "seen": "", "section": "", "hide": "yes",
    "confirmed": "yes", "counts": "latest", "code": CODE, "format": "csv",
}  # fmt: skip
"""Values of the fields without which a view would stop too early; every other field has "some text"."""
READS = re.compile(r'(?:form|fields)(?:\.get\(|\[)"([\w:]+)"')
OTHER_SESSION = {"/login", "/once", "/join"}
LAST = ("/people/s01/remove", "/people/s01/reset", "/new-codes", "/devices/end")
"""Forms that are sent last, because they change people or sessions."""


@pytest.fixture(params=["folder", "postgres"])
def any_course(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Course]:
    root = make_course_folder(tmp_path)
    (root.parent / "mograder.toml").write_text(PLAN)
    if request.param == "folder":
        store, end = open_store(root), None
    else:
        end = PostgresCourses(request.getfixturevalue("postgres_url"))
        store = end.open(new_course(end, Folders.of(root)))  # type: ignore[assignment]
    course = Course(store, Ed25519Signer(store.keys.signing_key(new_private_key)), clock, CODE)
    yield course
    course.close()
    if end is not None:
        end.close()


def fields(view: PageRoute) -> list[str]:
    """The names of all fields that the module of a view reads."""
    module = inspect.getmodule(view.show)
    assert module is not None
    return sorted({name.rstrip(":") for name in READS.findall(inspect.getsource(module))})


def forms(of_students: bool) -> list[tuple[str, list[str]]]:
    """Path and fields of the forms that only students send, or of all other forms."""
    values = {"assignment": "hw1", "user": "s01", "person": "s01"}
    found = [
        (re.sub(r"{([^}]+)}", lambda match: values[match[1]], each.path), fields(each))
        for each in VIEWS
        if each.method == "POST"
        and each.path not in ("/logout", "/as-student")
        and each.path.startswith("/my/") == of_students
    ]
    return sorted(found, key=lambda form: form[0] in LAST)


@pytest.mark.parametrize("who", ["s01", INSTRUCTOR])
def test_no_value_of_any_form_field_causes_an_internal_error(any_course: Course, who: str) -> None:
    visitor = Visitor(any_course)
    for user in ("s01", "s02"):
        submit_work(any_course.store, any_course.signer, Username(user), b"x = 1")
    visitor.post("/login", token=token_of(any_course, who))
    inside = dict(visitor.cookies)
    found = set()
    for path, names in forms(who != INSTRUCTOR):
        for value in ABSURD:
            said = value.encode("utf-8", "surrogatepass").decode("latin-1")
            usual = {name: USUAL.get(name, "some text") for name in names}
            for form in (dict.fromkeys(names, said), *({**usual, name: said} for name in names)):
                answer = visitor.post(path, **form)
                found.add(answer.status_code)
                assert answer.status_code < 500, (path, form)
                if path in OTHER_SESSION:
                    visitor.cookies = dict(inside)
    assert 400 in found
    assert 303 in found or who != INSTRUCTOR


def test_a_form_field_never_holds_a_character_that_a_store_cannot_keep() -> None:
    with pytest.raises(BadRequest):
        parse_form(b"text=a%00b")
    with pytest.raises(BadRequest):
        parse_form(b"a%00b=text")
    assert parse_form(b"text=a%0D%0Ab+%E2%82%AC") == {"text": "a\r\nb \u20ac"}
