"""Packs the installed mograder as a wheel, which a course server offers to its students.

Invariant: the same installation makes the same bytes: entries are sorted, all have the same time and mode, and no
leftovers of programs are included.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from functools import cache
from importlib import metadata
from pathlib import Path

from mograder import DISTRIBUTION, __version__
from mograder.domain.files import is_left_behind

_TIME = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip can state."""

_MODE = 0o100644
_LEFT_OUT = frozenset({"description", "description-content-type", "license-file", "version"})
"""Fields of the metadata that are written anew, or that belong to the description, which is not needed."""


@dataclass(frozen=True)
class Wheel:
    """A wheel and its file name. `sha256` is lower-case hex."""

    name: str
    content: bytes
    sha256: str


def make_wheel(package: Path, about: metadata.Distribution) -> Wheel:
    """The package in the folder `package` as a wheel, with the dependencies, commands and licences of `about`.

    `about` may be of an editable installation: then the licences are in the checkout around the package.
    """
    base = f"{DISTRIBUTION.replace('-', '_')}-{__version__}"
    entries = dict(_files_of(package))
    licences = dict(_licences(about, package.parent.parent))
    info = {
        "METADATA": _metadata(about.metadata, licences),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: {DISTRIBUTION} {__version__}\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n".encode(),
        "entry_points.txt": (about.read_text("entry_points.txt") or "").encode(),
        **{f"licenses/{name}": text for name, text in licences.items()},
    }
    entries |= {f"{base}.dist-info/{name}": content for name, content in info.items()}
    record = f"{base}.dist-info/RECORD"
    lines = [f"{_quoted(name)},{_hash(entries[name])},{len(entries[name])}" for name in sorted(entries)]
    lines.append(f"{record},,")
    content = _zipped(
        [*((name, entries[name]) for name in sorted(entries)), (record, "\n".join(lines).encode() + b"\n")]
    )
    return Wheel(f"{base}-py3-none-any.whl", content, hashlib.sha256(content).hexdigest())


@cache
def own_wheel() -> Wheel | None:
    """The wheel of the running mograder, made once; None if it is not installed: its dependencies are unknown then."""
    try:
        about = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None
    return make_wheel(Path(__file__).parent, about)


def _files_of(package: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the package with its path in the wheel, except links, hidden files and leftovers of programs."""
    for path in package.rglob("*"):
        place = path.relative_to(package.parent)
        named = not any(each.startswith(".") or is_left_behind(each) for each in place.parts)
        if named and path.is_file() and not path.is_symlink():
            yield place.as_posix(), path.read_bytes()


def _licences(about: metadata.Distribution, checkout: Path) -> Iterator[tuple[str, bytes]]:
    for name in about.metadata.get_all("License-File") or ():
        text = about.read_text(f"licenses/{name}")
        if text is None and (checkout / name).is_file():
            text = (checkout / name).read_text(encoding="utf-8")
        if text is not None:
            yield name, text.encode()


def _metadata(fields: metadata.PackageMetadata, licences: dict[str, bytes]) -> bytes:
    """The metadata without the description."""
    assert isinstance(fields, Message)
    kept = [(name, value) for name, value in fields.items() if name.lower() not in _LEFT_OUT]
    kept += [("Version", __version__), *(("License-File", name) for name in licences)]
    return "".join(f"{name}: {value}\n" for name, value in kept).encode()


def _zipped(entries: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries:
            about = zipfile.ZipInfo(name, _TIME)
            about.compress_type, about.external_attr, about.create_system = zipfile.ZIP_DEFLATED, _MODE << 16, 3
            archive.writestr(about, content)
    return file.getvalue()


def _hash(content: bytes) -> str:
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()}"


def _quoted(name: str) -> str:
    """A name as a field of CSV."""
    return f'"{name}"' if "," in name or '"' in name else name
