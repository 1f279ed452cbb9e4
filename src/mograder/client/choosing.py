"""Chooses the files of a person's disk that make one submission of several files.

Invariant: no file outside the given folders is chosen.
"""

from __future__ import annotations

import os
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mograder.bundle import MANIFEST, Member, check_names, member_name, open_zip
from mograder.domain.errors import BadRequest, Usage
from mograder.domain.files import is_left_behind


@dataclass(frozen=True)
class Chosen:
    """`files` are pairs of a name in the zip and a path, sorted; `left_out` are paths that are not packed."""

    files: tuple[tuple[str, Path], ...]
    left_out: tuple[Path, ...]

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(Member(name, partial(_opened, path)) for name, path in self.files)


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def choose_files(paths: Sequence[Path]) -> Chosen:
    """Choose the given files, and all files of the given folders (named by their path in the folder). Names are NFC.

    Hidden files, leftovers of programs, and links that lead out of the folder are left out. Raises Usage if two files
    have the same name, one is empty, or there are none.
    """
    found: list[tuple[str, Path]] = []
    left_out = []
    try:
        for path in paths:
            for name, file in _files_of(path):
                if name is None:
                    left_out.append(file)
                    continue
                if not file.stat().st_size and not file.name.startswith("__"):
                    raise Usage(f"{file} is empty")
                found.append((member_name(name), file))
        check_names(name for name, _ in found)
    except BadRequest as error:
        raise Usage(error.message) from None
    if not found:
        raise Usage(f"there are no files to submit in {', '.join(map(str, paths))}")
    return Chosen(tuple(sorted(found)), tuple(left_out))


def names_in_zip(path: Path) -> list[str]:
    """The names (NFC) of the files in a zip that a person has made, except those that `choose_files` leaves out.

    A top folder that holds all files is removed from the names. Raises Usage for a file that is not a zip.
    """
    try:
        with path.open("rb") as file, open_zip(file) as archive:
            found = [each.filename for each in archive.infolist() if not each.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise Usage(f"{path.name} cannot be read as a zip") from None
    names = [unicodedata.normalize("NFC", each) for each in found if each != MANIFEST]
    kept = [name for name in names if not any(map(_is_clutter, name.split("/")))]
    tops = {name.partition("/")[0] if "/" in name else "" for name in kept}
    return [name.partition("/")[2] for name in kept] if len(tops) == 1 and "" not in tops else kept


def _files_of(path: Path) -> Iterable[tuple[str | None, Path]]:
    """The files at `path`, each with its name in the zip, or None if it is left out."""
    if not path.is_dir():
        yield path.name, path
        return
    top = path.resolve()
    for folder, folders, names in os.walk(path):
        for name in sorted(folders):
            if _is_clutter(name) or Path(folder, name).is_symlink():
                folders.remove(name)
                yield None, Path(folder, name)
        for name in sorted(names):
            file = Path(folder, name)
            inside = file.is_file() and file.resolve().is_relative_to(top)
            yield (None if _is_clutter(name) or not inside else file.relative_to(path).as_posix()), file


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or is_left_behind(name)
