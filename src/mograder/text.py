"""Reads text that people wrote in editors: encodings, byte-order marks and line ends."""

from __future__ import annotations

import codecs
import re

from msgspec import Struct

from mograder.domain.errors import BadRequest

FALLBACK = "windows-1252"
"""The assumed encoding of text that is neither UTF-8 nor UTF-16; older western editors write it."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, as it begins with the mark of that
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 4096  # bytes that distinguish UTF-16 without a mark from UTF-8

_DECLARED = 1024  # bytes at the beginning of an HTML page in which browsers look for its charset

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", FALLBACK, "latin-1")


class DecodedText(Struct, frozen=True):
    """A decoded text that can be written back. `raw` has the original line ends and no byte-order mark.

    `assumed`: nothing in the bytes confirms `encoding`, so letters may be wrong; ask the person before relying on it.
    """

    raw: str
    encoding: str
    mark: bytes = b""
    assumed: bool = False

    @property
    def text(self) -> str:
        """The text with line feeds as line ends."""
        return re.sub(r"\r\n?", "\n", self.raw)

    def encode(self, raw: str) -> bytes:
        """`raw` as bytes in the same encoding, with the same byte-order mark. Raises BadRequest."""
        try:
            return self.mark + raw.encode(self.encoding)
        except UnicodeEncodeError as error:
            letter = raw[error.start]
            raise BadRequest(
                f"{self.encoding} cannot hold the character {letter!r}: save the file as UTF-8 first"
            ) from None


def decode(content: bytes, encoding: str = "") -> DecodedText:
    """The text of a file. `encoding`, if given, is what a person said.

    Without it, a byte-order mark decides; else it is UTF-16 if every other byte is zero, else UTF-8, else FALLBACK with
    `assumed` set. Raises BadRequest for a file that is not text, or not in the given encoding.
    """
    for mark, name in _MARKS:
        if content.startswith(mark) and encoding in ("", name):
            return _checked(DecodedText(_decode(content[len(mark) :], name), name, mark))
    if encoding:
        return _checked(DecodedText(_decode(content, _known(encoding)), _known(encoding)))
    if name := _unmarked_utf16(content):
        return _checked(DecodedText(_decode(content, name), name))
    try:
        return _checked(DecodedText(content.decode(), "utf-8"))
    except UnicodeDecodeError:
        # Windows-1252 does not define five bytes; latin-1 has a character for every byte.
        try:
            return _checked(DecodedText(content.decode(FALLBACK), FALLBACK, assumed=True))
        except UnicodeDecodeError:
            return _checked(DecodedText(content.decode("latin-1"), "latin-1", assumed=True))


def decode_certain(content: bytes) -> DecodedText:
    """As `decode`; raises BadRequest instead of assuming an encoding."""
    decoded = decode(content)
    if decoded.assumed:
        raise BadRequest("the file is not UTF-8 text: save it as UTF-8 (in Excel: 'CSV UTF-8')")
    return decoded


def person_text(content: bytes) -> str:
    """The text of a file that a person wrote, with line feeds as line ends. Raises ValueError that says what to do.

    For settings and similar files, which should be UTF-8. Encodings that are certain (see `decode`) are accepted, too.
    """
    try:
        return decode_certain(content).text
    except BadRequest as error:
        raise ValueError(error.message) from None


def declared_charset(page: bytes) -> str:
    """The charset of an HTML page: that of its byte-order mark, else the declared one, else UTF-8.

    As in browsers, a page that declares UTF-16 in ASCII is UTF-8. So is one that declares an unknown charset.
    """
    for mark, name in _MARKS:
        if page.startswith(mark):
            return name.replace("utf-16-", "utf-16")
    start = re.sub(rb"<!--.*?(-->|$)", b"", page[:_DECLARED], flags=re.DOTALL)
    found = re.search(rb"<meta\b[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", start, re.IGNORECASE)
    name = found[1].decode("ascii", "replace").lower() if found else "utf-8"
    try:
        "".encode(name)  # raises also for a codec that is not for text, such as hex
    except LookupError:
        return "utf-8"
    return "utf-8" if name.startswith("utf-16") else name


def _known(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        name = ""
    for each in _ENCODINGS:
        if codecs.lookup(each).name == name:
            return each
    raise BadRequest(f"the encoding {encoding[:40]!r} is not known here: use one of {', '.join(_ENCODINGS)}")


def _decode(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the file is not {encoding} text: byte {error.start + 1} does not fit") from None


def _unmarked_utf16(content: bytes) -> str:
    """The encoding of UTF-16 without a mark, in which every other byte of ASCII letters is zero; "" if it is not."""
    sample = content[:_SAMPLE]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if half < 2 or len(content) % 2:
        return ""
    if odd * 10 >= half * 6 and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even * 10 >= half * 6 and odd == 0 else ""


def _checked(decoded: DecodedText) -> DecodedText:
    if "\0" in decoded.raw:
        raise BadRequest("the file is not text: it has a zero byte")
    return decoded
