"""Packs several files as one submission, a zip with a manifest, and opens zips that come from anybody.

Invariant: the same files always make the same bytes, so that a repeated submission is recognised; and every name in the
zip is relative and safe.
"""

from __future__ import annotations

import hashlib
import json
import struct
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from msgspec import Struct

from mograder.domain.errors import BadName, BadRequest
from mograder.domain.names import FileName, printable

MANIFEST = "submission.json"
MAX_FILES = 1_000
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can state; the real one would change the bytes
_PIECE = 256 * 1024
MAX_DIRECTORY = 1024 * 1024
"""Bytes of the central directory of a zip, its list of files: of more it takes hundreds of times as much memory."""
_END = struct.Struct("<4s4H2LH")


class LongDirectory(zipfile.BadZipFile):
    """A zip whose list of files is too long to be read."""


def is_zip(start: bytes) -> bool:
    """Whether a file that begins with these bytes is a zip, perhaps an empty one."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """A zip of anybody's, to be read. Raises BadZipFile, LongDirectory before the list of its files is read."""
    if _directory_size(file) > MAX_DIRECTORY:
        raise LongDirectory("the list of its files is too long")
    return zipfile.ZipFile(file)


def _directory_size(file: BinaryIO) -> int:
    """The size of the central directory that the end of a zip states; zipfile reads all of it."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65536 - _END.size))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if tail[max(0, at - 20) :].startswith(b"PK\x06\x07"):  # zip64: a second, larger directory
        return MAX_DIRECTORY + 1
    try:
        return int(_END.unpack_from(tail, at)[5]) if at >= 0 else 0
    except struct.error:
        raise zipfile.BadZipFile("its end is cut off") from None


class Member(Struct, frozen=True):
    """One of several files of a submission: its name in the zip, and a function that opens it. The caller closes it."""

    name: str
    open: Callable[[], BinaryIO]


def member_name(text: str) -> str:
    """The name of a file in a submission: NFC, with `/` between folders. Raises BadRequest."""
    try:
        return FileName.parse(unicodedata.normalize("NFC", text.replace("\\", "/")))
    except BadName:
        raise BadRequest(
            f"the file name {printable(text)!r} is hidden, leads outside the folder, or cannot be stored: rename it"
        ) from None


def check_names(names: Iterable[str]) -> None:
    """Raises BadRequest if two names are equal but for case, one is the manifest's, or there are too many."""
    found: dict[str, str] = {MANIFEST: MANIFEST}
    for name in names:
        if name.casefold() in found:
            taken = found[name.casefold()]
            raise BadRequest(f"{printable(name)!r}: there is a file called {printable(taken)!r} already: rename one")
        found[name.casefold()] = name
    if len(found) > MAX_FILES + 1:
        raise BadRequest(f"these are {len(found) - 1} files: at most {MAX_FILES} make one submission")


def pack(members: Sequence[Member], assignment: str, target: BinaryIO) -> None:
    """Write the zip to the seekable `target`. Its manifest has each file's name, size in bytes and SHA-256."""
    check_names(each.name for each in members)
    listed = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for each in sorted(members, key=lambda member: member.name):
            digest, size = hashlib.sha256(), 0
            with each.open() as source, archive.open(_entry(each.name), "w") as written:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
                    written.write(piece)
            listed.append({"name": each.name, "size": size, "sha256": digest.hexdigest()})
        manifest = json.dumps({"assignment": str(assignment), "files": listed}, indent=2, ensure_ascii=False)
        archive.writestr(_entry(MANIFEST), manifest.encode())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3  # the same on every system
    return entry
