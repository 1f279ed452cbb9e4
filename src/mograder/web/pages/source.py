"""Shows what is in a submission: its source in colours, or the list of files in a zip. Nothing of it is ever run.

Invariant: the bytes that are read, and the work for each of them, are bounded, whatever the file says of itself.
"""

from __future__ import annotations

import zipfile
from typing import BinaryIO

from markupsafe import Markup
from msgspec import Struct

from mograder.bundle import LongDirectory, is_zip, open_zip
from mograder.domain.files import StoredFile
from mograder.notebook.cells import NotebookError, parse
from mograder.web.pages.highlight import highlight_python
from mograder.web.pages.inline import media_of

SHOWN = 256 * 1024
"""Bytes of a source that are shown."""

MOST_LISTED = 1000
"""Files of a zip that are listed."""


class Contents(Struct, frozen=True):
    """The content of a submission: `source` as safe HTML, or the `files` of a zip with their sizes in bytes.

    `cut` says that there is more than is shown; `problem` says why nothing can be shown. `media` is the type of an
    image or a PDF, by its first bytes, whatever it is called. `cells` are those of a notebook: (name, safe HTML).
    """

    source: Markup | None = None
    files: tuple[tuple[str, int], ...] = ()
    cut: bool = False
    problem: str = ""
    media: str = ""
    cells: tuple[tuple[str, Markup], ...] = ()


def look_into(file: StoredFile) -> Contents:
    """The content of a submission. May wait for a network."""
    file = file.fetched_file()
    with file.open() as opened:
        start = opened.read(SHOWN)
        if is_zip(start):
            return _listed(opened)
    if media := media_of(start):
        return Contents(problem="only the page for marking shows this file: open it there, or download it", media=media)
    if b"\0" in start:
        return Contents(problem="this is no text: download it to look at it")
    text = start.decode("utf-8-sig", errors="replace")
    return Contents(highlight_python(text), cut=file.size > SHOWN, cells=_cells(text))


def _cells(text: str) -> tuple[tuple[str, Markup], ...]:
    """The cells of a notebook, by number and name; nothing for all else."""
    try:
        found = parse(text).cells
    except NotebookError:
        return ()
    return tuple((f"cell {number}" + (f" ({each.name})" if each.name != "_" else ""), highlight_python(each.code))
                 for number, each in enumerate(found, 1))  # fmt: skip


def _listed(opened: BinaryIO) -> Contents:
    try:
        with open_zip(opened) as archive:
            entries = [(each.filename, each.file_size) for each in archive.infolist() if not each.is_dir()]
    except LongDirectory:
        return Contents(problem="this zip holds too many files to list: download it to look at it")
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError):
        return Contents(problem="this zip is damaged: download it to look at it")
    return Contents(files=tuple(entries[:MOST_LISTED]), cut=len(entries) > MOST_LISTED)
