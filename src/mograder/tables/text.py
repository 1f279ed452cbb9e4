"""The one reader of text that people wrote in editors. Byte-order marks and forms of line ends never matter."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from mograder.domain.errors import BadRequest

FALLBACK = "windows-1252"
"""What text is taken for, on request, that is neither UTF-8 nor UTF-16: what western editors wrote before."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 4096  # bytes that tell UTF-16 without a mark from UTF-8

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", FALLBACK, "latin-1")


@dataclass(frozen=True)
class DecodedText:
    """Text with all that is needed to write it back: `raw` has the line ends as they came, and no byte-order mark.

    `assumed`: nothing in the bytes says that `encoding` is right, so letters may be wrong; ask before relying on it.
    """

    raw: str
    encoding: str
    mark: bytes = b""
    assumed: bool = False

    @property
    def text(self) -> str:
        """The text with every line end as a line feed."""
        return re.sub(r"\r\n?", "\n", self.raw)

    @property
    def bare(self) -> bytes:
        """The same text as UTF-8 with line feeds and no byte-order mark, for parsers that want bytes."""
        return self.text.encode()

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
    """The text of a file. `encoding`, if given, is what a person said it is in.

    Without it: what a byte-order mark says, else UTF-8, else UTF-16 where every other byte is zero, else FALLBACK with
    `assumed` set. Raises BadRequest for what is no text, or not in the encoding said.
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
        # Five bytes mean nothing in windows-1252; latin-1 has a character for each, so no byte is lost.
        try:
            return _checked(DecodedText(content.decode(FALLBACK), FALLBACK, assumed=True))
        except UnicodeDecodeError:
            return _checked(DecodedText(content.decode("latin-1"), "latin-1", assumed=True))


def decode_certain(content: bytes, encoding: str = "") -> DecodedText:
    """As `decode`; raises BadRequest instead of assuming an encoding."""
    decoded = decode(content, encoding)
    if decoded.assumed:
        raise BadRequest(
            "the file is not UTF-8 text: save it as UTF-8 (in Excel: 'CSV UTF-8'), "
            f"or say what it is in ({decoded.encoding}?)"
        )
    return decoded


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
    """The byte order of UTF-16 that has no mark, "" when it is not UTF-16: of ASCII every other byte is zero."""
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
