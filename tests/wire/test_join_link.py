"""A join link can be parsed, and its code is only in the fragment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mograder.wire.join_link import JoinLink


@given(code=st.text(max_size=40), fingerprint=st.sampled_from(["", "ab" * 32]))
def test_a_join_link_is_parsed_into_url_code_and_fingerprint(code: str, fingerprint: str) -> None:
    link = JoinLink("https://course.example.org/c/stats", code, fingerprint)
    assert JoinLink.parse(link.text) == link
    assert "#" not in link.text.partition("/join")[0]


def test_a_plain_url_is_a_join_link_without_a_code() -> None:
    assert JoinLink.parse("https://course.example.org/") == JoinLink("https://course.example.org")
