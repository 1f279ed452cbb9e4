"""Safe file names for files from elsewhere, and safe unpacking of archives.

Invariant: a name from elsewhere never leads out of the target folder, and an archive is measured while it is unpacked,
whatever its headers say.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mograder.bundle import is_zip, open_zip
from mograder.client.files import DiskBudget
from mograder.client.trust import harmless_name
from mograder.domain.allowance import MIB
from mograder.domain.errors import VerificationFailed
from mograder.domain.names import WINDOWS_DEVICES, printable

MAX_DEPTH = 20  # folders in one name
MAX_MEMBERS = 5_000  # files in one archive
MAX_MEMBER = 512 * MIB  # bytes of one unpacked file
MAX_TOTAL = 1024 * MIB  # bytes of all of them
MAX_RATIO = 200  # unpacked bytes for each byte of the archive, once there are more than HARMLESS
HARMLESS = 32 * MIB
CHUNK = 256 * 1024

ON_WINDOWS = os.name == "nt"
_REVERSING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""With these a file manager would show "sample\\u202etxt.exe", a program, as "sampleexe.txt"."""
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*]')


def safe_name(name: str, windows: bool = ON_WINDOWS) -> PurePosixPath:
    """The name of a file in a listing or an archive as a relative path. Control characters, characters that reverse the
    reading order, and (if `windows`) those that Windows cannot store become `_`.

    Raises VerificationFailed if it leads outside (absolute, a drive, `..`) or is hidden.
    """
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    outside = name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name)
    hidden = any(part.startswith(".") for part in parts)  # ".." as well
    if outside or hidden or not parts or len(parts) > MAX_DEPTH:
        raise VerificationFailed(f"refused the file name {printable(name)!r}: it is hidden or leads outside the folder")
    return PurePosixPath(*(_storable(part, windows) for part in parts))


def folder_name(name: str) -> str:
    """An assignment's name as one part of a path. Raises VerificationFailed as `safe_name` does."""
    return str(safe_name(re.sub(r"[/\\:]", "_", name)))


def _storable(part: str, windows: bool) -> str:
    part = "".join(
        "_" if unicodedata.category(letter) in ("Cc", "Cs") or letter in _REVERSING else letter for letter in part
    )
    if not windows:
        return part
    part = _WINDOWS_FORBIDDEN.sub("_", part)
    bare = part.rstrip(". ")
    part = bare + "_" * (len(part) - len(bare))
    return f"_{part}" if WINDOWS_DEVICES.fullmatch(part) else part


class Places:
    """Gives each name its own relative path, also on systems where names that differ only by case are one file.

    A name that mograder would read as its settings gets the ending .txt.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> PurePosixPath:
        """A path for `name`. If it is taken, ` (2)` comes before its ending. Raises VerificationFailed."""
        wanted = path = PurePosixPath(*map(harmless_name, safe_name(name).parts))
        count = 1
        while (key := unicodedata.normalize("NFC", str(path)).casefold()) in self._taken:
            count += 1
            path = wanted.with_name(f"{wanted.stem} ({count}){wanted.suffix}")
        self._taken.add(key)
        return path


ENDINGS = frozenset(
    {
        ".py", ".zip", ".ipynb", ".md", ".txt", ".csv", ".html", ".pdf", ".docx", ".odt", ".png", ".jpg", ".jpeg",
        ".svg", ".tex", ".r", ".sql", ".json", ".rar", ".7z", ".gz", ".bin",
    }
)  # fmt: skip
"""The endings that a collected submission keeps; any other becomes .bin, as a user name may look like an ending."""

_SIGNATURES = ((b"Rar!", ".rar"), (b"7z\xbc\xaf\x27\x1c", ".7z"), (b"\x1f\x8b", ".gz"), (b"%PDF", ".pdf"))


def kind_of(path: Path, ending: str) -> tuple[str, str]:
    """The ending for a collected submission, and what is wrong with the file ("" if nothing is).

    `ending` is that of the server's name of it (lower case). It decides, except for .py and "", which servers give to
    all files: then the first bytes decide.
    """
    with path.open("rb") as file:
        begins = file.read(8)
    zipped = is_zip(begins)
    if ending == ".zip":
        return (ending, "") if zipped else (ending, "it is called a zip file and is none")
    if ending not in (".py", ""):
        return (ending if ending in ENDINGS else ".bin"), ""
    if zipped:
        return (".docx", "it is a document and no notebook") if _is_document(path) else (".zip", "")
    for signature, kind in _SIGNATURES:
        if begins.startswith(signature):
            return kind, "it is no notebook"
    return ".py", ""


def _is_document(path: Path) -> bool:
    """Whether a zip is a file of an office program."""
    try:
        with path.open("rb") as file, open_zip(file) as opened:
            return "[Content_Types].xml" in opened.namelist()
    except _DAMAGED:
        return False


def unpack(archive: Path, folder: Path, name: str, budget: DiskBudget) -> list[PurePosixPath]:
    """Unpack a zip into the new folder `folder`, without hidden files; returns the relative paths of its files.

    `name` is the archive's name for messages. Raises VerificationFailed if the archive is damaged, a bomb, or has links
    or names that lead outside, and OSError if the budget is used up; then the caller must delete `folder`.
    """
    try:
        with archive.open("rb") as file, open_zip(file) as opened:
            return _unpack(opened, archive, folder, printable(name), budget)
    except _DAMAGED as error:
        raise VerificationFailed(f"{printable(name)!r} is not a sound zip file: {printable(str(error))}") from None
    except OSError as error:
        if error.errno not in _NAMES_THAT_CANNOT_BE:
            raise
        raise VerificationFailed(f"{printable(name)!r} has names that cannot be files: {error.strerror}") from None


_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip
"""The exceptions of zipfile for archives that are damaged, encrypted or malicious."""


_NAMES_THAT_CANNOT_BE = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
"""Errors for names that are a file and a folder at once, or too long for the disk: the archive is at fault."""


def _unpack(opened: zipfile.ZipFile, archive: Path, folder: Path, name: str, budget: DiskBudget) -> list[PurePosixPath]:
    places = Places()
    members = [info for info in opened.infolist() if not info.is_dir() and not _is_clutter(info.filename)]
    if len(members) > MAX_MEMBERS:
        raise _bomb(name, f"{len(members)} files")
    left = min(MAX_TOTAL, max(HARMLESS, archive.stat().st_size * MAX_RATIO))
    paths = []
    for info in members:
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise VerificationFailed(f"refused {name!r}: it has a link, {printable(info.filename)!r}")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile("it is compressed in an unusual way")  # others can ask for any amount of memory
        path = places.take(info.filename)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        with opened.open(info) as source, target.open("xb") as out:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > min(left, MAX_MEMBER):
                    raise _bomb(name, "files that are too large")
                budget.take(len(chunk), out)
                out.write(chunk)
        left -= size
        paths.append(path)
    return paths


def _is_clutter(name: str) -> bool:
    """Whether a member was added by a system or is hidden, but not `..`, for which the archive is refused."""
    parts = re.split(r"[/\\]", name)
    return parts[0] == "__MACOSX" or any(part.startswith(".") and part.strip(".") for part in parts)


def _bomb(name: str, found: str) -> VerificationFailed:
    return VerificationFailed(f"refused {name!r}: it would unpack to {found}")
