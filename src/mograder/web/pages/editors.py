"""Links that open a file of an assignment in an online editor, from the templates of `[edit_links]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import quote

from mograder.domain.assignments import ReleaseFile
from mograder.domain.files import StoredFile
from mograder.web.pages.lzstring import compress_for_url

LONGEST = 128 * 1024
"""Largest file in bytes that is put into a link: browsers and editors limit the length of links."""


def editor_links(
    templates: Mapping[str, str], assignment: str, file: ReleaseFile, url: str, read: Callable[[], StoredFile] | None
) -> tuple[tuple[str, str], ...]:
    """(name, link) of each editor that can open `file` at `url`. `read` returns the file; None for one elsewhere.

    A template with the text of the file is skipped for a file that is not Python text, or is too large.
    """
    found = []
    for name, template in templates.items():
        values = {"url": quote(url, safe=""), "filename": quote(file.name, safe=""), "assignment": quote(assignment)}
        if "{content_lz}" in template:
            packed = _packed(file, read)
            if packed is None:
                continue
            values["content_lz"] = packed
        link = template
        for key, value in values.items():
            link = link.replace(f"{{{key}}}", value)
        found.append((name, link))
    return tuple(found)


def _packed(file: ReleaseFile, read: Callable[[], StoredFile] | None) -> str | None:
    if read is None or not file.name.endswith(".py"):
        return None
    found = read()
    try:
        return _compressed(found.read().decode()) if found.size <= LONGEST else None
    except (UnicodeDecodeError, OSError):
        return None


@lru_cache(64)
def _compressed(text: str) -> str:
    """Cached: the whole class opens the same files."""
    return compress_for_url(text)
