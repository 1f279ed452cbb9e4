"""Converts a notebook as it ran to bytes for storage, and back."""

from __future__ import annotations

import zlib

import msgspec

from mograder.domain.errors import Unreadable
from mograder.domain.rendered import RenderedNotebook

LARGEST = 32 * 1024 * 1024
"""Bytes that are unpacked at most."""


def pack(notebook: RenderedNotebook) -> bytes:
    """The notebook as compressed JSON."""
    return zlib.compress(msgspec.json.encode(notebook), 6)


def unpack(content: bytes) -> RenderedNotebook:
    """The notebook that `pack` packed. Raises Unreadable."""
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(content, LARGEST)
        return msgspec.json.decode(text, type=RenderedNotebook)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable("the rendered notebook cannot be read", str(error)) from None
