"""The kinds of submission that a browser may show itself, each with its content security policy.

Invariant: none of them can run: no HTML, no SVG, and no file whose bytes are not what its name says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mograder.domain.files import StoredFile
from mograder.domain.receipts import version_ending

_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Viewable:
    """A kind of file by its media type; `begins` are the bytes that one begins with."""

    media_type: str
    begins: tuple[bytes, ...]
    policy: str = f"sandbox; {_NOTHING}; img-src 'self' data:; style-src 'unsafe-inline'"


_JPEG = Viewable("image/jpeg", (b"\xff\xd8\xff",))

VIEWABLE: Mapping[str, Viewable] = MappingProxyType({
    # Without `sandbox`, under which browsers do not start their PDF viewer; it runs apart from this origin.
    ".pdf": Viewable("application/pdf", (b"%PDF-",), f"{_NOTHING}; object-src 'self'; style-src 'unsafe-inline'"),
    ".png": Viewable("image/png", (b"\x89PNG\r\n\x1a\n",)),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".gif": Viewable("image/gif", (b"GIF87a", b"GIF89a")),
    ".webp": Viewable("image/webp", (b"RIFF",)),
})  # fmt: skip
"""The kinds, by file ending."""


def kind_of(file: StoredFile) -> Viewable | None:
    """What a browser may show the file as, by its ending and its first bytes. May wait for a network."""
    kind = VIEWABLE.get(version_ending(file.name))
    if kind is None:
        return None
    with file.open() as opened:
        return kind if opened.read(16).startswith(kind.begins) else None
