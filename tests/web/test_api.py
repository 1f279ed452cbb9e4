"""The protocol in process: tests of every row of the table."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from mograder.domain.access import Allow
from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.web import create_app
from mograder.wire.endpoints import ENDPOINTS, Endpoint
from mograder.wire.paths import build_path
from tests.web.in_process import Web, everything_in, problem


def address(row: Endpoint, user: str = "alice", assignment: str = "hw1") -> str:
    path = build_path(row, {"assignment": assignment, "user": user, "file": f"{user}.py"})
    return f"{path}?{row.about_query}={user}" if row.about_query else path


def rows(*allow: Allow, method: str | None = None) -> pytest.MarkDecorator:
    chosen = [row for row in ENDPOINTS if (not allow or row.allow in allow) and method in (None, row.method)]
    return pytest.mark.parametrize("row", chosen, ids=lambda row: row.name)


GUARDED = rows(Allow.MEMBER, Allow.SELF, Allow.INSTRUCTOR)
PERSONS_DIGITS = "0" * 64


# every row of the table


@GUARDED
def test_without_a_token_a_request_is_refused(web: Web, row: Endpoint) -> None:
    reply = web(row.method, address(row), None)
    problem(reply, 401, "unauthenticated")
    assert reply.headers["www-authenticate"] == "Bearer"


@rows(Allow.ANYONE)
def test_an_endpoint_open_to_anyone_needs_no_token_and_ignores_an_invalid_one(web: Web, row: Endpoint) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        assert web(row.method, address(row), None, headers=headers).status_code not in (401, 403)


WRONG_TOKENS = (
    "", "Bearer", "Bearer ", "Bearer alice", "Bearer :", f"Bearer :{PERSONS_DIGITS}", "Bearer alice:",
    f"Bearer alice:{PERSONS_DIGITS}", f"Bearer ../x:{PERSONS_DIGITS}", f"Basic alice:{PERSONS_DIGITS}",
    "Bearer alice:ä", "Bearer \u00e4:00", "Bearer a:b:c", "Bearer " + "x" * 10_000,
)  # fmt: skip


@GUARDED
def test_a_malformed_or_wrong_token_is_refused(web: Web, row: Endpoint) -> None:
    for header in WRONG_TOKENS:
        reply = web(row.method, address(row), None, headers={"Authorization": header.encode()})
        assert PERSONS_DIGITS not in problem(reply, 401, "unauthenticated"), header


@rows(Allow.INSTRUCTOR)
def test_a_student_cannot_use_the_endpoints_of_instructors(web: Web, row: Endpoint, course_folder: Path) -> None:
    before = everything_in(course_folder.parent)
    problem(web(row.method, address(row), "alice"), 403, "forbidden")
    assert everything_in(course_folder.parent) == before


@rows(Allow.SELF)
def test_a_student_cannot_access_the_work_of_another_student(web: Web, row: Endpoint, course_folder: Path) -> None:
    for other in ("bob", "ALICE", INSTRUCTOR):
        problem(web(row.method, address(row, other), "alice", content=b"x"), 403, "forbidden")
    assert not (course_folder.parent / "submitted").exists()


@pytest.mark.parametrize("row", [row for row in ENDPOINTS if "{assignment}" in row.path], ids=lambda row: row.name)
def test_an_unknown_assignment_is_not_found_and_not_created(web: Web, row: Endpoint, course_folder: Path) -> None:
    before = sorted(course_folder.parent.rglob("*"))
    body: dict[str, Any] = {"content": b'[{"username": "alice"}]'} if row.method == "POST" else {}
    if row.name == "upload_feedback":
        body = {"files": {"files": ("alice.html", b"x")}}
    for name in ("hw9", "hw1%20", "HW1", "..", "%2e%2e", ".", ".hidden", "submitted", "a\\b"):
        problem(web(row.method, address(row).replace("hw1", name), **body), 404, "not_found")
        assert sorted(course_folder.parent.rglob("*")) == before, name


@rows(method="GET")
def test_head_is_get_without_the_body(web: Web, row: Endpoint) -> None:
    web.submit()
    (web.course.store.folders.root / "hw1" / "files" / "alice.py").write_bytes(b"x")  # type: ignore[attr-defined]
    web("POST", "/assignments/hw1/feedback", files={"files": ("alice.html", b"<p>")})
    got, head = (web(method, address(row)) for method in ("GET", "HEAD"))
    assert (got.status_code, head.status_code, head.content) == (200, 200, b"")
    assert dict(head.headers) == dict(got.headers)
    assert int(got.headers["content-length"]) == len(got.content) > 0


@rows()
def test_another_method_is_405_and_says_which_are_allowed(web: Web, row: Endpoint) -> None:
    allowed = {each.method for each in ENDPOINTS if each.path == row.path}
    expected = allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "WEIRD"} - allowed:
        reply = web(method, address(row))
        problem(reply, 405, "method_not_allowed")
        assert set(reply.headers["allow"].split(", ")) == expected, method


@rows()
def test_cors_preflight_requests_are_answered(web: Web, row: Endpoint) -> None:
    reply = web("OPTIONS", address(row), None)
    assert (reply.status_code, reply.content) == (204, b"")


def test_options_is_answered_at_any_path(web: Web) -> None:
    assert web("OPTIONS", "/no/where", None).status_code == 204


@rows()
def test_every_response_has_the_cors_headers(web: Web, row: Endpoint) -> None:
    for method, as_ in itertools.product(("GET", "HEAD", "POST", "PUT", "OPTIONS"), (None, "alice", "bob", INSTRUCTOR)):
        headers = web(method, address(row), as_).headers
        assert headers["access-control-allow-origin"] == "*", (method, as_)
        assert {"GET", "POST", "OPTIONS"} <= set(headers["access-control-allow-methods"].split(", "))
        assert {"Content-Type", "Authorization"} <= set(headers["access-control-allow-headers"].split(", "))
        assert "access-control-allow-credentials" not in headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@rows()
def test_a_trailing_slash_and_an_unknown_query_parameter_change_nothing(web: Web, row: Endpoint) -> None:
    path, _, query = address(row).partition("?")
    plain = web(row.method, address(row))
    for other in (f"{path}/?{query}", f"{path}?{query}&v=2&token=%C3%A4&flag"):
        reply = web(row.method, other)
        assert reply.status_code == plain.status_code
        if row.name != "login_link":  # each user is another
            assert reply.content == plain.content


@pytest.mark.parametrize("as_", [None, INSTRUCTOR])
@pytest.mark.parametrize(
    "path", ["/x", "/assignments/hw1", "/assignments/hw1/x", "//assignments", "/assignments/hw1/files", "/*", "/**"]
)
def test_an_unknown_path_is_not_found_with_and_without_a_token(web: Web, path: str, as_: str | None) -> None:
    problem(web("GET", f"http://test{path}", as_), 404, "not_found")


@GUARDED
def test_without_authentication_everything_is_allowed_and_an_invalid_token_is_ignored(
    course: Course, row: Endpoint
) -> None:
    web = Web(course, check_tokens=False)
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        assert web(row.method, address(row), None, headers=headers).status_code not in (401, 403)


def test_an_unexpected_exception_is_an_internal_error_without_details(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr(web.course.store.release, "assignments", broken)
    assert problem(web("GET", "/assignments"), 500, "internal") == "internal error"


def test_the_application_answers_below_its_mount_path(course: Course) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    web = Web(course)
    web.app = Starlette(routes=[Mount("/kurs", create_app(course))])  # type: ignore[assignment]
    assert web("GET", "/kurs/assignments").json()[0]["name"] == "hw1"
    problem(web("GET", "/kurs/x"), 404, "not_found")
