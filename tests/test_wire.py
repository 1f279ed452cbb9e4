"""The table is whole: every row can be called, answered and told from every other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.access import Allow
from mograder.domain.errors import BadName, BadRequest
from mograder.domain.names import AssignmentName, FileName, Username, parse_owner
from mograder.web.endpoints import HANDLERS
from mograder.wire import messages
from mograder.wire.codec import decode_json, encode_json
from mograder.wire.endpoints import BY_NAME, ENDPOINTS, Content, Endpoint
from mograder.wire.join_link import JoinLink
from mograder.wire.paths import Routes, build_path

EVERY_ROW = pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)
ROUTES = Routes()


def parsed(parse: type[AssignmentName] | type[FileName]) -> st.SearchStrategy[str]:
    def is_name(text: str) -> bool:
        try:
            parse.parse(text)
        except BadName:
            return False
        return True

    return st.text(min_size=1, max_size=20).filter(is_name)


ASSIGNMENTS = parsed(AssignmentName)
FILES = st.lists(parsed(FileName), min_size=1, max_size=3).map("/".join)
USERS = st.from_regex(r"[a-z][a-z0-9@+_-]{0,20}", fullmatch=True)


@EVERY_ROW
def test_every_row_has_a_handler_a_name_and_a_sentence_of_its_own(row: Endpoint) -> None:
    # Uploads are read by the API itself, piece by piece.
    assert (row.name in HANDLERS) != (row.request in (Content.UPLOAD, Content.PAGES))
    assert row.summary.endswith(".")
    assert BY_NAME[row.name] is row
    assert len(BY_NAME) == len(ENDPOINTS)
    assert set(HANDLERS) <= set(BY_NAME)


@EVERY_ROW
def test_every_row_says_whom_it_is_about_and_what_it_takes(row: Endpoint) -> None:
    about = row.about_query or row.about_path
    assert about if row.allow is Allow.SELF else row.allow is Allow.INSTRUCTOR or not about
    assert row.about_path is None or f"{{{row.about_path}}}" in row.path
    assert row.method == "POST" or row.request is Content.NOTHING
    assert row.limit is None or (row.limit > 0) == (row.request is not Content.NOTHING)
    assert all(isinstance(kind, Content) or is_dataclass(kind) for kind in (row.request, row.reply))


def test_no_two_rows_answer_one_request() -> None:
    assert len({(row.method, row.path) for row in ENDPOINTS}) == len(ENDPOINTS)


@EVERY_ROW
@given(assignment=ASSIGNMENTS, file=FILES, user=USERS)
def test_a_path_that_was_built_is_found_with_the_same_values(
    row: Endpoint, assignment: str, file: str, user: str
) -> None:
    values = {"assignment": assignment, "file": file, "user": user}
    path = build_path(row, values)
    assert path.isascii()
    found = ROUTES.find(path.encode())
    assert found is not None
    assert found[row.method][0] is row
    assert found[row.method][1] == {key: values[key] for key in values if f"{{{key}" in row.path}


SEGMENTS = st.lists(st.sampled_from([b"assignments", b"*", b"**", b"", b"x", b"%2F", b"..", b"files"]))


@given(path=st.binary() | SEGMENTS.map(lambda parts: b"/" + b"/".join(parts)))
def test_any_path_is_found_unknown_or_a_bad_request(path: bytes) -> None:
    try:
        found = ROUTES.find(path)
    except BadRequest:
        return
    assert found is None or all(isinstance(values, Mapping) for _, values in found.values())


@given(body=st.binary() | st.text(alphabet='{}[]",:0123456789.eE-ntrufalse\\').map(str.encode))
def test_any_body_is_json_or_a_bad_request(body: bytes) -> None:
    try:
        value = decode_json(body)
    except BadRequest:
        return
    assert decode_json(encode_json(value)) == value


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b"NaN", b"[Infinity]", b'"\\ud800"', b"\xff", b""]
)
def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest, match="bad JSON"):
        decode_json(body)


def test_what_there_is_nothing_to_say_about_is_left_out() -> None:
    file = messages.ReleaseFileInfo("a.py", "/x", messages.given(None), messages.given("ab"))
    assert encode_json(file) == b'{"filename":"a.py","url":"/x","sha256":"ab"}'


def test_names_are_texts_in_json() -> None:
    names = [AssignmentName("ä"), FileName("a/b"), Username("alice"), parse_owner("bob")]
    assert encode_json(names) == '["ä","a/b","alice","bob"]'.encode()


@given(code=st.text(max_size=40), fingerprint=st.sampled_from(["", "ab" * 32]))
def test_a_join_link_gives_back_address_code_and_fingerprint(code: str, fingerprint: str) -> None:
    link = JoinLink("https://course.example.org/c/stats", code, fingerprint)
    assert JoinLink.parse(link.text) == link
    assert "#" not in link.text.partition("/join")[0]


def test_a_plain_address_is_a_join_link_without_code() -> None:
    assert JoinLink.parse("https://course.example.org/") == JoinLink("https://course.example.org")
