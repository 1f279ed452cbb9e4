"""Reduces HTML from a student's cell to HTML that does nothing: what is not listed here is left out.

Invariant: the result is balanced, and has no script, form, link, style or frame, and no address.
The frame around it lets nothing run either (see rendered.py), so a fault in one of the two does no harm.
"""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

from markupsafe import Markup

_TAGS = frozenset((
    "p", "div", "span", "section", "article", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd",
    "table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "colgroup", "pre", "code", "samp", "kbd", "var",
    "em", "strong", "b", "i", "u", "s", "del", "ins", "mark", "small", "sub", "sup", "blockquote", "q", "abbr",
    "cite", "figure", "figcaption", "details", "summary", "svg", "g", "path", "rect", "circle", "ellipse", "line",
    "polyline", "polygon", "text", "tspan", "defs", "clippath", "title", "desc",
))  # fmt: skip
_EMPTY = frozenset(("br", "hr", "img", "col", "wbr"))
_DROPPED = frozenset((
    "script", "style", "template", "iframe", "object", "embed", "noscript", "textarea", "select", "button", "audio",
    "video", "canvas", "map", "math", "head", "frameset", "noembed", "noframes", "xmp", "plaintext",
))  # fmt: skip
"""Elements that are dropped with all their content."""

_NAMED = frozenset(("iframe", "object", "embed", "canvas", "audio", "video", "select", "button", "textarea", "math"))
"""Dropped elements that would be visible; a note says that they are left out."""
_SEEN = frozenset(("img", "svg", "table", "hr"))
"""Elements that are visible without text in them."""

_ATTRIBUTES = frozenset((
    "alt", "align", "valign", "colspan", "rowspan", "scope", "title", "lang", "dir", "width", "height", "start",
    "reversed", "open", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "d", "points", "transform",
    "viewbox", "preserveaspectratio", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity",
    "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight", "text-anchor", "dx", "dy",
))  # fmt: skip
_NAMES = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio", "clippath": "clipPath"}
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_DEEPEST = 100


def inert(html: str) -> Markup:
    """The part of `html` that is safe to show."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if not reader.seen and html.strip():
        reader.pieces.append("(this shows nothing without scripts)")
    return Markup("".join([*reader.pieces, *(f"</{tag}>" for tag in reversed(reader.open))]))  # noqa: S704 (as above)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.open: list[str] = []
        self.seen = False
        self._dropping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED or self._dropping:
            if tag in _NAMED and not self._dropping:
                self.pieces.append(f"({tag}: left out)")
                self.seen = True
            if tag in _DROPPED:
                self._dropping.append(tag)
            return
        self.seen = self.seen or tag in _SEEN
        name = _NAMES.get(tag, tag)
        if tag in _EMPTY:
            source = next((value or "" for key, value in attrs if key == "src"), "")
            if tag != "img" or _PICTURE.fullmatch(source):
                picture = f' src="{escape(source)}"' if tag == "img" else ""
                self.pieces.append(f"<{tag}{_kept(attrs)}{picture}>")
        elif tag in _TAGS and len(self.open) < _DEEPEST:
            self.pieces.append(f"<{name}{_kept(attrs)}>")
            self.open.append(name)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _DROPPED:
            self.handle_starttag(tag, attrs)
            if tag not in _EMPTY:
                self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            if tag == self._dropping[-1]:
                self._dropping.pop()
            return
        name = _NAMES.get(tag, tag)
        if name in self.open:
            while True:
                last = self.open.pop()
                self.pieces.append(f"</{last}>")
                if last == name:
                    return

    def handle_data(self, data: str) -> None:
        if not self._dropping:
            self.pieces.append(escape(data))
            self.seen = self.seen or bool(data.strip())


def _kept(attrs: list[tuple[str, str | None]]) -> str:
    kept = {key: value or "" for key, value in attrs if key in _ATTRIBUTES and "url(" not in (value or "").lower()}
    return "".join(f' {_NAMES.get(key, key)}="{escape(value)}"' for key, value in kept.items())
