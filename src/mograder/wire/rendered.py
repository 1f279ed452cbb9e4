"""A notebook as it ran, as bytes to be stored, and back."""

from __future__ import annotations

import zlib

import msgspec

from mograder.domain.errors import Unreadable
from mograder.domain.rendered import RenderedNotebook

LARGEST = 32 * 1024 * 1024
"""Bytes that are unpacked."""


def pack(notebook: RenderedNotebook) -> bytes:
    return zlib.compress(msgspec.json.encode(notebook), 6)


def unpack(content: bytes) -> RenderedNotebook:
    """Raises Unreadable."""
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(content, LARGEST)
        return msgspec.json.decode(text, type=RenderedNotebook)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable("the rendered notebook cannot be read", str(error)) from None
