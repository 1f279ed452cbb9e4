"""Text that people wrote is decoded correctly whatever editor wrote it, or the doubt is reported."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.errors import BadRequest
from mograder.text import declared_charset, decode, decode_certain, person_text

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"))


@given(text=TEXT, mark=st.booleans())
def test_utf8_with_and_without_a_byte_order_mark_is_the_same_text(text: str, mark: bool) -> None:
    content = codecs.BOM_UTF8 * mark + text.encode()
    found = decode(content, "utf-8")
    assert (found.raw, found.assumed) == (text, False)
    assert found.encode(found.raw) == content


@given(text=TEXT, encoding=st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_utf16_with_a_byte_order_mark_is_read_and_written_back_byte_for_byte(text: str, encoding: str) -> None:
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else codecs.BOM_UTF16_BE
    content = mark + text.encode(encoding)
    found = decode(content)
    assert (found.raw, found.encode(found.raw)) == (text, content)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_byte_order_mark_is_recognised(encoding: str) -> None:
    assert decode("username\tgrade\r\nJosé\t5\r\n".encode(encoding)).text == "username\tgrade\nJosé\t5\n"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_every_line_end_becomes_a_line_feed(ends: str) -> None:
    found = decode(ends.join("abc").encode("utf-8-sig"))
    assert found.text == "a\nb\nc"


def test_any_other_text_is_assumed_to_be_windows_1252_and_that_is_reported() -> None:
    found = decode("Jos\u00e9 \u20ac5".encode("windows-1252"))
    assert (found.raw, found.encoding, found.assumed) == ("José €5", "windows-1252", True)
    with pytest.raises(BadRequest, match="not UTF-8 text: save it as UTF-8"):
        decode_certain(b"Jos\xe9")
    assert decode(b"Jos\xe9", "latin-1").raw == "José"


@given(content=st.binary())
def test_no_byte_is_lost_whatever_the_encoding(content: bytes) -> None:
    try:
        found = decode(content)
    except BadRequest:
        return
    assert found.encode(found.raw) == content


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [(b"a\0b", "", "zero byte"), (b"\xff", "utf-8", "not utf-8 text: byte 1"),
     (b"a", "klingon", "'klingon' is not known"),
     (b"\xff\xfea", "", "not utf-16-le text"), (b"a", "rot13", "'rot13' is not known")],
)  # fmt: skip
def test_bytes_that_are_no_text_are_refused_with_the_reason(content: bytes, encoding: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        decode(content, encoding)


def test_a_character_that_the_encoding_lacks_is_named() -> None:
    with pytest.raises(BadRequest, match="windows-1252 cannot hold the character '語'"):
        decode(b"\xe9").encode("語")


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_file_is_read_the_same_whatever_an_editor_added(mark: str, ends: str) -> None:
    assert person_text(f"é = 1{ends}b{ends}".encode(mark)) == "é = 1\nb\n"


def test_a_file_in_an_unknown_encoding_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="save it as UTF-8"):
        person_text("café".encode("latin-1"))


@pytest.mark.parametrize(
    ("page", "charset"),
    [
        (b"<p>plain", "utf-8"), (b'<meta charset="windows-1252"><p>\xe9', "windows-1252"),
        (b"<META http-equiv='Content-Type' content='text/html; charset=ISO-8859-15'>", "iso-8859-15"),
        (b"\xef\xbb\xbf<meta charset=latin1>", "utf-8"), ("<p>".encode("utf-16"), "utf-16le"),
        (b"<meta charset='no such thing'>", "utf-8"), (b"<meta charset=hex>", "utf-8"),
        (b"<!-- <meta charset=koi8-r> -->", "utf-8"), (b'<meta charset="utf-16">', "utf-8"),
    ],
)  # fmt: skip
def test_a_page_is_decoded_by_its_declared_charset(page: bytes, charset: str) -> None:
    assert declared_charset(page) == charset
