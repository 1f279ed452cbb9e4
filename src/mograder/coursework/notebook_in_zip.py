"""Finds the notebook that is graded in a submission of several files, which is a zip."""

from __future__ import annotations

import io
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence

from mograder.bundle import MANIFEST, is_zip, open_zip
from mograder.domain.names import printable, some_of

LARGEST_NOTEBOOK = 16 * 1024 * 1024
"""Bytes of a notebook in a zip; a larger one is not unpacked."""


class NoNotebook(Exception):
    """The notebook is not found in the zip. The text says which files the zip has and what is missing."""


def graded_notebook(expected: Sequence[str], source: str) -> str:
    """Name of the notebook that is graded: the `source`'s name if it is among the expected files, or if none of them
    is a notebook; else the first expected notebook.
    """
    notebooks = [each for each in expected if each.endswith(".py")]
    return source if source in notebooks or not notebooks else notebooks[0]


def notebook_in(content: bytes, filename: str, wanted: str, named: bool) -> tuple[bytes, str]:
    """The content and the path of the notebook `wanted` in a zip, in any folder of it. Other content is returned as is.

    Unless the assignment has `named` the notebook, the only notebook of a zip may have any name. Raises NoNotebook.
    """
    if not is_zip(content):
        return content, filename
    try:
        with open_zip(io.BytesIO(content)) as archive:
            entry = _find([each for each in archive.infolist() if not each.is_dir()], wanted, named)
            with archive.open(entry) as opened:
                found = opened.read(LARGEST_NOTEBOOK + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, NotImplementedError):
        raise NoNotebook("the zip cannot be read: submit it again") from None
    if len(found) > LARGEST_NOTEBOOK:
        raise NoNotebook(f"{printable(entry.filename)} is too large to be a notebook")
    return found, entry.filename


def _find(entries: Sequence[zipfile.ZipInfo], wanted: str, named: bool) -> zipfile.ZipInfo:
    def bare(entry: zipfile.ZipInfo) -> str:
        return unicodedata.normalize("NFC", entry.filename).rpartition("/")[2]

    there = [each for each in entries if not bare(each).startswith(".") and "__MACOSX/" not in each.filename]
    fitting = [each for each in there if unicodedata.normalize("NFC", each.filename) == wanted]
    fitting = fitting or [each for each in there if bare(each) == wanted.rpartition("/")[2]]
    if not fitting and not named:
        fitting = [each for each in there if bare(each).endswith(".py")]
    if len(fitting) == 1:
        return fitting[0]
    names = [each.filename for each in there if each.filename != MANIFEST]
    held = f"the zip holds {some_of(names) or 'nothing'}"
    if fitting:
        raise NoNotebook(f"{held}: more than one could be the notebook: submit one called {printable(wanted)}")
    raise NoNotebook(f"{held}: {printable(wanted)} is missing, so nothing was graded")
