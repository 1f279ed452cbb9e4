"""Errors: their translation to HTTP and back."""

from __future__ import annotations

import pytest

from mograder.domain import errors
from mograder.domain.errors import (
    BadName,
    BadRequest,
    MethodNotAllowed,
    MograderError,
    NotFound,
    StorageFull,
    Temporary,
    Unauthenticated,
    Unreadable,
    error_for,
)

FAMILY = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MograderError)]


@pytest.mark.parametrize("error", FAMILY)
def test_an_error_is_recognised_by_code_and_status_or_by_status_alone(error: type[MograderError]) -> None:
    assert error_for(error.code, error.status) is error
    assert error_for(None, error.status).status in (error.status, MograderError.status)


def test_an_error_code_that_does_not_match_the_status_is_ignored() -> None:
    assert error_for("not_found", 400) is error_for("nonsense", 400) is error_for(["not_found"], 400) is BadRequest
    assert error_for("bad_name", 400) is BadName
    assert error_for("not_found", 599) is error_for(None, 599) is MograderError


def test_an_error_has_its_headers_and_place() -> None:
    assert Unauthenticated("x").headers == (("WWW-Authenticate", "Bearer"),)
    wrong = MethodNotAllowed("x", "GET, HEAD")
    assert (wrong.message, wrong.headers) == ("x", (("Allow", "GET, HEAD"),))
    assert Temporary("x").headers == StorageFull("x").headers == (("Retry-After", "5"),)
    broken = Unreadable("cannot be read", "grades.json line 3")
    assert (str(broken), broken.message, broken.place) == ("cannot be read", "cannot be read", "grades.json line 3")
    assert broken.headers == (("Retry-After", "60"),)
    assert NotFound("x").headers == ()
    assert NotFound("x", closes=1).details == Temporary("x", 7, closes=1).details == {"closes": 1}
