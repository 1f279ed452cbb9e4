"""Several files as one submission: a zip with a manifest.

Invariant: the same files make the same bytes, whenever and wherever they are packed, so that sending them again is
recognised; and nothing outside the named folders gets in.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mograder.client.files import sha256_of
from mograder.domain.errors import Usage
from mograder.domain.names import printable

MANIFEST = "submission.json"
MAX_FILES = 1_000
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip cannot say less, and must not say when it was made


@dataclass(frozen=True)
class Bundle:
    """`files` by their names in the zip, sorted; `left_out` are paths below the folders that are not packed."""

    files: tuple[tuple[str, Path], ...]
    left_out: tuple[Path, ...]


def choose_files(paths: Sequence[Path]) -> Bundle:
    """Files under their own names, and all files of folders under their paths below the folder.

    Hidden files, caches (`__…__`) and links that lead outside the folder are left out. Raises Usage when two files
    would have one name, one is empty, or there are none.
    """
    found: dict[str, Path] = {}
    left_out = []
    for path in paths:
        for name, file in _files_of(path):
            if name is None:
                left_out.append(file)
                continue
            taken = next((each for each in found if each.casefold() == name.casefold()), None)
            if taken is not None or name.casefold() == MANIFEST:
                raise Usage(f"{file}: there is a file called {printable(taken or MANIFEST)!r} already: rename one")
            if not file.stat().st_size:
                raise Usage(f"{file} is empty")
            found[name] = file
    if not found:
        raise Usage(f"there are no files to submit in {', '.join(map(str, paths))}")
    if len(found) > MAX_FILES:
        raise Usage(f"these are {len(found)} files: at most {MAX_FILES} make one submission")
    return Bundle(tuple(sorted(found.items())), tuple(left_out))


def _files_of(path: Path) -> Iterable[tuple[str | None, Path]]:
    """The files at `path`, each with its name in the zip, or None when it is to be left out."""
    if not path.is_dir():
        yield path.name, path
        return
    top = path.resolve()
    for folder, folders, names in os.walk(path):
        for name in list(folders):
            if _is_clutter(name) or Path(folder, name).is_symlink():
                folders.remove(name)
                yield None, Path(folder, name)
        for name in sorted(names):
            file = Path(folder, name)
            inside = file.is_file() and file.resolve().is_relative_to(top)
            yield (None if _is_clutter(name) or not inside else file.relative_to(path).as_posix()), file


def _is_clutter(name: str) -> bool:
    return name.startswith((".", "__"))


def pack(bundle: Bundle, assignment: str, target: Path) -> None:
    """Write the zip to `target`. Its manifest, submission.json, has each file's name, size in bytes and SHA-256."""
    listed = [{"name": name, "size": path.stat().st_size, "sha256": sha256_of(path)} for name, path in bundle.files]
    manifest = json.dumps({"assignment": str(assignment), "files": listed}, indent=2, ensure_ascii=False)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, path in bundle.files:
            with path.open("rb") as source, archive.open(_entry(name), "w") as member:
                while chunk := source.read(256 * 1024):
                    member.write(chunk)
        archive.writestr(_entry(MANIFEST), manifest.encode())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3  # the same on every system
    return entry
