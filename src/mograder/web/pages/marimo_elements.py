"""Replaces marimo's own elements, which need its scripts, by plain HTML with the same content.

Controls appear as label and value, tables and pictures are shown, formulas appear as source. A note takes the place of
what needs scripts. The result is not safe to show yet: see inert.py.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from typing import Any

ROWS = 100
"""The most rows of a table that are shown."""

_DEEPEST = 6
_TEXT = 2000
_PREFIX = "marimo-"
_FORMULA = {"||(": "$", "||)": "$", "||[": "$$", "||]": "$$"}
_AROUND = frozenset(("ui-element", "form", "dict", "lazy", "carousel", "sidebar", "routes", "nav-menu", "outline"))
"""Elements that show nothing themselves; only their content is shown."""

_HEADED = {"tabs": "data-tabs", "accordion": "data-labels"}
_WITHOUT_VALUE = frozenset(("button", "form", "dict", "file", "download", "refresh"))


def without_scripts(html: str, depth: int = 0) -> str:
    """`html` with marimo's elements replaced by plain HTML."""
    if _PREFIX not in html or depth > _DEEPEST:
        return html
    reader = _Reader(depth)
    reader.feed(html)
    reader.close()
    return "".join(reader.pieces)


class _Reader(HTMLParser):
    """Replaces marimo's elements, and passes everything else on unchanged."""

    def __init__(self, depth: int) -> None:
        super().__init__(convert_charrefs=False)
        self.pieces: list[str] = []
        self._depth = depth
        self._formula = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not tag.startswith(_PREFIX):
            self.pieces.append(self.get_starttag_text() or "")
        elif tag == "marimo-tex":
            self._formula += 1
            self.pieces.append("<code>")
        else:
            given = {key: value or "" for key, value in attrs}
            self.pieces.append(_said(tag.removeprefix(_PREFIX), given, self._depth))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "marimo-tex" and self._formula:
            self._formula -= 1
            self.pieces.append("</code>")
        elif not tag.startswith(_PREFIX):
            self.pieces.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._formula:
            for mark, written in _FORMULA.items():
                data = data.replace(mark, written)
        self.pieces.append(data)

    def handle_entityref(self, name: str) -> None:
        self.pieces.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.pieces.append(f"&#{name};")


def _said(name: str, given: Mapping[str, str], depth: int) -> str:
    """The HTML that replaces the start tag of an element."""
    if name in _AROUND:
        return ""
    if name in _HEADED:
        heads = _json(given.get(_HEADED[name]))
        return f"<p>{' | '.join(map(_label, heads))}</p>" if isinstance(heads, list) else ""
    if name == "callout-output":
        return f"<blockquote>{without_scripts(str(_json(given.get('data-html'))), depth + 1)}</blockquote>"
    if name == "json-output":
        return _nested(_json(given.get("data-json-data")), depth + 1)
    if name == "mime-renderer":
        return _of_type(str(_json(given.get("data-mime"))), _json(given.get("data-data")), depth + 1)
    if name == "mermaid":
        return f"<pre>{escape(str(_json(given.get('data-diagram'))))}</pre>"
    if name == "stat":
        label, value, caption = (_json(given.get(f"data-{key}")) for key in ("label", "value", "caption"))
        return f"<p>{_label(label)}<br><b>{escape(_shortly(value))}</b> {_label(caption)}</p>"
    if name in ("table", "dataframe") and (table := _table(given)):
        return table
    if "data-initial-value" not in given:
        return _left_out(name)
    label = _label(_json(given.get("data-label")))
    value = "" if name in _WITHOUT_VALUE else escape(_shortly(_json(given["data-initial-value"])))
    return f"<p>({escape(name)}) {': '.join(filter(None, (label, value)))}</p>"


def _left_out(name: str) -> str:
    return f"<p>({escape(name)}: this needs scripts, and is left out)</p>"


def _json(text: str | None) -> Any:
    """The value of an attribute that holds JSON; None if it is missing or invalid."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _label(label: object) -> str:
    """A label, which may hold HTML, as one line of escaped text."""
    if not isinstance(label, str):
        return ""
    found = _Words()
    found.feed(without_scripts(label, _DEEPEST))
    found.close()
    return escape(" ".join("".join(found.words).split()))


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _shortly(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        value = ", ".join(map(str, value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"


def _table(given: Mapping[str, str]) -> str:
    """The HTML of a table, "" if its rows are not in the element."""
    rows, types = _rows(_json(given.get("data-data"))), _json(given.get("data-field-types"))
    if not rows:
        return ""
    named = [str(each[0]) for each in types if each] if isinstance(types, list) and types and all(types) else []
    names = [each for each in named or rows[0] if each != "_marimo_row_id"]
    head = "".join(f"<th scope=col>{escape(each)}</th>" for each in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_shortly(row.get(each)))}</td>' for each in names)}</tr>" for row in rows[:ROWS]
    )
    total = _json(given.get("data-total-rows"))
    more = f"<p>the first {min(len(rows), ROWS)} of {escape(str(total))} rows</p>"
    label = _label(_json(given.get("data-label")))
    return (
        (f"<p>{label}</p>" if label else "")
        + f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + (more if isinstance(total, int) and total > min(len(rows), ROWS) else "")
    )


def _rows(data: object) -> list[Mapping[str, Any]]:
    if isinstance(data, str) and data.startswith("data:") and ";base64," in data:
        try:
            data = base64.b64decode(data.partition(",")[2]).decode()
        except (binascii.Error, UnicodeDecodeError):
            return []
    rows = _json(data) if isinstance(data, str) else data
    return rows if isinstance(rows, list) and all(isinstance(each, dict) for each in rows) else []


def _of_type(kind: str, data: object, depth: int) -> str:
    """The HTML for data of a media type; for a bundle of several types, that of the best one."""
    if isinstance(data, str) and kind.endswith("+mimebundle"):
        data = _json(data)
    if isinstance(data, dict) and kind.endswith("+mimebundle"):
        kinds = sorted(data, key=lambda each: (not each.startswith("image/"), each != "text/html"))
        best = next((each for each in kinds if each.startswith(("image/", "text/"))), "")
        return _of_type(best, data[best], depth) if best else _left_out("output")
    if isinstance(data, str) and depth <= _DEEPEST:
        if kind.startswith("image/"):
            return f'<img alt="picture" src="{escape(data)}">'
        if kind == "text/html":
            return without_scripts(data, depth)
        if kind.startswith("text/"):
            return f"<pre>{escape(data)}</pre>"
    return _left_out(kind or "output")


def _nested(value: object, depth: int) -> str:
    """A list or mapping, whose texts may begin with their media type."""
    if depth > _DEEPEST:
        return escape(_shortly(value))
    if isinstance(value, list):
        return f"<ul>{''.join(f'<li>{_nested(each, depth + 1)}</li>' for each in value[:ROWS])}</ul>"
    if isinstance(value, dict):
        held = (f"<li>{escape(str(key))}: {_nested(each, depth + 1)}</li>" for key, each in list(value.items())[:ROWS])
        return f"<ul>{''.join(held)}</ul>"
    kind, colon, text = value.partition(":") if isinstance(value, str) else ("", "", "")
    if colon and kind in ("text/html", "text/markdown", "text/plain", "image/png", "image/svg+xml", "image/jpeg"):
        return _of_type(kind, text, depth)
    return escape(_shortly(value))
