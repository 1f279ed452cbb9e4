"""The kinds of submission that a browser may show itself, each with its content security policy.

Invariant: none of them can run: no HTML, no SVG, and no file whose bytes are not what its name says.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from mograder.domain.files import StoredFile
from mograder.domain.receipts import version_ending

_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Viewable(Struct, frozen=True):
    """A kind of file by its media type, with the policy for it."""

    media_type: str
    policy: str = f"sandbox; {_NOTHING}; img-src 'self' data:; style-src 'unsafe-inline'"


VIEWABLE: Mapping[str, Viewable] = MappingProxyType({
    # Without `sandbox`, under which browsers do not start their PDF viewer; it runs apart from this origin.
    ".pdf": Viewable("application/pdf", f"{_NOTHING}; object-src 'self'; style-src 'unsafe-inline'"),
    ".png": Viewable("image/png"),
    ".jpg": Viewable("image/jpeg"),
    ".jpeg": Viewable("image/jpeg"),
    ".gif": Viewable("image/gif"),
    ".webp": Viewable("image/webp"),
})  # fmt: skip
"""The kinds, by file ending."""

_BEGINNINGS = (
    (b"%PDF-", "application/pdf"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"),
)  # fmt: skip


def media_of(start: bytes) -> str:
    """The type of an image or a PDF that begins with these bytes, "" for all else."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _BEGINNINGS if start.startswith(magic)), "")


def kind_of(file: StoredFile) -> Viewable | None:
    """What a browser may show the file as, by its ending and its first bytes. May wait for a network."""
    kind = VIEWABLE.get(version_ending(file.name))
    if kind is None:
        return None
    with file.open() as opened:
        return kind if media_of(opened.read(16)) == kind.media_type else None
