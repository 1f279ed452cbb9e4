"""Any body is JSON or a bad request, and encoded values can be decoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.errors import BadRequest
from mograder.domain.names import AssignmentName, FileName, Username, parse_owner
from mograder.wire import messages
from mograder.wire.codec import decode_json, encode_json


@given(body=st.binary() | st.text(alphabet='{}[]",:0123456789.eE-ntrufalse\\').map(str.encode))
def test_any_body_is_decoded_or_a_bad_request(body: bytes) -> None:
    try:
        value = decode_json(body)
    except BadRequest:
        return
    assert decode_json(encode_json(value)) == value


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b"NaN", b"[Infinity]", b'"\\ud800"', b"\xff", b""]
)
def test_a_body_that_is_not_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest, match="bad JSON"):
        decode_json(body)


def test_a_key_without_a_value_is_left_out() -> None:
    file = messages.ReleaseFileInfo("a.py", "/x", messages.given(None), messages.given("ab"))
    assert encode_json(file) == b'{"filename":"a.py","url":"/x","sha256":"ab"}'


def test_names_are_strings_in_json() -> None:
    names = [AssignmentName("ä"), FileName("a/b"), Username("alice"), parse_owner("bob")]
    assert encode_json(names) == '["ä","a/b","alice","bob"]'.encode()
