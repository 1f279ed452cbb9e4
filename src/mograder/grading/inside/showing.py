"""Makes a cell's output, as text, HTML or an image, for an instructor who reads the submission. It is not graded.

An error while it is made is no failure of the cell.
"""

from __future__ import annotations

import base64
import html
import io
import reprlib
import sys
from typing import Any

from . import errors, recording
from .cells import time_limit

SECONDS = 5.0
"""Processor time for one value, in seconds."""

TEXT = 20_000
"""Characters of text and of what is printed that are kept of a cell."""

MOST = 50
"""Items of a list or mapping that are looked at one by one."""

LARGEST = 256 * 1024
"""Characters of HTML, or of an image in base64."""

_short = reprlib.Repr()
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = _short.maxfrozenset = _short.maxdeque = 200
_short.maxstring = _short.maxother = TEXT
_short.maxlevel = 6


def shown(value: Any, seconds: float) -> list[str]:
    """[media type, text] of the output of `value`; empty for nothing."""
    if value is None or isinstance(value, recording.Shown):
        return []
    try:
        with time_limit(min(seconds, SECONDS)):
            kind, text = _look(value)
    except BaseException as error:  # noqa: BLE001 - whatever a value does when it is looked at
        kind, text = "text/plain", f"(this cannot be shown: {errors.described(error)})"
    if len(text) > LARGEST:
        kind, text = "text/plain", f"(this is too large to be shown: {kind})"
    return [kind, text]


def _look(value: Any) -> tuple[str, str]:
    if type(value) in (list, tuple) and not _figure(value) and any(map(_is_rich, value[:MOST])):
        rest = [f"<p>and {len(value) - MOST} more</p>"] if len(value) > MOST else []
        return "text/html", "".join([*map(_as_html, value[:MOST]), *rest])
    if type(value) is dict and any(map(_is_rich, value.values())):
        held = list(value.items())[:MOST]
        return "text/html", "".join(f"<p>{html.escape(_short.repr(key))}:</p>{_as_html(each)}" for key, each in held)
    if type(value) in (str, int, float, complex, bool, bytes, list, tuple, dict, set, frozenset):
        return "text/plain", _cut(value if type(value) is str else _short.repr(value))
    if figure := _figure(value):
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=80, bbox_inches="tight")
        return "image/png", base64.b64encode(picture.getvalue()).decode()
    marimo: Any = sys.modules.get("marimo")
    if marimo is not None and isinstance(value, marimo.Html):
        return "text/html", str(value.text)
    for name, kind in (("_repr_html_", "text/html"), ("_repr_svg_", "text/html"), ("_repr_markdown_", "text/plain")):
        method = getattr(value, name, None)
        made = method() if callable(method) else None
        if isinstance(made, str) and made:
            return kind, made
    method = getattr(value, "_repr_png_", None)
    made = method() if callable(method) else None
    if isinstance(made, bytes):
        return "image/png", base64.b64encode(made).decode()
    return "text/plain", _cut(repr(value))


def _is_rich(value: Any) -> bool:
    """Whether it looks like more than its text."""
    if type(value) in (list, tuple):
        return any(map(_is_rich, value[:MOST]))
    return bool(_figure(value)) or any(hasattr(type(value), name) for name in ("_repr_html_", "_repr_png_"))


def _as_html(value: Any) -> str:
    kind, text = _look(value)
    if kind == "image/png":
        return f'<img alt="picture" src="data:image/png;base64,{text}">'
    return f"<div>{text}</div>" if kind == "text/html" else f"<pre>{html.escape(text)}</pre>"


def _figure(value: Any) -> Any:
    """The figure of matplotlib that a value is, or belongs to."""
    if "matplotlib.figure" not in sys.modules:
        return None
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    if isinstance(value, list | tuple) and value and all(isinstance(each, Artist) for each in value):
        value = value[0]
    if isinstance(value, Figure):
        return value
    return getattr(value, "figure", None) if isinstance(value, Artist) else None


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}…"
