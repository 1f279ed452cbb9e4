"""Colours Python source as safe HTML, in time linear in its length, whatever it holds.

Invariant: every alternative of the pattern is possessive and has an optional end, so that no character is looked at
again once a token has passed it. A general highlighter takes quadratic time for some inputs (long runs of white
space, strings that never end), and submissions are written by people who may want that.
"""

from __future__ import annotations

import builtins
import keyword
import re
from html import escape

from markupsafe import Markup

_TOKEN = re.compile(
    r"""
    (?P<comment> \#[^\n]*+ )
    | (?P<string>
        (?i:[bfrtu]{0,2})
        (?: \"{3} (?: [^"\\] | \\.? | "(?!"") )*+ (?:"{3})?+
          | '{3}  (?: [^'\\] | \\.? | '(?!'') )*+ (?:'{3})?+
          | " (?: [^"\\\n] | \\.? )*+ "?+
          | ' (?: [^'\\\n] | \\.? )*+ '?+ )
      )
    | (?P<name> [^\W\d]\w*+ )
    | (?P<other> (?: \d\w*+ | [^\w\#"']++ )++ )
    """,
    re.VERBOSE | re.DOTALL,
)

_KEYWORDS = frozenset(keyword.kwlist)
_BUILTINS = frozenset(name for name in dir(builtins) if name[0].islower())


def highlight_python(text: str) -> Markup:
    """`text`, escaped, with a span around each comment (c), string (s), keyword (k), builtin (nb), and each name that
    is defined (nf, nc).
    """
    pieces, before = [], ""
    for token in _TOKEN.finditer(text):
        kind, found = token.lastgroup, token[0]
        css = {"comment": "c", "string": "s"}.get(kind or "", "")
        if kind == "name":
            css = _class_of(found, before)
            before = found
            pieces.append(f'<span class="{css}">{found}</span>' if css else found)  # a name needs no escaping
            continue
        if not found.isspace():
            before = ""
        pieces.append(f'<span class="{css}">{escape(found)}</span>' if css else escape(found))
    return Markup("".join(pieces))  # noqa: S704 (every piece is escaped)


def _class_of(name: str, before: str) -> str:
    if before in ("def", "class"):
        return "nf" if before == "def" else "nc"
    return "k" if name in _KEYWORDS else "nb" if name in _BUILTINS else ""
