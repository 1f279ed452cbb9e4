"""LZ-String's compressToEncodedURIComponent, byte for byte: the form of a notebook in a link to an editor.

https://pieroxy.net/blog/pages/lz-string/index.html, version 1.5. Characters are UTF-16 code units, as in JavaScript.
"""

from __future__ import annotations

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-$"
BITS = 6  # of one letter
NARROW, WIDE, END = 0, 1, 2  # the predefined codes: a new character of 8 or 16 bits, and the end


def compress_for_url(text: str) -> str:
    """`text` as letters that need no escaping in a URL's fragment; an empty text gives "Q"."""
    units = text.encode("utf-16-le", "surrogatepass")
    letters = [units[index : index + 2] for index in range(0, len(units), 2)]
    written = _Bits()
    codes: dict[bytes, int] = {}
    new: set[bytes] = set()
    phrase = b""

    def write(known: bytes) -> None:
        if known in new:
            new.remove(known)
            value = int.from_bytes(known, "little")
            written.add(WIDE if value > 255 else NARROW, written.width)
            written.add(value, 16 if value > 255 else 8)
            written.coded()
        else:
            written.add(codes[known], written.width)
        written.coded()

    for letter in letters:
        if letter not in codes:
            codes[letter] = len(codes) + 3
            new.add(letter)
        if phrase + letter in codes:
            phrase += letter
            continue
        write(phrase)
        codes[phrase + letter] = len(codes) + 3
        phrase = letter
    if phrase:
        write(phrase)
    written.add(END, written.width)
    return written.text()


class _Bits:
    """Numbers, lowest bit first, packed into letters. A code takes `width` bits, one more when those are used up."""

    def __init__(self) -> None:
        self._bits: list[int] = []
        self.width = 2
        self._left = 2  # codes until the width grows

    def add(self, value: int, width: int) -> None:
        self._bits += [value >> place & 1 for place in range(width)]

    def coded(self) -> None:
        self._left -= 1
        if not self._left:
            self._left = 1 << self.width
            self.width += 1

    def text(self) -> str:
        bits = self._bits + [0] * (BITS - len(self._bits) % BITS)
        groups = (bits[start : start + BITS] for start in range(0, len(bits), BITS))
        return "".join(ALPHABET[int("".join(map(str, group)), 2)] for group in groups)
